"""Every panel of every dashboard, on a real Prometheus that scrapes a real `llm-otel demo --serve`."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_otel import semconv
from tests.exporters.programs import awaited, fetched, free_port, prometheus, value_of
from tests.exporters.tools import ROOT
from tests.grafana.asked import BOARDS, Asked, each_query, filled, the_query
from tests.grafana.on_prometheus import Screen, numbers

CALLS = 300
CALLS_WHILE_SERVING = 30
"""Some seconds of the trickle that goes on, so that a rate has something to be taken of."""
PLAYS_WITHIN_S = 100.0
EMPTY = {
    "llm-otel-health: Internal errors, by part: A": "nothing of the library fails in the demo",
    "llm-otel-spend: Against the week before: A": "the demo did not run a week ago: see test_panels_over_weeks",
    "llm-otel-spend: US dollars an hour, against the week before: B": "the same",
}
MAY_BE_EMPTY = {semconv.LABEL_SCOPE}
"""Labels of a legend that some series do not have, for which Grafana writes nothing: a budget that is not split."""
CHOSEN = {"all": {}, "one": {"service": "demo", "environment": "demo"}}
EVERY_QUERY = [pytest.param(each, id=str(each)) for each in each_query()]


@pytest.fixture(scope="module")
def screen(tmp_path_factory) -> Iterator[Screen]:
    """A minute of the demo, as Prometheus saw it; the demo has ended, Prometheus answers."""
    directory = tmp_path_factory.mktemp("demo")
    port, nowhere = free_port(), f"127.0.0.1:{free_port()}"
    served = {"target": f"127.0.0.1:{port}", "alertmanager": nowhere, "scrape_interval": "500ms"}
    with prometheus(directory, **served) as address:
        started_s = time.time()
        played = demo(directory, port)
        try:
            enough = f"sum({semconv.REQUESTS.prometheus_name}) >= {CALLS + CALLS_WHILE_SERVING}"
            awaited(lambda: value_of(address, enough), "calls of the demo", within_s=PLAYS_WITHIN_S)
            # At a scrape: between two of them PromQL guesses.
            end_s = value_of(address, f"max(timestamp({semconv.COST.prometheus_name}))")
        finally:
            played.terminate()
            assert 0 == played.wait(30), (directory / "demo.log").read_text(encoding="utf-8")
        yield Screen(address, end_s, range_s=math.ceil(end_s - started_s), step_s=1)


def demo(directory: Path, port: int) -> subprocess.Popen[bytes]:
    """Start it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LLM_OTEL_", "OTEL_"))}
    environ |= {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(directory)}
    command = [sys.executable, "-m", "llm_otel", "demo", "--serve", "--port", str(port), "--calls", str(CALLS)]
    with (directory / "demo.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environ, cwd=directory)


@pytest.mark.parametrize("chosen", CHOSEN)
@pytest.mark.parametrize("asked", EVERY_QUERY)
def test_a_panel_has_something_to_show(screen, asked, chosen):
    """Numbers, without a remark of Prometheus; or there is a reason why not. Its legend names what is there."""
    series = screen.answer(asked, **CHOSEN[chosen])

    assert (str(asked) in EMPTY) == (not any(numbers(each) for each in series))
    if asked.is_instant:
        assert [] == [each for each in series if not numbers(each)], "a number of the whole range is a number"
    unnamed = {label for each in series for label in asked.legend_labels if label not in each["metric"]}
    assert unnamed <= MAY_BE_EMPTY


def test_what_is_empty_is_a_panel():
    """A panel that is renamed is told of here."""
    assert set() == EMPTY.keys() - {str(asked) for asked in each_query()}


@pytest.mark.parametrize("uid", BOARDS)
def test_variables_have_something_to_choose(screen, uid):
    """Each list, with everything chosen in those before it."""
    for variable in BOARDS[uid]["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", filled(variable["definition"])).groups()
            assert screen.label_values(label, selector), variable["name"]


@pytest.mark.parametrize("uid", BOARDS)
def test_annotations_can_be_asked_for(screen, uid):
    """Alerts fire where they must: here it is enough that Prometheus takes the question."""
    for annotation in BOARDS[uid]["annotations"]["list"]:
        screen.ask(filled(annotation["expr"]), is_instant=False)


@pytest.mark.parametrize("asked", [each for each in EVERY_QUERY if each.values[0].target["exemplar"]])
def test_graphs_with_exemplars_lead_to_traces(screen, asked: Asked):
    """Each dot has the label that the data source makes a link of."""
    found = [each for series in screen.exemplars(filled(asked.expr, scrape_s=1)) for each in series["exemplars"]]

    assert found
    assert [] == [each for each in found if not re.fullmatch(r"[0-9a-f]{32}", each["labels"]["trace_id"])]


def test_rules_can_be_evaluated(screen):
    """Each of them, every second, on the same series."""
    groups = fetched(f"http://{screen.address}/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    assert len(rules) > 20
    assert {} == {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] == "err"}


def test_the_spend_is_that_of_the_ledger(screen):
    """Of the whole run: within 1 % of what the budget that counts every call has."""
    spend = screen.value(filled(the_query("spend", "Spend"), range_s=screen.range_s))
    ledger = screen.value(f'max({semconv.BUDGET_SPENT.prometheus_name}{{budget="company"}})')

    assert spend == pytest.approx(ledger, rel=0.01)
