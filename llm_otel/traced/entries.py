"""Which `__enter__` an `__exit__` belongs to, for an object that may be entered many times at once."""

from __future__ import annotations

import sys
import threading
from types import CodeType

from llm_otel.scope import Scope, current_scope
from llm_otel.traced.opened import OpenScope

Block = tuple[int, CodeType]
"""The frame of a `with` statement: its identity, and its code, because identities are used again."""
_Entry = tuple[Block, OpenScope]


def block_of_caller() -> Block:
    """Name the frame that called the caller of this function."""
    # The public way (`inspect.currentframe`) is the same call with an Optional for each step.
    frame = sys._getframe(2)  # noqa: SLF001
    return id(frame), frame.f_code


class Entries:
    """The open entries of one object. Thread-safe.

    Python hands `__exit__` nothing that would tell entries apart. A `with` statement is entered and left in
    one frame, wherever an event loop or the garbage collector runs it; code that keeps the object
    (`ExitStack`) enters and leaves in different frames, but in one context.
    """

    __slots__ = ("_lock", "_open")

    def __init__(self) -> None:
        self._open: list[_Entry] = []
        # Re-entrant: garbage collection may leave the block of a dropped generator while a method here runs.
        self._lock = threading.RLock()

    def add(self, block: Block, opened: OpenScope) -> None:
        """Keep an entry until it is left."""
        with self._lock:
            self._open.append((block, opened))

    def take(self, block: Block) -> OpenScope:
        """Find the entry that is left now: the newest of this frame, else of this context, else of all.

        Raises:
            RuntimeError: Nothing is open.
        """
        with self._lock:
            entry = self._of_block(block) or self._in_context(current_scope.get()) or self._newest()
            self._open.remove(entry)
        return entry[1]

    def _of_block(self, block: Block) -> _Entry | None:
        return next((entry for entry in reversed(self._open) if entry[0] == block), None)

    def _in_context(self, scope: Scope | None) -> _Entry | None:
        while scope is not None:
            for entry in self._open:
                if entry[1].scope is scope:
                    return entry
            scope = scope.parent
        return None

    def _newest(self) -> _Entry:
        if not self._open:
            raise RuntimeError("this traced_llm block was left more often than it was entered")
        return self._open[-1]
