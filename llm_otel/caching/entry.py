"""An answer that is kept, and its JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from llm_otel.errors import LLMOtelError
from llm_otel.usage import MAX_TOKENS, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 1
"""Of the JSON. What another version wrote reads as nothing."""
MAX_CHARACTERS = 256 * 1024
"""Of an answer's JSON, which is ASCII: a longer one is not kept."""
NATURAL_ENDS = frozenset({"stop", "tool_calls", "function_call"})
"""Reasons to finish that come with a whole answer. `length` and `content_filter` do not."""


class UnreadableEntryError(LLMOtelError):
    """What was kept is damaged, somebody else's, or of a newer release. It reads as nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An answer, as it was given first. Immutable: many calls may share one.

    Attributes:
        response: LiteLLM's response as JSON, ASCII only.
        usage: What the request that brought it used.
        cost_nano: nano-USD that this request cost, which each hit saves; `None` where no price is known.
        provider: The `gen_ai.provider.name` value.
        model: The model that was asked, without LiteLLM's prefix.
        response_model: The model that answered, as it names itself.
        finish_reasons: Of its choices, in their order.
        created_at_ms: Wall time, milliseconds since the epoch.
    """

    response: str
    usage: Usage | None
    cost_nano: int | None
    provider: str
    model: str
    response_model: str | None
    finish_reasons: tuple[str, ...]
    created_at_ms: int

    def age_s(self, now_ms: int) -> float:
        """Return how old it is, in seconds; 0 if the clock of whoever wrote it is ahead."""
        return max(0, now_ms - self.created_at_ms) / 1000

    def to_json(self) -> bytes:
        """Return what is kept where others read it."""
        fields = {
            "version": VERSION,
            "usage": None if self.usage is None else asdict(self.usage),
            "cost_nano": self.cost_nano,
            "provider": self.provider,
            "model": self.model,
            "response_model": self.response_model,
            "finish_reasons": self.finish_reasons,
            "created_at_ms": self.created_at_ms,
            "response": self.response,
        }
        return json.dumps(fields, separators=(",", ":")).encode("ascii")

    @classmethod
    def of_json(cls, text: bytes) -> Entry:
        """Read what `to_json` wrote.

        Raises:
            UnreadableEntryError: It is something else. The text is never quoted.
        """
        try:
            said = json.loads(text)
        # Deeply nested rubbish is rubbish too.
        except (ValueError, RecursionError):
            raise UnreadableEntryError("a cached answer is not JSON") from None
        if not isinstance(said, dict) or said.get("version") != VERSION:
            raise UnreadableEntryError(f"a cached answer is not of version {VERSION}")
        try:
            return cls(
                response=_response(said["response"]),
                usage=_usage(said["usage"]),
                cost_nano=None if said["cost_nano"] is None else _count(said["cost_nano"]),
                provider=_text(said["provider"]),
                model=_text(said["model"]),
                response_model=None if said["response_model"] is None else _text(said["response_model"]),
                finish_reasons=tuple(_text(reason) for reason in said["finish_reasons"]),
                created_at_ms=_count(said["created_at_ms"]),
            )
        except (KeyError, TypeError, ValueError, RecursionError):
            raise UnreadableEntryError("a cached answer lacks what it should hold") from None


def is_whole(finish_reasons: Iterable[object]) -> bool:
    """Tell whether choices that ended so may be given again; not if there are none."""
    reasons = tuple(finish_reasons)
    return bool(reasons) and all(isinstance(reason, str) and reason in NATURAL_ENDS for reason in reasons)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError
    return value


def _response(value: Any) -> str:
    """Check that a text is the JSON of a response: what it is made of again must not fail then."""
    said = json.loads(_text(value))
    choices = said["choices"]
    if not isinstance(choices, list) or not choices or not all(isinstance(each["message"], dict) for each in choices):
        raise ValueError
    return _text(value)


def _usage(said: Any) -> Usage | None:
    if said is None:
        return None
    if not isinstance(said, dict):
        raise TypeError
    counts = {name: value for name, value in said.items() if name != "is_estimated"}
    if not isinstance(said["is_estimated"], bool) or any(_count(each) > MAX_TOKENS for each in counts.values()):
        raise ValueError
    usage = Usage.of(**said)
    # What does not add up was not written by us.
    if usage != Usage(**said):
        raise ValueError
    return usage
