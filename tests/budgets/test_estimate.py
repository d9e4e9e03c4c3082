"""The bound of a request: never below what a tokenizer counts, whatever is sent."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from llm_otel.budgets.estimate import (
    TOKENS_FOR_TOOLS,
    TOKENS_PER_CALL,
    Extent,
    fixed_tokens,
)
from llm_otel.budgets.shapes import CHAT
from llm_otel.models.limits import ModelLimits
from tests.extents import extent_of

UNLIMITED = ModelLimits()
SMALL = ModelLimits(context_window=8_192, max_output_tokens=4_096)

OPENAI_PER_MESSAGE = 4
"""OpenAI's cookbook, "How to count tokens": 3 for each message and 1 for a name, and 3 for the answer's beginning."""

Count = Callable[[str], int]

texts = st.text() | st.text(st.characters(categories=["Cs", "So", "Lo", "Mn", "Cc"]))
tool_inputs = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=10,
)


def extent(content: Any = "Hello!", limits: ModelLimits = UNLIMITED, **arguments: Any) -> Extent:
    """Bound a request with one message of the user's."""
    return extent_of({"messages": [{"role": "user", "content": content}], **arguments}, limits)


def input_tokens(content: Any = "Hello!", **arguments: Any) -> int:
    """Bound the input of a request of a model without limits."""
    bound = extent(content, **arguments).input_tokens
    assert bound is not None
    return bound


def parts(*content: dict[str, Any]) -> Extent:
    """Bound a message of several parts, for a model that takes 8,192 tokens."""
    return extent(list(content), SMALL)


# --- against tokenizers -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["o200k_base", "cl100k_base", "anthropic"])
def count(request: pytest.FixtureRequest) -> Iterator[Count]:
    """Count with a vocabulary that LiteLLM has in its package: nothing is fetched."""
    spec = importlib.util.find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    vocabularies = Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"
    if request.param == "anthropic":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(vocabularies / "anthropic_tokenizer.json"))
        # It takes no lone surrogates, and no provider is ever sent one.
        yield lambda text: len(tokenizer.encode(text.encode(errors="replace").decode()).ids)
        return
    with mock.patch.dict(os.environ, {"TIKTOKEN_CACHE_DIR": str(vocabularies)}):
        from tiktoken import get_encoding

        encoding = get_encoding(request.param)
        yield lambda text: len(encoding.encode(text, disallowed_special=()))


@given(content=texts)
@example(content="😀" * 50)
@example(content="👩‍👩‍👧‍👦🏳️‍🌈")
# One letter that stands for eighteen, where a tokenizer normalizes; and a word that is one.
@example(content="\ufdfa" * 20)
@example(content="㍿㋿ﬃ…½")
@example(content="\u0958" * 20)
@example(content="नमस्ते दुनिया" * 10)
@example(content="\ud83d\ude00\ud800")
@example(content="<|endoftext|>" * 20)
@example(content="\x00\x01\x7f\x80\xff")
@example(content="0123456789abcdef" * 20)
def test_no_text_has_more_tokens_than_its_bound(count: Count, content: str) -> None:
    """Plus what OpenAI's chat format adds; counted, not guessed."""
    tokens = count(content) + count("user") + OPENAI_PER_MESSAGE
    assert input_tokens(content) >= tokens + 3


@given(contents=st.lists(texts, max_size=10))
def test_no_conversation_has_more_tokens_than_its_bound(count: Count, contents: list[str]) -> None:
    """Each message costs a little beside its text."""
    messages = [{"role": "assistant", "content": content} for content in contents]
    tokens = sum(count(content) + count("assistant") + OPENAI_PER_MESSAGE for content in contents)
    bound = extent_of({"messages": messages}, UNLIMITED).input_tokens
    assert bound is not None
    assert bound >= tokens + 3


@given(given=tool_inputs)
@example(given={"a": [0] * 1_000})
@example(given={"a": "\n" * 1_000})
@example(given={"straße": "ü", "type": "dog"})
def test_no_tool_call_has_more_tokens_than_its_bound(count: Count, given: Any) -> None:
    """What a tool was called with is shown to the model as JSON: its signs are tokens too."""
    shown = json.dumps(given, ensure_ascii=False)
    part = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": given}
    assert input_tokens([part]) >= count(shown) + count("weather") + OPENAI_PER_MESSAGE


@given(name=texts, description=texts)
def test_no_tool_has_more_tokens_than_its_bound(count: Count, name: str, description: str) -> None:
    """Its definition is sent as JSON."""
    tools = [{"type": "function", "function": {"name": name, "description": description, "parameters": {}}}]
    shown = json.dumps(tools, ensure_ascii=False)
    assert fixed_tokens({"tools": tools}) >= count(shown) + 935


# --- shape ------------------------------------------------------------------------------------------------------------


@given(texts, texts)
def test_more_text_never_has_a_lower_bound(one: str, other: str) -> None:
    """Nor has another message."""
    longer = extent_of(
        {"messages": [{"role": "user", "content": one}, {"role": "user", "content": other}]}, UNLIMITED
    ).input_tokens
    assert longer is not None
    assert longer > input_tokens(one)
    assert extent(one * 2, SMALL).input_tokens >= extent(one, SMALL).input_tokens


@given(st.text(max_size=20_000))
def test_no_bound_is_above_the_context_window(content: str) -> None:
    """The provider refuses what is longer, and bills nothing."""
    bound = extent(content, SMALL).input_tokens
    assert bound is not None
    assert bound == min(input_tokens(content), 8_192)


def test_a_short_question_has_a_small_bound() -> None:
    """Its bytes, the names around it, and what a call and a message cost."""
    assert TOKENS_PER_CALL + 8 + len("role") + len("user") + len("content") + len("Hello!") == input_tokens("Hello!")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "video_url", "video_url": {"url": "https://example.org/a.mp4"}},
        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "image", "source": {}}]},
        {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
        {"type": ["image"]},
    ],
)
def test_what_is_no_text_is_bounded_by_the_context_window_alone(part: dict[str, Any]) -> None:
    """Its address says nothing of its tokens; without a known window nothing bounds it."""
    assert 8_192 == parts({"type": "text", "text": "What is this?"}, part).input_tokens
    assert extent([part]).input_tokens is None


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": "Hello!"},
        {"type": "tool_use", "id": "1", "name": "weather", "input": {"type": "city", "name": "Oslo"}},
        {"type": "tool_result", "tool_use_id": "1", "content": "rain"},
        {"type": "thinking", "thinking": "Hm.", "signature": "abc"},
        {"type": "refusal", "refusal": "No."},
    ],
)
def test_parts_that_are_text_are_bounded_by_their_bytes(part: dict[str, Any]) -> None:
    """And not by the window."""
    bound = parts(part).input_tokens
    assert bound is not None
    assert bound < 200


@pytest.mark.parametrize("field", ["audio", "images"])
def test_an_answer_in_sound_or_pictures_that_is_sent_back_is_no_text(field: str) -> None:
    """A later message names it by its id."""
    message = {"role": "assistant", "content": None, field: {"id": "audio_1"}}
    assert 8_192 == extent_of({"messages": [message]}, SMALL).input_tokens
    assert extent_of({"messages": [message | {field: None}]}, UNLIMITED).input_tokens is not None


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "prompt_id"])
def test_text_that_is_kept_elsewhere_is_not_seen(name: str) -> None:
    """The provider adds it to the input."""
    assert 8_192 == extent("Hello!", SMALL, **{name: "id-1"}).input_tokens
    assert input_tokens("Hello!") == extent("Hello!", SMALL, **{name: None}).input_tokens


def test_calls_of_tools_in_messages_count() -> None:
    """Their arguments are text that the model reads again."""
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "x" * 1_000}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    bound = extent_of({"messages": [message]}, UNLIMITED).input_tokens
    assert bound is not None
    assert bound > 1_000


class Message(BaseModel):
    role: str
    content: Any


def test_objects_count_as_what_they_are_sent_as() -> None:
    """LiteLLM's own messages are pydantic models, and so may be parts of them."""
    text = {"role": "user", "content": "x" * 1_000}
    assert extent_of({"messages": [text]}, UNLIMITED) == extent_of({"messages": [Message(**text)]}, UNLIMITED)
    image = Message(role="user", content=[{"type": "image_url", "image_url": {}}])
    assert 8_192 == extent_of({"messages": [image]}, SMALL).input_tokens


# --- beside the messages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tools", "functions", "response_format"])
def test_definitions_count_with_the_prompt_that_comes_with_them(name: str) -> None:
    """A schema for the answer is made a tool where a provider has none for answers."""
    definition = [{"name": "weather", "description": "x" * 1_000}]
    more = input_tokens("Hello!", **{name: definition}) - input_tokens("Hello!")
    assert more == fixed_tokens({name: definition})
    assert more > TOKENS_FOR_TOOLS + 1_000
    assert 0 == fixed_tokens({name: None}) == fixed_tokens({name: []})


@pytest.mark.parametrize(
    ("asked", "is_bounded"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, False),
        ({"tools": [{"type": "code_execution_20250522", "name": "code_execution"}]}, False),
        ({"web_search_options": {}}, False),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, True),
        ({"tools": [{"type": "function", "function": {"name": "web_search"}}]}, True),
        ({"tools": [{"name": "weather", "input_schema": {}}]}, True),
        ({"tools": [{"type": ["web_search"]}]}, True),
        ({"web_search_options": None}, True),
    ],
)
def test_what_tools_find_at_the_provider_is_bounded_by_the_context_window_alone(asked: Any, is_bounded: bool) -> None:
    """It reads that too, and bills for it. What the caller's own tools find comes with the next call."""
    bound = extent_of({"messages": [{"role": "user", "content": "Hello!"}]} | asked, SMALL).input_tokens

    assert is_bounded == (bound != SMALL.context_window)


class Answer(BaseModel):
    """What is wanted."""

    verdict: str
    reasons: list[str]


def test_a_class_as_the_form_of_the_answer_counts_as_its_schema() -> None:
    """Which is made strict: every property is named once more."""
    schema = Answer.model_json_schema()
    strict = schema | {"additionalProperties": False, "strict": True, "required": list(schema["properties"])}
    assert fixed_tokens({"response_format": Answer}) >= TOKENS_FOR_TOOLS + len(json.dumps(strict))


@pytest.mark.parametrize(
    ("arguments", "is_marked"),
    [
        ({}, False),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}]}, True),
        ({"messages": [{"role": "system", "content": "x", "cache_control": {"type": "ephemeral"}}]}, True),
        ({"messages": [{"role": "user", "content": "cache_control"}]}, False),
        ({"tools": [{"name": "weather", "cache_control": {"type": "ephemeral"}}]}, True),
        ({"tools": [{"name": "weather"}]}, False),
        ({"cache_control": {"type": "ephemeral"}}, True),
        ({"cache_control": None}, False),
        ({"cache_control_injection_points": [{"location": "message"}]}, True),
    ],
)
def test_whether_caching_is_asked_for(arguments: dict[str, Any], is_marked: bool) -> None:
    """On a part, a message, a tool, or for the whole request: a write may cost more than the input."""
    assert (
        is_marked
        == extent_of({"messages": [{"role": "user", "content": "Hello!"}], **arguments}, UNLIMITED).may_write_cache
    )


def test_a_mark_has_no_text() -> None:
    """It is a setting."""
    marked = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    assert input_tokens([{"type": "text", "text": "x"}]) == input_tokens(marked)


# --- output -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        ({}, None),
        ({"max_tokens": 100}, 100),
        ({"max_completion_tokens": 100}, 100),
        # Which of the two is sent depends on the provider.
        ({"max_completion_tokens": 100, "max_tokens": 200}, 200),
        ({"max_completion_tokens": 200, "max_tokens": 100}, 200),
        ({"max_completion_tokens": None, "max_tokens": 100}, 100),
        *(({"max_tokens": junk}, None) for junk in (None, 0, -1, True, "100", 100.0, [100])),
    ],
)
def test_the_callers_output_limit(arguments: dict[str, Any], limit: int | None) -> None:
    """Under either name; what is no positive whole number limits nothing."""
    assert limit == CHAT.output_limit(arguments)
    assert limit == extent(**arguments).output_tokens


@pytest.mark.parametrize(("n", "count"), [(None, 1), (1, 1), (3, 3), (0, 1), (-2, 1), (True, 1), ("3", 1), (2.0, 1)])
def test_each_answer_that_is_asked_for_may_be_that_long(n: Any, count: int) -> None:
    """The limit is for each."""
    assert count == CHAT.answers_to({"n": n})
    assert count * 100 == extent(n=n, max_tokens=100).output_tokens


def test_no_answer_is_longer_than_the_models_own_limit() -> None:
    """Whatever the caller allows; and without a limit from the caller there is none here."""
    assert 4_096 == extent(limits=SMALL, max_tokens=1_000_000).output_tokens
    assert 3 * 4_096 == extent(limits=SMALL, max_tokens=1_000_000, n=3).output_tokens
    assert extent(limits=SMALL).output_tokens is None


# --- junk -------------------------------------------------------------------------------------------------------------


class Hostile:
    """An object that lets nobody look at it."""

    def __str__(self) -> str:
        raise RuntimeError

    def model_dump(self) -> Any:
        raise RuntimeError


def endless() -> list[Any]:
    """A list in itself."""
    ring: list[Any] = []
    ring.append(ring)
    return ring


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(object),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner) | st.tuples(inner),
)


@given(junk, junk, junk)
@example(endless(), endless(), None)
@example([Hostile()], [Hostile()], Hostile)
@example({"type": "user"}, {(1, 2): 3}, {"type": Hostile()})
@example([{"role": "user", "content": Hostile()}], b"", {1, 2})
@example([Message], [Message], Message)
def test_junk_never_raises(messages: Any, tools: Any, response_format: Any) -> None:
    """LiteLLM or the provider says what is wrong with it, in its own words."""
    arguments = {"messages": messages, "tools": tools, "functions": tools, "response_format": response_format}
    found = extent_of({**arguments, "n": messages, "max_tokens": tools}, SMALL)
    assert found.input_tokens is not None
    assert 0 < found.input_tokens <= 8_192


def test_what_nobody_can_look_into_is_not_bounded() -> None:
    """A generator above all: whoever counted it would have used it up."""
    messages = ({"role": "user", "content": text} for text in ("one", "two"))
    assert 8_192 == extent_of({"messages": messages}, SMALL).input_tokens
    assert 2 == len(list(messages))
    assert 8_192 == extent(Hostile(), SMALL).input_tokens == extent(object(), SMALL).input_tokens


def test_a_request_without_messages_has_a_bound() -> None:
    """It will be refused; until then it is small."""
    assert extent_of({}, UNLIMITED).input_tokens == pytest.approx(TOKENS_PER_CALL, abs=8)
