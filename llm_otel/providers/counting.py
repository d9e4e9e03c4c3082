"""Tokens of a request whose provider did not say: counted with LiteLLM's tokenizers, and marked as an estimate.

Only for the endings that bring no usage (cancelled, abandoned, broken, silent providers): the first count loads a
vocabulary of about 100 MB. Long texts are counted by a sample, so that an event loop is never held up for long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_otel.providers.loading import litellm
from llm_otel.usage import Usage

if TYPE_CHECKING:
    from llm_otel.call import CallRequest

_SAMPLE_CHARS = 8_000
"""About a millisecond of OpenAI's tokenizers, two of Anthropic's."""
_BYTES_PER_TOKEN = 4
"""For English; only where no tokenizer answers."""


def count(request: CallRequest, text: str) -> Usage:
    """Estimate what a request used that brought `text`. Never raises."""
    return Usage.of(
        input_tokens=_count_messages(request),
        output_tokens=_count_text(request.litellm_model, text),
        is_estimated=True,
    )


def _count_messages(request: CallRequest) -> int:
    if not request.messages:
        return 0
    characters = len(str(request.messages))
    if characters <= _SAMPLE_CHARS:
        tokens = _tokens(model=request.litellm_model, messages=list(request.messages), tools=request.tools)
        if tokens is not None:
            return tokens
    return _count_text(request.litellm_model, _all_text(request.messages) + str(request.tools or ""))


def _count_text(model: str, text: str) -> int:
    if not text:
        return 0
    sample = text[:_SAMPLE_CHARS]
    tokens = _tokens(model=model, text=sample)
    if tokens is None:
        return -(-len(text.encode()) // _BYTES_PER_TOKEN)
    return round(tokens * len(text) / len(sample))


def _tokens(**arguments: Any) -> int | None:
    try:
        return int(litellm().token_counter(**arguments))
    # token_counter raises whatever a message of an unexpected shape makes it raise (for an image: ValueError).
    except Exception:  # noqa: BLE001
        return None


def _all_text(messages: Any) -> str:
    """Return the text of a conversation: strings, and the text parts of lists."""
    parts: list[str] = []
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else getattr(message, "content", None)
        if isinstance(content, str):
            parts.append(content)
        elif isinstance(content, list):
            parts += [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "\n".join(parts)
