"""Answers from the response cache, in LiteLLM's shapes: taken off a response, and given as one again or as a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from llm_otel.caching.entry import MAX_CHARACTERS, Entry, is_whole
from llm_otel.call import Outcome
from llm_otel.providers.loading import as_it_is
from llm_otel.providers.parts import listed
from llm_otel.providers.reading import get
from llm_otel.providers.sources import REPLAYED, joined

if TYPE_CHECKING:
    from llm_otel.call import CallRecord

PIECES = 8
"""A text comes in at most so many chunks: whoever shows a stream still shows one."""
_OF_A_CHUNK = ("id", "created", "model", "system_fingerprint", "service_tier")
_PIECEMEAL = ("content", "tool_calls")
"""Fields of a message that come in chunks of their own; all others come in the first."""


def entry_of(raw: Any, record: CallRecord) -> Entry | None:
    """Return what is to be kept of a call; `None` where its answer is not to be given again.

    Not that of a call that failed or was cut off, nor one from another cache, nor one of another model than the request
    was for (a budget or an outage chose it, and the next call may have better luck).

    Args:
        raw: LiteLLM's `ModelResponse`; of a stream, what its chunks make.
        record: The call, ended.
    """
    last = record.attempts[-1] if record.attempts else None
    if raw is None or last is None or record.outcome is not Outcome.SUCCESS:
        return None
    if (last.provider, last.model) != (record.request.provider, record.request.model):
        return None
    said, reasons = raw.model_dump(mode="json", warnings=False), record.answer.finish_reasons
    choices = listed(said.get("choices"))
    if len(choices) != len(reasons) or not is_whole(reasons):
        return None
    for choice, reason in zip(choices, reasons, strict=True):
        # LiteLLM (1.105) says `stop` of a stream of Gemini's that it ended with `tool_calls`.
        choice["finish_reason"] = reason
    response = json.dumps(said, separators=(",", ":"))
    if len(response) > MAX_CHARACTERS:
        return None
    return Entry(
        response=response,
        usage=last.usage,
        cost_nano=None if last.cost is None else last.cost.total_nano,
        provider=last.provider,
        model=last.model,
        response_model=record.answer.response_model,
        finish_reasons=record.answer.finish_reasons,
        created_at_ms=round(record.started_ns / 1e6 + record.duration_s * 1000),
    )


def whole_of(stream: Any) -> Any:
    """Return LiteLLM's response of a stream that has ended; `None` where it makes none, or makes one choice of several.

    Args:
        stream: LiteLLM's own, which keeps its chunks.
    """
    chunks = listed(getattr(stream, "chunks", None))
    if any(get(choice, "index") for chunk in chunks for choice in listed(get(chunk, "choices"))):
        return None
    return joined(stream)


def response_of(entry: Entry) -> Any:
    """Return the response as LiteLLM gave it: a new object each time, marked as coming from a cache."""
    response = as_it_is().ModelResponse(**json.loads(entry.response))
    response._hidden_params = _hidden(entry)  # noqa: SLF001  # where LiteLLM says such things
    return response


def chunks_of(entry: Entry) -> list[Any]:
    """Return the response as the chunks of a stream: a few of text, one for each tool call, the end, the usage."""
    said = json.loads(entry.response)
    common = {name: said[name] for name in _OF_A_CHUNK if said.get(name) is not None}
    choices = [choice for each in listed(said.get("choices")) for choice in _streamed(each)]
    chunks = [_chunk(entry, {**common, "choices": [choice]}) for choice in choices]
    if isinstance(said.get("usage"), dict):
        nothing = {"index": 0, "delta": {}, "finish_reason": None}
        chunks.append(_chunk(entry, {**common, "choices": [nothing], "usage": said["usage"]}))
    return chunks


class Replay:
    """A stream of LiteLLM's that is read from an answer that was kept. For one consumer, sync or async.

    Attributes:
        chunks: Those that were read.
        custom_llm_provider: LiteLLM's mark of a replay.
    """

    custom_llm_provider = REPLAYED

    def __init__(self, entry: Entry) -> None:
        """Take what is to be replayed."""
        self.chunks: list[Any] = []
        self._to_come = iter(chunks_of(entry))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        chunk = next(self._to_come)
        self.chunks.append(chunk)
        return chunk

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None


def _hidden(entry: Entry) -> dict[str, Any]:
    return {"cache_hit": True, "provider_response_model": entry.response_model, "response_cost": 0.0}


def _chunk(entry: Entry, fields: dict[str, Any]) -> Any:
    from litellm.types.utils import ModelResponseStream

    chunk = ModelResponseStream(**fields)
    chunk._hidden_params = _hidden(entry)  # noqa: SLF001  # as above: nothing of it is priced
    return chunk


def _streamed(choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the choices of the chunks that one choice of a response makes."""
    index, message = choice.get("index") or 0, choice["message"]
    first = {name: value for name, value in message.items() if value is not None and name not in _PIECEMEAL}
    deltas = [{"role": "assistant", **first, "content": ""}]
    deltas += [{"content": piece} for piece in _pieces(message.get("content"))]
    deltas += [{"tool_calls": [{**call, "index": at}]} for at, call in enumerate(listed(message.get("tool_calls")))]
    for delta in deltas:
        yield {"index": index, "delta": delta, "finish_reason": None}
    last = {name: value for name, value in choice.items() if name != "message"}
    yield {**last, "index": index, "delta": {}}


def _pieces(text: Any) -> Iterator[str]:
    if isinstance(text, str) and text:
        size = -(-len(text) // PIECES)
        for start in range(0, len(text), size):
            yield text[start : start + size]
