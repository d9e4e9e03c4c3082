"""One completion of `LLMRouter`, prepared: how each of its requests is sent, and what the user gets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from llm_otel.budgets.shapes import CHAT
from llm_otel.call import Answer, FailureKind, Outcome
from llm_otel.errors import ProviderError
from llm_otel.models.providers import provider_named, unlisted_provider
from llm_otel.models.resolve import ModelRef
from llm_otel.money import usd
from llm_otel.providers import adapter, moving, requests
from llm_otel.providers.reading import answer_of, get
from llm_otel.routing.decision import downgraded, fallen_back
from llm_otel.types import LLMConfig, LLMResponse, UsageStats

if TYPE_CHECKING:
    from llm_otel.call import CallRecord
    from llm_otel.open_call import OpenCall
    from llm_otel.plan import Instruments, Plan
    from llm_otel.routing.decision import RouteDecision


class Job:
    """One completion, prepared: everything is checked, nothing is sent."""

    __slots__ = ("_arguments", "_config", "_decision", "_first", "_named", "instruments", "plan")

    def __init__(
        self,
        instruments: Instruments,
        plan: Plan,
        ref: ModelRef,
        arguments: dict[str, Any],
        config: LLMConfig,
        decision: RouteDecision,
        *,
        is_named: bool,
    ) -> None:
        """Prepare a completion.

        Args:
            instruments: The runtime's.
            plan: What is to be done.
            ref: The model that the arguments are made for.
            arguments: Of `litellm.completion`.
            config: The caller's.
            decision: Why the first of the targets is taken.
            is_named: Whether the caller named that model, so that it gets the arguments just as they are.
        """
        self.instruments = instruments
        self.plan = plan
        self._first = ref
        self._named = ref if is_named else None
        self._arguments = arguments
        self._config = config
        self._decision = decision

    def send(self, call: OpenCall) -> Any:
        """Send one attempt."""
        arguments, _ = self._for(call)
        return adapter.complete(arguments, timeout_s=call.course.attempt_left_s)

    async def asend(self, call: OpenCall) -> Any:
        """Send one attempt."""
        arguments, _ = self._for(call)
        return await adapter.acomplete(arguments, timeout_s=call.course.attempt_left_s)

    def open(self, call: OpenCall) -> adapter.Opened:
        """Send one attempt of a stream."""
        # HTTP clients know one limit for all waits, that for the first chunk included.
        left_s, idle_s = call.course.attempt_left_s, self._config.stream_idle_timeout_s
        return adapter.open_stream(*self._for(call), timeout_s=idle_s if left_s is None else min(idle_s, left_s))

    async def aopen(self, call: OpenCall) -> adapter.Opened:
        """Send one attempt of a stream; the driver sees to the time up to the first chunk."""
        return await adapter.aopen_stream(*self._for(call), timeout_s=self._config.stream_idle_timeout_s)

    def _for(self, call: OpenCall) -> tuple[dict[str, Any], ModelRef]:
        """Return the arguments to send, and to which model: the target of this attempt, or what a budget made of it."""
        offer, arguments, ref = call.money.offer, self._arguments, call.course.target
        assert isinstance(ref, ModelRef), "the router names all of its targets"
        if offer is not None and offer.is_downgraded:
            ref = requests.resolve(offer.asked.model, offer.asked.provider)
        if ref is not self._named:
            arguments = moving.for_target(self._first, arguments, ref)
        if offer is not None and offer.max_tokens is not None:
            arguments = CHAT.limited_to(arguments, offer.max_tokens)
        return arguments, ref

    def finish(self, call: OpenCall, raw: Any) -> LLMResponse:
        """End the call with a whole answer."""
        call.telemetry.content.came(raw)
        call.brings(raw)
        record = call.answered(call.guard.call("answer", answer_of, raw) or Answer())
        assert record is not None, "nobody else ends a call that is not streamed"
        return self.response(record, raw)

    def response(self, record: CallRecord, raw: Any) -> LLMResponse:
        """Build what the user gets."""
        answer, (provider, model) = record.answer, _answered_by(record)
        choices = get(raw, "choices")
        message = get(choices[0], "message") if choices else None
        content = get(message, "content")
        return LLMResponse(
            content=content if isinstance(content, str) else (answer.text if raw is None else ""),
            provider=provider,
            model=answer.response_model or model,
            usage=UsageStats.of(record),
            latency_ms=record.duration_s * 1000,
            finish_reason=answer.finish_reasons[0] if answer.finish_reasons else None,
            tool_calls=tuple(get(message, "tool_calls") or ()),
            decision=_made_of(self._decision, record),
            is_cached=record.outcome is Outcome.CACHED,
            saved_usd=usd(record.saved_by_cache_nano),
            raw=raw,
        )


def _answered_by(record: CallRecord) -> tuple[str, str]:
    """Return provider and name of the model that was asked last."""
    last = record.attempts[-1] if record.attempts else record.request
    return last.provider, last.model


def _made_of(decision: RouteDecision, record: CallRecord) -> RouteDecision:
    """Return why the model of the last attempt was taken, which may not be the one that was decided on."""
    answered = _answered_by(record)
    if (decision.provider, decision.model) == answered:
        return decision
    held = record.attempts[-1].held
    if held is None or held.downgraded_for is None:
        return fallen_back(decision, answered)
    return downgraded(decision, answered, held.downgraded_for[0])


def provider_error(record: CallRecord) -> ProviderError:
    """Make the error of a call that failed for good."""
    failure, (provider, model) = record.failure, _answered_by(record)
    assert failure is not None, "a failed call has a failure"
    return ProviderError(
        provider=provider,
        model=model,
        error_type=failure.error_type,
        status_code=failure.status_code,
        attempts=len(record.attempts),
        retry_after_s=failure.retry_after_s,
        tried=tuple(f"{each.provider}/{each.model}" for each in record.attempts),
        unset=_unset(provider) if failure.kind is FailureKind.NO_KEY else None,
    )


def _unset(name: str) -> str | None:
    """Return the variable that configures a provider; `None` where one does, so that the key is missing elsewhere."""
    provider = provider_named(name) or unlisted_provider(name)
    return None if provider.configured_by(os.environ) else provider.variables[0]
