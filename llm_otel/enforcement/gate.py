"""The way to the ledger for calls: bounded in time, and shut for a while after it could not be reached."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_otel.budgets.ledger import Balance, Decision, Hold, Line, Settlement, Store, StoreUnavailableError
from llm_otel.outage import Outage

if TYPE_CHECKING:
    from llm_otel.clock import Clock
    from llm_otel.recording import InternalErrorSink

_logger = logging.getLogger("llm_otel")


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The ledger did not answer, or is not asked because it just did not. Nothing is held for long."""


UNREACHABLE = Unreachable()

Answer = Decision | Unreachable
Standing = list[Balance] | Unreachable
"""How lines stand, one balance for each."""


class Gate:
    """Reserves and looks in a store. Thread-safe, and safe to cancel. Shut in an `Outage` of the store."""

    __slots__ = ("_on_error", "_outage", "_release", "store")

    def __init__(
        self, store: Store, clock: Clock, *, release: Callable[[Settlement], None], on_error: InternalErrorSink
    ) -> None:
        """Take a store.

        Args:
            store: What is asked.
            clock: For the time that it is left alone.
            release: Releases later what it may hold without having said so.
            on_error: Takes failures that should not be.
        """
        self.store = store
        self._release = release
        self._on_error = on_error
        self._outage = Outage(clock.monotonic)

    @property
    def is_shut(self) -> bool:
        """Whether the store was out when it was last asked."""
        return self._outage.is_on

    def reserve(self, hold: Hold) -> Answer:
        """Hold money, as `Store.reserve`."""
        if not self._outage.may_ask():
            return UNREACHABLE
        try:
            decision = self.store.reserve(hold)
        # A cancel too: the hold may exist. `_undecided` raises it again.
        except BaseException as exc:  # noqa: BLE001
            return self._undecided(exc, hold)
        self.reached()
        return decision

    async def areserve(self, hold: Hold) -> Answer:
        """Hold money without blocking the event loop."""
        if self.store.is_instant:
            return self.reserve(hold)
        if not self._outage.may_ask():
            return UNREACHABLE
        try:
            decision = await self.store.areserve(hold)
        # A cancel too: the hold may exist. `_undecided` raises it again.
        except BaseException as exc:  # noqa: BLE001
            return self._undecided(exc, hold)
        self.reached()
        return decision

    def balances(self, lines: Sequence[Line]) -> Standing:
        """Look how lines stand, as `Store.balances`."""
        if not self._outage.may_ask():
            return UNREACHABLE
        try:
            found = self.store.balances(lines)
        # Whatever it raises: nothing hangs on a look.
        except Exception as exc:  # noqa: BLE001
            return self._failed(exc)
        self.reached()
        return found

    async def abalances(self, lines: Sequence[Line]) -> Standing:
        """Look how lines stand without blocking the event loop."""
        if self.store.is_instant:
            return self.balances(lines)
        if not self._outage.may_ask():
            return UNREACHABLE
        try:
            found = await self.store.abalances(lines)
        # As above.
        except Exception as exc:  # noqa: BLE001
            return self._failed(exc)
        self.reached()
        return found

    def give_back(self, hold: Hold) -> None:
        """Release what may be held: the store may have done it and failed to say so, or do it yet."""
        self._release(Settlement(hold.id, 0, hold.lines))

    def reached(self) -> None:
        """Note that the store answers again."""
        if self._outage.ended():
            _logger.warning("llm_otel.ledger_available ledger=%s", self.store.name)

    def _undecided(self, error: BaseException, hold: Hold) -> Unreachable:
        """Note why there is no answer, from within the `except` block: budgets say what becomes of the call."""
        self.give_back(hold)
        if not isinstance(error, Exception):
            raise  # noqa: PLE0704  # called from the except block: re-raises the very same exception
        return self._failed(error)

    def _failed(self, error: Exception) -> Unreachable:
        if isinstance(error, StoreUnavailableError):
            if self._outage.began():
                _logger.warning("llm_otel.ledger_unavailable ledger=%s error=%s", self.store.name, error)
        else:
            # A bug of the store's: this call goes on without it; another may fare better.
            self._on_error("ledger", error)
        return UNREACHABLE
