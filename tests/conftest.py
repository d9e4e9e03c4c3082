"""Fixtures that every part of the suite uses."""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from llm_otel.models.registry import default_registry

# How long an example takes is no test of ours: the first may pay for an import, and a busy machine stalls any.
settings.register_profile("without_deadline", deadline=None)
settings.load_profile("without_deadline")


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """Have Ctrl-C work as in a program: a runner in the background starts with it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep out of the user's own state: what a test leaves in a journal there, `llm-otel check` would report."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def fresh_registry() -> Iterator[None]:
    """Give the test a registry of models of its own: what it registers no other test finds."""
    default_registry.cache_clear()
    yield
    default_registry.cache_clear()


@pytest.fixture(scope="module", autouse=True)
def what_was_there_before() -> None:
    """Set it aside: a collection in a test looks at what came since, not at LiteLLM's million objects as well."""
    gc.collect()
    gc.freeze()


class SpanLog(SpanProcessor):
    """Sees every span of the process; emptied for each test.

    Attributes:
        ended: In the order of their ends, so children come before their parents.
        open: Started and not ended, by span id.
    """

    def __init__(self) -> None:
        self.ended: list[ReadableSpan] = []
        self.open: dict[int, ReadableSpan] = {}

    def on_start(self, span: Span, parent_context: object = None) -> None:
        """Note a start."""
        self.open[_span_id(span)] = span

    def on_end(self, span: ReadableSpan) -> None:
        """Note an end: the span handed in is a copy, known by its id."""
        self.open.pop(_span_id(span), None)
        self.ended.append(span)

    def clear(self) -> None:
        """Forget everything."""
        self.ended.clear()
        self.open.clear()

    @property
    def names(self) -> list[str]:
        """The names of the ended spans, in the order of their ends."""
        return [span.name for span in self.ended]

    @property
    def only(self) -> ReadableSpan:
        """The one span that ended; there has to be exactly one."""
        (span,) = self.ended
        return span

    def named(self, name: str) -> ReadableSpan:
        """Return the one ended span of this name."""
        (span,) = (span for span in self.ended if span.name == name)
        return span


def _span_id(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


@pytest.fixture(scope="session")
def _span_log() -> SpanLog:
    """Install the process's provider: OpenTelemetry takes the first and keeps it."""
    log = SpanLog()
    provider = TracerProvider()
    provider.add_span_processor(log)
    trace.set_tracer_provider(provider)
    return log


class _Complaints(logging.Handler):
    """Keeps what OpenTelemetry warns of: a second end, an attribute after the end, a context not detached."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.messages.append(record.getMessage())


@pytest.fixture
def spans(_span_log: SpanLog) -> Iterator[SpanLog]:
    """The spans of this test; when it ends none may be open or current, and OpenTelemetry content."""
    _span_log.clear()
    complaints, logger = _Complaints(), logging.getLogger("opentelemetry")
    logger.addHandler(complaints)
    yield _span_log
    logger.removeHandler(complaints)
    assert [] == [span.name for span in _span_log.open.values()], "spans left open"
    assert trace.INVALID_SPAN is trace.get_current_span(), "a span was left current"
    assert [] == complaints.messages, "OpenTelemetry complained"
    _span_log.clear()
