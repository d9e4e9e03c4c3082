"""Reading a request body that anyone may have sent: the right type, or an error that names the field."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeGuard

from llm_otel.demo.simulator.chat import Json, Segment, Tool


class InvalidRequestError(Exception):
    """A request the provider would refuse with status 400."""


def text(body: Mapping[str, Any], name: str) -> str:
    """Return a required, non-empty string."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequestError(f"{name}: expected a non-empty string")
    return value


def records(body: Mapping[str, Any], name: str, *, required: bool = False) -> list[Json]:
    """Return an array of objects; an empty one where an optional field is absent or null."""
    value = body.get(name)
    if value is None and not required:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InvalidRequestError(f"{name}: expected an array of objects")
    if required and not value:
        raise InvalidRequestError(f"{name}: expected at least one item")
    return value


def inputs(body: Mapping[str, Any], name: str) -> list[Segment]:
    """Return what OpenAI takes as one text or several: a string, token ids, or a list of either."""
    value = body.get(name)
    items = value if isinstance(value, list) and not _is_token_ids(value) else [value]
    found = [_input(item) for item in items]
    segments = [segment for segment in found if segment is not None]
    if not segments or len(segments) < len(found):
        raise InvalidRequestError(f"{name}: expected a non-empty string, an array of them or arrays of token ids")
    return segments


def _input(value: object) -> Segment | None:
    if isinstance(value, str) and value:
        return Segment(value)
    return Segment(filler=f"ids:{_digest(value)}", filler_tokens=len(value)) if _is_token_ids(value) else None


def _is_token_ids(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and bool(value) and all(type(item) is int for item in value)


def record(body: Mapping[str, Any], name: str) -> Json:
    """Return an object; an empty one where the field is absent, null or something else."""
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def string(body: Mapping[str, Any], name: str) -> str | None:
    """Return a string, or None where the field is absent, null or something else."""
    value = body.get(name)
    return value if isinstance(value, str) else None


def positive(body: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number of 1 or more, or None where the field is absent or null."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidRequestError(f"{name}: expected an integer of at least 1, got {json.dumps(value)}")
    return value


def named_tools(items: list[Json], schema: str) -> tuple[Tool, ...]:
    """Return the tools of an array in which each item has a name and, under `schema`, its parameters."""
    return tuple(Tool(name, record(item, schema)) for item in items if (name := string(item, "name")))


def compact(value: object) -> str:
    """Return a value as compact JSON, which is what tool definitions and calls count as."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


IMAGE_TOKENS = 85
"""Tokens of any image: OpenAI's flat price of a low-detail one (vision guide, 2025)."""

_BASE64_PER_AUDIO_TOKEN = 1_600


def image(source: object) -> Segment:
    """Return an image as a stretch of the prompt."""
    return Segment(filler=f"image:{_digest(source)}", filler_tokens=IMAGE_TOKENS)


def audio(payload: str) -> Segment:
    """Return a recording as a stretch of the prompt: a token for about a kilobyte of it."""
    length = max(1, len(payload) // _BASE64_PER_AUDIO_TOKEN)
    return Segment(filler=f"audio:{_digest(payload)}", filler_tokens=length, is_audio=True)


def _digest(source: object) -> str:
    return hashlib.blake2b(compact(source).encode(), digest_size=8).hexdigest()
