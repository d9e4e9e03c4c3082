"""What a ledger is asked, and what it answers.

A ledger keeps one **row** for each (budget, scope, start of window): what is spent there, and what is held for calls in
flight. A call holds its estimate on all the rows that it concerns in one step, or on none, and settles what it really
cost on the same rows, whenever that comes:

                    ┌─ settle ──► settled (spend: the actual cost)
    reserve ─► held ┤
                    └─ lease over ─► expired (spend: the floor) ── settle ──► settled (corrected to the actual cost)

All amounts are whole nano-USD. All times are the store's own: milliseconds since the epoch, UTC; windows start and end
on whole seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MAX_STEP_BACK_MS = 3_600_000
"""A clock that jumps back by no more than this is waited for; by more, it is believed."""

SWEEP_BATCH = 20
"""How many holds whose lease is over are expired on the way of one `reserve`."""

HOLD_KEPT_MS = 86_400_000
"""How long the end of a hold is remembered: as long as a settle may be repeated, or come late."""


@dataclass(frozen=True, slots=True)
class Line:
    """One budget's part in a hold: the row that is charged, and how much may stand there.

    Attributes:
        budget: The budget's id.
        scope: The value that the budget is split by; empty for a budget that is not split.
        start: When the row's window began, in seconds since the epoch; 0 for a lifetime.
        end: When it is over (exclusive): no later hold may be put there. `None` for a lifetime.
        starts: The rows that count against the limit, ascending, `start` the last of them: one for a calendar window,
            the buckets of the window for a rolling one.
        limit: nano-USD that spend and holds together may not pass.
        is_hard: Whether it may refuse; a soft budget only counts.
        thresholds: nano-USD of spend, ascending, each to be announced the first time it is reached.
        forget_at: When the row may be deleted, in seconds since the epoch; `None` for never.
    """

    budget: str
    scope: str
    start: int
    end: int | None
    starts: tuple[int, ...]
    limit: int
    is_hard: bool = True
    thresholds: tuple[int, ...] = ()
    forget_at: int | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Money to set aside for one request to a provider.

    Attributes:
        id: Of this request alone. Reserving it again gives the same answer, and holds nothing more.
        amount: nano-USD, the estimate; 0 is allowed.
        floor: nano-USD to book when the lease runs out: what the provider bills for having read the request. At most
            `amount`.
        lease_ms: How long it is held without a sign of life, by the store's clock.
        lines: Where; no two for the same row.
    """

    id: str
    amount: int
    floor: int
    lease_ms: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a request really cost.

    Attributes:
        id: The hold's.
        actual: nano-USD; 0 releases the hold. More than was held is booked all the same.
        lines: The hold's. Where the store knows nothing of the hold (it was out, or had forgotten), the cost is booked
            there.
    """

    id: str
    actual: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Crossing:
    """A threshold that spend has reached, told to one caller only, over all processes."""

    line: Line
    threshold: int
    spent: int


Crossed = Callable[[tuple[Crossing, ...]], None]
"""Takes thresholds that were reached."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The money is held on every line. `crossings` are due to holds that expired on the way."""

    crossings: tuple[Crossing, ...] = ()


@dataclass(frozen=True, slots=True)
class Balance:
    """What stands in the rows that count for one line."""

    spent: int
    held: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing is held anywhere: it does not fit. `balances` has one for each line, in their order."""

    balances: tuple[Balance, ...]
    now_ms: int
    crossings: tuple[Crossing, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """Nothing is held anywhere: by the store's clock a line's window is over, or has not begun."""

    now_ms: int


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing is held anywhere: this id was settled before it was reserved, by one who gave up waiting."""


Decision = Granted | Refused | Moved | Ended


class SettledAs(StrEnum):
    """What a settle found."""

    HELD = "held"
    """The hold: the normal case."""
    EXPIRED = "expired"
    """The lease had run out; what was booked then is corrected."""
    UNKNOWN = "unknown"
    """Nothing: the cost is booked without a hold."""
    REPEATED = "repeated"
    """The same settle, done before; nothing changed."""
    CONFLICT = "conflict"
    """A settle of another amount, done before. The first one stands."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The cost is booked, exactly once."""

    found: SettledAs
    crossings: tuple[Crossing, ...] = ()


@dataclass(frozen=True, slots=True)
class RowQuery:
    """Asks for all scopes of a budget, summed over the rows that began at `starts`."""

    budget: str
    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RowState:
    """What stands in the rows of one scope of a budget."""

    budget: str
    scope: str
    spent: int
    held: int


class StoreUnavailableError(Exception):
    """The store did not answer, or not in time. What it did with the request is not known."""


class Store(Protocol):
    """A ledger's place. Every operation is atomic, over all processes that share the store; thread-safe.

    All raise `StoreUnavailableError` when the store cannot be reached.

    Attributes:
        name: What messages call it: its address, without password.
        is_shared: Whether other processes see it.
        is_instant: Whether an operation takes microseconds and waits for nobody: it may run on an event loop.
        max_limit: The largest limit in nano-USD that it compares exactly.
    """

    name: str
    is_shared: bool
    is_instant: bool
    max_limit: int

    def now_ms(self) -> int:
        """Return the store's time."""

    def reserve(self, hold: Hold) -> Decision:
        """Hold the amount on all lines, or on none, after expiring at most `SWEEP_BATCH` holds whose lease is over.

        It fits where `spent + held + amount <= limit` on every hard line.
        """

    async def areserve(self, hold: Hold) -> Decision:
        """Reserve without blocking the event loop. A cancel leaves it unknown whether the money is held."""

    def settle(self, settlement: Settlement) -> Settled:
        """Replace the hold by what the request cost."""

    def extend(self, hold_id: str, lease_ms: int) -> bool:
        """Let a hold's lease start anew; return whether it is still held."""

    def sweep(self, limit: int) -> int:
        """Expire at most `limit` holds whose lease is over, the longest over first; return how many."""

    def snapshot(self, queries: Sequence[RowQuery]) -> list[RowState]:
        """Return what stands in the rows asked for, without changing anything."""

    def balances(self, lines: Sequence[Line]) -> list[Balance]:
        """Return what stands in the rows that count for each line, in their order, without changing anything.

        It reads those rows alone, however many scopes their budgets have.
        """

    async def abalances(self, lines: Sequence[Line]) -> list[Balance]:
        """Return balances without blocking the event loop."""

    def close(self) -> None:
        """Let go of files and connections. Operations after that raise `StoreUnavailableError`."""


def steady(now_ms: int, last_ms: int) -> int:
    """Return the time that a store goes by: the clock's, or the last one it went by while the clock is a bit behind."""
    return last_ms if 0 < last_ms - now_ms <= MAX_STEP_BACK_MS else now_ms
