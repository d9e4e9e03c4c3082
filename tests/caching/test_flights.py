"""Flights: one of many who ask the same leads, the others wait for him, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from llm_otel.caching.entry import Entry
from llm_otel.caching.flights import Flights, Lead, NoAnswer, Waiting
from tests.caching.answers import entry

LONG_S = 30.0
"""Longer than any of these tests takes: who waits so long would wait for ever."""
ANSWER = entry("the answer")


@pytest.fixture
def flights():
    """No flight yet; none is left over."""
    made = Flights()
    yield made
    gc.collect()
    assert 0 == len(made)


def elsewhere(work, *args):
    """Call something in a thread of its own, and return what it returns."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work, *args).result(LONG_S)


def until_waiting(flights, number, key="k"):
    """Let the threads that wait get there."""
    pause = threading.Event()
    while len(flights._by_key[key].waiters) < number:
        pause.wait(0.001)


# --- leading ----------------------------------------------------------------------------------------------------------


def test_the_first_leads(flights):
    """The next one waits; another key is another flight."""
    lead = flights.board("k")
    other = flights.board("another")

    assert (Lead, Lead, Waiting) == (type(lead), type(other), type(elsewhere(flights.board, "k")))
    lead.land(None)
    other.land(None)


def test_who_leads_does_not_wait_for_himself(flights):
    """A thread that reads two equal streams in turn would never get on."""
    lead = flights.board("k")

    assert None is flights.board("k")
    lead.land(None)


def test_after_a_landing_the_next_one_leads(flights):
    """Whether it brought anything or not."""
    for news in (None, ANSWER):
        lead = flights.board("k")
        lead.land(news)
        assert 0 == len(flights)


def test_a_flight_lands_once(flights):
    """What comes after the first landing is void, for the next flight too."""
    lead = flights.board("k")
    lead.land(None)
    following = flights.board("k")

    lead.land(ANSWER)
    lead.land(None)

    assert 1 == len(flights)
    following.land(None)


def test_a_lead_that_is_dropped_lands(flights):
    """A call that is no more keeps nobody waiting."""
    lead = flights.board("k")
    waiting = elsewhere(flights.board, "k")
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(waiting.wait, LONG_S)
        until_waiting(flights, 1)
        del lead
        news = waits.result(LONG_S)

    assert isinstance(news, Lead)
    news.land(None)


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_all_who_wait_get_the_answer(flights):
    """At once, in threads and in tasks of several loops."""
    lead = flights.board("k")

    async def three():
        return await asyncio.gather(*(_join(flights) for _ in range(3)))

    with ThreadPoolExecutor(5) as pool:
        waits = [pool.submit(lambda: flights.board("k").wait(LONG_S)) for _ in range(3)]
        loops = [pool.submit(asyncio.run, three()) for _ in range(2)]
        until_waiting(flights, 9)
        lead.land(ANSWER)

        assert [ANSWER] * 3 == [each.result(LONG_S) for each in waits]
        assert [[ANSWER] * 3] * 2 == [each.result(LONG_S) for each in loops]


async def _join(flights):
    return await flights.board("k").await_(LONG_S)


def test_without_an_answer_the_one_who_waited_longest_leads(flights):
    """Exactly one is woken, until there is an answer for the rest."""
    lead = flights.board("k")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: flights.board("k").wait(LONG_S))
        until_waiting(flights, 1)
        second = pool.submit(lambda: flights.board("k").wait(LONG_S))
        until_waiting(flights, 2)

        lead.land(None)
        leads = first.result(LONG_S)
        assert isinstance(leads, Lead)
        assert not second.done()
        assert Waiting is type(flights.board("k"))
        leads.land(ANSWER)

        assert ANSWER == second.result(LONG_S)


def test_patience_has_an_end(flights):
    """In threads and in tasks; nobody else is hurt."""
    lead = flights.board("k")

    assert NoAnswer.TIME_IS_UP is elsewhere(lambda: flights.board("k").wait(0.01))
    assert NoAnswer.TIME_IS_UP is elsewhere(lambda: flights.board("k").wait(-1))
    assert NoAnswer.TIME_IS_UP is elsewhere(lambda: asyncio.run(flights.board("k").await_(0.01)))
    lead.land(None)


def test_who_has_left_is_not_given_the_lead(flights):
    """It goes to the next one who still waits, or to nobody."""
    lead = flights.board("k")
    elsewhere(lambda: flights.board("k").wait(0.001))
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(lambda: flights.board("k").wait(LONG_S))
        until_waiting(flights, 2)
        lead.land(None)
        news = waits.result(LONG_S)

    assert isinstance(news, Lead)
    news.land(None)


def test_one_who_comes_too_late_does_not_wait(flights):
    """The flight has landed between boarding and waiting."""
    lead = flights.board("k")
    late, later = elsewhere(flights.board, "k"), elsewhere(flights.board, "k")
    lead.land(ANSWER)

    assert NoAnswer.LANDED is late.wait(LONG_S)
    assert NoAnswer.LANDED is asyncio.run(later.await_(LONG_S))


def test_a_thread_that_runs_a_loop_does_not_block_it(flights):
    """The one who leads may be a task of the very same loop."""
    lead = flights.board("k")
    waiting = elsewhere(flights.board, "k")

    async def block():
        return waiting.wait(LONG_S)

    assert NoAnswer.TIME_IS_UP is asyncio.run(block())
    lead.land(None)


# --- cancels ----------------------------------------------------------------------------------------------------------


def test_a_task_that_is_cancelled_hurts_nobody(flights):
    """The lead goes past it."""

    async def race():
        lead = flights.board("k")
        tasks = [asyncio.create_task(_join(flights)) for _ in range(3)]
        await asyncio.sleep(0)
        assert 3 == len(flights._by_key["k"].waiters)
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])
        lead.land(None)
        follows = await tasks[1]
        follows.land(ANSWER)
        return tasks[0].cancelled(), await tasks[2]

    assert (True, ANSWER) == asyncio.run(race())


def test_a_task_that_is_cancelled_just_when_it_is_to_lead_passes_it_on(flights):
    """Both happen before it runs again."""

    async def race():
        lead = flights.board("k")
        tasks = [asyncio.create_task(_join(flights)) for _ in range(2)]
        await asyncio.sleep(0)
        assert 2 == len(flights._by_key["k"].waiters)
        lead.land(None)
        # The news is on its way to the first, and is there before the cancel is.
        asyncio.get_running_loop().call_soon(tasks[0].cancel)
        follows = await tasks[1]
        follows.land(None)
        return tasks[0].cancelled()

    assert asyncio.run(race())


def test_a_loop_that_is_closed_is_passed_by(flights):
    """Its tasks never run again."""
    lead = flights.board("k")
    loop = asyncio.new_event_loop()

    async def wait_for_ever():
        await _join(flights)

    task = loop.create_task(wait_for_ever())
    while not flights._by_key["k"].waiters:
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(lambda: flights.board("k").wait(LONG_S))
        until_waiting(flights, 2)
        lead.land(None)
        news = waits.result(LONG_S)

    assert isinstance(news, Lead)
    news.land(None)
    task._log_destroy_pending = False


def test_the_collector_may_land_a_flight(flights):
    """It drops a call in the middle of anything."""

    class Call:
        def __init__(self):
            self.itself = self
            self.lead = flights.board("k")

    Call()
    gc.collect()

    assert 0 == len(flights)


# --- all at once ------------------------------------------------------------------------------------------------------


class Race:
    """Callers that lead, follow, fail, drop their lead or lose patience, and how many led at a time."""

    def __init__(self, flights):
        self.flights = flights
        self.most = 0
        self.ended = []
        self._leading = 0
        self._lock = threading.Lock()
        self._start = threading.Barrier(8)

    def threads(self, number):
        """Ask again and again, from a thread."""
        self._start.wait(LONG_S)
        for turn in range(25):
            boarded = self.flights.board("k")
            patience_s = LONG_S if turn % 5 else 0.0003
            self._handle(boarded.wait(patience_s) if isinstance(boarded, Waiting) else boarded, number + turn)

    def tasks(self, number):
        """Ask from ten tasks at a time, two of which are cancelled."""
        self._start.wait(LONG_S)
        asyncio.run(self._rounds(number))

    async def _rounds(self, number):
        for turn in range(8):
            made = [asyncio.create_task(self._task(turn + each)) for each in range(10)]
            await asyncio.sleep(0)
            made[turn].cancel()
            made[(turn * 3 + number) % 10].cancel()
            await asyncio.gather(*made, return_exceptions=True)

    async def _task(self, number):
        boarded = self.flights.board("k")
        news = await boarded.await_(LONG_S) if isinstance(boarded, Waiting) else boarded
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            # The error keeps this frame, and what it holds, for as long as anybody has the task.
            if isinstance(news, Lead):
                news.land(None)
            raise
        self._handle(news, number)

    def _handle(self, news, number):
        if isinstance(news, Lead):
            self._lead(news, number)
        self.ended.append(number)

    def _lead(self, lead, number):
        with self._lock:
            self._leading += 1
            self.most = max(self.most, self._leading)
        threading.Event().wait(0.0005)
        with self._lock:
            self._leading -= 1
        # One of four is dropped, one of three of the rest brings an answer.
        if number % 4 != 1:
            lead.land(None if number % 3 else ANSWER)


@pytest.mark.parametrize("round_", range(5))
def test_threads_and_tasks_race(flights, round_):
    """Never two lead at a time, whoever fails or is cancelled meanwhile; all come to an end."""
    race = Race(flights)
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(race.threads, number) for number in range(6)]
        done += [pool.submit(race.tasks, round_ + number) for number in range(2)]
        for each in done:
            each.result(2 * LONG_S)

    assert 1 == race.most
    assert len(race.ended) >= 150


# --- forks ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_waits_for_nobody_of_its_parent(flights):
    """Its first caller leads; the parent's lead, which it has a copy of, lands nothing there."""
    lead = flights.board("k")
    child = os.fork()
    if child == 0:
        mine = flights.board("k")
        lead.land(ANSWER)
        os._exit(0 if isinstance(mine, Lead) and 1 == len(flights) else 1)
    _, status = os.waitpid(child, 0)

    assert 0 == os.waitstatus_to_exitcode(status)
    assert 1 == len(flights)
    lead.land(None)


def test_an_answer_is_an_entry():
    """What the tests above pass around."""
    assert isinstance(ANSWER, Entry)


# --- for one alone ----------------------------------------------------------------------------------------------------


def test_what_is_for_one_alone_sends_all_others_off(flights):
    """At once, and together; whoever comes then leads, and landing afterwards is void."""
    lead = flights.board("k")
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(lambda: flights.board("k").wait(LONG_S)) for _ in range(3)]
        until_waiting(flights, 3)
        lead.disband()
        assert [NoAnswer.FOR_ONE_ALONE] * 3 == [each.result(LONG_S) for each in waiting]

    later = flights.board("k")
    lead.land(ANSWER)
    assert isinstance(later, Lead)
    assert 1 == len(flights)
    later.disband()
