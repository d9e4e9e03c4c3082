"""What takes time on the way of a call, written once for sync and async callers.

A walk is a generator: it yields steps and is sent what they came to. Only the steps know two ways to wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from llm_otel.clock import Clock

Result = TypeVar("Result")


class Step(Protocol):
    """Something that takes time."""

    def run(self) -> Any:
        """Do it, blocking this thread."""

    async def arun(self) -> Any:
        """Do it without blocking the event loop."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for others to settle."""

    clock: Clock
    seconds: float

    def run(self) -> None:
        """Block this thread."""
        self.clock.sleep(self.seconds)

    async def arun(self) -> None:
        """Suspend this task."""
        await self.clock.asleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Count:
    """Count tokens: milliseconds of CPU."""

    count: Callable[[], int | None]

    def run(self) -> int | None:
        """Count here."""
        return self.count()

    async def arun(self) -> int | None:
        """Count in another thread."""
        return await asyncio.to_thread(self.count)


def run(steps: Generator[Step, Any, Result]) -> Result:
    """Go through all steps, and return what they came to."""
    done: Any = None
    try:
        while True:
            try:
                step = steps.send(done)
            except StopIteration as stop:
                result: Result = stop.value
                return result
            done = step.run()
    finally:
        # A step that raised has stopped the walk: what it holds must not wait for the collector.
        steps.close()


async def arun(steps: Generator[Step, Any, Result]) -> Result:
    """Go through all steps without blocking the event loop."""
    done: Any = None
    try:
        while True:
            try:
                step = steps.send(done)
            except StopIteration as stop:
                result: Result = stop.value
                return result
            done = await step.arun()
    finally:
        steps.close()
