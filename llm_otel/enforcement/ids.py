"""Ids of holds: made by nobody else, and without asking the system for randomness at every call."""

from __future__ import annotations

import secrets
from itertools import count

from llm_otel.forks import when_forked


class HoldIds:
    """Makes ids: 64 random bits for the process, and a number. Thread-safe; a forked child draws bits of its own."""

    __slots__ = ("__weakref__", "_next", "_prefix")

    def __init__(self) -> None:
        self._start_afresh()
        when_forked(self._start_afresh)

    def __call__(self) -> str:
        """Return the next id."""
        return f"{self._prefix}-{next(self._next)}"

    def _start_afresh(self) -> None:
        self._prefix = secrets.token_hex(8)
        self._next = count(1)
