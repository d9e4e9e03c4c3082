"""The events of a call as log records, by the GenAI conventions: its details, and the exception that its caller sees.

They go to the `LoggerProvider` that the application has set; where there is none, nothing is made. Everything stands in
attributes, there is no body. The text of an exception is in no event: it quotes prompts, and with some providers keys.

Source: open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-events.md, main as of 2026-10-09.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import LoggerProvider, NoOpLogger, SeverityNumber, get_logger_provider

# Not public: the only way to tell that nobody has set a provider. There from 1.15 to 1.45.
from opentelemetry._logs._internal import ProxyLoggerProvider

from llm_otel import semconv
from llm_otel.call import Outcome
from llm_otel.errors import BudgetExceededError
from llm_otel.recorders import span as span_recorder
from llm_otel.tracing import context_with
from llm_otel.versions import OURS, version_of

if TYPE_CHECKING:
    from opentelemetry._logs import Logger
    from opentelemetry.trace import Span

    from llm_otel.call import CallRecord

_REACHES_CALLER = frozenset({Outcome.ERROR, Outcome.DENIED})
"""Who cancels a call knows it, and is told nothing."""
_COPIED = (
    semconv.GEN_AI_OPERATION_NAME,
    semconv.GEN_AI_PROVIDER_NAME,
    semconv.GEN_AI_REQUEST_MODEL,
    semconv.HTTP_RESPONSE_STATUS_CODE,
)
"""What the event of an exception has of its span, so that it can be read without it."""


class EventRecorder:
    """Emits the events of calls. Thread-safe."""

    __slots__ = ("_emits_details",)

    def __init__(self, *, emits_details: bool) -> None:
        """Emit the details of each inference where `emits_details`; the event of an exception in any case."""
        self._emits_details = emits_details

    @staticmethod
    def has_listener() -> bool:
        """Tell whether the application has set a provider that does something with log records."""
        return _current_logger() is not None

    def closed(self, record: CallRecord, content: Mapping[str, Any], span: Span | None) -> None:
        """Emit what the end of a call is worth.

        Args:
            record: Its facts.
            content: What was said, by attribute; nothing where nobody asked for it.
            span: That of the call, which the events belong to.
        """
        has_failed = record.outcome in _REACHES_CALLER
        has_details = self._emits_details and record.request.operation in semconv.INFERENCE
        if not (has_details or has_failed):
            return
        logger = _current_logger()
        if logger is None:
            return
        attributes = span_recorder.attributes_of(record)
        if has_details:
            details = {**attributes, **content}
            _emit(logger, semconv.EVENT_OPERATION_DETAILS, SeverityNumber.DEBUG, record, details, span)
        if has_failed:
            exception = {name: attributes[name] for name in _COPIED if name in attributes}
            exception[semconv.EXCEPTION_TYPE] = _exception_type(record)
            _emit(logger, semconv.EVENT_OPERATION_EXCEPTION, SeverityNumber.WARN, record, exception, span)


def _exception_type(record: CallRecord) -> str:
    if record.outcome is Outcome.DENIED:
        return BudgetExceededError.__name__
    return record.failure.error_type if record.failure is not None else semconv.ERROR_OTHER


def _emit(
    logger: Logger,
    name: str,
    severity: SeverityNumber,
    record: CallRecord,
    attributes: Mapping[str, Any],
    span: Span | None,
) -> None:
    logger.emit(
        timestamp=record.started_ns + int(record.duration_s * 1e9),
        context=context_with(span),
        severity_number=severity,
        severity_text=severity.name,
        attributes=attributes,
        event_name=name,
    )


def _current_logger() -> Logger | None:
    provider = get_logger_provider()
    return None if isinstance(provider, ProxyLoggerProvider) else _logger_of(provider)


@lru_cache(maxsize=8)
def _logger_of(provider: LoggerProvider) -> Logger | None:
    name = semconv.INSTRUMENTATION_NAME
    logger = provider.get_logger(name, version_of(OURS), schema_url=semconv.SCHEMA_URL)
    return None if isinstance(logger, NoOpLogger) else logger
