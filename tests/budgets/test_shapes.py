"""Every kind of request has its bound: its input, its answers, and the limit that it goes by."""

from __future__ import annotations

from typing import Any

import pytest

from llm_otel.budgets.estimate import TOKENS_FOR_TOOLS
from llm_otel.budgets.shapes import CHAT, EMBEDDINGS, RESPONSES, TEXT, Shape
from llm_otel.models.limits import ModelLimits
from tests.extents import extent_of

UNLIMITED = ModelLimits()
SMALL = ModelLimits(context_window=1_000, max_output_tokens=500)
LONG = "a" * 5_000


def extent(shape: Shape, limits: ModelLimits = UNLIMITED, **arguments: Any) -> tuple[int | None, int | None]:
    """Bound a request: (input, output)."""
    found = extent_of(arguments, limits, shape)
    return found.input_tokens, found.output_tokens


@pytest.mark.parametrize("shape", [CHAT, TEXT, EMBEDDINGS, RESPONSES], ids=["chat", "text", "embeddings", "responses"])
def test_the_text_is_bounded_by_its_bytes(shape):
    """Whatever the argument is called that holds it, and never by less."""
    bound, _ = extent(shape, **{shape.input: LONG})

    assert len(LONG) <= bound < len(LONG) + 100


@pytest.mark.parametrize(
    ("given", "requests"),
    [("one", 1), (["one"], 1), (["one", "two", "three"], 3), ([1, 2, 3], 1), ([[1, 2], [3]], 2), ([], 1), (None, 1)],
)
def test_each_input_of_several_has_a_window(given, requests):
    """A list of texts is as many requests; tokens that were counted already are one."""
    assert requests == EMBEDDINGS.requests_in({"input": given}) == TEXT.requests_in({"prompt": given})
    assert 1 == RESPONSES.requests_in({"input": given}) == CHAT.requests_in({"messages": given})


def test_the_window_bounds_each_input():
    """Three long texts are three full windows, not one."""
    assert (3_000, 0) == extent(EMBEDDINGS, SMALL, input=[LONG] * 3)
    assert (1_000, None) == extent(RESPONSES, SMALL, input=LONG)


def test_tokens_count_at_least_once():
    """Who sends tokens is billed for each."""
    bound, _ = extent(EMBEDDINGS, input=[7] * 100)

    assert 100 <= bound


def test_embeddings_have_no_output():
    """There is nothing to limit, whatever stands there."""
    assert 0 == extent(EMBEDDINGS, input="Hi", max_tokens=5)[1]
    assert not EMBEDDINGS.generates


@pytest.mark.parametrize(
    ("shape", "arguments", "answers"),
    [
        (CHAT, {"n": 3}, 3),
        (TEXT, {"prompt": ["a", "b"], "n": 3}, 6),
        (TEXT, {"prompt": "a", "n": 2, "best_of": 5}, 5),
        (RESPONSES, {"input": ["a", "b"], "n": 3}, 1),
    ],
)
def test_every_answer_is_billed(shape, arguments, answers):
    """OpenAI bills all of `best_of`, for each of several prompts."""
    assert answers == shape.answers_to(arguments)


@pytest.mark.parametrize(
    ("shape", "arguments", "limit"),
    [
        (TEXT, {"max_tokens": 20}, 20),
        (TEXT, {"max_tokens": 0}, 0),
        (TEXT, {}, None),
        (CHAT, {"max_tokens": 0}, None),
        (RESPONSES, {"max_output_tokens": 20}, 20),
        (RESPONSES, {"max_output_tokens": 5}, 16),
        (RESPONSES, {"max_output_tokens": 0}, None),
        (RESPONSES, {"max_tokens": 20}, None),
        (EMBEDDINGS, {"max_tokens": 20}, None),
    ],
)
def test_the_callers_limit(shape, arguments, limit):
    """Each has a name of its own for it; 0 is one where a prompt alone can be wanted."""
    assert limit == shape.output_limit(arguments)


@pytest.mark.parametrize(
    ("shape", "arguments", "name"),
    [
        (CHAT, {}, "max_tokens"),
        (CHAT, {"max_completion_tokens": 900}, "max_completion_tokens"),
        (TEXT, {}, "max_tokens"),
        (RESPONSES, {}, "max_output_tokens"),
    ],
)
def test_another_limit_goes_by_the_same_name(shape, arguments, name):
    """So that there is one, and the caller's arguments stay as they are."""
    before = dict(arguments)

    assert {name: 7} == shape.limited_to(arguments, 7)
    assert before == arguments


def test_instructions_are_read_too():
    """They go before the input of a response."""
    bound, _ = extent(RESPONSES, input="Hi", instructions=LONG)

    assert len(LONG) <= bound


@pytest.mark.parametrize(
    "kept", [{"previous_response_id": "resp_1"}, {"prompt": {"id": "pmpt_1"}}, {"conversation": "c"}]
)
def test_what_the_provider_keeps_is_bounded_by_the_window(kept):
    """Nobody here knows how long it is."""
    assert (1_000, None) == extent(RESPONSES, SMALL, input="Hi", **kept)
    assert (None, None) == extent(RESPONSES, input="Hi", **kept)


@pytest.mark.parametrize(
    ("tools", "is_bounded"),
    [
        ([{"type": "function", "name": "look"}], True),
        ([{"type": "custom", "name": "look"}], True),
        ([{"type": "web_search"}], False),
        ([{"type": "function", "name": "look"}, {"type": "mcp"}], False),
        ([{"type": ["function"]}], False),
    ],
)
def test_tools_that_run_there(tools, is_bounded):
    """What they find is input as well; those of the caller's are sent, and bounded."""
    bound, _ = extent(RESPONSES, input="Hi", tools=tools)

    assert is_bounded is (bound is not None)
    assert bound is None or bound > TOKENS_FOR_TOOLS


def test_the_items_of_a_conversation():
    """Calls of tools and what they brought are text."""
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "function_call", "call_id": "1", "name": "look", "arguments": '{"at": "sea"}'},
        {"type": "function_call_output", "call_id": "1", "output": LONG},
    ]
    bound, _ = extent(RESPONSES, input=items)

    assert len(LONG) <= bound
    assert (1_000, None) == extent(RESPONSES, SMALL, input=[{"type": "input_image", "image_url": "https://x"}])


def test_a_schema_for_the_answer_is_read_too():
    """As that of chat."""
    schema = {"format": {"type": "json_schema", "schema": {"title": LONG}}}

    assert len(LONG) <= extent(RESPONSES, input="Hi", text=schema)[0]
