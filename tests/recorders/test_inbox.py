"""`Inbox`: what is put off is neither lost nor done twice."""

from __future__ import annotations

import threading

import pytest

from llm_otel.recorders.inbox import BATCH, Inbox


def test_nothing_is_worked_off_before_a_batch_is_full() -> None:
    """Then all of it is, in order."""
    done: list[int] = []
    inbox = Inbox(done.append)
    for number in range(BATCH - 1):
        inbox.put(number)
    assert [] == done
    inbox.put(BATCH - 1)
    assert list(range(BATCH)) == done


def test_an_answer_knows_all_that_came_before() -> None:
    """However little that is."""
    done: list[int] = []
    inbox = Inbox(done.append)
    inbox.put(7)
    assert [7] == inbox.read(done.copy)


def test_nothing_changes_under_an_answer() -> None:
    """A call that ends on the same thread meanwhile is in the next one."""
    done: list[int] = []
    inbox = Inbox(done.append)

    def answer() -> list[int]:
        for number in range(2 * BATCH):
            inbox.put(number)
        return done.copy()

    assert [] == inbox.read(answer)
    assert 2 * BATCH == inbox.read(lambda: len(done))


def test_work_that_puts_something_in_does_not_nest() -> None:
    """It comes after the work that is under way."""
    steps: list[str] = []

    def work(number: int) -> None:
        steps.append(f"start {number}")
        if number == 0:
            inbox.put(1)
            inbox.settle()
        steps.append(f"end {number}")

    inbox = Inbox(work)
    inbox.put(0)
    inbox.settle()
    assert ["start 0", "end 0", "start 1", "end 1"] == steps


def test_work_that_fails_does_not_stop_the_rest() -> None:
    """Its error comes out once; what was behind it is still there."""
    done: list[float] = []
    inbox = Inbox(lambda number: done.append(1 / number))
    for number in (0, 2):
        inbox.put(number)
    with pytest.raises(ZeroDivisionError):
        inbox.settle()
    inbox.settle()
    assert [0.5] == done


def test_who_puts_something_in_does_not_wait() -> None:
    """Another thread holds the inbox; it works off what came meanwhile, at its next question."""
    done: list[int] = []
    inbox = Inbox(done.append)

    def answer() -> None:
        thread = threading.Thread(target=lambda: [inbox.put(number) for number in range(BATCH)])
        thread.start()
        thread.join(timeout=10)
        assert not thread.is_alive()

    inbox.read(answer)
    assert BATCH == inbox.read(lambda: len(done))
