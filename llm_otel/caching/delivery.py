"""Bringing answers to where other processes find them, behind the caller's back."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from llm_otel.caching.shelf import PART
from llm_otel.clock import SystemClock
from llm_otel.errors import LLMOtelError
from llm_otel.forks import when_forked

if TYPE_CHECKING:
    from llm_otel.caching.entry import Entry
    from llm_otel.caching.shelf import CarefulShelf
    from llm_otel.recording import Guard

MAX_WAITING = 1_000
"""Answers that wait to be brought; what comes on top is kept in this process only."""
EXIT_S = 1.0
"""How long the end of a program waits for the last ones."""
IDLE_S = 30.0
"""How often the worker looks whether there is still a cache to work for."""

_logger = logging.getLogger("llm_otel")


class CacheBacklogError(LLMOtelError):
    """An answer was not shared with other processes: too many before it wait to be brought."""


class _Parcel(NamedTuple):
    key: str
    entry: Entry
    ttl_ms: int


_Errand = tuple["Delivery", "_Parcel | threading.Event"]
"""What is in the queue: a delivery lives as long as anything waits for it."""


class Delivery:
    """A worker that puts answers on a shelf. Thread-safe; `send` also in the garbage collector; safe to fork."""

    def __init__(self, shelf: CarefulShelf, guard: Guard) -> None:
        """Take a shelf, and what counts answers that are dropped."""
        self._shelf = shelf
        self._guard = guard
        self._start_afresh()
        when_forked(self._start_afresh)
        _deliveries.add(self)

    def _start_afresh(self) -> None:
        # In a forked child too: the worker and its queue are the parent's.
        self._errands: SimpleQueue[_Errand] = SimpleQueue()
        self._worker: threading.Thread | None = None
        self._starting = threading.Lock()
        self._is_exiting = False

    def ensure_worker(self) -> None:
        """Start the worker. Not from the garbage collector: threading's locks may be held."""
        if self._is_exiting or (self._worker is not None and self._worker.is_alive()):
            return
        with self._starting:
            if self._worker is None or not self._worker.is_alive():
                work = threading.Thread(
                    target=_work, args=(weakref.ref(self), self._errands), name="llm-otel-cache", daemon=True
                )
                self._worker = work
                work.start()

    def send(self, key: str, entry: Entry, ttl_s: float) -> None:
        """Have an answer brought, without waiting; drop it if too many wait."""
        if self._errands.qsize() >= MAX_WAITING:
            self._guard.failed(PART, CacheBacklogError(f"{MAX_WAITING} answers wait to be cached"))
            return
        self._errands.put((self, _Parcel(key, entry, max(1, round(ttl_s * 1000)))))

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was sent is brought, or dropped in an outage; return whether it is."""
        if self._worker is None or not self._worker.is_alive():
            return self._drain(timeout_s)
        done = threading.Event()
        self._errands.put((self, done))
        return done.wait(timeout_s)

    def exit(self) -> None:
        """Flush at the end of the program, within a bound."""
        self._is_exiting = True
        if not self.flush(EXIT_S):
            _logger.warning("llm_otel.cache_not_flushed answers=%d", self._errands.qsize())

    def work(self, errand: _Parcel | threading.Event) -> None:
        """Bring one answer, or tell that all before it are through."""
        if isinstance(errand, threading.Event):
            errand.set()
        else:
            self._shelf.put(errand.key, errand.entry.to_json(), errand.ttl_ms)

    def _drain(self, timeout_s: float) -> bool:
        deadline_s = SystemClock.monotonic() + timeout_s
        while SystemClock.monotonic() < deadline_s:
            try:
                _, errand = self._errands.get_nowait()
            except Empty:
                return True
            self.work(errand)
        return self._errands.empty()


def _work(delivery_ref: weakref.ref[Delivery], errands: SimpleQueue[_Errand]) -> None:
    """Bring answers for as long as there is a cache."""
    while delivery_ref() is not None:
        try:
            delivery, errand = errands.get(timeout=IDLE_S)
        except Empty:
            continue
        try:
            delivery.work(errand)
        # In strict mode what fails is raised, and nobody waits for it here: the answers to come are brought too.
        except Exception:
            _logger.exception("llm_otel.cache_delivery_failed")
        del delivery, errand


_deliveries: weakref.WeakSet[Delivery] = weakref.WeakSet()


def _exit_all() -> None:
    for delivery in tuple(_deliveries):
        delivery.exit()


atexit.register(_exit_all)
