"""The way of one call, for every entrance.

    request ─► span ─► answered before? ─► estimate ─► hold ─► provider ─► usage ─► price ─► settle ─► CallRecord
                                              ▲                   │                                        │
                                              └─ retry, fallback ─┘                                    recorders

`run` and `arun` are the same but for the `await`. What a step means is decided in `open_call`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeVar

from llm_otel import steps
from llm_otel.open_call import OpenCall

if TYPE_CHECKING:
    from llm_otel.plan import Instruments, Plan

Raw = TypeVar("Raw")
Result = TypeVar("Result")

Send = Callable[[OpenCall], Raw]
"""Sends one request and returns what the provider answered; for a stream, with its first chunk read."""
AsyncSend = Callable[[OpenCall], Awaitable[Raw]]
Finish = Callable[[OpenCall, Raw], Result]
"""Takes the answer: ends the call, or hands it to the stream that will."""


def run(instruments: Instruments, plan: Plan, send: Send[Raw], finish: Finish[Raw, Result]) -> Result:
    """Make one call: attempts, pauses, and one end."""
    call, handled = OpenCall(instruments, plan), sys.exception()
    try:
        if (memory := call.seek_answer()) is not None and (kept := steps.run(memory)) is not None:
            return finish(call, kept)
        while True:
            if (leave := call.seek_leave()) is not None:
                steps.run(leave)
            call.begin_attempt()
            try:
                with call.telemetry.current_span():
                    raw = send(call)
            # A cancel is an end too; `failed` raises it again.
            except BaseException as exc:  # noqa: BLE001
                pause_s = call.failed(exc, handled)
            else:
                return finish(call, raw)
            instruments.clock.sleep(pause_s)
    except BaseException as exc:
        call.interrupted(exc)
        raise


async def arun(instruments: Instruments, plan: Plan, send: AsyncSend[Raw], finish: Finish[Raw, Result]) -> Result:
    """Make one call without blocking the event loop; the deadline holds even when the provider says nothing."""
    call, handled = OpenCall(instruments, plan, may_block=False), sys.exception()
    try:
        if (memory := call.seek_answer()) is not None and (kept := await steps.arun(memory)) is not None:
            return finish(call, kept)
        while True:
            if (leave := call.seek_leave()) is not None:
                await steps.arun(leave)
            call.begin_attempt()
            try:
                with call.telemetry.current_span():
                    async with _deadline(call):
                        raw = await send(call)
            # A cancel is an end too; `failed` raises it again.
            except BaseException as exc:  # noqa: BLE001
                pause_s = call.failed(exc, handled)
            else:
                result = finish(call, raw)
                await call.settled()
                return result
            # The next attempt must find what this one held free again.
            await call.settled()
            await instruments.clock.asleep(pause_s)
    except BaseException as exc:
        call.interrupted(exc)
        if isinstance(exc, Exception):
            await call.settled()
        raise


def is_on_event_loop() -> bool:
    """Tell whether this thread runs an event loop, which is not to be held up."""
    return asyncio._get_running_loop() is not None  # noqa: SLF001  # the public one raises where there is none


def _deadline(call: OpenCall) -> AbstractAsyncContextManager[object]:
    return asyncio.timeout(call.course.attempt_left_s)
