"""How much of a conversation is recorded: what fits, the newest first.

A conversation is sent as a whole with each of its calls. Without a bound, what is recorded would grow with its square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from llm_otel.providers.texts import dumped

if TYPE_CHECKING:
    from llm_otel.providers.parts import Part

Entry = dict[str, Any]
"""A message, the definition of a tool, or a part that stands by itself."""


class Room:
    """What one attribute may still take. Not thread-safe.

    Attributes:
        left: Characters of JSON.
        dropped: How many entries, and parts of messages, had no place.
    """

    __slots__ = ("dropped", "left")

    def __init__(self, left: int) -> None:
        self.left = left
        self.dropped = 0

    def fill(self, order: Iterable[int], entry_at: Callable[[int], Entry | None]) -> list[Entry]:
        """Take entries in this order until one does not fit, and return them in their own.

        Args:
            order: Their positions, the most important one first.
            entry_at: Reads an entry; `None` where there is nothing to be read. Not called for what has no place.
        """
        kept: dict[int, Entry] = {}
        for position in order:
            if self.left <= 0:
                self.dropped += 1
            elif (entry := entry_at(position)) is not None and (fitted := self._fitted(entry)) is not None:
                kept[position] = fitted
        return [kept[position] for position in sorted(kept)]

    def _fitted(self, entry: Entry) -> Entry | None:
        """Return an entry, or a message with the parts of it that fit; nothing fits after one that was too big."""
        size = _size(entry)
        if size <= self.left:
            self.left -= size
            return entry
        without_parts = entry | {"parts": []}
        self.left -= _size(without_parts)
        parts = self._first_parts(entry.get("parts", ()))
        self.left = 0
        if not parts:
            self.dropped += 1
            return None
        self.dropped += len(entry["parts"]) - len(parts)
        return without_parts | {"parts": parts}

    def _first_parts(self, parts: Iterable[Part]) -> list[Part]:
        kept: list[Part] = []
        for part in parts:
            self.left -= _size(part)
            if self.left < 0:
                break
            kept.append(part)
        return kept


def _size(entry: Entry) -> int:
    return len(dumped(entry))
