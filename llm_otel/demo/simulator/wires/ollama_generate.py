"""Ollama's `/api/generate`: text in, text out, plain and as lines of JSON.

Source: Ollama's `docs/api.md`, 2025-11. LiteLLM takes it for the prefix `ollama/`, and the chat for `ollama_chat/`.
"""

from collections.abc import Iterator
from typing import Final

from llm_otel.demo.simulator.chat import Answer, ChatRequest, Json, Segment, Step
from llm_otel.demo.simulator.wires import fields, ollama
from llm_otel.demo.simulator.wires.spelling import Event, ndjson

PROVIDER: Final = ollama.PROVIDER
STREAM_TYPE: Final = ollama.STREAM_TYPE

key_of = ollama.key_of
refuse_key = ollama.refuse_key
headers = ollama.headers
error = ollama.error
stream_error = ollama.stream_error


def matches(path: str) -> bool:
    """Tell whether a path belongs to this format."""
    return path.endswith("/api/generate")


def parse(path: str, body: Json) -> ChatRequest:
    """Read a request.

    Raises:
        InvalidRequestError: A required field is missing, or one has the wrong type.
    """
    texts = [Segment(text) for name in ("system", "prompt") if (text := fields.string(body, name))]
    return ChatRequest(
        provider=PROVIDER,
        model=fields.text(body, "model"),
        segments=(*texts, *ollama.images(body)),
        stream=body.get("stream") is not False,
        max_tokens=ollama.max_tokens(body),
        json_schema=ollama.json_schema(body),
        thinking=bool(body.get("think")),
    )


def render(answer: Answer) -> Json:
    """Spell an answer that is not streamed."""
    thought = {"thinking": answer.thinking} if answer.thinking else {}
    return ollama.end(answer, {"response": answer.choices[0].text, **thought})


def events(answer: Answer) -> Iterator[Event]:
    """Spell a stream: a line for each piece, then one with the counts; there are no tools here."""
    for step in answer.steps:
        if step.kind != "tool_call":
            line = ndjson({**ollama.frame(answer), **_piece(step), "done": False})
            yield Event(line, step.output_tokens, is_content=True)
    yield Event(ndjson(ollama.end(answer, {"response": ""})), answer.counts.output_tokens)


def _piece(step: Step) -> Json:
    return {"response": "", "thinking": step.text} if step.kind == "thinking" else {"response": step.text}
