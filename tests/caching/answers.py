"""Entries for tests, and what a cache is given."""

from __future__ import annotations

import json

from llm_otel.caching.entry import Entry
from llm_otel.usage import Usage
from tests.stores.lines import START_MS


def response(text: str = "Hello!") -> str:
    """Return the JSON of a response."""
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    return json.dumps({"id": "r1", "model": "gpt-4o-mini", "choices": choices}, separators=(",", ":"))


def entry(text: str = "Hello!", *, created_at_ms: int = START_MS, cost_nano: int | None = 1200) -> Entry:
    """Return an entry that says `text`."""
    return Entry(
        response=response(text),
        usage=Usage(input_tokens=10, output_tokens=5, cache_read_tokens=3),
        cost_nano=cost_nano,
        provider="openai",
        model="gpt-4o-mini",
        response_model="gpt-4o-mini-2024-07-18",
        finish_reasons=("stop",),
        created_at_ms=created_at_ms,
    )
