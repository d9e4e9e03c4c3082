"""The SDK's providers for what leaves by OTLP, made and set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from llm_otel.errors import ConfigurationError
from llm_otel.telemetry.asked import Protocol, Route, Signal
from llm_otel.telemetry.ending import Way
from llm_otel.telemetry.outages import without_secrets
from llm_otel.telemetry.resource import resource_of
from llm_otel.telemetry.senders import LogSender, MetricSender, QueueFull, Sender, SpanSender

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from llm_otel.telemetry.outages import Outages

Provider = TracerProvider | MeterProvider | LoggerProvider


def install(routes: Sequence[Route], named: Mapping[str, str], outages: Outages) -> list[Way]:
    """Make a provider for each route, and set all of them; the caller has seen that none is set.

    Batch sizes, intervals, samplers and limits are the SDK's, by its variables.

    Raises:
        ConfigurationError: An exporter or a provider cannot be made from the variables. Nothing was set then.
    """
    senders = [sender_of(route, outages) for route in routes]
    resource = resource_of(named)
    made: list[tuple[Sender, Provider]] = []
    try:
        for sender in senders:
            # One by one: what was made before one that fails has threads.
            made.append((sender, _provider_of(sender, resource)))  # noqa: PERF401
    except ConfigurationError:
        for sender, provider in made:
            # It has nothing to send, and would try all the same.
            sender.stop()
            provider.shutdown()
        raise
    QueueFull(outages).install()
    for _, provider in made:
        _set(provider)
    return [Way(sender, provider.shutdown) for sender, provider in made]


def sender_of(route: Route, outages: Outages) -> Sender:
    """Make the SDK's exporter for a route.

    Raises:
        ConfigurationError: It cannot be made from the variables.
    """
    exporters = _by_grpc() if route.protocol is Protocol.GRPC else _by_http()
    try:
        return Sender(route, exporters[route.signal], outages)
    # Whatever the exporter stumbles over (a number, a file, a certificate) came from a variable.
    except Exception as exc:
        field = f"OTEL_EXPORTER_OTLP_{route.signal.upper()}_*"
        raise ConfigurationError(field, None, f"the SDK's exporter says: {without_secrets(str(exc))}") from exc


def _by_grpc() -> dict[Signal, Callable[[], Any]]:
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return {Signal.TRACES: OTLPSpanExporter, Signal.METRICS: OTLPMetricExporter, Signal.LOGS: OTLPLogExporter}


def _by_http() -> dict[Signal, Callable[[], Any]]:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return {Signal.TRACES: OTLPSpanExporter, Signal.METRICS: OTLPMetricExporter, Signal.LOGS: OTLPLogExporter}


_VARIABLES = {
    Signal.TRACES: "OTEL_BSP_* or OTEL_SPAN_*",
    Signal.METRICS: "OTEL_METRIC_EXPORT_*",
    Signal.LOGS: "OTEL_BLRP_*",
}
"""What a provider reads, beside what its exporter does."""


def _provider_of(sender: Sender, resource: Resource) -> Provider:
    signal = sender.route.signal
    try:
        return _MADE_BY[signal](sender, resource)
    except ValueError as exc:
        raise ConfigurationError(_VARIABLES[signal], None, f"the SDK says: {exc}") from exc


# `shutdown_on_exit` is off in all of them: the SDK would wait without bound, and before us.


def _tracing(sender: Sender, resource: Resource) -> TracerProvider:
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(SpanSender(sender)))
    return provider


def _metering(sender: Sender, resource: Resource) -> MeterProvider:
    reader = PeriodicExportingMetricReader(MetricSender(sender))
    return MeterProvider([reader], resource=resource, shutdown_on_exit=False)


def _logging(sender: Sender, resource: Resource) -> LoggerProvider:
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(LogSender(sender)))
    return provider


_MADE_BY: dict[Signal, Callable[[Sender, Resource], Provider]] = {
    Signal.TRACES: _tracing,
    Signal.METRICS: _metering,
    Signal.LOGS: _logging,
}


def _set(provider: Provider) -> None:
    if isinstance(provider, TracerProvider):
        trace.set_tracer_provider(provider)
    elif isinstance(provider, MeterProvider):
        metrics.set_meter_provider(provider)
    else:
        _logs.set_logger_provider(provider)
