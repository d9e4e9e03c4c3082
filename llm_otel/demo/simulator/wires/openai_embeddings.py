"""OpenAI's embeddings.

Source: the OpenAI API reference for `/v1/embeddings`, 2025-11. Nothing is generated; the usage is the input's.
"""

from typing import Final

from llm_otel.demo.simulator.chat import Answer, ChatRequest, Json
from llm_otel.demo.simulator.wires import fields, openai, vectors
from llm_otel.demo.simulator.wires.spelling import reported

PROVIDER: Final = openai.PROVIDER
STREAM_TYPE: Final = openai.STREAM_TYPE

key_of = openai.key_of
refuse_key = openai.refuse_key
headers = openai.headers
error = openai.error
stream_error = openai.stream_error
events = vectors.no_events


def matches(path: str) -> bool:
    """Tell whether a path belongs to this format."""
    return path.endswith("/embeddings")


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
        vectors=vectors.wanted(fields.positive(body, "dimensions"), fields.string(body, "encoding_format")),
    )


def render(answer: Answer) -> Json:
    """Spell an answer."""
    packed = vectors.shape(answer).encoding == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": vectors.base64(vector) if packed else vector}
        for index, vector in enumerate(vectors.of(answer))
    ]
    counted = {"prompt_tokens": answer.counts.input_tokens, "total_tokens": answer.counts.input_tokens}
    return {"object": "list", "data": data, "model": answer.model, **reported("usage", counted, answer.usage)}
