"""One request for many callers who ask the same at the same time: the first sends, the others wait for its answer.

Who sends has the *lead* of a *flight*, and lands it once: with an answer, which all who wait get at once; or without
one, and then the lead goes to one of them, the one who waited longest; or, where an answer would be for him alone, by
sending all of them off, as one after the other would only wait longer. A lead that is dropped lands by itself.

Threads and tasks of any event loop wait for each other. Nothing here takes a lock: the garbage collector may land a
flight in the middle of anything, so each step is one operation of a built-in type.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol, TypeAlias

from llm_otel.forks import when_forked

if TYPE_CHECKING:
    from llm_otel.caching.entry import Entry

Caller = tuple[int, int | None]
"""Who asks: a thread, and a task where one is running. Nobody waits for himself."""


class NoAnswer(Enum):
    """Why one who waits is sent away."""

    LANDED = "the flight has landed without an answer"
    FOR_ONE_ALONE = "what the leader got is not to be shared"
    TIME_IS_UP = "there is no more time to wait"


class Flights:
    """Requests under way in this process, by key. Thread-safe, task-safe; a forked child begins with none."""

    def __init__(self) -> None:
        self._by_key: dict[str, Flight] = {}
        when_forked(self._renew)

    def __len__(self) -> int:
        return len(self._by_key)

    def board(self, key: str) -> Lead | Waiting | None:
        """Return the lead to the first who asks, a wait to others; `None` to who would wait for himself."""
        caller = _caller()
        mine = Flight(self, key, caller)
        found = self._by_key.setdefault(key, mine)
        if found is mine:
            return Lead(mine)
        return None if found.leader == caller else Waiting(found, caller)

    def remove(self, flight: Flight) -> None:
        """Forget a flight: called once for each, by who lands it."""
        # Not there in a forked child, where another may be in its place.
        if self._by_key.get(flight.key) is flight:
            del self._by_key[flight.key]

    def _renew(self) -> None:
        """Start afresh in a forked child: who leads or waits is the parent's."""
        for flight in self._by_key.values():
            flight.waiters.clear()
        self._by_key = {}


class Flight:
    """A request under way."""

    __slots__ = ("_flights", "is_over", "key", "leader", "waiters")

    def __init__(self, flights: Flights, key: str, leader: Caller) -> None:
        self._flights = flights
        self.key = key
        self.leader = leader
        self.is_over = False
        self.waiters: deque[_Waiter] = deque()

    def landed(self, entry: Entry | None) -> None:
        """Tell those who wait: all of an answer; one that it is his turn, where there is none."""
        if entry is None and self._pass_on():
            return
        self._tell_all(NoAnswer.LANDED if entry is None else entry)

    def disbanded(self) -> None:
        """Send away those who wait: each asks for himself."""
        self._tell_all(NoAnswer.FOR_ONE_ALONE)

    def _tell_all(self, news: Entry | NoAnswer) -> None:
        self._flights.remove(self)
        self.is_over = True
        # Who comes to wait from here on sees that it is over.
        while (waiter := self._next()) is not None:
            waiter.tell(news)

    def _pass_on(self) -> bool:
        """Give the lead to the one who waited longest; return whether there was one."""
        while (waiter := self._next()) is not None:
            if not waiter.has_left:
                self.leader = waiter.caller
                waiter.tell(Lead(self))
                return True
        return False

    def _next(self) -> _Waiter | None:
        with suppress(IndexError):
            return self.waiters.popleft()
        return None


class Lead:
    """The duty to send a request, and to land its flight. Any thread may land it; what comes after the first is void.

    One that is dropped lands without an answer, so that nobody waits for a call that is no more.
    """

    __slots__ = ("_flight", "_unlanded")

    def __init__(self, flight: Flight) -> None:
        self._flight = flight
        self._unlanded = [True]

    def land(self, entry: Entry | None) -> None:
        """End the flight, with its answer or with none. Never waits; also in the garbage collector."""
        if self._is_first():
            self._flight.landed(entry)

    def disband(self) -> None:
        """End the flight: whatever was got is for the leader alone. As `land` otherwise."""
        if self._is_first():
            self._flight.disbanded()

    def _is_first(self) -> bool:
        try:
            # One operation, so that one of several wins.
            return self._unlanded.pop()
        except IndexError:
            return False

    def __del__(self) -> None:
        self.land(None)


News: TypeAlias = "Entry | Lead | NoAnswer"
"""What one who waits is told: the answer, that he is to send the request, or that there is nothing to wait for."""


class _Waiter(Protocol):
    """One who waits for a flight."""

    caller: Caller
    has_left: bool

    def tell(self, news: News) -> None:
        """Wake him. From any thread, also in the garbage collector."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A place among those who wait for a flight."""

    flight: Flight
    caller: Caller

    def wait(self, timeout_s: float) -> News:
        """Block this thread until there is news, or time is up; not at all if it runs an event loop."""
        if _is_on_event_loop():
            return NoAnswer.TIME_IS_UP
        waiter = _ThreadWaiter(self.caller)
        try:
            if not self._joins(waiter):
                return NoAnswer.LANDED
            return waiter.wait(timeout_s)
        finally:
            waiter.leave()

    async def await_(self, timeout_s: float) -> News:
        """Suspend this task until there is news, or time is up. A cancel hurts nobody else."""
        waiter = _TaskWaiter(self.caller)
        try:
            if not self._joins(waiter):
                return NoAnswer.LANDED
            return await waiter.wait(timeout_s)
        finally:
            waiter.leave()

    def _joins(self, waiter: _Waiter) -> bool:
        """Join the others; return whether the flight was still under way after that."""
        self.flight.waiters.append(waiter)
        return not self.flight.is_over


class _ThreadWaiter:
    """A thread that waits."""

    __slots__ = ("_box", "caller", "has_left")

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.has_left = False
        self._box: SimpleQueue[News] = SimpleQueue()

    def tell(self, news: News) -> None:
        """Wake him; nothing is lost on one who has just left, as `leave` and the lead itself see to it."""
        self._box.put(news)

    def wait(self, timeout_s: float) -> News:
        """Return the news."""
        try:
            return self._box.get(timeout=max(0.0, timeout_s))
        except Empty:
            return NoAnswer.TIME_IS_UP

    def leave(self) -> None:
        """Wait no more; what comes too late goes to the next one."""
        self.has_left = True
        with suppress(Empty):
            _refuse(self._box.get_nowait())


class _TaskWaiter:
    """A task that waits, on its event loop."""

    __slots__ = ("_loop", "_told", "caller", "has_left")

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.has_left = False
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Future[News] = self._loop.create_future()

    def tell(self, news: News) -> None:
        """Wake him, from whatever thread."""
        try:
            self._loop.call_soon_threadsafe(self._take, news)
        except RuntimeError:
            # The loop is closed, and its tasks are no more.
            _refuse(news)

    async def wait(self, timeout_s: float) -> News:
        """Return the news."""
        await asyncio.wait((self._told,), timeout=max(0.0, timeout_s))
        if not self._told.done():
            return NoAnswer.TIME_IS_UP
        # Taken: `leave` finds nothing to pass on.
        told, self._told = self._told, self._loop.create_future()
        return told.result()

    def leave(self) -> None:
        """Wait no more; what comes too late goes to the next one."""
        self.has_left = True
        if self._told.done():
            _refuse(self._told.result())
        else:
            self._told.cancel()

    def _take(self, news: News) -> None:
        if self._told.done():
            _refuse(news)
        else:
            self._told.set_result(news)


def _refuse(news: News) -> None:
    if isinstance(news, Lead):
        news.land(None)


def _caller() -> Caller:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), None if task is None else id(task)


def _is_on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
