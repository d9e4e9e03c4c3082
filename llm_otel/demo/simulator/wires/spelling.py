"""What the wire formats share in spelling an answer: events, frames and how usage is reported."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from llm_otel.demo.simulator.chat import Answer, Json, UsageShape


@dataclass(frozen=True, slots=True)
class Event:
    """One framed event of a stream."""

    data: bytes
    output_tokens: int
    """Tokens that have been generated once this event is sent."""
    is_content: bool = False
    """Whether it carries a piece of the answer; `after_chunks` counts these alone."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What an error body is made of."""

    status: int
    request_id: str
    message: str | None = None
    code: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class StreamPlace:
    """Where in a stream an error comes, and in which of the forms that some formats have for it."""

    answer: Answer
    number: int
    """How many events were sent before it."""
    how: Literal["error", "failed"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a provider refuses a missing or wrong key."""

    status: int
    message: str
    code: str


def sse(body: Json, *, event: str | None = None, end: str = "\n") -> bytes:
    """Frame an object as a server-sent event."""
    name = f"event: {event}{end}" if event else ""
    return f"{name}data: {json.dumps(body)}{end}{end}".encode()


def ndjson(body: Json) -> bytes:
    """Frame an object as a line of JSON."""
    return json.dumps(body).encode() + b"\n"


def reported(name: str, counted: Json, shape: UsageShape) -> Json:
    """Return the usage under its name, in the shape a script asked for; nothing where it is to be omitted."""
    if shape == "omitted":
        return {}
    if shape == "null":
        return {name: None}
    return {name: {**counted, **shape} if isinstance(shape, Mapping) else counted}


def reported_flat(counted: Json, shape: UsageShape) -> Json:
    """Return usage that lies among the other fields, in the shape a script asked for."""
    if shape == "omitted":
        return {}
    if shape == "null":
        return dict.fromkeys(counted)
    return {**counted, **shape} if isinstance(shape, Mapping) else counted


def bearer(headers: Mapping[str, str]) -> str | None:
    """Return the key of an `Authorization: Bearer` header."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None
