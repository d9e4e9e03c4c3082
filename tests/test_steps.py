"""Steps: one way through an admission, two ways to wait."""

from __future__ import annotations

import asyncio
import threading

import pytest

from llm_otel import steps
from llm_otel.steps import Count, Pause
from tests.enforcement.fakes import HandClock


def go(walk, *, is_async):
    """Go through steps from a thread or from a task."""
    return asyncio.run(steps.arun(walk)) if is_async else steps.run(walk)


@pytest.mark.parametrize("is_async", [False, True])
def test_each_step_is_told_what_it_came_to(is_async):
    """And the end is what comes back."""
    clock = HandClock()

    def walk():
        nothing = yield Pause(clock, 1.5)
        number = yield Count(lambda: 7)
        return nothing, number

    assert (None, 7) == go(walk(), is_async=is_async)
    assert [1.5] == clock.pauses


@pytest.mark.parametrize("is_async", [False, True])
def test_what_is_raised_comes_through(is_async):
    """A refusal is one."""

    def walk():
        yield Count(lambda: 7)
        raise LookupError

    with pytest.raises(LookupError):
        go(walk(), is_async=is_async)


def test_tokens_are_counted_off_the_event_loop():
    """Milliseconds of CPU."""
    threads = []

    def walk():
        yield Count(lambda: threads.append(threading.current_thread()))

    go(walk(), is_async=True)

    assert threading.current_thread() not in threads
    assert 1 == len(threads)
