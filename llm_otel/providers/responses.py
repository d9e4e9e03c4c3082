"""What an answer of the Responses API says of itself, whole or event by event."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm_otel.providers.reading import ChunkKind, answer_of, fields_of, get

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_otel.call import Answer

_FINISH_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}
"""In the words of chat completions, by `incomplete_details.reason`."""
# Tuples, since what a malformed answer has there may not be hashable.
_FAILED = ("failed", "cancelled")
_CALLS = ("function_call", "custom_tool_call")
_LAST_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_DELTA = ".delta"
_SPOKEN = ("text", "refusal", "arguments", "input")


def response_answer(response: Any) -> Answer:
    """Read a whole response."""
    said = fields_of(response)
    answer = answer_of(response)
    return replace(
        answer,
        finish_reasons=_finish_reasons(said),
        error_type=_error_type(said),
        text="" if answer.usage is not None else "".join(map(_spoken, _listed(said.get("output")))),
    )


def _finish_reasons(said: Mapping[str, Any]) -> tuple[str, ...]:
    status = said.get("status")
    if status == "incomplete":
        reason = get(said.get("incomplete_details"), "reason")
        return (_FINISH_REASONS.get(reason, reason),) if isinstance(reason, str) else ()
    if status != "completed":
        return ()
    called = any(get(item, "type") in _CALLS for item in _listed(said.get("output")))
    return ("tool_calls" if called else "stop",)


def _error_type(said: Mapping[str, Any]) -> str | None:
    """Return the provider's code for what went wrong; one without a code is named by its status."""
    status = said.get("status")
    if status not in _FAILED:
        return None
    code = get(said.get("error"), "code")
    return code if isinstance(code, str) and code.isidentifier() else str(status)


def _spoken(item: Any) -> str:
    """Return all the text that an item of the output bills for."""
    parts = (item, *_listed(get(item, "content")), *_listed(get(item, "summary")))
    return "".join(text for part in parts for name in _SPOKEN if isinstance(text := get(part, name), str))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


class EventReader:
    """Gathers what the events of one stream say. Not thread-safe: a stream has one consumer at a time."""

    __slots__ = ("_began", "_parts", "_whole", "content", "finish_reason")

    def __init__(self) -> None:
        self.content = ""
        """New text in the latest event."""
        self.finish_reason: str | None = None
        """Why the response ended, where the latest event said it."""
        self._began: Any = None
        self._whole: Answer | None = None
        self._parts: list[str] = []

    def feed(self, event: Any) -> ChunkKind:
        """Take note of one event, in a few microseconds."""
        self.content, self.finish_reason = "", None
        kind = get(event, "type")
        # LiteLLM's own events have an enumeration of texts there.
        if not isinstance(kind, str):
            return ChunkKind.OTHER
        if kind.endswith(_DELTA):
            return self._noted(get(event, "delta"))
        if kind in _LAST_EVENTS:
            self._whole = response_answer(get(event, "response"))
            self.finish_reason = next(iter(self._whole.finish_reasons), None)
        elif self._began is None:
            self._began = get(event, "response")
        return ChunkKind.OTHER

    def _noted(self, delta: Any) -> ChunkKind:
        if not isinstance(delta, str) or not delta:
            return ChunkKind.OTHER
        self.content = delta
        self._parts.append(delta)
        return ChunkKind.CONTENT

    @property
    def is_complete(self) -> bool:
        """Whether the provider said that it is done."""
        return self._whole is not None

    def answer(self, *, has_reported_usage: bool = True) -> Answer:
        """Say what came so far.

        Args:
            has_reported_usage: Whether the usage was the provider's own; LiteLLM makes one up otherwise.
        """
        if self._whole is None:
            began = answer_of(self._began)
            return replace(began, usage=None, text="".join(self._parts))
        usage = self._whole.usage
        if usage is not None and not has_reported_usage:
            usage = replace(usage, is_estimated=True)
        return replace(
            self._whole,
            usage=usage,
            text="" if usage is not None else "".join(self._parts),
        )
