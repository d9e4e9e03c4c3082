"""Ctrl-C, once and again."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from llm_otel.demo import interrupts
from llm_otel.demo.interrupts import interruptible


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test moves by hand."""
    now = [100.0]
    monkeypatch.setattr(interrupts, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_and_a_later_one_kills(clock, number):
    """A process that does not end in good order ends all the same."""
    seen = []
    with interruptible(lambda: seen.append("stop"), kill=seen.append):
        os.kill(os.getpid(), number)
        assert ["stop"] == seen
        clock[0] += 1.5
        os.kill(os.getpid(), number)

    assert ["stop", 130] == seen


def test_a_signal_that_a_wrapper_repeats_is_one(clock):
    """Terminal and wrapper send the same Ctrl-C, a moment apart."""
    seen = []
    with interruptible(lambda: seen.append("stop"), kill=seen.append):
        os.kill(os.getpid(), signal.SIGINT)
        clock[0] += 0.3
        os.kill(os.getpid(), signal.SIGINT)

    assert ["stop"] == seen


def test_handlers_are_put_back():
    """Also when the block fails."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyError), interruptible(lambda: None):
        raise KeyError

    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def test_on_another_thread_nothing_is_touched():
    """Python handles signals on the main thread only."""
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with interruptible(lambda: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert [before] == seen
