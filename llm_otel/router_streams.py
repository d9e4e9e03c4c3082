"""The streams of `LLMRouter`: chunks in one shape, and the response after the last one."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self

from llm_otel import drive
from llm_otel.call import Outcome
from llm_otel.errors import LLMOtelError
from llm_otel.providers import loading, replaying, sources
from llm_otel.streams import AsyncMeteredStream, MeteredStream, StreamCourse
from llm_otel.types import LLMChunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_otel.call import CallRecord
    from llm_otel.open_call import OpenCall
    from llm_otel.plan import Instruments, Plan
    from llm_otel.providers.adapter import Opened
    from llm_otel.types import LLMResponse


class StreamJob(Protocol):
    """What the router prepared: everything is checked, nothing is sent."""

    instruments: Instruments
    plan: Plan

    def open(self, call: OpenCall) -> Opened:
        """Send one attempt and read up to the first chunk."""

    async def aopen(self, call: OpenCall) -> Opened:
        """Send one attempt and read up to the first chunk."""

    def response(self, record: CallRecord, raw: Any) -> LLMResponse:
        """Build the response from the record."""


class StreamOrder(Protocol):
    """What the caller ordered; it becomes a job when iteration starts."""

    def job(self) -> StreamJob:
        """Choose the model."""

    async def ajob(self) -> StreamJob:
        """Choose the model."""


class _Result:
    """What is known of a stream after its end, for both kinds."""

    __slots__ = ("_course", "_has_begun", "_is_closed", "_job", "_order", "_response", "_stream")

    def __init__(self, order: StreamOrder) -> None:
        self._order = order
        self._job: StreamJob | None = None
        self._course: StreamCourse | None = None
        self._stream: Any = None
        self._response: LLMResponse | None = None
        self._has_begun = False
        self._is_closed = False

    def _follow(self, call: OpenCall, opened: Opened) -> StreamCourse:
        self._stream = opened.stream
        call.brings(opened.stream, replaying.whole_of)
        source = sources.LiteLLMSource(opened.stream, is_mock=call.request.is_mock)
        self._course = StreamCourse(call, source, hides_usage=True)
        return self._course

    def _chunk(self, raw: Any) -> LLMChunk:
        assert self._course is not None, "chunks come from a stream that was opened"
        reader = self._course.reader
        return LLMChunk(reader.content, reader.finish_reason, raw)

    @property
    def _record(self) -> CallRecord | None:
        return self._course.record if self._course is not None else None

    @property
    def response(self) -> LLMResponse:
        """The whole completion, after the end: text and tool calls as far as they were received, usage and cost.

        Raises:
            LLMOtelError: The stream has not ended, or never began.
        """
        record = self._record
        if record is None or self._job is None:
            raise LLMOtelError("the stream has no response yet: iterate to its end, or close it, first")
        if self._response is None:
            self._response = self._job.response(record, sources.joined(self._stream))
        return self._response

    def _was_closed(self) -> bool:
        """Tell whether it was closed, by another thread or task, while it was opened."""
        return self._is_closed

    def _left(self, error: BaseException | None) -> None:
        if self._course is not None:
            self._course.left(error)

    def _raise_error(self, error: Exception | None) -> NoReturn:
        """Raise what the user is to see of a stream that broke."""
        record = self._record
        to_error: Callable[[CallRecord], Exception] | None = None if self._job is None else self._job.plan.to_error
        if record is None or to_error is None:
            assert error is not None, "a stream that ended without a record was broken by an error"
            raise error
        raise to_error(record) from error

    def _has_failed(self) -> bool:
        return self._record is not None and self._record.outcome is Outcome.ERROR


class LLMStream(_Result):
    """A streamed completion: iterate over its `LLMChunk`s. The request is sent when iteration starts.

    Not for several threads at once; closing it from another thread is safe.
    """

    __slots__ = ("_metered",)

    def __init__(self, order: StreamOrder) -> None:
        super().__init__(order)
        self._metered: MeteredStream | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> LLMChunk:
        if self._is_closed:
            raise StopIteration
        if self._metered is None:
            if self._has_begun:
                raise StopIteration  # it failed: iterating again must not send again
            self._has_begun = True
            job = self._job = self._order.job()
            loading.litellm()
            self._metered = drive.run(job.instruments, job.plan, job.open, self._meter)
            if self._was_closed():
                self._metered.close()
                raise StopIteration
        try:
            return self._chunk(next(self._metered))
        except StopIteration:
            self._is_closed = True
            if self._has_failed():
                self._raise_error(None)
            raise
        except Exception as exc:  # noqa: BLE001  # raised again, as what the user is to see
            self._is_closed = True
            self._raise_error(exc)

    def _meter(self, call: OpenCall, opened: Opened) -> MeteredStream:
        course = self._follow(call, opened)
        return MeteredStream(opened.chunks, course, first=opened.first, close=lambda: sources.close(opened.stream))

    def close(self) -> None:
        """Stop here. What was received is booked; closing twice, or before the start, does nothing."""
        self._is_closed = True
        if self._metered is not None:
            self._metered.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left(exc)
        self.close()


class AsyncLLMStream(_Result):
    """A streamed completion: `async for` over its `LLMChunk`s. The request is sent when iteration starts."""

    __slots__ = ("_metered",)

    def __init__(self, order: StreamOrder) -> None:
        super().__init__(order)
        self._metered: AsyncMeteredStream | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LLMChunk:
        if self._is_closed:
            raise StopAsyncIteration
        if self._metered is None:
            if self._has_begun:
                raise StopAsyncIteration  # it failed: iterating again must not send again
            self._has_begun = True
            job = self._job = await self._order.ajob()
            await loading.aload()
            self._metered = await drive.arun(job.instruments, job.plan, job.aopen, self._meter)
            if self._was_closed():
                await self._metered.aclose()
                raise StopAsyncIteration
        try:
            return self._chunk(await anext(self._metered))
        except StopAsyncIteration:
            self._is_closed = True
            if self._has_failed():
                self._raise_error(None)
            raise
        except Exception as exc:  # noqa: BLE001  # raised again, as what the user is to see
            self._is_closed = True
            self._raise_error(exc)

    def _meter(self, call: OpenCall, opened: Opened) -> AsyncMeteredStream:
        course = self._follow(call, opened)
        return AsyncMeteredStream(
            opened.chunks, course, first=opened.first, aclose=lambda: sources.aclose(opened.stream)
        )

    async def aclose(self) -> None:
        """Stop here. What was received is booked; closing twice, or before the start, does nothing."""
        self._is_closed = True
        if self._metered is not None:
            await self._metered.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left(exc)
        await self.aclose()
