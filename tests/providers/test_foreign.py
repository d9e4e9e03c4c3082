"""Responses of other SDKs: whose counts include what, by their fields alone.

The shapes are those that anthropic 2.12, google-genai 3.4 and openai 3.54 hand out.
"""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_otel.providers.foreign import read
from llm_otel.semconv import Operation
from llm_otel.usage import Usage


def as_object(value: Any) -> Any:
    """Return a dictionary as an SDK's object."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(each) for name, each in value.items()})
    return [as_object(each) for each in value] if isinstance(value, list) else value


def in_camel_case(value: Any) -> Any:
    """Return a dictionary as Google spells it on the wire."""
    if isinstance(value, dict):
        return {_camel(name): in_camel_case(each) for name, each in value.items()}
    return [in_camel_case(each) for each in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.title() for each in others)


def usage_of(response: Any) -> Usage | None:
    """Return the usage that a response is read to have."""
    found = read(response)
    assert found is not None
    return found[0].usage


ANTHROPIC: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": "Hello!"}],
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 10,
        "output_tokens": 7,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 50,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
        "output_tokens_details": {"thinking_tokens": 3},
        "server_tool_use": {"web_search_requests": 2},
        "service_tier": "priority",
    },
}
GEMINI: dict[str, Any] = {
    "response_id": "r1",
    "model_version": "gemini-2.5-flash",
    "candidates": [{"finish_reason": "STOP", "content": {"parts": [{"text": "Hello!"}], "role": "model"}}],
    "usage_metadata": {
        "prompt_token_count": 100,
        "cached_content_token_count": 40,
        "candidates_token_count": 10,
        "thoughts_token_count": 5,
        "total_token_count": 115,
        "prompt_tokens_details": [
            {"modality": "TEXT", "token_count": 80},
            {"modality": "AUDIO", "token_count": 20},
        ],
        "cache_tokens_details": [{"modality": "AUDIO", "token_count": 8}],
    },
}
CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello!"}}],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 10},
    },
    "service_tier": "default",
}
RESPONSES: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-5-mini",
    "output": [],
    "usage": {
        "input_tokens": 100,
        "output_tokens": 20,
        "total_tokens": 120,
        "input_tokens_details": {"cached_tokens": 60},
        "output_tokens_details": {"reasoning_tokens": 10},
    },
}


class TestAnthropic:
    """Its input leaves the cache out."""

    @pytest.mark.parametrize("form", [dict, as_object])
    def test_input_is_the_sum_of_what_is_fresh_read_and_written(self, form: Any) -> None:
        """As the conventions count; the rest of the answer comes along."""
        found = read(form(ANTHROPIC))
        assert found is not None
        answer, operation = found

        expected = Usage(
            input_tokens=160,
            output_tokens=7,
            cache_read_tokens=100,
            cache_write_tokens=50,
            cache_write_1h_tokens=30,
            reasoning_tokens=3,
            web_searches=2,
        )
        assert expected == answer.usage
        assert ("msg_1", "claude-haiku-4-5", ("end_turn",), "priority", "") == (
            answer.response_id,
            answer.response_model,
            answer.finish_reasons,
            answer.service_tier,
            answer.text,
        )
        assert Operation.CHAT is operation

    def test_a_dictionary_of_its_usage_alone(self) -> None:
        """It is known by the counts that only it has."""
        usage = {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 10}
        assert Usage(input_tokens=11, output_tokens=2, cache_read_tokens=10) == usage_of({"usage": usage})

    def test_counts_that_a_gateway_made_inclusive_are_not_added_again(self) -> None:
        """LiteLLM passes Anthropic's own fields on, beside totals that have them in."""
        usage = {"prompt_tokens": 160, "completion_tokens": 7, "cache_read_input_tokens": 100}
        assert Usage(input_tokens=160, output_tokens=7, cache_read_tokens=100) == usage_of({"usage": usage})
        usage = {"input_tokens": 160, "output_tokens": 7, "total_tokens": 167, "cache_read_input_tokens": 100}
        assert Usage(input_tokens=160, output_tokens=7, cache_read_tokens=100) == usage_of({"usage": usage})

    def test_without_usage_there_is_the_text_to_count(self) -> None:
        """Nothing is made up."""
        found = read(ANTHROPIC | {"usage": None})
        assert found is not None
        assert (None, "Hello!") == (found[0].usage, found[0].text)


class TestGemini:
    """Its output leaves the thoughts out, mostly."""

    @pytest.mark.parametrize("form", [dict, as_object, in_camel_case])
    def test_output_is_the_sum_of_what_is_said_and_thought(self, form: Any) -> None:
        """The cached part is in the prompt already."""
        found = read(form(GEMINI))
        assert found is not None
        answer, _ = found

        expected = Usage(
            input_tokens=100,
            output_tokens=15,
            cache_read_tokens=40,
            reasoning_tokens=5,
            input_audio_tokens=20,
            cache_read_audio_tokens=8,
        )
        assert expected == answer.usage
        assert ("r1", "gemini-2.5-flash", ("STOP",)) == (
            answer.response_id,
            answer.response_model,
            answer.finish_reasons,
        )

    def test_thoughts_that_are_counted_among_the_candidates(self) -> None:
        """Then the total says so."""
        usage = {
            "prompt_token_count": 100,
            "candidates_token_count": 15,
            "thoughts_token_count": 5,
            "total_token_count": 115,
        }
        expected = Usage(input_tokens=100, output_tokens=15, reasoning_tokens=5)
        assert expected == usage_of({"usage_metadata": usage})

    def test_results_of_tools_are_input(self) -> None:
        """Beside the prompt; but what a search found is covered by its fee."""
        usage = {
            "prompt_token_count": 100,
            "tool_use_prompt_token_count": 50,
            "candidates_token_count": 10,
            "total_token_count": 160,
        }
        searched = [{"grounding_metadata": {"web_search_queries": ["weather"]}}]
        assert Usage(input_tokens=150, output_tokens=10) == usage_of({"usage_metadata": usage})
        assert Usage(input_tokens=100, output_tokens=10) == usage_of({"usage_metadata": usage, "candidates": searched})

    def test_reasons_of_an_enumeration_are_their_text(self) -> None:
        """As google-genai has them: a span takes nothing else."""

        # google-genai's own is no StrEnum: its `str()` is not its value.
        class Reason(str, Enum):  # noqa: UP042
            MAX_TOKENS = "MAX_TOKENS"

        found = read(GEMINI | {"candidates": [{"finish_reason": Reason.MAX_TOKENS}]})
        assert found is not None
        assert [str] == [type(reason) for reason in found[0].finish_reasons]
        assert ("MAX_TOKENS",) == found[0].finish_reasons

    def test_without_usage_there_is_the_text_to_count(self) -> None:
        """Of all candidates: all are billed."""
        found = read(GEMINI | {"usage_metadata": None, "candidates": GEMINI["candidates"] * 2})
        assert found is not None
        assert (None, "Hello!Hello!") == (found[0].usage, found[0].text)


class TestOpenAI:
    """Its counts are inclusive."""

    @pytest.mark.parametrize("form", [dict, as_object])
    @pytest.mark.parametrize("response", [CHAT, RESPONSES])
    def test_counts_are_taken_as_they_are(self, form: Any, response: dict[str, Any]) -> None:
        """Of both its APIs."""
        found = read(form(response))
        assert found is not None

        expected = Usage(input_tokens=100, output_tokens=20, cache_read_tokens=60, reasoning_tokens=10)
        assert expected == found[0].usage
        assert (("stop",), Operation.CHAT) == (found[0].finish_reasons, found[1])

    def test_embeddings_are_told_apart(self) -> None:
        """By what they hold."""
        response = {"model": "m", "data": [{"embedding": [0.5, 0.5]}], "usage": {"prompt_tokens": 8, "total_tokens": 8}}
        found = read(as_object(response))
        assert found is not None
        assert (Usage(input_tokens=8), 2, Operation.EMBEDDINGS) == (found[0].usage, found[0].dimensions, found[1])


@pytest.mark.parametrize("value", [None, "text", 5, [], {}, object(), {"content": "x"}, {"data": [{"id": 1}]}])
def test_what_is_no_response_is_told(value: Any) -> None:
    """Whoever hands it in made a mistake."""
    assert read(value) is None


_WHOLE = {"anthropic": ANTHROPIC, "gemini": GEMINI, "chat": CHAT, "responses": RESPONSES}
_FIELDS = [
    (sdk, *path)
    for sdk, whole in _WHOLE.items()
    for name in whole
    for path in [(name,), *((name, inner) for inner in (whole[name] if name.startswith("usage") else ()))]
    # That of the Responses API is read in a module of its own, with tests of its own.
    if path != ("status",)
]
_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(st.text(max_size=3), inside, max_size=2),
    max_leaves=3,
)


@given(field=st.sampled_from(_FIELDS), junk=_JUNK)
def test_whatever_stands_in_a_field_nothing_raises(field: tuple[str, ...], junk: Any) -> None:
    """A response that is malformed is read as far as it goes."""
    sdk, name, *inner = field
    whole = _WHOLE[sdk]
    read(whole | {name: whole[name] | {inner[0]: junk} if inner else junk})
