"""Every way to ask for a completion, under one signature."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest

from llm_otel import LLMConfig, LLMProvider, LLMRouter, ProviderError, traced_llm
from llm_otel.scope import Scope

HELLO = [{"role": "user", "content": "Hello!"}]

ROUTER = "router"
PLAIN = "plain"
LITELLM_ROUTER = "litellm_router"


@dataclass(frozen=True)
class Model:
    """A model of one provider, with the prices that the tests calculate with, in nano-USD a token."""

    provider: LLMProvider
    name: str
    litellm_name: str
    input_nano: int
    output_nano: int

    def cost(self, input_tokens: int, output_tokens: int) -> int:
        """Return the price of plain input and output, nano-USD."""
        return input_tokens * self.input_nano + output_tokens * self.output_nano


# The list prices of the providers, checked 2026-11-22.
MODELS = {
    "openai": Model(LLMProvider.OPENAI, "gpt-4o-mini", "openai/gpt-4o-mini", 150, 600),
    "anthropic": Model(
        LLMProvider.ANTHROPIC, "claude-3-haiku-20240307", "anthropic/claude-3-haiku-20240307", 250, 1250
    ),
    "gemini": Model(LLMProvider.GOOGLE, "gemini-2.5-flash", "gemini/gemini-2.5-flash", 300, 2500),
    "ollama": Model(LLMProvider.OLLAMA, "llama3", "ollama_chat/llama3", 0, 0),
}
PROVIDERS = tuple(MODELS)


@dataclass
class Got:
    """What a caller got: an answer or an error, and the scope around the call."""

    scope: Scope | None
    result: Any = None
    error: BaseException | None = None
    chunks: list[Any] = dataclasses.field(default_factory=list)

    @property
    def text(self) -> str:
        """The text of the first choice, as far as it came."""
        if self.chunks:
            return "".join(map(text_of, self.chunks))
        return content_of(self.result)


def text_of(chunk: Any) -> str:
    """Return the new text in a chunk of ours or of LiteLLM's."""
    if hasattr(chunk, "content"):
        return chunk.content
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""


def content_of(result: Any) -> str:
    """Return the text of a response of ours or of LiteLLM's."""
    if hasattr(result, "content"):
        return result.content
    return result.choices[0].message.content or ""


@dataclass(frozen=True)
class Caller:
    """Asks one provider in one form. `ask` does all of it; the rest is for tests of what happens midway."""

    provider: str = "openai"
    entrance: str = ROUTER
    is_async: bool = False
    is_stream: bool = False
    run: Callable[[Coroutine[Any, Any, Any]], Any] = dataclasses.field(default=asyncio.run, compare=False)

    def __str__(self) -> str:
        kind = ("async-" if self.is_async else "") + ("stream" if self.is_stream else "whole")
        return f"{self.provider}-{self.entrance}-{kind}"

    @property
    def model(self) -> Model:
        """The model that is asked."""
        return MODELS[self.provider]

    def ask(self, messages: Any = HELLO, *, in_scope: bool = True, **options: Any) -> Got:
        """Make one call to its end, inside a scope; an `Exception` is part of what the caller got."""
        with traced_llm("work", tags={"team": "search"}) if in_scope else nullcontext() as scope:
            got = Got(scope)
            try:
                if self.is_async:
                    self.run(self._aask(got, messages, options))
                else:
                    self._ask(got, messages, options)
            except Exception as exc:
                got.error = exc
        return got

    def cause_of(self, error: BaseException | None) -> BaseException:
        """Return LiteLLM's own exception: the cause of ours for callers of `LLMRouter`, itself for others."""
        if self.entrance == ROUTER:
            assert isinstance(error, ProviderError)
            error = error.__cause__
        assert error is not None
        assert type(error).__module__ == "litellm.exceptions"
        return error

    def _ask(self, got: Got, messages: Any, options: dict[str, Any]) -> None:
        if not self.is_stream:
            got.result = self.complete(messages, **options)
            return
        stream = self.stream(messages, **options)
        for chunk in stream:
            got.chunks.append(chunk)
        got.result = stream.response if self.entrance == ROUTER else stream

    async def _aask(self, got: Got, messages: Any, options: dict[str, Any]) -> None:
        if not self.is_stream:
            got.result = await self.acomplete(messages, **options)
            return
        stream = await self.astream(messages, **options)
        async for chunk in stream:
            got.chunks.append(chunk)
        got.result = stream.response if self.entrance == ROUTER else stream

    async def aask(self, messages: Any = HELLO, **options: Any) -> Got:
        """Make one async call to its end, in the scope around; what it raises comes through."""
        got = Got(None)
        await self._aask(got, messages, options)
        return got

    # --- one step at a time -------------------------------------------------------------------------------

    def complete(self, messages: Any = HELLO, **options: Any) -> Any:
        """Return a whole answer."""
        if self.entrance == ROUTER:
            return self._router.complete(messages, self.config(**options))
        return self._litellm.completion(**self.arguments(messages, **options))

    async def acomplete(self, messages: Any = HELLO, **options: Any) -> Any:
        """Return a whole answer."""
        if self.entrance == ROUTER:
            return await self._router.acomplete(messages, self.config(**options))
        return await self._litellm.acompletion(**self.arguments(messages, **options))

    def stream(self, messages: Any = HELLO, **options: Any) -> Any:
        """Return a stream."""
        if self.entrance == ROUTER:
            return self._router.stream(messages, self.config(**options))
        return self._litellm.completion(**self.arguments(messages, stream=True, **options))

    async def astream(self, messages: Any = HELLO, **options: Any) -> Any:
        """Return an async stream."""
        if self.entrance == ROUTER:
            return self._router.astream(messages, self.config(**options))
        return await self._litellm.acompletion(**self.arguments(messages, stream=True, **options))

    def config(self, **options: Any) -> LLMConfig:
        """Return the configuration of a call by `LLMRouter`; by default without retries."""
        known = {name: options.pop(name) for name in tuple(options) if name in LLMConfig.model_fields}
        given = {"model": self.model.name, "provider": self.model.provider, "max_retries": 0} | known
        return LLMConfig(**given, extra=options)

    def arguments(self, messages: Any = HELLO, **options: Any) -> dict[str, Any]:
        """Return the arguments of a plain LiteLLM call; by default without the SDK's retries."""
        given: dict[str, Any] = {"model": self.model.litellm_name, "messages": messages, "max_retries": 0}
        if self.provider != "ollama":
            given["api_key"] = "simulator"
        if "timeout_s" in options:
            given["timeout"] = options.pop("timeout_s")
        return given | options

    @cached_property
    def _router(self) -> LLMRouter:
        return LLMRouter()

    @cached_property
    def _litellm(self) -> Any:
        import litellm

        if self.entrance == PLAIN:
            return litellm
        parameters = {"model": self.model.litellm_name, "api_key": "simulator"}
        return _RouterOfLiteLLM(litellm.Router([{"model_name": "any", "litellm_params": parameters}], num_retries=0))


@dataclass(frozen=True)
class _RouterOfLiteLLM:
    """`litellm.Router` with the signature of `litellm`'s functions."""

    router: Any

    def completion(self, **arguments: Any) -> Any:
        return self.router.completion(**self._own(arguments))

    async def acompletion(self, **arguments: Any) -> Any:
        return await self.router.acompletion(**self._own(arguments))

    @staticmethod
    def _own(arguments: dict[str, Any]) -> dict[str, Any]:
        dropped = {"api_key", "max_retries"}
        return {name: value for name, value in arguments.items() if name not in dropped} | {"model": "any"}


def callers(
    *,
    providers: tuple[str, ...] = PROVIDERS,
    entrances: tuple[str, ...] = (ROUTER, PLAIN),
    is_stream: bool | None = None,
    is_async: bool | None = None,
) -> Iterator[Caller]:
    """Yield a caller for each combination."""
    for provider in providers:
        for entrance in entrances:
            for streams in (False, True) if is_stream is None else (is_stream,):
                for asyncs in (False, True) if is_async is None else (is_async,):
                    yield Caller(provider, entrance, is_async=asyncs, is_stream=streams)


def asked_by(**which: Any) -> pytest.MarkDecorator:
    """Parametrize `caller` with `callers(**which)`."""
    return pytest.mark.parametrize("caller", list(callers(**which)), ids=str, indirect=True)
