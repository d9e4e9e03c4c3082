"""LiteLLM as the driver uses it: one request, plain or streamed, sync or async."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_otel.providers import sources
from llm_otel.providers.loading import Inside, litellm

if TYPE_CHECKING:
    from llm_otel.models.resolve import ModelRef

_LEAST_TIMEOUT_S = 0.001
"""LiteLLM takes 0 for its default of 6,000 s."""
_TIMEOUT_STEPS = ((1.0, 10.0), (0.1, 1.0), (0.01, 0.1))
"""In seconds: to what a time-out is rounded up, and from which one on."""
_TIMELESS_STREAMS = frozenset({"gemini", "vertex_ai"})


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream that has begun to answer.

    Attributes:
        stream: LiteLLM's own.
        chunks: Iterates over it.
        first: The chunk that was read to know that it answers; none where the stream was empty.
    """

    stream: Any
    chunks: Any
    first: list[Any]


def complete(arguments: Mapping[str, Any], *, timeout_s: float | None) -> Any:
    """Send one request and return LiteLLM's `ModelResponse`."""
    with Inside():
        return litellm().completion(**arguments, **_timeout(timeout_s))


async def acomplete(arguments: Mapping[str, Any], *, timeout_s: float | None) -> Any:
    """Send one request without blocking the event loop."""
    with Inside():
        return await litellm().acompletion(**arguments, **_timeout(timeout_s))


def open_stream(arguments: Mapping[str, Any], ref: ModelRef, *, timeout_s: float | None) -> Opened:
    """Send one request and read up to its first chunk."""
    with Inside():
        client = _stream_client(ref, timeout_s, is_async=False)
        stream = litellm().completion(**arguments, **_timeout(timeout_s), **client)
        chunks: Iterator[Any] = iter(stream)
        try:
            return Opened(stream, chunks, [chunk for chunk in (next(chunks, None),) if chunk is not None])
        except BaseException:
            sources.close(stream)
            raise


async def aopen_stream(arguments: Mapping[str, Any], ref: ModelRef, *, timeout_s: float | None) -> Opened:
    """Send one request and read up to its first chunk, without blocking the event loop."""
    with Inside():
        client = _stream_client(ref, timeout_s, is_async=True)
        stream = await litellm().acompletion(**arguments, **_timeout(timeout_s), **client)
        chunks: AsyncIterator[Any] = aiter(stream)
        try:
            return Opened(stream, chunks, [chunk for chunk in (await anext(chunks, None),) if chunk is not None])
        except (Exception, asyncio.CancelledError):
            await sources.aclose(stream)
            raise


def _timeout(timeout_s: float | None) -> dict[str, float]:
    return {} if timeout_s is None else {"timeout": max(_rounded_up(timeout_s), _LEAST_TIMEOUT_S)}


def _rounded_up(timeout_s: float) -> float:
    """Return a time-out that many requests share, at most 10 % longer than it should be, and at most a second.

    LiteLLM keeps an HTTP client, and its connections, for each time-out that it is told. What is left of a deadline is
    never twice the same: each request would make a client of its own, and connect anew.
    """
    for step_s, least_s in _TIMEOUT_STEPS:
        if timeout_s > least_s:
            return round(math.ceil(timeout_s / step_s) * step_s, 3)
    return timeout_s


def _stream_client(ref: ModelRef, timeout_s: float | None, *, is_async: bool) -> dict[str, Any]:
    """Return the HTTP client for Gemini's streams, where LiteLLM (1.105) drops the time-out of the call.

    Whole seconds, so that LiteLLM's cache of clients stays small.
    """
    if timeout_s is None or ref.litellm_provider not in _TIMELESS_STREAMS:
        return {}
    from litellm.llms.custom_httpx import http_handler

    limit = {"timeout": math.ceil(timeout_s)}
    if is_async:
        return {"client": http_handler.get_async_httpx_client(ref.litellm_provider, params=limit)}
    return {"client": http_handler._get_httpx_client(params=limit)}  # noqa: SLF001  # it has no public name
