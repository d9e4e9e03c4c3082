"""The rules for Prometheus: what they measure exists, what they say can be followed, and each alert has its runbook."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from llm_otel.cli.rules import GRAFANA_URL, RUNBOOK_URL
from tests.exporters.rule_files import alerts, names_in, rules, unknown_labels, unknown_names, unknown_values
from tests.exporters.tools import ROOT, RULES

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
ALERTS = sorted({alert.name for alert in alerts()})
RECORDED = [rule.name for rule in rules() if not rule.is_alert]
REQUIRED = [
    "LLMBudgetBlockingRequests",
    "LLMBudgetBurningFast",
    "LLMBudgetExceeded",
    "LLMBudgetNearLimit",
    "LLMBudgetProjectedOverrun",
    "LLMCircuitOpen",
    "LLMCostUnpriced",
    "LLMErrorRateHigh",
    "LLMLatencyHigh",
    "LLMLedgerUnavailable",
    "LLMSpendSpike",
    "LLMTelemetryAbsent",
    "LLMTelemetryStale",
    "LLMWastedSpend",
]


def test_every_alert_is_there():
    """Dashboards, routes and runbooks call them by these names."""
    assert REQUIRED == ALERTS


# --- what they measure ------------------------------------------------------------------------------------


def test_rules_measure_what_the_library_records():
    """A metric that is renamed breaks this test before it breaks an alert, in templates too."""
    texts = {rule.name: " ".join((rule.expr, *rule.annotations.values())) for rule in rules()}

    assert {} == {name: unknown for name, text in texts.items() if (unknown := unknown_names(text, RECORDED))}
    assert all(names_in(rule.expr) for rule in rules())


def test_rules_group_and_select_by_labels_that_are_there():
    """A label that is renamed, too."""
    assert {} == {rule.name: unknown for rule in rules() if (unknown := unknown_labels(rule.expr))}


def test_rules_select_values_that_are_there():
    """And a value of a closed set: outcomes, reasons, states."""
    assert {} == {rule.name: unknown for rule in rules() if (unknown := unknown_values(rule.expr))}


@pytest.mark.parametrize(
    ("expr", "names", "labels", "values"),
    [
        ('sum by (model) (rate(llm_otel_requests_total{outcome="error"}[5m]))', [], [], []),
        ("rate(llm_otel_requests[5m])", ["llm_otel_requests"], [], []),
        ("llm_otel_request_duration_seconds", ["llm_otel_request_duration_seconds"], [], []),
        ("sum by (le) (llm_otel_request_duration_seconds_bucket)", [], [], []),
        ("sum by (model) (llm_otel_budget_spent_usd)", [], ["model"], []),
        ("max by (budget, team) (llm_otel_budget_spent_usd)", [], ["team"], []),
        ('llm_otel_ledger_up{budget="company"}', [], ["budget"], []),
        ('llm_otel_requests_total{outcome=~"error|failed"}', [], [], ["failed"]),
        ('llm_otel_budget_denials_total{reason="broke"}', [], [], ["broke"]),
        ('llm_otel_wasted_cost_usd_total{reason="first"}', [], [], ["first"]),
        ("a:llm_otel_spend:sum > 1", ["a:llm_otel_spend:sum"], [], []),
        ("a:llm_otel_cost_usd:sum > 1", [], [], []),
    ],
)
def test_what_counts_as_unknown(expr, names, labels, values):
    """The readers above see a name, a label and a value that are not there."""
    recorded = ["a:llm_otel_cost_usd:sum"]

    assert (names, labels, values) == (unknown_names(expr, recorded), unknown_labels(expr), unknown_values(expr))


def test_recorded_names_say_level_metric_and_operation():
    """As Prometheus' own guide has it; the metric is one of ours, without the `_total` of a counter."""
    metrics = {name.removesuffix("_total") for rule in rules() for name in names_in(rule.expr) if ":" not in name}
    parts = {name: name.split(":") for name in RECORDED}

    assert [] == [name for name, part in parts.items() if len(part) != 3 or part[1] not in metrics]
    assert len(RECORDED) == len(set(RECORDED))


def test_every_recorded_series_is_used():
    """What nobody reads costs a query a minute for nothing."""
    read = " ".join(text for rule in rules() for text in (rule.expr, *rule.annotations.values()))

    assert [] == [name for name in RECORDED if name not in names_in(read)]


# --- what they say ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("alert", list(alerts()), ids=lambda alert: alert.name)
def test_alerts_say_how_bad_it_is_and_what_to_do(alert):
    """A severity that is routed; a sentence, the same for all of the name; numbers; where to read on and to look."""
    words = alert.annotations
    summaries = {other.annotations["summary"] for other in alerts() if other.name == alert.name}

    assert alert.labels["severity"] in {"critical", "warning", "info"}
    assert {"summary", "description", "runbook_url", "dashboard_url"} == words.keys()
    assert {words["summary"]} == summaries
    assert re.fullmatch(r"[A-Z][^{}$]+\.", words["summary"])
    assert words["description"].endswith(".")
    assert f"{RUNBOOK_URL}#{alert.name.lower()}" == words["runbook_url"]
    assert words["dashboard_url"].startswith(f"{GRAFANA_URL}/d/")


def test_dashboard_links_lead_to_dashboards_that_take_their_variables():
    """A uid or a variable that is renamed breaks this test before it breaks a link."""
    boards = {
        board["uid"]: {f"var-{variable['name']}" for variable in board["templating"]["list"]}
        for board in (json.loads(path.read_text()) for path in (ROOT / "grafana" / "dashboards").glob("*.json"))
    }
    broken = {}
    for alert in alerts():
        link = urlsplit(re.sub(r"\{\{.*?\}\}", "x", alert.annotations["dashboard_url"]))
        uid, variables = link.path.removeprefix("/d/"), parse_qs(link.query).keys()
        if not variables <= boards.get(uid, set()) or uid not in boards:
            broken[alert.name] = link.geturl()

    assert {} == broken


def test_each_alert_has_a_section_of_the_runbook_and_each_section_an_alert():
    """Who is woken by an alert finds what to do; what is gone leaves no section behind."""
    assert ALERTS == sorted(re.findall(r"^## (LLM\w+)$", RUNBOOK, re.MULTILINE))


@pytest.mark.parametrize("name", ALERTS)
def test_a_section_says_what_it_means_where_to_look_what_to_do_and_how_to_silence_it(name):
    """In this order, each with something under it."""
    section = RUNBOOK.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    parts = re.split(r"^\*\*(.+?)\*\*", section, flags=re.MULTILINE)

    assert ["It means.", "Look first.", "Do.", "Silence."] == parts[1::2]
    assert all(len(part.strip()) > 40 for part in parts[2::2])


def test_thresholds_of_the_runbook_are_those_of_the_rules():
    """Numbers that stand in two places agree."""
    text = (RULES / "budgets.yml").read_text(encoding="utf-8")

    for factor in re.findall(r"burn_rate\w+ > ([\d.]+)", text):
        assert f"{factor} ×" in RUNBOOK


def test_rule_files_are_yaml_that_fits_the_screen():
    """Readers edit them: no tab, no blank at an end of a line."""
    assert [] == [
        (path.name, number)
        for path in sorted(Path(RULES).glob("*.yml"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "\t" in line or line != line.rstrip()
    ]
