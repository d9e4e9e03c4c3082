"""The decision: which model serves a request, and where to go when it fails. Pure: the same inputs, the same choice.

options ─► what the caller named, else: wishes ─► filters ─► the cheapest, or a policy's ─► budgets nearly used up?
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from llm_otel.errors import NoModelError
from llm_otel.money import usd
from llm_otel.routing import reasons
from llm_otel.routing.decision import EXPLICIT, Candidate, RouteDecision, explicit
from llm_otel.routing.field import Field, no_model
from llm_otel.routing.options import Bar, Obstacle, Option, refusal_of
from llm_otel.routing.policy import RoutingPolicy, checked
from llm_otel.routing.reasons import coded
from llm_otel.routing.taper import NO_TAPER, Cheaper, Taper, cheaper_than
from llm_otel.routing.wanted import AUTO, Wanted

if TYPE_CHECKING:
    from llm_otel.models.resolve import ModelRef
    from llm_otel.routing.features import Features
    from llm_otel.routing.headroom import Headroom
    from llm_otel.routing.itinerary import Model

MOST_FALLBACKS = 4
"""So many of the other candidates a call goes on to when its first choice fails; more would not be tried in time."""

_OF_THE_COST = frozenset({reasons.CHEAPEST, reasons.ONLY_CANDIDATE, reasons.PRICE_UNKNOWN})
_CAPABILITY, _TIER, _CHEAPEST = "capability", "tier", "cheapest"
"""`RouteDecision.policy` where no name and no policy of the user's decided."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was decided.

    Attributes:
        targets: The chosen model, then those to go on to, in order.
        original: What would have been taken but for a budget that is nearly used up; `None` where it was.
        policy_error: Why the user's policy was not followed; whoever decides how strict to be reports it.
    """

    decision: RouteDecision
    targets: tuple[ModelRef, ...]
    policy_error: Exception | None = None
    original: ModelRef | None = None


def decide(
    wanted: Wanted,
    features: Features,
    options: Sequence[Option],
    *,
    headroom: Mapping[Model, Headroom],
    open_circuits: Collection[Model],
    taper: Taper,
    policy: RoutingPolicy | None = None,
) -> Choice:
    """Choose the model for a request.

    Args:
        wanted: What the caller's configuration says.
        features: What the request asks of a model.
        options: Every model that may be taken, the one that was named among them; ties go to the earlier.
        headroom: The fullest budget of each model, where one concerns it.
        open_circuits: Models that are left alone for a while.
        taper: From when on budgets have cheaper models taken.
        policy: The user's own, for calls that name no model.

    Raises:
        NoModelError: No option can serve the request, or is what the caller wants.
    """
    field = Field(wanted, features, tuple(options), open_circuits)
    if wanted.model is None:
        return _chosen(field, headroom, taper, policy)
    if wanted.is_by_name:
        decision = explicit(wanted.model.model, wanted.model.provider)
        return Choice(decision, _once(wanted.model, *(wanted.fallbacks or ())))
    return _named(field, wanted.model, headroom, taper)


# --- the router chooses -----------------------------------------------------------------------------------------------


def _chosen(field: Field, headroom: Mapping[Model, Headroom], taper: Taper, policy: RoutingPolicy | None) -> Choice:
    against = [field.against(option) for option in field.options]
    fitting, circuits = _fitting(field, against)
    picked = _picked(field, fitting, headroom, policy)
    original = picked.order[0]
    cheaper = cheaper_than(original, field.pool, need=field.need, headroom=headroom, taper=taper)
    taken = original if cheaper is None else cheaper.option
    doubts = (reasons.MAY_BE_TOO_LONG,) if field.is_in_doubt(taken) else ()
    decision = RouteDecision(
        model=taken.ref.model,
        provider=taken.ref.provider,
        candidates=_candidates(taken, fitting, field.options, against),
        reason_codes=(*_why(picked, cheaper), *circuits, *doubts, *_tier(field.wanted), *field.need.codes),
        policy=picked.policy,
        score=None if field.features.rating is None else field.features.rating.score,
        capability=field.need.main,
        original_model=None if cheaper is None else original.ref.model,
        estimated_saved_usd=None if cheaper is None else usd(cheaper.saved_nano),
    )
    instead_of = None if cheaper is None else original.ref
    return Choice(decision, _targets(taken, picked, fitting, field), picked.error, instead_of)


def _fitting(field: Field, against: Sequence[Obstacle | None]) -> tuple[list[Option], tuple[str, ...]]:
    """Return what can be chosen, in the order of preference, with reason codes.

    Where only open circuits are in the way, they are not: the caller then hears when to try again, or finds the
    provider back, and is not told that the configuration is wrong.
    """
    pairs = list(zip(field.options, against, strict=True))
    fitting = [option for option, obstacle in pairs if obstacle is None]
    if fitting:
        return field.ranked(fitting), ()
    shut = [option for option, obstacle in pairs if obstacle is not None and obstacle.bar is Bar.CIRCUIT_OPEN]
    if not shut:
        raise no_model(field.wanted, against=[(option, obstacle) for option, obstacle in pairs if obstacle])
    return field.ranked(shut), (reasons.CIRCUIT_OPEN,)


def _why(picked: _Picked, cheaper: Cheaper | None) -> tuple[str, ...]:
    """Return what decided; of a choice that a budget changed only who had made it: its cost is another now."""
    if cheaper is None:
        return picked.codes
    return (cheaper.code, *(code for code in picked.codes if code not in _OF_THE_COST))


def _tier(wanted: Wanted) -> tuple[str, ...]:
    return () if wanted.tier is None else (coded(reasons.TIER, wanted.tier),)


@dataclass(frozen=True, slots=True)
class _Picked:
    """What was chosen without regard to budgets: in order, by whom, and why."""

    order: tuple[Option, ...]
    policy: str
    codes: tuple[str, ...]
    error: Exception | None = None


def _picked(
    field: Field, fitting: list[Option], headroom: Mapping[Model, Headroom], policy: RoutingPolicy | None
) -> _Picked:
    why = reasons.ONLY_CANDIDATE if len(fitting) == 1 else reasons.CHEAPEST
    if fitting[0].estimated_nano is None and len(fitting) > 1:
        why = reasons.PRICE_UNKNOWN
    if policy is None:
        return _Picked((fitting[0],), _usual_policy(field.wanted), (why,))
    name = str(getattr(policy, "name", type(policy).__name__))
    candidates = [_candidate(option) for option in fitting]
    by_model = {option.model: option for option in fitting}
    try:
        order = checked(policy.choose(field.request(headroom), candidates), candidates)
    # The user's own code raises anything; a call does not fail for it.
    except Exception as exc:  # noqa: BLE001
        return _Picked((fitting[0],), name, (coded(reasons.POLICY_FAILED, name), why), exc)
    return _Picked(tuple(by_model[each.provider, each.model] for each in order), name, (coded(reasons.POLICY, name),))


def _usual_policy(wanted: Wanted) -> str:
    if wanted.is_auto:
        return AUTO
    if wanted.capability is not None:
        return _CAPABILITY
    return _TIER if wanted.tier is not None else _CHEAPEST


def _targets(taken: Option, picked: _Picked, fitting: list[Option], field: Field) -> tuple[ModelRef, ...]:
    """Return where the call goes: the choice; then the caller's fallbacks, else the policy's, else the next best."""
    if field.wanted.fallbacks is not None:
        return _once(taken.ref, *_usable(field.wanted.fallbacks, field))
    if len(picked.order) > 1:
        others = list(picked.order)
    else:
        others = [option for option in (*picked.order, *fitting) if option is not taken]
        elsewhere = next((option for option in others if option.ref.provider != taken.ref.provider), None)
        if elsewhere is not None:
            others.insert(0, elsewhere)
    return _once(taken.ref, *(option.ref for option in others))[: 1 + MOST_FALLBACKS]


def _usable(fallbacks: tuple[ModelRef, ...], field: Field) -> list[ModelRef]:
    """Return the caller's fallbacks without those whose provider would refuse the request.

    They were named, so that lists, keys and estimates are not held against them.
    """
    refused = {option.model for option in field.options if refusal_of(option, field.features) is not None}
    return [ref for ref in fallbacks if (ref.provider, ref.model) not in refused]


# --- the caller named the model ---------------------------------------------------------------------------------------


def _named(field: Field, ref: ModelRef, headroom: Mapping[Model, Headroom], taper: Taper) -> Choice:
    """Take the model that was named, unless a budget is nearly used up and the caller said what will do instead."""
    own = next((option for option in field.options if option.model == (ref.provider, ref.model)), None)
    original = own or Option(ref=ref, entry=None)
    wanted = field.wanted
    may_yield = wanted.capability is not None or wanted.tier is not None
    pool = field.pool if may_yield else tuple
    cheaper = cheaper_than(original, pool, need=field.need, headroom=headroom, taper=taper)
    taken = cheaper.option if cheaper is not None else original
    observed = _observed(field)
    codes = (reasons.EXPLICIT_MODEL, *observed.codes)
    decision = RouteDecision(
        model=taken.ref.model,
        provider=taken.ref.provider,
        candidates=(
            _candidate(taken),
            *([_candidate(original)] if cheaper is not None else ()),
            *(each for each in observed.candidates if (each.provider, each.model) not in {taken.model, original.model}),
        ),
        reason_codes=(*(() if cheaper is None else (cheaper.code,)), *codes, *field.need.codes),
        policy=EXPLICIT,
        score=None if field.features.rating is None else field.features.rating.score,
        capability=field.need.main,
        observed_model=observed.model,
        original_model=None if cheaper is None else original.ref.model,
        estimated_saved_usd=None if cheaper is None else usd(cheaper.saved_nano),
    )
    back = () if wanted.fallbacks == () else (ref,)
    targets = _once(taken.ref, *back, *_usable(wanted.fallbacks or (), field))
    return Choice(decision, targets, original=None if cheaper is None else original.ref)


@dataclass(frozen=True, slots=True)
class _Observed:
    """What would have been chosen automatically."""

    model: str | None = None
    candidates: tuple[Candidate, ...] = ()
    codes: tuple[str, ...] = ()


def _observed(field: Field) -> _Observed:
    if not field.wanted.is_observed:
        return _Observed()
    free = replace(field.wanted, model=None, is_auto=True, is_observed=False)
    hypothetical = Field(free, field.features, field.options, field.open_circuits)
    try:
        decision = _chosen(hypothetical, {}, NO_TAPER, None).decision
    except NoModelError:
        return _Observed(codes=(reasons.OBSERVED_NONE,))
    signals = tuple(code for code in hypothetical.need.codes if code not in field.need.codes)
    return _Observed(decision.model, decision.candidates, (coded(reasons.OBSERVED, decision.model), *signals))


# --- what is said of it -----------------------------------------------------------------------------------------------


def _candidate(option: Option) -> Candidate:
    return Candidate(
        model=option.ref.model,
        provider=option.ref.provider,
        estimated_cost_usd=None if option.estimated_nano is None else usd(option.estimated_nano),
    )


@lru_cache(maxsize=4096)
def _unfit(model: str, provider: str, why_not: str) -> Candidate:
    """Return a candidate that is out; most are for the same reason in call after call."""
    return Candidate(model=model, provider=provider, fits=False, why_not=why_not)


def _candidates(
    taken: Option, fitting: list[Option], options: Sequence[Option], against: Sequence[Obstacle | None]
) -> tuple[Candidate, ...]:
    """Return the choice, then what else fits, then what does not."""
    first = [taken, *(option for option in fitting if option is not taken)]
    told = set(map(id, first))
    rest = [
        _unfit(option.ref.model, option.ref.provider, obstacle.why_not)
        for option, obstacle in zip(options, against, strict=True)
        if obstacle is not None and id(option) not in told
    ]
    return (*map(_candidate, first), *rest)


def _once(*refs: ModelRef) -> tuple[ModelRef, ...]:
    """Return references in their order, each model once."""
    first: dict[Model, ModelRef] = {}
    for ref in refs:
        first.setdefault((ref.provider, ref.model), ref)
    return tuple(first.values())
