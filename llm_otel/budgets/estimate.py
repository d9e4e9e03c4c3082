"""How large a request can get, before it is sent: upper bounds in tokens, by arithmetic alone.

Byte-level tokenizers never make more tokens than the text has UTF-8 bytes, and counting those takes microseconds where
a tokenizer takes milliseconds. (Characters / 4, the usual guess, is ten times too low for some scripts.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unicodedata import is_normalized, normalize

from llm_otel.budgets.shapes import CHAT, Shape
from llm_otel.values import value

if TYPE_CHECKING:
    from llm_otel.models.limits import ModelLimits

TOKENS_PER_MESSAGE = 8
"""Role and separators; OpenAI's chat format takes 3 to 4 (its cookbook, "How to count tokens", 2026-11)."""
TOKENS_PER_CALL = 16
TOKENS_FOR_TOOLS = 1_000
"""The hidden prompt that comes with tools: 530 tokens for Claude 3 Opus (Anthropic's page on tool use, 2026-11); of
newer models up to 935 are told."""

CACHE_MARK = "cache_control"
_CACHE_MARKS_ELSEWHERE = "cache_control_injection_points"
_TEXT_PARTS = frozenset(
    {"text", "input_text", "output_text", "refusal", "thinking", "tool_use", "tool_result", "message"}
    | {"function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"}
)
_CALLERS_TOOLS = ("function", "custom")
"""Types of tools that the caller runs. Others run at the provider, which adds what they bring to the input. A tuple, as
what somebody gives as a type may not be hashable."""
_TOOLS_THERE = ("web_search", "web_fetch", "code_execution")
"""How the types of tools begin that a provider of chat runs (Anthropic, 2026-11); others there are the caller's."""
_WEB_SEARCH = "web_search_options"
"""What asks OpenAI's search models for the same."""
_JSON_FIELDS = frozenset({"input", "arguments"})
"""What a tool was called with; where that is no text, the model is shown it as JSON."""
_MEDIA_FIELDS = frozenset({"audio", "images"})
"""An answer of the model's that was no text, named in a later message."""
_BESIDE = ("tools", "functions", "response_format", "text", "text_format")
"""What the model reads beside the messages. Where a provider has no schema for answers, LiteLLM makes a tool of it."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The most that a request can use.

    Attributes:
        input_tokens: At most so many; `None` where nothing bounds them: images, audio or files, and no known context
            window.
        output_tokens: At most so many, over all choices; `None` where the request sets no limit.
        may_write_cache: It asks for prompt caching, and a write may cost more than the input.
    """

    input_tokens: int | None
    output_tokens: int | None
    may_write_cache: bool = False


@value
class Size:
    """What a request says of itself, whatever model takes it.

    Attributes:
        tokens: Its text has at most so many.
        is_bounded: That is all that the model reads.
        requests: How many inputs it has; each may fill a context window.
        output_limit: The output limit that the caller gave, for each answer; 0 where nothing is generated, `None`
            without one.
        answers: How many answers are asked for.
        may_write_cache: See `Extent`.
    """

    tokens: int
    is_bounded: bool
    requests: int
    output_limit: int | None
    answers: int
    may_write_cache: bool

    def within(self, limits: ModelLimits) -> Extent:
        """Return what a request of this size can use of a model."""
        bound = self.tokens if self.is_bounded else None
        if limits.context_window is not None:
            window = self.requests * limits.context_window
            bound = window if bound is None else min(bound, window)
        limit, most = self.output_limit, limits.max_output_tokens
        if limit is not None:
            limit = self.answers * (limit if most is None else min(limit, most))
        return Extent(bound, limit, self.may_write_cache)


class _Walk:
    """What is met on the way through the messages."""

    __slots__ = ("has_cache_mark", "is_bounded")

    def __init__(self) -> None:
        self.is_bounded = True
        self.has_cache_mark = False


def size_of(arguments: Mapping[str, Any], shape: Shape = CHAT) -> Size:
    """Walk through a request, given the keyword arguments of LiteLLM's function: once for all models that may take it.

    Linear in its size; never raises.
    """
    walk = _Walk()
    walk.has_cache_mark = bool(arguments.get(CACHE_MARK) or arguments.get(_CACHE_MARKS_ELSEWHERE))
    walk.is_bounded = not reads_more(arguments, shape)
    requests = shape.requests_in(arguments)
    tokens = requests * TOKENS_PER_CALL + _fixed(arguments, walk)
    for name in (shape.input, *shape.beside):
        tokens += _messages(arguments.get(name), walk)
    limit = shape.output_limit(arguments) if shape.generates else 0
    return Size(
        tokens=tokens,
        is_bounded=walk.is_bounded,
        requests=requests,
        output_limit=limit,
        answers=shape.answers_to(arguments),
        may_write_cache=walk.has_cache_mark,
    )


def fixed_tokens(arguments: Mapping[str, Any]) -> int:
    """Bound what a request holds beside its messages: tools, functions, a schema for the answer."""
    return _fixed(arguments, _Walk())


def reads_more(arguments: Mapping[str, Any], shape: Shape = CHAT) -> bool:
    """Tell whether the model reads what is not in the arguments: a conversation kept there, what tools there find."""
    return any(map(arguments.get, shape.unseen)) or _runs_tools_there(arguments, shape)


def _runs_tools_there(arguments: Mapping[str, Any], shape: Shape) -> bool:
    if arguments.get(_WEB_SEARCH) is not None:
        return True
    tools = arguments.get("tools")
    if not isinstance(tools, list | tuple):
        return False
    kinds = [tool.get("type") for tool in tools if isinstance(tool, Mapping)]
    if shape.has_tools_there:
        return any(kind not in _CALLERS_TOOLS for kind in kinds)
    return any(isinstance(kind, str) and kind.startswith(_TOOLS_THERE) for kind in kinds)


def _fixed(arguments: Mapping[str, Any], walk: _Walk) -> int:
    tokens = 0
    for name in _BESIDE:
        if arguments.get(name):
            text = _json(arguments[name])
            tokens += TOKENS_FOR_TOOLS + len(text)
            walk.has_cache_mark = walk.has_cache_mark or f'"{CACHE_MARK}"' in text
    return tokens


def _messages(messages: Any, walk: _Walk) -> int:
    try:
        if isinstance(messages, (list, tuple)):
            return TOKENS_PER_MESSAGE * len(messages) + sum([_bytes(message, walk) for message in messages])
        return _bytes(messages, walk)
    # Callers send odd objects, endless ones too; LiteLLM says what is wrong with them.
    except Exception:  # noqa: BLE001
        walk.is_bounded = False
        return 0


def _bytes(value: Any, walk: _Walk) -> int:
    """Bound the tokens of all text in a value, names of fields included."""
    if isinstance(value, str):
        return len(value) if value.isascii() else _encoded(value)
    # Asking for a `dict` is many times quicker than asking for a `Mapping`.
    if isinstance(value, (dict, Mapping)):  # `dict | Mapping` would be made anew each time
        return _mapping_bytes(value, walk)
    if isinstance(value, list | tuple):
        return sum([_bytes(item, walk) for item in value])
    if value is None or isinstance(value, int | float):
        return len(repr(value))
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return _bytes(dump(), walk)
    walk.is_bounded = False
    return 0


def _encoded(text: str) -> int:
    """Return the most bytes that a tokenizer is fed for a text: some normalize it first, and U+FDFA is 18 letters."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if is_normalized("NFKC", text):
        return size
    return max(size, len(normalize("NFKC", text).encode("utf-8", "surrogatepass")))


def _mapping_bytes(value: Mapping[Any, Any], walk: _Walk) -> int:
    kind = value.get("type")
    if kind is not None and kind not in _TEXT_PARTS and "function" not in value:
        # An image, audio, a file: its address says nothing of its tokens.
        walk.is_bounded = False
    total = 0
    for key, item in value.items():
        total += _bytes(key, walk)
        if isinstance(item, str):
            total += len(item) if item.isascii() else _encoded(item)
        elif key == CACHE_MARK:
            walk.has_cache_mark = True
            total -= len(CACHE_MARK)
        elif key in _JSON_FIELDS:
            total += len(_json(item))
        else:
            walk.is_bounded = walk.is_bounded and not (item and key in _MEDIA_FIELDS)
            total += _bytes(item, walk)
    return total


def _json(value: Any) -> str:
    """Return a value as the model is shown it, or longer: every escape is longer than what it stands for."""
    try:
        return json.dumps(value, default=_plain)
    # Odd objects raise anything; what cannot be written is never sent.
    except Exception:  # noqa: BLE001
        return ""


def _plain(value: Any) -> Any:
    """Return what LiteLLM makes of an object: of a pydantic class its schema."""
    if isinstance(value, type):
        schema = getattr(value, "model_json_schema", None)
        # Twice: it is made strict, which names each property again.
        return [schema(), schema()] if callable(schema) else str(value)
    dump = getattr(value, "model_dump", None)
    return dump() if callable(dump) else str(value)
