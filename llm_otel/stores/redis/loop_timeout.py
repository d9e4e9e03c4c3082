"""A time limit on an event loop, in time that the loop had to look at its connections."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

STEPS = 5
"""How many times the loop has to come by before the time is over."""
MAX_LATE = 5
"""How many of its visits may come so late that they do not count: a loop that is always late must end too."""


class LoopTimeout:
    """As `asyncio.timeout`, but for the time in which the loop is held up by something else.

    A loop that computed for a second finds the answer and the end of the time at once, and `asyncio.timeout` would
    throw the answer away: a server that is well would be taken for one that is out. So the time is counted in steps,
    and a step that ends late by more than another one does not count.

    Args:
        timeout_s: Seconds, above 0.

    Raises:
        TimeoutError: On leaving, when the time was over.
    """

    __slots__ = ("_due_s", "_handle", "_late", "_left", "_limit", "_loop", "_step_s")

    def __init__(self, timeout_s: float) -> None:
        self._step_s = timeout_s / STEPS
        self._left = STEPS
        self._late = 0
        self._limit = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._wait()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handle.cancel()
        await self._limit.__aexit__(exc_type, exc, traceback)

    def _wait(self) -> None:
        self._due_s = self._loop.time() + self._step_s
        self._handle = self._loop.call_at(self._due_s, self._step)

    def _step(self) -> None:
        now_s = self._loop.time()
        if now_s - self._due_s > self._step_s and self._late < MAX_LATE:
            self._late += 1
        else:
            self._left -= 1
        if self._left:
            self._wait()
        else:
            self._limit.reschedule(now_s)
