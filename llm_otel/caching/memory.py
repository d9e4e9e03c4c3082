"""Answers kept in this process: the ones used last, for as long as they are fresh."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from llm_otel.forks import when_forked

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_otel.caching.entry import Entry

MAX_ENTRIES = 10_000
MAX_CHARACTERS = 64 * 1024 * 1024
"""Of the answers' JSON, all together; a character is a byte."""


class _Kept(NamedTuple):
    entry: Entry
    expires_s: float


class Memory:
    """The answers used last, within two bounds. Thread-safe; `put` also in the garbage collector.

    A forked child begins with none.

    Args:
        monotonic: Seconds that never run backwards.
        max_entries: How many answers.
        max_characters: How much JSON they have, all together.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        max_entries: int = MAX_ENTRIES,
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        self._monotonic = monotonic
        self._max_entries = max_entries
        self._max_characters = max_characters
        self._renew()
        when_forked(self._renew)

    def _renew(self) -> None:
        # The collector may drop a stream, whose end keeps its answer, while this thread holds the lock: hence an
        # `RLock`. What is done under it leaves nothing to the next step that an answer more or less would spoil.
        self._lock = threading.RLock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._characters = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def characters(self) -> int:
        """How much JSON is kept."""
        return self._characters

    def get(self, key: str) -> Entry | None:
        """Return an answer that is fresh, and note that it was used."""
        with self._lock:
            kept = self._kept.pop(key, None)
            if kept is None:
                return None
            if kept.expires_s <= self._monotonic():
                self._characters -= len(kept.entry.response)
                return None
            # It was taken out a moment ago; what came in its place since is newer.
            newer = self._kept.setdefault(key, kept)
            if newer is not kept:
                self._characters -= len(kept.entry.response)
            return newer.entry

    def put(self, key: str, entry: Entry, ttl_s: float) -> None:
        """Keep an answer for `ttl_s` seconds, in place of an older one. One beyond the bounds is not kept."""
        size = len(entry.response)
        if ttl_s <= 0 or size > self._max_characters or self._max_entries < 1:
            return
        with self._lock:
            self._forget(self._kept.pop(key, None))
            kept = _Kept(entry, self._monotonic() + ttl_s)
            self._characters += size
            self._forget(self._kept.pop(key, None))
            self._kept[key] = kept
            while self._kept and (len(self._kept) > self._max_entries or self._characters > self._max_characters):
                self._forget(self._kept.popitem(last=False)[1])

    def _forget(self, kept: _Kept | None) -> None:
        if kept is not None:
            self._characters -= len(kept.entry.response)
