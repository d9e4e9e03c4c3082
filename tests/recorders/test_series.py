"""Where the metrics' values lie: both places say the same, and a scrape does not stand in its own way."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import prometheus_client
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from llm_otel.call import AttemptReason, Outcome
from llm_otel.recorders.in_files import FileStore
from llm_otel.recorders.in_memory import MemoryStore
from llm_otel.recorders.postings import EndedCall, post
from llm_otel.recorders.prometheus import PrometheusRecorder
from llm_otel.recorders.series import SeriesStore
from llm_otel.semconv import TokenType

LABELS = ("provider", "model", "operation")
CALL = st.fixed_dictionaries(
    {
        "outcome": st.sampled_from(Outcome),
        "reason": st.sampled_from(AttemptReason),
        "parts": st.none() | st.dictionaries(st.sampled_from(list(TokenType)), st.integers(0, 10**11)),
        "duration_s": st.sampled_from([0.0, 0.01, 0.0100001, 0.64, 81.92, 500.0]),
        "is_streaming": st.booleans(),
    }
)


def shown(store: SeriesStore) -> list[Any]:
    """Return what the collectors say, but for times, and values to 12 digits: floats do not add up to the last."""
    families: list[Metric] = [family for collector in store.collectors for family in collector.collect()]
    return [
        (family.name, family.type, family.documentation, [_without_times(sample) for sample in family.samples])
        for family in families
    ]


def _without_times(sample: Sample) -> tuple[str, dict[str, str], str]:
    return sample.name, sample.labels, "" if sample.name.endswith("_created") else f"{sample.value:.12g}"


@settings(deadline=None, max_examples=30)
@given(calls=st.lists(CALL, max_size=6))
def test_both_stores_show_the_same(facts: Any, calls: list[dict[str, Any]]) -> None:
    """Names, types, texts, labels, their order and values: those of prometheus_client's own metrics."""
    stores: tuple[SeriesStore, ...] = (MemoryStore(LABELS), FileStore(LABELS))
    for call in calls:
        cost = None if call["parts"] is None else facts.cost(call["parts"], saved=7)
        attempt = facts.attempt(outcome=call["outcome"], reason=call["reason"], cost=cost)
        record = facts.record(
            attempt,
            duration_s=call["duration_s"],
            time_to_first_chunk_s=call["duration_s"] if call["is_streaming"] else None,
        )
        for store in stores:
            series = store.of(("openai", "gpt-4o-mini", "chat"))
            series.opened(is_streaming=call["is_streaming"])
            for posting in post(EndedCall.of(record)).values():
                series.write(posting, None, 0.0)
    in_memory, in_files = map(shown, stores)
    assert in_files == in_memory


def test_names_are_described_as_prometheus_client_does() -> None:
    """So that a registry refuses the same names as taken."""
    described = [
        [(family.name, family.type) for collector in store.collectors for family in collector.describe()]
        for store in (MemoryStore(LABELS), FileStore(LABELS))
    ]
    assert described[0] == described[1]


def test_created_series_can_be_switched_off(facts: Any) -> None:
    """By prometheus_client's own switch."""
    registry = CollectorRegistry()
    PrometheusRecorder(registry=registry).opened(facts.request(is_streaming=True))
    names = []
    for switch in (prometheus_client.disable_created_metrics, prometheus_client.enable_created_metrics):
        switch()
        samples = (sample for family in registry.collect() for sample in family.samples)
        names.append({sample.name for sample in samples if sample.name.endswith("_created")})
    assert set() == names[0]
    assert {"llm_otel_requests_created", "llm_otel_time_to_first_chunk_seconds_created"} <= names[1]


def test_an_exemplar_says_what_and_when(facts: Any) -> None:
    """The cost of the dearest part in US dollars, and the end of the call."""
    registry = CollectorRegistry()
    recorder = PrometheusRecorder(registry=registry)
    record = facts.record(trace=facts.trace)
    recorder.opened(record.request)
    recorder.closed(record)
    (exemplar,) = (
        sample.exemplar
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "llm_otel_cost_usd_total" and sample.exemplar
    )
    assert {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"} == exemplar.labels
    assert (3e-6, record.started_ns / 1e9 + 0.5) == (exemplar.value, exemplar.timestamp)


def test_what_was_said_is_not_held(facts: Any) -> None:
    """A call waits to be written down; its conversation and its answer may be large, and secret."""

    class Message:
        pass

    recorder = PrometheusRecorder(registry=CollectorRegistry())
    message = Message()
    record = facts.record(request=facts.request(messages=[message]))
    gone = weakref.ref(message)
    recorder.opened(record.request)
    recorder.closed(record)
    del message, record
    gc.collect()
    assert gone() is None


def test_what_cannot_be_written_does_not_fail_the_scrape(facts: Any) -> None:
    """It is counted as a failure of our own, and the call has landed."""
    registry = CollectorRegistry()
    recorder = PrometheusRecorder(registry=registry)
    record = facts.record(facts.attempt(cost=facts.cost({})._replace(parts={TokenType.INPUT: "a lot"})))
    recorder.opened(record.request)
    recorder.closed(record)
    samples = {
        sample.name: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.labels.get("recorder", "prometheus") == "prometheus"
    }
    assert (1, 0) == (samples["llm_otel_internal_errors_total"], samples["llm_otel_requests_in_flight"])


class _AbandonedStream:
    """Ends its call when the garbage collector finds it, and leaves the next one to be found."""

    def __init__(self, recorder: PrometheusRecorder, record: Any, left: list[int]) -> None:
        self.itself = self
        self.given = (recorder, record, left)

    def __del__(self) -> None:
        recorder, record, left = self.given
        recorder.opened(record.request)
        recorder.closed(record)
        if left[0]:
            left[0] -= 1
            _AbandonedStream(*self.given)


def test_calls_that_end_inside_a_scrape_do_not_stop_it(facts: Any) -> None:
    """The garbage collector ends streams on the thread that scrapes, wherever that holds a lock."""
    registry = CollectorRegistry()
    recorder = PrometheusRecorder(registry=registry)
    record = facts.record(trace=facts.trace)
    left = [300]

    def scrape_often() -> None:
        _AbandonedStream(recorder, record, left)
        while left[0]:
            for collector in recorder._metrics.store.collectors:
                list(collector.collect())

    thresholds = gc.get_threshold()
    thread = threading.Thread(target=scrape_often, daemon=True)
    gc.set_threshold(1, 1, 1)
    try:
        thread.start()
        thread.join(timeout=60)
    finally:
        gc.set_threshold(*thresholds)
    assert not thread.is_alive(), "a scrape waits for itself"
    gc.collect()
    counts = {sample.name: sample.value for family in registry.collect() for sample in family.samples}
    assert (301, 0) == (counts["llm_otel_request_duration_seconds_count"], counts["llm_otel_requests_in_flight"])
