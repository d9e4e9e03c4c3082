"""Leaving alone what could not be reached: who may ask, when, and what is news."""

from __future__ import annotations

import os
import threading

import pytest

from llm_otel.outage import CALM_S, FIRST_PAUSE_S, OUTAGE_S, Outage


class Hand:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def hand():
    """A clock."""
    return Hand()


@pytest.fixture
def outage(hand):
    """Nothing is out yet."""
    return Outage(hand)


def test_who_is_well_is_always_asked(outage):
    """And that it answered is no news."""
    assert [True, True] == [outage.may_ask(), outage.may_ask()]
    assert not outage.ended()
    assert not outage.is_on


def test_a_failure_is_news_once_and_nobody_asks_for_a_while(outage, hand):
    """Up to the very last moment."""
    assert [True, False] == [outage.began(), outage.began()]
    hand.now_s += FIRST_PAUSE_S - 0.001

    assert (False, True) == (outage.may_ask(), outage.is_on)


def test_then_one_caller_finds_out(outage, hand):
    """The others go by what that one finds, and one more tries when it finds nothing in all that time."""
    outage.began()
    hand.now_s += OUTAGE_S

    assert [True, False, False] == [outage.may_ask() for _ in range(3)]

    hand.now_s += OUTAGE_S

    assert [True, False] == [outage.may_ask() for _ in range(2)]


def test_an_answer_ends_it_and_is_news_once(outage):
    """Also one to a question that was asked before it began."""
    outage.began()

    assert [True, False] == [outage.ended(), outage.ended()]
    assert (True, False) == (outage.may_ask(), outage.is_on)


def test_another_failure_begins_the_time_anew(outage, hand):
    """Counted from the last one: it may take its time to fail."""
    outage.began()
    hand.now_s += OUTAGE_S
    outage.may_ask()
    hand.now_s += 0.25
    outage.began()
    hand.now_s += 2 * FIRST_PAUSE_S - 0.001

    assert not outage.may_ask()


def pauses(outage, hand, tries):
    """Return how long nobody may ask, for some tries that all fail."""
    found = []
    for _ in range(tries):
        since_s = hand.now_s
        while not outage.may_ask():
            hand.now_s += FIRST_PAUSE_S
        found.append(hand.now_s - since_s)
        outage.began()
    return found


def test_a_failure_of_a_moment_costs_a_moment_and_an_outage_few_tries(outage, hand):
    """The pauses double with each try that fails, not with each caller that was on its way."""
    for _ in range(20):
        outage.began()

    assert [0.5, 1.0, 2.0, 4.0, OUTAGE_S, OUTAGE_S] == pauses(outage, hand, 6)


def test_what_fails_again_and_again_is_left_alone_for_longer(outage, hand):
    """Else it would be asked, and logged, twice a second. After a calm minute it is trusted again."""
    outage.began()
    outage.ended()
    hand.now_s += CALM_S - 1
    outage.began()
    again = pauses(outage, hand, 1)
    outage.ended()
    hand.now_s += CALM_S
    outage.began()

    assert ([2 * FIRST_PAUSE_S], [FIRST_PAUSE_S]) == (again, pauses(outage, hand, 1))


def test_a_try_that_finds_it_well_makes_no_pause_longer(outage, hand):
    """Only what fails does."""
    outage.began()
    hand.now_s += FIRST_PAUSE_S
    outage.may_ask()
    outage.ended()
    outage.began()

    assert [2 * FIRST_PAUSE_S] == pauses(outage, hand, 1)


def test_tries_of_which_nothing_is_heard_become_rarer_too(outage, hand):
    """They hang, or were cancelled: without that, one more would be made to wait every half second."""
    outage.began()
    tries = 0
    for _ in range(40):
        hand.now_s += FIRST_PAUSE_S
        tries += outage.may_ask()

    # After 0.5 s, 1, 2, 4, 8, 13, 18.
    assert 7 == tries


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_waits_for_no_thread_of_its_parents(outage, hand):
    """The lock may be held at that very moment."""
    outage.began()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with outage._lock:
            held.set()
            done.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    child = os.fork()
    if child == 0:
        # A child that cannot take the lock is left behind at the timeout, with another status.
        asking = threading.Thread(target=lambda: os._exit(0 if outage.ended() else 1), daemon=True)
        asking.start()
        asking.join(10)
        os._exit(2)
    _, status = os.waitpid(child, 0)
    done.set()
    holder.join()

    assert 0 == os.waitstatus_to_exitcode(status)
