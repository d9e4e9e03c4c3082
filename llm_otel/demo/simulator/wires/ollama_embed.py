"""Ollama's `/api/embed`.

Source: Ollama's `docs/api.md`, 2025-11.
"""

from typing import Final

from llm_otel.demo.simulator.chat import Answer, ChatRequest, Json
from llm_otel.demo.simulator.wires import fields, ollama, vectors
from llm_otel.demo.simulator.wires.spelling import reported_flat

PROVIDER: Final = ollama.PROVIDER
STREAM_TYPE: Final = ollama.STREAM_TYPE

key_of = ollama.key_of
refuse_key = ollama.refuse_key
headers = ollama.headers
error = ollama.error
stream_error = ollama.stream_error
events = vectors.no_events


def matches(path: str) -> bool:
    """Tell whether a path belongs to this format."""
    return path.endswith("/api/embed")


def parse(path: str, body: Json) -> ChatRequest:
    """Read a request.

    Raises:
        InvalidRequestError: A required field is missing, or one has the wrong type.
    """
    return ChatRequest(
        provider=PROVIDER,
        model=fields.text(body, "model"),
        segments=tuple(fields.inputs(body, "input")),
        choices=0,
        vectors=vectors.wanted(fields.positive(body, "dimensions")),
    )


def render(answer: Answer) -> Json:
    """Spell an answer."""
    return {
        "model": answer.model,
        "embeddings": vectors.of(answer),
        "total_duration": 1_000_000,
        "load_duration": 100_000,
        **reported_flat({"prompt_eval_count": answer.counts.input_tokens}, answer.usage),
    }
