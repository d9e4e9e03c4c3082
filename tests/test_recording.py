"""Recorders: run one after the other, never inside one another, and never into the caller's face."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_otel.recording import Guard, record_now


def test_work_is_done_at_once():
    """What is recorded is there when the call returns."""
    done: list[str] = []
    record_now(lambda: done.append("work"))

    assert ["work"] == done


def test_work_within_work_is_put_off_until_the_work_is_done():
    """A recorder is never entered twice on one thread."""
    done: list[str] = []

    def outer() -> None:
        done.append("outer begins")
        record_now(lambda: done.append("inner"))
        done.append("outer ends")

    record_now(outer)

    assert ["outer begins", "outer ends", "inner"] == done


Tree = list[Any]
TREES: st.SearchStrategy[Tree] = st.recursive(st.just([]), lambda inner: st.lists(inner, max_size=4), max_leaves=30)


@given(TREES)
def test_work_is_done_in_the_order_in_which_it_came(tree):
    """However deep it nests: first come, first done, and nothing is begun before the one before has ended."""
    came: list[int] = []
    begun: list[int] = []
    ended: list[int] = []

    def enter(children: Tree) -> Callable[[], None]:
        number = len(came)
        came.append(number)

        def work() -> None:
            assert begun == ended, "one inside another"
            begun.append(number)
            for child in children:
                record_now(enter(child))
            ended.append(number)

        return work

    record_now(enter(tree))

    assert came == begun == ended


class StrictLock:
    """A lock that fails where a real one would wait for itself for ever."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        assert self._lock.acquire(blocking=False), "this thread holds the lock already: a deadlock"

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()


class Dropped:
    """Something that ends a call when it is garbage-collected, as a stream does. Its cycle keeps it until then."""

    def __init__(self, end: Callable[[], None]) -> None:
        self.itself = self
        weakref.finalize(self, end)


def test_a_collection_amid_a_recorder_does_not_deadlock():
    """prometheus_client's and the SDK's locks are not re-entrant; the collector runs wherever it pleases."""
    lock, recorded = StrictLock(), []

    def record(name: str, *, collects: bool = False) -> None:
        with lock:
            if collects:
                gc.collect()
            recorded.append(name)

    for name in ("stream 1", "stream 2"):
        Dropped(lambda name=name: record_now(lambda: record(name)))
    record_now(lambda: record("call", collects=True))

    assert "call" == recorded[0]
    assert {"stream 1", "stream 2"} == set(recorded[1:])


def test_a_collection_amid_what_was_put_off_does_not_deadlock_either():
    """It is recording, too."""
    lock, recorded = StrictLock(), []

    def record(name: str, *, collects: bool = False) -> None:
        with lock:
            if collects:
                gc.collect()
            recorded.append(name)

    Dropped(lambda: record_now(lambda: record("stream", collects=False)))
    record_now(lambda: record_now(lambda: record("put off", collects=True)))

    assert ["put off", "stream"] == recorded


def test_threads_do_not_wait_for_each_other():
    """Each has its own order; one that hangs holds up nobody."""
    inside, done, release = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        inside.set()
        assert release.wait(timeout=30)

    thread = threading.Thread(target=record_now, args=(slow,))
    thread.start()
    assert inside.wait(timeout=30)
    record_now(done.set)
    is_done_meanwhile = done.is_set()
    release.set()
    thread.join()

    assert is_done_meanwhile


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_was_put_off_is_done_even_when_the_work_fails(error):
    """The end of another call is not lost to a failure (strict mode) or to Ctrl-C in the middle of a recorder."""
    done: list[str] = []

    def failing() -> None:
        record_now(lambda: done.append("first"))
        record_now(fail)
        record_now(lambda: done.append("last"))
        raise error

    def fail() -> None:
        raise error

    with pytest.raises(error):
        record_now(failing)
    assert ["first", "last"] == done

    record_now(lambda: done.append("afterwards"))
    assert ["first", "last", "afterwards"] == done


# --- the guard --------------------------------------------------------------------------------------------------------


class Sink:
    """Keeps what went wrong; raises it when strict."""

    def __init__(self, *, is_strict: bool = False) -> None:
        self.errors: list[tuple[str, Exception]] = []
        self._is_strict = is_strict

    def __call__(self, where: str, error: Exception) -> None:
        """Keep an error."""
        self.errors.append((where, error))
        if self._is_strict:
            raise error


def divide(numerator: int, denominator: int) -> float:
    """Return the quotient."""
    return numerator / denominator


def test_the_guard_passes_on_what_a_part_returns():
    """And tells the sink nothing."""
    sink = Sink()

    assert (3.0, []) == (Guard(sink).call("part", divide, 6, 2), sink.errors)


def test_the_guard_keeps_failures_from_the_caller():
    """The sink hears of them, under the part's name."""
    sink = Sink()

    assert Guard(sink).call("part", divide, 6, 0) is None
    ((where, error),) = sink.errors
    assert ("part", ZeroDivisionError) == (where, type(error))


def test_the_guard_of_a_strict_runtime_lets_them_out():
    """Tests see every failure of ours."""
    with pytest.raises(ZeroDivisionError):
        Guard(Sink(is_strict=True)).call("part", divide, 6, 0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_the_guard_does_not_hold_back_what_ends_a_program(error):
    """That is no failure of a recorder."""
    sink = Sink()

    def interrupted() -> None:
        raise error

    with pytest.raises(error):
        Guard(sink).call("part", interrupted)
    assert [] == sink.errors
