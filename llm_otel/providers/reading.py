"""What a response says of itself, whole or chunk by chunk.

Works on LiteLLM's objects, on the OpenAI SDK's, and on plain dictionaries of that shape, without importing either.
Nothing here raises for an answer that is malformed: what is known is kept, the rest is as if not said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any

from llm_otel.call import Answer
from llm_otel.usage import Usage

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_HIDDEN = "_hidden_params"


def usage_of(reported: Any) -> Usage | None:
    """Read token counts in the shape of chat completions or of responses, as LiteLLM hands them out.

    LiteLLM's counts are inclusive for every provider (it adds Anthropic's cache to the input). `None`, or zeros
    throughout, mean that the provider reported nothing.
    """
    if reported is None:
        return None
    said = fields_of(reported)
    prompt = fields_of(said.get("prompt_tokens_details") or said.get("input_tokens_details"))
    completion = fields_of(said.get("completion_tokens_details") or said.get("output_tokens_details"))
    usage = Usage.of(
        input_tokens=said.get("prompt_tokens") or said.get("input_tokens"),
        output_tokens=said.get("completion_tokens") or said.get("output_tokens"),
        cache_read_tokens=prompt.get("cached_tokens") or said.get("cache_read_input_tokens"),
        cache_write_tokens=prompt.get("cache_creation_tokens")
        or prompt.get("cache_write_tokens")
        or said.get("cache_creation_input_tokens"),
        cache_write_1h_tokens=get(prompt.get("cache_creation_token_details"), "ephemeral_1h_input_tokens"),
        reasoning_tokens=completion.get("reasoning_tokens"),
        input_audio_tokens=prompt.get("audio_tokens"),
        input_image_tokens=prompt.get("image_tokens"),
        output_audio_tokens=completion.get("audio_tokens"),
        output_image_tokens=completion.get("image_tokens"),
        web_searches=prompt.get("web_search_requests") or get(said.get("server_tool_use"), "web_search_requests"),
    )
    return usage if usage.total_tokens else None


def answer_of(response: Any) -> Answer:
    """Read a whole response."""
    hidden = hidden_of(response)
    said = fields_of(response)
    usage = said.get("usage")
    reported = usage_of(usage)
    choices = _listed(said.get("choices"))
    return Answer(
        usage=reported,
        response_id=_text(said.get("id")),
        response_model=_model(said.get("model"), hidden),
        finish_reasons=tuple([reason for each in choices if (reason := _text(get(each, "finish_reason")))]),
        service_tier=_text(said.get("service_tier")) or _text(get(usage, "service_tier")),
        is_cache_hit=_is_cache_hit(hidden),
        # Only for counting, and so only where there is no count.
        text="" if reported is not None else "".join([_answered(each) for each in choices]),
    )


class ChunkKind(Enum):
    """What a chunk of a stream is to its consumer."""

    CONTENT = "content"
    OTHER = "other"
    USAGE_ONLY = "usage only"


class ChunkReader:
    """Gathers what the chunks of one stream say. Not thread-safe: a stream has one consumer at a time."""

    __slots__ = (
        "_finish_reasons",
        "_hidden",
        "_id",
        "_is_cache_hit",
        "_model",
        "_parts",
        "_service_tier",
        "_usage",
        "content",
        "finish_reason",
    )

    def __init__(self) -> None:
        self.content = ""
        """New text of the first choice in the latest chunk."""
        self.finish_reason: str | None = None
        """Why the first choice ended, where the latest chunk said it."""
        self._parts: list[str] = []
        self._finish_reasons: dict[int, str] = {}
        self._id: str | None = None
        self._model: str | None = None
        self._hidden: Any = None
        self._service_tier: str | None = None
        self._usage: Any = None
        self._is_cache_hit = False

    def feed(self, chunk: Any) -> ChunkKind:
        """Take note of one chunk, in a few microseconds."""
        if self._id is None:
            self._note_first(chunk)
        self.content, self.finish_reason = "", None
        usage = get(chunk, "usage")
        if usage is not None:
            self._usage = usage
            self._service_tier = _text(get(chunk, "service_tier")) or self._service_tier
        kind = ChunkKind.OTHER if usage is None else ChunkKind.USAGE_ONLY
        for choice in _listed(get(chunk, "choices")):
            reason = get(choice, "finish_reason")
            if reason is not None and self._finished(choice, reason) and kind is ChunkKind.USAGE_ONLY:
                kind = ChunkKind.OTHER
            delta = get(choice, "delta")
            # A choice of a text completion has no delta.
            content = get(choice, "text") if delta is None else get(delta, "content")
            if content.__class__ is str and content:
                self._parts.append(content)
                if not get(choice, "index"):
                    self.content = content
                kind = ChunkKind.CONTENT
            elif spoken := _spoken(delta):
                self._parts.append(spoken)
                kind = ChunkKind.CONTENT
        return kind

    def _finished(self, choice: Any, reason: Any) -> bool:
        """Note that a choice is done, and why."""
        if not isinstance(reason, str) or not reason:
            return False
        index = get(choice, "index")
        self._finish_reasons[index if isinstance(index, int) else 0] = reason
        if not index:
            self.finish_reason = reason
        return True

    def _note_first(self, chunk: Any) -> None:
        self._id = _text(get(chunk, "id"))
        self._hidden = hidden_of(chunk)
        self._model = _model(get(chunk, "model"), self._hidden)
        self._is_cache_hit = _is_cache_hit(self._hidden)

    @property
    def is_complete(self) -> bool:
        """Whether the model said that it is done."""
        return bool(self._finish_reasons)

    def answer(self, *, has_reported_usage: bool = True) -> Answer:
        """Say what came so far.

        Args:
            has_reported_usage: Whether the usage chunk was the provider's own; LiteLLM makes one up otherwise.
        """
        usage = usage_of(self._usage)
        if usage is not None and not has_reported_usage:
            usage = Usage.of(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, is_estimated=True)
        return Answer(
            usage=usage,
            response_id=self._id,
            response_model=self._model,
            finish_reasons=tuple(reason for _, reason in sorted(self._finish_reasons.items())),
            service_tier=self._service_tier,
            is_cache_hit=self._is_cache_hit,
            text="".join(self._parts),
        )


def get(source: Any, name: str) -> Any:
    """Read a field of an object or of a dictionary; `None` where there is none.

    Much faster than `getattr` on pydantic's models: LiteLLM keeps most fields of a chunk where every look-up would go
    through their `__getattr__`.
    """
    if source is None:
        return None
    # Before the attempt: to find out by an exception takes five times as long, and most dictionaries are plain ones.
    if type(source) is dict:
        return source.get(name)
    try:
        extra = source.__pydantic_extra__
    except AttributeError:
        return source.get(name) if isinstance(source, dict) else getattr(source, name, None)
    found = source.__dict__.get(name)
    return found if found is not None or not extra else extra.get(name)


def fields_of(source: Any) -> Mapping[str, Any]:
    """Return all fields of a response's part at once.

    Several times faster than `getattr` on pydantic's models where most of the fields asked for are not there: every
    miss goes through their `__getattr__` and an exception.
    """
    if source is None:
        return _NOTHING
    if isinstance(source, dict):
        return source
    fields: Mapping[str, Any] = getattr(source, "__dict__", _NOTHING)
    extra = getattr(source, "__pydantic_extra__", None)
    return {**extra, **fields} if extra else fields


def hidden_of(response: Any) -> Any:
    """Return what LiteLLM keeps beside a response: where pydantic has private fields, straight from there."""
    private = getattr(response, "__pydantic_private__", None)
    return private.get(_HIDDEN) if private else getattr(response, _HIDDEN, None)


def _is_cache_hit(hidden: Any) -> bool:
    """Tell an answer from LiteLLM's own cache; on text completions it only puts the key (1.105)."""
    return get(hidden, "cache_hit") is True or get(hidden, "cache_key") is not None


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()  # `list | tuple` would be made anew each time


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _model(name: Any, hidden: Any) -> str | None:
    """Return the model that answered, without LiteLLM's prefix (it puts one before Ollama's)."""
    told = _text(get(hidden, "provider_response_model")) or _text(name)
    return told.removeprefix("ollama_chat/").removeprefix("ollama/") if told else None


def _answered(choice: Any) -> str:
    """Return the text that a choice bills for; one of a text completion has no message."""
    message = get(choice, "message")
    return (_text(get(choice, "text")) or "") if message is None else _spoken(message)


def _spoken(message: Any) -> str:
    """Return all the text that a message or delta bills for: content, reasoning, and the arguments of tools."""
    said = fields_of(message)
    content = said.get("content")
    spoken = content if isinstance(content, str) else ""
    if reasoning := _text(said.get("reasoning_content")):
        spoken += reasoning
    for call in _listed(said.get("tool_calls")):
        function = get(call, "function")
        spoken += _text(get(function, "name")) or ""
        spoken += _text(get(function, "arguments")) or ""
    return spoken
