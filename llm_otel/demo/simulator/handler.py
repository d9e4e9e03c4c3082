"""From a request to an answer on the connection: what was asked, what the script wants, what is charged."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import blake2b
from http import HTTPStatus

from llm_otel.clock import Clock
from llm_otel.demo.simulator.bill import Ledger
from llm_otel.demo.simulator.chat import ChatRequest, Json
from llm_otel.demo.simulator.compose import Draft, Stamp, compose, scripts_cache
from llm_otel.demo.simulator.connection import Peer
from llm_otel.demo.simulator.conversations import Conversations
from llm_otel.demo.simulator.delivery import Delivery, pause, send_whole
from llm_otel.demo.simulator.http1 import HttpRequest
from llm_otel.demo.simulator.journal import Journal, RecordedRequest
from llm_otel.demo.simulator.prompt_cache import CacheUse, PromptCache
from llm_otel.demo.simulator.script import (
    Behaviour,
    Break,
    Fail,
    Hang,
    Pace,
    Raw,
    Reply,
    Reset,
    Script,
    StreamError,
)
from llm_otel.demo.simulator.wires import Wire, ollama, wire_for
from llm_otel.demo.simulator.wires.fields import InvalidRequestError
from llm_otel.demo.simulator.wires.spelling import Failure, Refusal

_GATEWAY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a simulator was made with."""

    seed: int
    pace: Pace
    chunk_tokens: int
    api_key: str | None
    ollama_models: tuple[str, ...]
    clock: Clock

    def now_s(self) -> float:
        """Return Unix time in seconds."""
        return self.clock.now_ns() / 1e9


@dataclass(slots=True)
class State:
    """What a simulator knows; everything in it may be used from any thread."""

    requests: Journal
    lookups: Journal
    script: Script = field(default_factory=Script)
    ledger: Ledger = field(default_factory=Ledger)
    crashes: list[Exception] = field(default_factory=list)
    """What went wrong in here, or in a predicate."""
    cache: PromptCache = field(default_factory=PromptCache)
    """Used on the simulator's thread alone; other threads only put a new one in its place."""
    conversations: Conversations = field(default_factory=Conversations)
    """Likewise."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request for an answer, read as far as it could be."""

    wire: Wire
    body: Json
    chat: ChatRequest | None
    problem: str = ""
    """Why there is no `chat`."""


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One such request and the way back to its client."""

    asked: _Asked
    recorded: RecordedRequest
    peer: Peer
    id: str


class Handler:
    """Answers requests. Runs on the simulator's event loop."""

    def __init__(self, settings: Settings, state: State) -> None:
        self._settings = settings
        self._state = state

    async def __call__(self, http: HttpRequest, peer: Peer) -> None:
        """Answer one request; an exception of our own is remembered and passed on."""
        wire = wire_for(http.path) if http.method == "POST" else None
        asked = _read(wire, http) if wire else None
        journal = self._state.requests if asked else self._state.lookups
        recorded = journal.begin(lambda index: self._record(index, http, asked))
        try:
            if asked:
                await self._chat(_Exchange(asked, recorded, peer, self._id(recorded)))
            else:
                await self._look_up(http, peer)
        except Exception as exc:
            self._state.crashes.append(exc)
            raise
        finally:
            journal.end()

    def _record(self, index: int, http: HttpRequest, asked: _Asked | None) -> RecordedRequest:
        chat = asked.chat if asked else None
        return RecordedRequest(
            index=index,
            provider=asked.wire.PROVIDER if asked else None,
            model=chat.model if chat else "",
            prompt=chat.prompt if chat else "",
            stream=chat.stream if chat else False,
            method=http.method,
            path=http.path,
            query=http.query,
            headers=http.headers,
            body=asked.body if asked else _json_object(http.body) or {},
            arrived_s=self._settings.clock.monotonic(),
        )

    def _id(self, recorded: RecordedRequest) -> str:
        return blake2b(f"{self._settings.seed}:{recorded.index}".encode(), digest_size=12).hexdigest()

    async def _look_up(self, http: HttpRequest, peer: Peer) -> None:
        found = ollama.look_up(http.path, self._settings.ollama_models)
        missing = {"error": {"message": f"Unknown request URL: {http.method} {http.path}", "type": "not_found"}}
        await _send_json(peer, 404 if found is None else 200, missing if found is None else found)

    async def _chat(self, exchange: _Exchange) -> None:
        asked = exchange.asked
        refusal = self._refusal(exchange)
        if refusal is not None:
            await self._fail(exchange, Fail(refusal.status, message=refusal.message, code=refusal.code))
        elif asked.chat is None:
            await self._fail(exchange, Fail(400, message=asked.problem))
        elif missing := self._state.conversations.missing(asked.chat):
            message = f"Previous response with id 'resp_{missing}' not found."
            await self._fail(exchange, Fail(400, message=message, code="previous_response_not_found"))
        else:
            await self._behave(exchange, asked.chat, self._state.script.take(exchange.recorded))

    def _refusal(self, exchange: _Exchange) -> Refusal | None:
        wire, recorded = exchange.asked.wire, exchange.recorded
        key = wire.key_of(recorded.headers, recorded.query)
        wanted = self._settings.api_key
        return None if wanted is None or key == wanted else wire.refuse_key(key)

    async def _behave(self, exchange: _Exchange, chat: ChatRequest, behaviour: Behaviour) -> None:
        match behaviour:
            case Reset():
                exchange.peer.reset()
            case Raw(body=body, status=status, content_type=kind, headers=headers):
                typed = {"content-type": kind} if kind else {}
                await send_whole(exchange.peer, status, {**typed, **headers}, body)
            case Fail():
                await self._fail(exchange, behaviour)
            case StreamError(status=status, message=message, code=code) if not chat.stream:
                await self._fail(exchange, Fail(status, message=message, code=code))
            case Reply():
                await self._deliver(exchange, chat, behaviour).send(None)
            case Break() | StreamError() | Hang():
                await self._deliver(exchange, chat, behaviour.reply).send(behaviour)

    def _deliver(self, exchange: _Exchange, chat: ChatRequest, reply: Reply) -> Delivery:
        settings = self._settings
        chat = self._state.conversations.resumed(chat)
        cache = CacheUse() if scripts_cache(reply) else self._state.cache.use(chat)
        stamp = Stamp(exchange.id, int(settings.now_s()))
        answer = compose(Draft(chat, reply, settings.seed), cache, stamp=stamp, size=settings.chunk_tokens)
        self._state.conversations.remember(answer)
        return Delivery(
            peer=exchange.peer,
            wire=exchange.asked.wire,
            answer=answer,
            reply=reply,
            clock=settings.clock,
            waits=(reply.pace or settings.pace).waits(self._pacing(exchange)),
            charge=lambda: self._state.ledger.meter(chat.provider, chat.model, answer.counts),
        )

    async def _fail(self, exchange: _Exchange, fail: Fail) -> None:
        await pause(self._settings.clock, next((fail.pace or Pace()).waits(self._pacing(exchange))))
        headers = {"x-request-id": f"req_{exchange.id}", **self._retry_after(fail), **fail.headers}
        if fail.status == HTTPStatus.BAD_GATEWAY and fail.message is None:
            # A bad gateway is told by the gateway, which knows nothing of the provider's format.
            await send_whole(exchange.peer, fail.status, {"content-type": "text/html", **headers}, _GATEWAY_PAGE)
            return
        failure = Failure(fail.status, exchange.id, fail.message, fail.code, fail.retry_after_s)
        await _send_json(exchange.peer, fail.status, exchange.asked.wire.error(failure), headers)

    def _retry_after(self, fail: Fail) -> dict[str, str]:
        if fail.retry_after_s is None:
            return {}
        match fail.retry_after_as:
            case "seconds":
                return {"retry-after": f"{fail.retry_after_s:g}"}
            case "milliseconds":
                return {"retry-after-ms": f"{fail.retry_after_s * 1000:g}"}
            case "date":
                return {"retry-after": formatdate(self._settings.now_s() + fail.retry_after_s, usegmt=True)}

    def _pacing(self, exchange: _Exchange) -> random.Random:
        return random.Random(f"{self._settings.seed}:pace:{exchange.id}")


def _read(wire: Wire, http: HttpRequest) -> _Asked:
    body = _json_object(http.body)
    if body is None:
        return _Asked(wire, {}, None, "We could not parse the JSON body of your request: expected an object.")
    try:
        return _Asked(wire, body, wire.parse(http.path, body))
    except InvalidRequestError as exc:
        return _Asked(wire, body, None, str(exc))


def _json_object(data: bytes) -> Json | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


async def _send_json(peer: Peer, status: int, body: Json, headers: Mapping[str, str] | None = None) -> None:
    await send_whole(peer, status, {"content-type": "application/json", **(headers or {})}, json.dumps(body).encode())
