"""What an answer with embeddings says of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm_otel.providers.reading import answer_of, get, hidden_of

if TYPE_CHECKING:
    from llm_otel.call import Answer


def embeddings_answer(response: Any) -> Answer:
    """Read an answer; vectors that come as base64 do not tell their length."""
    vectors = get(response, "data")
    first = get(vectors[0], "embedding") if isinstance(vectors, list) and vectors else None
    length = len(first) if isinstance(first, list) else 0
    answer = replace(answer_of(response), dimensions=length or None)
    if answer.usage is None or not answer.is_cache_hit or not _is_put_together(response):
        return answer
    return replace(answer, is_cache_hit=False, usage=replace(answer.usage, is_estimated=True))


def _is_put_together(response: Any) -> bool:
    """Tell an answer that came from LiteLLM's cache in part, and whose usage is that of all: at most so much is billed.

    LiteLLM (1.105) marks it as a hit like others. But those have the key that they were found by, or, input by input,
    no time that they took.
    """
    return get(hidden_of(response), "cache_key") is None and getattr(response, "_response_ms", None) is not None
