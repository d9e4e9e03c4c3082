"""What ended calls leave for OpenTelemetry's instruments, until somebody may touch those.

The SDK's instruments take locks that are not re-entrant, and a reader holds them while it collects. The garbage
collector may end a stream in the middle of that, on the same thread, which would then wait for itself. So the end of a
call takes no lock: it leaves its facts here. They are written down where nobody holds such a lock: when the next calls
open, which the garbage collector never does, and in the callbacks of observable instruments, which a reader calls
before it collects. So nothing is lost, and what is written together finds the caches of the processor warm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from llm_otel.forks import when_forked

Item = TypeVar("Item")

ENOUGH = 16
"""So much work is done at an opening call, rather than left to the reader: about a millisecond. A call is 1, a stream
more."""


class Backlog:
    """Work that was left behind, in order. Thread-safe; `leave` never waits and takes no lock."""

    __slots__ = ("__weakref__", "_left", "_work")

    def __init__(self) -> None:
        self._left: deque[tuple[Callable[[Any], None], Any]] = deque()
        # A guess: two threads may count as one. Emptied together with the queue, so it cannot drift away.
        self._work = 0

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._left)

    def leave(self, write: Callable[[Item], None], item: Item, work: int = 1) -> None:
        """Leave an item.

        Args:
            write: Writes it down, later and on another thread perhaps; what it raises would hit who works off.
            item: The facts.
            work: How much there is to write, in calls.
        """
        self._left.append((write, item))
        self._work += work

    def ease(self) -> None:
        """Work off what was left, if there is enough of it. For the opening of a call."""
        if self._work >= ENOUGH:
            self.work_off()

    def work_off(self) -> None:
        """Work off what was left so far. Never to be called where the garbage collector may be the caller."""
        self._work = 0
        left = self._left
        for _ in range(len(left)):
            try:
                write, item = left.popleft()
            except IndexError:
                # Another thread was quicker.
                return
            write(item)

    def forget(self) -> None:
        """Drop what was left: in a forked child, whose parent writes it down."""
        self._left.clear()


backlog = Backlog()
"""The one of the process: a reader's callback belongs to the process too, whatever runtimes come and go."""
when_forked(backlog.forget)
