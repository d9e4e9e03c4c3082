"""What a request asks of a model, read off its arguments: how long it is, and what it needs. The text is not kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llm_otel.budgets.shapes import CHAT
from llm_otel.models.entry import ModelCapability

if TYPE_CHECKING:
    from llm_otel.routing.complexity import Rating

_FEWEST_BYTES = 2.5
"""Of UTF-8 for a token of text that people or programs write: 2.6 for Hindi, 2.9 for Chinese, 3.0 for digits, 3.5 for
JSON, 4.3 for Russian, 4.8 for English (cl100k, measured 2026-11-22). Only emoji, hex and base64 have fewer."""
_USUAL_BYTES = 4.0
"""Of English and of code, with a little to spare; what a call is expected to cost is told by it."""
_MOST_BYTES = 10.0
"""Twice what English has: nothing but a text of blanks or of one letter reaches it."""

_USUAL_IMAGE_TOKENS = 1_000
"""For one image of usual size: 258 (Gemini, one tile), 765 (gpt-4o, 1024 x 1024), some 1,600 (Claude, 1092 x 1092);
the providers' pages on vision, 2026-11."""
_USUAL_FILE_TOKENS = 3_000
"""For audio or a document: two minutes, or two pages. A guess, the same for every model: it changes no order."""
_TOKENS_PER_MESSAGE = 4
"""Role and separators (OpenAI's cookbook, "How to count tokens", 2026-11)."""

USUAL_OUTPUT_TOKENS: Mapping[ModelCapability | None, int] = {
    None: 512,
    ModelCapability.SIMPLE: 256,
    ModelCapability.MODERATE: 512,
    ModelCapability.COMPLEX: 1_024,
    ModelCapability.CODING: 1_024,
    ModelCapability.RESEARCH: 2_048,
}
"""How long an answer is taken to be where the caller sets no limit. It is for comparing models, so only its proportion
to the input matters; a budget's hold is made from a bound instead. Thinking is not in it: nobody publishes how
much a model thinks on a request, and its default effort is another for nearly each (docs/routing.md)."""

_IMAGES = frozenset({"image_url", "input_image", "image"})
_FILES = frozenset({"input_audio", "audio", "file", "input_file", "document", "video", "video_url"})
_TEXTS = frozenset({"text", "content", "arguments", "input", "output", "refusal", "thinking"})
"""Where messages and their parts have what the model reads."""
_CALLS = frozenset({"tool_calls", "function_call", "function"})
"""Where an answer of the model's says which tool it called."""
_BESIDE = ("tools", "functions", "response_format")
_PLAIN_FORMATS = frozenset({"text"})


@dataclass(frozen=True, kw_only=True)
class Features:
    """What a request asks of a model. The counts of tokens are worked out once, as each model is compared with them.

    Attributes:
        text_bytes: UTF-8 bytes of all that the model reads as text.
        images: How many.
        files: How many other things that are no text.
        messages: How many.
        max_tokens: The output limit that the caller gave, for each answer.
        answers: How many are asked for.
        needs_tools: It brings tools.
        needs_json: It asks for JSON, with or without a schema.
        service_tier: The one that it asks for.
        rating: How hard it was found; `None` where it was not rated.
        tags: What the call is for.
    """

    text_bytes: int = 0
    images: int = 0
    files: int = 0
    messages: int = 1
    max_tokens: int | None = None
    answers: int = 1
    needs_tools: bool = False
    needs_json: bool = False
    service_tier: str | None = None
    rating: Rating | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs_vision(self) -> bool:
        """Whether there are images in the messages."""
        return self.images > 0

    @cached_property
    def least_input_tokens(self) -> int:
        """So many there are for sure: a model whose window is smaller cannot take the request."""
        return int(self.text_bytes / _MOST_BYTES)

    @cached_property
    def usual_input_tokens(self) -> int:
        """So many there are likely to be: what the call is expected to cost is told by it."""
        return int(self.text_bytes / _USUAL_BYTES) + self._other_tokens

    @cached_property
    def most_input_tokens(self) -> int:
        """Hardly more than so many there are: a model whose window is larger takes the request.

        Not the bound that a budget's hold is made from, one token for each byte: by that a text of 130 kB would be too
        long for a window of 128,000 tokens, of which it fills a quarter.
        """
        return int(self.text_bytes / _FEWEST_BYTES) + self._other_tokens

    @property
    def _other_tokens(self) -> int:
        parts = self.images * _USUAL_IMAGE_TOKENS + self.files * _USUAL_FILE_TOKENS
        return parts + self.messages * _TOKENS_PER_MESSAGE

    def expected_output_tokens(self, capability: ModelCapability | None, most: int | None) -> int:
        """Return how long all answers are taken to be: as the caller's limit says, else as is usual for such work.

        Args:
            capability: What the model has to be good enough for.
            most: The longest answer of the model; `None` where it is not known.
        """
        each = self.max_tokens if self.max_tokens is not None else USUAL_OUTPUT_TOKENS[capability]
        return self.answers * (each if most is None else min(each, most))


def features_of(arguments: Mapping[str, Any], *, rating: Rating | None, tags: Mapping[str, str]) -> Features:
    """Read the features off the arguments of LiteLLM's `completion`. Linear in their size; never raises.

    Odd messages are the provider's to refuse: what cannot be read is taken for nothing.
    """
    seen = _Seen()
    messages = arguments.get(CHAT.input)
    seen.look_at_all(messages)
    seen.text_bytes += sum(_written(arguments[name]) for name in _BESIDE if arguments.get(name))
    tier = arguments.get("service_tier")
    return Features(
        text_bytes=seen.text_bytes,
        images=seen.images,
        files=seen.files,
        messages=len(messages) if isinstance(messages, list | tuple) else 1,
        max_tokens=CHAT.output_limit(arguments),
        answers=CHAT.answers_to(arguments),
        needs_tools=bool(arguments.get("tools") or arguments.get("functions")),
        needs_json=_needs_json(arguments.get("response_format")),
        service_tier=tier if isinstance(tier, str) else None,
        rating=rating,
        tags=tags,
    )


class _Seen:
    """What is met on the way through the messages."""

    __slots__ = ("files", "images", "text_bytes")

    def __init__(self) -> None:
        self.text_bytes = 0
        self.images = 0
        self.files = 0

    def look_at_all(self, messages: Any) -> None:
        """Take in a conversation."""
        try:
            self._look_at(messages)
        # Callers send odd objects, endless ones too; LiteLLM says what is wrong with them.
        except Exception:  # noqa: BLE001
            self.files += 1

    def _look_at(self, value: Any) -> None:
        """Take in a text, a part, a message, or a list of such."""
        if isinstance(value, str):
            self.text_bytes += _bytes(value)
        elif isinstance(value, list | tuple):
            for each in value:
                self._look_at(each)
        elif isinstance(value, dict | Mapping):
            self._look_at_part(value)
        elif callable(dump := getattr(value, "model_dump", None)):
            self._look_at(dump())

    def _look_at_part(self, part: Mapping[Any, Any]) -> None:
        kind = part.get("type")
        if isinstance(kind, str):
            if kind in _IMAGES:
                # Its address, or all of it as base64, is no text.
                self.images += 1
                return
            if kind in _FILES:
                self.files += 1
                return
        for name, item in part.items():
            if name in _TEXTS:
                if isinstance(item, str):
                    self.text_bytes += len(item) if item.isascii() else _bytes(item)
                elif isinstance(item, Mapping):
                    self.text_bytes += _written(item)
                else:
                    self._look_at(item)
            elif name in _CALLS and item:
                self.text_bytes += _written(item)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _written(value: Any) -> int:
    """Return the length of a value as JSON, which is how models are shown it."""
    try:
        return len(json.dumps(value, default=_schema))
    # Odd objects raise anything; what cannot be written is never sent.
    except Exception:  # noqa: BLE001
        return 0


def _schema(value: Any) -> Any:
    """Return what LiteLLM makes of an object: of a pydantic class its schema."""
    schema = getattr(value, "model_json_schema", None)
    if isinstance(value, type):
        return schema() if callable(schema) else value.__name__
    dump = getattr(value, "model_dump", None)
    return dump() if callable(dump) else str(value)


def _needs_json(response_format: Any) -> bool:
    if not response_format:
        return False
    kind = response_format.get("type") if isinstance(response_format, Mapping) else None
    return not (isinstance(kind, str) and kind in _PLAIN_FORMATS)
