"""The most that one call may cost, all its requests together: a limit that needs no ledger.

The requests of a call come one after the other, so what the earlier ones cost is known when the next one is weighed.
"""

from __future__ import annotations

from dataclasses import dataclass

from llm_otel.budgets.budget import Budget
from llm_otel.budgets.denial import Denial, DenialKind
from llm_otel.budgets.ledger import Balance
from llm_otel.budgets.matching import line_of
from llm_otel.budgets.windows import LIFETIME
from llm_otel.money import usd

CEILING = "max_cost_usd"
"""What refusals call it: the field of `LLMConfig` that sets it."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What a call may cost, and what its requests have cost so far, in nano-USD."""

    limit: int
    spent: int = 0

    def takes(self, amount: int | None) -> bool:
        """Tell whether a request that costs at most so much may be sent; not where that is not known."""
        return amount is not None and self.spent + amount <= self.limit

    def denial(self, amount: int | None, *, is_unbounded: bool, now_s: float) -> Denial:
        """Return the refusal of a request.

        Args:
            amount: What it costs at most; `None` where that is not known.
            is_unbounded: Nothing bounds its input.
            now_s: Seconds since the epoch.
        """
        budget = Budget(CEILING, limit_usd=usd(self.limit), window="lifetime", alerts=())
        return Denial(
            kind=DenialKind.UNKNOWN_PRICE if amount is None else DenialKind.TOO_LARGE,
            budget=budget,
            line=line_of(budget, "", LIFETIME),
            requested=amount,
            balance=Balance(self.spent, 0),
            is_unbounded=is_unbounded,
            is_of_call=True,
            now_s=now_s,
        )
