"""Tasks that are cancelled, time-outs around a call, Ctrl-C: one end, at once, with the bill for what came."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from llm_otel import traced_llm
from llm_otel.demo.simulator import Hang, Reply
from tests.wire.books import billed
from tests.wire.callers import PLAIN, ROUTER, asked_by, text_of

REPLY = Reply("Hello there, how can I help you today?", input_tokens=18, output_tokens=9)
PRESS_EVERY_S = 0.005


def cancelled(caller, output_tokens=0, error_type="CancelledError"):
    """Return the ending of a call that was told to stop after so many tokens."""
    return billed("cancelled", error_type, (9, output_tokens), caller.model.cost(9, output_tokens))


async def cancel_when(ready, work):
    """Run `work` as a task, cancel it once `ready` returns, and check that it was cancelled and nothing else."""
    task = asyncio.ensure_future(work)
    await ready
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


def asked(simulator):
    """Wait until the provider has the request, without holding up the loop."""
    return asyncio.to_thread(simulator.wait_for_requests)


@asked_by(is_async=True)
def test_waiting_for_the_answer(caller, simulator, books, run):
    """A call that is cancelled before any answer: the provider had it, and may bill the input."""
    simulator.script(Hang(reply=REPLY))

    with traced_llm("work"):
        run(cancel_when(asked(simulator), caller.aask()))

    assert cancelled(caller) == books.only


@asked_by(is_async=True, is_stream=True)
def test_waiting_for_the_first_chunk(caller, simulator, books, run):
    """As before the answer: nothing was received."""
    simulator.script(Hang(after_chunks=0, reply=REPLY))

    with traced_llm("work"):
        run(cancel_when(asked(simulator), caller.aask()))

    assert cancelled(caller) == books.only


@asked_by(is_async=True, is_stream=True)
def test_waiting_for_a_chunk(caller, simulator, books, run):
    """What was received by then is billed too."""
    simulator.script(Hang(after_chunks=1, reply=REPLY))

    async def main():
        has_begun = asyncio.Event()

        async def consume():
            async for chunk in await caller.astream():
                if text_of(chunk):
                    has_begun.set()

        await cancel_when(has_begun.wait(), consume())

    with traced_llm("work"):
        run(main())

    assert cancelled(caller, 3) == books.only


async def cancel_in_the_body(consume):
    """Cancel a consumer that is busy with a chunk; twice, as a shutting server does."""
    is_busy = asyncio.Event()

    async def work_on_chunk():
        is_busy.set()
        await asyncio.Event().wait()

    await cancel_when(is_busy.wait(), consume(work_on_chunk))


@asked_by(entrances=(ROUTER,), is_async=True, is_stream=True)
def test_in_the_body_of_a_block(caller, simulator, books, run):
    """`async with` tells the stream why it is left."""
    simulator.script(Hang(after_chunks=2, reply=REPLY))

    async def consume(work_on_chunk):
        async with await caller.astream() as stream:
            async for chunk in stream:
                if text_of(chunk):
                    await work_on_chunk()

    with traced_llm("work"):
        run(cancel_in_the_body(consume))

    assert cancelled(caller, 3) == books.only


@asked_by(providers=("openai",), is_async=True, is_stream=True)
def test_in_the_body_of_a_loop(caller, simulator, books, run):
    """A loop tells its stream nothing: it is dropped, which is an end like any other."""
    simulator.script(REPLY)

    async def consume(work_on_chunk):
        async for chunk in await caller.astream():
            if text_of(chunk):
                await work_on_chunk()

    with traced_llm("work"):
        run(cancel_in_the_body(consume))

    assert "abandoned" == books.only.outcome
    assert (9, 3) == (books.only.input_tokens, books.only.output_tokens)


@asked_by(is_async=True)
def test_cancelled_again_and_again(caller, simulator, books, run):
    """The first one ends the call; the others find it ended."""
    simulator.script(Hang(after_chunks=0, reply=REPLY))

    async def main():
        task = asyncio.ensure_future(caller.aask())
        await asked(simulator)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        assert task.cancelled()

    with traced_llm("work"):
        run(main())

    assert cancelled(caller) == books.only


@asked_by(is_async=True)
def test_a_timeout_around_the_call(caller, simulator, books, run):
    """`asyncio.timeout` fires as it does around anything else; to the call it is a cancellation."""
    simulator.script(Hang(after_chunks=0, reply=REPLY))

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as limit:
                await asyncio.gather(caller.aask(), expire(limit))

    async def expire(limit):
        await asked(simulator)
        limit.reschedule(0)

    with traced_llm("work"):
        run(main())

    assert cancelled(caller) == books.only


@asked_by(providers=("openai",), is_async=True, is_stream=False)
def test_a_failing_neighbour(caller, simulator, books, run):
    """A task group that fails cancels the calls in it."""
    simulator.script(Hang(reply=REPLY))

    async def fail():
        await asked(simulator)
        raise ZeroDivisionError

    async def main():
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(caller.aask())
                group.create_task(fail())

    with traced_llm("work"):
        run(main())

    assert cancelled(caller) == books.only


# --- Ctrl-C -----------------------------------------------------------------------------------------------


@contextmanager
def pressed_when(ready):
    """Press Ctrl-C in this thread once `ready` has returned in another."""
    here = threading.get_ident()

    def press():
        ready()
        signal.pthread_kill(here, signal.SIGINT)

    pressing = threading.Thread(target=press)
    pressing.start()
    yield
    pressing.join()


@contextmanager
def pressed_while_reading_when(ready):
    """Press Ctrl-C once `ready` has returned in another thread and this one waits for the provider.

    Anywhere else it may strike while httpx hands on a response that nobody has begun to read. Such a one is never
    closed, with or without us: httpcore keeps its connection for as long as the client lives.
    """
    here, has_struck = threading.get_ident(), threading.Event()

    def strike(_signal, frame):
        code = frame.f_code
        is_reading = ("_backends", "sync.py", "read") == (*Path(code.co_filename).parts[-2:], code.co_name)
        if is_reading and not has_struck.is_set():
            has_struck.set()
            raise KeyboardInterrupt

    def press():
        ready()
        while not has_struck.wait(PRESS_EVERY_S):
            signal.pthread_kill(here, signal.SIGINT)

    pressing, before = threading.Thread(target=press), signal.signal(signal.SIGINT, strike)
    pressing.start()
    try:
        yield
    finally:
        has_struck.set()
        pressing.join()
        signal.signal(signal.SIGINT, before)


@asked_by(is_async=False)
def test_ctrl_c_while_waiting(caller, simulator, books):
    """A blocking call is interrupted, and has ended when the exception arrives."""
    simulator.script(Hang(after_chunks=0, reply=REPLY))

    with pressed_while_reading_when(simulator.wait_for_requests), pytest.raises(KeyboardInterrupt):
        caller.ask()

    assert cancelled(caller, error_type="KeyboardInterrupt") == books.only


@asked_by(providers=("openai",), is_async=False, is_stream=True)
def test_ctrl_c_amid_a_stream(caller, simulator, books):
    """What was received by then is billed."""
    simulator.script(Hang(after_chunks=1, reply=REPLY))
    has_begun = threading.Event()

    with pressed_while_reading_when(has_begun.wait), pytest.raises(KeyboardInterrupt), traced_llm("work"):
        for chunk in caller.stream():
            if text_of(chunk):
                has_begun.set()

    assert cancelled(caller, 3, error_type="KeyboardInterrupt") == books.only


@asked_by(providers=("openai",), entrances=(ROUTER,), is_async=False, is_stream=True)
def test_ctrl_c_in_a_block(caller, simulator, books):
    """`with` tells the stream why it is left."""
    simulator.script(Hang(after_chunks=2, reply=REPLY))

    with pytest.raises(KeyboardInterrupt), traced_llm("work"), caller.stream() as stream:
        for chunk in stream:
            if text_of(chunk):
                raise KeyboardInterrupt

    assert cancelled(caller, 3, error_type="KeyboardInterrupt") == books.only


@asked_by(providers=("openai",), entrances=(ROUTER, PLAIN), is_async=True, is_stream=False)
def test_ctrl_c_in_an_event_loop(caller, simulator, books):
    """`asyncio` cancels the main task for it."""
    simulator.script(Hang(reply=REPLY))

    with pressed_when(simulator.wait_for_requests), pytest.raises(KeyboardInterrupt), traced_llm("work"):
        asyncio.run(caller.aask())

    assert cancelled(caller) == books.only


PROGRAM = """
import atexit, json, signal

signal.signal(signal.SIGINT, signal.default_int_handler)  # a runner in the background has it ignored

def report():
    stats = llm_otel.tracker().get_stats()
    print(json.dumps([stats["total_calls"], stats["total_tokens"]]))

atexit.register(report)  # before all others, and so the last to run: streams that are still held end before it
import llm_otel
from llm_otel import LLMConfig, LLMRouter
stream = LLMRouter().stream([{"role": "user", "content": "Hello!"}], LLMConfig(model="gpt-4o-mini"))
while not next(stream).content:
    pass
print("begun", flush=True)
next(stream)
"""


def test_ctrl_c_in_a_program(simulator):
    """The process dies of it, as it would without us; a stream that it held is in the books when it is gone."""
    simulator.script(Hang(after_chunks=1, reply=REPLY))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert "begun\n" == program.stdout.readline()
        program.send_signal(signal.SIGINT)
        out, err = program.communicate()

    assert [1, 9 + 3] == json.loads(out)
    assert "KeyboardInterrupt" in err
    assert -signal.SIGINT == program.returncode
