"""LiteLLM's streams: what they know beside their chunks, and how to hang up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from llm_otel.providers.loading import litellm

_logger = logging.getLogger("llm_otel")
_HANG_UP_FAILED = "llm_otel.hang_up_failed error=%s"
_READ_BY_STREAMS = ("response", "http_response", "streaming_response")
"""Where LiteLLM's provider streams (1.105) keep what they read from."""


class LiteLLMSource:
    """The facts about a `CustomStreamWrapper` that its chunks do not tell."""

    __slots__ = ("_is_mock", "_stream")

    def __init__(self, stream: Any, *, is_mock: bool) -> None:
        self._stream = stream
        self._is_mock = is_mock

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
        stream = self._stream
        if self._is_mock or getattr(stream, "custom_llm_provider", None) == "cached_response":
            return False
        reasons = ("received_finish_reason", "intermittent_finish_reason")
        return hasattr(stream, reasons[0]) and not any(getattr(stream, name, None) for name in reasons)


def joined(stream: Any) -> Any:
    """Return LiteLLM's response of all the chunks that were received; `None` where it cannot make one of them."""
    chunks = getattr(stream, "chunks", None)
    if not chunks:
        return None
    try:
        return litellm().stream_chunk_builder(chunks)
    # It raises for chunks that do not make a whole; the text that was received is known all the same.
    except Exception as exc:  # noqa: BLE001
        _logger.debug("llm_otel.chunks_not_joined error=%s", type(exc).__name__)
        return None


def close(stream: Any) -> None:
    """Hang up a sync stream. LiteLLM's wrapper has no `close`; something of what it wraps has."""
    hang_up = _closer(getattr(stream, "completion_stream", None), "close")
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
