"""Which model was chosen, and why: a value that the response carries and the span shows."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from pydantic import BaseModel, ConfigDict

from llm_otel.fields import ExactUSD
from llm_otel.models.entry import ModelCapability
from llm_otel.money import format_amount
from llm_otel.routing.reasons import BUDGET_DOWNGRADE, EXPLICIT_MODEL, FALLBACK, coded, explain

EXPLICIT = "explicit"
"""`RouteDecision.policy` where the caller named the model."""


class Candidate(BaseModel):
    """A model that was looked at."""

    model_config = ConfigDict(frozen=True)

    model: str
    provider: str
    """The `gen_ai.provider.name` value."""
    estimated_cost_usd: ExactUSD | None = None
    """What this very call is expected to cost; `None` where nothing was compared or no price is known."""
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
    """The chosen one first, then the others that fit, the cheapest first, then those that do not."""
    reason_codes: tuple[str, ...]
    """Short constants, the decisive one first; `explain()` has them in words."""
    policy: str
    """What made the choice: `explicit` when the caller did, `capability`, `tier`, `auto`, or the name of a policy."""
    score: float | None = None
    """How complex the request was rated, 0 to 1; `None` where nothing was rated."""
    capability: ModelCapability | None = None
    """What the model had to be good enough for; `None` where nobody said."""
    original_model: str | None = None
    """The model that would have been taken but for a budget that is nearly used up, or could not pay for it."""
    estimated_saved_usd: ExactUSD | None = None
    """What the call is expected to cost less than with `original_model`."""
    observed_model: str | None = None
    """What would have been chosen automatically, where that was only to be observed."""

    @property
    def estimated_cost_usd(self) -> Decimal | None:
        """What the call is expected to cost with the chosen model; `None` where that was not asked, or is not known."""
        return self.candidates[0].estimated_cost_usd if self.candidates else None

    def explain(self) -> str:
        """Return what was chosen and why, in a few lines for people."""
        cost = "" if self.estimated_cost_usd is None else f", about {format_amount(self.estimated_cost_usd)}"
        lines = [f"{self.model} ({self.provider}){cost}", *(f"- {explain(code)}" for code in self.reason_codes)]
        if self.original_model is not None:
            saved = self.estimated_saved_usd
            less = "" if saved is None else f"; that saves about {format_amount(saved)}"
            lines.append(f"- Without that budget it would have been {self.original_model}{less}.")
        fitting = sum(each.fits for each in self.candidates)
        if len(self.candidates) > 1:
            lines.append(f"- Of {len(self.candidates)} models that were looked at, {fitting} can serve this request.")
        return "\n".join(lines)


def downgraded(decision: RouteDecision, taken: tuple[str, str], budget: str) -> RouteDecision:
    """Return a decision after which a budget had a cheaper model, (provider, name), taken."""
    changed = _instead(decision, taken, code=coded(BUDGET_DOWNGRADE, budget), why_not=f"does not fit into {budget!r}")
    return changed.model_copy(update={"original_model": decision.original_model or decision.model})


def fallen_back(decision: RouteDecision, taken: tuple[str, str]) -> RouteDecision:
    """Return a decision after which another model, (provider, name), was taken as a fallback."""
    code = coded(FALLBACK, decision.model)
    return _instead(decision, taken, code=code, why_not="failed, or could not be asked")


def _instead(decision: RouteDecision, taken: tuple[str, str], *, code: str, why_not: str) -> RouteDecision:
    """Return a decision that was overtaken: another model for a reason, and what is said of the first choice."""
    provider, model = taken
    known = next((each for each in decision.candidates if (each.provider, each.model) == taken), None)
    others = (
        each.model_copy(update={"fits": False, "why_not": why_not})
        if (each.provider, each.model) == (decision.provider, decision.model)
        else each
        for each in decision.candidates
        if each is not known
    )
    return decision.model_copy(
        update={
            "model": model,
            "provider": provider,
            "candidates": (known or Candidate(model=model, provider=provider), *others),
            "reason_codes": (code, *decision.reason_codes),
        }
    )


@lru_cache(maxsize=1024)
def explicit(model: str, provider: str) -> RouteDecision:
    """Return the decision of a caller who named the model."""
    return RouteDecision(
        model=model,
        provider=provider,
        candidates=(Candidate(model=model, provider=provider),),
        reason_codes=(EXPLICIT_MODEL,),
        policy=EXPLICIT,
    )
