"""Whether the other dashboards can be believed."""

from __future__ import annotations

from grafana.src.queries.promql import (
    ENVIRONMENT,
    FEATURE,
    JOB,
    STEP,
    TEAM,
    calls,
    count_by,
    increase,
    max_by,
    min_by,
    ratio,
    service,
    sum_by,
    up,
    where,
)
from llm_otel import semconv

MODEL = semconv.LABEL_MODEL
_REQUESTS = calls(semconv.REQUESTS)
_UNPRICED = calls(semconv.UNPRICED_REQUESTS)
_ESTIMATED = calls(semconv.ESTIMATED_REQUESTS)
_ERRORS = service(semconv.INTERNAL_ERRORS)
_BUILD = service(semconv.BUILD_INFO)
_OURS = f"and on ({JOB}) group by ({JOB}) (last_over_time({_BUILD}[1d]))"
"""Only jobs that have shown the library's metrics within a day: Prometheus scrapes others too."""

PROCESSES = count_by(_BUILD)
SCRAPES_FAILED = f"{count_by(f'{up()} == 0 {_OURS}')} or ({count_by(f'{up()} {_OURS}')} * 0)"
LEDGER_UP = min_by(service(semconv.LEDGER_UP))
UNPRICED = sum_by(increase(_UNPRICED))
UNPRICED_SHARE = ratio(UNPRICED, sum_by(increase(_REQUESTS)))
ESTIMATED_SHARE = ratio(sum_by(increase(_ESTIMATED)), sum_by(increase(_REQUESTS)))
INTERNAL_ERRORS = sum_by(increase(_ERRORS))
PRICE_AGE = max_by(service(semconv.PRICE_AGE))

UP_BY_TARGET = f"{up()} {_OURS}"
LEDGER_BY_JOB = min_by(service(semconv.LEDGER_UP), JOB)
UNPRICED_BY_MODEL = f"{sum_by(increase(_UNPRICED), semconv.LABEL_PROVIDER, MODEL)} > 0"
ESTIMATED_BY_MODEL = f"{sum_by(increase(_ESTIMATED), semconv.LABEL_PROVIDER, MODEL)} > 0"
INTERNAL_ERRORS_BY_RECORDER = f"{sum_by(increase(_ERRORS, STEP), semconv.LABEL_RECORDER)} > 0"
PRICE_AGE_BY_JOB = max_by(service(semconv.PRICE_AGE), JOB)
VERSIONS = count_by(_BUILD, JOB, semconv.LABEL_VERSION, semconv.LABEL_LITELLM_VERSION)


def overflow(label: str) -> str:
    """Return the share of requests whose label was one too many."""
    beyond = calls(semconv.REQUESTS, where(label, semconv.OVERFLOW_LABEL))
    return _share(beyond)


def unlabelled(label: str) -> str:
    """Return the share of requests that say nothing of the label."""
    return _share(calls(semconv.REQUESTS, where(label, semconv.MISSING_TAG_LABEL)))


def _share(selector: str) -> str:
    # No series with such a value is none of the requests; no requests at all is no answer.
    none = f"{sum_by(increase(_REQUESTS))} * 0"
    return ratio(f"({sum_by(increase(selector))} or {none})", sum_by(increase(_REQUESTS)))


OVERFLOWING = (semconv.LABEL_MODEL, TEAM, FEATURE)

# --- The metrics against the ledger -----------------------------------------------------------------------
# What the counters say was charged, beside what the ledger has: two ways to the same number. The gauge falls at each
# reset, and `increase` takes that for a counter that starts again, which is what it is.

BUDGET = semconv.LABEL_BUDGET
COUNTED = sum_by(increase(service(semconv.BUDGET_SPEND)), BUDGET)
_LEDGER = max_by(service(semconv.BUDGET_SPENT), BUDGET, semconv.LABEL_SCOPE, ENVIRONMENT)
LEDGER = f"sum by ({BUDGET}) (increase(({_LEDGER})[$__range:$__interval]))"
DIFFERENCE = f"({COUNTED} - {LEDGER}) / (({LEDGER}) > 0)"
