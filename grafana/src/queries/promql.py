"""PromQL, put together from the names in `llm_otel.semconv` and the variables of the dashboards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_otel import semconv
from llm_otel.call import Outcome
from llm_otel.semconv import TokenType

if TYPE_CHECKING:
    from llm_otel.semconv import MetricSpec

JOB = "job"
"""Prometheus' own name for a service. Both ways in set it: the scrape, and OTLP from `service.name`."""
ENVIRONMENT = "environment"
"""A label of the target, or a promoted resource attribute; absent in many set-ups."""
TEAM = "team"
FEATURE = "feature"

INPUT_KINDS = (TokenType.INPUT, TokenType.CACHE_READ, TokenType.CACHE_WRITE)
OUTPUT_KINDS = (TokenType.OUTPUT, TokenType.REASONING)

RANGE = "$__range"
"""As long as the dashboard's time range: for one number that speaks of all of it."""
STEP = "$__rate_interval"
"""As short as a rate can be at this zoom: four scrapes at least."""
HOUR_S = 3600

_SCOPE_OF_SERVICE = (f'{JOB}=~"$service"', f'{ENVIRONMENT}=~"$environment"')
_SCOPE_OF_MODEL = (f'{semconv.LABEL_PROVIDER}=~"$provider"', f'{semconv.LABEL_MODEL}=~"$model"')
_SCOPE_OF_CALL = (*_SCOPE_OF_SERVICE, f'{TEAM}=~"$team"', f'{FEATURE}=~"$feature"', *_SCOPE_OF_MODEL)
"""What the viewer chose. "All" is `.*`, which matches a series without the label too."""


def where(label: str, value: str) -> str:
    """Return a matcher for one value; an empty one matches series without the label."""
    return f'{label}="{value}"'


def where_not(label: str, value: str) -> str:
    """Return a matcher for every value but one."""
    return f'{label}!="{value}"'


def where_any(label: str, *values: str) -> str:
    """Return a matcher for any of the values."""
    return f'{label}=~"{"|".join(values)}"'


def calls(spec: MetricSpec, *matchers: str, suffix: str = "") -> str:
    """Select series that have the labels of a call, of what the viewer chose."""
    assert spec.is_per_model, f"{spec.prometheus_name} has no labels of calls"
    return _select(spec, suffix, (*_SCOPE_OF_CALL, *matchers))


def sent() -> str:
    """Select the requests that were let through: a refused one costs nothing, and would make the others look cheap."""
    return calls(semconv.REQUESTS, where_not(semconv.LABEL_OUTCOME, Outcome.DENIED))


def service(spec: MetricSpec, *matchers: str) -> str:
    """Select series of whole processes: service and environment are all that can be chosen of them."""
    assert not spec.is_per_model, f"{spec.prometheus_name} has the labels of calls: choose by all of them"
    return _select(spec, "", (*_SCOPE_OF_SERVICE, *matchers))


def models(spec: MetricSpec) -> str:
    """Select series of a process that have a provider and a model, and no other label of a call."""
    assert set(spec.labels) == {semconv.LABEL_PROVIDER, semconv.LABEL_MODEL}
    return _select(spec, "", (*_SCOPE_OF_SERVICE, *_SCOPE_OF_MODEL))


def up() -> str:
    """Select Prometheus' own record of its scrapes."""
    return f"up{{{', '.join(_SCOPE_OF_SERVICE)}}}"


def _select(spec: MetricSpec, suffix: str, matchers: tuple[str, ...]) -> str:
    return f"{spec.prometheus_name}{suffix}{{{', '.join(matchers)}}}"


def increase(selector: str, window: str = RANGE, *, offset: str = "") -> str:
    """Return how much counters grew over a window, restarts included."""
    return f"increase({selector}[{window}]{f' offset {offset}' if offset else ''})"


def rate(selector: str, window: str = STEP) -> str:
    """Return how much counters grow in a second."""
    return f"rate({selector}[{window}])"


def sum_by(expression: str, *labels: str) -> str:
    """Add up, by labels or all."""
    return _aggregate("sum", expression, labels)


def max_by(expression: str, *labels: str) -> str:
    """Take the highest, by labels or of all."""
    return _aggregate("max", expression, labels)


def min_by(expression: str, *labels: str) -> str:
    """Take the lowest, by labels or of all."""
    return _aggregate("min", expression, labels)


def count_by(expression: str, *labels: str) -> str:
    """Count the series, by labels or all."""
    return _aggregate("count", expression, labels)


def _aggregate(function: str, expression: str, labels: tuple[str, ...]) -> str:
    return f"{function} by ({', '.join(labels)}) ({expression})" if labels else f"{function}({expression})"


def ratio(part: str, whole: str) -> str:
    """Divide. Where the whole is 0 there is no answer, rather than NaN."""
    return f"{part} / ({whole} > 0)"


def top(count: int, expression: str) -> str:
    """Return the highest, the highest first."""
    return f"sort_desc(topk({count}, {expression}))"


def quantile(share: float, spec: MetricSpec, *labels: str, window: str = STEP) -> str:
    """Return a quantile of a histogram, by labels."""
    buckets = rate(calls(spec, suffix="_bucket"), window)
    return f"histogram_quantile({share:g}, {sum_by(buckets, 'le', *labels)})"


def seconds_seen(selector: str, window: str) -> str:
    """Return in how many seconds of a window, to the minute, any of the series was there.

    What grew over a window, divided by these, is a pace that holds for a service that started an hour ago too. One that
    no full minute has seen yet was there for one.
    """
    return f"scalar(count_over_time(group({selector})[{window}:1m]) * 60 or vector(60))"


def named(expression: str, *labels: str) -> str:
    """Give series without a tag a value that can be read, `(no team)`; of the labels, this is for tags."""
    for label in labels:
        if label in {TEAM, FEATURE}:
            expression = f'label_replace({expression}, "{label}", "(no {label})", "{label}", "")'
    return expression
