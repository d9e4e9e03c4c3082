"""The SDK's OTLP exporters, made in the process that uses them, and quiet about each failure.

They log every retry and every lost batch, some with a stack trace. What they say while they work for us goes to
`Outages` instead; what they say when they work for others is left alone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from llm_otel.forks import when_forked
from llm_otel.telemetry.asked import Route, Signal

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.trace import ReadableSpan

    from llm_otel.telemetry.outages import Outages

_EXPORTERS = "opentelemetry.exporter"
_QUEUES = "opentelemetry.sdk._shared_internal"
_QUEUE_FULL = "Queue full, dropping %s."
"""What the SDK's batch processors say, and where (1.41 to 1.45)."""


class _Overheard(logging.Filter):
    """Keeps what the exporter says from the log, in threads that are sending for us."""

    def __init__(self) -> None:
        super().__init__()
        self._in_this_thread = threading.local()

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """Collect what is said in this thread meanwhile."""
        said: list[str] = []
        self._in_this_thread.said = said
        try:
            yield said
        finally:
            self._in_this_thread.said = None

    def filter(self, record: logging.LogRecord) -> bool:
        said = getattr(self._in_this_thread, "said", None)
        if said is None:
            return True
        said.append(record.getMessage())
        return False


_overheard = _Overheard()


def _overhear(kind: type) -> None:
    """Listen to the loggers of an exporter's class and of those it is made of; each module has its own."""
    for module in {made_of.__module__ for made_of in kind.__mro__ if made_of.__module__.startswith(_EXPORTERS)}:
        filters = logging.getLogger(module).filters
        if _overheard not in filters:
            # Before the SDK's filter against repetition: what that drops would be no reason to give.
            filters.insert(0, _overheard)


class QueueFull(logging.Filter):
    """Counts what does not fit into a queue while an endpoint is down, instead of the SDK's warning every 20 s.

    A queue that is full while the endpoint answers is another trouble, and the SDK's to tell.
    """

    def __init__(self, outages: Outages) -> None:
        super().__init__()
        self._outages = outages

    def install(self) -> None:
        """Listen, once; before the SDK's filter against repetition, to count them all."""
        filters = logging.getLogger(_QUEUES).filters
        if not any(isinstance(each, QueueFull) for each in filters):
            filters.insert(0, self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Let through what no outage explains."""
        if record.msg != _QUEUE_FULL or not record.args:
            return True
        signal = Signal.TRACES if "Span" in record.args else Signal.LOGS
        return not self._outages.dropped(signal)


class Sender:
    """Sends what one exporter of the SDK sends, in whichever process this is, and tells how it went.

    A connection is not shared across a fork: parent and child would talk on it at once, and a gRPC channel waits for
    threads that only the parent has. So a child makes an exporter of its own.

    Args:
        make: Makes the SDK's exporter; it reads the rest of its settings from the variables.
    """

    def __init__(self, route: Route, make: Callable[[], Any], outages: Outages) -> None:
        self.route = route
        self._make = make
        self._outages = outages
        self._exporter: Any = make()
        self._making = threading.Lock()
        # Held, not used: taking apart a channel in a child that did not open it can hang.
        self._of_parents: list[Any] = []
        self._is_stopped = False
        _overhear(type(self._exporter))
        when_forked(self._in_child)

    def _in_child(self) -> None:
        self._making = threading.Lock()
        self._of_parents.append(self._exporter)
        self._exporter = None

    @property
    def exporter(self) -> Any:
        """The SDK's exporter, of this process."""
        with self._making:
            if self._exporter is None:
                self._exporter = self._make()
            return self._exporter

    def send(self, batch: Any, *, items: int, **options: Any) -> bool:
        """Send a batch; that takes as long as the exporter's time-out allows, its retries included.

        Args:
            batch: What the SDK's exporter takes.
            items: How many spans or log records are lost if it fails.
            **options: What its `export` takes beside.
        """
        if self._is_stopped:
            return False
        with _overheard.listening() as said:
            try:
                is_taken = bool(self.exporter.export(batch, **options).name == "SUCCESS")
            # Whatever goes wrong in there is one outage, and no stack trace for each batch.
            except Exception as exc:  # noqa: BLE001
                said.append(f"{type(exc).__name__}: {exc}")
                is_taken = False
        if is_taken:
            self._outages.succeeded(self.route)
        else:
            self._outages.failed(self.route, _most_telling(said), lost=items)
        return is_taken

    def stop(self) -> None:
        """Send nothing more, and cut a retry short."""
        if self._is_stopped:
            return
        self._is_stopped = True
        with self._making:
            exporter = self._exporter
        if exporter is not None:
            with _overheard.listening():
                exporter.shutdown()


def _most_telling(said: Sequence[str]) -> str:
    """Return why a batch failed: the first thing that was said, since the last is often no more than that it failed."""
    return said[0] if said else "no reason given"


class SpanSender(SpanExporter):
    """Spans, by a `Sender`."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them."""
        is_taken = self._sender.send(spans, items=len(spans))
        return SpanExportResult.SUCCESS if is_taken else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Send nothing more."""
        self._sender.stop()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  # the signature is the SDK's
        """Nothing is kept here."""
        return True


class LogSender(LogRecordExporter):
    """Log records, by a `Sender`."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Send them."""
        is_taken = self._sender.send(batch, items=len(batch))
        return LogRecordExportResult.SUCCESS if is_taken else LogRecordExportResult.FAILURE

    def shutdown(self) -> None:
        """Send nothing more."""
        self._sender.stop()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  # the signature is the SDK's
        """Nothing is kept here."""
        return True


class MetricSender(MetricExporter):
    """Metrics, by a `Sender`. The reader takes temporality and aggregation from it, so it takes them from the SDK's."""

    def __init__(self, sender: Sender) -> None:
        exporter = sender.exporter
        # The SDK's own names for it: there is no public one, and its reader uses these too.
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)  # noqa: SLF001
        self._sender = sender

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_options: Any) -> MetricExportResult:
        """Send them."""
        is_taken = self._sender.send(metrics_data, items=0, timeout_millis=timeout_millis)
        return MetricExportResult.SUCCESS if is_taken else MetricExportResult.FAILURE

    def shutdown(self, timeout_millis: float = 30_000, **_options: Any) -> None:  # noqa: ARG002
        """Send nothing more."""
        self._sender.stop()

    def force_flush(self, timeout_millis: float = 10_000) -> bool:  # noqa: ARG002  # the signature is the SDK's
        """Nothing is kept here."""
        return True
