"""What one unit of work costs, and what was saved on it.

A completion whose price is not known is in no cost: where there are any (see Telemetry health), these are lower bounds.
"""

from __future__ import annotations

from grafana.src.queries.promql import (
    FEATURE,
    HOUR_S,
    INPUT_KINDS,
    OUTPUT_KINDS,
    RANGE,
    STEP,
    TEAM,
    calls,
    increase,
    named,
    quantile,
    rate,
    ratio,
    sent,
    sum_by,
    top,
    where,
    where_any,
)
from llm_otel import semconv
from llm_otel.call import Outcome
from llm_otel.semconv import TokenType

MODEL = semconv.LABEL_MODEL
TOKEN_TYPE = semconv.LABEL_TOKEN_TYPE
REASON = semconv.LABEL_REASON
_COST = calls(semconv.COST)
_SAVED = calls(semconv.SAVED)
_TOKENS = calls(semconv.TOKENS)
_SUCCESSFUL = calls(semconv.REQUESTS, where_any(semconv.LABEL_OUTCOME, Outcome.SUCCESS, Outcome.CACHED))
_CACHED_INPUT = calls(semconv.TOKENS, where(TOKEN_TYPE, TokenType.CACHE_READ))


def _tokens(kinds: tuple[TokenType, ...]) -> str:
    return calls(semconv.TOKENS, where_any(TOKEN_TYPE, *kinds))


def _per(unit: str, *labels: str) -> str:
    return ratio(sum_by(increase(_COST), *labels), sum_by(increase(unit), *labels))


PER_REQUEST = _per(sent())
PER_SUCCESS = _per(_SUCCESSFUL)
PER_1K_TOKENS = f"1000 * {_per(_TOKENS)}"
SAVED = sum_by(increase(_SAVED))
SAVED_SHARE = f"{SAVED} / ({SAVED} + {sum_by(increase(_COST))} > 0)"
CACHE_HIT = ratio(sum_by(increase(_CACHED_INPUT)), sum_by(increase(_tokens(INPUT_KINDS))))
OUTPUT_PER_INPUT = ratio(sum_by(increase(_tokens(OUTPUT_KINDS))), sum_by(increase(_tokens(INPUT_KINDS))))


def per_request_over_time(*labels: str) -> str:
    """Return US dollars a request, at each step."""
    cost, requests = sum_by(rate(_COST), *labels), sum_by(rate(sent()), *labels)
    return named(ratio(cost, requests), *labels)


PER_SUCCESS_BY_FEATURE = top(8, named(_per(_SUCCESSFUL, FEATURE), FEATURE))
PER_SUCCESS_BY_MODEL = top(8, _per(_SUCCESSFUL, MODEL))


REQUEST_COSTS = sum_by(increase(calls(semconv.REQUEST_COST, suffix="_bucket"), STEP), "le")
TOKENS_BY_TYPE = sum_by(rate(_TOKENS), TOKEN_TYPE)
COST_BY_TYPE = f"{sum_by(rate(_COST), TOKEN_TYPE)} * {HOUR_S}"
CACHE_HIT_BY_MODEL = f"{ratio(sum_by(rate(_CACHED_INPUT), MODEL), sum_by(rate(_tokens(INPUT_KINDS)), MODEL))} > 0"
SAVED_PER_HOUR = f"{sum_by(rate(_SAVED), REASON)} * {HOUR_S}"
SAVED_BY_MODEL = top(8, f"{sum_by(increase(_SAVED), MODEL)} > 0")


def saved_by(reason: str) -> str:
    """Return what one way of saving brought in the range."""
    return sum_by(increase(calls(semconv.SAVED, where(REASON, reason))))


# --- The table, one row a feature -------------------------------------------------------------------------

GROUP = (TEAM, FEATURE)


def _grouped(expression: str) -> str:
    return named(expression, *GROUP)


TABLE_COST = _grouped(sum_by(increase(_COST), *GROUP))
TABLE_REQUESTS = _grouped(sum_by(increase(sent()), *GROUP))
TABLE_PER_REQUEST = _grouped(_per(sent(), *GROUP))
TABLE_PER_SUCCESS = _grouped(_per(_SUCCESSFUL, *GROUP))
TABLE_P95 = _grouped(f"round({quantile(0.95, semconv.REQUEST_COST, *GROUP, window=RANGE)}, 1e-6)")
"""To a millionth of a dollar, the finest bucket's bound; Grafana would write less with an exponent."""
TABLE_TOKENS = _grouped(ratio(sum_by(increase(_TOKENS), *GROUP), sum_by(increase(sent()), *GROUP)))
TABLE_CACHE_HIT = _grouped(
    ratio(sum_by(increase(_CACHED_INPUT), *GROUP), sum_by(increase(_tokens(INPUT_KINDS)), *GROUP))
)
TABLE_SAVED = _grouped(sum_by(increase(_SAVED), *GROUP))
