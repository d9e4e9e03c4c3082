"""Every operation of LiteLLM's that is watched, under one signature: what is asked, and what comes back."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from llm_otel.demo.simulator import Reply

HELLO = "Hello!"
REPLY = Reply("Hello there, how can I help you today?", input_tokens=18, output_tokens=9)


@dataclass(frozen=True)
class Kind:
    """One operation, with the model that is asked and its prices in nano-USD a token (list prices, 2026-11-22)."""

    name: str
    function: str
    span: str
    arguments: dict[str, Any]
    input_nano: int
    output_nano: int
    path: str
    streams: bool = True


KINDS = {
    "chat": Kind(
        "chat",
        "completion",
        "chat gpt-4o-mini",
        {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": HELLO}]},
        150,
        600,
        "/chat/completions",
    ),
    "text": Kind(
        "text",
        "text_completion",
        "text_completion gpt-3.5-turbo-instruct",
        {"model": "gpt-3.5-turbo-instruct", "prompt": HELLO},
        1500,
        2000,
        "/completions",
    ),
    "embeddings": Kind(
        "embeddings",
        "embedding",
        "embeddings text-embedding-3-small",
        {"model": "openai/text-embedding-3-small", "input": HELLO},
        20,
        0,
        "/embeddings",
        streams=False,
    ),
    "responses": Kind(
        "responses",
        "responses",
        "chat gpt-4o-mini",
        {"model": "openai/gpt-4o-mini", "input": HELLO},
        150,
        600,
        "/responses",
    ),
}


@dataclass(frozen=True)
class Asker:
    """Asks OpenAI for one kind of answer, in one form, with plain LiteLLM."""

    kind: Kind
    is_async: bool = False
    is_stream: bool = False
    run: Callable[[Coroutine[Any, Any, Any]], Any] = field(default=asyncio.run, compare=False)

    def __str__(self) -> str:
        return f"{self.kind.name}-{'async-' if self.is_async else ''}{'stream' if self.is_stream else 'whole'}"

    @property
    def function(self) -> Any:
        """LiteLLM's function, as `litellm` has it now."""
        import litellm

        return getattr(litellm, ("a" if self.is_async else "") + self.kind.function)

    def arguments(self, **options: Any) -> dict[str, Any]:
        """Return what it is called with."""
        given: dict[str, Any] = {**self.kind.arguments, "api_key": "simulator", "max_retries": 0}
        if self.is_stream:
            given["stream"] = True
        return given | options

    def call(self, **options: Any) -> Any:
        """Return what LiteLLM returns; a stream has sent its request."""
        if self.is_async:
            return self.run(self.acall(**options))
        return self.function(**self.arguments(**options))

    async def acall(self, **options: Any) -> Any:
        """Return what LiteLLM's coroutine returns."""
        return await self.function(**self.arguments(**options))

    def ask(self, **options: Any) -> Any:
        """Return a whole answer, or all chunks of a stream."""
        if self.is_async:
            return self.run(self.aask(**options))
        got = self.call(**options)
        return list(got) if self.is_stream else got

    async def aask(self, **options: Any) -> Any:
        """Return a whole answer, or all chunks of a stream."""
        got = await self.acall(**options)
        return [chunk async for chunk in got] if self.is_stream else got

    def cost(self, input_tokens: int, output_tokens: int) -> int:
        """Return a price in nano-USD."""
        return input_tokens * self.kind.input_nano + output_tokens * self.kind.output_nano

    @property
    def output_tokens(self) -> int | None:
        """What the span says after `REPLY`: embeddings have no output."""
        return REPLY.output_tokens if self.kind.output_nano else None


def text_of(chunk: Any) -> str:
    """Return the new text in a chunk of any stream."""
    if hasattr(chunk, "choices"):
        choice = chunk.choices[0] if chunk.choices else None
        return (choice.text if hasattr(choice, "text") else choice.delta.content) or "" if choice else ""
    return chunk.delta if isinstance(getattr(chunk, "delta", None), str) else ""


def askers(
    *, kinds: tuple[str, ...] = tuple(KINDS), is_stream: bool | None = None, is_async: bool | None = None
) -> Iterator[Asker]:
    """Yield one for each combination that there is."""
    for name in kinds:
        for streams in (False, True) if is_stream is None else (is_stream,):
            for asyncs in (False, True) if is_async is None else (is_async,):
                if KINDS[name].streams or not streams:
                    yield Asker(KINDS[name], asyncs, streams)


def asking(**which: Any) -> pytest.MarkDecorator:
    """Parametrize `asker` with `askers(**which)`."""
    return pytest.mark.parametrize("asker", list(askers(**which)), ids=str, indirect=True)


def with_run(asker: Asker, run: Any) -> Asker:
    """Return the same on another event loop."""
    return dataclasses.replace(asker, run=run)
