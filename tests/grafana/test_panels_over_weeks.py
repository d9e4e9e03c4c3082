"""The dashboards over days and weeks: what they say a slow service spent is what it spent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.exporters.programs import free_port, prometheus
from tests.exporters.tools import built, run
from tests.grafana.asked import column, each_query, filled, the_query
from tests.grafana.on_prometheus import Screen, numbers
from tests.grafana.slow_service import DAY_S, SCRAPE_S, SlowService, openmetrics, slow_service

WEEK_S = 7 * DAY_S
HOST, PODS = "host", "pods"
SETTLED_S = 3 * 3_600
"""How far back the history ends: what is younger Prometheus takes from scrapes."""
OF_THE_WEEK_BEFORE = (
    "llm-otel-spend: Against the week before: A",
    "llm-otel-spend: US dollars an hour, against the week before: B",
)


@dataclass(frozen=True)
class History:
    """A Prometheus that has seen two of them.

    Attributes:
        address: Of Prometheus.
        service: The one that is looked at.
    """

    address: str
    service: SlowService

    def shows(self, query: str, range_s: int) -> float:
        """Return the sum of what a panel shows of the service."""
        asked = filled(query, range_s=range_s, scrape_s=SCRAPE_S, service=self.service.job)
        return sum(sum(numbers(each)) for each in self.screen(range_s).ask(asked, is_instant=True))

    def screen(self, range_s: int, step_s: int = SCRAPE_S) -> Screen:
        """Return a dashboard that ends with the last scrape."""
        return Screen(self.address, self.service.end_s, range_s=range_s, step_s=step_s, scrape_s=SCRAPE_S)


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> Iterator[tuple[str, dict[str, SlowService]]]:
    """The address of a Prometheus that has seen nine days of two services, and the services."""
    directory: Path = tmp_path_factory.mktemp("history")
    end_s = int(time.time() - SETTLED_S) // SCRAPE_S * SCRAPE_S
    services = {job: slow_service(job, end_s, has_new_instances=job == PODS) for job in (HOST, PODS)}
    path = directory / "day.om"
    for text in openmetrics(services.values()):
        path.write_text(text, encoding="utf-8")
        command = (built("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet")
        done = run(*command, path, directory / "prometheus")
        assert 0 == done.returncode, done.stdout
    nowhere = f"127.0.0.1:{free_port()}"
    with prometheus(directory, target=nowhere, alertmanager=nowhere) as address:
        yield address, services


@pytest.fixture(params=[HOST, PODS])
def history(request, seen) -> History:
    """What a restart means: the same `instance` again, as with a fixed target, or a new one, as with a pod."""
    address, services = seen
    return History(address, services[request.param])


@pytest.mark.parametrize("days", [1, 2, 7, 9])
def test_the_spend_of_a_slow_service_is_that_of_its_ledger(history, days):
    """Within 1 %: 50 calls a day, 27 restarts, series that are born with a call and used once.

    A range begins with the first scrape in it: a call that ended before that may be in, or not.
    """
    range_s = days * DAY_S
    begin_s = history.service.end_s - range_s
    least, most = history.service.spent_usd(begin_s + SCRAPE_S), history.service.spent_usd(begin_s)

    spend = history.shows(the_query("spend", "Spend"), range_s)

    assert days * 0.5 < least
    assert 0.99 * least <= spend <= 1.01 * most


def test_its_parts_come_to_the_whole(history):
    """By team, and by the rows of the table."""
    ledger = history.service.spent_usd(history.service.end_s - WEEK_S)
    parts = (the_query("spend", "Spend by team"), column("spend", "Spend by team, feature and model", "Cost"))

    for query in parts:
        assert history.shows(query, WEEK_S) == pytest.approx(ledger, rel=0.01)


@pytest.mark.parametrize("name", OF_THE_WEEK_BEFORE)
def test_panels_that_look_a_week_back_have_something_to_show(history, name):
    """They stay empty for a week, then they do not."""
    (asked,) = (each for each in each_query() if str(each) == name)

    assert any(numbers(each) for each in history.screen(DAY_S, step_s=600).answer(asked, service=history.service.job))


def test_against_the_week_before_is_what_it_says(history):
    """By what the ledger has of both days: the day that ends now, and the one that ended a week ago."""
    end_s, spent_usd = history.service.end_s, history.service.spent_usd
    before = spent_usd(end_s - WEEK_S - DAY_S) - spent_usd(end_s - WEEK_S)
    expected = spent_usd(end_s - DAY_S) / before - 1

    shown = history.shows(the_query("spend", "Against the week before"), DAY_S)

    assert shown == pytest.approx(expected, abs=0.03)
