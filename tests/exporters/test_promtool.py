"""Prometheus' own judgement of what is in exporters/prometheus, by two releases of its tool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.exporters.rule_files import alerts
from tests.exporters.tools import PROMETHEUS, RULES, built, packaged, run

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*_test.yml"))


@pytest.fixture(params=[built, packaged], ids=["built", "packaged"])
def promtool(request: pytest.FixtureRequest) -> str:
    """The tool of the long-term release, and the one that the system has."""
    find: Callable[[str], str] = request.param
    return find("promtool")


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_alerts_fire_and_do_not_fire_as_they_should(promtool, case):
    """Each file holds series, times, and what fires then."""
    done = run(promtool, "test", "rules", case)

    assert 0 == done.returncode, done.stdout


def test_each_alert_is_seen_firing_in_its_words():
    """An alert without a test is a guess; one that is tested is shown quiet there too."""
    text = "\n".join(case.read_text(encoding="utf-8") for case in CASES)

    assert [] == [alert.name for alert in alerts() if f"- alertname: {alert.name}\n" not in text]
    assert "exp_samples: []" in text


def test_rules_are_sound(promtool):
    """No syntax error, no duplicate."""
    done = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *sorted(RULES.glob("*.yml")))

    assert 0 == done.returncode, done.stdout


def test_the_configuration_is_sound():
    """As Prometheus 3 reads it: the older tool does not know OTLP."""
    done = run(built("promtool"), "check", "config", "--lint=all", "--lint-fatal", PROMETHEUS / "prometheus.yml")

    assert 0 == done.returncode, done.stdout
