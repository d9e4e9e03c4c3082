"""Why a call is refused, and what its caller can do: from the ledger's answer to an error."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from llm_otel.errors import BudgetExceededError
from llm_otel.money import usd
from llm_otel.outage import OUTAGE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_otel.budgets.budget import Budget
    from llm_otel.budgets.ledger import Balance, Line
    from llm_otel.budgets.matching import Matched

_THIS_CALL = "this call"


class DenialKind(StrEnum):
    """Why money was refused; the worst first."""

    UNKNOWN_PRICE = "unknown_price"
    """What the call may cost is not known, and the budget counts money."""
    STORE_UNAVAILABLE = "store_unavailable"
    """The ledger cannot be reached, and the budget is not to be passed unseen."""
    TOO_LARGE = "too_large"
    """It would not fit into the whole limit, or into what earlier attempts have left of the call's own."""
    EXHAUSTED = "exhausted"
    """What is spent leaves too little until the window resets."""
    IN_FLIGHT = "in_flight"
    """It would fit, were it not for calls that have not settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A refusal, with its numbers in nano-USD.

    Attributes:
        requested: `None` where it is not known.
        balance: `None` where it is not known.
        is_unbounded: Nothing bounds the input of the request.
        is_of_call: The limit is the call's own, `max_cost_usd`; `budget` was made for this refusal alone.
        now_s: Seconds since the epoch.
    """

    kind: DenialKind
    budget: Budget
    line: Line
    requested: int | None = None
    balance: Balance | None = None
    is_unbounded: bool = False
    is_of_call: bool = False
    now_s: float

    @property
    def resets_at(self) -> datetime | None:
        """When the window begins anew, in the budget's time zone; `None` for a lifetime."""
        at = self.budget.parsed_window.span(int(self.now_s)).resets_at
        return None if at is None else datetime.fromtimestamp(at, self.budget.parsed_window.zone)

    @property
    def window_ends_in_s(self) -> float | None:
        """When the first spend of the window may leave it, in seconds; `None` for a lifetime."""
        end = self.budget.parsed_window.span(int(self.now_s)).end
        return None if end is None else max(0.0, end - self.now_s)

    @property
    def retry_after_s(self) -> float | None:
        """When to try again, in seconds; `None` where waiting does not help."""
        if self.kind is DenialKind.EXHAUSTED:
            return None if self.resets_at is None else max(0.0, self.resets_at.timestamp() - self.now_s)
        return _RETRY_S.get(self.kind)

    def error(self) -> BudgetExceededError:
        """Make the error that the caller sees."""
        window = self.budget.parsed_window
        return BudgetExceededError(
            kind=str(self.kind),
            budget=self.budget.id,
            scope=self.line.scope,
            window=_THIS_CALL if self.is_of_call else window.title(window.span(int(self.now_s))),
            limit_usd=usd(self.line.limit),
            spent_usd=None if self.balance is None else usd(self.balance.spent),
            held_usd=None if self.balance is None else usd(self.balance.held),
            requested_usd=None if self.requested is None else usd(self.requested),
            resets_at=self.resets_at,
            retry_after_s=self.retry_after_s,
            is_unbounded=self.is_unbounded,
            is_of_call=self.is_of_call,
            has_waited=self.budget.on_exceeded == "wait",
        )


def refusing(matched: Matched, balances: tuple[Balance, ...], amount: int) -> Iterator[tuple[Budget, Line, Balance]]:
    """Yield what an amount does not fit into."""
    for budget, line, balance in zip(matched.budgets, matched.lines, balances, strict=True):
        if line.is_hard and balance.spent + balance.held + amount > line.limit:
            yield budget, line, balance


def judge(matched: Matched, balances: tuple[Balance, ...], amount: int, *, now_s: float) -> Denial:
    """Return the refusal of an amount: of several budgets that it does not fit into, that with the worst reason."""
    found = [
        Denial(
            kind=_kind(line, balance, amount), budget=budget, line=line, requested=amount, balance=balance, now_s=now_s
        )
        for budget, line, balance in refusing(matched, balances, amount)
    ]
    return min(found, key=lambda denial: _SEVERITY[denial.kind])


def _kind(line: Line, balance: Balance, amount: int) -> DenialKind:
    if amount > line.limit:
        return DenialKind.TOO_LARGE
    return DenialKind.EXHAUSTED if balance.spent + amount > line.limit else DenialKind.IN_FLIGHT


_SEVERITY = {kind: rank for rank, kind in enumerate(DenialKind)}
_RETRY_S = {
    # About as long as a short completion takes.
    DenialKind.IN_FLIGHT: 1.0,
    DenialKind.STORE_UNAVAILABLE: OUTAGE_S,
}
