"""Tokens of a request whose provider did not say: counted with LiteLLM's tokenizers, and marked as an estimate.

Only for the endings that bring no usage (cancelled, abandoned, broken, silent providers): the first count loads a
vocabulary of about 100 MB. Long texts are counted by a sample, so that an event loop is never held up for long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_otel.providers.loading import as_it_is
from llm_otel.providers.reading import get
from llm_otel.usage import Usage

if TYPE_CHECKING:
    from llm_otel.call import CallRequest

_SAMPLE_CHARS = 8_000
"""About a millisecond of OpenAI's tokenizers, two of Anthropic's."""
_BYTES_PER_TOKEN = 4
"""For English; only where no tokenizer answers."""
_TEXTS = ("content", "text", "output", "arguments")
"""Where messages, their parts and the items of responses have their text."""


def count(request: CallRequest, text: str) -> Usage:
    """Estimate what a request used that brought `text`. Never raises."""
    return Usage.of(
        input_tokens=_count_input(request),
        output_tokens=_count_text(request.litellm_model, text),
        is_estimated=True,
    )


def _count_input(request: CallRequest) -> int:
    sent = request.messages
    if not sent and not request.instructions:
        return 0
    if _is_conversation(sent) and len(str(sent)) <= _SAMPLE_CHARS:
        tokens = _tokens(model=request.litellm_model, messages=list(sent), tools=request.tools)
        if tokens is not None:
            return tokens + _count_text(request.litellm_model, _all_text(request.instructions))
    text = _all_text(request.instructions) + _all_text(sent) + str(request.tools or "")
    return _count_text(request.litellm_model, text) + _token_ids(sent)


def _is_conversation(sent: Any) -> bool:
    return isinstance(sent, list | tuple) and all(get(message, "role") for message in sent)


def _token_ids(sent: Any) -> int:
    """Return how many tokens were sent as such: prompts and the input of embeddings may be."""
    if isinstance(sent, list | tuple):
        return sum(1 if isinstance(each, int) else _token_ids(each) for each in sent)
    return 0


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
        return int(as_it_is().token_counter(**arguments))
    # token_counter raises whatever a message of an unexpected shape makes it raise (for an image: ValueError).
    except Exception:  # noqa: BLE001
        return None


def _all_text(sent: Any) -> str:
    """Return the text of what was sent: strings, those in lists, and those in messages and their parts."""
    if isinstance(sent, str):
        return sent
    if isinstance(sent, list | tuple):
        return "\n".join(filter(None, map(_all_text, sent)))
    parts = (get(sent, name) for name in _TEXTS)
    return "\n".join(filter(None, (_all_text(each) for each in parts if isinstance(each, str | list | tuple))))
