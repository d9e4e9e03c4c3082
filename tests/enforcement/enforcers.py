"""An enforcer over a fake ledger, with a clock that is moved by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from llm_otel.budgets.budget import Budget
from llm_otel.budgets.matching import BudgetSet
from llm_otel.call import CallRequest
from llm_otel.enforcement.enforcer import Enforcer, Means
from llm_otel.enforcement.ids import HoldIds
from llm_otel.enforcement.journal import Journal
from llm_otel.pricing.book import PriceBook
from llm_otel.recording import Guard
from tests.enforcement.fakes import FakeStore, HandClock
from tests.stores.lines import START_MS

AT = datetime.fromtimestamp(START_MS / 1000, UTC)


class Made:
    """An enforcer, and what it is made of.

    Attributes:
        budgets: Those in force; a test may change them.
        errors: What went wrong on the way.
        tokens: What the tokenizer counts.
    """

    def __init__(self, *budgets: Budget, is_instant: bool = True) -> None:
        self.budgets = BudgetSet(budgets)
        self.clock = HandClock()
        self.store = FakeStore(self.clock, is_instant=is_instant)
        self.errors: list[Exception] = []
        self.tokens: int | None = None
        self.enforcer = Enforcer(
            Means(
                budgets=lambda: self.budgets,
                store=self.store,
                journal=Journal("fake://"),
                prices=PriceBook(),
                clock=self.clock,
                guard=Guard(lambda _, error: self.errors.append(error)),
                new_id=HoldIds(),
                chance=lambda: 0.5,
                count=lambda _: self.tokens,
            )
        )

    def standing(self, budget: str = "team") -> tuple[int, int]:
        """Return what is spent and held of a budget that is not split, in nano-USD."""
        (status,) = [each for each in self.enforcer.statuses() if each.budget.id == budget]
        return int(status.spent_usd * 10**9), int(status.held_usd * 10**9)


def budget(limit_nano: int = 10**12, name: str = "team", **more: Any) -> Budget:
    """A lifetime budget, unless told otherwise."""
    return Budget(name, **{"limit_usd": Decimal(limit_nano).scaleb(-9), "window": "lifetime", **more})


def request(model: str = "gpt-4o", provider: str = "openai", **more: Any) -> CallRequest:
    """A completion that is asked for."""
    fields: dict[str, Any] = {"operation": "chat", "provider": provider, "model": model, "litellm_model": model}
    return CallRequest(**{**fields, **more})
