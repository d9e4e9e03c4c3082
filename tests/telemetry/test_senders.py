"""Exporters of the SDK in our hands: quiet, made for each process, and never raising."""

from __future__ import annotations

import logging
import threading
from enum import Enum
from types import SimpleNamespace

import pytest
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from llm_otel.telemetry import senders
from llm_otel.telemetry.asked import Protocol, Route, Signal
from llm_otel.telemetry.outages import Outages
from llm_otel.telemetry.senders import LogSender, MetricSender, Sender, SpanSender

ROUTE = Route(Signal.TRACES, Protocol.GRPC, "http://collector:4317")
LOGGER = "opentelemetry.exporter.fake"


class Result(Enum):
    SUCCESS = 0
    FAILURE = 1


class Exporter:
    """What the SDK's look like from outside."""

    __module__ = LOGGER

    def __init__(self, result: Result | Exception = Result.SUCCESS, says: tuple[str, ...] = ()) -> None:
        self._preferred_temporality = {"a": 1}
        self._preferred_aggregation = {"b": 2}
        self.result = result
        self.says = says
        self.batches: list[object] = []
        self.shutdowns = 0

    def export(self, batch: object, **options: object) -> Result:
        self.batches.append(batch)
        for text in self.says:
            logging.getLogger(LOGGER).warning(text)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def shutdown(self) -> None:
        logging.getLogger(LOGGER).warning("shutting down")
        self.shutdowns += 1


class Known:
    """Outages that are only written down."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    def failed(self, route: Route, reason: str, *, lost: int = 0) -> None:
        self.seen.append(("failed", route.signal, reason, lost))

    def succeeded(self, route: Route) -> None:
        self.seen.append(("succeeded", route.signal))


def sender_of(exporter: Exporter) -> tuple[Sender, Known]:
    """Return a sender around an exporter, and what becomes known."""
    known = Known()
    return Sender(ROUTE, lambda: exporter, known), known


def test_what_was_taken_becomes_known():
    """An outage may be over."""
    sender, known = sender_of(Exporter())

    assert sender.send(["a", "b"], items=2)
    assert [("succeeded", Signal.TRACES)] == known.seen


def test_what_failed_becomes_known_and_is_not_logged(caplog):
    """The first thing that was said is the cause; then come retries, and that it failed."""
    sender, known = sender_of(Exporter(Result.FAILURE, ("connection refused", "failed to export")))

    assert not sender.send(["a", "b"], items=2)
    assert [("failed", Signal.TRACES, "connection refused", 2)] == known.seen
    assert [] == caplog.records


def test_an_exporter_that_raises_is_an_outage_too(caplog):
    """The SDK would log the stack for each batch."""
    sender, known = sender_of(Exporter(ValueError("too big")))

    assert not sender.send([], items=0)
    assert [("failed", Signal.TRACES, "ValueError: too big", 0)] == known.seen
    assert [] == caplog.records


def test_exporters_of_others_are_heard(caplog):
    """Loggers are shared by all exporters of a kind; only what is said while sending for us is kept back."""
    sender, _ = sender_of(Exporter(says=("ours",)))
    sender.send([], items=0)
    logging.getLogger(LOGGER).warning("theirs")

    assert ["theirs"] == [record.getMessage() for record in caplog.records]


def test_nothing_is_sent_after_the_stop(caplog):
    """The SDK would try each batch that is left. It is stopped once, and silently."""
    exporter = Exporter()
    sender, known = sender_of(exporter)
    sender.stop()
    sender.stop()

    assert not sender.send(["a"], items=1)
    assert ([], 1, []) == (exporter.batches, exporter.shutdowns, known.seen)
    assert [] == caplog.records


def test_a_child_makes_an_exporter_of_its_own():
    """The parent's connection is the parent's, and is not taken apart either."""
    made = []

    def make() -> Exporter:
        made.append(Exporter())
        return made[-1]

    sender = Sender(ROUTE, make, Known())
    sender.send(["of the parent"], items=1)
    sender._in_child()
    sender.send(["of the child"], items=1)
    sender.send(["of the child"], items=1)

    assert [[["of the parent"]], [["of the child"], ["of the child"]]] == [each.batches for each in made]
    assert [0, 0] == [each.shutdowns for each in made]


def test_a_child_that_sent_nothing_makes_no_exporter_to_stop_it():
    """Children that only compute are many."""
    made = []
    sender = Sender(ROUTE, lambda: made.append(Exporter()) or made[-1], Known())
    sender._in_child()
    sender.stop()

    assert [0] == [each.shutdowns for each in made]


@pytest.mark.parametrize("result", Result)
def test_each_signal_speaks_as_its_sdk_expects(result):
    """Results, and what the metric reader asks an exporter."""
    sender, _ = sender_of(Exporter(result))
    metrics = MetricSender(sender)

    assert SpanExportResult[result.name] is SpanSender(sender).export([])
    assert LogRecordExportResult[result.name] is LogSender(sender).export([])
    assert MetricExportResult[result.name] is metrics.export(MetricsData(()))
    assert ({"a": 1}, {"b": 2}) == (metrics._preferred_temporality, metrics._preferred_aggregation)
    assert [True] * 3 == [each.force_flush() for each in (SpanSender(sender), LogSender(sender), metrics)]


@pytest.mark.parametrize("is_down", [True, False])
def test_a_full_queue_is_counted_in_an_outage_and_told_by_the_sdk_otherwise(is_down, caplog, monkeypatch):
    """A real queue of the SDK that holds one span, and an endpoint that takes its time."""
    known = Outages()
    if is_down:
        known.failed(ROUTE, "no answer")
    caplog.clear()
    monkeypatch.setattr(logging.getLogger(senders._QUEUES), "filters", [])
    senders.QueueFull(known).install()
    senders.QueueFull(known).install()
    provider = TracerProvider(shutdown_on_exit=False)
    go_on = threading.Event()
    sender, _ = sender_of(SimpleNamespace(export=lambda batch: go_on.wait(20) and Result.SUCCESS, shutdown=list))
    provider.add_span_processor(BatchSpanProcessor(SpanSender(sender), max_queue_size=1, max_export_batch_size=1))
    for _ in range(4):
        provider.get_tracer("test").start_span("a").end()
    go_on.set()
    provider.shutdown()

    assert is_down is ([] == caplog.records)
    assert is_down is (known._outages != {} and 2 <= sum(each.lost.total() for each in known._outages.values()))


@pytest.mark.parametrize("of_sdk", [SpanSender, LogSender, MetricSender])
def test_the_sdks_shutdown_stops_the_sender(of_sdk):
    """Whoever calls it."""
    exporter = Exporter()
    of_sdk(sender_of(exporter)[0]).shutdown()

    assert 1 == exporter.shutdowns
