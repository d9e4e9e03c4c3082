"""A cheaper model when a budget is nearly used up, so that it lasts: said each time, and never below the floor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from llm_otel.routing.headroom import NO_BUDGET, Headroom
from llm_otel.routing.reasons import BUDGET_CRITICAL, BUDGET_NEAR, coded

if TYPE_CHECKING:
    from llm_otel.models.entry import ModelCapability
    from llm_otel.routing.itinerary import Model
    from llm_otel.routing.options import Option
    from llm_otel.routing.wanted import Need


_WORTH_IT = 0.9
"""Of the original's cost: what costs more than that is not the next cheaper model but one of the same price. Many stand
so close together that a step of one saves a hundredth, for an answer that another model writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taper:
    """From which share of a budget's limit on cheaper models are taken; spend and holds count.

    Attributes:
        cheaper_at: The next model that is as good, and cheaper by a tenth at least. 1.0 or more: never.
        cheapest_at: The cheapest that is good enough. 1.0 or more: never.
    """

    cheaper_at: float = 0.8
    cheapest_at: float = 0.95

    @property
    def is_off(self) -> bool:
        """Whether no budget has a cheaper model taken."""
        return min(self.cheaper_at, self.cheapest_at) >= 1.0

    def pressure(self, headroom: Headroom) -> str | None:
        """Return the reason code for a budget that is so full, without its detail; `None`: it is not."""
        ratio = headroom.ratio
        if ratio is None:
            return None
        if self.cheapest_at < 1.0 and ratio >= self.cheapest_at:
            return BUDGET_CRITICAL
        return BUDGET_NEAR if self.cheaper_at < 1.0 and ratio >= self.cheaper_at else None


NO_TAPER = Taper(cheaper_at=1.0, cheapest_at=1.0)


@dataclass(frozen=True, slots=True)
class Cheaper:
    """What is taken instead, the reason code that says so, and what that saves, in nano-USD."""

    option: Option
    code: str
    saved_nano: int


def cheaper_than(
    original: Option,
    pool: Callable[[], Iterable[Option]],
    *,
    need: Need,
    headroom: Mapping[Model, Headroom],
    taper: Taper,
) -> Cheaper | None:
    """Return what to take instead of a model whose budgets are nearly used up; `None`: take it.

    Soft budgets count as well: they are limits that somebody wants to keep, and this refuses nothing. A model whose
    own budgets are fuller than those of the original is no way out. One without a known price is not cheaper.

    Args:
        original: The choice without regard to budgets.
        pool: Returns models that can serve the request; of equals the earlier is taken. Asked only where it matters.
        need: What they have to be good enough for; nothing: what the original is good for.
        headroom: By model; one that is not there has no budget.
        taper: From when on.
    """
    pressed = headroom.get(original.model, NO_BUDGET)
    code = taper.pressure(pressed)
    if code is None or original.estimated_nano is None:
        return None
    is_critical = code == BUDGET_CRITICAL
    work = _least(original, need) if is_critical else _same(original, need)
    most_nano = original.estimated_nano * (1 if is_critical else _WORTH_IT)
    cheaper = [
        (option.estimated_nano, option)
        for option in pool()
        if option.estimated_nano is not None
        and option.estimated_nano < original.estimated_nano
        and option.estimated_nano <= most_nano
        and option.is_good_for(work)
        and (headroom.get(option.model, NO_BUDGET).ratio or 0.0) <= (pressed.ratio or 0.0)
    ]
    if not cheaper:
        return None
    # Both take the first of equals.
    extreme = min if is_critical else max
    nano, option = extreme(cheaper, key=itemgetter(0))
    return Cheaper(option, coded(code, pressed.budget), original.estimated_nano - nano)


def _same(original: Option, need: Need) -> frozenset[ModelCapability]:
    if need.wanted or original.entry is None:
        return need.wanted
    return original.entry.capabilities


def _least(original: Option, need: Need) -> frozenset[ModelCapability]:
    return need.least or _same(original, need)
