"""Work that is put off until somebody asks for its result, or until there is enough of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

BATCH = 32
"""Items that are worked off together. One alone, after a completion, finds the caches of the processor cold and costs
some ten times as much; together they take the last call of a batch a fraction of a millisecond."""


class Inbox(Generic[Item]):
    """Takes items at once and works them off later, one after the other, in order. Thread-safe.

    Whoever puts something in never waits: the garbage collector may end a call on a thread that is in the middle of
    working off or reading. Who holds the lock works off what came in; `_is_busy` tells a holder that it is the same
    thread, further in.

    Args:
        work: Done with each item. What it raises comes out of whatever call worked the item off.
    """

    __slots__ = ("_is_busy", "_items", "_lock", "_work")

    def __init__(self, work: Callable[[Item], None]) -> None:
        self._work = work
        self._items: deque[Item] = deque()
        self._lock = threading.RLock()
        self._is_busy = False

    def put(self, item: Item) -> None:
        """Take an item; the last one of a batch is worked off with all before it."""
        self._items.append(item)
        if len(self._items) >= BATCH and self._lock.acquire(blocking=False):
            try:
                self._work_off()
            finally:
                self._lock.release()

    def read(self, answer: Callable[[], Result]) -> Result:
        """Return the answer to a question about all that was put in before; nothing is worked off meanwhile."""
        with self._lock:
            self._work_off()
            was_busy, self._is_busy = self._is_busy, True
            try:
                return answer()
            finally:
                self._is_busy = was_busy

    def settle(self) -> None:
        """Work off all that was put in before."""
        with self._lock:
            self._work_off()

    def _work_off(self) -> None:
        """Work off what came in. For the holder of the lock."""
        if self._is_busy:
            return
        self._is_busy = True
        try:
            while self._items:
                self._work(self._items.popleft())
        finally:
            self._is_busy = False
