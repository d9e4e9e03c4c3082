"""Consumers that leave a stream before its end: one end in every case, a bill for what came, no open connection."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import aclosing, closing

import pytest

from llm_otel import LLMOtelError, traced_llm
from llm_otel.demo.simulator import Hang, Reply
from tests.wire.books import billed, success
from tests.wire.callers import PLAIN, ROUTER, asked_by, text_of

LONG = "Hello there, how can I help you today? Ask me anything you like."
HELD = Hang(after_chunks=2, reply=Reply(LONG, input_tokens=18, output_tokens=16))
"""Two chunks, and then nothing until the client hangs up."""
BEGINNING = "Hello there,"


class Boom(Exception):
    """Of the consumer's own."""


def to_first_text(stream):
    """Read until there is text."""
    return next(filter(None, map(text_of, stream)))


async def ato_first_text(stream):
    """Read until there is text."""
    while not (text := text_of(await anext(stream))):
        pass
    return text


def collect():
    """Collect garbage, and the cycles that are left of what was finalized."""
    for _ in range(3):
        gc.collect()


# --- ways to leave: each takes a stream, and is the last to hold it ---------------------------------------


def break_off(stream):
    """Leave the loop."""
    for chunk in stream:
        if text_of(chunk):
            break


def close(stream):
    """Say so."""
    to_first_text(stream)
    stream.close()


def close_twice(stream):
    """Once more changes nothing, not even the end of iteration."""
    close(stream)
    stream.close()


def leave_a_block(stream):
    """Leave a `with` statement."""
    with closing(stream):
        to_first_text(stream)


def raise_in_the_body(stream):
    """Fail over a chunk."""
    with pytest.raises(Boom):
        for chunk in stream:
            if text_of(chunk):
                raise Boom


def drop(stream):
    """Forget about it."""
    to_first_text(stream)


def drop_in_a_cycle(stream):
    """Forget about it where only the garbage collector finds it."""
    to_first_text(stream)
    cycle = [stream]
    cycle.append(cycle)


async def abreak_off(stream):
    """Leave the loop."""
    async for chunk in stream:
        if text_of(chunk):
            break


async def aclose(stream):
    """Say so."""
    await ato_first_text(stream)
    await stream.aclose()


async def aclose_twice(stream):
    """Once more changes nothing."""
    await aclose(stream)
    await stream.aclose()


async def aleave_a_block(stream):
    """Leave an `async with` statement."""
    async with aclosing(stream):
        await ato_first_text(stream)


async def araise_in_the_body(stream):
    """Fail over a chunk."""
    with pytest.raises(Boom):
        async for chunk in stream:
            if text_of(chunk):
                raise Boom


async def adrop(stream):
    """Forget about it."""
    await ato_first_text(stream)


async def adrop_in_a_cycle(stream):
    """Forget about it where only the garbage collector finds it."""
    await ato_first_text(stream)
    cycle = [stream]
    cycle.append(cycle)


LEAVING = (break_off, close, close_twice, leave_a_block, raise_in_the_body, drop, drop_in_a_cycle)
ALEAVING = (abreak_off, aclose, aclose_twice, aleave_a_block, araise_in_the_body, adrop, adrop_in_a_cycle)


def abandoned(caller):
    """Return the ending of a call whose consumer left after the first text: three tokens."""
    return billed("abandoned", None, (9, 3), caller.model.cost(9, 3))


@asked_by(is_stream=True, is_async=False)
@pytest.mark.parametrize("leave", LEAVING, ids=lambda leave: leave.__name__)
def test_a_consumer_that_leaves(caller, leave, simulator, books):
    """That is no error: the span is UNSET, input and what was received are billed, and the provider is hung up on."""
    simulator.script(HELD)

    with traced_llm("work") as scope:
        leave(caller.stream())
        collect()

    assert abandoned(caller) == books.only
    assert (1, 12) == (scope.calls, scope.tokens)


@asked_by(is_stream=True, is_async=True)
@pytest.mark.parametrize("leave", ALEAVING, ids=lambda leave: leave.__name__)
def test_an_async_consumer_that_leaves(caller, leave, simulator, books, run):
    """As with sync ones."""
    simulator.script(HELD)

    async def main():
        await leave(await caller.astream())
        # What finalizes a stream holds it until then; and Python closes async generators in tasks.
        for _ in range(3):
            gc.collect()
            await asyncio.sleep(0.001)

    with traced_llm("work") as scope:
        run(main())

    assert abandoned(caller) == books.only
    assert (1, 12) == (scope.calls, scope.tokens)


@asked_by(is_stream=True)
def test_a_stream_that_is_closed_hangs_up_at_once(caller, simulator, books, run):
    """Though its consumer still holds it, and whatever LiteLLM's own streams do about `close`."""
    simulator.script(HELD)

    async def main():
        stream = await caller.astream()
        await aclose(stream)
        await asyncio.to_thread(simulator.wait_until_idle)
        return stream

    with traced_llm("work"):
        if caller.is_async:
            _held = run(main())
        else:
            stream = caller.stream()
            close(stream)
            simulator.wait_until_idle()

    assert abandoned(caller) == books.only


@asked_by(entrances=(ROUTER,), is_stream=True)
def test_a_stream_that_is_never_begun(caller, simulator, books, run):
    """Nothing was sent, so there is nothing to tell; it stays closed."""

    async def main():
        async with await caller.astream() as stream:
            pass
        return [chunk async for chunk in stream]

    with traced_llm("work"):
        if caller.is_async:
            chunks = run(main())
        else:
            with caller.stream() as stream:
                pass
            chunks = list(stream)
            with pytest.raises(LLMOtelError, match="no response yet"):
                _ = stream.response

    assert [] == chunks
    assert () == simulator.requests
    assert [] == books.calls


@asked_by(providers=("openai",), entrances=(PLAIN,), is_stream=True)
def test_a_plain_stream_that_is_never_read(caller, simulator, books, run):
    """LiteLLM had sent the request: its input is billed."""
    simulator.script(HELD)

    async def main():
        await (await caller.astream()).aclose()

    with traced_llm("work"):
        if caller.is_async:
            run(main())
        else:
            caller.stream().close()

    assert billed("abandoned", None, (9, 0), caller.model.cost(9, 0)) == books.only


@asked_by(entrances=(ROUTER,), is_stream=True, is_async=False)
def test_the_response_of_a_stream_that_was_closed(caller, simulator, books):
    """It holds what came by then, and what that cost."""
    simulator.script(HELD)
    with caller.stream() as stream:
        text = to_first_text(stream)

    assert (text, None) == (stream.response.content, stream.response.finish_reason)
    assert (9, 3, True) == (
        stream.response.usage.input_tokens,
        stream.response.usage.output_tokens,
        stream.response.usage.estimated,
    )


@asked_by(entrances=(ROUTER,), is_stream=True, is_async=False)
def test_a_consumer_that_leaves_after_the_last_word(caller, simulator, books):
    """The model had said that it was done: the answer is whole, though the usage was not waited for."""
    simulator.script(Reply(LONG, input_tokens=18, output_tokens=16))
    with caller.stream() as stream:
        for chunk in stream:
            if chunk.finish_reason:
                break

    assert "success" == books.only.outcome
    assert books.only.input_tokens in (9, 18)


@asked_by(providers=("openai",), is_stream=True, is_async=False)
def test_a_stream_closed_by_another_thread(caller, simulator, books):
    """The call ends there and then, once; the reader goes on until its provider lets go."""
    held = Hang(after_chunks=2, reply=Reply(LONG))
    simulator.script(held)
    read = []
    with traced_llm("work"):
        stream = caller.stream()
        read.append(to_first_text(stream))
        reader = threading.Thread(target=lambda: read.extend(map(text_of, stream)))
        reader.start()
        stream.close()

        assert 1 == len(books.calls)
        held.release()
        reader.join()

    assert "abandoned" == books.only.outcome
    assert read[0] == BEGINNING


@asked_by(providers=("openai",), entrances=(ROUTER,), is_stream=True)
def test_a_stream_closed_while_it_is_opened(caller, simulator, books, run):
    """By another thread or task: its reader gets nothing of the answer that comes after."""
    held = Hang(after_chunks=0, reply=Reply(LONG))
    simulator.script(held)

    async def main():
        stream = await caller.astream()
        reader = asyncio.ensure_future(anext(stream, None))
        await asyncio.to_thread(simulator.wait_for_requests)
        await stream.aclose()
        held.release()
        return [await reader]

    if caller.is_async:
        read = run(main())
    else:
        read, stream = [], caller.stream()
        reader = threading.Thread(target=lambda: read.append(next(stream, None)))
        reader.start()
        simulator.wait_for_requests()
        stream.close()
        held.release()
        reader.join()

    assert [None] == read
    assert "abandoned" == books.only.outcome


@asked_by(providers=("openai",), is_stream=True, is_async=False)
def test_a_stream_dropped_in_another_context(caller, simulator, books):
    """The call belongs to the scope in which it was made, wherever the garbage collector runs."""
    simulator.script(HELD)
    with traced_llm("work") as scope:
        streams = [caller.stream()]
        to_first_text(streams[0])
        dropping = threading.Thread(target=streams.clear)
        dropping.start()
        dropping.join()
        collect()

    assert 1 == scope.calls
    assert abandoned(caller) == books.only


@asked_by(providers=("openai",), is_stream=True, is_async=False)
def test_a_stream_that_ends_after_its_scope(caller, simulator, books, spans):
    """Its span stays the child of the scope's, though the totals of that were told before."""
    simulator.script(Reply(LONG, input_tokens=18, output_tokens=16))
    with traced_llm("work") as scope:
        stream = caller.stream()
        first = next(stream)
    text = "".join(map(text_of, [first, *stream]))

    assert LONG == text
    assert 1 == scope.calls
    assert spans.named("invoke_workflow work").context.span_id == books.call.parent.span_id
    assert success(18, 16, caller.model.cost(18, 16)) == books.only
    spans.ended.remove(spans.named("invoke_workflow work"))  # its totals are those of its end: 0 calls


@asked_by(providers=("openai",), entrances=(ROUTER,), is_stream=True, is_async=True)
def test_a_loop_that_ends_over_an_open_stream(caller, simulator, books):
    """`asyncio.run` returns while the stream is still held: it ends with its last reference, without a loop."""
    simulator.script(HELD)

    async def main():
        stream = await caller.astream()
        await ato_first_text(stream)
        return stream

    with traced_llm("work"):
        held = asyncio.run(main())
        del held
        collect()

    assert abandoned(caller) == books.only
