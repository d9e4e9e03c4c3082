"""The vocabulary between the wire formats and the rest: one request and one answer, of no provider.

Embeddings are requests that want vectors and no choices.

Token counts here are inclusive, as OpenAI and the OpenTelemetry conventions have them: the input holds what
was read from or written to a prompt cache, the output holds the reasoning. Each wire format turns them into
its own meaning.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from llm_otel.demo.simulator import tokens

Json = dict[str, Any]
"""A JSON object as `json.loads` gives it."""

UsageShape = Literal["counted", "omitted", "null"] | Mapping[str, object]
"""How usage is reported: as counted, not at all, as null, or as counted with these wire fields over it."""


class Provider(StrEnum):
    """A provider whose wire format is spoken; the values are LiteLLM's names."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    OLLAMA = "ollama"


class Finish(StrEnum):
    """Why an answer ended; each wire format has its own words for these."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the request offers; `parameters` is its JSON schema."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that the answer asks for."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arguments_json(self) -> str:
        """The arguments as the providers write them: compact JSON."""
        return json.dumps(self.arguments, separators=(",", ":"))

    @property
    def tokens(self) -> int:
        """The tokens this call costs: those of its name and of its arguments."""
        return tokens.count(self.name) + tokens.count(self.arguments_json)


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of the prompt, in the order in which the provider reads and caches it.

    `filler` stands for what costs tokens without being text (the frame of a message, an image, a recording);
    it is repeated `filler_tokens` times and tells one such thing from another for the prompt cache.
    """

    text: str = ""
    filler: str = ""
    filler_tokens: int = 0
    is_audio: bool = False
    cache_ttl: Literal["5m", "1h"] | None = None
    """Set where the request marks the end of a cacheable prefix (Anthropic's `cache_control`)."""

    def tokens(self) -> list[str]:
        """Return the tokens of this stretch."""
        return [self.filler] * self.filler_tokens + tokens.split(self.text)


@dataclass(frozen=True, slots=True)
class Vectors:
    """What an embedding request wants: a vector for each segment of its prompt."""

    dimensions: int
    encoding: Literal["float", "base64"] = "float"
    is_batch: bool = True
    """Gemini answers a single one without a list."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The place of a request in a conversation that the provider keeps (OpenAI's responses)."""

    previous: str | None
    """The `Answer.id` it goes on from."""
    start: int
    """How many segments come before the turn itself: tools and instructions, which are not carried over."""
    is_kept: bool
    """Whether a later request may go on from the answer."""


@dataclass(frozen=True)
class ChatRequest:
    """What a request asks for, whatever its wire format. Not slotted: it caches its tokens."""

    provider: Provider
    model: str
    segments: tuple[Segment, ...]
    stream: bool = False
    include_usage: bool = True
    """Whether a stream reports its usage; OpenAI's does only when asked."""
    max_tokens: int | None = None
    choices: int = 1
    tools: tuple[Tool, ...] = ()
    forced_tool: str | None = None
    """The tool the request insists on (`tool_choice`)."""
    json_schema: Mapping[str, Any] | None = None
    """The schema the answer must follow; an empty one asks for any JSON object."""
    thinking: bool = False
    show_thinking: bool = True
    """Whether the thoughts themselves are sent; OpenAI hides them, Gemini unless asked."""
    service_tier: str | None = None
    vectors: Vectors | None = None
    """Set where embeddings are asked for; such a request has no choices."""
    turn: Turn | None = None
    echoed: Mapping[str, Any] = field(default_factory=dict)
    """Wire fields that the answer repeats."""

    @cached_property
    def prompt(self) -> str:
        """The whole prompt as text, which seeds the answer."""
        return "\n".join(segment.text for segment in self.segments if segment.text)

    @cached_property
    def prompt_tokens(self) -> tuple[tuple[str, ...], ...]:
        """The tokens of each segment."""
        return tuple(tuple(segment.tokens()) for segment in self.segments)


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Inclusive token counts of one answer, or of many."""

    input_tokens: int = 0
    """All of the prompt, cached or not, audio or not."""
    cached_tokens: int = 0
    """The part of the input read from a prompt cache."""
    cache_write_tokens: int = 0
    """The part of the input written to a prompt cache, for any time."""
    cache_write_1h_tokens: int = 0
    """The part of `cache_write_tokens` written for one hour."""
    audio_input_tokens: int = 0
    output_tokens: int = 0
    """All that was generated, reasoning and audio included, over all choices."""
    reasoning_tokens: int = 0
    audio_output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """One alternative of an answer."""

    index: int
    text: str
    tool_calls: tuple[ToolCall, ...]
    finish: Finish


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of an answer in the order it is generated; a stream sends one event or more for it."""

    choice: int
    kind: Literal["thinking", "text", "tool_call"]
    output_tokens: int
    """Tokens generated up to and including this piece, over all choices."""
    text: str = ""
    call: ToolCall | None = None
    call_index: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer; the wire formats only spell it."""

    id: str
    """Hexadecimal; each wire format puts its own prefix before it."""
    created: int
    """Unix time in seconds."""
    model: str
    """The model that answered, which need not be the one that was asked."""
    request: ChatRequest
    choices: tuple[Choice, ...]
    thinking: str
    steps: tuple[Step, ...]
    counts: TokenCounts
    service_tier: str | None = None
    usage: UsageShape = "counted"
