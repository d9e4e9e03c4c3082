"""Gemini's `embedContent` and `batchEmbedContents`.

Source: the Gemini API reference (`v1beta`), 2025-11. LiteLLM 1.105.3 asks for every text by the batch, even for
a single one, and does not read the usage.
"""

import re
from typing import Final
from urllib.parse import unquote

from llm_otel.demo.simulator.chat import Answer, ChatRequest, Json, Segment
from llm_otel.demo.simulator.wires import fields, gemini, vectors
from llm_otel.demo.simulator.wires.spelling import reported

PROVIDER: Final = gemini.PROVIDER
STREAM_TYPE: Final = gemini.STREAM_TYPE

key_of = gemini.key_of
refuse_key = gemini.refuse_key
headers = gemini.headers
error = gemini.error
stream_error = gemini.stream_error
events = vectors.no_events

_PATH = re.compile(r"/models/(?P<model>[^/]+):(?P<method>embedContent|batchEmbedContents)$")


def matches(path: str) -> bool:
    """Tell whether a path belongs to this format."""
    return _PATH.search(path) is not None


def parse(path: str, body: Json) -> ChatRequest:
    """Read a request.

    Raises:
        InvalidRequestError: A required field is missing, or one has the wrong type.
    """
    found = _PATH.search(path)
    assert found is not None, "only paths that match are parsed"
    is_batch = found["method"] == "batchEmbedContents"
    requests = fields.records(body, "requests", required=True) if is_batch else [body]
    return ChatRequest(
        provider=PROVIDER,
        model=unquote(found["model"]),
        segments=tuple(_segment(request) for request in requests),
        choices=0,
        vectors=vectors.wanted(gemini.positive(requests[0], "outputDimensionality"), is_batch=is_batch),
    )


def _segment(request: Json) -> Segment:
    """Return all parts of a content as one stretch: they get one vector."""
    parts = list(gemini.segments_of(fields.record(request, "content")))
    if not parts:
        raise fields.InvalidRequestError("content.parts: expected at least one item")
    return Segment(
        text="".join(part.text for part in parts),
        filler="+".join(part.filler for part in parts if part.filler),
        filler_tokens=sum(part.filler_tokens for part in parts),
    )


def render(answer: Answer) -> Json:
    """Spell an answer: one vector, or those of a batch."""
    found: list[Json] = [{"values": vector} for vector in vectors.of(answer)]
    embedded = {"embeddings": found} if vectors.shape(answer).is_batch else {"embedding": found[0]}
    counted = {"promptTokenCount": answer.counts.input_tokens}
    return {**embedded, **reported("usageMetadata", counted, answer.usage)}
