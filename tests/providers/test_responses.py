"""What answers of the Responses API and embeddings say of themselves, whole and event by event."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from llm_otel.call import Answer
from llm_otel.providers.embeddings import embeddings_answer
from llm_otel.providers.reading import ChunkKind
from llm_otel.providers.responses import EventReader, response_answer
from llm_otel.usage import Usage

MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Hello!"}]}
CALL = {"type": "function_call", "name": "look", "arguments": '{"at": "sea"}'}
WHOLE = {
    "id": "resp_1",
    "model": "gpt-4o-mini-2024-07-18",
    "status": "completed",
    "service_tier": "default",
    "output": [MESSAGE],
    "usage": {
        "input_tokens": 20,
        "output_tokens": 9,
        "input_tokens_details": {"cached_tokens": 8},
        "output_tokens_details": {"reasoning_tokens": 4},
    },
}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    """Return an event of a stream."""
    return {"type": kind, **fields}


def read(*events: Any) -> EventReader:
    """Return a reader that has seen these."""
    reader = EventReader()
    for each in events:
        reader.feed(each)
    return reader


def test_a_whole_response():
    """Identity, reason, tier, and the usage with its parts."""
    assert Answer(
        usage=Usage(input_tokens=20, output_tokens=9, cache_read_tokens=8, reasoning_tokens=4),
        response_id="resp_1",
        response_model="gpt-4o-mini-2024-07-18",
        finish_reasons=("stop",),
        service_tier="default",
    ) == response_answer(WHOLE)


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, ("stop",)),
        ({"output": [MESSAGE, CALL]}, ("tool_calls",)),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, ("length",)),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, ("content_filter",)),
        ({"status": "incomplete", "incomplete_details": {"reason": "new"}}, ("new",)),
        ({"status": "incomplete", "incomplete_details": None}, ()),
        ({"status": "queued"}, ()),
        ({"status": None}, ()),
        ({"output": None}, ("stop",)),
        ({"output": "nonsense", "incomplete_details": 7}, ("stop",)),
    ],
)
def test_why_it_ended(changes, reasons):
    """In the words of chat completions."""
    assert reasons == response_answer(WHOLE | changes).finish_reasons


@pytest.mark.parametrize(
    ("changes", "error_type"),
    [
        ({}, None),
        ({"status": "failed", "error": {"code": "server_error", "message": "..."}}, "server_error"),
        ({"status": "failed", "error": {"code": "no identifier: at all"}}, "failed"),
        ({"status": "failed", "error": None}, "failed"),
        ({"status": "cancelled"}, "cancelled"),
        ({"status": ["failed"]}, None),
        ({"status": {}, "error": {"code": "server_error"}}, None),
        ({"output": [{"type": ["function_call"]}]}, None),
    ],
)
def test_a_response_that_says_it_failed(changes, error_type):
    """By the provider's code, never by its message."""
    assert error_type == response_answer(WHOLE | changes).error_type


def test_what_is_counted_without_a_report():
    """All that the output bills for: texts, refusals, reasoning, calls."""
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Well. "}]},
        MESSAGE,
        {"type": "message", "content": [{"type": "refusal", "refusal": " No."}]},
        CALL,
    ]
    answer = response_answer(WHOLE | {"usage": None, "output": output})

    assert (None, 'Well. Hello! No.{"at": "sea"}') == (answer.usage, answer.text)


def test_events_to_the_end():
    """The last one says it all."""
    reader = EventReader()
    kinds = [
        reader.feed(event("response.created", response={"id": "resp_1", "model": "gpt-4o-mini"})),
        reader.feed(event("response.output_item.added", item=MESSAGE)),
        reader.feed(event("response.output_text.delta", delta="Hel")),
        reader.feed(event("response.output_text.delta", delta="")),
        reader.feed(event("response.function_call_arguments.delta", delta="{}")),
        reader.feed(event("response.completed", response=WHOLE)),
    ]

    other, content = ChunkKind.OTHER, ChunkKind.CONTENT
    assert [other, other, content, other, content, other] == kinds
    assert reader.is_complete
    assert "stop" == reader.finish_reason
    assert response_answer(WHOLE) == reader.answer()


def test_events_that_break_off():
    """What came: who answered, and the text to be counted."""
    reader = read(
        event("response.created", response=SimpleNamespace(id="resp_1", model="gpt-4o-mini")),
        event("response.output_text.delta", delta="Hel"),
        event("response.output_text.delta", delta="lo"),
    )

    assert not reader.is_complete
    assert Answer(response_id="resp_1", response_model="gpt-4o-mini", text="Hello") == reader.answer()


def test_a_usage_that_litellm_made_up():
    """It is marked as an estimate."""
    reader = read(event("response.completed", response=WHOLE))

    assert reader.answer(has_reported_usage=False).usage.is_estimated
    assert not reader.answer().usage.is_estimated


@pytest.mark.parametrize(
    "junk", [None, 7, {}, {"type": None}, {"type": "response.completed"}, {"type": "x.delta", "delta": {}}]
)
def test_events_of_any_shape(junk):
    """Nothing raises; what is known stays known."""
    reader = read(event("response.output_text.delta", delta="Hello"), junk)

    assert reader.answer().response_id is None


@pytest.mark.parametrize(
    ("vectors", "length"),
    [
        ([{"embedding": [0.1, 0.2, 0.3]}], 3),
        ([SimpleNamespace(embedding=[0.1, 0.2])], 2),
        ([{"embedding": "AAAAPw=="}], None),
        ([{}], None),
        ([], None),
        (None, None),
        ("nonsense", None),
    ],
)
def test_the_length_of_vectors(vectors, length):
    """As they came; base64 does not tell."""
    answer = embeddings_answer({"model": "m", "data": vectors, "usage": {"prompt_tokens": 7, "total_tokens": 7}})

    assert (length, 7, "m") == (answer.dimensions, answer.usage.input_tokens, answer.response_model)
