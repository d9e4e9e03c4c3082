"""Whatever is in a conversation: reading it never fails, the result is valid, and every text of it was redacted."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from llm_otel.content import CallContent
from llm_otel.providers.gathering import Gatherer
from llm_otel.providers.texts import Texts
from llm_otel.semconv import Operation
from tests.contract.content import CONTENT, content_errors

MARKER = "canary"
KINDS = [
    "text",
    "input_text",
    "output_text",
    "refusal",
    "thinking",
    "image_url",
    "input_image",
    "image",
    "input_audio",
    "file",
    "input_file",
    "document",
    "video_url",
    "tool_use",
    "tool_result",
    "function",
    "function_call",
    "function_call_output",
    "reasoning",
    "message",
    "custom_tool_call",
    "web_search_call",
    "image_generation_call",
    "item_reference",
    "tool_call",
    "blob",
    "mcp",
]
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
EVENTS = [
    f"response.{kind}"
    for kind in (
        *("output_text.delta", "reasoning_text.delta", "function_call_arguments.delta", "refusal.delta"),
        *("output_item.added", "output_item.done", "completed", "failed"),
    )
]
NAMES = [
    "role",
    "content",
    "type",
    "text",
    "parts",
    "name",
    "tool_calls",
    "function",
    "arguments",
    "id",
    "call_id",
    "tool_call_id",
    "output",
    "input",
    "image_url",
    "url",
    "input_audio",
    "format",
    "data",
    "file",
    "file_id",
    "file_data",
    "source",
    "media_type",
    "thinking",
    "thinking_blocks",
    "reasoning_content",
    "refusal",
    "summary",
    "message",
    "delta",
    "choices",
    "index",
    "audio",
    "transcript",
    "images",
    "function_call",
    "description",
    "parameters",
    "input_schema",
    "server_label",
    "value",
    "tool_use_id",
    "mime_type",
    "output_index",
    "item",
    "response",
    "candidates",
    "args",
]

texts = st.one_of(
    st.text(max_size=20),
    st.text(max_size=5).map(lambda each: f"{each}{MARKER}{each}"),
    st.sampled_from([f'{{"a": "x\\n{MARKER}"}}', f"[{json.dumps(MARKER)}", f"data:{MARKER};base64,{MARKER}", "{}"]),
    st.sampled_from([f"https://{MARKER}@h.test/{MARKER}?{MARKER}", *KINDS, *ROLES]),
)
marked = st.just(MARKER)
leaves = st.one_of(texts, st.none(), st.booleans(), st.integers(), st.floats())
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
anything = st.one_of(marked, trees)


def shaped(inner, **fixed):
    """Return dictionaries with fields that mean something, and anything in them."""
    return st.dictionaries(st.sampled_from(NAMES), inner, max_size=6).flatmap(
        lambda found: st.fixed_dictionaries(fixed).map(lambda kind: found | kind)
    )


functions = shaped(anything)
parts = shaped(anything | functions, type=st.sampled_from(KINDS))
messages = st.one_of(
    parts,
    shaped(anything | functions | st.lists(parts | functions, max_size=3), role=st.sampled_from(ROLES) | anything),
    anything,
)
few = st.lists(messages, max_size=4) | anything
answers = st.fixed_dictionaries(
    {}, optional={name: st.lists(messages | shaped(messages), max_size=3) for name in ("choices", "output", "content")}
)
deltas = st.lists(shaped(messages, index=st.integers(0, 1)), max_size=2).map(lambda choices: {"choices": choices})
events = shaped(messages, type=st.sampled_from(EVENTS), output_index=st.integers(0, 1))


class Asked:
    """A request, as far as its content goes."""

    operation = Operation.CHAT.value

    def __init__(self, messages, instructions, tools):
        self.messages, self.instructions, self.tools = messages, instructions, tools


def redact(text):
    """Take the marker out."""
    return text.replace(MARKER, "")


def recorded(asked, response, chunks, *, max_length=60):
    """Return what is recorded of a call."""
    content = CallContent(Texts(redact=redact, max_length=max_length), 8 * max_length, on_span=True, on_event=True)
    content.take_question(asked)
    if chunks is None:
        content.came(response)
    else:
        gatherer = content.gather()
        for chunk in chunks:
            gatherer.feed(chunk)
    return content.end()


@given(few, few, few, answers | anything, st.none() | st.lists(deltas | events | anything, max_size=5))
def test_nothing_fails_everything_is_valid_and_redacted(messages, instructions, tools, response, chunks):
    """On spans as JSON, in events as structures; names of fields, tools and files are texts too."""
    said = recorded(Asked(messages, instructions, tools), response, chunks)

    assert MARKER not in json.dumps([said.on_span, said.on_event])
    for place in (said.on_span, said.on_event):
        for attribute in CONTENT & place.keys():
            assert [] == content_errors(attribute, place[attribute])


@given(few, few, few)
def test_what_is_recorded_is_bounded(messages, instructions, tools):
    """No attribute is longer than what it has room for, and the commas between."""
    said = recorded(Asked(messages, instructions, tools), None, None, max_length=30)

    assert all(len(said.on_span[attribute]) <= 2 * 8 * 30 for attribute in CONTENT & said.on_span.keys())


@given(st.lists(st.text(max_size=10), max_size=10), st.data())
def test_a_stream_says_what_the_whole_says(pieces, data):
    """However a text is cut into chunks."""
    whole = {"choices": [{"message": {"content": "".join(pieces)}}]}
    gatherer = Gatherer()
    for piece in pieces:
        gatherer.feed({"choices": [{"index": 0, "delta": {"content": piece}}]})
    asked = Asked(None, None, None)
    of_whole = recorded(asked, whole, None, max_length=200)
    of_stream = recorded(asked, gatherer.response(), None, max_length=200)

    assert not pieces or of_whole == of_stream
