"""What an answer from the response cache saved, where savings are counted."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from llm_otel import semconv
from llm_otel.assembly import Runtime
from llm_otel.call import Answer, CallRecord, CallRequest, Outcome
from llm_otel.config import Settings


def record(*, saved_nano: int) -> CallRecord:
    """Return the record of a call that sent nothing."""
    return CallRecord(
        request=CallRequest(operation="chat", provider="openai", model="gpt-4o-mini", litellm_model="gpt-4o-mini"),
        outcome=Outcome.CACHED,
        started_ns=1_000_000_000,
        duration_s=0.001,
        time_to_first_chunk_s=None,
        attempts=(),
        answer=Answer(),
        failure=None,
        usage=None,
        cost_nano=0,
        saved_by_cache_nano=saved_nano,
    )


@pytest.mark.parametrize(("saved_nano", "expected"), [(1_500, 0.0000015), (0, 0.0)])
def test_a_hit_counts_what_it_saved(saved_nano, expected):
    """Under the model that was asked for; it cost nothing, and was no attempt."""
    registry = CollectorRegistry()
    prometheus = Runtime(Settings(strict=True), registry=registry).instruments.recorders[0]
    prometheus.opened(record(saved_nano=0).request)
    prometheus.closed(record(saved_nano=saved_nano))
    totals: dict[str, float] = {}
    for metric in registry.collect():
        for sample in metric.samples:
            totals[sample.name] = totals.get(sample.name, 0) + sample.value
            if sample.name == semconv.SAVED.prometheus_name and sample.value:
                assert semconv.SAVED_BY_RESPONSE_CACHE == sample.labels[semconv.LABEL_REASON]

    assert pytest.approx(expected) == totals[semconv.SAVED.prometheus_name]
    assert (0, 0, 1) == (
        totals[semconv.COST.prometheus_name],
        totals[semconv.ATTEMPTS.prometheus_name],
        totals[semconv.REQUESTS.prometheus_name],
    )
