"""Connections are given back when a stream ends, by us: LiteLLM leaves some of them to the garbage collector.

Where that runs while httpcore holds the lock of its pool, and frees a response that takes the lock too, the thread
waits for itself for ever.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import httpcore
import pytest

from llm_otel import traced_llm
from llm_otel.demo.simulator import Reply, StreamError
from tests.wire.callers import PLAIN, ROUTER, asked_by

REPLY = Reply("Hello there, how can I help you today?", input_tokens=18, output_tokens=9)


@dataclass
class Answers:
    """The answers that came over HTTP, and who got them: httpcore for sync calls, aiohttp for async ones."""

    sync: list[Any] = field(default_factory=list)
    asynchronous: list[Any] = field(default_factory=list)
    clients: list[Any] = field(default_factory=list)

    @property
    def are_released(self) -> list[bool]:
        """Whether each one's connection was closed, or is free for the next request."""
        return [each._closed for each in self.sync] + [each.closed for each in self.asynchronous]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """The answers of this test, without a garbage collector that would close them."""
    answers = Answers()
    handle, request = httpcore.ConnectionPool.handle_request, aiohttp.ClientSession._request

    def noted(pool: Any, sent: Any) -> Any:
        response = handle(pool, sent)
        answers.sync.append(response.stream)
        answers.clients.append(pool)
        return response

    async def anoted(session: Any, *args: Any, **kwargs: Any) -> Any:
        response = await request(session, *args, **kwargs)
        answers.asynchronous.append(response)
        answers.clients.append(session)
        return response

    monkeypatch.setattr(httpcore.ConnectionPool, "handle_request", noted)
    monkeypatch.setattr(aiohttp.ClientSession, "_request", anoted)
    gc.disable()
    yield answers
    gc.enable()


@asked_by(is_stream=True)
def test_a_stream_that_was_read_to_its_end(caller, simulator, answers, books):
    """Its connection is given back, though the caller still holds the stream."""
    simulator.script(REPLY)

    got = caller.ask()

    assert got.error is None
    assert [True] == answers.are_released


@asked_by(is_stream=True)
@pytest.mark.parametrize("after_chunks", [0, 1])
def test_a_stream_that_broke(caller, after_chunks, simulator, answers, books):
    """As after an error, with the first chunk or later."""
    simulator.script(StreamError(after_chunks, reply=REPLY))

    got = caller.ask()

    assert got.error is not None
    assert [True] == answers.are_released


@asked_by(entrances=(PLAIN,), is_stream=True)
def test_a_stream_that_is_over_stays_over(caller, simulator, books, run):
    """Asking once more yields nothing, and sends nothing: LiteLLM's Gemini streams would begin anew."""
    simulator.script(REPLY)

    async def main():
        stream = await caller.astream()
        chunks = [chunk async for chunk in stream]
        return chunks, [chunk async for chunk in stream]

    with traced_llm("work"):
        if caller.is_async:
            read, more = run(main())
        else:
            stream = caller.stream()
            read, more = list(stream), list(stream)

    assert read
    assert [] == more
    assert 1 == len(simulator.requests)


@asked_by(entrances=(ROUTER,), is_stream=False)
def test_requests_share_a_client(caller, simulator, answers, books):
    """What is left of a deadline is never twice the same, and LiteLLM has a client for each time-out that it is told.

    A client of its own would be a new connection, with its TLS handshake, for every single call.
    """
    simulator.script(REPLY, REPLY, REPLY)

    for _ in range(3):
        assert caller.ask(timeout_s=20).error is None

    assert 3 == len(answers.clients)
    assert 1 == len({id(client) for client in answers.clients})
