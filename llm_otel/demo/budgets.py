"""The budgets that the demo is held to, and how it fared with them.

In each set the first budget counts every call: what the ledger has there is held against all other records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from typing import TYPE_CHECKING

from llm_otel import semconv
from llm_otel.budgets.budget import Budget
from llm_otel.demo import metrics
from llm_otel.demo.report import Alert, Budgets
from llm_otel.drawing.budgets import standings_of
from llm_otel.drawing.figures import nano_of
from llm_otel.money import NANO_PER_USD, usd

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from llm_otel.budgets.reports import BudgetAlert, BudgetStatus
    from llm_otel.errors import BudgetExceededError

Limits = tuple[Decimal, Decimal, Decimal]
"""US dollars: of the company, of each team, of each shopper."""

_LIMITS_OF_NONE: Limits = (Decimal("0.012"), Decimal("0.006"), Decimal("0.00003"))
_LIMITS_PER_CALL: Limits = (Decimal("0.0004"), Decimal("0.00013"), Decimal("0.0000015"))
"""What the calls cost and a bit more, so that the bars of a run of any length have something to show."""
_LIMITS_SERVED: Limits = (Decimal(1_500), Decimal("0.9"), Decimal("0.005"))
"""For a service that goes on, at 1.7 USD an hour: of a month for the company, of an hour for the others. The research
team, at 1 USD, runs out near the end of each hour; the rest last."""
_TWO_DIGITS = Context(prec=2)
_PILOT_USD = Decimal("0.0075")
"""A handful of calls of the large model, then as many of the small one, and then no more."""


def simulated(calls: int, *, is_served: bool) -> tuple[Budget, ...]:
    """Return the budgets of the scenario. Only the labs' refuses: what it refuses does not depend on other calls."""
    company, team, shopper = _LIMITS_SERVED if is_served else _limits(calls)
    window = "hour" if is_served else "day"
    return (
        Budget("company", limit_usd=company, window="month", kind="soft"),
        Budget("team", limit_usd=team, window=window, by="team", kind="soft", alerts=(0.8, 1.0)),
        Budget(
            "shopper", limit_usd=shopper, window=window, by="user", match={"team": "search"}, kind="soft", alerts=()
        ),
        Budget(
            "labs",
            limit_usd=_PILOT_USD,
            window="day",
            match={"team": "labs"},
            on_exceeded="downgrade",
            downgrade_to=("claude-haiku-4-5",),
        ),
    )


def _limits(calls: int) -> Limits:
    pairs = zip(_LIMITS_OF_NONE, _LIMITS_PER_CALL, strict=True)
    company, team, shopper = (_TWO_DIGITS.create_decimal(least + calls * each) for least, each in pairs)
    return company, team, shopper


def real(ceiling_nano: int | None) -> tuple[Budget, ...]:
    """Return budgets for calls that cost real money: they count what was agreed to, and refuse nothing."""
    if not ceiling_nano:
        return ()
    return (
        Budget("agreed", limit_usd=usd(ceiling_nano), window="lifetime", kind="soft"),
        Budget("team", limit_usd=usd(ceiling_nano // 2), window="day", by="team", kind="soft"),
    )


class Watch:
    """Keeps what budgets did in a run, and says so while it runs. Thread-safe."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.alerts: list[Alert] = []
        self.refusals: list[BudgetExceededError] = []

    def alerted(self, alert: BudgetAlert) -> None:
        """Take an alert: what `configure(on_budget_alert=...)` calls."""
        kept = Alert(
            budget=alert.budget,
            scope=alert.scope,
            fraction=alert.fraction,
            spent_nano=nano_of(alert.spent_usd),
            limit_nano=nano_of(alert.limit_usd),
        )
        self.alerts.append(kept)
        self._tell(f"Budget alert: {kept}")

    def refused(self, refusal: BudgetExceededError) -> None:
        """Take the error that a service got instead of an answer."""
        if not self.refusals:
            self._tell(f"Budget {refusal.budget} is used up: its calls are refused from now on")
        self.refusals.append(refusal)


def fared(
    budgets: Sequence[Budget],
    statuses: Sequence[BudgetStatus],
    watch: Watch,
    registry: CollectorRegistry,
    *,
    now_s: int,
) -> Budgets | None:
    """Return how a run fared with its budgets; `None` where it had none."""
    if not budgets:
        return None
    refusals = watch.refusals
    saved = metrics.total_by(registry, semconv.SAVED, semconv.LABEL_REASON)
    return Budgets(
        at_s=now_s,
        standings=standings_of(budgets, statuses, now_s=now_s),
        alerts=tuple(watch.alerts),
        refused=dict(Counter(refusal.kind for refusal in refusals)),
        refused_nano=sum(nano_of(refusal.requested_usd or Decimal(0)) for refusal in refusals),
        refusal=str(refusals[0]) if refusals else None,
        downgraded=round(metrics.total(registry, semconv.BUDGET_DOWNGRADES)),
        saved_nano=round(saved.get(semconv.SAVED_BY_DOWNGRADE, 0) * NANO_PER_USD),
    )


def spent_nano(statuses: Sequence[BudgetStatus]) -> int | None:
    """Return all spend by the ledger; `None` where there are no budgets."""
    return nano_of(statuses[0].spent_usd) if statuses else None
