"""Puts a stream together as it comes, for those who record what was answered: into the shape of a whole response."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from llm_otel.providers.parts import listed
from llm_otel.providers.reading import fields_of, get

_REASONING = ("response.reasoning_summary_text.delta", "response.reasoning_text.delta")
_ARGUMENTS = ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta")
_SPOKEN = ("response.output_text.delta", "response.refusal.delta")
_ITEM_BEGAN, _ITEM_ENDED = "response.output_item.added", "response.output_item.done"
_ENDS = ("response.completed", "response.incomplete", "response.failed")


class Gatherer:
    """The chunks of one stream: of chat, of a text completion, or the events of a response.

    Not thread-safe: a stream has one consumer at a time.
    """

    __slots__ = ("_choices", "_items", "_whole")

    def __init__(self) -> None:
        self._choices: defaultdict[int, _Choice] = defaultdict(_Choice)
        self._items: defaultdict[int, _Item] = defaultdict(_Item)
        self._whole: Any = None

    def feed(self, chunk: Any) -> None:
        """Keep what a chunk says."""
        choices = listed(get(chunk, "choices"))
        if choices:
            for choice in choices:
                self._choices[_index(choice, "index")].feed(choice)
            return
        kind = get(chunk, "type")
        if isinstance(kind, str):
            self._take_event(kind, chunk)

    def response(self) -> dict[str, Any]:
        """Return what came so far, as a response: `choices`, or the `output` items of a response."""
        if self._choices:
            return {"choices": [choice.whole() for _, choice in sorted(self._choices.items())]}
        output = listed(get(self._whole, "output"))
        return {"output": output or [item.whole() for _, item in sorted(self._items.items())]}

    def _take_event(self, kind: str, event: Any) -> None:
        if kind in _ENDS:
            self._whole = get(event, "response")
            return
        item = self._items[_index(event, "output_index")] if get(event, "output_index") is not None else _Item()
        delta = get(event, "delta")
        if kind == _ITEM_BEGAN:
            item.begun = get(event, "item")
        elif kind == _ITEM_ENDED:
            item.ended = get(event, "item")
        elif not isinstance(delta, str):
            return
        elif kind in _SPOKEN:
            item.texts.append(delta)
        elif kind in _REASONING:
            item.thoughts.append(delta)
        elif kind in _ARGUMENTS:
            item.arguments.append(delta)


@dataclass(slots=True)
class _Called:
    """A call of a tool that is still coming in."""

    identity: Any = None
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def whole(self) -> dict[str, Any]:
        return {"id": self.identity, "function": {"name": self.name, "arguments": "".join(self.arguments)}}


@dataclass(slots=True)
class _Choice:
    """One choice of a chat or text completion."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    transcripts: list[str] = field(default_factory=list)
    images: list[Any] = field(default_factory=list)
    calls: list[_Called] = field(default_factory=list)
    open_calls: dict[int, _Called] = field(default_factory=dict)
    has_sound: bool = False

    def feed(self, choice: Any) -> None:
        delta = get(choice, "delta")
        if delta is None:
            _append(self.texts, get(choice, "text"))
            return
        said = fields_of(delta)
        _append(self.texts, said.get("content"))
        _append(self.thoughts, said.get("reasoning_content"))
        _append(self.refusals, said.get("refusal"))
        self.images += listed(said.get("images"))
        if (audio := said.get("audio")) is not None:
            self.has_sound = True
            _append(self.transcripts, get(audio, "transcript"))
        for call in listed(said.get("tool_calls")):
            self._called(_index(call, "index"), get(call, "id"), get(call, "function"))
        if (old := said.get("function_call")) is not None:
            self._called(-1, None, old)

    def _called(self, index: int, identity: Any, function: Any) -> None:
        """Go on with a call, or begin one: some providers give every call of an answer the same index."""
        call = self.open_calls.get(index)
        if call is None or (identity and call.identity and identity != call.identity):
            call = self.open_calls[index] = _Called()
            self.calls.append(call)
        call.identity = call.identity or identity
        name = get(function, "name")
        call.name = call.name or (name if isinstance(name, str) else "")
        _append(call.arguments, get(function, "arguments"))

    def whole(self) -> dict[str, Any]:
        message: dict[str, Any] = {
            "content": "".join(self.texts),
            "reasoning_content": "".join(self.thoughts),
            "refusal": "".join(self.refusals),
            "images": self.images,
            "tool_calls": [call.whole() for call in self.calls],
        }
        if self.has_sound:
            message["audio"] = {"transcript": "".join(self.transcripts)}
        return {"message": message}


@dataclass(slots=True)
class _Item:
    """One output item of a response."""

    begun: Any = None
    ended: Any = None
    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)

    def whole(self) -> Any:
        """Return the item as the provider gave it at its end; before that, what came of it."""
        if self.ended is not None:
            return self.ended
        if self.arguments or get(self.begun, "call_id") is not None:
            identity, name = get(self.begun, "call_id"), get(self.begun, "name")
            return {"type": "function_call", "call_id": identity, "name": name, "arguments": "".join(self.arguments)}
        if self.thoughts:
            return {"type": "reasoning", "summary": [{"text": "".join(self.thoughts)}]}
        if self.texts:
            return {"type": "message", "content": [{"type": "output_text", "text": "".join(self.texts)}]}
        return self.begun


def _index(source: Any, name: str) -> int:
    index = get(source, name)
    return index if isinstance(index, int) else 0


def _append(pieces: list[str], piece: Any) -> None:
    if isinstance(piece, str) and piece:
        pieces.append(piece)
