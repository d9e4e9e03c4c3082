"""The thread that serves: one event loop, any number of connections, an end that leaves nothing behind."""

import asyncio
import socket
from threading import Lock, Thread

from llm_otel.demo.simulator.connection import Connection, Respond

LOOPBACK = "127.0.0.1"

_BACKLOG = 2048


class Server:
    """Listens on a socket and serves it on a thread of its own, from construction until `close()`."""

    def __init__(self, respond: Respond, port: int) -> None:
        # Bound here, not on the thread: the port is known and a clash is raised where the caller can see it.
        self._socket = socket.create_server((LOOPBACK, port), backlog=_BACKLOG)
        self._port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._closing = Lock()
        self._connections: set[Connection] = set()
        self._thread = Thread(target=self._run, args=(respond,), name="llm-otel-simulator", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    def close(self) -> None:
        """Drop every connection, end every answer and join the thread; closing twice changes nothing."""
        with self._closing:
            if self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._stop.set)
                self._thread.join()

    def hang_up(self) -> None:
        """Drop every connection on which an answer is under way; idle ones stay."""
        with self._closing:
            if self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._drop_busy)

    def _drop_busy(self) -> None:
        for connection in tuple(self._connections):
            if connection.is_answering:
                connection.abort()

    def _run(self, respond: Respond) -> None:
        try:
            self._loop.run_until_complete(self._serve(respond))
        finally:
            self._loop.close()
            self._socket.close()

    async def _serve(self, respond: Respond) -> None:
        server = await self._loop.create_server(lambda: Connection(respond, self._connections), sock=self._socket)
        await self._stop.wait()
        server.close()
        await _drop(self._connections)


async def _drop(connections: set[Connection]) -> None:
    """End every connection and answer, those included that are just being accepted."""
    this = asyncio.current_task()
    while connections or asyncio.all_tasks() != {this}:
        for connection in tuple(connections):
            connection.abort()
        for task in asyncio.all_tasks() - {this}:
            task.cancel()
        # Gives transports the turn in which they report their end, which takes them out of the set.
        await asyncio.sleep(0)
