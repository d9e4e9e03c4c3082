"""The response cache: what was answered once is answered again, and asked for once at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_otel.caching.delivery import Delivery
from llm_otel.caching.entry import MAX_CHARACTERS, Entry, UnreadableEntryError
from llm_otel.caching.flights import Flights, Lead, NoAnswer, Waiting
from llm_otel.caching.memory import Memory
from llm_otel.caching.shelf import PART, CarefulShelf

if TYPE_CHECKING:
    from collections.abc import Generator

    from llm_otel.caching.flights import News
    from llm_otel.caching.shelf import Shelf
    from llm_otel.clock import Clock
    from llm_otel.recording import Guard
    from llm_otel.steps import Step

PATIENCE_S = 60.0
"""How long one waits for another's answer who has no deadline of his own: as long as half of the usual one."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a look into the cache brought: an answer, or the lead in getting one, or neither: then just send.

    The lead is to be landed once, whatever becomes of the call; see `Lead`.
    """

    entry: Entry | None = None
    lead: Lead | None = None


NOTHING = Recalled()


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for another's answer."""

    waiting: Waiting
    seconds: float

    def run(self) -> News:
        """Block this thread."""
        return self.waiting.wait(self.seconds)

    async def arun(self) -> News:
        """Suspend this task."""
        return await self.waiting.await_(self.seconds)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask the shelf that processes share."""

    shelf: CarefulShelf
    key: str

    def run(self) -> bytes | None:
        """Ask from this thread."""
        return self.shelf.get(self.key)

    async def arun(self) -> bytes | None:
        """Ask from this task."""
        return await self.shelf.aget(self.key)


class ResponseCache:
    """Answers by key: in this process, and on a shelf that processes share, if there is one.

    Thread-safe, task-safe, safe to cancel and to fork. A shelf that is out, or holds what cannot be read, is a miss.
    """

    def __init__(self, clock: Clock, guard: Guard, shelf: Shelf | None = None) -> None:
        """Take where answers are kept beside this process.

        Args:
            clock: For the age of answers.
            guard: Counts what goes wrong; in strict mode it is raised.
            shelf: `None`: nowhere.
        """
        self._clock = clock
        self._guard = guard
        self._memory = Memory(clock.monotonic)
        self._flights = Flights()
        self._shelf = None if shelf is None else CarefulShelf(shelf, clock.monotonic, guard)
        self._delivery = None if self._shelf is None else Delivery(self._shelf, guard)

    def recall(
        self, key: str, *, ttl_s: float, left_s: float | None, may_wait: bool = True
    ) -> Generator[Step, Any, Recalled]:
        """Look for an answer: steps for `steps.run` or `steps.arun`.

        Whoever asks for what another is getting waits for that, for half of the time that he has: the other half is
        left to get it by himself.

        Args:
            key: See `key_of`.
            ttl_s: How old an answer may be, in seconds.
            left_s: The time left to the call's deadline; `None` for none.
            may_wait: Whether to wait for another's answer, and to let others wait for this one.
        """
        found = self._in_memory(key, ttl_s)
        if found is not None:
            return Recalled(found)
        if not may_wait:
            return Recalled((yield from self._on_shelf(key, ttl_s)))
        news: Entry | Lead | Waiting | None = self._flights.board(key)
        if isinstance(news, Waiting):
            patience_s = PATIENCE_S if left_s is None else left_s / 2
            news = yield from self._wait(key, news, patience_s)
        if isinstance(news, Lead):
            return (yield from self._leading(news, key, ttl_s))
        return NOTHING if news is None else Recalled(news)

    def keep(self, key: str, entry: Entry, ttl_s: float) -> None:
        """Keep an answer for `ttl_s` seconds, unless it is too long. Never waits; also in the garbage collector."""
        if len(entry.response) > MAX_CHARACTERS:
            return
        self._memory.put(key, entry, ttl_s)
        if self._delivery is not None:
            self._delivery.send(key, entry, ttl_s)

    def flush(self, timeout_s: float) -> bool:
        """Wait until other processes can find what was kept; return whether they can."""
        return self._delivery is None or self._delivery.flush(timeout_s)

    def _wait(self, key: str, waiting: Waiting, patience_s: float) -> Generator[Step, Any, Entry | Lead | None]:
        """Wait for an answer, or for the lead; `None` when patience is over."""
        until_s = self._clock.monotonic() + patience_s
        while True:
            news: News = yield Wait(waiting, until_s - self._clock.monotonic())
            if not isinstance(news, NoAnswer):
                return news
            boarded = self._flights.board(key) if news is NoAnswer.LANDED else None
            if not isinstance(boarded, Waiting):
                return boarded
            waiting = boarded

    def _leading(self, lead: Lead, key: str, ttl_s: float) -> Generator[Step, Any, Recalled]:
        """Look where only the one who leads need look; land at once with what is found."""
        try:
            # Another may have landed between the first look and taking the lead.
            found = self._in_memory(key, ttl_s)
            if found is None:
                found = yield from self._on_shelf(key, ttl_s)
        # A cancel too: it is raised again.
        except BaseException:
            lead.land(None)
            raise
        if found is None:
            return Recalled(lead=lead)
        lead.land(found)
        return Recalled(found)

    def _on_shelf(self, key: str, ttl_s: float) -> Generator[Step, Any, Entry | None]:
        """Look where other processes keep theirs; what is not there is soon to be brought."""
        if self._shelf is None or self._delivery is None:
            return None
        found = self._read((yield Fetch(self._shelf, key)), key, ttl_s)
        if found is None:
            self._guard.call(PART, self._delivery.ensure_worker)
        return found

    def _in_memory(self, key: str, ttl_s: float) -> Entry | None:
        found = self._memory.get(key)
        return found if found is not None and self._left_s(found, ttl_s) > 0 else None

    def _read(self, text: bytes | None, key: str, ttl_s: float) -> Entry | None:
        if text is None:
            return None
        try:
            entry = Entry.of_json(text)
        except UnreadableEntryError as exc:
            self._guard.failed(PART, exc)
            return None
        left_s = self._left_s(entry, ttl_s)
        if left_s <= 0:
            return None
        self._memory.put(key, entry, left_s)
        return entry

    def _left_s(self, entry: Entry, ttl_s: float) -> float:
        return ttl_s - entry.age_s(self._clock.now_ns() // 1_000_000)
