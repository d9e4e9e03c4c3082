"""Why a model was chosen: short codes for machines, and one plain sentence for each.

A code is a constant, or a constant with a detail after a colon: `budget_near:search-team`. Codes are stable, sentences
are not: nobody should parse them.
"""

from __future__ import annotations

from collections.abc import Mapping

EXPLICIT_MODEL = "explicit_model"
"""The caller named the model."""
BUDGET_DOWNGRADE = "budget_downgrade"
"""Followed by the budget's id: it could not pay for the model that was chosen."""
FALLBACK = "fallback"
"""Followed by the model that was to be asked: it failed, or could not be asked."""
BUDGET_NEAR = "budget_near"
"""Followed by the budget's id: it is so full that the next cheaper model was taken."""
BUDGET_CRITICAL = "budget_critical"
"""Followed by the budget's id: it is so full that the cheapest model was taken that is good enough."""
CAPABILITY = "capability"
"""Followed by what the model had to be good enough for, as the caller said."""
TIER = "tier"
"""Followed by the price class to choose from."""
RATED = "rated"
"""Followed by what the request was rated to need."""
SIGNAL = "signal"
"""Followed by something about the request that the rating went by."""
QUALITY_FLOOR = "quality_floor"
"""Followed by the caller's floor, which raised what the model had to be good enough for."""
CHEAPEST = "cheapest"
"""No model that surely fits is estimated to cost less for this call."""
ONLY_CANDIDATE = "only_candidate"
"""No other model fits."""
POLICY = "policy"
"""Followed by the name of the user's own policy, which chose."""
POLICY_FAILED = "policy_failed"
"""Followed by the name of the user's own policy: what it said could not be used."""
PRICE_UNKNOWN = "price_unknown"
"""The model has no known price, and no model with one surely fits."""
MAY_BE_TOO_LONG = "may_be_too_long"
"""The request may be too long for the model."""
CIRCUIT_OPEN = "circuit_open"
"""Every model that fits has failed too often of late."""
OBSERVED = "observed"
"""Followed by the model that would have been chosen automatically."""
OBSERVED_NONE = "observed_none"
"""No model could have been chosen automatically."""

_SENTENCES: Mapping[str, str] = {
    EXPLICIT_MODEL: "The caller named the model.",
    BUDGET_DOWNGRADE: "The budget {} could not pay for the model that was chosen first, so a cheaper one was taken.",
    FALLBACK: "{} failed or could not be asked, so one of its fallbacks was.",
    BUDGET_NEAR: "The budget {} is nearly used up, so the next cheaper model that is as good for this was taken.",
    BUDGET_CRITICAL: "The budget {} is all but used up, so the cheapest model that is good enough was taken.",
    CAPABILITY: "The caller asked for a model that is good enough for {} work.",
    TIER: "The caller asked for a model of the {} tier.",
    RATED: "By its text, the request was rated to need a model that is good enough for {} work.",
    SIGNAL: "What the rating went by: {}.",
    QUALITY_FLOOR: "The caller's quality floor asks for a model that is good enough for {} work at least.",
    CHEAPEST: "No model that surely fits is estimated to cost less for this call.",
    ONLY_CANDIDATE: "No other model fits.",
    POLICY: "The routing policy {} chose among the models that fit.",
    POLICY_FAILED: "The routing policy {} failed or named no model that fits, so the cheapest was taken.",
    PRICE_UNKNOWN: "Its price is not known; no model with a known price surely fits.",
    MAY_BE_TOO_LONG: "The request may turn out too long for it.",
    CIRCUIT_OPEN: "Every model that fits has failed too often of late; it is asked only to see whether it is back.",
    OBSERVED: "It was only observed: {} would have been chosen automatically.",
    OBSERVED_NONE: "It was only observed: no model could have been chosen automatically.",
}
_ABOUT_QUOTED = frozenset({BUDGET_DOWNGRADE, BUDGET_NEAR, BUDGET_CRITICAL, POLICY, POLICY_FAILED})
"""Their details are names that a user gave."""

CODES = tuple(_SENTENCES)
"""Every code that a decision may carry, without details."""


def coded(code: str, detail: str) -> str:
    """Return a code with its detail."""
    return f"{code}:{detail}"


def explain(code: str) -> str:
    """Return what a code means, as one sentence for people.

    Example:
        >>> explain("capability:coding")
        'The caller asked for a model that is good enough for coding work.'
    """
    name, _, detail = code.partition(":")
    sentence = _SENTENCES.get(name)
    if sentence is None:
        return f"The reason {code!r} is not one of this version's."
    if name == SIGNAL:
        detail = detail.replace("_", " ")
    return sentence.format(repr(detail) if name in _ABOUT_QUOTED else detail)
