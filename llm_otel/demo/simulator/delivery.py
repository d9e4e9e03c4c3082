"""One good answer on its way to the client: paced, charged for, and interrupted where a script says so."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from llm_otel.clock import Clock
from llm_otel.demo.simulator import http1
from llm_otel.demo.simulator.bill import Meter
from llm_otel.demo.simulator.chat import Answer
from llm_otel.demo.simulator.connection import Peer
from llm_otel.demo.simulator.script import Break, Hang, Reply, StreamError
from llm_otel.demo.simulator.wires import Wire
from llm_otel.demo.simulator.wires.spelling import Event, Failure, StreamPlace

Interruption = Break | StreamError | Hang


async def pause(clock: Clock, seconds: float) -> None:
    """Wait by a clock; not at all where there is nothing to wait for."""
    if seconds > 0:
        await clock.asleep(seconds)


async def send_whole(peer: Peer, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Send an answer whose length is known."""
    await peer.send(http1.head(status, {**headers, "content-length": str(len(body))}) + body)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Everything needed to send one answer."""

    peer: Peer
    wire: Wire
    answer: Answer
    reply: Reply
    clock: Clock
    waits: Iterator[float]
    """Seconds: before the headers, before the first chunk, before each chunk more."""
    charge: Callable[[], Meter]
    """Begins to charge; called when the answer begins, and not if it never does."""

    async def send(self, interruption: Interruption | None) -> None:
        """Send the answer as the request asked for it, streamed or whole."""
        if isinstance(interruption, Hang) and interruption.after_chunks is None:
            await interruption.gate.passed()
            interruption = None
        await pause(self.clock, next(self.waits))
        if self.answer.request.stream:
            await self._send_events(list(self.wire.events(self.answer)), interruption)
        else:
            await self._send_body(interruption)

    async def _send_body(self, interruption: Interruption | None) -> None:
        await pause(self.clock, sum(next(self.waits) for _ in self.answer.steps))
        self.charge().reach(self.answer.counts.output_tokens)
        body = json.dumps(self.wire.render(self.answer)).encode()
        headers = self._headers("application/json")
        match interruption:
            case Hang():
                await self.peer.send(http1.head(200, {**headers, "content-length": str(len(body))}))
                await interruption.gate.passed()
                await self.peer.send(body)
            case Break():
                await self._send_half(headers, body, interruption)
            case _:
                await send_whole(self.peer, 200, headers, body)

    async def _send_half(self, headers: Mapping[str, str], body: bytes, where: Break) -> None:
        half = body[: len(body) // 2] if where.after_chunks else b""
        announced = half if where.how == "end" else body
        await self.peer.send(http1.head(200, {**headers, "content-length": str(len(announced))}) + half)
        self._leave(where)

    async def _send_events(self, events: list[Event], interruption: Interruption | None) -> None:
        meter = self.charge()
        await self.peer.send(http1.head(200, {**self._headers(self.wire.STREAM_TYPE), "transfer-encoding": "chunked"}))
        due = _due(events, interruption)
        sent = 0
        for number, event in enumerate(events):
            if interruption is not None and sent == due:
                if not await self._goes_on(interruption, event, number):
                    return
                interruption = None
            if event.is_content:
                await pause(self.clock, next(self.waits))
            meter.reach(event.output_tokens)
            await self.peer.send(http1.chunk(event.data))
            sent += event.is_content
        await self.peer.send(http1.LAST_CHUNK)

    async def _goes_on(self, interruption: Interruption, event: Event, number: int) -> bool:
        """Interrupt the stream before its event of this number, and tell whether it goes on from there."""
        match interruption:
            case Hang():
                await interruption.gate.passed()
                return True
            case StreamError(status=status, message=message, code=code, how=how):
                failure = Failure(status, self.answer.id, message, code)
                error = self.wire.stream_error(failure, StreamPlace(self.answer, number, how))
                await self.peer.send(http1.chunk(error) + http1.LAST_CHUNK)
            case Break():
                await self._break_off(interruption, event)
        return False

    async def _break_off(self, where: Break, event: Event) -> None:
        match where.where:
            case "inside_event":
                await self.peer.send(http1.chunk(event.data[: len(event.data) // 2]))
            case "inside_chunk":
                await self.peer.send(http1.half_chunk(event.data))
            case "between_events":
                pass
        if where.how == "end":
            await self.peer.send(http1.LAST_CHUNK)
        self._leave(where)

    def _leave(self, where: Break) -> None:
        match where.how:
            case "close":
                self.peer.close()
            case "reset":
                self.peer.reset()
            case "end":
                pass

    def _headers(self, content_type: str) -> dict[str, str]:
        kind = self.reply.content_type or content_type
        return {"content-type": kind, **self.wire.headers(self.answer), **self.reply.headers}


def _due(events: list[Event], interruption: Interruption | None) -> int:
    """Return after how many chunks of content a stream is interrupted; after the last one at the latest."""
    wanted = interruption.after_chunks if interruption is not None else None
    return min(wanted or 0, sum(event.is_content for event in events))
