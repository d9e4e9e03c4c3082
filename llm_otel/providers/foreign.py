"""What a response of another SDK says of itself: OpenAI's, Anthropic's, Google's, or a dictionary of such a shape.

None of the SDKs is imported: a response is known by its fields. Their counts differ. Anthropic's `input_tokens` leave
out what was read from and written to the cache; Gemini's `candidates_token_count` leaves out the thoughts; OpenAI's
are inclusive, as LiteLLM's are for every provider. Read against anthropic 2.12, google-genai 3.4 and openai 3.54
(2026-11-22).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from llm_otel.call import Answer
from llm_otel.providers.embeddings import embeddings_answer
from llm_otel.providers.reading import answer_of, fields_of, get
from llm_otel.providers.responses import response_answer
from llm_otel.semconv import Operation
from llm_otel.usage import Usage

_GEMINI_USAGE = ("usage_metadata", "usageMetadata")
_OF_ANTHROPIC = ("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation")
_OF_OTHERS = ("prompt_tokens", "total_tokens", "input_tokens_details", "prompt_tokens_details")
"""What stands beside counts that are inclusive: a gateway may pass Anthropic's own fields on, as LiteLLM does."""

# Modalities of Gemini's counts, as far as they have prices of their own.
_AUDIO, _IMAGE = "AUDIO", "IMAGE"


def read(response: object) -> tuple[Answer, Operation] | None:
    """Read a whole response, and tell what it answers; `None` where it is none. What is malformed is as if not said."""
    said = fields_of(response)
    if any(name in said for name in _GEMINI_USAGE):
        return _gemini(said), Operation.CHAT
    if _is_anthropic(said):
        return _anthropic(said), Operation.CHAT
    if isinstance(said.get("output"), list):
        return response_answer(response), Operation.CHAT
    if _is_embedding(said.get("data")):
        return embeddings_answer(response), Operation.EMBEDDINGS
    return (answer_of(response), Operation.CHAT) if "usage" in said or "choices" in said else None


def _is_embedding(data: object) -> bool:
    return any(get(each, "embedding") is not None for each in _listed(data)[:1])


def _is_anthropic(said: Mapping[str, Any]) -> bool:
    usage = fields_of(said.get("usage"))
    if any(name in usage for name in _OF_OTHERS):
        return False
    return "stop_reason" in said or any(name in usage for name in _OF_ANTHROPIC)


def _anthropic(said: Mapping[str, Any]) -> Answer:
    usage = fields_of(said.get("usage"))
    fresh, read, written, thought = (
        _count(each)
        for each in (
            usage.get("input_tokens"),
            usage.get("cache_read_input_tokens"),
            usage.get("cache_creation_input_tokens"),
            get(usage.get("output_tokens_details"), "thinking_tokens"),
        )
    )
    counted = Usage.of(
        input_tokens=fresh + read + written,
        output_tokens=usage.get("output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=get(usage.get("cache_creation"), "ephemeral_1h_input_tokens"),
        reasoning_tokens=thought,
        web_searches=get(usage.get("server_tool_use"), "web_search_requests"),
    )
    return Answer(
        usage=counted if counted.total_tokens else None,
        response_id=_text(said.get("id")),
        response_model=_text(said.get("model")),
        finish_reasons=_reasons([said.get("stop_reason")]),
        service_tier=_text(usage.get("service_tier")),
        text="" if counted.total_tokens else "".join(_texts(said.get("content"))),
    )


def _gemini(said: Mapping[str, Any]) -> Answer:
    counted = _gemini_usage(said)
    candidates = _listed(said.get("candidates"))
    spoken = (text for each in candidates for text in _texts(_of(get(each, "content"), "parts")))
    return Answer(
        usage=counted if counted.total_tokens else None,
        response_id=_text(_of(said, "response_id")),
        response_model=_text(_of(said, "model_version")),
        finish_reasons=_reasons([_of(each, "finish_reason") for each in candidates]),
        text="" if counted.total_tokens else "".join(spoken),
    )


def _gemini_usage(said: Mapping[str, Any]) -> Usage:
    usage = _of(said, "usage_metadata")
    prompt, spoken, thought, tools, total = (
        _count(_of(usage, f"{name}_token_count"))
        for name in ("prompt", "candidates", "thoughts", "tool_use_prompt", "total")
    )
    # Some models count the thoughts among the candidates: then these alone make up the total.
    is_inclusive = prompt + spoken + tools == total
    billed_tools = 0 if _has_searched(said) else tools
    read, heard, made = (_of(usage, f"{name}_tokens_details") for name in ("cache", "prompt", "candidates"))
    return Usage.of(
        input_tokens=prompt + billed_tools,
        output_tokens=spoken if is_inclusive else spoken + thought,
        cache_read_tokens=_of(usage, "cached_content_token_count"),
        reasoning_tokens=thought,
        input_audio_tokens=_of_modality(heard, _AUDIO),
        cache_read_audio_tokens=_of_modality(read, _AUDIO),
        input_image_tokens=_of_modality(heard, _IMAGE),
        output_audio_tokens=_of_modality(made, _AUDIO),
        output_image_tokens=_of_modality(made, _IMAGE),
    )


def _has_searched(said: Mapping[str, Any]) -> bool:
    """Tell whether Google searched: that has a fee of its own, and what it found is no input that is billed."""
    grounds = (_of(each, "grounding_metadata") for each in _listed(said.get("candidates")))
    return any(_listed(_of(each, "web_search_queries")) for each in grounds)


def _of_modality(details: object, modality: str) -> int:
    return sum(
        _count(_of(each, "token_count")) for each in _listed(details) if _text(get(each, "modality")) == modality
    )


def _of(source: object, name: str) -> Any:
    """Read a field of Google's, which is `snake_case` in the SDK and `camelCase` on the wire."""
    found = get(source, name)
    if found is not None or "_" not in name:
        return found
    first, *others = name.split("_")
    return get(source, first + "".join(each.title() for each in others))


def _texts(parts: object) -> Iterator[str]:
    """Yield the text in the parts of a message."""
    for part in _listed(parts):
        text = _text(get(part, "text"))
        if text is not None:
            yield text


def _reasons(told: list[Any]) -> tuple[str, ...]:
    return tuple([reason for each in told if (reason := _text(each))])


def _listed(value: object) -> list[Any] | tuple[Any, ...]:
    return value if isinstance(value, (list, tuple)) else ()


def _text(value: object) -> str | None:
    """Return what is text; an enumeration of an SDK is the text of its value."""
    value = value.value if isinstance(value, Enum) else value
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int:
    """Return a count, to be added to others; `Usage.of` looks at the sum."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
