"""What fails, what is slow, and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana.src.queries.promql import (
    HOUR_S,
    RANGE,
    STEP,
    calls,
    increase,
    max_by,
    models,
    quantile,
    rate,
    ratio,
    sum_by,
    top,
    where,
    where_any,
    where_not,
)
from llm_otel import semconv
from llm_otel.call import AttemptReason, Outcome

if TYPE_CHECKING:
    from llm_otel.semconv import MetricSpec

MODEL = semconv.LABEL_MODEL
PROVIDER = semconv.LABEL_PROVIDER
OUTCOME = semconv.LABEL_OUTCOME
REASON = semconv.LABEL_REASON
_REQUESTS = calls(semconv.REQUESTS)
_ERRORS = calls(semconv.REQUESTS, where(OUTCOME, Outcome.ERROR))
_INCOMPLETE = calls(
    semconv.REQUESTS, where_any(OUTCOME, Outcome.ERROR, Outcome.CANCELLED, Outcome.ABANDONED, Outcome.DENIED)
)
_ATTEMPTS = calls(semconv.ATTEMPTS)
_WASTED = calls(semconv.WASTED_COST)


def _again(reason: AttemptReason) -> str:
    return calls(semconv.ATTEMPTS, where(REASON, reason))


ERROR_RATIO = ratio(sum_by(increase(_ERRORS)), sum_by(increase(_REQUESTS)))
P95 = quantile(0.95, semconv.REQUEST_DURATION, window=RANGE)
FIRST_CHUNK_P95 = quantile(0.95, semconv.TIME_TO_FIRST_CHUNK, window=RANGE)
RETRIES = sum_by(increase(_again(AttemptReason.RETRY)))
FALLBACKS = sum_by(increase(_again(AttemptReason.FALLBACK)))
WASTED = sum_by(increase(_WASTED))

REQUESTS_PER_SECOND = sum_by(rate(_REQUESTS), OUTCOME)
RATIO_BY_OUTCOME = f"{sum_by(rate(_INCOMPLETE), OUTCOME)} / on () group_left () ({sum_by(rate(_REQUESTS))} > 0)"
ERROR_RATIO_BY_MODEL = top(8, f"{ratio(sum_by(increase(_ERRORS), MODEL), sum_by(increase(_REQUESTS), MODEL))} > 0")


def latency(share: float, spec: MetricSpec, *labels: str) -> str:
    """Return a quantile over time."""
    return quantile(share, spec, *labels)


DURATIONS = sum_by(increase(calls(semconv.REQUEST_DURATION, suffix="_bucket"), STEP), "le")
"""Cumulative, as Prometheus keeps them; the heatmap takes the differences."""

IN_FLIGHT = sum_by(calls(semconv.REQUESTS_IN_FLIGHT), PROVIDER)
ATTEMPTS_AGAIN = (
    f"{sum_by(rate(calls(semconv.ATTEMPTS, where_not(REASON, AttemptReason.FIRST))), REASON, PROVIDER)} > 0"
)
_FAILED_ATTEMPTS = calls(semconv.ATTEMPTS, where(OUTCOME, Outcome.ERROR))
FAILED_ATTEMPTS = top(
    8, f"{ratio(sum_by(increase(_FAILED_ATTEMPTS), PROVIDER), sum_by(increase(_ATTEMPTS), PROVIDER))} > 0"
)
_CIRCUITS = models(semconv.CIRCUIT_OPEN)
OPEN_CIRCUITS = sum_by(max_by(_CIRCUITS, PROVIDER, MODEL))
"""Models whose circuit is open in any process."""
OPEN_CIRCUITS_BY_MODEL = f"{sum_by(_CIRCUITS, PROVIDER, MODEL)} > 0"
NOT_MADE = f"{sum_by(rate(models(semconv.CIRCUIT_REFUSALS)), PROVIDER, MODEL)} > 0"
WASTED_PER_HOUR = f"{sum_by(rate(_WASTED), REASON)} * {HOUR_S}"

# --- The table, one row a model ---------------------------------------------------------------------------

GROUP = (PROVIDER, MODEL)
TABLE_REQUESTS = sum_by(increase(_REQUESTS), *GROUP)
TABLE_ERROR_RATIO = ratio(sum_by(increase(_ERRORS), *GROUP), sum_by(increase(_REQUESTS), *GROUP))
TABLE_RETRIES = sum_by(increase(_again(AttemptReason.RETRY)), *GROUP)
TABLE_OPENINGS = sum_by(increase(models(semconv.CIRCUIT_OPENED)), *GROUP)
TABLE_WASTED = sum_by(increase(_WASTED), *GROUP)
TABLE_P50 = quantile(0.5, semconv.REQUEST_DURATION, *GROUP, window=RANGE)
TABLE_P95 = quantile(0.95, semconv.REQUEST_DURATION, *GROUP, window=RANGE)
TABLE_FIRST_CHUNK = quantile(0.95, semconv.TIME_TO_FIRST_CHUNK, *GROUP, window=RANGE)
