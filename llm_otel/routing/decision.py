"""Which model was chosen, and why: a value that the response carries and the span shows."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from pydantic import BaseModel, ConfigDict

EXPLICIT_MODEL = "explicit_model"
"""Reason code: the caller named the model."""
BUDGET_DOWNGRADE = "budget_downgrade"
"""Reason code, followed by the budget's id: a cheaper model was taken."""


class Candidate(BaseModel):
    """A model that was looked at."""

    model_config = ConfigDict(frozen=True)

    model: str
    provider: str
    """The `gen_ai.provider.name` value."""
    estimated_cost_usd: Decimal | None = None
    """For this very call; `None` where no estimate was asked for or no price is known."""
    fits: bool = True
    why_not: str | None = None
    """What keeps it from serving the call; `None` where nothing does."""


class RouteDecision(BaseModel):
    """The choice of a model, with its reasons."""

    model_config = ConfigDict(frozen=True)

    model: str
    provider: str
    """The `gen_ai.provider.name` value."""
    candidates: tuple[Candidate, ...]
    reason_codes: tuple[str, ...]
    """Short constants, the decisive one first."""
    policy: str
    """What made the choice: `explicit` when the caller did."""
    score: float | None = None
    """How complex the request was rated, 0 to 1; `None` where nothing was rated."""


def downgraded(asked: tuple[str, str], taken: tuple[str, str], budget: str) -> RouteDecision:
    """Return the decision of a budget that had a cheaper model taken; models are (provider, name)."""
    (asked_provider, asked_model), (provider, model) = asked, taken
    why_not = f"does not fit into budget {budget!r}"
    return RouteDecision(
        model=model,
        provider=provider,
        candidates=(
            Candidate(model=model, provider=provider),
            Candidate(model=asked_model, provider=asked_provider, fits=False, why_not=why_not),
        ),
        reason_codes=(f"{BUDGET_DOWNGRADE}:{budget}", EXPLICIT_MODEL),
        policy="explicit",
    )


@lru_cache(maxsize=1024)
def explicit(model: str, provider: str) -> RouteDecision:
    """Return the decision of a caller who named the model."""
    return RouteDecision(
        model=model,
        provider=provider,
        candidates=(Candidate(model=model, provider=provider),),
        reason_codes=(EXPLICIT_MODEL,),
        policy="explicit",
    )
