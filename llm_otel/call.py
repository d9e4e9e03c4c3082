"""The facts of one call: what was asked, how each attempt went, how it ended.

Plain values without behaviour of their own. `CallRecord` is what every recorder gets, so that the span, the metrics
and the tracker cannot disagree: they read the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from llm_otel.values import value

if TYPE_CHECKING:
    from llm_otel.pricing.rate import CostBreakdown
    from llm_otel.usage import Usage

NO_TAGS: Mapping[str, str] = MappingProxyType({})

Parameters = Mapping[str, str | int | float | tuple[str, ...]]
NO_PARAMETERS: Parameters = MappingProxyType({})


class Outcome(StrEnum):
    """How a call, or one attempt of it, ended. Exactly one for each."""

    SUCCESS = "success"
    ERROR = "error"
    DENIED = "denied"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"
    CACHED = "cached"


UNASKED = (Outcome.DENIED, Outcome.CACHED)
"""Endings that no provider brought about: how quick they are would flatter its latency."""


class AttemptReason(StrEnum):
    """Why a request was sent."""

    FIRST = "first"
    RETRY = "retry"
    FALLBACK = "fallback"


class FailureKind(StrEnum):
    """What a refusal is about, where something else than to wait may help."""

    OTHER = "other"
    NO_KEY = "no_key"
    """There is no key to send the request with: nothing was sent."""
    CONTEXT_WINDOW = "context_window"
    """The request is too long for the model."""
    CONTENT_POLICY = "content_policy"
    """The provider does not want to answer what was asked."""


class Charge(StrEnum):
    """What a provider may bill for an attempt that brought no usage."""

    NOTHING = "nothing"
    """It answered with an error status before any content, or was never reached."""
    RECEIVED = "received"
    """It had the request: the input, and whatever output came back. A lower bound."""


@value
class CallRequest:
    """One completion, as asked for.

    Attributes:
        operation: The `gen_ai.operation.name` value.
        provider: The `gen_ai.provider.name` value.
        model: The model as asked for, without LiteLLM's prefix; the `model` label.
        litellm_model: The model as LiteLLM takes it, prefix and all.
        parameters: What shapes the answer, as the caller gave it, by its span attribute.
        route: Why the model was chosen, by span attribute; empty where the caller named it.
        base_model: The model behind `model` where that is the name of a deployment (LiteLLM's `base_model`): its prices
            and limits hold.
        service_tier: The one asked for, which has prices of its own.
        tags: Who and what the call is for; the scope's tags are merged in already.
        conversation_id: The conversation that it belongs to, where the application named one; `OpenCall` writes it in.
        messages: What was sent: the conversation, a prompt, the input of embeddings or of a response. Counted when the
            provider reports no usage; recorded only where somebody asks for it.
        instructions: What goes before it (`instructions` of responses).
    """

    operation: str
    provider: str
    model: str
    litellm_model: str
    is_streaming: bool = False
    is_mock: bool = False
    parameters: Parameters = field(default_factory=lambda: NO_PARAMETERS)
    route: Parameters = field(default_factory=lambda: NO_PARAMETERS)
    base_model: str | None = None
    service_tier: str | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: NO_TAGS)
    conversation_id: str | None = None
    server_address: str | None = None
    server_port: int | None = None
    messages: Any = field(default=None, repr=False, compare=False)
    instructions: Any = field(default=None, repr=False, compare=False)
    tools: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an attempt brought no answer, read off the exception once.

    Attributes:
        error_type: The class name of the exception: low cardinality, the same on span and error.
        status_code: The HTTP status that the provider answered with; `None` if it did not answer.
        retry_after_s: What the provider asked to wait, in seconds.
        is_retryable: Whether the same request may succeed later.
        charge: What the provider may bill all the same.
        kind: What it is about.
    """

    error_type: str
    status_code: int | None = None
    retry_after_s: float | None = None
    is_retryable: bool = False
    charge: Charge = Charge.NOTHING
    kind: FailureKind = FailureKind.OTHER


@value
class Answer:
    """What a provider's response says of itself, whole or as far as it came.

    Attributes:
        usage: As reported; `None` where the provider reported nothing.
        text: The output received, for counting when there is no usage; recorded nowhere.
        is_cache_hit: Answered from a response cache, ours or LiteLLM's own: it cost nothing.
        error_type: Why the provider failed, where it said so in an answer; `None` if it did not.
        dimensions: The length of the vectors; `None` where they are none.
    """

    usage: Usage | None = None
    response_id: str | None = None
    response_model: str | None = None
    finish_reasons: tuple[str, ...] = ()
    service_tier: str | None = None
    is_cache_hit: bool = False
    error_type: str | None = None
    dimensions: int | None = None
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """How an attempt was held to its budgets.

    Attributes:
        budgets: The declared ones, each with its scope; those of single runs are not among them.
        amount_nano: nano-USD that were held; `None` where the ledger was out, or nothing had to be held.
        max_tokens: The output limit that was sent because of a budget; `None` where the caller's was.
        is_defaulted: The caller gave no output limit.
        is_clipped: More output was not affordable.
        is_exceeded: The provider billed more than was held.
        downgraded_for: The budget, with its scope, that had a cheaper model taken; `None` for the one asked for.
        saved_nano: nano-USD that the same usage would have cost more with the model that a budget changed.
    """

    budgets: tuple[tuple[str, str], ...] = ()
    amount_nano: int | None = None
    max_tokens: int | None = None
    is_defaulted: bool = False
    is_clipped: bool = False
    is_exceeded: bool = False
    downgraded_for: tuple[str, str] | None = None
    saved_nano: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Which budget refused a call, and why: a `DenialKind`'s value."""

    budget: str
    scope: str
    kind: str
    is_declared: bool


@value
class AttemptRecord:
    """One request to a provider, ended.

    Attributes:
        number: 1 for the first.
        started_s: Seconds after the start of the call.
        usage: `None` where nothing was billed and nothing reported.
        cost: `None` where the cost is not known; a cost of 0 is known to be 0.
        held: `None` where no budget was concerned.
    """

    number: int
    reason: AttemptReason
    provider: str
    model: str
    outcome: Outcome
    started_s: float
    duration_s: float
    failure: Failure | None = None
    usage: Usage | None = None
    cost: CostBreakdown | None = None
    held: Held | None = None

    @property
    def is_unpriced(self) -> bool:
        """Whether tokens were used that no price is known for."""
        return self.cost is None and self.usage is not None


class TraceRef(Protocol):
    """Where the call stands in a trace, for exemplars and logs: an OpenTelemetry `SpanContext`, as it is.

    It is read where it is shown, since most calls are shown nowhere.
    """

    @property
    def trace_id(self) -> int:
        """Return 128 bits."""

    @property
    def span_id(self) -> int:
        """Return 64 bits."""

    @property
    def is_valid(self) -> bool:
        """Whether a real provider made the span."""

    @property
    def trace_flags(self) -> int:
        """Return the flags of W3C's `traceparent`; the lowest bit says that the span is kept."""


@value
class CallRecord:
    """Every fact of one call, after its end. One sum, from which all telemetry is written.

    Attributes:
        started_ns: Wall time of the start, nanoseconds since the epoch.
        duration_s: What the caller waited, monotonic; the span's duration is the same.
        time_to_first_chunk_s: From the start to the first generated content; streams only.
        later_chunks_s: From the start to each further piece of content; kept only where a metric wants it.
        answer: What the last attempt brought.
        usage: Summed over the attempts; `None` if there is none at all.
        cost_nano: nano-USD, summed over the attempts; `None` as soon as one of them is unpriced.
        trace: `None` when no span stands for the call.
        refusal: Set where a budget refused it, be it after attempts that failed.
        saved_by_cache_nano: nano-USD that an answer from a response cache would have cost again.
    """

    request: CallRequest
    outcome: Outcome
    started_ns: int
    duration_s: float
    time_to_first_chunk_s: float | None
    attempts: tuple[AttemptRecord, ...]
    answer: Answer
    failure: Failure | None
    usage: Usage | None
    cost_nano: int | None
    trace: TraceRef | None = None
    refusal: Refusal | None = None
    later_chunks_s: tuple[float, ...] = ()
    saved_by_cache_nano: int = 0

    @property
    def is_unpriced(self) -> bool:
        """Whether tokens were used that no price is known for."""
        return self.cost_nano is None

    @property
    def known_cost_nano(self) -> int:
        """nano-USD of the attempts whose price is known: for sums, where one unknown must not hide the rest."""
        if self.cost_nano is not None:
            return self.cost_nano
        return sum(attempt.cost.total_nano for attempt in self.attempts if attempt.cost is not None)

    @property
    def price_source(self) -> str | None:
        """Where the price of the last attempt came from."""
        cost = self.attempts[-1].cost if self.attempts else None
        return cost.price_source if cost else None

    @property
    def price_date(self) -> str | None:
        """The day, ISO 8601, on which that price was checked or came into force."""
        cost = self.attempts[-1].cost if self.attempts else None
        return cost.price_date if cost else None
