"""What the embedding formats share: the vectors, which depend on the model and the text alone."""

import math
import random
import struct
from base64 import b64encode
from collections.abc import Iterator

from llm_otel.demo.simulator.chat import Answer, Segment, Vectors
from llm_otel.demo.simulator.wires import fields
from llm_otel.demo.simulator.wires.spelling import Event

DIMENSIONS = 8
"""Of a vector where the request does not say: real ones have a thousand and more, which nobody looks at here."""

_MOST_DIMENSIONS = 4096


def wanted(dimensions: int | None, encoding: str | None = None, *, is_batch: bool = True) -> Vectors:
    """Return what was asked for, or the defaults.

    Raises:
        InvalidRequestError: It cannot be had.
    """
    if dimensions is not None and dimensions > _MOST_DIMENSIONS:
        raise fields.InvalidRequestError(f"dimensions: expected {_MOST_DIMENSIONS} at most, got {dimensions}")
    if encoding not in (None, "float", "base64"):
        raise fields.InvalidRequestError(f"encoding_format: expected 'float' or 'base64', got {encoding!r}")
    return Vectors(dimensions or DIMENSIONS, "base64" if encoding == "base64" else "float", is_batch)


def of(answer: Answer) -> list[list[float]]:
    """Return a vector of length 1 for each segment of the prompt."""
    dimensions = shape(answer).dimensions
    return [_vector(answer.request.model, segment, dimensions) for segment in answer.request.segments]


def shape(answer: Answer) -> Vectors:
    """Return what was asked for."""
    asked = answer.request.vectors
    assert asked is not None, "only requests for embeddings are answered with vectors"
    return asked


def _vector(model: str, segment: Segment, dimensions: int) -> list[float]:
    seed = f"{model}\0{segment.filler}\0{segment.text}".encode(errors="backslashreplace").decode()
    rng = random.Random(seed)
    drawn = [rng.gauss(0.0, 1.0) for _ in range(dimensions)]
    length = math.sqrt(math.fsum(value * value for value in drawn))
    # As single precision, so that both encodings hold the same numbers.
    return list(struct.unpack(f"<{dimensions}f", _packed([value / length for value in drawn])))


def base64(vector: list[float]) -> str:
    """Return a vector as OpenAI packs it: little-endian, in single precision."""
    return b64encode(_packed(vector)).decode()


def _packed(vector: list[float]) -> bytes:
    return struct.pack(f"<{len(vector)}f", *vector)


def no_events(answer: Answer) -> Iterator[Event]:
    """Return nothing: embeddings are never streamed."""
    return iter(())
