"""From a call to whoever is paged: a service, Prometheus, Alertmanager and a webhook, all of them real."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.exporters.programs import Webhook, alertmanager, awaited, fetched, free_port, prometheus, value_of, webhook
from tests.exporters.tools import ROOT

HERE = Path(__file__).parent
ON_THE_WAY_S = 30.0


class Service:
    """A process that spends."""

    def __init__(self, directory: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("LLM_OTEL_", "OTEL_"))}
        environ |= {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(directory)}
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "spending_service.py"), self.address.rpartition(":")[2]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )
        assert "serving\n" == self.process.stdout.readline()

    def call(self) -> None:
        """Have it make a call, and wait for the answer."""
        self.process.stdin.write("Why is the sky blue?\n")
        self.process.stdin.flush()
        assert "answered\n" == self.process.stdout.readline()

    def close(self) -> None:
        """End it."""
        self.process.stdin.close()
        self.process.wait(ON_THE_WAY_S)
        self.process.stdout.close()


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """Whom Alertmanager tells."""
    with webhook() as listening:
        yield listening


@pytest.fixture
def pager(tmp_path: Path, hook: Webhook) -> Iterator[str]:
    """The address of an Alertmanager."""
    with alertmanager(tmp_path, hook) as address:
        yield address


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that has spent nothing."""
    started = Service(tmp_path)
    yield started
    started.close()


def test_an_exceeded_budget_reaches_whoever_is_paged(tmp_path, service, hook, pager):
    """One call passes the limit; the page says which budget, how much, and where to read on. The other is quiet."""
    with prometheus(tmp_path, target=service.address, alertmanager=pager) as address:
        awaited(lambda: value_of(address, "budget_scope:llm_otel_budget_spent_usd:max"), "the budget is scraped")
        assert value_of(address, 'ALERTS{alertstate="firing"}') is None

        service.call()
        path, said = awaited(lambda: next(iter(hook.told), None), "the webhook is told", within_s=ON_THE_WAY_S)

        (alert,) = said["alerts"]
        assert "/page" == path
        assert "firing" == alert["status"]
        assert {
            "alertname": "LLMBudgetExceeded",
            "budget": "company",
            "environment": "demo",
            "severity": "critical",
        } == alert["labels"]
        assert alert["annotations"]["description"].startswith("Budget company has spent $0.00")
        assert alert["annotations"]["runbook_url"].endswith("/runbook.md#llmbudgetexceeded")
        # Also where the first value that was scraped is the whole spend: Prometheus knows that it began at 0.
        assert value_of(address, "sum(increase(llm_otel_cost_usd_total[1m])) > bool 0") == 1


# --- inhibitions, which amtool cannot test ----------------------------------------------------------------

EXCEEDED = {"alertname": "LLMBudgetExceeded", "severity": "critical", "budget": "company"}
BURNING = {"alertname": "LLMBudgetBurningFast", "severity": "critical", "budget": "company", "long": "1h"}
SLOWER = {"alertname": "LLMBudgetBurningFast", "severity": "warning", "budget": "company", "long": "6h"}
OVERRUN = {"alertname": "LLMBudgetProjectedOverrun", "severity": "warning", "budget": "company"}
OF_NO_BUDGET = {"alertname": "LLMBudgetProjectedOverrun", "severity": "warning"}
NEAR = {"alertname": "LLMBudgetNearLimit", "severity": "info", "budget": "company"}
USERS = {"alertname": "LLMBudgetExceeded", "severity": "info", "budget": "company", "scope": "__all__"}
FAILING = {"alertname": "LLMErrorRateHigh", "severity": "critical", "job": "search", "provider": "openai"}
WASTING = {"alertname": "LLMWastedSpend", "severity": "warning", "job": "search"}
OUT = {"alertname": "LLMLedgerUnavailable", "severity": "critical", "job": "search"}
REFUSING = {"alertname": "LLMBudgetBlockingRequests", "severity": "warning", "budget": "company"}
ABSENT = {"alertname": "LLMTelemetryAbsent", "severity": "warning"}
STALE = {"alertname": "LLMTelemetryStale", "severity": "warning", "job": "search"}

MUTED = [
    (EXCEEDED, BURNING),
    (EXCEEDED, OVERRUN),
    (EXCEEDED, NEAR),
    (BURNING, SLOWER),
    (BURNING, NEAR),
    (OVERRUN, NEAR),
    (FAILING, FAILING | {"severity": "warning"}),
    (OUT, REFUSING | {"reason": "store_unavailable"}),
    (ABSENT, STALE | {"missing": "service"}),
]
HEARD = [
    (EXCEEDED, OVERRUN | {"budget": "team"}),
    (EXCEEDED, OVERRUN | {"scope": "search"}),
    (EXCEEDED, OVERRUN | {"environment": "test"}),
    (EXCEEDED, OF_NO_BUDGET),
    (USERS, NEAR | {"scope": "__all__"}),
    (BURNING, SLOWER | {"budget": "team"}),
    (FAILING, FAILING | {"severity": "warning", "provider": "anthropic"}),
    (FAILING, WASTING),
    (OUT, REFUSING | {"reason": "exhausted"}),
    (OUT, ABSENT),
    (ABSENT, STALE | {"missing": "instance"}),
]


def test_the_worst_of_one_budget_or_service_is_told(pager):
    """What says less about the same is muted; nothing is because two alerts both lack a label."""
    # Each pair has an environment of its own, so that it meets no other.
    pairs = [[{"environment": f"{number}"} | alert for alert in pair] for number, pair in enumerate([*HEARD, *MUTED])]
    expected = sorted(names_of(target) for _, target in pairs[len(HEARD) :])

    # They are taken in one after the other: when the last is muted, those before it would be.
    fetched(f"http://{pager}/api/v2/alerts", posting=[{"labels": alert} for pair in pairs for alert in pair])
    awaited(lambda: len(muted_of(pager)) >= len(expected) or None, f"{len(expected)} alerts are muted")

    assert expected == muted_of(pager)


def muted_of(address: str) -> list[str]:
    """Return the alerts that are muted now."""
    alerts: list[dict[str, Any]] = fetched(f"http://{address}/api/v2/alerts")
    return sorted(names_of(alert["labels"]) for alert in alerts if alert["status"]["inhibitedBy"])


def names_of(labels: dict[str, str]) -> str:
    """Return labels as one text."""
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
