"""The conventions as data: what a span of each kind is called and carries, and what our metrics look like.

Written down here once more, and independently of `llm_otel.semconv`: a name that is mistyped there must not be right
here. Sources: open-telemetry/semantic-conventions-genai, main as of 2026-10-09 (commit 6fd0d763), and the cost
attributes of its open proposal https://github.com/open-telemetry/semantic-conventions-genai/pull/443. What begins with
`llm_otel.` is our own registry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

Attributes = Mapping[str, Any]
"""The attributes of one span."""


class Level(Enum):
    """How strongly an attribute is asked for."""

    REQUIRED = "required"
    CONDITIONAL = "conditionally required"
    RECOMMENDED = "recommended"
    OPTIONAL = "recommended, and left to the caller's request or the provider's answer"
    OPT_IN = "opt-in"
    """Content: never there by default."""


class Kind(Enum):
    """The kinds of span that this library makes."""

    INFERENCE = "inference"
    EMBEDDINGS = "embeddings"
    ATTEMPT = "attempt"
    WORKFLOW = "workflow"
    ALERT = "alert"


Type = Literal["string", "int", "double", "boolean", "string[]"]
Where = Callable[[Attributes], bool]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of one kind of span.

    Attributes:
        where: Tells, from the other attributes, whether it has to be there; used with `CONDITIONAL` and `RECOMMENDED`.
        is_exact: Where `where` says no, it may not be there either.
        values: The only values it can have.
        pattern: What its text matches as a whole.
        least: The smallest number it can have.
    """

    type: Type
    level: Level
    where: Where | None = None
    is_exact: bool = False
    values: frozenset[Any] | None = None
    pattern: re.Pattern[str] | None = None
    least: float | None = None


@dataclass(frozen=True, slots=True)
class SpanConvention:
    """One kind of span.

    Attributes:
        named_by: The attributes whose values make up the name, in order; absent ones are left out.
        templates: Attributes with a free last part, by their prefix.
    """

    named_by: tuple[str, ...]
    span_kind: Literal["CLIENT", "INTERNAL"]
    attributes: Mapping[str, Attribute]
    templates: Mapping[str, Attribute]


SCOPE_NAME = "llm_otel"
SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/1.42.0"

ANSWERED = frozenset({"success", "cached"})
FAILED = frozenset({"error", "denied", "cancelled"})
OUTCOMES = ANSWERED | FAILED | {"abandoned"}
DENIAL_KINDS = frozenset({"exhausted", "in_flight", "too_large", "unknown_price", "store_unavailable"})

CAPABILITIES = frozenset({"simple", "moderate", "complex", "coding", "research"})

WELL_KNOWN_PROVIDERS = frozenset(
    [
        "openai",
        "anthropic",
        "aws.bedrock",
        "azure.ai.openai",
        "azure.ai.inference",
        "gcp.gemini",
        "gcp.vertex_ai",
        "gcp.gen_ai",
        "cohere",
        "deepseek",
        "groq",
        "ibm.watsonx.ai",
        "mistral_ai",
        "moonshot_ai",
        "perplexity",
        "x_ai",
    ]
)
NOT_THE_WELL_KNOWN_NAME = {
    "text-completion-openai": "openai",
    "azure": "azure.ai.openai",
    "azure_text": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "anthropic_text": "anthropic",
    "claude": "anthropic",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
    "watsonx": "ibm.watsonx.ai",
    "cohere_chat": "cohere",
    "moonshot": "moonshot_ai",
}
"""What LiteLLM and people call providers that have a well-known value, which then MUST be used."""

OPENAI_API = frozenset({"openai", "azure.ai.openai"})
"""Whose spans may carry the attributes of the OpenAI refinement."""

OPERATIONS = frozenset(
    [
        "chat",
        "text_completion",
        "generate_content",
        "embeddings",
        "retrieval",
        "fetch_response",
        "execute_tool",
        "invoke_agent",
        "create_agent",
        "invoke_workflow",
        "plan",
        "create_memory_store",
        "delete_memory_store",
        "create_memory",
        "update_memory",
        "upsert_memory",
        "delete_memory",
        "search_memory",
    ]
)
INFERENCE_OPERATIONS = frozenset({"chat", "text_completion", "generate_content"})

_IDENTIFIER = re.compile(r"[A-Za-z_][\w.<>]*|[1-5]\d\d")
"""An exception's (qualified) name, a provider's code or a status: low in cardinality, never a message."""
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_CURRENCY = re.compile(r"[A-Z]{3}")


def _outcome_in(outcomes: frozenset[str]) -> Where:
    return lambda attributes: attributes.get("llm_otel.outcome") in outcomes


def _has(name: str) -> Where:
    return lambda attributes: name in attributes


def _has_begun_to_answer(attributes: Attributes) -> bool:
    """Whether content is known to have come: the whole of it, or the first chunk."""
    return _is_answered(attributes) or "gen_ai.response.time_to_first_chunk" in attributes


def _is_asked_and_answers(attributes: Attributes) -> bool:
    """Whether a request was sent, and content came: an answer from our own cache uses no tokens."""
    return _has_begun_to_answer(attributes) and attributes.get("llm_otel.attempt.count") != 0


_is_answered = _outcome_in(ANSWERED)
_is_answered_stream: Where = lambda attributes: _is_answered(attributes) and "gen_ai.request.stream" in attributes
_is_answered_with_numbers: Where = lambda attributes: (
    _is_answered(attributes) and "base64" not in attributes.get("gen_ai.request.encoding_formats", ())
)
_is_denied = _outcome_in(frozenset({"denied"}))
_is_of_openai: Where = lambda attributes: attributes.get("gen_ai.provider.name") in OPENAI_API


def _text(level: Level, where: Where | None = None, **more: Any) -> Attribute:
    return Attribute("string", level, where, **more)


def _count(level: Level, where: Where | None = None, *, least: float = 0, **more: Any) -> Attribute:
    return Attribute("int", level, where, least=least, **more)


def _double(level: Level, where: Where | None = None, **more: Any) -> Attribute:
    return Attribute("double", level, where, **more)


_FLAG = Attribute("boolean", Level.OPTIONAL, values=frozenset({True}))
"""Said where it is so, and left out otherwise."""
_CONTENT = Attribute("string", Level.OPT_IN)
_TAGS = {"llm_otel.tag.": _text(Level.OPTIONAL)}

_STATUS = {
    "error.type": _text(Level.CONDITIONAL, _outcome_in(FAILED), is_exact=True, pattern=_IDENTIFIER),
    "http.response.status_code": Attribute("int", Level.OPTIONAL, least=400),
}
_MESSAGES = dict.fromkeys(("gen_ai.input.messages", "gen_ai.output.messages"), _CONTENT)

_REQUEST = {
    "gen_ai.operation.name": _text(Level.REQUIRED, values=INFERENCE_OPERATIONS),
    "gen_ai.provider.name": _text(Level.REQUIRED),
    "gen_ai.request.model": _text(Level.OPTIONAL),
    "gen_ai.conversation.id": _text(Level.OPTIONAL),
    "gen_ai.output.type": _text(Level.OPTIONAL, values=frozenset({"text", "json", "image", "speech"})),
    "gen_ai.request.choice.count": _count(Level.OPTIONAL, least=2),
    "gen_ai.request.seed": Attribute("int", Level.OPTIONAL),
    "gen_ai.request.stream": _FLAG,
    "gen_ai.request.top_k": Attribute("int", Level.OPTIONAL),
    "gen_ai.request.temperature": _double(Level.OPTIONAL),
    "gen_ai.request.top_p": _double(Level.OPTIONAL),
    "gen_ai.request.frequency_penalty": _double(Level.OPTIONAL),
    "gen_ai.request.presence_penalty": _double(Level.OPTIONAL),
    "gen_ai.request.max_tokens": Attribute("int", Level.OPTIONAL),
    "gen_ai.request.stop_sequences": Attribute("string[]", Level.OPTIONAL),
    "gen_ai.request.reasoning.level": _text(Level.OPTIONAL),
    "gen_ai.request.previous_response.id": _text(Level.OPTIONAL),
    "openai.api.type": _text(Level.OPTIONAL, values=frozenset({"chat_completions", "responses"})),
    "server.address": _text(Level.RECOMMENDED, _is_answered),
    "server.port": _count(Level.CONDITIONAL, _has("server.address"), is_exact=True, least=1),
    "openai.request.service_tier": _text(Level.OPTIONAL, pattern=re.compile(r"(?!auto$).+")),
}
_RESPONSE = {
    "gen_ai.response.id": _text(Level.RECOMMENDED, _is_answered),
    "gen_ai.response.model": _text(Level.RECOMMENDED, _is_answered),
    "gen_ai.response.finish_reasons": Attribute("string[]", Level.RECOMMENDED, _has_begun_to_answer),
    "gen_ai.response.time_to_first_chunk": _double(Level.OPTIONAL, least=0),
    "openai.response.service_tier": _text(Level.OPTIONAL),
    "gen_ai.usage.input_tokens": _count(Level.RECOMMENDED, _is_asked_and_answers),
    "gen_ai.usage.output_tokens": _count(Level.RECOMMENDED, _is_asked_and_answers),
    "gen_ai.usage.cache_read.input_tokens": _count(Level.OPTIONAL),
    "gen_ai.usage.cache_write.input_tokens": _count(Level.OPTIONAL),
    "gen_ai.usage.reasoning.output_tokens": _count(Level.OPTIONAL),
    **{
        f"gen_ai.usage.{modality}.{part}_tokens": _count(Level.OPTIONAL)
        for modality in ("text", "image", "audio")
        for part in ("input", "output", "cache_read.input")
    },
}
_COST = {
    "gen_ai.usage.cost.amount": _double(Level.OPTIONAL, least=0),
    "gen_ai.usage.cost.currency": _text(
        Level.CONDITIONAL, _has("gen_ai.usage.cost.amount"), is_exact=True, pattern=_CURRENCY
    ),
    "gen_ai.usage.cost.source": _text(
        Level.CONDITIONAL,
        _has("gen_ai.usage.cost.amount"),
        is_exact=True,
        values=frozenset({"provider", "local"}),
    ),
}
_OWN_ON_INFERENCE = {
    "llm_otel.outcome": _text(Level.REQUIRED, values=OUTCOMES),
    "llm_otel.cost.nano_usd": _count(Level.CONDITIONAL, _has("gen_ai.usage.cost.amount"), is_exact=True),
    "llm_otel.price.source": _text(Level.OPTIONAL),
    "llm_otel.price.date": _text(Level.OPTIONAL, pattern=_ISO_DATE),
    "llm_otel.usage.estimated": _FLAG,
    "llm_otel.mock": _FLAG,
    "llm_otel.cache.hit": Attribute(
        "boolean", Level.CONDITIONAL, _outcome_in(frozenset({"cached"})), is_exact=True, values=frozenset({True})
    ),
    "llm_otel.attempt.count": _count(Level.OPTIONAL),
    "llm_otel.budget.ids": Attribute("string[]", Level.OPTIONAL),
    "llm_otel.budget.held.nano_usd": _count(Level.OPTIONAL),
    "llm_otel.budget.denied_by": _text(Level.CONDITIONAL, _is_denied, is_exact=True),
    "llm_otel.budget.denied_scope": _text(Level.OPTIONAL),
    "llm_otel.budget.denial_kind": _text(Level.CONDITIONAL, _is_denied, is_exact=True, values=DENIAL_KINDS),
    "llm_otel.budget.downgraded_for": _text(Level.OPTIONAL),
    "llm_otel.budget.downgraded_to": _text(Level.CONDITIONAL, _has("llm_otel.budget.downgraded_for"), is_exact=True),
    "llm_otel.route.policy": _text(Level.CONDITIONAL, _has("llm_otel.route.reason_codes"), is_exact=True),
    "llm_otel.route.reason_codes": Attribute("string[]", Level.OPTIONAL),
    "llm_otel.route.candidates": Attribute(
        "string[]", Level.CONDITIONAL, _has("llm_otel.route.reason_codes"), is_exact=True
    ),
    "llm_otel.route.score": _double(Level.OPTIONAL, least=0),
    "llm_otel.route.capability": _text(Level.OPTIONAL, values=CAPABILITIES),
    "llm_otel.route.original_model": _text(Level.OPTIONAL),
    "llm_otel.route.observed_model": _text(Level.OPTIONAL),
    "llm_otel.route.estimated_cost_usd": _double(Level.OPTIONAL, least=0),
    "llm_otel.route.estimated_saved_usd": _double(Level.OPTIONAL, least=0),
    "llm_otel.estimate.exceeded": _FLAG,
    "llm_otel.max_tokens.defaulted": _FLAG,
    "llm_otel.max_tokens.clipped": _FLAG,
    "llm_otel.content.truncated": _count(Level.OPTIONAL, least=1),
    "llm_otel.content.dropped": _count(Level.OPTIONAL, least=1),
}

INFERENCE = SpanConvention(
    named_by=("gen_ai.operation.name", "gen_ai.request.model"),
    span_kind="CLIENT",
    attributes={
        **_REQUEST,
        **_RESPONSE,
        **_COST,
        **_STATUS,
        **_OWN_ON_INFERENCE,
        **_MESSAGES,
        "gen_ai.system_instructions": _CONTENT,
        "gen_ai.tool.definitions": _CONTENT,
    },
    templates=_TAGS,
)

EMBEDDINGS = SpanConvention(
    named_by=("gen_ai.operation.name", "gen_ai.request.model"),
    span_kind="CLIENT",
    attributes={
        "gen_ai.operation.name": _text(Level.REQUIRED, values=frozenset({"embeddings"})),
        "gen_ai.provider.name": _text(Level.REQUIRED),
        "gen_ai.request.model": _text(Level.OPTIONAL),
        "gen_ai.conversation.id": _text(Level.OPTIONAL),
        "gen_ai.request.encoding_formats": Attribute("string[]", Level.OPTIONAL),
        "gen_ai.embeddings.dimension.count": _count(Level.RECOMMENDED, _is_answered_with_numbers, least=1),
        "gen_ai.response.model": _text(Level.RECOMMENDED, _is_answered),
        "gen_ai.usage.input_tokens": _count(Level.RECOMMENDED, _is_answered),
        "server.address": _text(Level.RECOMMENDED, _is_answered),
        "server.port": _count(Level.CONDITIONAL, _has("server.address"), is_exact=True, least=1),
        **_COST,
        **_STATUS,
        **_OWN_ON_INFERENCE,
    },
    templates=_TAGS,
)

ATTEMPT = SpanConvention(
    named_by=("llm_otel.attempt.number",),
    span_kind="INTERNAL",
    attributes={
        **_STATUS,
        "llm_otel.outcome": _text(Level.REQUIRED, values=OUTCOMES),
        "llm_otel.attempt.number": _count(Level.REQUIRED, least=1),
        "llm_otel.attempt.reason": _text(Level.REQUIRED, values=frozenset({"first", "retry", "fallback"})),
        "llm_otel.attempt.model": _text(Level.REQUIRED),
        "llm_otel.attempt.provider": _text(Level.REQUIRED),
        "llm_otel.attempt.input_tokens": _count(Level.RECOMMENDED, _is_answered),
        "llm_otel.attempt.output_tokens": _count(Level.RECOMMENDED, _is_answered),
        "llm_otel.attempt.cost.nano_usd": _count(Level.OPTIONAL),
    },
    templates={},
)
"""Ours: there is no convention for attempts. Its name is `attempt {number}`."""

WORKFLOW = SpanConvention(
    named_by=("gen_ai.operation.name", "gen_ai.workflow.name"),
    span_kind="INTERNAL",
    attributes={
        "gen_ai.operation.name": _text(Level.REQUIRED, values=frozenset({"invoke_workflow"})),
        "gen_ai.workflow.name": _text(Level.OPTIONAL),
        "gen_ai.conversation.id": _text(Level.OPTIONAL),
        "error.type": _text(Level.OPTIONAL, pattern=_IDENTIFIER),
        "llm_otel.total.calls": _count(Level.REQUIRED),
        "llm_otel.total.input_tokens": _count(Level.REQUIRED),
        "llm_otel.total.output_tokens": _count(Level.REQUIRED),
        "llm_otel.total.cost_usd": _double(Level.REQUIRED, least=0),
        "llm_otel.total.cost.nano_usd": _count(Level.REQUIRED),
        "llm_otel.total.unpriced_calls": _count(Level.OPTIONAL, least=1),
        **_MESSAGES,
    },
    templates=_TAGS,
)

ALERT = SpanConvention(
    named_by=("llm_otel.alert.budget",),
    span_kind="INTERNAL",
    attributes={
        "llm_otel.alert.budget": _text(Level.REQUIRED),
        "llm_otel.alert.scope": Attribute("string", Level.REQUIRED),
        "llm_otel.alert.fraction": _double(Level.REQUIRED, least=0),
        "llm_otel.alert.spent_usd": _double(Level.REQUIRED, least=0),
        "llm_otel.alert.limit_usd": _double(Level.REQUIRED, least=0),
    },
    templates={},
)
"""A threshold of a budget that was noticed after its call's span had ended. Its name is `budget_alert {budget}`."""

EVENTS: Mapping[str, Mapping[str, Attribute]] = {"llm_otel.budget.alert": ALERT.attributes}
"""What may stand on an inference span as an event: usually the same threshold."""


@dataclass(frozen=True, slots=True)
class LogConvention:
    """One kind of event that is a log record: all of it stands in attributes, and there is no body."""

    severity: str
    number: int
    attributes: Mapping[str, Attribute]
    templates: Mapping[str, Attribute]


LOG_EVENTS: Mapping[str, LogConvention] = {
    # "Exactly the set of the inference span", content as structures.
    "gen_ai.client.inference.operation.details": LogConvention("DEBUG", 5, INFERENCE.attributes, INFERENCE.templates),
    # Its span's attributes may be copied: enough of them to read it alone. No message: it quotes prompts.
    "gen_ai.client.operation.exception": LogConvention(
        "WARN",
        13,
        {
            "exception.type": _text(Level.REQUIRED, pattern=_IDENTIFIER),
            "gen_ai.operation.name": _text(Level.REQUIRED, values=OPERATIONS),
            "gen_ai.provider.name": _text(Level.REQUIRED),
            "gen_ai.request.model": _text(Level.OPTIONAL),
            "http.response.status_code": Attribute("int", Level.OPTIONAL, least=400),
        },
        {},
    ),
}
"""Of embeddings there is only the exception."""

CONVENTIONS: Mapping[Kind, SpanConvention] = {
    Kind.ALERT: ALERT,
    Kind.INFERENCE: INFERENCE,
    Kind.EMBEDDINGS: EMBEDDINGS,
    Kind.ATTEMPT: ATTEMPT,
    Kind.WORKFLOW: WORKFLOW,
}

PARTS_OF = {
    "gen_ai.usage.cache_read.input_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.cache_write.input_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.text.input_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.image.input_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.audio.input_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.text.cache_read.input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.image.cache_read.input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.audio.cache_read.input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.reasoning.output_tokens": "gen_ai.usage.output_tokens",
    "gen_ai.usage.text.output_tokens": "gen_ai.usage.output_tokens",
    "gen_ai.usage.image.output_tokens": "gen_ai.usage.output_tokens",
    "gen_ai.usage.audio.output_tokens": "gen_ai.usage.output_tokens",
}
"""Counts that are parts of another."""

DISJOINT = (
    (
        "gen_ai.usage.input_tokens",
        ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"),
    ),
    (
        "gen_ai.usage.input_tokens",
        ("gen_ai.usage.text.input_tokens", "gen_ai.usage.image.input_tokens", "gen_ai.usage.audio.input_tokens"),
    ),
    (
        "gen_ai.usage.output_tokens",
        ("gen_ai.usage.text.output_tokens", "gen_ai.usage.image.output_tokens", "gen_ai.usage.audio.output_tokens"),
    ),
)
"""Parts that do not overlap, so that together they are no more than the whole."""


# --- resources --------------------------------------------------------------------------------------------------------

RESOURCE = frozenset({"service.name", "service.instance.id", "deployment.environment.name"})
"""What we say of a process ourselves; the rest is the SDK's."""


# --- metrics ----------------------------------------------------------------------------------------------------------

MetricType = Literal["counter", "histogram", "gauge"]


@dataclass(frozen=True, slots=True)
class MetricConvention:
    """One of our metrics, as Prometheus sees it.

    Attributes:
        labels: Beside provider, model, operation and the tags, or all of them where `is_per_model` is false.
        values: What a label can say, where that is a closed set.
    """

    type: MetricType
    unit: str
    labels: tuple[str, ...] = ()
    values: Mapping[str, frozenset[str]] | None = None
    is_per_model: bool = True


_OUTCOME = {"outcome": OUTCOMES}
_BUDGET = ("budget", "scope")
_TOKEN_TYPES = frozenset({"input", "cache_read", "cache_write", "output", "reasoning"})

METRICS: Mapping[str, MetricConvention] = {
    "llm_otel_requests_total": MetricConvention("counter", "{request}", ("outcome",), _OUTCOME),
    "llm_otel_attempts_total": MetricConvention(
        "counter",
        "{attempt}",
        ("outcome", "reason"),
        {"outcome": OUTCOMES - {"denied"}, "reason": frozenset({"first", "retry", "fallback"})},
    ),
    "llm_otel_tokens_total": MetricConvention("counter", "{token}", ("token_type",), {"token_type": _TOKEN_TYPES}),
    "llm_otel_cost_usd_total": MetricConvention(
        "counter", "{USD}", ("token_type",), {"token_type": _TOKEN_TYPES | {"request"}}
    ),
    "llm_otel_wasted_cost_usd_total": MetricConvention(
        "counter", "{USD}", ("reason",), {"reason": frozenset({"error", "retry", "cancelled", "abandoned"})}
    ),
    "llm_otel_saved_usd_total": MetricConvention(
        "counter",
        "{USD}",
        ("reason",),
        {"reason": frozenset({"prompt_cache", "response_cache", "downgrade"})},
    ),
    "llm_otel_unpriced_requests_total": MetricConvention("counter", "{request}"),
    "llm_otel_estimated_usage_requests_total": MetricConvention("counter", "{request}"),
    "llm_otel_request_duration_seconds": MetricConvention("histogram", "s"),
    "llm_otel_time_to_first_chunk_seconds": MetricConvention("histogram", "s"),
    "llm_otel_request_cost_usd": MetricConvention("histogram", "{USD}"),
    "llm_otel_requests_in_flight": MetricConvention("gauge", "{request}"),
    "llm_otel_circuit_open": MetricConvention("gauge", "", ("provider", "model"), is_per_model=False),
    "llm_otel_circuit_opened_total": MetricConvention(
        "counter", "{opening}", ("provider", "model"), is_per_model=False
    ),
    "llm_otel_circuit_refusals_total": MetricConvention(
        "counter", "{attempt}", ("provider", "model"), is_per_model=False
    ),
    "llm_otel_internal_errors_total": MetricConvention("counter", "{error}", ("recorder",), is_per_model=False),
    "llm_otel_build_info": MetricConvention("gauge", "", ("version", "litellm_version"), is_per_model=False),
    "llm_otel_price_age_seconds": MetricConvention("gauge", "s", is_per_model=False),
    "llm_otel_ledger_up": MetricConvention("gauge", "", is_per_model=False),
    "llm_otel_budget_limit_usd": MetricConvention("gauge", "{USD}", _BUDGET, is_per_model=False),
    "llm_otel_budget_spent_usd": MetricConvention("gauge", "{USD}", _BUDGET, is_per_model=False),
    "llm_otel_budget_held_usd": MetricConvention("gauge", "{USD}", _BUDGET, is_per_model=False),
    "llm_otel_budget_reset_timestamp_seconds": MetricConvention("gauge", "s", _BUDGET, is_per_model=False),
    "llm_otel_budget_window_seconds": MetricConvention("gauge", "s", _BUDGET, is_per_model=False),
    "llm_otel_budget_scopes": MetricConvention(
        "gauge",
        "{scope}",
        ("budget", "state"),
        {"state": frozenset({"ok", "near", "exceeded"})},
        is_per_model=False,
    ),
    "llm_otel_budget_spend_usd_total": MetricConvention("counter", "{USD}", _BUDGET, is_per_model=False),
    "llm_otel_budget_denials_total": MetricConvention(
        "counter", "{request}", (*_BUDGET, "reason"), {"reason": DENIAL_KINDS}, is_per_model=False
    ),
    "llm_otel_budget_downgrades_total": MetricConvention("counter", "{request}", _BUDGET, is_per_model=False),
}
PER_MODEL_LABELS = ("provider", "model", "operation")
NEVER_A_LABEL = frozenset({"user", "key", "api_key", "prompt", "trace_id", "span_id", "url", "error", "error_type"})
"""What has no bound or is nobody's business: exemplars carry the trace."""
DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""What the conventions give for every duration of a client."""


# --- the metrics of the conventions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InstrumentConvention:
    """One metric of the GenAI conventions, as a reader of the SDK sees it. Histograms have bucket bounds."""

    unit: str
    attributes: Mapping[str, Attribute]
    buckets: tuple[float, ...] = ()


TOKEN_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
WORKFLOW_BUCKETS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)


def _of(operations: frozenset[str], more: Mapping[str, Attribute] | None = None) -> Mapping[str, Attribute]:
    """Return the attributes of a client's operation, and further ones."""
    return {
        "gen_ai.operation.name": _text(Level.REQUIRED, values=operations),
        "gen_ai.provider.name": _text(Level.REQUIRED),
        "gen_ai.request.model": _text(Level.OPTIONAL),
        "gen_ai.response.model": _text(Level.OPTIONAL),
        "server.address": _text(Level.OPTIONAL),
        "server.port": _count(Level.CONDITIONAL, _has("server.address"), is_exact=True, least=1),
        **(more or {}),
    }


_ERROR = {"error.type": _text(Level.OPTIONAL, pattern=_IDENTIFIER)}
_INFERENCES = _of(INFERENCE_OPERATIONS)
_CALLS = INFERENCE_OPERATIONS | {"embeddings"}
_MODALITY = _text(Level.REQUIRED, values=frozenset({"text", "image", "audio", "unknown"}))
_TOKENS_USED = InstrumentConvention("{token}", _of(INFERENCE_OPERATIONS, {"gen_ai.token.modality": _MODALITY}))
_TOKENS_OF_ONE = InstrumentConvention("{token}", _INFERENCES, TOKEN_BUCKETS)

LATEST_GENAI_METRICS: Mapping[str, InstrumentConvention] = {
    "gen_ai.client.inference.duration": InstrumentConvention("s", _of(INFERENCE_OPERATIONS, _ERROR), DURATION_BUCKETS),
    "gen_ai.client.inference.time_to_first_chunk": InstrumentConvention("s", _INFERENCES, DURATION_BUCKETS),
    "gen_ai.client.inference.time_per_output_chunk": InstrumentConvention("s", _INFERENCES, DURATION_BUCKETS),
    "gen_ai.client.inference.usage.input_tokens": _TOKENS_USED,
    "gen_ai.client.inference.usage.output_tokens": _TOKENS_USED,
    "gen_ai.client.inference.usage.cache_read.input_tokens": _TOKENS_USED,
    "gen_ai.client.inference.usage.cache_write.input_tokens": _TOKENS_USED,
    "gen_ai.client.inference.usage.reasoning.output_tokens": _TOKENS_USED,
    "gen_ai.client.inference.operation.input_tokens": _TOKENS_OF_ONE,
    "gen_ai.client.inference.operation.output_tokens": _TOKENS_OF_ONE,
    "gen_ai.client.operation.duration": InstrumentConvention(
        "s", _of(frozenset({"embeddings"}), _ERROR), DURATION_BUCKETS
    ),
    "gen_ai.invoke_workflow.duration": InstrumentConvention(
        "s", {"gen_ai.workflow.name": _text(Level.OPTIONAL), **_ERROR}, WORKFLOW_BUCKETS
    ),
}
LEGACY_GENAI_METRICS: Mapping[str, InstrumentConvention] = {
    "gen_ai.client.operation.duration": InstrumentConvention("s", _of(_CALLS, _ERROR), DURATION_BUCKETS),
    "gen_ai.client.token.usage": InstrumentConvention(
        "{token}",
        _of(_CALLS, {"gen_ai.token.type": _text(Level.REQUIRED, values=frozenset({"input", "output"}))}),
        TOKEN_BUCKETS,
    ),
    "gen_ai.client.operation.time_to_first_chunk": InstrumentConvention("s", _INFERENCES, DURATION_BUCKETS),
    "gen_ai.client.operation.time_per_output_chunk": InstrumentConvention("s", _INFERENCES, DURATION_BUCKETS),
}
"""As of v1.41 of the core conventions. What both generations have is wider here."""
GENAI_METRICS = LATEST_GENAI_METRICS | LEGACY_GENAI_METRICS
