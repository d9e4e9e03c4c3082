"""Time, as an argument.

Two clocks with two uses: the wall clock says *when* (span start, price date, time filters), the monotonic clock says
*how long* (durations, deadlines). A duration is never the difference of two wall times.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the library asks of a clock; tests pass one that they move by hand."""

    def now_ns(self) -> int:
        """Return the wall time: nanoseconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards; only differences mean something."""

    def sleep(self, seconds: float) -> None:
        """Block this thread."""

    async def asleep(self, seconds: float) -> None:
        """Suspend this task."""


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    now_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)

    async def asleep(self, seconds: float) -> None:
        """Suspend this task."""
        import asyncio

        await asyncio.sleep(seconds)


def to_datetime(epoch_ns: int) -> datetime:
    """Turn nanoseconds since the epoch into an aware UTC datetime (microseconds are what a datetime holds)."""
    return datetime.fromtimestamp(epoch_ns / 1e9, tz=UTC)
