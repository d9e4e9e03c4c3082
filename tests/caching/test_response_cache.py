"""The cache: memory, a shelf behind it that may be out, and one request at a time for each key."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from llm_otel import steps
from llm_otel.budgets.ledger import StoreUnavailableError
from llm_otel.caching import delivery
from llm_otel.caching.cache import Recalled, ResponseCache
from llm_otel.caching.delivery import CacheBacklogError
from llm_otel.caching.entry import MAX_CHARACTERS, UnreadableEntryError
from llm_otel.outage import OUTAGE_S
from llm_otel.recording import Guard
from tests.caching.answers import entry
from tests.enforcement.fakes import HandClock

LONG_S = 30.0


class FakeShelf:
    """A shelf in memory that may be out.

    Attributes:
        asked: The keys it was asked for, and told.
        error: Raised by whatever is asked of it.
        go_on: Puts wait for it; set at first.
    """

    name = "fake://"

    def __init__(self):
        self.kept = {}
        self.asked = []
        self.error = None
        self.go_on = threading.Event()
        self.go_on.set()

    def get(self, key):
        self._ask("get", key)
        return self.kept.get(key)

    async def aget(self, key):
        await asyncio.sleep(0)
        return self.get(key)

    def put(self, key, text, ttl_ms):
        self.go_on.wait(LONG_S)
        self._ask("put", key)
        self.kept[key] = text
        self.ttl_ms = ttl_ms

    def close(self):
        self.kept.clear()

    def _ask(self, what, key):
        self.asked.append((what, key))
        if self.error is not None:
            raise self.error


class Bench:
    """A cache, asked from threads or from tasks."""

    def __init__(self, *, is_async, shelf=None):
        self.clock = HandClock()
        self.errors = []
        self.is_strict = False
        self.shelf = shelf
        self.is_async = is_async
        self.cache = self.another()

    def another(self):
        """Return a cache of another process on the same shelf."""
        return ResponseCache(self.clock, Guard(self._fail), self.shelf)

    def _fail(self, where, error):
        assert "cache" == where
        self.errors.append(type(error))
        if self.is_strict:
            raise error

    def go(self, walk):
        """Go through steps."""
        return asyncio.run(steps.arun(walk)) if self.is_async else steps.run(walk)

    def recall(self, key="k", cache=None, ttl_s=60.0, left_s=None, **options):
        """Look for an answer."""
        return self.go((cache or self.cache).recall(key, ttl_s=ttl_s, left_s=left_s, **options))


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def is_async(request):
    """Asked from threads, and from tasks."""
    return request.param


@pytest.fixture
def bench(is_async):
    """A cache in memory alone."""
    return Bench(is_async=is_async)


@pytest.fixture
def shared(is_async):
    """A cache with a shelf."""
    return Bench(is_async=is_async, shelf=FakeShelf())


# --- in memory --------------------------------------------------------------------------------------------------------


def test_what_was_kept_is_recalled(bench):
    """The first one leads; who comes after him finds what he has kept."""
    first = bench.recall()
    bench.cache.keep("k", entry(), 60)
    first.lead.land(entry())

    assert None is first.entry
    assert Recalled(entry()) == bench.recall()


def test_an_answer_has_its_time(bench):
    """The reader says how old it may be, the writer how long it is kept."""
    bench.cache.keep("k", entry(), 60)
    bench.clock.passed_s += 20

    assert None is bench.recall(ttl_s=20).entry
    assert entry() == bench.recall(ttl_s=20.1).entry
    bench.clock.passed_s += 40
    assert None is bench.recall(ttl_s=600).entry


def test_what_is_too_long_is_not_kept(bench):
    """A few of them would push all others out."""
    bench.cache.keep("k", replace(entry(), response="x" * (MAX_CHARACTERS + 1)), 60)

    assert None is bench.recall().entry


def test_without_a_shelf_nothing_waits(bench):
    """There is nobody to bring anything to."""
    bench.cache.keep("k", entry(), 60)

    assert bench.cache.flush(0)


# --- one at a time ----------------------------------------------------------------------------------------------------


def test_who_follows_gets_the_answer_from_the_landing(shared):
    """At once, and not from the shelf."""
    lead = shared.recall().lead
    with ThreadPoolExecutor(3) as pool:
        waits = [pool.submit(shared.recall) for _ in range(3)]
        until_waiting(shared.cache, 3)
        lead.land(entry())

        assert [Recalled(entry())] * 3 == [each.result(LONG_S) for each in waits]
    assert [("get", "k")] == shared.shelf.asked


def until_waiting(cache, number):
    """Let those who wait get there."""
    pause = threading.Event()
    while len(cache._flights._by_key["k"].waiters) < number:
        pause.wait(0.001)


def test_when_the_one_who_led_fails_one_other_leads(bench):
    """The rest go on waiting."""
    lead = bench.recall().lead
    with ThreadPoolExecutor(3) as pool:
        waits = [pool.submit(bench.recall) for _ in range(3)]
        until_waiting(bench.cache, 3)
        lead.land(None)
        until_waiting(bench.cache, 2)
        (leads,) = _done(waits, 1)
        assert None is leads.entry
        leads.lead.land(entry())
        results = [each.result(LONG_S) for each in waits]

    assert 2 == results.count(Recalled(entry()))


def _done(futures, number):
    pause = threading.Event()
    while sum(each.done() for each in futures) < number:
        pause.wait(0.001)
    return [each.result() for each in futures if each.done()]


def test_one_waits_for_half_of_the_time_that_is_left(bench):
    """The other half is for a request of one's own: without leading, as somebody does."""
    lead = bench.recall().lead
    with ThreadPoolExecutor(1) as pool:
        assert Recalled() == pool.submit(bench.recall, left_s=0.02).result(LONG_S)
        assert Recalled() == pool.submit(bench.recall, left_s=0.0).result(LONG_S)
        assert Recalled() == pool.submit(bench.recall, may_wait=False).result(LONG_S)
    lead.land(None)


def test_who_waits_for_nobody_is_waited_for_by_nobody(shared):
    """He looks on the shelf by himself, and another who comes then leads."""
    assert Recalled() == shared.recall(may_wait=False)
    assert [("get", "k")] == shared.shelf.asked
    assert 0 == len(shared.cache._flights)

    shared.shelf.kept["k"] = entry().to_json()
    assert Recalled(entry()) == shared.recall(may_wait=False)


def test_an_answer_for_one_alone_sends_the_others_off(bench):
    """Each asks for himself then, without leading: not one after the other."""
    lead = bench.recall().lead
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(bench.recall) for _ in range(3)]
        until_waiting(bench.cache, 3)
        lead.disband()

    assert [Recalled()] * 3 == [each.result() for each in futures]


def test_a_landing_between_the_look_and_the_lead_is_seen(bench):
    """Who leads looks once more: else the answer would be paid for twice."""
    board = bench.cache._flights.board

    def board_late(key):
        bench.cache.keep("k", entry(), 60)
        return board(key)

    bench.cache._flights.board = board_late

    assert Recalled(entry()) == bench.recall()
    assert 0 == len(bench.cache._flights)


def test_a_recall_that_is_dropped_leaves_nobody_waiting(shared):
    """On its way to the shelf."""
    walk = shared.cache.recall("k", ttl_s=60, left_s=None)
    next(walk)
    assert 1 == len(shared.cache._flights)

    walk.close()

    assert 0 == len(shared.cache._flights)


def test_a_task_that_is_cancelled_at_the_shelf_leaves_nobody_waiting():
    """Though its error, and so its frames, are still there."""
    shared = Bench(is_async=True, shelf=FakeShelf())

    async def go():
        task = asyncio.create_task(steps.arun(shared.cache.recall("k", ttl_s=60, left_s=None)))
        await asyncio.sleep(0)
        assert 1 == len(shared.cache._flights)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled(), len(shared.cache._flights)

    assert (True, 0) == asyncio.run(go())


# --- the shelf --------------------------------------------------------------------------------------------------------


def test_other_processes_find_what_was_kept(shared):
    """And keep it themselves, for what is left of its time."""
    shared.recall().lead.land(None)
    shared.cache.keep("k", entry(), 60)
    assert shared.cache.flush(LONG_S)
    assert 60_000 == shared.shelf.ttl_ms
    other = shared.another()
    shared.clock.passed_s += 10

    assert Recalled(entry()) == shared.recall(cache=other)
    assert Recalled(entry()) == shared.recall(cache=other)

    assert 2 == shared.shelf.asked.count(("get", "k"))
    shared.clock.passed_s += 50
    shared.shelf.kept.clear()
    assert None is shared.recall(cache=other).entry


def test_what_is_too_old_for_the_reader_is_a_miss(shared):
    """However long the writer keeps it."""
    shared.shelf.kept["k"] = entry().to_json()
    shared.clock.passed_s += 30

    assert None is shared.recall(ttl_s=30).entry
    assert entry() == shared.recall(ttl_s=31).entry


@pytest.mark.parametrize("text", [b"{", b"hello", entry().to_json().replace(b'"version":1', b'"version":2')])
def test_what_cannot_be_read_is_a_miss_and_counted(shared, text):
    """Damaged, foreign, or of a newer release."""
    shared.shelf.kept["k"] = text

    assert shared.recall().lead is not None
    assert [UnreadableEntryError] == shared.errors


def test_a_shelf_that_is_out_is_a_miss_and_left_alone_for_a_while(shared, caplog):
    """One call finds out; the others do not wait. When it is back, so is the cache. Each is said once."""
    shared.shelf.error = StoreUnavailableError("it is out")
    leads = [shared.recall(key).lead for key in "abc"]

    assert None not in leads
    assert [("get", "a")] == shared.shelf.asked
    assert [StoreUnavailableError] == shared.errors

    shared.clock.passed_s += OUTAGE_S
    shared.shelf.error = None
    shared.shelf.kept["d"] = entry().to_json()
    assert Recalled(entry()) == shared.recall("d")
    assert ["llm_otel.cache_unavailable", "llm_otel.cache_available"] == [
        each.getMessage().split()[0] for each in caplog.records if each.name == "llm_otel"
    ]


def test_a_shelf_that_is_still_out_is_asked_once_more_only(shared):
    """Each time that the while is over."""
    shared.shelf.error = StoreUnavailableError("it is out")
    shared.recall("a")
    shared.clock.passed_s += OUTAGE_S

    shared.recall("b")
    shared.recall("c")

    assert [("get", "a"), ("get", "b")] == shared.shelf.asked
    assert [StoreUnavailableError] * 2 == shared.errors


def test_in_an_outage_answers_are_kept_in_this_process(shared):
    """Nothing is lost but the sharing."""
    shared.shelf.error = StoreUnavailableError("it is out")
    shared.recall().lead.land(None)
    shared.cache.keep("k", entry(), 60)

    assert shared.cache.flush(LONG_S)
    assert Recalled(entry()) == shared.recall()
    assert ["get"] == [what for what, _ in shared.shelf.asked]


def test_a_bug_in_a_shelf_is_a_miss(shared):
    """Whatever it raises."""
    shared.shelf.error = ZeroDivisionError()

    assert shared.recall().lead is not None
    assert [ZeroDivisionError] == shared.errors


def test_strict_mode_leaves_nobody_waiting(shared):
    """What is counted elsewhere is raised there."""
    shared.is_strict = True
    shared.shelf.error = StoreUnavailableError("it is out")

    with pytest.raises(StoreUnavailableError):
        shared.recall()

    assert 0 == len(shared.cache._flights)


# --- the worker -------------------------------------------------------------------------------------------------------


def test_keeping_never_waits_for_the_shelf(shared, monkeypatch):
    """What is too much is dropped, and counted."""
    monkeypatch.setattr(delivery, "MAX_WAITING", 3)
    shared.recall("a").lead.land(None)
    shared.shelf.go_on.clear()
    for number in range(10):
        shared.cache.keep(f"{number}", entry(), 60)

    assert set(shared.errors) == {CacheBacklogError}
    assert len(shared.errors) in {6, 7}  # the worker may have taken one
    assert Recalled(entry()) == shared.recall("9")
    shared.shelf.go_on.set()
    assert shared.cache.flush(LONG_S)
    assert 10 == len(shared.errors) + len(shared.shelf.kept)


def test_a_flush_is_bounded(shared):
    """A shelf that hangs does not hold up the end of the program."""
    shared.recall("a").lead.land(None)
    shared.shelf.go_on.clear()
    shared.cache.keep("k", entry(), 60)

    assert not shared.cache.flush(0.01)
    shared.shelf.go_on.set()


def test_without_a_worker_a_flush_brings_it_itself(shared):
    """The answer of a call that began before a fork."""
    shared.cache.keep("k", entry(), 60)

    assert shared.cache.flush(LONG_S)
    assert ["k"] == list(shared.shelf.kept)


def test_the_worker_survives_strict_mode(shared, caplog):
    """Nobody waits for what it raises."""
    shared.recall("a").lead.land(None)
    shared.is_strict = True
    shared.shelf.error = ZeroDivisionError()
    shared.cache.keep("k", entry(), 60)
    assert shared.cache.flush(LONG_S)
    shared.shelf.error = None
    shared.clock.passed_s += OUTAGE_S
    shared.cache.keep("l", entry(), 60)

    assert shared.cache.flush(LONG_S)
    assert ["l"] == list(shared.shelf.kept)
    assert "llm_otel.cache_delivery_failed" in caplog.text


def test_the_end_of_a_program_brings_what_is_left(tmp_path):
    """Also what was kept in its last moment."""
    program = f"""
from pathlib import Path
from llm_otel import steps
from llm_otel.caching.cache import ResponseCache
from llm_otel.clock import SystemClock
from llm_otel.recording import Guard
from tests.caching.answers import entry

class Shelf:
    name = "file://"
    def get(self, key): return None
    def put(self, key, text, ttl_ms): Path({str(tmp_path)!r}, key).write_bytes(text)

cache = ResponseCache(SystemClock(), Guard(print), Shelf())
steps.run(cache.recall("a", ttl_s=60, left_s=None))
for number in range(50):
    cache.keep(f"{{number}}", entry(), 60)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert (0, "", "") == (run.returncode, run.stdout, run.stderr)
    assert 50 == len(list(tmp_path.iterdir()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_cache_of_its_own():
    """A worker too."""
    shared = Bench(is_async=False, shelf=FakeShelf())
    lead = shared.recall().lead
    child = os.fork()
    if child == 0:
        found = shared.recall()
        shared.cache.keep("k", entry(), 60)
        is_brought = shared.cache.flush(LONG_S)
        os._exit(0 if found.lead is not None and is_brought and "k" in shared.shelf.kept else 1)
    _, status = os.waitpid(child, 0)

    assert 0 == os.waitstatus_to_exitcode(status)
    lead.land(None)


def test_a_cache_that_nobody_has_is_no_more():
    """The worker does not keep it alive."""
    bench = Bench(is_async=False, shelf=FakeShelf())
    bench.recall().lead.land(None)
    kept = weakref.ref(bench.cache._delivery)
    del bench
    gc.collect()

    assert None is kept()
