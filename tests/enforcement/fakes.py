"""A clock that is moved by hand, and a store that fails when it is told to. Light: processes of their own import it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from llm_otel.budgets.ledger import (
    Balance,
    Decision,
    Hold,
    Line,
    RowQuery,
    RowState,
    Settled,
    Settlement,
    StoreUnavailableError,
)
from llm_otel.stores.memory import MemoryStore
from tests.stores.lines import START_MS


class HandClock:
    """Time that passes when somebody sleeps, or when the test says so.

    Attributes:
        pauses: How long was slept, each time.
    """

    def __init__(self) -> None:
        self.passed_s = 0.0
        self.pauses: list[float] = []

    def now_ns(self) -> int:
        return START_MS * 1_000_000 + round(self.passed_s * 1e9)

    def now_ms(self) -> int:
        return self.now_ns() // 1_000_000

    def monotonic(self) -> float:
        return 1000 + self.passed_s

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.passed_s += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


LOOK = "look"
"""Stands for the id where `FakeStore` is asked for balances, which have none."""


class FakeStore:
    """A ledger in memory that may be out, slow or broken.

    Attributes:
        is_out: It answers nothing.
        errors: What to raise instead, by the id of a hold or settle, or `LOOK`; each until it is taken away.
        late_errors: The same, but raised once all is done, and once only.
        go_on: Settles wait for it; set at first.
        reserved, settled: The ids of what it was asked, in order; `settled` only where it took them.
        asked_to_settle: The ids of all settles it was asked.
        looked_at: The lines whose balances were asked for, each time.
    """

    name = "fake://"
    is_shared = True
    max_limit = 10**18

    def __init__(self, clock: HandClock, *, is_instant: bool = False) -> None:
        self.is_instant = is_instant
        self.inner = MemoryStore(clock.now_ms)
        self.is_out = False
        self.errors: dict[str, BaseException] = {}
        self.late_errors: dict[str, BaseException] = {}
        self.go_on = threading.Event()
        self.go_on.set()
        self.reserved: list[str] = []
        self.settled: list[str] = []
        self.asked_to_settle: list[str] = []
        self.extended: list[tuple[str, int]] = []
        self.looked_at: list[tuple[Line, ...]] = []

    def now_ms(self) -> int:
        return self.inner.now_ms()

    def reserve(self, hold: Hold) -> Decision:
        self.reserved.append(hold.id)
        self._fail(hold.id)
        decision = self.inner.reserve(hold)
        self._fail_late(hold.id)
        return decision

    async def areserve(self, hold: Hold) -> Decision:
        return self.reserve(hold)

    def settle(self, settlement: Settlement) -> Settled:
        self.asked_to_settle.append(settlement.id)
        # The collector may settle in the middle of `wait`, whose lock is not reentrant.
        if not self.go_on.is_set():
            self.go_on.wait()
        self._fail(settlement.id)
        settled = self.inner.settle(settlement)
        self.settled.append(settlement.id)
        self._fail_late(settlement.id)
        return settled

    def extend(self, hold_id: str, lease_ms: int) -> bool:
        self._fail(hold_id)
        self.extended.append((hold_id, lease_ms))
        return self.inner.extend(hold_id, lease_ms)

    def sweep(self, limit: int) -> int:
        return self.inner.sweep(limit)

    def snapshot(self, queries: Sequence[RowQuery]) -> list[RowState]:
        return self.inner.snapshot(queries)

    def balances(self, lines: Sequence[Line]) -> list[Balance]:
        self.looked_at.append(tuple(lines))
        self._fail(LOOK)
        return self.inner.balances(lines)

    async def abalances(self, lines: Sequence[Line]) -> list[Balance]:
        return self.balances(lines)

    def close(self) -> None:
        self.inner.close()

    def _fail(self, id_: str) -> None:
        if self.is_out:
            raise StoreUnavailableError("it is out")
        if id_ in self.errors:
            raise self.errors[id_]

    def _fail_late(self, id_: str) -> None:
        if id_ in self.late_errors:
            raise self.late_errors.pop(id_)
