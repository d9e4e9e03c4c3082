"""The kinds of request that LiteLLM takes: what its functions are called, and how to read what goes in and out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from llm_otel import semconv
from llm_otel.budgets import shapes
from llm_otel.providers import parameters, sources
from llm_otel.providers.embeddings import embeddings_answer
from llm_otel.providers.reading import ChunkKind, ChunkReader, answer_of
from llm_otel.providers.responses import EventReader, response_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_otel.budgets.shapes import Shape
    from llm_otel.call import Answer
    from llm_otel.providers.parameters import Table


class StreamReader(Protocol):
    """Gathers what the chunks of one stream say."""

    content: str
    finish_reason: str | None

    def feed(self, chunk: Any) -> ChunkKind:
        """Take note of one chunk."""

    @property
    def is_complete(self) -> bool:
        """Whether the model said that it is done."""

    def answer(self, *, has_reported_usage: bool = True) -> Answer:
        """Say what came so far."""


def _chunk_reader(_stream: Any) -> StreamReader:
    return ChunkReader()


def _event_reader(_stream: Any) -> StreamReader:
    return EventReader()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One kind of request.

    Attributes:
        name: The `gen_ai.operation.name` value.
        function: The name of LiteLLM's function.
        async_function: That of the same for coroutines.
        shape: Where its arguments say what it may use.
        parameters: The arguments that stand on the span.
        answer_of: Reads a whole answer.
        reader: Makes what reads the chunks of a stream; `None` where nothing is streamed.
        source: Makes what knows a stream beside its chunks.
        has_usage_option: Streams report their usage where `stream_options` ask for it, in a chunk of its own.
        openai_api: The `openai.api.type` value.
    """

    name: str
    function: str
    async_function: str
    shape: Shape
    parameters: Table
    answer_of: Callable[[Any], Answer] = answer_of
    reader: Callable[[Any], StreamReader] | None = _chunk_reader
    source: Callable[[Any, StreamReader, bool], sources.Source] = sources.source_of_chunks
    has_usage_option: bool = True
    openai_api: str | None = None

    @property
    def streams(self) -> bool:
        """Whether an answer may come as a stream."""
        return self.reader is not None


CHAT = Operation(
    name=semconv.Operation.CHAT.value,
    function="completion",
    async_function="acompletion",
    shape=shapes.CHAT,
    parameters=parameters.GENERATION,
)
TEXT_COMPLETION = Operation(
    name=semconv.Operation.TEXT_COMPLETION.value,
    function="text_completion",
    async_function="atext_completion",
    shape=shapes.TEXT,
    parameters=parameters.GENERATION,
)
EMBEDDINGS = Operation(
    name=semconv.Operation.EMBEDDINGS.value,
    function="embedding",
    async_function="aembedding",
    shape=shapes.EMBEDDINGS,
    parameters=parameters.EMBEDDINGS,
    answer_of=embeddings_answer,
    reader=None,
)
RESPONSES = Operation(
    # The conventions have no operation of its own for it.
    name=semconv.Operation.CHAT.value,
    function="responses",
    async_function="aresponses",
    shape=shapes.RESPONSES,
    parameters=parameters.GENERATION,
    answer_of=response_answer,
    reader=_event_reader,
    source=sources.source_of_events,
    has_usage_option=False,
    openai_api=semconv.OPENAI_API_RESPONSES,
)
OPERATIONS = (CHAT, TEXT_COMPLETION, EMBEDDINGS, RESPONSES)
