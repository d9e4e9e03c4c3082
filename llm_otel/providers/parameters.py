"""What shapes an answer: which arguments of LiteLLM's functions stand on spans, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from llm_otel import semconv

if TYPE_CHECKING:
    from llm_otel.call import Parameters

Table = Mapping[str, tuple[str, Callable[[Any], Any]]]
"""By the name of an argument: the attribute of the span, and how to read it."""


def parameters_of(arguments: Mapping[str, Any], table: Table | None = None) -> Parameters:
    """Read what shapes the answer. Values of a wrong type are LiteLLM's to refuse; here they are as if not given.

    Args:
        arguments: Of LiteLLM's function.
        table: Which of them, by default those of what generates text.
    """
    table = GENERATION if table is None else table
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in table and value is not None:
            attribute, read = table[name]
            known = read(value)
            if known is not None:
                found[attribute] = known
    if (limit := _integer(arguments.get("max_completion_tokens"))) is not None:
        found[semconv.GEN_AI_REQUEST_MAX_TOKENS] = limit
    return found


def _choice_count(value: Any) -> int | None:
    """One choice is what everybody gets: the conventions leave it out."""
    return None if value == 1 else _integer(value)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, float) or _integer(value) is not None else None


def _integer(value: Any) -> int | None:
    """Return an integer that OTLP can carry."""
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return value if is_integer and -(2**63) <= value < 2**63 else None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _strings(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        return None
    return tuple(item for item in value if isinstance(item, str)) or None


def _output_type(response_format: Any) -> str | None:
    """Return the modality asked for: `json` for every form that asks for JSON, a schema's class included."""
    if response_format is None:
        return None
    kind = response_format.get("type") if isinstance(response_format, Mapping) else "json_schema"
    return {"text": "text", "json_object": "json", "json_schema": "json"}.get(str(kind))


def _output_type_of_text(text: Any) -> str | None:
    """Read the `text` of a response's request."""
    return _output_type(text.get("format")) if isinstance(text, Mapping) else None


def _effort(reasoning: Any) -> str | None:
    effort = reasoning.get("effort") if isinstance(reasoning, Mapping) else getattr(reasoning, "effort", None)
    return _string(effort)


def _positive(value: Any) -> int | None:
    number = _integer(value)
    return number if number is not None and number > 0 else None


GENERATION: Table = {
    "temperature": (semconv.GEN_AI_REQUEST_TEMPERATURE, _number),
    "top_p": (semconv.GEN_AI_REQUEST_TOP_P, _number),
    "top_k": (semconv.GEN_AI_REQUEST_TOP_K, _integer),
    "max_tokens": (semconv.GEN_AI_REQUEST_MAX_TOKENS, _integer),
    "stop": (semconv.GEN_AI_REQUEST_STOP_SEQUENCES, _strings),
    "frequency_penalty": (semconv.GEN_AI_REQUEST_FREQUENCY_PENALTY, _number),
    "presence_penalty": (semconv.GEN_AI_REQUEST_PRESENCE_PENALTY, _number),
    "seed": (semconv.GEN_AI_REQUEST_SEED, _integer),
    "n": (semconv.GEN_AI_REQUEST_CHOICE_COUNT, _choice_count),
    "response_format": (semconv.GEN_AI_OUTPUT_TYPE, _output_type),
    "reasoning_effort": (semconv.GEN_AI_REQUEST_REASONING_LEVEL, _string),
    # Responses:
    "max_output_tokens": (semconv.GEN_AI_REQUEST_MAX_TOKENS, _integer),
    "reasoning": (semconv.GEN_AI_REQUEST_REASONING_LEVEL, _effort),
    "text": (semconv.GEN_AI_OUTPUT_TYPE, _output_type_of_text),
    "text_format": (semconv.GEN_AI_OUTPUT_TYPE, _output_type),
    "previous_response_id": (semconv.GEN_AI_REQUEST_PREVIOUS_RESPONSE_ID, _string),
}
EMBEDDINGS: Table = {
    "dimensions": (semconv.GEN_AI_EMBEDDINGS_DIMENSION_COUNT, _positive),
    "encoding_format": (semconv.GEN_AI_REQUEST_ENCODING_FORMATS, _strings),
}
