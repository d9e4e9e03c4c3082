"""The choice of a model as attributes of a span."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_otel import semconv
from llm_otel.routing.reasons import EXPLICIT_MODEL

if TYPE_CHECKING:
    from llm_otel.routing.decision import Candidate, RouteDecision

_JUST_NAMED = (EXPLICIT_MODEL,)
_MOST_CANDIDATES = 10
"""So many stand on the span; the decision itself, in the response, has all."""


def attributes_of(decision: RouteDecision) -> dict[str, str | int | float | tuple[str, ...]]:
    """Return what a span says of a choice; nothing where the caller just named the model."""
    if decision.reason_codes == _JUST_NAMED:
        return {}
    attributes: dict[str, str | int | float | tuple[str, ...]] = {
        semconv.ROUTE_POLICY: decision.policy,
        semconv.ROUTE_REASON_CODES: decision.reason_codes,
        semconv.ROUTE_CANDIDATES: tuple(map(_told, decision.candidates[:_MOST_CANDIDATES])),
    }
    if decision.score is not None:
        attributes[semconv.ROUTE_SCORE] = decision.score
    if decision.capability is not None:
        attributes[semconv.ROUTE_CAPABILITY] = decision.capability.value
    if decision.original_model is not None:
        attributes[semconv.ROUTE_ORIGINAL_MODEL] = decision.original_model
    if decision.observed_model is not None:
        attributes[semconv.ROUTE_OBSERVED_MODEL] = decision.observed_model
    if decision.estimated_cost_usd is not None:
        attributes[semconv.ROUTE_ESTIMATED_COST_USD] = float(decision.estimated_cost_usd)
    if decision.estimated_saved_usd is not None:
        attributes[semconv.ROUTE_ESTIMATED_SAVED_USD] = float(decision.estimated_saved_usd)
    return attributes


def _told(candidate: Candidate) -> str:
    """Return a candidate as one short text: its cost, or why not."""
    cost = candidate.estimated_cost_usd
    told = candidate.why_not or ("price unknown" if cost is None else f"{cost.normalize():f} USD")
    return f"{candidate.provider}/{candidate.model}: {told}"
