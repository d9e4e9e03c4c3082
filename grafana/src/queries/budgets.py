"""How budgets stand, and how they will.

Gauges come from the ledger and are the same from every process that shares it: `max`. Counters are of each process:
`sum`. A scope that stands for several (`__all__`) has no limit, and so no headroom and no end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana.src.queries.promql import (
    ENVIRONMENT,
    HOUR_S,
    RANGE,
    STEP,
    count_by,
    increase,
    max_by,
    seconds_seen,
    service,
    sum_by,
    where,
)
from llm_otel import semconv
from llm_otel.budgets.denial import DenialKind
from llm_otel.budgets.reports import NEAR_RATIO

if TYPE_CHECKING:
    from llm_otel.semconv import MetricSpec

GROUP = (semconv.LABEL_BUDGET, semconv.LABEL_SCOPE, ENVIRONMENT)
"""A budget of one environment is none of another's, though both have one name."""
_CHOSEN = f'{semconv.LABEL_BUDGET}=~"$budget"'
_ON = f"on ({', '.join(GROUP)})"


def _gauge(spec: MetricSpec) -> str:
    return max_by(service(spec, _CHOSEN), *GROUP)


def _grown(spec: MetricSpec, *labels: str, window: str = RANGE) -> str:
    return sum_by(increase(service(spec, _CHOSEN), window), *labels)


def labelled_apart(expression: str) -> str:
    """Put the environment, if there is one, into brackets: `team search (production)` reads better in a legend."""
    return f'label_replace({expression}, "{ENVIRONMENT}", "($1)", "{ENVIRONMENT}", "(.+)")'


LIMIT = _gauge(semconv.BUDGET_LIMIT)
SPENT = _gauge(semconv.BUDGET_SPENT)
HELD = _gauge(semconv.BUDGET_HELD)
_WINDOW = _gauge(semconv.BUDGET_WINDOW)
_RESET = service(semconv.BUDGET_RESET_TIMESTAMP, _CHOSEN)
_OF_LIMIT = f"/ {_ON} ({LIMIT} > 0)"
HEADROOM = f"{LIMIT} - {SPENT} - {HELD}"
USED = f"{SPENT} {_OF_LIMIT}"
RESETS_IN = f"({max_by(_RESET, *GROUP)} - time())"
_IS_ROLLING = f"({max_by(f'{_RESET} - timestamp({_RESET})', *GROUP)} > {_ON} {_WINDOW})"
"""Whose reset is always a whole window away: spend leaves it all the time, and no reset is worth waiting for."""

# --- The pace, and where it leads -------------------------------------------------------------------------

_SEEN_S = seconds_seen(service(semconv.BUDGET_SPEND, _CHOSEN), "$pace")
_PACE = f"{_grown(semconv.BUDGET_SPEND, *GROUP, window='$pace')} / {_SEEN_S}"
"""US dollars a second. Not `predict_linear` of the gauge: that takes each reset for money coming back."""
PACE_PER_HOUR = f"{_PACE} * {HOUR_S}"
TABLE_PACE = f"({PACE_PER_HOUR} and {_ON} {SPENT})"
"""Of what the ledger has now: a team that has spent nothing since the reset has a pace from before, and no more."""
_BURN_RATE = f"{_PACE} * {_ON} {_WINDOW} {_OF_LIMIT}"
"""1 spends the limit in exactly one window."""
BURN_RATE_DRAWN = f"clamp_max({_BURN_RATE}, 10)"
"""What is spent in the first minutes of a month burns a thousandfold, and would flatten all other lines."""
_AT_RESET = f"({SPENT} + {_ON} {_PACE} * {_ON} {RESETS_IN}) {_OF_LIMIT}"
AT_RESET_OF_LIMIT = f"({_AT_RESET} unless {_ON} {_IS_ROLLING}) or {_BURN_RATE}"
"""A rolling window comes to its burn rate, and stays there."""

_END = f"({RESETS_IN} or {LIMIT} * 0 + Inf)"
_RUNS_OUT = f"clamp_min({HEADROOM}, 0) / {_ON} ({_PACE} > 0) < {_ON} {_END}"
_KEEPS_UP = f"({_BURN_RATE} <= 1 and {_ON} {_IS_ROLLING})"
_REFUSED_LATELY = sum_by(
    increase(service(semconv.BUDGET_DENIALS, _CHOSEN, where(semconv.LABEL_REASON, DenialKind.EXHAUSTED)), "1h"), *GROUP
)
_REFUSES = f"({USED} >= {NEAR_RATIO:g} and {_ON} {_REFUSED_LATELY} > 0)"
"""What is left is too little for the calls that come: it stays left, and no pace says that this is the end."""
_IS_OUT = f"({HEADROOM} <= 0 or {_REFUSES}) * 0"
_WILL_BE_OUT = f"({_RUNS_OUT} unless {_ON} {_KEEPS_UP})"
RUNS_OUT_IN = f"{_IS_OUT} or {_WILL_BE_OUT}"
"""Before its reset, if it has one. What is used up already needs no pace to be so."""
LASTS_S, NO_LIMIT_S = 10**10, 10**11
"""Centuries: they stand for what does not run out, so that a table can be sorted by when things do."""
RUNS_OUT_IN_OR_NOT = f"{RUNS_OUT_IN} or {LIMIT} * 0 + {LASTS_S} or {SPENT} * 0 + {NO_LIMIT_S}"
RUNS_OUT_NEXT = f"bottomk(1, {_WILL_BE_OUT} unless {_ON} ({_IS_OUT})) or on () bottomk(1, {_IS_OUT})"
"""What is used up already comes last: it is news no more, and would hide the next for the rest of its window."""

# --- What budgets did -------------------------------------------------------------------------------------

USED_UP = f"{count_by(f'{SPENT} >= {_ON} {LIMIT} or {_REFUSES}')} or {count_by(LIMIT)} * 0"
"""0 where there are budgets and all are within their limit; nothing where there are none."""
HELD_NOW = sum_by(HELD)
DENIED = _grown(semconv.BUDGET_DENIALS)
DOWNGRADED = _grown(semconv.BUDGET_DOWNGRADES)
TABLE_DENIED = f"{_grown(semconv.BUDGET_DENIALS, *GROUP)} and {_ON} {SPENT}"
DENIED_BY_REASON = f"{_grown(semconv.BUDGET_DENIALS, semconv.LABEL_BUDGET, semconv.LABEL_REASON, window=STEP)} > 0"
DOWNGRADED_BY_BUDGET = f"{_grown(semconv.BUDGET_DOWNGRADES, semconv.LABEL_BUDGET, window=STEP)} > 0"
SCOPES = max_by(service(semconv.BUDGET_SCOPES, _CHOSEN), semconv.LABEL_BUDGET, semconv.LABEL_STATE, ENVIRONMENT)
