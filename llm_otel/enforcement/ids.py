"""Ids of holds: made by nobody else, and without asking the system for randomness at every call."""

from __future__ import annotations

import os
import secrets
from itertools import count


class HoldIds:
    """Makes ids: 64 random bits for the process, and a number. Thread-safe; a forked child draws bits of its own."""

    __slots__ = ("_next", "_prefix")

    def __init__(self) -> None:
        self._start_afresh()
        if hasattr(os, "register_at_fork"):
            # For the life of the process: a runtime has one of these, and there are few runtimes.
            os.register_at_fork(after_in_child=self._start_afresh)

    def __call__(self) -> str:
        """Return the next id."""
        return f"{self._prefix}-{next(self._next)}"

    def _start_afresh(self) -> None:
        self._prefix = secrets.token_hex(8)
        self._next = count(1)
