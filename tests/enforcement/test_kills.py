"""Processes that are killed, or stand still, between hold and settle: the ledger books what was surely spent."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from llm_otel.budgets.ledger import RowQuery, SettledAs, Settlement
from llm_otel.budgets.matching import BudgetSet
from llm_otel.demo.simulator import Hang
from llm_otel.stores.redis import RedisStore
from llm_otel.stores.sqlite import SQLiteStore
from tests.enforcement.callers import BUDGET, COST, HOLD_ID, REPLY, call
from tests.stores.lines import START_MS
from tests.stores.redis_server import running

ROOT = Path(__file__).parents[2]
FAR_MS = START_MS + 100 * 365 * 86_400_000
"""Later than every lease: the clock of whoever comes then."""
KINDS = ("sqlite", "redis")
LINES = BudgetSet([BUDGET]).match({}, provider="openai", model="gpt-4o-mini", now_s=0).lines


def open_later(url):
    """Open a ledger as another process will, after all leases."""
    if url.startswith("redis"):
        return RedisStore(url, now_ms=lambda: FAR_MS, timeout_s=20)
    return SQLiteStore(url.removeprefix("sqlite:///"), lambda: FAR_MS)


def standing(store):
    """Return (spent, held), nano-USD."""
    (state,) = store.snapshot([RowQuery("all", (0,))])
    return state.spent, state.held


@pytest.fixture(scope="module")
def killed(_simulator, tmp_path_factory):
    """The addresses of ledgers on which a process had a call in flight when it was killed."""
    place = tmp_path_factory.mktemp("killed")
    with running() as server:
        urls = {"sqlite": f"sqlite:///{place}/ledger.db", "redis": server.url}
        _simulator.clear()
        _simulator.script(Hang(reply=REPLY), repeat=True)
        command = [sys.executable, "-m", "tests.enforcement.callers", "hang", str(place / "journals"), *urls.values()]
        environment = os.environ | _simulator.env(with_keys=True)
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, text=True)
        try:
            for number in range(1, len(urls) + 1):
                _simulator.wait_for_requests(number, timeout_s=90)
                process.stdin.write("next\n")
                process.stdin.flush()
        finally:
            process.kill()
            process.communicate()
        _simulator.clear()
        yield urls


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_process_leaves_a_hold_that_expires(killed, kind):
    """After the lease its input cost is booked: the provider has read the request. A late settle corrects that."""
    store = open_later(killed[kind])
    spent, held = standing(store)
    assert 0 == spent
    assert held > COST

    assert [1, 0] == [store.sweep(10), store.sweep(10)]
    floor, held = standing(store)
    assert 0 == held
    assert 9 * 150 <= floor < 50 * 600

    assert SettledAs.EXPIRED == store.settle(Settlement(HOLD_ID, COST, LINES)).found
    assert (COST, 0) == standing(store)
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_comes_after_the_lease_is_booked(ledger_at, url_of, simulator, kind):
    """The process stood still meanwhile, and others have booked its input: its settle makes that the actual cost."""
    url = url_of(kind)
    ledger, outcomes, hang = ledger_at(url, BUDGET), Counter(), Hang(reply=REPLY)
    simulator.script(hang)
    thread = threading.Thread(target=call, args=(outcomes,))
    thread.start()
    simulator.wait_for_requests()
    later = open_later(url)

    assert 1 == later.sweep(10)
    spent, held = standing(later)
    assert 0 < spent
    assert 0 == held
    hang.release()
    thread.join()

    assert {"sent": 1} == outcomes
    assert (COST, 0) == standing(later)
    assert COST == ledger.by_spans
    later.close()
