"""What responses and chunks say: usage in every provider's shape, several choices, tools, reasoning, and garbage."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_otel.call import Answer
from llm_otel.providers.reading import ChunkKind, ChunkReader, answer_of, usage_of
from llm_otel.usage import Usage


def as_object(value: Any) -> Any:
    """Turn dictionaries into objects, as LiteLLM's and the SDKs' responses are."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(each) for name, each in value.items()})
    return [as_object(each) for each in value] if isinstance(value, list) else value


both_forms = pytest.mark.parametrize("form", [as_object, dict], ids=["object", "dictionary"])

USAGES = {
    "OpenAI": (
        {
            "prompt_tokens": 1800,
            "completion_tokens": 50,
            "total_tokens": 1850,
            "prompt_tokens_details": {"cached_tokens": 1500, "audio_tokens": 20},
            "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 10},
        },
        Usage.of(
            input_tokens=1800,
            output_tokens=50,
            cache_read_tokens=1500,
            input_audio_tokens=20,
            reasoning_tokens=30,
            output_audio_tokens=10,
        ),
    ),
    "OpenAI's Responses": (
        {
            "input_tokens": 100,
            "output_tokens": 40,
            "input_tokens_details": {"cached_tokens": 60},
            "output_tokens_details": {"reasoning_tokens": 24},
        },
        Usage.of(input_tokens=100, output_tokens=40, cache_read_tokens=60, reasoning_tokens=24),
    ),
    "Anthropic, whose cache LiteLLM has added to the input": (
        {
            "prompt_tokens": 2018,
            "completion_tokens": 5,
            "prompt_tokens_details": {
                "cached_tokens": 1500,
                "cache_creation_tokens": 500,
                "cache_creation_token_details": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 300},
            },
            "cache_read_input_tokens": 1500,
            "cache_creation_input_tokens": 500,
            "server_tool_use": {"web_search_requests": 2},
        },
        Usage.of(
            input_tokens=2018,
            output_tokens=5,
            cache_read_tokens=1500,
            cache_write_tokens=500,
            cache_write_1h_tokens=300,
            web_searches=2,
        ),
    ),
    "Anthropic without details": (
        {
            "prompt_tokens": 30,
            "completion_tokens": 5,
            "cache_read_input_tokens": 10,
            "cache_creation_input_tokens": 7,
        },
        Usage.of(input_tokens=30, output_tokens=5, cache_read_tokens=10, cache_write_tokens=7),
    ),
    "Gemini": (
        {
            "prompt_tokens": 18,
            "completion_tokens": 25,
            "prompt_tokens_details": {"cached_tokens": None, "text_tokens": 12, "image_tokens": 6},
            "completion_tokens_details": {"reasoning_tokens": 20, "text_tokens": 5, "image_tokens": None},
        },
        Usage.of(input_tokens=18, output_tokens=25, input_image_tokens=6, reasoning_tokens=20),
    ),
    "Ollama": (
        {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": None},
        Usage.of(input_tokens=9, output_tokens=3),
    ),
    "input alone": ({"prompt_tokens": 9, "completion_tokens": None}, Usage.of(input_tokens=9)),
    "counts as floats": ({"prompt_tokens": 9.0, "completion_tokens": 3.0}, Usage.of(input_tokens=9, output_tokens=3)),
    "more cached than there was": (
        {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 90}},
        Usage.of(input_tokens=9, cache_read_tokens=9),
    ),
    "nonsense in some places": (
        {"prompt_tokens": 9, "completion_tokens": "many", "prompt_tokens_details": ["?"]},
        Usage.of(input_tokens=9),
    ),
}


@both_forms
@pytest.mark.parametrize(("reported", "expected"), USAGES.values(), ids=USAGES)
def test_usage(reported, expected, form):
    """Inclusive counts, whatever the provider calls them."""
    assert expected == usage_of(form(reported))


@pytest.mark.parametrize(
    "reported", [None, {}, {"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": -1}, "9", 9, [], True]
)
def test_no_usage(reported):
    """Nothing reported is not 0: it is counted elsewhere, and marked as an estimate."""
    assert usage_of(reported) is None


RESPONSE = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-mini-2024-07-18",
    "service_tier": "default",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"content": "Good day"}},
        {"index": 1, "finish_reason": "length", "message": {"content": "Hello"}},
    ],
    "usage": {"prompt_tokens": 18, "completion_tokens": 5},
}


@both_forms
def test_an_answer_of_several_choices(form):
    """One finish reason for each. The text is for counting, and needs no gathering where there is a count."""
    expected = Answer(
        usage=Usage.of(input_tokens=18, output_tokens=5),
        response_id="chatcmpl-1",
        response_model="gpt-4o-mini-2024-07-18",
        finish_reasons=("stop", "length"),
        service_tier="default",
    )

    assert expected == answer_of(form(RESPONSE))


@both_forms
def test_the_text_of_an_answer_without_usage(form):
    """Of all choices: all of it is billed."""
    assert "Good dayHello" == answer_of(form({**RESPONSE, "usage": None})).text


@both_forms
def test_reasoning_and_tool_calls_are_output(form):
    """They were generated, and are billed, though no content says them."""
    function = {"name": "look_up", "arguments": '{"q": 1}'}
    message = {"content": None, "reasoning_content": "Hm. ", "tool_calls": [{"id": "1", "function": function}]}
    response = {"choices": [{"finish_reason": "tool_calls", "message": message}]}

    assert 'Hm. look_up{"q": 1}' == answer_of(form(response)).text


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": "ollama_chat/llama3"}, "llama3"),
        ({"model": "gpt-4o-mini"}, "gpt-4o-mini"),
        (
            {"model": "x", "_hidden_params": {"provider_response_model": "gpt-4o-mini-2024-07-18"}},
            "gpt-4o-mini-2024-07-18",
        ),
        ({"model": None}, None),
        ({"model": 7}, None),
    ],
)
def test_the_model_that_answered(fields, expected):
    """As the provider names it, without LiteLLM's prefix."""
    assert expected == answer_of(as_object(fields)).response_model


@pytest.mark.parametrize(("hit", "expected"), [(True, True), (False, False), (None, False), ("yes", False)])
def test_an_answer_from_the_cache(hit, expected):
    """LiteLLM says so among its hidden parameters."""
    assert expected is answer_of(SimpleNamespace(_hidden_params={"cache_hit": hit})).is_cache_hit


@both_forms
def test_a_service_tier_beside_the_usage(form):
    """Anthropic says it there."""
    assert "priority" == answer_of(form({"usage": {"service_tier": "priority"}})).service_tier


# --- chunks -----------------------------------------------------------------------------------------------------------


def chunk(content: Any = None, *, reason: Any = None, index: Any = 0, usage: Any = None, **delta: Any) -> Any:
    """Return a chunk with one choice."""
    choice = SimpleNamespace(index=index, finish_reason=reason, delta=SimpleNamespace(content=content, **delta))
    return SimpleNamespace(id="1", model="gpt-4o-mini", choices=[choice], usage=usage)


def usage_chunk(*choices: Any) -> Any:
    """Return the extra chunk that says what was used."""
    return SimpleNamespace(id="1", choices=list(choices), usage={"prompt_tokens": 18, "completion_tokens": 5})


@pytest.mark.parametrize(
    ("given_chunk", "expected"),
    [
        (chunk("Hi"), ChunkKind.CONTENT),
        (chunk(None, reasoning_content="Hm"), ChunkKind.CONTENT),
        (chunk(None, tool_calls=[as_object({"function": {"name": "f", "arguments": ""}})]), ChunkKind.CONTENT),
        (chunk("Hi", usage={"prompt_tokens": 1}), ChunkKind.CONTENT),
        (chunk(""), ChunkKind.OTHER),
        (chunk(None, role="assistant"), ChunkKind.OTHER),
        (chunk(None, reason="stop"), ChunkKind.OTHER),
        (chunk(None, reason="stop", usage={"prompt_tokens": 1}), ChunkKind.OTHER),
        (usage_chunk(), ChunkKind.USAGE_ONLY),
        (usage_chunk(chunk(None).choices[0]), ChunkKind.USAGE_ONLY),
    ],
)
def test_the_kinds_of_chunks(given_chunk, expected):
    """Content starts the clock of the first chunk; what only says the usage is hidden from who did not ask."""
    assert expected is ChunkReader().feed(given_chunk)


def test_a_stream_is_read_like_a_response():
    """Text, finish reasons by choice, usage, id and model, from wherever they come."""
    reader = ChunkReader()
    for each in (
        chunk(None, role="assistant"),
        chunk("Good "),
        chunk("Hello", index=1),
        chunk("day"),
        chunk(None, reason="length", index=1),
        chunk(None, reason="stop"),
        chunk(None, reason="content_filter", index=2),
        usage_chunk(),
    ):
        reader.feed(each)

    answer = reader.answer()
    assert (
        "1",
        "gpt-4o-mini",
        ("stop", "length", "content_filter"),
        "Good Helloday",
        Usage.of(input_tokens=18, output_tokens=5),
    ) == (
        answer.response_id,
        answer.response_model,
        answer.finish_reasons,
        answer.text,
        answer.usage,
    )


def test_a_stream_is_complete_when_the_model_says_so():
    """Not when it has said much."""
    reader = ChunkReader()
    reader.feed(chunk("Hi"))
    assert not reader.is_complete

    reader.feed(chunk(None, reason="stop"))
    assert reader.is_complete


def test_usage_that_litellm_made_up_is_an_estimate():
    """LiteLLM counts by itself where the provider said nothing, and does not say so."""
    reader = ChunkReader()
    reader.feed(usage_chunk())

    assert (
        Usage.of(input_tokens=18, output_tokens=5, is_estimated=True) == reader.answer(has_reported_usage=False).usage
    )


def test_content_that_is_no_text_is_passed_by():
    """Some models stream lists of parts; what cannot be counted is not."""
    reader = ChunkReader()
    for odd in (["part"], 7, {"text": "x"}):
        reader.feed(chunk(odd))

    assert "" == reader.answer().text


# --- garbage ----------------------------------------------------------------------------------------------------------

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
_NAMES = st.sampled_from(
    [
        "id",
        "model",
        "usage",
        "choices",
        "message",
        "delta",
        "content",
        "finish_reason",
        "index",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "service_tier",
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
        "prompt_tokens_details",
        "cached_tokens",
        "cache_creation_token_details",
        "_hidden_params",
        "cache_hit",
        "provider_response_model",
    ]
)


def _deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(_NAMES, inner, max_size=6)
    return st.lists(inner, max_size=3) | fields | fields.map(lambda found: SimpleNamespace(**found))


GARBAGE = st.recursive(_SCALARS, _deeper, max_leaves=20)


@given(GARBAGE)
def test_no_response_is_too_malformed(garbage):
    """What is known is kept, the rest is as if not said; and what is kept can go on a span."""
    answer = answer_of(garbage)

    assert all(isinstance(reason, str) for reason in answer.finish_reasons)
    assert isinstance(answer.text, str)
    assert answer.usage is None or 0 < answer.usage.total_tokens == sum(answer.usage.buckets().values())


@given(st.lists(GARBAGE, max_size=4), st.booleans())
def test_no_chunk_is_too_malformed(garbage, has_reported_usage):
    """A stream goes on, and ends with what could be read of it."""
    reader = ChunkReader()
    for each in garbage:
        reader.feed(each)
    answer = reader.answer(has_reported_usage=has_reported_usage)

    assert all(isinstance(reason, str) for reason in answer.finish_reasons)
    assert isinstance(answer.text, str)


@given(st.lists(st.tuples(_SCALARS | st.lists(st.text()), _SCALARS, _SCALARS), max_size=4))
def test_no_choice_is_too_malformed(fields):
    """Content, finish reason and index of any type."""
    reader = ChunkReader()
    for content, reason, index in fields:
        reader.feed(chunk(content, reason=reason, index=index))
    answer = reader.answer()

    assert "".join(content for content, _, _ in fields if isinstance(content, str)) == answer.text
    assert all(isinstance(reason, str) and reason for reason in answer.finish_reasons)
