"""Telling a completion from anything else that a traced function may return."""

from __future__ import annotations

from collections.abc import Mapping

_OUTPUT_FIELDS = ("choices", "output")
"""Chat completions and text completions; OpenAI's Responses API. Embeddings have neither."""
_INPUT_TOKEN_FIELDS = ("prompt_tokens", "input_tokens")


def is_response(value: object) -> bool:
    """Tell whether `value` is a LiteLLM- or OpenAI-style completion, object or dictionary, with its usage.

    A count has to be a real int: a mock has every attribute.
    """
    usage = _read(value, "usage")
    if usage is None or all(_read(value, name) is None for name in _OUTPUT_FIELDS):
        return False
    return any(type(_read(usage, name)) is int for name in _INPUT_TOKEN_FIELDS)


def _read(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
