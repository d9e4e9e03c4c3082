"""LiteLLM's streams, with their end noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import wrapt

from llm_otel.streams import AsyncMeteredStream, MeteredStream, StreamCourse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_otel.providers.sources import Source


class WatchedStream(wrapt.BaseObjectProxy[Any]):
    """LiteLLM's stream, with its end noticed: `isinstance` and every attribute are those of the original.

    It can be read in the ways in which the original can be, and in no other: callers ask with `hasattr` which they are
    to take.
    """


class _ReadSync:
    _self_sync: MeteredStream

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._self_sync)

    def close(self) -> None:
        """Stop here: LiteLLM's own streams cannot be closed, its callers can still call it."""
        self._self_sync.close()


class _ReadAsync:
    _self_async: AsyncMeteredStream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return await anext(self._self_async)

    async def aclose(self) -> None:
        """Stop here, and hang up."""
        await self._self_async.aclose()


class _SyncStream(_ReadSync, WatchedStream):
    """To be read by `for`."""


class _AsyncStream(_ReadAsync, WatchedStream):
    """To be read by `async for`."""


class _EitherStream(_ReadSync, _ReadAsync, WatchedStream):
    """To be read by either: most of LiteLLM's streams do not say which they are."""


def watched(stream: Any, course: StreamCourse, source: Source) -> WatchedStream:
    """Return a stream that ends its call, however it ends."""
    is_sync, is_async = hasattr(stream, "__next__"), hasattr(stream, "__anext__")
    kind = _EitherStream if is_sync and is_async else _SyncStream if is_sync else _AsyncStream
    proxy: Any = kind(stream)
    if is_sync:
        proxy._self_sync = MeteredStream(stream, course, first=[], close=source.close)  # noqa: SLF001  # wrapt's own
    if is_async:
        proxy._self_async = AsyncMeteredStream(stream, course, first=[], aclose=source.aclose)  # noqa: SLF001  # as above
    made: WatchedStream = proxy
    return made
