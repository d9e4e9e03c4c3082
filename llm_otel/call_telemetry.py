"""What is told of one call: its span, what was said in it, its events, and the recorders."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from llm_otel import genai_util, tracing
from llm_otel.budgets.reports import alert_of
from llm_otel.content import NOTHING_SAID, SILENCE
from llm_otel.recorders import span as span_recorder

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from llm_otel.budgets.ledger import Crossing
    from llm_otel.call import CallRecord, CallRequest, TraceRef
    from llm_otel.content import CallContent, Said, Silence
    from llm_otel.plan import Instruments


class CallTelemetry:
    """Tells of one call: that it began, and once, how it ended. Nothing of it breaks the call.

    Attributes:
        content: What is said in the call; `SILENCE` where nobody asked for it.
    """

    __slots__ = ("_instruments", "_request", "_span", "content")

    def __init__(self, instruments: Instruments, request: CallRequest) -> None:
        self._instruments = instruments
        self._request = request
        self._span: Span | None = None
        self.content: CallContent | Silence = SILENCE

    def opened(self, started_ns: int) -> None:
        """Start the span, and tell the recorders."""
        instruments, request, guard = self._instruments, self._request, self._instruments.guard
        self._span = guard.call("span", span_recorder.start, request, started_ns)
        for recorder in instruments.recorders:
            guard.call(recorder.name, recorder.opened, request)
        if instruments.content is not None:
            self.content = guard.call("content", instruments.content.opened, request, self._span) or SILENCE

    def current_span(self) -> AbstractContextManager[None]:
        """Make the call's span the current one: what happens underneath nests, and is not counted there once more."""
        if self._span is None:
            return nullcontext()
        mark = self._instruments.guard.call("span", genai_util.mark, self._request.operation)
        return tracing.Current(self._span, mark)

    def trace(self) -> TraceRef | None:
        """Return where the call stands in a trace."""
        span = self._span
        return None if span is None else self._instruments.guard.call("span", span.get_span_context)

    def alerted(self, crossing: Crossing) -> None:
        """Write a threshold that the call has taken spend to on its span."""
        self._instruments.guard.call("span", span_recorder.alert, self._span, alert_of(crossing))

    def closed(self, record: CallRecord) -> None:
        """End the span, and hand the record to everybody."""
        guard, events = self._instruments.guard, self._instruments.events
        content, self.content = self.content, SILENCE
        said: Said = NOTHING_SAID if content is SILENCE else guard.call("content", content.end) or NOTHING_SAID
        if self._span is not None:
            guard.call("span", span_recorder.finish, self._span, record, said.on_span)
        if events is not None:
            guard.call("events", events.closed, record, said.on_event, self._span)
        for recorder in self._instruments.recorders:
            guard.call(recorder.name, recorder.closed, record)
