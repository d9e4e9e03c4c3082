"""What a request gets: the behaviours a test or a demo can script, and the list they are taken from.

simulator.script(Reply("Hello"), Fail(429, retry_after_s=1), Hang())            # the next three requests
simulator.script(Break(after_chunks=2), when=lambda request: request.stream)    # the next streamed one
simulator.script(Fail(503), when=lambda request: request.model == "gpt-4o", repeat=True)
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from threading import Lock
from typing import Literal

from llm_otel.demo.simulator.chat import Finish, ToolCall, UsageShape
from llm_otel.demo.simulator.gate import Gate
from llm_otel.demo.simulator.journal import RecordedRequest


@dataclass(frozen=True, slots=True)
class Pace:
    """How long an answer takes, in seconds; by default no time at all.

    With a `spread` every wait is drawn from a log-normal distribution around the given median, by a generator seeded
    with the simulator's seed and the number of the request.
    """

    headers_s: float = 0.0
    """Before the status line."""
    first_chunk_s: float = 0.0
    """Between the headers and the first chunk of content."""
    chunk_s: float = 0.0
    """Between two chunks of content. An answer that is not streamed takes the sum of all."""
    spread: float = 0.0
    """Sigma of the logarithm: 0 is exact, 0.5 makes one wait in six longer than 1.6 times the median."""

    def __post_init__(self) -> None:
        """Refuse a time that runs backwards."""
        _refuse_negative(self, "headers_s", "first_chunk_s", "chunk_s", "spread")

    def waits(self, rng: random.Random) -> Iterator[float]:
        """Yield the wait before the headers, the one before the first chunk, then one for each chunk more."""
        yield self._drawn(self.headers_s, rng)
        yield self._drawn(self.first_chunk_s, rng)
        while True:
            yield self._drawn(self.chunk_s, rng)

    def _drawn(self, median_s: float, rng: random.Random) -> float:
        return median_s * rng.lognormvariate(0.0, self.spread) if median_s and self.spread else median_s


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer. What is left out follows from the request: text, tool calls, counts, service tier.

    Scripted counts are inclusive (`TokenCounts` says how) and are sent and billed as they stand, even beyond
    `max_tokens`; the text always keeps to `max_tokens`. Of text, reasoning, tools and output an embedding takes
    no notice.
    """

    text: str | tuple[str, ...] | None = None
    """The content; several for several choices. None: written from the seed and the prompt, and as long as
    `output_tokens` says where that is given."""
    _: KW_ONLY
    tool_calls: tuple[ToolCall | str, ...] = ()
    """Calls to ask for; a bare name takes arguments made up from the request's own schema."""
    thinking: str | None = None
    """The reasoning. None: written where the request asks for it or `reasoning_tokens` is given."""
    finish: Finish | None = None
    model: str | None = None
    """The model said to have answered. None: the requested one."""
    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    """Scripting any of the three puts the simulator's own prompt cache out of play for this answer."""
    audio_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_output_tokens: int | None = None
    service_tier: str | None = None
    usage: UsageShape = "counted"
    """How the usage is reported: `"counted"`, `"omitted"`, `"null"`, or wire fields put over the counted
    ones, such as `{"prompt_tokens": None}`. The bill goes by the counts all the same."""
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    pace: Pace | None = None
    """None: the simulator's own."""

    def __post_init__(self) -> None:
        """Refuse counts that contradict each other."""
        _refuse_negative(self, *(each.name for each in fields(self) if each.name.endswith("_tokens")))
        _refuse_more(self, ("cache_write_1h_tokens",), self.cache_write_tokens or 0, "cache_write_tokens")
        if self.input_tokens is not None:
            _refuse_more(self, ("cached_tokens", "cache_write_tokens"), self.input_tokens, "input_tokens")
            _refuse_more(self, ("audio_input_tokens",), self.input_tokens, "input_tokens")
        if self.output_tokens is not None:
            parts = ("reasoning_tokens", "audio_output_tokens")
            _refuse_more(self, parts, self.output_tokens, "output_tokens")


@dataclass(frozen=True, slots=True)
class Fail:
    """An error by status, with the body this provider sends for it."""

    status: int
    _: KW_ONLY
    retry_after_s: float | None = None
    retry_after_as: Literal["seconds", "date", "milliseconds"] = "seconds"
    """`Retry-After: 1`, `Retry-After: Wed, 21 Oct 2026 07:28:00 GMT` or `retry-after-ms: 1000`."""
    message: str | None = None
    code: str | None = None
    """The provider's word for the error (OpenAI's `code`, Anthropic's `type`, Gemini's `status`)."""
    headers: Mapping[str, str] = field(default_factory=dict)
    pace: Pace | None = None
    """Only its `headers_s` counts. None: at once."""

    def __post_init__(self) -> None:
        """Refuse what is no error."""
        if not 400 <= self.status <= 599:
            raise ValueError(f"status must be between 400 and 599, not {self.status!r}")
        _refuse_negative(self, "retry_after_s")


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer of any bytes, whatever was asked."""

    body: bytes
    _: KW_ONLY
    status: int = 200
    content_type: str | None = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


GARBAGE_JSON = Raw(b'{"id": "1", "choices": [{"message": {"content": "Hel')
"""Status 200 and half a JSON document."""

EMPTY_BODY = Raw(b"")
"""Status 200 and nothing."""

HTML_PAGE = Raw(b"<html><body><h1>It works!</h1></body></html>", content_type="text/html")
"""Status 200 and a page of some proxy."""


@dataclass(frozen=True, slots=True)
class Break:
    """An answer that breaks off.

    In a stream it does so after this many chunks of content, or after all of them where there are fewer; 0 is
    right after the headers. A plain answer ends in the middle of its body.
    """

    after_chunks: int = 1
    _: KW_ONLY
    where: Literal["between_events", "inside_event", "inside_chunk"] = "inside_event"
    """After a whole event; after a whole HTTP chunk with half an event; or amid an HTTP chunk."""
    how: Literal["close", "reset", "end"] = "close"
    """Close the connection, reset it (RST), or end the HTTP message as if nothing was missing."""
    reply: Reply = field(default_factory=Reply)

    def __post_init__(self) -> None:
        """Refuse what cannot be sent."""
        _refuse_negative(self, "after_chunks")
        if self.how == "end" and self.where == "inside_chunk":
            raise ValueError("a message cannot end well inside a chunk: use how='close' or where='inside_event'")


@dataclass(frozen=True, slots=True)
class StreamError:
    """An error event amid a stream, which then ends; a request for a plain answer gets the status instead."""

    after_chunks: int = 1
    _: KW_ONLY
    status: int = 500
    message: str | None = None
    code: str | None = None
    how: Literal["error", "failed"] = "error"
    """OpenAI's responses have two ways to say it: an `error` event, or `response.failed`."""
    reply: Reply = field(default_factory=Reply)

    def __post_init__(self) -> None:
        """Refuse a count below zero."""
        _refuse_negative(self, "after_chunks")


@dataclass(frozen=True, slots=True, eq=False)
class Hang:
    """An answer that stops until it is released, the client leaves or the simulator closes.

    `after_chunks` None stops before the status line, 0 after the headers, more amid a stream. Released, it
    goes on as if nothing had been; one that was released before it was reached does not stop at all.
    """

    after_chunks: int | None = None
    _: KW_ONLY
    reply: Reply = field(default_factory=Reply)
    gate: Gate = field(default_factory=Gate, repr=False)

    def __post_init__(self) -> None:
        """Refuse a count below zero."""
        _refuse_negative(self, "after_chunks")

    def release(self) -> None:
        """Let every request go on that hangs here, now or later; from any thread."""
        self.gate.open()


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset (RST) before a single byte of an answer."""


Behaviour = Reply | Fail | Raw | Break | StreamError | Hang | Reset

Predicate = Callable[[RecordedRequest], bool]


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    behaviour: Behaviour
    when: Predicate | None
    repeat: bool


class Script:
    """The behaviours that are still to come; safe for use by several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: list[_Entry] = []

    def add(self, *behaviours: Behaviour, when: Predicate | None = None, repeat: bool = False) -> None:
        """Append behaviours, each for one request, or with `repeat` for every request from then on."""
        with self._lock:
            self._entries += [_Entry(behaviour, when, repeat) for behaviour in behaviours]

    def take(self, request: RecordedRequest) -> Behaviour:
        """Return the first behaviour meant for this request and use it up; a plain reply where there is none.

        Called on the simulator's thread alone, one request after another.
        """
        with self._lock:
            entries = tuple(self._entries)
        # Predicates run without the lock: one that scripts more must not wait for itself.
        for entry in entries:
            if entry.when is None or entry.when(request):
                self._use_up(entry)
                return entry.behaviour
        return Reply()

    def _use_up(self, entry: _Entry) -> None:
        with self._lock:
            if not entry.repeat and entry in self._entries:
                self._entries.remove(entry)

    def pending(self) -> tuple[Behaviour, ...]:
        """Return what no request has taken yet, without what repeats."""
        with self._lock:
            return tuple(entry.behaviour for entry in self._entries if not entry.repeat)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()


def _refuse_negative(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        # The comparison is turned round so that NaN is refused too.
        if value is not None and not value >= 0:
            raise ValueError(f"{name} must be 0 or more, not {value!r}")


def _refuse_more(owner: object, parts: tuple[str, ...], limit: int, whole: str) -> None:
    amount = sum(getattr(owner, part) or 0 for part in parts)
    if amount > limit:
        raise ValueError(f"{' + '.join(parts)} is {amount}, more than {whole}, {limit}")
