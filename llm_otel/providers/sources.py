"""LiteLLM's streams: what they know beside their chunks, and how to hang up."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol

from llm_otel.providers.loading import as_it_is
from llm_otel.providers.reading import get

_logger = logging.getLogger("llm_otel")
_HANG_UP_FAILED = "llm_otel.hang_up_failed error=%s"
_READ_BY_STREAMS = ("response", "http_response", "streaming_response")
"""Where LiteLLM's provider streams (1.105) keep what they read from."""
_BRIDGED = "litellm_custom_stream_wrapper"
"""Where a stream of events keeps the chat that it is made from."""
_DEEPEST = 5
"""How many streams of LiteLLM's stand in each other at most, and one more: text, two generators, chunks."""
REPLAYED = "cached_response"
"""LiteLLM's provider of streams that are replayed from its own cache."""


class Source(Protocol):
    """A stream of LiteLLM's, apart from its chunks."""

    def began(self) -> None:
        """Note that the first chunk came."""

    def has_reported_usage(self) -> bool:
        """Tell whether the usage came from the provider."""

    def is_truncated(self) -> bool:
        """Tell, once the chunks are exhausted, whether the provider left without saying that it was done."""

    def is_cache_hit(self) -> bool:
        """Tell whether LiteLLM replays it from its own cache of answers."""

    def close(self) -> None:
        """Hang up a sync stream. Never raises."""

    async def aclose(self) -> None:
        """Hang up an async stream. Never raises for the provider."""


class LiteLLMSource:
    """The facts about a `CustomStreamWrapper` that its chunks do not tell, wherever it stands.

    Streams of text completions have one inside, and so have responses of providers that know chat alone.
    """

    __slots__ = ("_chain", "_is_mock")

    def __init__(self, stream: Any, *, is_mock: bool) -> None:
        self._chain = _chain(stream)
        self._is_mock = is_mock

    def began(self) -> None:
        """Look again: before its first chunk a generator has nothing to show, and nothing after its last."""
        if not hasattr(self._stream, "chunks"):
            self._chain = _chain(self._chain[0])

    @property
    def _stream(self) -> Any:
        return self._chain[-1]

    def has_reported_usage(self) -> bool:
        """Tell whether a chunk came with usage: LiteLLM keeps what the provider sent, and estimates only beside it."""
        chunks = getattr(self._stream, "chunks", None)
        if not chunks:
            return True
        return any(getattr(chunk, "usage", None) is not None for chunk in reversed(chunks))

    def is_truncated(self) -> bool:
        """Tell whether the finish reason was made up by LiteLLM: it puts `stop` where a stream just ended.

        Its mocks and the replays of its cache never receive one.
        """
        if self._is_mock or self.is_cache_hit():
            return False
        stream = self._stream
        reasons = ("received_finish_reason", "intermittent_finish_reason")
        return hasattr(stream, reasons[0]) and not any(getattr(stream, name, None) for name in reasons)

    def is_cache_hit(self) -> bool:
        """Tell whether it is a replay: LiteLLM puts no mark on its chunks."""
        return _is_replay(self._stream)

    def close(self) -> None:
        """Hang up a sync stream."""
        close(self._stream)

    async def aclose(self) -> None:
        """Hang up an async stream: first what reads from it."""
        for reading in self._chain:
            if isinstance(reading, AsyncGenerator):
                await _attempt(reading.aclose)
        await aclose(self._stream)


class EventSource:
    """The facts about a stream of the Responses API that its events do not tell."""

    __slots__ = ("_reader", "_stream")

    def __init__(self, stream: Any, reader: Completable) -> None:
        self._stream = stream
        self._reader = reader

    def began(self) -> None:
        """There is nothing to note."""

    def has_reported_usage(self) -> bool:
        """Tell whether the usage came with details: OpenAI always sends them, LiteLLM's estimate never has any."""
        usage = get(get(getattr(self._stream, "completed_response", None), "response"), "usage")
        return any(get(usage, name) is not None for name in ("input_tokens_details", "output_tokens_details"))

    def is_truncated(self) -> bool:
        """Tell whether the last event never came."""
        return not self._reader.is_complete

    def is_cache_hit(self) -> bool:
        """Tell whether it is a replay."""
        return _is_replay(self._stream)

    def close(self) -> None:
        """Hang up a sync stream."""
        _hang_up(self._stream)

    async def aclose(self) -> None:
        """Hang up an async stream."""
        if (hang_up := _closer(self._stream, "aclose")) is not None:
            await _attempt(hang_up)


class Completable(Protocol):
    """What knows whether a stream has said that it is done."""

    @property
    def is_complete(self) -> bool:
        """Whether it has."""


def source_of_chunks(stream: Any, reader: Completable, is_mock: bool) -> Source:  # noqa: ARG001, FBT001  # one signature
    """Return what knows a stream of chunks."""
    return LiteLLMSource(stream, is_mock=is_mock)


def source_of_events(stream: Any, reader: Completable, is_mock: bool) -> Source:  # noqa: FBT001  # one signature for all
    """Return what knows a stream of events: LiteLLM makes them itself for providers that know chat alone."""
    if hasattr(stream, _BRIDGED):
        return LiteLLMSource(stream, is_mock=is_mock)
    return EventSource(stream, reader)


def _is_replay(stream: Any) -> bool:
    return getattr(stream, "custom_llm_provider", None) == REPLAYED


def _chain(stream: Any) -> list[Any]:
    """Return what a stream reads from, level by level, from itself to the `CustomStreamWrapper`, if that is there yet.

    Streams of text completions read from generators of LiteLLM's: what those read from is a variable of theirs, as long
    as they run.
    """
    chain = [stream]
    while not hasattr(chain[-1], "chunks") and len(chain) < _DEEPEST:
        outer = chain[-1]
        inner = getattr(outer, _BRIDGED, None) or getattr(outer, "completion_stream", None)
        frame = getattr(outer, "ag_frame", None) or getattr(outer, "gi_frame", None)
        if frame is not None:
            inner = frame.f_locals.get("streamwrapper") or frame.f_locals.get("response")
        if inner is None:
            break
        chain.append(inner)
    return chain


def joined(stream: Any) -> Any:
    """Return LiteLLM's response of all the chunks that were received; `None` where it cannot make one of them."""
    chunks = getattr(stream, "chunks", None)
    if not chunks:
        return None
    try:
        return as_it_is().stream_chunk_builder(chunks)
    # It raises for chunks that do not make a whole; the text that was received is known all the same.
    except Exception as exc:  # noqa: BLE001
        _logger.debug("llm_otel.chunks_not_joined error=%s", type(exc).__name__)
        return None


def close(stream: Any) -> None:
    """Hang up a sync stream. LiteLLM's wrapper has no `close`; something of what it wraps has."""
    _hang_up(getattr(stream, "completion_stream", None))


def _hang_up(inner: Any) -> None:
    hang_up = _closer(inner, "close")
    if hang_up is not None:
        try:
            hang_up()
        # A generator that runs on another thread refuses to be closed; the connection ends with it.
        except Exception as exc:  # noqa: BLE001
            _logger.debug(_HANG_UP_FAILED, type(exc).__name__)


async def aclose(stream: Any) -> None:
    """Hang up an async stream. LiteLLM's `aclose` closes what it wraps, where that can be closed by itself."""
    inner = getattr(stream, "completion_stream", None)
    within = None if hasattr(inner, "aclose") or hasattr(inner, "close") else _closer(inner, "aclose")
    for hang_up in (getattr(stream, "aclose", None), within):
        if hang_up is not None:
            await _attempt(hang_up)


async def _attempt(hang_up: Callable[[], Awaitable[Any]]) -> None:
    try:
        await hang_up()
    # The caller is done with the stream: that the provider's end of it fails now is no error of the call.
    except Exception as exc:  # noqa: BLE001
        _logger.debug(_HANG_UP_FAILED, type(exc).__name__)


def _closer(inner: Any, method: str) -> Callable[[], Any] | None:
    """Return what closes a provider's stream: the stream itself, the response that it reads, or its generator."""
    for candidate in (inner, *(getattr(inner, name, None) for name in _READ_BY_STREAMS)):
        found: Callable[[], Any] | None = getattr(candidate, method, None)
        if callable(found):
            return found
    return None
