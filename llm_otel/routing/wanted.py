"""What the caller wants of a model, and what a model must be good enough for to be taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_otel.models.entry import ModelCapability, ModelTier
from llm_otel.routing.reasons import CAPABILITY, QUALITY_FLOOR, RATED, SIGNAL, coded

if TYPE_CHECKING:
    from llm_otel.models.resolve import ModelRef
    from llm_otel.routing.complexity import Rating

AUTO = "auto"
"""The name of a model that leaves the choice to the rating of the request."""
OBSERVE = "observe"
"""`LLMConfig.routing` where what that would lead to is only said."""

LEVELS = (ModelCapability.SIMPLE, ModelCapability.MODERATE, ModelCapability.COMPLEX)
"""Steps of difficulty, the easiest first. The other capabilities are kinds of work."""
_HEIGHT = {level: height for height, level in enumerate(LEVELS)}

_MOST_SIGNALS = 8
"""So many are told; they come in the order of their weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the caller's configuration says about the choice of a model.

    Attributes:
        model: The one that was named; `None`: it is to be chosen.
        is_auto: The request is to be rated.
        is_observed: `model` is taken, and what the rating would have led to is only said.
        provider: Only models of this one (`gen_ai.provider.name`); `None`: of any.
        capability: What the model must be good enough for; beside a named `model`, what a cheaper one must be.
        tier: The price class to choose from.
        quality_floor: No choice goes below.
        allow: Models or providers that alone may be chosen; empty: all.
        deny: Models or providers that are never chosen.
        fallbacks: Where to go when the chosen model fails; `None`: the next best candidates.
        max_cost_nano: The most that the call may cost, in nano-USD; `None` for no such limit.
    """

    model: ModelRef | None = None
    is_auto: bool = False
    is_observed: bool = False
    provider: str | None = None
    capability: ModelCapability | None = None
    tier: ModelTier | None = None
    quality_floor: ModelCapability | None = None
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    fallbacks: tuple[ModelRef, ...] | None = None
    max_cost_nano: int | None = None

    @property
    def is_by_name(self) -> bool:
        """Whether the name decides all."""
        return self.model is not None and decides_all(self.capability, self.tier, is_observed=self.is_observed)


def decides_all(capability: ModelCapability | None, tier: ModelTier | None, *, is_observed: bool) -> bool:
    """Tell whether the name of a model decides all: with this beside it, nothing needs to be compared with it."""
    return capability is None and tier is None and not is_observed


@dataclass(frozen=True, slots=True)
class Need:
    """What a model must be good enough for.

    Attributes:
        wanted: All of these.
        least: All of these, where a budget is all but used up: the caller's floor, else the same.
        codes: Reason codes that say where it comes from.
    """

    wanted: frozenset[ModelCapability]
    least: frozenset[ModelCapability]
    codes: tuple[str, ...] = ()

    @property
    def main(self) -> ModelCapability | None:
        """The kind of work where there is one, else the level; `None` where nothing is needed."""
        return min(self.wanted, key=lambda each: (each in _HEIGHT, each), default=None)


def need_of(wanted: Wanted, rating: Rating | None) -> Need:
    """Return what a model must be good enough for, as the caller said and the request was rated.

    A kind of work (coding, research) stays whatever the floor is: it is never traded for a level.
    """
    asked: list[ModelCapability] = []
    codes: list[str] = []
    if wanted.capability is not None:
        asked.append(wanted.capability)
        codes.append(coded(CAPABILITY, wanted.capability))
    if rating is not None:
        asked += _rated(rating)
        codes.append(coded(RATED, rating.capability))
        codes += [coded(SIGNAL, signal) for signal in rating.signals[:_MOST_SIGNALS]]
    floor = wanted.quality_floor
    whole = _joined((*asked, floor) if floor is not None else asked)
    if floor is None:
        return Need(whole, whole, tuple(codes))
    if whole != _joined(asked):
        codes.append(coded(QUALITY_FLOOR, floor))
    kinds = whole - _HEIGHT.keys()
    return Need(whole, kinds | {floor}, tuple(codes))


def _rated(rating: Rating) -> tuple[ModelCapability, ...]:
    """Return what a rating asks for: any coder writes a simple loop, not every one weighs a design."""
    if rating.capability not in _HEIGHT and rating.level == ModelCapability.COMPLEX:
        return rating.capability, ModelCapability.COMPLEX
    return (rating.capability,)


def _joined(asked: list[ModelCapability] | tuple[ModelCapability, ...]) -> frozenset[ModelCapability]:
    """Return the kinds of work, and the highest of the levels."""
    levels = [each for each in asked if each in _HEIGHT]
    kinds = frozenset(each for each in asked if each not in _HEIGHT)
    return kinds | {max(levels, key=_HEIGHT.__getitem__)} if levels else kinds
