"""`LLMRouter`: completions from many providers with one shape, each traced, priced and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llm_otel import drive
from llm_otel.baggage import tags_around
from llm_otel.budgets.shapes import CHAT
from llm_otel.call import Answer
from llm_otel.errors import ConfigurationError, ProviderError
from llm_otel.plan import Plan
from llm_otel.providers import adapter, loading, requests
from llm_otel.providers.reading import answer_of, get
from llm_otel.router_streams import AsyncLLMStream, LLMStream
from llm_otel.routing.decision import downgraded, explicit
from llm_otel.scope import Tags, current_scope, parse_tags
from llm_otel.types import LLMConfig, LLMResponse, UsageStats
from llm_otel.wiring import runtime

if TYPE_CHECKING:
    from llm_otel.call import CallRecord
    from llm_otel.enforcement.offers import Offer
    from llm_otel.models.resolve import ModelRef
    from llm_otel.open_call import OpenCall
    from llm_otel.plan import Instruments
    from llm_otel.routing.decision import RouteDecision

Messages = Sequence[Mapping[str, Any]]
"""A conversation as LiteLLM takes it: `[{"role": "user", "content": "Hello!"}]`."""


class LLMRouter:
    """Sends completions to whatever provider their model belongs to.

    Holds no state but its default configuration: one instance serves any number of threads and tasks. Retries are made
    here, one span attempt each; LiteLLM's own and the SDKs' are off.
    """

    def __init__(self, config: LLMConfig | None = None) -> None:
        """Take a configuration for calls that bring none."""
        self._config = config

    def complete(self, messages: Messages, config: LLMConfig | None = None, *, tags: Tags | None = None) -> LLMResponse:
        """Return the completion of a conversation.

        Args:
            messages: At least one message.
            config: Model, parameters, patience; the router's own by default.
            tags: What the call is for; they go over those of the scope around it.

        Raises:
            ConfigurationError: Bad input, found before anything was sent.
            ProviderError: The provider failed, retries included; LiteLLM's exception is the cause.
        """
        job = self._prepare(messages, config, tags, is_streaming=False)
        loading.litellm()
        return drive.run(job.instruments, job.plan, job.send, job.finish)

    async def acomplete(
        self, messages: Messages, config: LLMConfig | None = None, *, tags: Tags | None = None
    ) -> LLMResponse:
        """Return the completion of a conversation, without blocking the event loop. As `complete` otherwise."""
        job = self._prepare(messages, config, tags, is_streaming=False)
        await loading.aload()
        return await drive.arun(job.instruments, job.plan, job.asend, job.finish)

    def stream(self, messages: Messages, config: LLMConfig | None = None, *, tags: Tags | None = None) -> LLMStream:
        """Return a stream of chunks. Input is checked now; the request is sent when iteration starts.

        Retries happen up to the first chunk. Iterate to the end, or use it as a context manager, or call `close()`:
        what was received by then is booked in every case, also when the stream is just dropped.

        Raises:
            ConfigurationError: Bad input, found before anything was sent.
        """
        job = self._prepare(messages, config, tags, is_streaming=True)
        return LLMStream(job)

    def astream(
        self, messages: Messages, config: LLMConfig | None = None, *, tags: Tags | None = None
    ) -> AsyncLLMStream:
        """Return an async stream of chunks: `async for chunk in router.astream(...)`. As `stream` otherwise."""
        job = self._prepare(messages, config, tags, is_streaming=True)
        return AsyncLLMStream(job)

    def _prepare(self, messages: Messages, config: LLMConfig | None, tags: Tags | None, *, is_streaming: bool) -> Job:
        config = config or self._config
        if config is None:
            raise ConfigurationError("config", None, "give one, here or to the router: LLMConfig(model='gpt-4o-mini')")
        requests.check_messages(messages)
        template = requests.template_of(config)
        arguments = requests.arguments_for(template, messages, is_streaming=is_streaming)
        scope, own_tags, made = current_scope.get(), parse_tags(tags), runtime()
        around = tags_around(scope, made.baggage)
        request = requests.request_of(
            arguments,
            template.ref,
            tags={**around, **own_tags} if around else own_tags,
            parameters=template.parameters,
        )
        plan = Plan(
            request=request,
            arguments=arguments,
            may_change_model=True,
            scope=scope,
            retry=template.retry,
            timeout_s=config.timeout_s,
            to_error=provider_error,
        )
        return Job(made.instruments, plan, template.ref, arguments, config)


class Job:
    """One completion, prepared: everything is checked, nothing is sent."""

    __slots__ = ("_arguments", "_config", "_ref", "instruments", "plan")

    def __init__(
        self,
        instruments: Instruments,
        plan: Plan,
        ref: ModelRef,
        arguments: dict[str, Any],
        config: LLMConfig,
    ) -> None:
        self.instruments = instruments
        self.plan = plan
        self._ref = ref
        self._arguments = arguments
        self._config = config

    def send(self, call: OpenCall) -> Any:
        """Send one attempt."""
        return adapter.complete(self._for(call.offer), timeout_s=call.left_s)

    async def asend(self, call: OpenCall) -> Any:
        """Send one attempt."""
        return await adapter.acomplete(self._for(call.offer), timeout_s=call.left_s)

    def open(self, call: OpenCall) -> adapter.Opened:
        """Send one attempt of a stream."""
        return adapter.open_stream(self._for(call.offer), self._ref, timeout_s=self._silence_s(call))

    async def aopen(self, call: OpenCall) -> adapter.Opened:
        """Send one attempt of a stream."""
        return await adapter.aopen_stream(self._for(call.offer), self._ref, timeout_s=self._silence_s(call))

    def _for(self, offer: Offer | None) -> dict[str, Any]:
        """Return the arguments to send: with another model, or another output limit, where a budget asked for it."""
        if offer is None:
            return self._arguments
        arguments = self._arguments
        if offer.is_downgraded:
            arguments, self._ref = requests.for_model(self._config, arguments, offer.asked.provider, offer.asked.model)
        return arguments if offer.max_tokens is None else CHAT.limited_to(arguments, offer.max_tokens)

    def _silence_s(self, call: OpenCall) -> float:
        """Return the longest silence: HTTP clients know one limit for all waits, that for the first chunk included."""
        left_s = call.left_s
        idle_s = self._config.stream_idle_timeout_s
        return idle_s if left_s is None else min(idle_s, left_s)

    def finish(self, call: OpenCall, raw: Any) -> LLMResponse:
        """End the call with a whole answer."""
        call.content.came(raw)
        answer = call.guarded("answer", answer_of, raw) or Answer()
        record = call.succeeded(answer)
        assert record is not None, "nobody else ends a call that is not streamed"
        return self.response(record, raw)

    def response(self, record: CallRecord, raw: Any) -> LLMResponse:
        """Build what the user gets."""
        answer, decision = record.answer, _decision(record)
        choices = get(raw, "choices")
        message = get(choices[0], "message") if choices else None
        content = get(message, "content")
        return LLMResponse(
            content=content if isinstance(content, str) else (answer.text if raw is None else ""),
            provider=decision.provider,
            model=answer.response_model or decision.model,
            usage=UsageStats.of(record),
            latency_ms=record.duration_s * 1000,
            finish_reason=answer.finish_reasons[0] if answer.finish_reasons else None,
            tool_calls=tuple(get(message, "tool_calls") or ()),
            decision=decision,
            raw=raw,
        )


def _decision(record: CallRecord) -> RouteDecision:
    """Return why the model of the last attempt was chosen."""
    asked = (record.request.provider, record.request.model)
    last = record.attempts[-1] if record.attempts else None
    if last is None or last.held is None or last.held.downgraded_for is None:
        return explicit(asked[1], asked[0])
    return downgraded(asked, (last.provider, last.model), last.held.downgraded_for[0])


def provider_error(record: CallRecord) -> ProviderError:
    """Make the error of a call that failed for good."""
    failure, request = record.failure, record.request
    assert failure is not None, "a failed call has a failure"
    return ProviderError(
        provider=request.provider,
        model=request.model,
        error_type=failure.error_type,
        status_code=failure.status_code,
        attempts=len(record.attempts),
        retry_after_s=failure.retry_after_s,
    )
