"""From what the library recorded (tracker, spans, metrics) to the report. The scenario is not asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_otel import semconv
from llm_otel.call import AttemptReason, Outcome
from llm_otel.demo import metrics
from llm_otel.demo.report import Latency, Reliability, Spend
from llm_otel.drawing.figures import nano_of
from llm_otel.money import NANO_PER_USD

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from prometheus_client import CollectorRegistry

    from llm_otel.recorders.tracker import GroupStats, Stats, UsageTracker

ALL = "all calls"


@dataclass(frozen=True, slots=True)
class Records:
    """Everything that was recorded."""

    tracker: UsageTracker
    registry: CollectorRegistry
    spans: Sequence[ReadableSpan]

    @property
    def call_spans(self) -> list[ReadableSpan]:
        """The spans of completions."""
        return [span for span in self.spans if semconv.GEN_AI_REQUEST_MODEL in (span.attributes or {})]


def total_spend(stats: Stats) -> Spend:
    """Return the sum over all calls."""
    return Spend(
        name=ALL,
        calls=stats["total_calls"],
        tokens=stats["total_tokens"],
        cost_nano=nano_of(stats["total_cost_usd"]),
        unpriced_calls=stats["unpriced_calls"],
    )


def spend_by_tag(stats: Stats, tag: str) -> tuple[Spend, ...]:
    """Return the spend for each value of a tag, the dearest first."""
    prefix = f"{tag}:"
    groups = {name.removeprefix(prefix): group for name, group in stats["by_tag"].items() if name.startswith(prefix)}
    return _spends(groups)


def spend_by_provider(tracker: UsageTracker) -> tuple[Spend, ...]:
    """Return the spend for each provider, with that of its models."""
    by_provider = tracker.get_stats()["by_provider"]
    models = {name: _spends(tracker.get_stats(provider=name)["by_model"]) for name in by_provider}
    return _spends(by_provider, models)


def _spends(
    groups: Mapping[str, GroupStats], parts: Mapping[str, tuple[Spend, ...]] | None = None
) -> tuple[Spend, ...]:
    return tuple(
        Spend(
            name=name,
            calls=group["calls"],
            tokens=group["tokens"],
            cost_nano=nano_of(group["cost_usd"]),
            unpriced_calls=group["unpriced_calls"],
            parts=parts[name] if parts else (),
        )
        for name, group in groups.items()
    )


def latencies(records: Records) -> tuple[Latency, ...]:
    """Return the latencies of all calls, then those of each provider."""
    names: list[str | None] = [None, *records.tracker.get_stats()["by_provider"]]
    return tuple(_latency(records, name) for name in names)


def _latency(records: Records, provider: str | None) -> Latency:
    stats = records.tracker.get_stats(provider=provider)
    first_chunks = sorted(
        float(attributes[semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK])
        for attributes in map(attributes_of, records.call_spans)
        if semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK in attributes
        and provider in (None, attributes[semconv.GEN_AI_PROVIDER_NAME])
    )
    return Latency(
        name=provider or ALL,
        p50_s=_seconds(stats["p50_latency_ms"]),
        p95_s=_seconds(stats["p95_latency_ms"]),
        streams=len(first_chunks),
        first_chunk_p50_s=percentile(first_chunks, 50),
        first_chunk_p95_s=percentile(first_chunks, 95),
    )


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Return the nearest-rank percentile of sorted values; `None` of none."""
    if not ordered:
        return None
    return ordered[max(-(-percent * len(ordered) // 100), 1) - 1]


def reliability(records: Records) -> Reliability:
    """Return how calls ended."""
    outcomes = metrics.total_by(records.registry, semconv.REQUESTS, semconv.LABEL_OUTCOME)
    retries = metrics.total_by(
        records.registry, semconv.ATTEMPTS, semconv.LABEL_OUTCOME, {semconv.LABEL_REASON: AttemptReason.RETRY}
    )
    wasted = metrics.total_by(records.registry, semconv.WASTED_COST, semconv.LABEL_REASON)
    saved = metrics.total_by(records.registry, semconv.SAVED, semconv.LABEL_REASON)
    tokens = metrics.total_by(records.registry, semconv.TOKENS, semconv.LABEL_TOKEN_TYPE)
    unpriced = metrics.total_by(records.registry, semconv.UNPRICED_REQUESTS, semconv.LABEL_MODEL)
    return Reliability(
        outcomes={str(each): round(outcomes[each]) for each in Outcome if each in outcomes},
        errors=_errors(records.spans),
        retries=round(sum(retries.values())),
        recovered=round(retries.get(Outcome.SUCCESS, 0)),
        wasted_nano={reason: round(amount * NANO_PER_USD) for reason, amount in wasted.items()},
        saved_nano=round(saved.get(semconv.SAVED_BY_PROMPT_CACHE, 0) * NANO_PER_USD),
        cache_read_tokens=round(tokens.get(semconv.TokenType.CACHE_READ, 0)),
        reasoning_tokens=round(tokens.get(semconv.TokenType.REASONING, 0)),
        unpriced_models=tuple(sorted(unpriced)),
        internal_errors=round(metrics.total(records.registry, semconv.INTERNAL_ERRORS)),
    )


def _errors(spans: Iterable[ReadableSpan]) -> dict[str, int]:
    """Count requests that failed, by status or class: attempts, and calls that made one request only.

    What a budget refused was never sent.
    """
    errors: Counter[str] = Counter()
    for attributes in map(attributes_of, spans):
        is_request = semconv.ATTEMPT_NUMBER in attributes or semconv.GEN_AI_REQUEST_MODEL in attributes
        is_failed = semconv.ERROR_TYPE in attributes and attributes[semconv.ERROR_TYPE] != semconv.ERROR_BUDGET_EXCEEDED
        if is_request and is_failed and semconv.ATTEMPT_COUNT not in attributes:
            status = attributes.get(semconv.HTTP_RESPONSE_STATUS_CODE)
            errors[f"HTTP {status}" if status else str(attributes[semconv.ERROR_TYPE])] += 1
    return dict(errors.most_common())


def spans_nano(records: Records) -> int | None:
    """Return the spend by the spans; `None` if none were kept."""
    if not records.spans:
        return None
    return sum(int(attributes_of(span).get(semconv.COST_NANO_USD, 0)) for span in records.call_spans)


def attributes_of(span: ReadableSpan) -> Mapping[str, Any]:
    """Return a span's attributes."""
    return span.attributes or {}
