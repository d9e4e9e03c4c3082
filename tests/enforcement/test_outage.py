"""The ledger goes away amid traffic, and comes back: nobody waits long, and every dollar is there afterwards."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from llm_otel import Budget, BudgetExceededError, LLMConfig, LLMRouter, traced_llm
from llm_otel.demo.simulator import Hang, Reply
from tests.stores.redis_server import running

CONFIG = LLMConfig(model="gpt-4o-mini", max_tokens=50, max_retries=0)
BUDGETS = (
    Budget("hard", limit_usd=10, window="lifetime", match={"sort": "hard"}),
    Budget("soft", limit_usd=10, window="lifetime", kind="soft", match={"sort": "soft"}),
)
SORTS = ("hard", "soft") * 5
REPLY = Reply("Yes.", input_tokens=9, output_tokens=9)
COST = 9 * 150 + 9 * 600
"""Of that reply by gpt-4o-mini, at the list price of 2026-11-22, in nano-USD."""
TIMEOUT_S = 1.5
"""For Redis: more than the usual 250 ms, so that a machine that is busy does not look like an outage."""
BOUND_S = 4 * TIMEOUT_S
"""For one call in an outage: one try to hold, one to settle, and as much again for a busy machine."""
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def server():
    """A Redis whose data survives it."""
    with running("--appendonly", "yes") as server:
        yield server


@contextmanager
def killed(server):
    """Kill the server, and start it again."""
    server.stop()
    try:
        yield
    finally:
        server.start()


OUTAGES = {"frozen": lambda server: server.frozen(), "killed": killed}


@dataclass
class Got:
    """How one call went."""

    sort: str
    kind: str | None = None
    took_s: float = 0.0


class Threads:
    """Makes calls from threads."""

    def __init__(self):
        self._pool = ThreadPoolExecutor(len(SORTS) + 4)

    def start(self, prompt, sorts):
        """Begin calls; return what `results` takes."""
        return [self._pool.submit(self._call, prompt, sort) for sort in sorts]

    def close(self):
        """Leave no thread."""
        self._pool.shutdown()

    def _call(self, prompt, sort):
        with taking(sort) as got, traced_llm("work", tags={"sort": sort}):
            LLMRouter().complete([{"role": "user", "content": prompt}], CONFIG)
        return got


class Tasks:
    """Makes calls from tasks of an event loop that runs in another thread."""

    def __init__(self, loop):
        self._loop = loop

    def start(self, prompt, sorts):
        """Begin calls; return what `results` takes."""
        return [asyncio.run_coroutine_threadsafe(self._call(prompt, sort), self._loop) for sort in sorts]

    def close(self):
        """Nothing is left."""

    async def _call(self, prompt, sort):
        with taking(sort) as got, traced_llm("work", tags={"sort": sort}):
            await LLMRouter().acomplete([{"role": "user", "content": prompt}], CONFIG)
        return got


@contextmanager
def taking(sort):
    """Note how one call goes."""
    got, started_s = Got(sort), time.monotonic()
    try:
        yield got
    except BudgetExceededError as exc:
        got.kind = exc.kind
    got.took_s = time.monotonic() - started_s


def results(calls):
    """Wait for calls; return how they went."""
    return [call.result(PATIENCE_S) for call in calls]


def wait_for(is_so):
    """Look again and again, within reason."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it does not come about"
        threading.Event().wait(0.02)


def traffic(caller, ledger, simulator, out):
    """Make calls before, in and after an outage of the ledger; return how those went that began in it."""
    simulator.script(REPLY, repeat=True)
    hang = Hang(reply=REPLY)
    try:
        # All is well; four calls are with the provider when the ledger goes away.
        assert all(got.kind is None for got in results(caller.start("before", SORTS)))
        simulator.clear()
        simulator.script(hang, when=lambda request: "long" in request.prompt, repeat=True)
        simulator.script(REPLY, repeat=True)
        under_way = caller.start("long", SORTS[:4])
        simulator.wait_for_requests(4)

        with out:
            during = results(caller.start("during", SORTS))
            hang.release()
            assert all(got.kind is None for got in results(under_way))
            assert list(ledger.journals.iterdir())

        # It is back: the settles that waited bring the news.
        wait_for(lambda: not list(ledger.journals.iterdir()))
        wait_for(lambda: not ledger.runtime.enforcer._gate.is_shut)
        assert all(got.kind is None for got in results(caller.start("after", SORTS)))
    finally:
        hang.release()
        caller.close()
    return during


def check(during, ledger):
    """See that policies were followed, that nobody waited, and that every dollar is in the ledger."""
    assert {("hard", "store_unavailable"), ("soft", None)} == {(got.sort, got.kind) for got in during}
    assert max(got.took_s for got in during) < BOUND_S
    hard, soft = ledger.flushed("hard"), ledger.standing("soft")
    assert (12 * COST, 0) == hard
    assert (17 * COST, 0) == soft
    assert ledger.by_spans == hard[0] + soft[0]
    assert [] == list(ledger.journals.iterdir())


@pytest.fixture
def ledger(server, ledger_at):
    """An empty ledger on that server."""
    server.admin.flushall()
    return ledger_at(server.url, *BUDGETS, timeout_s=TIMEOUT_S)


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_ledger_that_goes_away_amid_threads(outage, server, ledger, simulator):
    """Hard budgets deny and soft ones allow, at once; what was answered meanwhile is booked when the ledger is back."""
    during = traffic(Threads(), ledger, simulator, OUTAGES[outage](server))

    check(during, ledger)


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_ledger_that_goes_away_amid_tasks(outage, server, ledger, simulator, run, monkeypatch):
    """The same, and the event loop waits for nothing: what blocks is done on other threads."""
    store, threads = ledger.runtime.enforcer.store, set()
    exchange = store._call

    def noted(request):
        threads.add(threading.current_thread())
        return exchange(request)

    async def main():
        caller = Tasks(asyncio.get_running_loop())
        return await asyncio.to_thread(traffic, caller, ledger, simulator, OUTAGES[outage](server))

    with monkeypatch.context() as patched:
        patched.setattr(store, "_call", noted)
        during = run(main())

    assert threads
    assert threading.current_thread() not in threads
    check(during, ledger)
