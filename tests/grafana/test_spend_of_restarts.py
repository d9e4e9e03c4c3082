"""The Spend panel over restarts, as they happen: real counters, a real Prometheus, and the money that was spent."""

from __future__ import annotations

import math
import random
import time

import pytest
from prometheus_client import CollectorRegistry, start_http_server

from llm_otel import semconv
from llm_otel.recorders.prometheus import PrometheusRecorder
from llm_otel.semconv import TokenType
from tests.exporters.programs import awaited, free_port, prometheus, value_of
from tests.grafana.asked import filled, the_query
from tests.grafana.on_prometheus import Screen
from tests.recorders.conftest import Facts

LIVES, CALLS, LASTS_S = 2, 25, 12.0
SCRAPE = "100ms"
"""To these lives what 15 s are to one of half an hour."""
MODELS = ("gpt-4o-mini", "gpt-5", "claude-haiku-4-5")
TEAMS = ("search", "growth")


def test_no_call_is_lost_between_two_scrapes(tmp_path):
    """Two processes after each other, each with series that are born with a call: within 1 % of what was spent."""
    rng, port, nowhere = random.Random(50), free_port(), f"127.0.0.1:{free_port()}"
    served = {"target": f"127.0.0.1:{port}", "alertmanager": nowhere, "scrape_interval": SCRAPE}
    with prometheus(tmp_path, **served) as address:
        started_s = time.time()
        lives = [live(rng, port, address) for _ in range(LIVES)]
        spent_nano, end_s = sum(nano for nano, _ in lives), lives[-1][1]
        screen = Screen(address, end_s, range_s=math.ceil(end_s - started_s), step_s=1)
        spend = screen.value(filled(the_query("spend", "Spend"), range_s=screen.range_s))

    assert spend == pytest.approx(spent_nano / 1e9, rel=0.01)


def live(rng: random.Random, port: int, address: str) -> tuple[int, float]:
    """Be a process from its start to its end; returns what it spent, in nano-USD, and the time of a last scrape."""
    registry = CollectorRegistry()
    recorder = PrometheusRecorder(registry=registry)
    server, thread = start_http_server(port, "127.0.0.1", registry)
    spent_nano = sum(call(recorder, rng) for _ in range(CALLS))
    # Nothing is spent between the last scrape and the end of a process: a scrape cannot know of it.
    counted = f"sum({semconv.COST.prometheus_name}) >= {spent_nano / 1e9 - 1e-12!r}"
    awaited(lambda: value_of(address, counted), "the last call is scraped")
    # The end is at a scrape: between two of them PromQL guesses.
    scraped_s = value_of(address, f"max(timestamp({semconv.COST.prometheus_name}))")
    server.shutdown()
    server.server_close()
    thread.join()
    return spent_nano, scraped_s


def call(recorder: PrometheusRecorder, rng: random.Random) -> int:
    """Wait, make a call, and return what it cost."""
    time.sleep(rng.uniform(0, 2 * LASTS_S / CALLS))
    nano = rng.randrange(1_000_000, 50_000_000)
    facts, model = Facts(), rng.choice(MODELS)
    request = facts.request(model=model, tags={"team": rng.choice(TEAMS)})
    attempt = facts.attempt(model=model, cost=facts.cost({TokenType.OUTPUT: nano}))
    recorder.opened(request)
    recorder.closed(facts.record(attempt, request=request))
    return nano
