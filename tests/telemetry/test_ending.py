"""The end of a program: everything at once, and no longer than it may take."""

from __future__ import annotations

import threading

import pytest

from llm_otel.clock import SystemClock
from llm_otel.telemetry.asked import Protocol, Route, Signal
from llm_otel.telemetry.ending import Ending, Way


class FakeSender:
    def __init__(self, signal: Signal) -> None:
        self.route = Route(signal, Protocol.GRPC, "http://collector:4317")
        self.stopped = threading.Event()

    def stop(self) -> None:
        self.stopped.set()


class Known:
    """Outages that are only written down."""

    def __init__(self) -> None:
        self.seen: list[Signal] = []

    def failed(self, route: Route, reason: str, *, lost: int = 0) -> None:
        self.seen.append(route.signal)

    def forget(self) -> None:
        self.seen.clear()


@pytest.fixture(autouse=True)
def no_hooks(monkeypatch):
    """Leave the end of the test process alone."""
    for name in ("atexit.register", "multiprocessing.util.register_after_fork", "when_forked"):
        monkeypatch.setattr(f"llm_otel.telemetry.ending.{name}", lambda *args, **kwargs: None)


def ending_of(**shutdowns) -> tuple[Ending, dict[str, FakeSender], Known]:
    """Return what ends some signals, given what shuts each down."""
    senders = {name: FakeSender(Signal(name)) for name in shutdowns}
    known = Known()
    ways = [Way(senders[name], shutdown(senders[name])) for name, shutdown in shutdowns.items()]
    ending = Ending(known, SystemClock())
    ending.add(ways)
    return ending, senders, known


def test_all_signals_close_at_the_same_time():
    """One after the other, a dead endpoint of the first would take the time of the rest."""
    both = threading.Barrier(2, timeout=20)
    ending, _, known = ending_of(traces=lambda sender: both.wait, logs=lambda sender: both.wait)

    assert ending.close(timeout_s=20)
    assert [] == known.seen


def test_what_still_tries_is_told_to_stop():
    """And gets a moment to say why it failed."""
    ending, senders, known = ending_of(traces=lambda sender: sender.stopped.wait, logs=lambda sender: lambda: None)

    assert ending.close(timeout_s=1)
    assert [True, False] == [each.stopped.is_set() for each in senders.values()]
    assert [] == known.seen


def test_what_does_not_stop_is_left_behind_and_said():
    """A request that hangs cannot be broken off; the program ends all the same."""
    forever = threading.Event()
    ending, _, known = ending_of(traces=lambda sender: forever.wait, logs=lambda sender: lambda: None)

    assert not ending.close(timeout_s=0.2)
    assert [Signal.TRACES] == known.seen
    forever.set()


def test_a_provider_that_cannot_be_closed_holds_nothing_up(caplog):
    """It is said which, and the end goes on."""
    ending, _, known = ending_of(metrics=lambda sender: lambda: {}["a reader that failed"], logs=lambda sender: list)

    assert ending.close(timeout_s=20)
    assert [] == known.seen
    assert ["llm_otel.shutdown_failed signal=metrics error=KeyError"] == [each.getMessage() for each in caplog.records]


def test_it_ends_once():
    """By `shutdown()` in the program, say, and then by its end."""
    closed = []
    ending, _, _ = ending_of(traces=lambda sender: lambda: closed.append("traces"))

    assert ending.close(timeout_s=20)
    assert ending.close(timeout_s=20)
    assert ["traces"] == closed


def test_who_comes_while_another_thread_closes_waits_for_it():
    """The program must not end under a `shutdown()` that still sends."""
    closing, may_end, ends = threading.Event(), threading.Event(), []
    ending, _, _ = ending_of(traces=lambda sender: lambda: closing.set() or may_end.wait(20))
    first = threading.Thread(target=lambda: ends.append(ending.close(timeout_s=20)))
    first.start()
    assert closing.wait(20)

    assert not ending.close(timeout_s=0)
    may_end.set()
    assert ending.close(timeout_s=20)
    first.join(20)
    assert [True] == ends


def test_a_child_ends_for_itself():
    """Its parent's threads are not there, and that the parent has ended says nothing about it."""
    closed = []
    ending, _, known = ending_of(traces=lambda sender: lambda: closed.append("traces"))
    ending.close(timeout_s=20)
    known.seen.append(Signal.TRACES)
    ending._in_child()

    assert [] == known.seen
    assert ending.close(timeout_s=20)
    assert ["traces", "traces"] == closed
