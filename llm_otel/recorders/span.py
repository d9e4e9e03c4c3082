"""The inference span: `chat {model}`, CLIENT, by the GenAI conventions, with the cost beside the tokens.

The happy path is one span. Where there was more than one attempt, or the only one went to a fallback, each gets a child
`attempt {n}`, INTERNAL, without `gen_ai.usage.*`: a sum over spans counts every token once.
"""

from __future__ import annotations

from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING

from llm_otel import semconv, tracing
from llm_otel.call import AttemptReason, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Span

    from llm_otel.budgets.reports import BudgetAlert
    from llm_otel.call import Answer, AttemptRecord, CallRecord, CallRequest, Held, Refusal
    from llm_otel.tracing import AttributeValue
    from llm_otel.usage import Usage

_USAGE_WHEN_PRESENT = {
    semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: "cache_read_tokens",
    semconv.GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS: "cache_write_tokens",
    semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: "reasoning_tokens",
    semconv.GEN_AI_USAGE_AUDIO_INPUT_TOKENS: "input_audio_tokens",
    semconv.GEN_AI_USAGE_AUDIO_OUTPUT_TOKENS: "output_audio_tokens",
    semconv.GEN_AI_USAGE_AUDIO_CACHE_READ_INPUT_TOKENS: "cache_read_audio_tokens",
    semconv.GEN_AI_USAGE_IMAGE_INPUT_TOKENS: "input_image_tokens",
    semconv.GEN_AI_USAGE_IMAGE_OUTPUT_TOKENS: "output_image_tokens",
}
_read_parts = attrgetter(*_USAGE_WHEN_PRESENT.values())
_EMBEDDINGS = semconv.Operation.EMBEDDINGS.value
_FAILED = frozenset({Outcome.ERROR, Outcome.DENIED, Outcome.CANCELLED})
NO_CONTENT: Mapping[str, AttributeValue] = MappingProxyType({})


def start(request: CallRequest, start_ns: int) -> Span:
    """Start the span of a call under the current one, with all that a sampler may want to see."""
    name = f"{request.operation} {request.model}" if request.model else request.operation
    return tracing.start_span(name, _request_attributes(request), is_client=True, start_ns=start_ns)


def finish(span: Span, record: CallRecord, content: Mapping[str, AttributeValue] = NO_CONTENT) -> None:
    """Write the end of a call on its span and end it, the children of its attempts first.

    `content` is what was said, by attribute; nothing where nobody asked for it.
    """
    try:
        if span.is_recording():
            for attempt in _worth_telling(record.attempts):
                _write_attempt(span, attempt, started_ns=record.started_ns)
            span.set_attributes(_response_attributes(record))
            if content:
                span.set_attributes(content)
            if record.outcome in _FAILED:
                _mark_failed(span, record)
    finally:
        span.end(end_time=record.started_ns + int(record.duration_s * 1e9))


def attributes_of(record: CallRecord) -> dict[str, AttributeValue]:
    """Return all that stands on the span of a call at its end, but for what was said."""
    attributes = _request_attributes(record.request) | _response_attributes(record)
    if record.outcome in _FAILED:
        failure = record.failure
        attributes[semconv.ERROR_TYPE] = record.outcome.value if failure is None else failure.error_type
        if failure is not None and failure.status_code is not None:
            attributes[semconv.HTTP_RESPONSE_STATUS_CODE] = failure.status_code
    return attributes


def alert(span: Span | None, told: BudgetAlert) -> None:
    """Write a threshold that a call has taken spend to on its span; where that has ended, on a child of no length."""
    if span is None:
        return
    attributes: dict[str, AttributeValue] = {
        semconv.ALERT_BUDGET: told.budget,
        semconv.ALERT_SCOPE: told.scope,
        semconv.ALERT_FRACTION: told.fraction,
        semconv.ALERT_SPENT_USD: float(told.spent_usd),
        semconv.ALERT_LIMIT_USD: float(told.limit_usd),
    }
    if span.is_recording():
        span.add_event(semconv.EVENT_BUDGET_ALERT, attributes)
        return
    tracing.start_span(f"budget_alert {told.budget}", attributes, is_client=False, parent=span).end()


def _request_attributes(request: CallRequest) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        semconv.GEN_AI_OPERATION_NAME: request.operation,
        semconv.GEN_AI_PROVIDER_NAME: request.provider,
    }
    if request.model:
        attributes[semconv.GEN_AI_REQUEST_MODEL] = request.model
    if request.server_address:
        attributes[semconv.SERVER_ADDRESS] = request.server_address
        if request.server_port:
            attributes[semconv.SERVER_PORT] = request.server_port
    if request.conversation_id is not None:
        attributes[semconv.GEN_AI_CONVERSATION_ID] = request.conversation_id
    if request.is_streaming:
        attributes[semconv.GEN_AI_REQUEST_STREAM] = True
    if request.is_mock:
        attributes[semconv.MOCK] = True
    attributes.update(request.parameters)
    if request.route:
        attributes.update(request.route)
    tier = request.service_tier
    if tier is not None and tier != "auto" and request.provider in semconv.OPENAI_PROVIDERS:
        attributes[semconv.OPENAI_REQUEST_SERVICE_TIER] = tier
    for name, value in request.tags.items():
        attributes[semconv.TAG_PREFIX + name] = value
    return attributes


def _response_attributes(record: CallRecord) -> dict[str, AttributeValue]:
    attributes = _answer_attributes(record)
    if record.request.operation == _EMBEDDINGS:
        _be_of_embeddings(attributes, record.answer)
    _add_cost(attributes, record)
    last = record.attempts[-1] if record.attempts else None
    if last is not None and last.held is not None:
        _add_held(attributes, last, last.held)
    if record.refusal is not None:
        _add_refusal(attributes, record.refusal)
    return attributes


def _answer_attributes(record: CallRecord) -> dict[str, AttributeValue]:
    answer = record.answer
    attributes: dict[str, AttributeValue] = {semconv.OUTCOME: str(record.outcome)}
    if answer.response_id:
        attributes[semconv.GEN_AI_RESPONSE_ID] = answer.response_id
    if answer.response_model:
        attributes[semconv.GEN_AI_RESPONSE_MODEL] = answer.response_model
    if answer.finish_reasons:
        attributes[semconv.GEN_AI_RESPONSE_FINISH_REASONS] = answer.finish_reasons
    elif record.time_to_first_chunk_s is not None:
        attributes[semconv.GEN_AI_RESPONSE_FINISH_REASONS] = (semconv.FINISH_REASON_ERROR,)
    if answer.service_tier and record.request.provider in semconv.OPENAI_PROVIDERS:
        attributes[semconv.OPENAI_RESPONSE_SERVICE_TIER] = answer.service_tier
    if answer.is_cache_hit:
        attributes[semconv.CACHE_HIT] = True
    if record.time_to_first_chunk_s is not None:
        attributes[semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK] = record.time_to_first_chunk_s
    if not record.attempts or _worth_telling(record.attempts):
        attributes[semconv.ATTEMPT_COUNT] = len(record.attempts)
    if record.usage is not None:
        _add_usage(attributes, record.usage)
    return attributes


def _be_of_embeddings(attributes: dict[str, AttributeValue], answer: Answer) -> None:
    """Leave out what embeddings have none of, and say how long the vectors are."""
    attributes.pop(semconv.GEN_AI_USAGE_OUTPUT_TOKENS, None)
    if answer.dimensions is not None:
        attributes[semconv.GEN_AI_EMBEDDINGS_DIMENSION_COUNT] = answer.dimensions


def _add_usage(attributes: dict[str, AttributeValue], usage: Usage) -> None:
    attributes[semconv.GEN_AI_USAGE_INPUT_TOKENS] = usage.input_tokens
    attributes[semconv.GEN_AI_USAGE_OUTPUT_TOKENS] = usage.output_tokens
    parts = _read_parts(usage)
    if any(parts):
        attributes.update((name, count) for name, count in zip(_USAGE_WHEN_PRESENT, parts, strict=True) if count)
    if usage.is_estimated:
        attributes[semconv.USAGE_ESTIMATED] = True


def _add_cost(attributes: dict[str, AttributeValue], record: CallRecord) -> None:
    """Write the cost where it is known. Unknown is left out: a 0 would read as free."""
    if record.cost_nano is None or not (record.attempts or record.answer.is_cache_hit):
        return
    attributes[semconv.GEN_AI_USAGE_COST_AMOUNT] = record.cost_nano / 1e9
    attributes[semconv.GEN_AI_USAGE_COST_CURRENCY] = semconv.CURRENCY_USD
    attributes[semconv.GEN_AI_USAGE_COST_SOURCE] = semconv.COST_SOURCE_LOCAL
    attributes[semconv.COST_NANO_USD] = record.cost_nano
    cost = record.attempts[-1].cost if record.attempts else None
    if cost is not None:
        attributes[semconv.PRICE_SOURCE] = cost.price_source
        if cost.price_date is not None:
            attributes[semconv.PRICE_DATE] = cost.price_date


def _add_held(attributes: dict[str, AttributeValue], attempt: AttemptRecord, held: Held) -> None:
    """Write how the last attempt was held to its budgets, and what they changed about it."""
    if held.budgets:
        attributes[semconv.BUDGET_IDS] = tuple(budget for budget, _ in held.budgets)
    if held.amount_nano is not None:
        attributes[semconv.BUDGET_HELD_NANO_USD] = held.amount_nano
    if held.max_tokens is not None:
        attributes[semconv.GEN_AI_REQUEST_MAX_TOKENS] = held.max_tokens
    if held.is_defaulted:
        attributes[semconv.MAX_TOKENS_DEFAULTED] = True
    if held.is_clipped:
        attributes[semconv.MAX_TOKENS_CLIPPED] = True
    if held.is_exceeded:
        attributes[semconv.ESTIMATE_EXCEEDED] = True
    if held.downgraded_for is not None:
        attributes[semconv.BUDGET_DOWNGRADED_FOR] = held.downgraded_for[0]
        attributes[semconv.BUDGET_DOWNGRADED_TO] = attempt.model


def _add_refusal(attributes: dict[str, AttributeValue], refusal: Refusal) -> None:
    attributes[semconv.BUDGET_DENIED_BY] = refusal.budget
    if refusal.scope:
        attributes[semconv.BUDGET_DENIED_SCOPE] = refusal.scope
    attributes[semconv.BUDGET_DENIAL_KIND] = refusal.kind


def _mark_failed(span: Span, record: CallRecord) -> None:
    failure = record.failure
    if failure is None:
        tracing.mark_failed(span, record.outcome.value)
        return
    description = failure.error_type
    if failure.status_code is not None:
        span.set_attribute(semconv.HTTP_RESPONSE_STATUS_CODE, failure.status_code)
        description = f"{failure.error_type}: HTTP {failure.status_code}"
    tracing.mark_failed(span, failure.error_type, description)


def _worth_telling(attempts: tuple[AttemptRecord, ...]) -> tuple[AttemptRecord, ...]:
    """Return those of which the span of the call does not say all: of a fallback it has neither provider nor model."""
    is_told = len(attempts) == 1 and attempts[0].reason is not AttemptReason.FALLBACK
    return () if is_told else attempts


def _write_attempt(parent: Span, attempt: AttemptRecord, *, started_ns: int) -> None:
    attributes: dict[str, AttributeValue] = {
        semconv.ATTEMPT_NUMBER: attempt.number,
        semconv.ATTEMPT_REASON: attempt.reason.value,
        semconv.ATTEMPT_MODEL: attempt.model,
        semconv.ATTEMPT_PROVIDER: attempt.provider,
        semconv.OUTCOME: str(attempt.outcome),
    }
    if attempt.usage is not None:
        attributes[semconv.ATTEMPT_INPUT_TOKENS] = attempt.usage.input_tokens
        attributes[semconv.ATTEMPT_OUTPUT_TOKENS] = attempt.usage.output_tokens
    if attempt.cost is not None:
        attributes[semconv.ATTEMPT_COST_NANO_USD] = attempt.cost.total_nano
    start_ns = started_ns + int(attempt.started_s * 1e9)
    span = tracing.start_span(
        f"attempt {attempt.number}", attributes, is_client=False, start_ns=start_ns, parent=parent
    )
    if attempt.failure is not None:
        if attempt.failure.status_code is not None:
            span.set_attribute(semconv.HTTP_RESPONSE_STATUS_CODE, attempt.failure.status_code)
        tracing.mark_failed(span, attempt.failure.error_type)
    span.end(end_time=start_ns + int(attempt.duration_s * 1e9))
