"""Who is told of which alert, as Alertmanager's own tool reads the configuration."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.exporters.rule_files import alerts
from tests.exporters.tools import ALERTMANAGER, built, run

CONFIG: dict[str, Any] = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))
MAY_BE_EMPTY = {"environment", "scope"}
RECEIVERS = {"critical": "page", "warning": "ticket", "info": "note"}


def test_the_configuration_is_sound():
    """Every receiver is there, every matcher is one."""
    done = run(built("amtool"), "check-config", ALERTMANAGER)

    assert 0 == done.returncode, done.stdout


@pytest.mark.parametrize("alert", list(alerts()), ids=lambda alert: f"{alert.name}-{alert.labels['severity']}")
def test_each_alert_goes_where_its_severity_says(alert):
    """Critical ones page, warnings are tickets, info is a note."""
    labels = {"alertname": alert.name, "environment": "production", "job": "search", "budget": "company"}
    given = [f"{name}={value}" for name, value in (labels | alert.labels).items()]
    command = (built("amtool"), "config", "routes", "test", f"--config.file={ALERTMANAGER}")

    done = run(*command, f"--verify.receivers={RECEIVERS[alert.labels['severity']]}", *given)

    assert 0 == done.returncode, done.stdout


def test_an_alert_of_somebody_else_is_a_ticket():
    """One without a severity is not lost."""
    done = run(built("amtool"), "config", "routes", "test", f"--config.file={ALERTMANAGER}", "alertname=DiskFull")

    assert "ticket" == done.stdout.strip()


def test_no_inhibition_works_by_a_label_that_both_lack():
    """Two alerts without a label agree on it, so what `equal` names has to be there, by the matchers of both sides."""
    loose = [
        (label, rule)
        for rule in CONFIG["inhibit_rules"]
        for label in set(rule.get("equal", ())) - MAY_BE_EMPTY
        for side in ("source_matchers", "target_matchers")
        if f'{label}!=""' not in rule[side]
    ]

    assert [] == loose


def test_inhibitions_name_alerts_that_are_there():
    """Each side names its alerts, by names that the rules have."""
    names = {alert.name for alert in alerts()}

    for rule in CONFIG["inhibit_rules"]:
        for side in ("source_matchers", "target_matchers"):
            (pattern,) = [found[1] for each in rule[side] if (found := re.fullmatch(r'alertname=~?"(.+)"', each))]
            choices = re.sub(r"(\w+)\(([\w|]+)\)", lambda m: "|".join(m[1] + end for end in m[2].split("|")), pattern)
            assert set(choices.split("|")) <= names


def test_the_default_receivers_are_a_webhook():
    """Out of the box nothing goes anywhere but to this machine."""
    urls = [each["url"] for receiver in CONFIG["receivers"] for each in receiver["webhook_configs"]]

    assert [f"http://localhost:9466/{name}" for name in ("page", "ticket", "note")] == urls
