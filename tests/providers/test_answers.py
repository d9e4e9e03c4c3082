"""What a model answered, in the JSON of the conventions: whole, and put together from a stream."""

from __future__ import annotations

import json
from enum import StrEnum
from types import SimpleNamespace as Thing

import pytest

from llm_otel.providers.answers import output_messages
from llm_otel.providers.fitting import Room
from llm_otel.providers.gathering import Gatherer
from llm_otel.providers.texts import Texts
from tests.contract.content import content_errors


def answered(response):
    """Return the messages; valid by the schema."""
    found = output_messages(response, Texts(redact=None, max_length=1_000), Room(100_000))
    assert not found or [] == content_errors("gen_ai.output.messages", found)
    return found


def streamed(*chunks):
    """Return the messages of a stream."""
    gatherer = Gatherer()
    for chunk in chunks:
        gatherer.feed(chunk)
    return answered(gatherer.response())


def assistant(*parts):
    """Return a message of the model."""
    return {"role": "assistant", "parts": list(parts)}


def text(content):
    """Return a text part."""
    return {"type": "text", "content": content}


CALL = {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Paris"}}
REASONING = {"type": "reasoning", "content": "Hm."}


def things(value):
    """Return dictionaries as objects with attributes."""
    return json.loads(json.dumps(value), object_hook=lambda found: Thing(**found))


CHAT = {
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "reasoning_content": "Hm.",
                "content": "Let me see.",
                "tool_calls": [{"id": "c1", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}],
            },
        },
        {"index": 1, "finish_reason": "stop", "message": {"content": "No."}},
    ]
}
RESPONSE = {
    "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
        {"type": "function_call", "id": "f1", "call_id": "c1", "name": "weather", "arguments": '{"city": "Paris"}'},
        {"type": "image_generation_call", "id": "i1", "output_format": "png", "result": "BYTES"},
    ]
}


@pytest.mark.parametrize("form", [dict, things], ids=["dictionaries", "objects"])
def test_a_chat_completion(form):
    """One message for each choice; why they ended stands elsewhere."""
    assert [assistant(REASONING, text("Let me see."), CALL), assistant(text("No."))] == answered(form(CHAT))


@pytest.mark.parametrize("form", [dict, things], ids=["dictionaries", "objects"])
def test_a_response(form):
    """One choice, whose parts are the output items; an image leaves its kind behind."""
    image = {"type": "blob", "modality": "image", "content": "", "mime_type": "image/png"}

    assert [assistant(REASONING, text("Let me see."), CALL, image)] == answered(form(RESPONSE))


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ({"choices": [{"text": "Hi"}]}, [assistant(text("Hi"))]),
        ({"choices": [{"message": {"refusal": "I will not."}}]}, [assistant(text("I will not."))]),
        ({"choices": [{"message": {"thinking_blocks": [{"thinking": "Hm."}]}}]}, [assistant(REASONING)]),
        (
            {"choices": [{"message": {"audio": {"data": "BYTES", "transcript": "Hi"}}}]},
            [assistant({"type": "blob", "modality": "audio", "content": ""}, text("Hi"))],
        ),
        (
            {"choices": [{"message": {"function_call": {"name": "weather", "arguments": "oops"}}}]},
            [assistant({"type": "tool_call", "name": "weather", "arguments": "oops"})],
        ),
        (
            {"choices": [{"message": {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;,A"}}]}}]},
            [assistant({"type": "blob", "modality": "image", "content": "", "mime_type": "image/png"})],
        ),
        # Anthropic's and Google's own
        ({"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}, [assistant(text("Hi"))]),
        (
            {
                "candidates": [
                    {
                        "content": {
                            "parts": [
                                {"text": "Hm.", "thought": True},
                                {"text": "Hi"},
                                {"functionCall": {"name": "weather", "args": {"city": "Paris"}}},
                                {"inlineData": {"data": "BYTES"}},
                            ]
                        }
                    }
                ]
            },
            [assistant(REASONING, text("Hi"), {k: v for k, v in CALL.items() if k != "id"})],
        ),
        ({"choices": []}, []),
        ({"choices": [None, 3, {}]}, []),
        ({"output": "Hi"}, []),
        (None, []),
        ("Hi", []),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_other_shapes(response, expected):
    """What can be read is kept; a malformed answer is no error of the call."""
    assert expected == answered(response)


# --- streams ----------------------------------------------------------------------------------------------


def delta(index=0, **said):
    """Return a chunk of chat."""
    return {"choices": [{"index": index, "delta": said}]}


def call(index, arguments, **said):
    """Return a chunk with a piece of a tool's call."""
    function = {"arguments": arguments} | ({"name": said.pop("name")} if "name" in said else {})
    return delta(tool_calls=[{"index": index, "function": function} | said])


def test_a_stream_of_chat_is_put_together():
    """As if it had come whole, choice by choice."""
    chunks = [
        delta(role="assistant", reasoning_content="H"),
        delta(reasoning_content="m."),
        delta(content="Let me "),
        delta(1, content="No."),
        delta(content="see."),
        call(0, "", id="c1", name="weather"),
        call(0, '{"city": '),
        call(0, '"Paris"}'),
        {"choices": [], "usage": {"total_tokens": 3}},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]

    assert answered(CHAT) == streamed(*chunks)
    assert answered(CHAT) == streamed(*map(things, chunks))


def test_calls_under_one_index_are_told_apart_by_their_ids():
    """Some providers send every call whole, and always as the first."""
    chunks = [call(0, "{}", id="a", name="one"), call(0, "{}", id="b", name="two"), call(0, "", id="b")]
    ((message),) = streamed(*chunks)

    assert [("a", "one"), ("b", "two")] == [(part["id"], part["name"]) for part in message["parts"]]


def test_a_stream_that_was_cut_off_is_kept_as_far_as_it_came():
    """The arguments are no JSON yet: they stay a text."""
    chunks = [delta(content="Let "), call(0, '{"city": "Pa', id="c1", name="weather")]

    assert [assistant(text("Let "), CALL | {"arguments": '{"city": "Pa'})] == streamed(*chunks)


def test_a_stream_of_a_text_completion():
    """Its chunks have texts and no deltas."""
    assert [assistant(text("Hi!"))] == streamed({"choices": [{"text": "Hi"}]}, {"choices": [{"text": "!"}]})


def test_a_stream_of_speech():
    """What is said is kept, not the sound."""
    chunks = [delta(audio={"data": "BYTES"}), delta(audio={"transcript": "H"}), delta(audio={"transcript": "i"})]

    assert [assistant({"type": "blob", "modality": "audio", "content": ""}, text("Hi"))] == streamed(*chunks)


EVENTS = [
    {"type": "response.created", "response": {"output": []}},
    {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning"}},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "Hm."},
    {"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "content": []}},
    {"type": "response.output_text.delta", "output_index": 1, "delta": "Let me "},
    {"type": "response.output_text.delta", "output_index": 1, "delta": "see."},
    {
        "type": "response.output_item.added",
        "output_index": 2,
        "item": {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": ""},
    },
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"city": "Paris"}'},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": None},
]


@pytest.mark.parametrize("form", [dict, things], ids=["dictionaries", "objects"])
def test_the_events_of_a_response_that_was_cut_off(form):
    """Item by item, as far as each came."""
    assert [assistant(REASONING, text("Let me see."), CALL)] == streamed(*map(form, EVENTS))


def test_an_item_that_is_done_counts_as_the_provider_gave_it():
    """Not as its pieces say."""
    done = {
        "type": "response.output_item.done",
        "output_index": 1,
        "item": {"type": "message", "content": [{"type": "output_text", "text": "Whole."}]},
    }

    assert [assistant(REASONING, text("Whole."), CALL)] == streamed(*EVENTS, done)


@pytest.mark.parametrize("end", ["completed", "incomplete", "failed"])
def test_the_end_of_a_response_has_all_of_it(end):
    """LiteLLM's types of events are enumerations."""

    class Kind(StrEnum):
        END = f"response.{end}"

    assert answered(RESPONSE) == streamed(*EVENTS, {"type": Kind.END, "response": RESPONSE})


def test_an_end_without_output_leaves_what_came():
    """A response that failed says nothing of what it had said."""
    end = {"type": "response.failed", "response": {"output": []}}

    assert [assistant(REASONING, text("Let me see."), CALL)] == streamed(*EVENTS, end)


@pytest.mark.parametrize(
    "chunk", [None, 3, "x", {}, {"choices": [None, {"delta": 3}]}, {"type": "x", "delta": []}], ids=repr
)
def test_a_malformed_chunk_says_nothing(chunk):
    """The others stand."""
    assert "a" in str(streamed(delta(content="a"), chunk))
