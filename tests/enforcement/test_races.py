"""Two hundred calls that want more than there is: not a nano-dollar too much, and none left over."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llm_otel import LLMRouter
from llm_otel.budgets.ledger import RowQuery
from llm_otel.stores.opening import open_store
from tests.enforcement.callers import BUDGET, CALLS, CONFIG, COST, HELLO, LIMIT, PROCESSES, REPLY, call, note
from tests.stores.redis_server import running

ROOT = Path(__file__).parents[2]


def check(outcomes, spent, held):
    """See that as many calls were sent as fit one after the other, and that the rest was told so."""
    assert CALLS == outcomes.total()
    sent = outcomes.pop("sent")
    ((refusal, _),) = outcomes.items()
    kind, requested = refusal.split()
    assert "exhausted" == kind
    assert (COST * sent, 0) == (spent, held)
    assert spent <= LIMIT
    # Who waits gets the last cent: one call more would not have fitted, even alone.
    assert COST * (sent - 1) + int(requested) <= LIMIT < COST * sent + int(requested)


class Watch:
    """Looks at a ledger again and again while a race is on.

    Attributes:
        most: The most that was spent and held together.
    """

    def __init__(self, ledger):
        self.most = 0
        self._ledger = ledger
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()

    def _look(self):
        while not self._is_over.wait(0.002):
            self.most = max(self.most, sum(self._ledger.standing()))


def test_threads_on_a_ledger_in_memory(ledger_at, simulator):
    """All of them at once."""
    simulator.script(REPLY, repeat=True)
    ledger, outcomes = ledger_at("memory://", BUDGET), Counter()

    with Watch(ledger) as watch, ThreadPoolExecutor(CALLS) as pool:
        list(pool.map(call, [outcomes] * CALLS))

    check(outcomes, *ledger.standing())
    assert 0 < watch.most <= LIMIT
    assert ledger.standing()[0] == ledger.by_spans


def test_tasks_on_a_ledger_in_memory(ledger_at, simulator, run):
    """All of them at once, on one event loop."""
    simulator.script(REPLY, repeat=True)
    ledger, outcomes = ledger_at("memory://", BUDGET), Counter()

    async def main():
        calls = [LLMRouter().acomplete(HELLO, CONFIG) for _ in range(CALLS)]
        return await asyncio.gather(*calls, return_exceptions=True)

    with Watch(ledger) as watch:
        for result in run(main()):
            note(outcomes, result if isinstance(result, Exception) else None)

    check(outcomes, *ledger.standing())
    assert 0 < watch.most <= LIMIT
    assert ledger.standing()[0] == ledger.by_spans


@pytest.fixture(scope="module")
def fleet(_simulator, tmp_path_factory):
    """What four processes say of their race, and what is in the ledger then, by its kind."""
    place = tmp_path_factory.mktemp("fleet")
    with running() as server:
        urls = {"sqlite": f"sqlite:///{place}/ledger.db", "redis": server.url}
        _simulator.clear()
        _simulator.script(REPLY, repeat=True)
        command = [sys.executable, "-m", "tests.enforcement.callers", "race", str(place / "journals"), *urls.values()]
        environment = os.environ | _simulator.env(with_keys=True)
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, timeout=100, check=True
        )
        _simulator.clear()
        reports = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(urls) * PROCESSES == len(reports)
        return {
            kind: (reports[number * PROCESSES : (number + 1) * PROCESSES], _standing(url))
            for number, (kind, url) in enumerate(urls.items())
        }


def _standing(url):
    store = open_store(url, clock_ms=lambda: 0)
    (state,) = store.snapshot([RowQuery("all", (0,))])
    store.close()
    return state.spent, state.held


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_processes_on_a_ledger_that_they_share(fleet, kind):
    """Fifty calls each, by a dozen threads each."""
    reports, (spent, held) = fleet[kind]

    check(sum((Counter(report["outcomes"]) for report in reports), Counter()), spent, held)
    assert spent == sum(report["by_spans"] for report in reports)
    assert all(report["outcomes"]["sent"] for report in reports)
