"""Leaving alone for a while what could not be reached, so that not every call waits to find that out."""

from __future__ import annotations

import threading
from collections.abc import Callable

from llm_otel.forks import when_forked

OUTAGE_S = 5.0
"""How long, in seconds, it is left alone at most between two tries."""
FIRST_PAUSE_S = 0.5
"""How long at first: most failures are those of a moment. Each try that fails doubles it."""
CALM_S = 60.0
"""How long, in seconds, it has to be well before a failure counts as the first one again."""


class Outage:
    """Whether something that calls ask could not be reached when it was last asked. Thread-safe, and safe to fork.

    While it is out, one caller after each pause finds out whether it is back; the others do not wait for it.
    """

    __slots__ = ("__weakref__", "_ended_s", "_is_tried", "_lock", "_monotonic", "_pause_s", "_until_s")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Take seconds that never run backwards."""
        self._monotonic = monotonic
        self._until_s: float | None = None
        self._ended_s: float | None = None
        self._pause_s = FIRST_PAUSE_S
        self._is_tried = False
        self._make_lock()
        when_forked(self._make_lock)

    def _make_lock(self) -> None:
        # In a forked child it is made anew: a thread of the parent's may hold it.
        self._lock = threading.Lock()

    @property
    def is_on(self) -> bool:
        """Whether it was out when it was last asked."""
        return self._until_s is not None

    def may_ask(self) -> bool:
        """Tell whether to ask it. Whoever may says what came of that, by `began` or `ended`, unless it is cancelled."""
        # Without the lock, on the way of every call: at worst one more asks.
        if self._until_s is None:
            return True
        with self._lock:
            now_s = self._monotonic()
            if self._until_s is not None and now_s < self._until_s:
                return False
            if self._is_tried:
                # Of the last try nothing was heard: it hangs, or was cancelled.
                self._lengthen_pause()
            # Whoever comes next goes by what this one finds.
            self._is_tried = True
            self._until_s = now_s + self._pause_s
            return True

    def began(self) -> bool:
        """Note that it could not be reached; tell whether that is news."""
        with self._lock:
            is_news, now_s = self._until_s is None, self._monotonic()
            if is_news and self._is_calm(now_s):
                self._pause_s = FIRST_PAUSE_S
            # Once for a try, not for each of those who were on their way when it began.
            elif is_news or self._is_tried:
                self._lengthen_pause()
            self._is_tried = False
            self._until_s = now_s + self._pause_s
        return is_news

    def ended(self) -> bool:
        """Note that it answered; tell whether that is news."""
        if self._until_s is None:
            return False
        with self._lock:
            is_news, self._until_s = self._until_s is not None, None
            self._is_tried = False
            self._ended_s = self._monotonic()
        return is_news

    def _is_calm(self, now_s: float) -> bool:
        return self._ended_s is None or now_s - self._ended_s >= CALM_S

    def _lengthen_pause(self) -> None:
        self._pause_s = min(2 * self._pause_s, OUTAGE_S)
