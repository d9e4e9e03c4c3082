"""What a user implements to choose among models by rules of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from llm_otel.routing.headroom import NO_BUDGET, Headroom

if TYPE_CHECKING:
    from llm_otel.models.entry import ModelCapability, ModelTier
    from llm_otel.routing.decision import Candidate
    from llm_otel.routing.itinerary import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRequest:
    """What a policy is told of a request. There is no text in it.

    Attributes:
        input_tokens: So many there are likely to be.
        output_tokens: How long the answers are taken to be, all together.
        needs_tools: It brings tools; all candidates take them.
        needs_vision: It has images; all candidates take them.
        needs_json: It asks for JSON; all candidates can.
        capability: What the model has to be good enough for; `None` where the caller said nothing.
        tier: The price class that was asked for.
        score: How hard the request was found, 0 to 1; `None` where it was not rated.
        tags: What the call is for.
        headroom: The fullest budget of each candidate, by (provider, model), where one concerns it.
    """

    input_tokens: int
    output_tokens: int
    needs_tools: bool = False
    needs_vision: bool = False
    needs_json: bool = False
    capability: ModelCapability | None = None
    tier: ModelTier | None = None
    score: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    headroom: Mapping[Model, Headroom] = field(default_factory=dict)

    def headroom_of(self, candidate: Candidate) -> Headroom:
        """Return how close a candidate's budgets are to their limits."""
        return self.headroom.get((candidate.provider, candidate.model), NO_BUDGET)


class RoutingPolicy(Protocol):
    """Chooses the model of a request. One instance serves all threads and tasks.

    It is asked where the caller did not name the model. What it gets has passed every filter and is sorted, the
    cheapest first. What it returns is checked: a model that is none of them, nothing at all or an exception has the
    cheapest taken, which the decision says (`policy_failed`); with `configure(strict=True)` it is raised.

    Attributes:
        name: Short; it stands in the decision and on the span.
    """

    name: str

    def choose(self, request: RouteRequest, candidates: Sequence[Candidate]) -> Candidate | Sequence[Candidate]:
        """Return the model to take, or several in the order in which they are to be tried.

        No call of its own, no lock, no file: it runs before every call, also on event loops.
        """


def checked(returned: Candidate | Sequence[Candidate], candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return what a policy chose as a list, each candidate once.

    Raises:
        ValueError: It is none of the candidates, or nothing.
        TypeError: It is no candidate at all.
    """
    known = {(each.provider, each.model): each for each in candidates}
    order = returned if isinstance(returned, list | tuple) else [returned]
    chosen: dict[Model, Candidate] = {}
    for each in order:
        if not isinstance(each, type(candidates[0])):
            raise TypeError(f"a policy returns a Candidate or a list of them, not {type(each).__name__}")
        if (model := (each.provider, each.model)) not in known:
            raise ValueError(f"{each.provider}/{each.model} is none of the candidates")
        chosen[model] = known[model]
    if not chosen:
        raise ValueError("a policy returns one candidate at least")
    return list(chosen.values())
