"""Where the money goes."""

from __future__ import annotations

from grafana.src.queries.promql import (
    FEATURE,
    HOUR_S,
    INPUT_KINDS,
    STEP,
    TEAM,
    calls,
    increase,
    named,
    rate,
    ratio,
    seconds_seen,
    sent,
    service,
    sum_by,
    top,
    where,
    where_any,
)
from llm_otel import semconv
from llm_otel.call import Outcome
from llm_otel.semconv import TokenType

_COST = calls(semconv.COST)
_MODEL = semconv.LABEL_MODEL
_DAY_S = 86_400
WEEK = "1w"

TOTAL = sum_by(increase(_COST))
"""Exact, as far as Prometheus saw every counter at 0: the library makes them at 0, and
`created-timestamp-zero-ingestion` adds the 0 of those that were born and used between two scrapes."""
LAST_HOUR = sum_by(increase(_COST, "1h"))
REQUESTS = sum_by(increase(calls(semconv.REQUESTS)))
AGAINST_WEEK_BEFORE = f"{ratio(TOTAL, sum_by(increase(_COST, offset=WEEK)))} - 1"


def by(*labels: str, most: int = 8) -> str:
    """Return the spend of the range by labels, the most first."""
    return top(most, named(f"{sum_by(increase(_COST), *labels)} > 0", *labels))


def per_hour(*labels: str) -> str:
    """Return US dollars an hour."""
    return named(f"{sum_by(rate(_COST), *labels)} * {HOUR_S}", *labels)


PER_HOUR_WEEK_BEFORE = f"sum(rate({_COST}[{STEP}] offset {WEEK})) * {HOUR_S}"


# --- The month --------------------------------------------------------------------------------------------
# PromQL knows no calendar month as a range. The panels ask for theirs by Grafana's own override, `now/M`, which holds
# only while the dashboard shows a relative range: with an absolute one `$__range` would be something else, and so the
# answer is dropped unless the range is as long as the month is old. Half a day is left for time zones.

_OF_MONTH_S = f"((day_of_month() - 1) * {_DAY_S} + hour() * {HOUR_S} + minute() * 60)"
_LEFT_S = f"(days_in_month() * {_DAY_S} - {_OF_MONTH_S})"
_IS_MONTH = f"and on () (abs({_OF_MONTH_S} - $__range_s) < {_DAY_S // 2})"

_SEEN_S = seconds_seen(service(semconv.BUILD_INFO), "1d")

MONTH = f"{TOTAL} {_IS_MONTH}"
MONTH_END = f"({TOTAL} + {sum_by(increase(_COST, '1d'))} / {_SEEN_S} * {_LEFT_S}) {_IS_MONTH}"
"""The month so far, and the rest of it at the pace of the last day."""

# --- The table --------------------------------------------------------------------------------------------

GROUP = (TEAM, FEATURE, _MODEL)


def _grouped(expression: str) -> str:
    return named(expression, *GROUP)


_COST_BY_GROUP = sum_by(increase(_COST), *GROUP)
_REQUESTS_BY_GROUP = sum_by(increase(calls(semconv.REQUESTS)), *GROUP)
_TOKENS_BY_GROUP = sum_by(increase(calls(semconv.TOKENS)), *GROUP)
_SENT_BY_GROUP = sum_by(increase(sent()), *GROUP)
_CACHED_BY_GROUP = sum_by(increase(calls(semconv.REQUESTS, where(semconv.LABEL_OUTCOME, Outcome.CACHED))), *GROUP)


def _tokens(*kinds: TokenType) -> str:
    return sum_by(increase(calls(semconv.TOKENS, where_any(semconv.LABEL_TOKEN_TYPE, *kinds))), *GROUP)


TABLE_COST = _grouped(_COST_BY_GROUP)
TABLE_SHARE = _grouped(f"{_COST_BY_GROUP} / on () group_left () ({TOTAL} > 0)")
TABLE_REQUESTS = _grouped(_REQUESTS_BY_GROUP)
TABLE_PER_REQUEST = _grouped(ratio(_COST_BY_GROUP, _SENT_BY_GROUP))
TABLE_PER_1K_TOKENS = _grouped(f"1000 * {ratio(_COST_BY_GROUP, _TOKENS_BY_GROUP)}")
TABLE_CACHE_HIT = _grouped(ratio(_tokens(TokenType.CACHE_READ), _tokens(*INPUT_KINDS)))
TABLE_ANSWERED_FROM_CACHE = _grouped(ratio(_CACHED_BY_GROUP, _SENT_BY_GROUP))
