"""One client's connection: requests in, answers out, and word of its leaving."""

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

from llm_otel.demo.simulator import http1
from llm_otel.demo.simulator.http1 import HttpRequest, HttpSyntaxError, RequestReader

_log = logging.getLogger(__name__)


class Peer(Protocol):
    """What an answer is sent through."""

    async def send(self, data: bytes) -> None:
        """Send bytes; waits while the client does not read."""

    def close(self) -> None:
        """Close the connection once what was sent has gone out."""

    def reset(self) -> None:
        """Drop the connection with an RST, without sending what is left."""


Respond = Callable[[HttpRequest, Peer], Awaitable[None]]


class Connection(asyncio.Protocol):
    """Serves the requests of one connection one after another. Lives on the event loop's thread.

    An answer runs as a task, which is cancelled as soon as the client leaves: no answer outlives its reader.
    """

    def __init__(self, respond: Respond, connections: set["Connection"]) -> None:
        self._respond = respond
        self._connections = connections
        self._reader = RequestReader()
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection."""
        self._transport = cast("asyncio.Transport", transport)
        # asyncio does so by itself only where the listening socket names its protocol, which `create_server` leaves
        # out; without it every stream stalls for the 40 ms of a delayed acknowledgement.
        self._socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and start to answer if they complete a request."""
        self._reader.feed(data)
        if self._answering is None:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up the answer: there is nobody to read it."""
        self._transport = None
        self._connections.discard(self)
        self._writable.set()
        if self._answering is not None:
            self._answering.cancel()

    def pause_writing(self) -> None:
        """Stop sending: the client does not keep up."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Send again."""
        self._writable.set()

    async def send(self, data: bytes) -> None:
        """Send bytes; waits while the client does not read."""
        if self._transport is not None:
            self._transport.write(data)
        # Also lets the loop notice a client that has left, and serve the others.
        await asyncio.sleep(0)
        await self._writable.wait()

    def close(self) -> None:
        """Close the connection once what was sent has gone out."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Drop the connection with an RST, without sending what is left."""
        if self._transport is not None:
            self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    @property
    def is_answering(self) -> bool:
        """Whether an answer is under way."""
        return self._answering is not None

    def abort(self) -> None:
        """Drop the connection and cancel its answer."""
        if self._transport is not None:
            self._transport.abort()
        if self._answering is not None:
            self._answering.cancel()

    def _socket(self) -> socket.socket:
        assert self._transport is not None
        return cast("socket.socket", self._transport.get_extra_info("socket"))

    def _next(self) -> None:
        """Start to answer the next request, if one is whole."""
        if self._transport is None or self._transport.is_closing():
            return
        try:
            if self._reader.expects_continue():
                self._transport.write(http1.CONTINUE)
            request = self._reader.next()
        except HttpSyntaxError as exc:
            body = str(exc).encode()
            headers = {"content-type": "text/plain", "content-length": str(len(body)), "connection": "close"}
            self._transport.write(http1.head(400, headers) + body)
            self._transport.close()
            return
        if request is not None:
            self._answering = asyncio.get_running_loop().create_task(self._answer(request))

    async def _answer(self, request: HttpRequest) -> None:
        try:
            await self._respond(request, self)
            if not request.keeps_alive:
                self.close()
        # Whatever went wrong, here or in a predicate, must reach the log and not leave the client waiting.
        except Exception:  # noqa: BLE001
            _log.exception("llm_otel.simulator.answer_failed")
            self.reset()
        finally:
            self._answering = None
        self._next()
