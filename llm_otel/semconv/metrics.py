"""Names, units, labels and buckets of our own metrics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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
_MODEL_LABELS = (LABEL_PROVIDER, LABEL_MODEL)
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
    "Time that the caller waited for providers: retries, pauses and the whole of a stream included.",
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

CIRCUIT_OPEN = MetricSpec(
    "llm_otel_circuit_open",
    "llm_otel.circuit.open",
    "",
    "Whether calls of a model are refused because too many failed, or only a probe may go: 1 or 0.",
    _MODEL_LABELS,
    is_per_model=False,
)
CIRCUIT_OPENED = MetricSpec(
    "llm_otel_circuit_opened_total",
    "llm_otel.circuit.opened",
    "{opening}",
    "Times that a circuit opened: because too many calls failed, or because its probe did.",
    _MODEL_LABELS,
    is_per_model=False,
)
CIRCUIT_REFUSALS = MetricSpec(
    "llm_otel_circuit_refusals_total",
    "llm_otel.circuit.refusals",
    "{attempt}",
    "Attempts that were not made because the circuit of the model was open.",
    _MODEL_LABELS,
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
CIRCUIT_METRICS = (CIRCUIT_OPEN, CIRCUIT_OPENED, CIRCUIT_REFUSALS)
_OF_THE_PROCESS = (INTERNAL_ERRORS, BUILD_INFO, PRICE_AGE, LEDGER_UP)
METRICS = (*PER_MODEL_METRICS, *CIRCUIT_METRICS, *_OF_THE_PROCESS, *BUDGET_GAUGES, *BUDGET_COUNTERS)

SAVED_BY_PROMPT_CACHE = "prompt_cache"
SAVED_BY_RESPONSE_CACHE = "response_cache"
SAVED_BY_DOWNGRADE = "downgrade"
ALL_SCOPES_LABEL = "__all__"
"""The scope of a budget that is split by what is no label, such as users: one series for all of them."""
