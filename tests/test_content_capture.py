"""What is taken down of a call, and when nothing is: before LiteLLM is involved."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN

from llm_otel import semconv
from llm_otel.call import CallRequest
from llm_otel.content import CAPTURE, EMIT_EVENT, MAX_LENGTH, ContentCapture, Wishes
from llm_otel.providers.texts import ContentError
from llm_otel.semconv import Operation

EVERYWHERE = Wishes(on_spans=True, on_events=True, emits_details=True)


def request(operation=Operation.CHAT, **asked):
    """Return a request."""
    return CallRequest(
        operation=operation.value,
        provider="openai",
        model="m",
        litellm_model="m",
        **({"messages": [{"role": "user", "content": "Hi"}]} | asked),
    )


def capture(wishes=EVERYWHERE, *, redact=None, has_listener=True):
    """Return what records."""
    return ContentCapture(wishes, redact=redact, max_length=MAX_LENGTH, has_listener=lambda: has_listener)


@pytest.fixture
def span(spans):
    """A span that is recorded."""
    with trace.get_tracer("test").start_as_current_span("call") as span:
        yield span


def wishes(**environment):
    """Return what some variables ask for."""
    names = {"capture": CAPTURE, "emit": EMIT_EVENT}
    return Wishes.of({names[name]: value for name, value in environment.items()})


def test_by_default_nothing_is_asked_for_but_exceptions():
    """An exception's event has no content."""
    assert Wishes(emits_exceptions=True) == wishes()


def test_events_that_are_off_take_no_content():
    """Who asks for content in events, and turns events off, gets neither."""
    assert Wishes(emits_exceptions=False) == wishes(capture="EVENT_ONLY", emit="false")
    assert Wishes(on_spans=True, emits_exceptions=False) == wishes(capture="SPAN_AND_EVENT", emit="false")


def test_events_can_be_had_without_content():
    """Every call is one log record then."""
    assert Wishes(emits_details=True) == wishes(emit="true")


@pytest.mark.parametrize(
    ("wished", "recording", "has_listener", "expected"),
    [
        (EVERYWHERE, True, True, (True, True)),
        (EVERYWHERE, False, True, (False, True)),
        (EVERYWHERE, True, False, (True, False)),
        (EVERYWHERE, False, False, None),
        (Wishes(on_spans=True), False, True, None),
        (Wishes(on_events=True), True, False, None),
    ],
)
def test_nothing_is_read_that_nobody_will_see(span, wished, recording, has_listener, expected):
    """A span that is not sampled takes no content; without a provider of logs there are no events."""
    opened = capture(wished, has_listener=has_listener).opened(request(), span if recording else INVALID_SPAN)

    said = None if opened is None else opened.end()
    assert expected == (None if said is None else (bool(said.on_span), bool(said.on_event)))


def test_a_call_without_a_span_has_its_event():
    """A tracer that failed must not take the log along."""
    opened = capture().opened(request(), None)

    assert opened is not None
    assert {semconv.GEN_AI_INPUT_MESSAGES} == opened.end().on_event.keys()


def test_embeddings_are_no_conversation(span):
    """Their input has no place in the conventions."""
    assert None is capture().opened(request(Operation.EMBEDDINGS), span)


class Hostile:
    """An object that raises what it holds."""

    @property
    def role(self):
        """Raise."""
        raise RuntimeError("secret")


def test_what_cannot_be_read_is_reported_without_its_text(span):
    """Where it failed is enough to find it."""
    with pytest.raises(ContentError, match=r"^reading gen_ai\.input\.messages raised RuntimeError \(\S+, line \d+\)$"):
        capture().opened(request(messages=[Hostile()]), span)


def test_what_is_recorded_does_not_change_with_what_was_handed_in(span):
    """A list that its caller goes on with is not the one that was sent."""
    messages = [{"role": "user", "content": "Hi"}]
    opened = capture().opened(request(messages=messages), span)
    assert opened is not None
    messages[0]["content"] = "changed"
    messages.append({"role": "user", "content": "more"})

    expected = [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
    assert expected == opened.end().on_event[semconv.GEN_AI_INPUT_MESSAGES]
