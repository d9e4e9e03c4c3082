"""The wire formats: each a module of pure functions, from a request's body to a `ChatRequest` and back.

One that stands beside a provider's chat takes the keys and errors from there. A new one is a module that fits `Wire`
and a line in `WIRES`.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from llm_otel.demo.simulator.chat import Answer, ChatRequest, Json, Provider
from llm_otel.demo.simulator.wires import (
    anthropic,
    gemini,
    gemini_embeddings,
    ollama,
    ollama_embed,
    ollama_generate,
    openai,
    openai_completions,
    openai_embeddings,
    openai_responses,
)
from llm_otel.demo.simulator.wires.spelling import Event, Failure, Refusal, StreamPlace


class Wire(Protocol):
    """What a wire format knows. The modules of this package are its implementations."""

    @property
    def PROVIDER(self) -> Provider:  # noqa: N802 - a constant of a module
        """Who speaks it."""

    @property
    def STREAM_TYPE(self) -> str:  # noqa: N802 - a constant of a module
        """The content type of a stream."""

    def matches(self, path: str) -> bool:
        """Tell whether a path belongs to this format."""
        ...

    def key_of(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
        """Return the key a request carries."""
        ...

    def refuse_key(self, key: str | None) -> Refusal:
        """Say what is wrong with a key, or with its absence."""
        ...

    def parse(self, path: str, body: Json) -> ChatRequest:
        """Read a request; raises `InvalidRequestError`."""
        ...

    def headers(self, answer: Answer) -> dict[str, str]:
        """Return the headers of a good answer."""
        ...

    def render(self, answer: Answer) -> Json:
        """Spell an answer that is not streamed."""
        ...

    def events(self, answer: Answer) -> Iterator[Event]:
        """Spell a stream."""
        ...

    def error(self, failure: Failure) -> Json:
        """Spell an error."""
        ...

    def stream_error(self, failure: Failure, place: StreamPlace) -> bytes:
        """Spell an error amid a stream."""
        ...


WIRES: tuple[Wire, ...] = (
    openai,
    anthropic,
    gemini,
    ollama,
    openai_responses,
    openai_completions,
    openai_embeddings,
    gemini_embeddings,
    ollama_embed,
    ollama_generate,
)


def wire_for(path: str) -> Wire | None:
    """Return the wire format a path belongs to, or None."""
    return next((wire for wire in WIRES if wire.matches(path)), None)
