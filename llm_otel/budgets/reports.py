"""What is told of budgets: alerts, and how they stand. Values for people and programs, in US dollars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from llm_otel.budgets.ledger import RowQuery
from llm_otel.money import usd

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from llm_otel.budgets.budget import Budget
    from llm_otel.budgets.ledger import Crossing, RowState, Store

NEAR_RATIO = 0.8
"""From this much of its limit on, a scope is near it."""


class State(StrEnum):
    """How much of a limit is spent, in a word."""

    OK = "ok"
    NEAR = "near"
    EXCEEDED = "exceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetAlert:
    """Spend has reached a threshold of a budget, for the first time in its window.

    Attributes:
        budget: The budget's id.
        scope: The value that it is split by; empty for one that is not split.
        window_start: When the window began, in seconds since the epoch; 0 for a lifetime and a run.
        fraction: The threshold as a fraction of the limit, such as 0.8.
        threshold_usd: The threshold.
        spent_usd: Spend in the window when it was noticed.
        limit_usd: The limit.
    """

    budget: str
    scope: str
    window_start: int
    fraction: float
    threshold_usd: Decimal
    spent_usd: Decimal
    limit_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """How one scope of a budget stands.

    Attributes:
        window: The window in words, such as `month 2026-11, Europe/Berlin`.
        window_s: The length of the window in seconds; `None` for a lifetime.
        resets_at: When the window begins anew, in the budget's time zone; `None` for a lifetime.
        headroom_usd: What is left: limit less spend and holds. Negative after an overrun.
    """

    budget: Budget
    scope: str
    window: str
    window_s: int | None
    resets_at: datetime | None
    limit_usd: Decimal
    spent_usd: Decimal
    held_usd: Decimal
    headroom_usd: Decimal

    @property
    def used_ratio(self) -> float:
        """Spend over limit; a limit of 0 is used up."""
        return float(self.spent_usd) / float(self.limit_usd) if self.limit_usd else 1.0

    @property
    def used_percentage(self) -> float:
        """The same in percent: 29.0, where a hundred times the ratio would be 28.999999999999996."""
        return float(f"{self.spent_usd:f}e2") / float(self.limit_usd) if self.limit_usd else 100.0

    @property
    def state(self) -> State:
        """That ratio in a word."""
        if self.spent_usd >= self.limit_usd:
            return State.EXCEEDED
        return State.NEAR if self.used_ratio >= NEAR_RATIO else State.OK


def alert_of(crossing: Crossing) -> BudgetAlert:
    """Return what is told of a threshold that was reached."""
    line = crossing.line
    return BudgetAlert(
        budget=line.budget,
        scope=line.scope,
        window_start=max(0, line.start),
        fraction=round(crossing.threshold / line.limit, 6) if line.limit else 1.0,
        threshold_usd=usd(crossing.threshold),
        spent_usd=usd(crossing.spent),
        limit_usd=usd(line.limit),
    )


def statuses_of(budget: Budget, rows: Iterable[RowState], *, now_s: int) -> list[BudgetStatus]:
    """Return how a budget's scopes stand, the most used first; a budget that is not split always has its one."""
    window = budget.parsed_window
    span = window.span(now_s)
    resets_at = None if span.resets_at is None else datetime.fromtimestamp(span.resets_at, window.zone)
    found = {row.scope: (row.spent, row.held) for row in rows}
    if not budget.split_by:
        found.setdefault("", (0, 0))
    statuses = [
        BudgetStatus(
            budget=budget,
            scope=scope,
            window=window.title(span),
            window_s=window.rolling_s or (None if span.end is None else span.end - span.start),
            resets_at=resets_at,
            limit_usd=usd(budget.limit_nano),
            spent_usd=usd(spent),
            held_usd=usd(held),
            headroom_usd=usd(budget.limit_nano - spent - held),
        )
        for scope, (spent, held) in found.items()
    ]
    # They have one limit: the most used has the least left.
    return sorted(statuses, key=lambda status: (status.headroom_usd, status.scope))


def survey(store: Store, budgets: Iterable[Budget], *, now_s: int) -> list[BudgetStatus]:
    """Ask a ledger how budgets stand, in their order, each with its most used scopes first.

    Args:
        store: The ledger's place.
        budgets: Which.
        now_s: Says which windows are meant, in seconds since the epoch.

    Raises:
        StoreUnavailableError: The ledger cannot be reached.
    """
    budgets = tuple(budgets)
    if not budgets:
        return []
    rows: dict[str, list[RowState]] = {}
    for row in store.snapshot([RowQuery(each.id, each.parsed_window.span(now_s).starts) for each in budgets]):
        rows.setdefault(row.budget, []).append(row)
    return [status for each in budgets for status in statuses_of(each, rows.get(each.id, ()), now_s=now_s)]
