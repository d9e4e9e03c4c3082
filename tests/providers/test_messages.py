"""What a model was asked, in the JSON of the conventions: chat messages, prompts, input items, tools."""

from __future__ import annotations

import json
from types import SimpleNamespace as Thing

import pytest

from llm_otel.providers.fitting import Room
from llm_otel.providers.messages import input_messages, system_instructions, tool_definitions
from llm_otel.providers.texts import Texts
from tests.contract.content import content_errors


def texts(**settings):
    """Return the texts of a call."""
    return Texts(**({"redact": None, "max_length": 1_000} | settings))


def asked(messages, room=100_000):
    """Return the messages, and how many entries had no place; valid by the schema."""
    space = Room(room)
    found = input_messages(messages, texts(), space)
    assert not found or [] == content_errors("gen_ai.input.messages", found)
    return found, space.dropped


def parts_of(content, **message):
    """Return the parts of one user message."""
    ((found,), _) = asked([{"role": "user", "content": content} | message])
    return found["parts"]


def text(content):
    """Return a text part."""
    return {"type": "text", "content": content}


def said(role, content):
    """Return a message of one text."""
    return {"role": role, "parts": [text(content)]}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([{"role": "system", "content": "Be kind."}], [said("system", "Be kind.")]),
        ([{"role": "developer", "content": "Be kind."}], [said("developer", "Be kind.")]),
        ([{"role": "user", "content": "Hi", "name": "ann"}], [said("user", "Hi") | {"name": "ann"}]),
        ([Thing(role="user", content="Hi")], [said("user", "Hi")]),
        ([{"role": "critic", "content": "Hi"}], [said("critic", "Hi")]),
        ([{"content": "Hi"}], [said("user", "Hi")]),
        ([{"role": ["system"], "content": "Hi"}, "there"], [said("user", "Hi"), said("user", "there")]),
        ("Hi", [said("user", "Hi")]),
        (["one", "two"], [said("user", "one"), said("user", "two")]),
        ([1, 2, 3], []),
        ([[1, 2], [3]], []),
        (None, []),
        (7, []),
        ([None, 3, {}, {"role": "user", "content": None}], [{"role": "user", "parts": []}]),
        ([{"type": "input_text", "text": "Hi"}], [said("user", "Hi")]),
        (
            [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
            [said("user", "Hi")],
        ),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_messages_in_every_shape(messages, expected):
    """Chat, prompts and input items; what cannot be read is left out, the rest stands."""
    assert expected == asked(messages)[0]


def test_a_conversation_with_a_tool():
    """The call and its answer are tied by the id; JSON is a structure."""
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "rainy"},
    ]

    assert [
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Paris"}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "rainy"}]},
    ] == asked(messages)[0]


def test_a_conversation_with_a_tool_in_items_of_responses():
    """The same, as `input` of the Responses API has it."""
    items = [
        {"type": "reasoning", "id": "r1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "function_call", "call_id": "c1", "id": "f1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": '{"sky": "grey"}'},
        {"type": "web_search_call", "id": "w1", "action": {"query": "secret"}},
        {"type": "item_reference", "id": "m1"},
    ]

    assert [
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "Hm."}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"sky": "grey"}}]},
        {
            "role": "assistant",
            "parts": [
                {
                    "type": "server_tool_call",
                    "id": "w1",
                    "name": "web_search_call",
                    "server_tool_call": {"type": "web_search_call"},
                }
            ],
        },
        {"role": "user", "parts": [{"type": "item_reference"}]},
    ] == asked(items)[0]


def test_a_result_of_several_parts_keeps_them():
    """An image that a tool returned leaves its kind behind."""
    result = [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
    ]
    ((message,), _) = asked([{"role": "tool", "tool_call_id": "c1", "content": result}])

    image = {"type": "blob", "modality": "image", "content": "", "mime_type": "image/png"}
    assert [{"type": "tool_call_response", "id": "c1", "response": [text("Look:"), image]}] == message["parts"]


def test_results_within_results_end():
    """No tool answers so; and nothing may be nested without end."""
    result = [{"type": "text", "text": "rainy"}]
    for _ in range(2_000):
        result = [*result[:1], {"type": "tool_result", "tool_use_id": "c1", "content": result}]
    ((message,), _) = asked([{"role": "tool", "tool_call_id": "c1", "content": result}])

    assert [{"type": "tool_call_response", "id": "c1", "response": [text("rainy")]}] == message["parts"]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,BYTES"}},
            {"type": "blob", "modality": "image", "content": "", "mime_type": "image/png"},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://ann:pw@cdn.test/cat.png?sig=KEY#x"}},
            {"type": "uri", "modality": "image", "uri": "https://cdn.test/cat.png"},
        ),
        (
            {"type": "input_image", "image_url": "http://cdn.test:8080/cat.png"},
            {"type": "uri", "modality": "image", "uri": "http://cdn.test:8080/cat.png"},
        ),
        ({"type": "input_image", "file_id": "f-1"}, {"type": "file", "modality": "image", "file_id": "f-1"}),
        ({"type": "image_url", "image_url": "BYTES"}, {"type": "blob", "modality": "image", "content": ""}),
        (
            {"type": "image_url", "image_url": {"url": "https://[bad"}},
            {"type": "uri", "modality": "image", "uri": "https://"},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "BYTES", "format": "wav"}},
            {"type": "blob", "modality": "audio", "content": "", "mime_type": "audio/wav"},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,BYTES", "filename": "x.pdf"}},
            {"type": "blob", "modality": "document", "content": "", "mime_type": "application/pdf"},
        ),
        ({"type": "input_file", "file_id": "f-1"}, {"type": "file", "modality": "document", "file_id": "f-1"}),
        (
            {"type": "video_url", "video_url": {"url": "gs://bucket/cat.mp4"}},
            {"type": "uri", "modality": "video", "uri": "gs://bucket/cat.mp4"},
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "BYTES"}},
            {"type": "blob", "modality": "image", "content": "", "mime_type": "image/jpeg"},
        ),
        ({"type": "document", "source": None}, {"type": "blob", "modality": "document", "content": ""}),
        ({"type": "hologram", "bytes": "BYTES"}, {"type": "hologram"}),
        ({"type": "hologram", "text": "a cat"}, {"type": "hologram", "content": "a cat"}),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_media_leave_their_kind_behind(item, expected):
    """Not their bytes, and of an address nothing that gives access."""
    assert [expected] == parts_of([item])


@pytest.mark.parametrize(
    "item",
    [{"type": "text"}, {"type": "text", "text": 3}, {"type": "tool_call"}, {"type": 3}, {}, None, 4, ""],
    ids=repr,
)
def test_an_item_that_says_nothing_is_left_out(item):
    """The others stand."""
    assert [text("a"), text("b")] == parts_of(["a", item, {"type": "text", "text": "b"}])


def test_the_parts_of_anthropic():
    """Blocks as its API has them, which LiteLLM passes on."""
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "x"},
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Paris"}},
        {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "rainy"}]},
    ]

    assert [
        {"type": "reasoning", "content": "Hm."},
        {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Paris"}},
        {"type": "tool_call_response", "id": "c1", "response": [text("rainy")]},
    ] == parts_of(blocks)


# --- what fits --------------------------------------------------------------------------------------------


CONVERSATION = [{"role": "system", "content": "S" * 50}] + [{"role": "user", "content": str(n) * 100} for n in range(9)]


def first_letters(found):
    """Return the first letter of each message."""
    return "".join(message["parts"][0]["content"][0] for message in found)


@pytest.mark.parametrize(
    ("room", "expected"),
    [(100_000, "S012345678"), (1_000, "S45678"), (500, "S78"), (300, "S8"), (250, "8"), (100, "")],
)
def test_the_newest_messages_and_the_instructions_are_kept(room, expected):
    """A conversation is sent as a whole with each call: from its middle goes what is too much, and it is counted."""
    found, dropped = asked(CONVERSATION, room)

    assert (expected, len(CONVERSATION) - len(expected)) == (first_letters(found), dropped)
    assert room >= sum(len(json.dumps(message)) for message in found)


def test_of_a_message_that_is_too_big_the_first_parts_are_kept():
    """The rest of it is counted as well."""
    content = [{"type": "text", "text": str(n) * 100} for n in range(9)]
    ((message,), dropped) = asked([{"role": "user", "content": content}], 500)

    assert ["0", "1", "2"] == [part["content"][0] for part in message["parts"]]
    assert 6 == dropped


def test_where_nothing_fits_nothing_is_kept():
    """And that is counted."""
    assert ([], 1) == asked([{"role": "user", "content": "x" * 100}], 50)


def test_what_has_no_place_is_not_read():
    """A redaction of a long history would cost its caller time for nothing."""
    seen = []
    own = texts(redact=lambda each: seen.append(each) or each)

    input_messages(CONVERSATION, own, Room(400))

    assert 3 >= len(seen)


# --- instructions and tools -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ("Be kind.", [text("Be kind.")]),
        ([{"role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]}], [text("Be kind.")]),
        ("", []),
        (None, []),
        (7, []),
    ],
    ids=repr,
)
def test_instructions_apart_from_the_conversation(instructions, expected):
    """As the Responses API takes them."""
    found = system_instructions(instructions, texts(), Room(1_000))

    assert expected == found
    assert not found or [] == content_errors("gen_ai.system_instructions", found)


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (
            {"type": "function", "function": {"name": "weather", "description": "Tells.", "parameters": SCHEMA}},
            {"type": "function", "name": "weather", "description": "Tells.", "parameters": SCHEMA},
        ),
        (
            {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": True},
            {"type": "function", "name": "weather", "parameters": SCHEMA},
        ),
        ({"name": "weather", "input_schema": SCHEMA}, {"type": "function", "name": "weather", "parameters": SCHEMA}),
        (
            {"type": "web_search_preview", "user_location": "x"},
            {"type": "web_search_preview", "name": "web_search_preview"},
        ),
        (
            {"type": "mcp", "server_label": "wiki", "headers": {"Authorization": "Bearer KEY"}},
            {"type": "mcp", "name": "wiki"},
        ),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_definitions_of_tools(tool, expected):
    """Name, description, schema; of a tool at the provider its kind, and none of its settings: they hold keys."""
    found = tool_definitions([tool, None, {}, {"type": "function"}], texts(), Room(10_000))

    assert [expected] == found
    assert [] == content_errors("gen_ai.tool.definitions", found)


def test_many_tools_are_kept_from_the_first():
    """The rest is counted."""
    room = Room(100)
    found = tool_definitions([{"name": f"tool-{n}"} for n in range(9)], texts(), room)

    assert (["tool-0", "tool-1"], 7) == ([each["name"] for each in found], room.dropped)


# --- every text is redacted -------------------------------------------------------------------------------

BIRD = "canary"
EVERYWHERE = [
    {"role": f"my-{BIRD}", "name": BIRD, "content": BIRD},
    {"role": "assistant", "reasoning_content": BIRD, "refusal": BIRD, "audio": {"transcript": BIRD}},
    {"role": "assistant", "thinking_blocks": [{"thinking": BIRD}], "function_call": {"name": BIRD, "arguments": BIRD}},
    {
        "role": "assistant",
        "tool_calls": [{"id": BIRD, "function": {"name": BIRD, "arguments": f'{{"{BIRD}": ["{BIRD}"]}}'}}],
    },
    {"role": "tool", "tool_call_id": BIRD, "content": f'{{"a": "\\n{BIRD}"}}'},
    {"role": "tool", "tool_call_id": BIRD, "content": [{"type": "text", "text": BIRD}]},
    {"type": "function_call_output", "call_id": BIRD, "output": BIRD},
    {"type": f"{BIRD}_call", "id": BIRD, "name": BIRD},
    {"type": "image_generation_call", "output_format": BIRD},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": {"value": BIRD}},
            {"type": BIRD, "text": BIRD},
            {"type": "image_url", "image_url": {"url": f"https://{BIRD}.test/{BIRD}", "format": BIRD}},
            {"type": "image_url", "image_url": f"data:image/{BIRD};base64,{BIRD}"},
            {"type": "input_audio", "input_audio": {"format": BIRD, "data": BIRD}},
            {"type": "file", "file": {"file_id": BIRD, "filename": BIRD}},
            {"type": "image", "source": {"media_type": BIRD, "data": BIRD}},
            {"type": "tool_use", "id": BIRD, "name": BIRD, "input": {BIRD: BIRD}},
            {"type": "tool_result", "tool_use_id": BIRD, "content": BIRD},
        ],
    },
]
BIRDS_TOOLS = [
    {"type": "function", "function": {"name": BIRD, "description": BIRD, "parameters": {"type": BIRD, BIRD: 1}}},
    {"type": BIRD},
    {"type": "mcp", "server_label": BIRD},
]


def test_every_text_goes_through_the_redaction():
    """Whatever somebody outside has written: names, ids, addresses and kinds too."""
    own = texts(redact=lambda each: each.replace(BIRD, "bird"))
    room = Room(100_000)
    found = [
        input_messages(EVERYWHERE, own, room),
        system_instructions([{"role": BIRD, "content": BIRD}, BIRD], own, room),
        tool_definitions(BIRDS_TOOLS, own, room),
    ]

    assert [len(EVERYWHERE), 2, len(BIRDS_TOOLS)] == [len(each) for each in found]
    assert (0, False) == (room.dropped, BIRD in json.dumps(found))
    assert 40 <= json.dumps(found).count("bird")
