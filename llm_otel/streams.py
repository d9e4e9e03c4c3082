"""A stream and its call: every chunk is noted, and every way to stop is one end.

The proxies are classes, not generators: a generator that was never started runs no `finally`, and one that is dropped
may be closed on another thread. What happens in each case stands in `StreamCourse`; sync and async only differ in how
they wait.

Whatever ends a stream closes its source. LiteLLM leaves the response of a stream that was read to its end, or that
broke, to the garbage collector; and where that runs while httpcore holds the lock of its pool, which closing a response
takes too, the thread waits for itself.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, Self

from llm_otel.providers.reading import ChunkKind, ChunkReader

if TYPE_CHECKING:
    from llm_otel.call import CallRecord
    from llm_otel.open_call import OpenCall
    from llm_otel.providers.operations import StreamReader

INCOMPLETE_STREAM = "IncompleteStream"
"""`error.type` of a stream that ended without an error, but before the model said that it was done."""


class ProviderStream(Protocol):
    """What the driver asks of a provider's stream beside its chunks."""

    def began(self) -> None:
        """Note that the first chunk came."""

    def has_reported_usage(self) -> bool:
        """Tell whether the usage came from the provider."""

    def is_cache_hit(self) -> bool:
        """Tell whether it is a replay that nobody bills for."""

    def is_truncated(self) -> bool:
        """Tell, once the chunks are exhausted, whether the provider left without saying that it was done."""


class StreamCourse:
    """What the chunks and the end of one stream mean for its call."""

    __slots__ = (
        "_call",
        "_gatherer",
        "_has_begun",
        "_has_content",
        "_hides_usage",
        "_is_held",
        "_source",
        "_times_all",
        "reader",
        "record",
    )

    def __init__(
        self, call: OpenCall, source: ProviderStream, *, hides_usage: bool, reader: StreamReader | None = None
    ) -> None:
        """Follow a stream.

        Args:
            call: Whose answer it is.
            source: What knows the stream.
            hides_usage: Whether the caller did not ask for the usage chunk.
            reader: What reads its chunks; by default those of chat.
        """
        self._call = call
        self.reader: StreamReader = ChunkReader() if reader is None else reader
        self._source = source
        self._hides_usage = hides_usage
        self._has_begun = False
        self._has_content = False
        self._is_held = call.money.is_held
        self._times_all = call.times_every_chunk
        self._gatherer = call.telemetry.content.gather()
        self.record: CallRecord | None = None

    def received(self, chunk: Any) -> bool:
        """Note a chunk; return whether the caller is to see it."""
        if not self._has_begun:
            self._has_begun = True
            self._source.began()
        if self._is_held:
            self._call.money.lives()
        if self._gatherer is not None:
            self._call.guard.call("content", self._gatherer.feed, chunk)
        try:
            kind = self.reader.feed(chunk)
        # Whatever a chunk holds: the caller gets it.
        except Exception as exc:  # noqa: BLE001
            self._call.guard.failed("stream", exc)
            return True
        if kind is ChunkKind.CONTENT and (self._times_all or not self._has_content):
            self._has_content = True
            self._call.note_content()
        return not (kind is ChunkKind.USAGE_ONLY and self._hides_usage)

    def exhausted(self) -> None:
        """End the call: the source has no more chunks."""
        if self._source.is_truncated():
            # LiteLLM made up whatever it says of the end: the finish reason, and the output in the usage.
            answer = replace(self.reader.answer(has_reported_usage=False), finish_reasons=())
            self._ended(self._call.truncated(INCOMPLETE_STREAM, answer))
        else:
            self._ended(self._call.answered(self._answer()))

    def broken(self, error: BaseException) -> None:
        """End the call: the source raised, or its reader was cancelled while waiting."""
        self._ended(self._call.broken(error, self._answer(), has_begun=self._has_begun))

    def let_go(self) -> None:
        """End the call: the consumer broke off, closed the stream or dropped it. A finished answer stays a success."""
        if self._call.is_over:
            return
        # The garbage collector may be what lets go, in the middle of anything.
        self._call.must_not_block()
        end = self._call.answered if self.reader.is_complete else self._call.abandoned
        self._ended(end(self._answer()))

    def left(self, error: BaseException | None) -> None:
        """End the call: the block around the stream is left; whoever was told to stop did not choose to."""
        if error is None or isinstance(error, Exception | GeneratorExit):
            self.let_go()
        elif not self._call.is_over:
            self._ended(self._call.cancelled(error, self._answer()))

    async def settled(self) -> None:
        """Wait until the ledger has the bill."""
        await self._call.settled()

    def _answer(self) -> Any:
        answer = self.reader.answer(has_reported_usage=self._source.has_reported_usage())
        return replace(answer, is_cache_hit=True) if self._source.is_cache_hit() else answer

    def _ended(self, record: CallRecord | None) -> None:
        self.record = record or self.record


class MeteredStream:
    """A sync stream that ends its call exactly once, also when it is garbage-collected."""

    __slots__ = ("__weakref__", "_close", "_course", "_finalizer", "_first", "_is_over", "_source")

    def __init__(
        self, source: Iterator[Any], course: StreamCourse, *, first: list[Any], close: Callable[[], None]
    ) -> None:
        """Iterate over `first`, the chunks that were read already, and then over `source`."""
        self._source = source
        self._course = course
        self._first = first
        self._close = close
        self._is_over = False
        self._finalizer = weakref.finalize(self, course.let_go)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if self._is_over:
            raise StopIteration
        course = self._course
        while True:
            try:
                chunk = self._first.pop(0) if self._first else next(self._source)
            except StopIteration:
                course.exhausted()
                self._hang_up()
                raise
            except BaseException as exc:
                course.broken(exc)
                self._hang_up()
                raise
            if course.received(chunk):
                return chunk

    def close(self) -> None:
        """Stop here: end the call and hang up."""
        self._course.let_go()
        self._hang_up()

    def _hang_up(self) -> None:
        self._is_over = True
        self._close()


class AsyncMeteredStream:
    """An async stream that ends its call exactly once, also when its task is cancelled or it is garbage-collected."""

    __slots__ = ("__weakref__", "_aclose", "_course", "_finalizer", "_first", "_is_over", "_source")

    def __init__(
        self,
        source: AsyncIterator[Any],
        course: StreamCourse,
        *,
        first: list[Any],
        aclose: Callable[[], Awaitable[None]],
    ) -> None:
        """Iterate over `first`, the chunks that were read already, and then over `source`."""
        self._source = source
        self._course = course
        self._first = first
        self._aclose = aclose
        self._is_over = False
        self._finalizer = weakref.finalize(self, course.let_go)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._is_over:
            raise StopAsyncIteration
        course = self._course
        while True:
            try:
                chunk = self._first.pop(0) if self._first else await anext(self._source)
            except StopAsyncIteration:
                course.exhausted()
                await self._hang_up()
                await course.settled()
                raise
            except Exception as exc:
                course.broken(exc)
                await self._hang_up()
                await course.settled()
                raise
            except asyncio.CancelledError as exc:
                course.broken(exc)
                await self._hang_up()
                raise
            # The coroutine is thrown away, or the program stops: nobody is left to wait.
            except BaseException as exc:
                course.broken(exc)
                raise
            if course.received(chunk):
                return chunk

    async def aclose(self) -> None:
        """Stop here: end the call and hang up."""
        self._course.let_go()
        await self._hang_up()
        await self._course.settled()

    async def _hang_up(self) -> None:
        self._is_over = True
        await self._aclose()
