"""Input tokens counted by a tokenizer that is really the model's own: for a bound closer than the bytes.

Only OpenAI's is public; what LiteLLM counts for the others are approximations, which bound nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm_otel.budgets.estimate import TOKENS_PER_CALL, TOKENS_PER_MESSAGE, fixed_tokens, reads_more
from llm_otel.providers.loading import as_it_is

_PROVIDERS = frozenset({"openai", "azure.ai.openai"})
_MODELS = re.compile(r"(gpt|chatgpt|o\d)[-.\d]")
_PLAIN_KEYS = frozenset({"role", "content", "name"})


def exact_input(provider: str, model: str, arguments: Mapping[str, Any]) -> int | None:
    """Return a bound of a request's input from its tokens, milliseconds of CPU; `None` where none can be had so."""
    messages = arguments.get("messages")
    if provider not in _PROVIDERS or not _MODELS.match(model) or not isinstance(messages, list):
        return None
    # What the provider adds to them is not here to be counted.
    if reads_more(arguments) or not all(map(_is_plain, messages)):
        return None
    try:
        tokens = int(as_it_is().token_counter(model=model, messages=messages))
    # A closer bound is a favour: without one the call is judged by the first.
    except Exception:  # noqa: BLE001
        return None
    return tokens + TOKENS_PER_MESSAGE * len(messages) + TOKENS_PER_CALL + fixed_tokens(arguments)


def _is_plain(message: Any) -> bool:
    """Tell a message of text alone: LiteLLM would fetch an image to count it."""
    return (
        isinstance(message, Mapping)
        and message.keys() <= _PLAIN_KEYS
        and all(isinstance(value, str) for value in message.values())
    )
