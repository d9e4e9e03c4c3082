"""How close a model's budgets are to their limits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Headroom:
    """The fullest of all budgets that a call to one model would be held to, soft ones included.

    Attributes:
        ratio: (spent + held) / limit; 1.0 and more: nothing is left. `None`: no budget concerns the model, or the
            ledger could not say.
        budget: The id of that budget; empty where there is none.
        scope: The value that it is split by; empty for one that is not split.
    """

    ratio: float | None
    budget: str
    scope: str


NO_BUDGET = Headroom(None, "", "")
"""Of a model that no budget concerns."""
