"""Every name that leaves the process: attributes, metrics, labels, units, buckets, events.

GenAI names follow open-telemetry/semantic-conventions-genai, main as of 2026-10-09 (commit 6fd0d763), stability
`development`. They are pinned here as literals: the constants of `opentelemetry-semantic-conventions` are frozen and
marked as moved, and lack the newest names. Cost attributes follow the open proposal
https://github.com/open-telemetry/semantic-conventions-genai/pull/443. Everything under `llm_otel.` is our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

INSTRUMENTATION_NAME = "llm_otel"
SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/1.42.0"

# --- GenAI spans: the operation and its request -----------------------------------------------------------------------
GEN_AI_OPERATION_NAME = "gen_ai.operation.name"
GEN_AI_PROVIDER_NAME = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_REQUEST_STREAM = "gen_ai.request.stream"
GEN_AI_REQUEST_TEMPERATURE = "gen_ai.request.temperature"
GEN_AI_REQUEST_TOP_P = "gen_ai.request.top_p"
GEN_AI_REQUEST_TOP_K = "gen_ai.request.top_k"
GEN_AI_REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
GEN_AI_REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences"
GEN_AI_REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
GEN_AI_REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
GEN_AI_REQUEST_SEED = "gen_ai.request.seed"
GEN_AI_REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count"
GEN_AI_REQUEST_REASONING_LEVEL = "gen_ai.request.reasoning.level"
GEN_AI_OUTPUT_TYPE = "gen_ai.output.type"
GEN_AI_WORKFLOW_NAME = "gen_ai.workflow.name"
OPENAI_REQUEST_SERVICE_TIER = "openai.request.service_tier"
OPENAI_RESPONSE_SERVICE_TIER = "openai.response.service_tier"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"

# --- GenAI spans: the response ----------------------------------------------------------------------------------------
GEN_AI_RESPONSE_ID = "gen_ai.response.id"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS = "gen_ai.usage.cache_write.input_tokens"
GEN_AI_USAGE_REASONING_OUTPUT_TOKENS = "gen_ai.usage.reasoning.output_tokens"
GEN_AI_USAGE_AUDIO_INPUT_TOKENS = "gen_ai.usage.audio.input_tokens"
GEN_AI_USAGE_AUDIO_OUTPUT_TOKENS = "gen_ai.usage.audio.output_tokens"
GEN_AI_USAGE_AUDIO_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.audio.cache_read.input_tokens"
GEN_AI_USAGE_IMAGE_INPUT_TOKENS = "gen_ai.usage.image.input_tokens"
GEN_AI_USAGE_IMAGE_OUTPUT_TOKENS = "gen_ai.usage.image.output_tokens"
GEN_AI_USAGE_COST_AMOUNT = "gen_ai.usage.cost.amount"
GEN_AI_USAGE_COST_CURRENCY = "gen_ai.usage.cost.currency"
GEN_AI_USAGE_COST_SOURCE = "gen_ai.usage.cost.source"
ERROR_TYPE = "error.type"
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"

CURRENCY_USD = "USD"
COST_SOURCE_LOCAL = "local"
"""`gen_ai.usage.cost.source` when the emitter computed the cost itself; `provider` is for a cost that was received."""
FINISH_REASON_ERROR = "error"
"""What stands in `finish_reasons` where a reason was expected and the answer was cut off before it came."""


class Operation(StrEnum):
    """Values of `gen_ai.operation.name` that this library emits."""

    CHAT = "chat"
    INVOKE_WORKFLOW = "invoke_workflow"


# --- our own span attributes ------------------------------------------------------------------------------------------
COST_NANO_USD = "llm_otel.cost.nano_usd"
PRICE_SOURCE = "llm_otel.price.source"
PRICE_DATE = "llm_otel.price.date"
USAGE_ESTIMATED = "llm_otel.usage.estimated"
OUTCOME = "llm_otel.outcome"
MOCK = "llm_otel.mock"
CACHE_HIT = "llm_otel.cache.hit"
TAG_PREFIX = "llm_otel.tag."
ATTEMPT_COUNT = "llm_otel.attempt.count"
ATTEMPT_NUMBER = "llm_otel.attempt.number"
ATTEMPT_REASON = "llm_otel.attempt.reason"
ATTEMPT_MODEL = "llm_otel.attempt.model"
ATTEMPT_PROVIDER = "llm_otel.attempt.provider"
ATTEMPT_INPUT_TOKENS = "llm_otel.attempt.input_tokens"
ATTEMPT_OUTPUT_TOKENS = "llm_otel.attempt.output_tokens"
ATTEMPT_COST_NANO_USD = "llm_otel.attempt.cost.nano_usd"
TOTAL_CALLS = "llm_otel.total.calls"
TOTAL_INPUT_TOKENS = "llm_otel.total.input_tokens"
TOTAL_OUTPUT_TOKENS = "llm_otel.total.output_tokens"
TOTAL_COST_USD = "llm_otel.total.cost_usd"
TOTAL_COST_NANO_USD = "llm_otel.total.cost.nano_usd"
TOTAL_UNPRICED_CALLS = "llm_otel.total.unpriced_calls"

BUDGET_IDS = "llm_otel.budget.ids"
BUDGET_HELD_NANO_USD = "llm_otel.budget.held.nano_usd"
BUDGET_DENIED_BY = "llm_otel.budget.denied_by"
BUDGET_DENIED_SCOPE = "llm_otel.budget.denied_scope"
BUDGET_DENIAL_KIND = "llm_otel.budget.denial_kind"
BUDGET_DOWNGRADED_FOR = "llm_otel.budget.downgraded_for"
BUDGET_DOWNGRADED_TO = "llm_otel.budget.downgraded_to"
ESTIMATE_EXCEEDED = "llm_otel.estimate.exceeded"
MAX_TOKENS_DEFAULTED = "llm_otel.max_tokens.defaulted"
MAX_TOKENS_CLIPPED = "llm_otel.max_tokens.clipped"
EVENT_BUDGET_ALERT = "llm_otel.budget.alert"
"""An event on the span of the call that took spend to a threshold."""
ALERT_BUDGET = "llm_otel.alert.budget"
ALERT_SCOPE = "llm_otel.alert.scope"
ALERT_FRACTION = "llm_otel.alert.fraction"
ALERT_SPENT_USD = "llm_otel.alert.spent_usd"
ALERT_LIMIT_USD = "llm_otel.alert.limit_usd"
ERROR_BUDGET_EXCEEDED = "budget_exceeded"
"""`error.type` of a call that a budget refused."""

# --- metrics ----------------------------------------------------------------------------------------------------------
LABEL_PROVIDER = "provider"
LABEL_MODEL = "model"
LABEL_OPERATION = "operation"
LABEL_OUTCOME = "outcome"
LABEL_REASON = "reason"
LABEL_TOKEN_TYPE = "token_type"  # noqa: S105  # a label's name; nothing secret
LABEL_BUDGET = "budget"
LABEL_SCOPE = "scope"
LABEL_STATE = "state"
_BUDGET_LABELS = (LABEL_BUDGET, LABEL_SCOPE)
LABEL_RECORDER = "recorder"
LABEL_VERSION = "version"
LABEL_LITELLM_VERSION = "litellm_version"
EXEMPLAR_TRACE_ID = "trace_id"
EXEMPLAR_SPAN_ID = "span_id"

OVERFLOW_LABEL = "__other__"
"""The value of a label whose cap on distinct values is used up."""
MISSING_TAG_LABEL = ""
"""The value of a tag label on a call without that tag: to Prometheus an empty label is an absent one."""


class TokenType(StrEnum):
    """Disjoint kinds of tokens: they add up to the total. `REQUEST` is what is not priced by the token."""

    INPUT = "input"
    CACHE_READ = "cache_read"
    CACHE_WRITE = "cache_write"
    OUTPUT = "output"
    REASONING = "reasoning"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric, under both its names.

    `otel_name` with `unit` turns into `prometheus_name` by the standard translation (units in braces are dropped,
    `s` becomes `_seconds`, monotonic counters get `_total`), so one dashboard serves both ways out.

    `labels` are those beside `provider`, `model`, `operation` and the allow-listed tags, or all of them where
    `is_per_model` is false.
    """

    prometheus_name: str
    otel_name: str
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    is_per_model: bool = True
    buckets: tuple[float, ...] = ()


DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Seconds; the bounds that the GenAI conventions give for every duration of a client."""
COST_BUCKETS = (
    1e-6, 1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""US dollars a request: half-decade steps where completions really lie (a tenth of a cent), to 10 USD."""

REQUESTS = MetricSpec(
    "llm_otel_requests_total",
    "llm_otel.requests",
    "{request}",
    "Completions, by how they ended.",
    (LABEL_OUTCOME,),
)
ATTEMPTS = MetricSpec(
    "llm_otel_attempts_total",
    "llm_otel.attempts",
    "{attempt}",
    "Requests sent to a provider: the first of each completion, its retries and its fallbacks.",
    (LABEL_OUTCOME, LABEL_REASON),
)
TOKENS = MetricSpec(
    "llm_otel_tokens_total",
    "llm_otel.tokens",
    "{token}",
    "Tokens, by disjoint kinds that add up.",
    (LABEL_TOKEN_TYPE,),
)
COST = MetricSpec(
    "llm_otel_cost_usd_total",
    "llm_otel.cost.usd",
    "{USD}",
    "Spend in US dollars at list or contracted prices, by the kind of token it was spent on.",
    (LABEL_TOKEN_TYPE,),
)
WASTED_COST = MetricSpec(
    "llm_otel_wasted_cost_usd_total",
    "llm_otel.wasted_cost.usd",
    "{USD}",
    "The part of the spend that bought no complete answer.",
    (LABEL_REASON,),
)
SAVED = MetricSpec(
    "llm_otel_saved_usd_total",
    "llm_otel.saved.usd",
    "{USD}",
    "US dollars not spent, by what saved them.",
    (LABEL_REASON,),
)
UNPRICED_REQUESTS = MetricSpec(
    "llm_otel_unpriced_requests_total",
    "llm_otel.unpriced_requests",
    "{request}",
    "Completions whose cost is not known, and so is in no other metric.",
)
ESTIMATED_REQUESTS = MetricSpec(
    "llm_otel_estimated_usage_requests_total",
    "llm_otel.estimated_usage_requests",
    "{request}",
    "Completions whose tokens were counted here because the provider reported none.",
)
REQUEST_DURATION = MetricSpec(
    "llm_otel_request_duration_seconds",
    "llm_otel.request.duration",
    "s",
    "Time that the caller waited: retries, pauses and the whole of a stream included.",
    buckets=DURATION_BUCKETS,
)
TIME_TO_FIRST_CHUNK = MetricSpec(
    "llm_otel_time_to_first_chunk_seconds",
    "llm_otel.time_to_first_chunk",
    "s",
    "Time from the call to the first generated content of a stream.",
    buckets=DURATION_BUCKETS,
)
REQUEST_COST = MetricSpec(
    "llm_otel_request_cost_usd",
    "llm_otel.request_cost.usd",
    "{USD}",
    "Spend of one completion in US dollars, all attempts included.",
    buckets=COST_BUCKETS,
)
REQUESTS_IN_FLIGHT = MetricSpec(
    "llm_otel_requests_in_flight",
    "llm_otel.requests_in_flight",
    "{request}",
    "Completions that have not ended.",
)
INTERNAL_ERRORS = MetricSpec(
    "llm_otel_internal_errors_total",
    "llm_otel.internal_errors",
    "{error}",
    "Failures inside the library that were kept from the caller.",
    (LABEL_RECORDER,),
    is_per_model=False,
)
BUILD_INFO = MetricSpec(
    "llm_otel_build_info",
    "llm_otel.build_info",
    "",
    "Always 1; the versions are in the labels.",
    (LABEL_VERSION, LABEL_LITELLM_VERSION),
    is_per_model=False,
)
PRICE_AGE = MetricSpec(
    "llm_otel_price_age_seconds",
    "llm_otel.price_age",
    "s",
    "Seconds since the newest price in use was checked against its source.",
    is_per_model=False,
)

BUDGET_LIMIT = MetricSpec(
    "llm_otel_budget_limit_usd",
    "llm_otel.budget.limit.usd",
    "{USD}",
    "What may be spent in one window of a budget.",
    _BUDGET_LABELS,
    is_per_model=False,
)
BUDGET_SPENT = MetricSpec(
    "llm_otel_budget_spent_usd",
    "llm_otel.budget.spent.usd",
    "{USD}",
    "Spend in the running window of a budget, as the ledger has it.",
    _BUDGET_LABELS,
    is_per_model=False,
)
BUDGET_HELD = MetricSpec(
    "llm_otel_budget_held_usd",
    "llm_otel.budget.held.usd",
    "{USD}",
    "Set aside for calls in flight, as the ledger has it.",
    _BUDGET_LABELS,
    is_per_model=False,
)
BUDGET_RESET_TIMESTAMP = MetricSpec(
    "llm_otel_budget_reset_timestamp_seconds",
    "llm_otel.budget.reset_timestamp",
    "s",
    "When the running window of a budget ends, in seconds since the epoch; absent for a lifetime.",
    _BUDGET_LABELS,
    is_per_model=False,
)
BUDGET_WINDOW = MetricSpec(
    "llm_otel_budget_window_seconds",
    "llm_otel.budget.window",
    "s",
    "The length of the running window of a budget; absent for a lifetime.",
    _BUDGET_LABELS,
    is_per_model=False,
)
BUDGET_SCOPES = MetricSpec(
    "llm_otel_budget_scopes",
    "llm_otel.budget.scopes",
    "{scope}",
    "Scopes of a budget that is split by what is no label, by how much of their limit is spent.",
    (LABEL_BUDGET, LABEL_STATE),
    is_per_model=False,
)
BUDGET_SPEND = MetricSpec(
    "llm_otel_budget_spend_usd_total",
    "llm_otel.budget.spend.usd",
    "{USD}",
    "Spend of this process that was charged to a budget.",
    _BUDGET_LABELS,
    is_per_model=False,
)
BUDGET_DENIALS = MetricSpec(
    "llm_otel_budget_denials_total",
    "llm_otel.budget.denials",
    "{request}",
    "Completions that a budget refused.",
    (*_BUDGET_LABELS, LABEL_REASON),
    is_per_model=False,
)
BUDGET_DOWNGRADES = MetricSpec(
    "llm_otel_budget_downgrades_total",
    "llm_otel.budget.downgrades",
    "{request}",
    "Requests that went to a cheaper model because of a budget.",
    _BUDGET_LABELS,
    is_per_model=False,
)
LEDGER_UP = MetricSpec(
    "llm_otel_ledger_up",
    "llm_otel.ledger.up",
    "",
    "Whether the ledger of the budgets answered this scrape: 1 or 0. While it does not, their gauges are absent.",
    is_per_model=False,
)

PER_MODEL_METRICS = (
    REQUESTS,
    ATTEMPTS,
    TOKENS,
    COST,
    WASTED_COST,
    SAVED,
    UNPRICED_REQUESTS,
    ESTIMATED_REQUESTS,
    REQUEST_DURATION,
    TIME_TO_FIRST_CHUNK,
    REQUEST_COST,
    REQUESTS_IN_FLIGHT,
)
BUDGET_GAUGES = (BUDGET_LIMIT, BUDGET_SPENT, BUDGET_HELD, BUDGET_RESET_TIMESTAMP, BUDGET_WINDOW, BUDGET_SCOPES)
"""Read from the ledger at each scrape, and the same from every process that shares it."""
BUDGET_COUNTERS = (BUDGET_SPEND, BUDGET_DENIALS, BUDGET_DOWNGRADES)
METRICS = (*PER_MODEL_METRICS, INTERNAL_ERRORS, BUILD_INFO, PRICE_AGE, LEDGER_UP, *BUDGET_GAUGES, *BUDGET_COUNTERS)

SAVED_BY_PROMPT_CACHE = "prompt_cache"
SAVED_BY_RESPONSE_CACHE = "response_cache"
SAVED_BY_DOWNGRADE = "downgrade"
ALL_SCOPES_LABEL = "__all__"
"""The scope of a budget that is split by what is no label, such as users: one series for all of them."""

# --- headers that providers answer with -------------------------------------------------------------------------------
HEADER_RETRY_AFTER = "retry-after"
HEADER_RETRY_AFTER_MS = "retry-after-ms"
HEADER_SHOULD_RETRY = "x-should-retry"
