"""What the demo found out: plain facts, ready to be drawn or written as JSON. Money is in nano-USD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_otel.money import format_usd

if TYPE_CHECKING:
    from llm_otel.drawing.budgets import BudgetStandings


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What a group of calls came to.

    Attributes:
        cost_nano: The known part; see `unpriced_calls`.
        parts: A finer split of the same calls, the dearest first.
    """

    name: str
    calls: int
    tokens: int
    cost_nano: int
    unpriced_calls: int = 0
    parts: tuple[Spend, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long calls took. Seconds; `None` where nothing was measured.

    Attributes:
        streams: How many brought a first chunk, whose time was measured.
    """

    name: str
    p50_s: float | None
    p95_s: float | None
    streams: int
    first_chunk_p50_s: float | None
    first_chunk_p95_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How calls ended, and what endings without an answer cost.

    Attributes:
        outcomes: Calls by how they ended; endings that did not occur are left out.
        errors: Calls and attempts that failed, by what went wrong.
        retries: Requests beyond the first of a call.
        recovered: Calls that succeeded at a later attempt.
        wasted_nano: Spend without a complete answer, by reason; without zeros.
        saved_nano: What the prompt cache saved.
        internal_errors: Failures of the library itself, kept from the callers.
    """

    outcomes: dict[str, int]
    errors: dict[str, int]
    retries: int
    recovered: int
    wasted_nano: dict[str, int]
    saved_nano: int
    cache_read_tokens: int
    reasoning_tokens: int
    unpriced_models: tuple[str, ...]
    internal_errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """What the breaker of a model did.

    Attributes:
        opened: How often it opened.
        not_sent: Requests that were not made while it was open.
        is_closed: Whether the model is asked again.
    """

    model: str
    opened: int
    not_sent: int
    is_closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """What came of leaving the model to the router, and of the response cache.

    Attributes:
        chosen: Calls whose model the router chose, by that model.
        explained: One of these choices, in words.
        fallbacks: Calls that a fallback answered, by the model that did.
        circuits: Of models whose circuit opened.
        cached: Calls that were answered from the response cache.
        saved_nano: What that saved.
    """

    chosen: dict[str, int]
    explained: str | None
    fallbacks: dict[str, int]
    circuits: tuple[Circuit, ...]
    cached: int
    saved_nano: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Spend reached a fraction of a budget's limit."""

    budget: str
    scope: str
    fraction: float
    spent_nano: int
    limit_nano: int

    def __str__(self) -> str:
        what = f"{self.budget} {self.scope}".rstrip()
        spent, limit = format_usd(self.spent_nano, decimals=4), format_usd(self.limit_nano)
        return f"{what} at {self.fraction:.0%} of {limit}: {spent} spent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """How the run fared with its budgets.

    Attributes:
        at_s: When they were looked at, in seconds since the epoch.
        standings: By the ledger.
        alerts: In the order they came.
        refused: Calls that were refused, by the reason.
        refused_nano: The most that these could have cost.
        refusal: What the caller of the first one was told.
        downgraded: Calls that went to a cheaper model.
        saved_nano: What that saved.
    """

    at_s: int
    standings: tuple[BudgetStandings, ...]
    alerts: tuple[Alert, ...]
    refused: dict[str, int]
    refused_nano: int
    refusal: str | None
    downgraded: int
    saved_nano: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedStep:
    """One span of a trace, with those under it.

    Attributes:
        start_s: Seconds after the start of the trace.
        tokens: Input and output; `None` where none are known.
        cost_nano: `None` where it is not known.
        is_attempt: One of several requests of the call above; its tokens and cost are in that call's.
        remarks: What is worth knowing beside the numbers.
    """

    name: str
    start_s: float
    duration_s: float
    tokens: int | None
    cost_nano: int | None
    is_attempt: bool
    is_failed: bool
    remarks: tuple[str, ...]
    steps: tuple[TracedStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One side of the books: tokens, and what they cost."""

    tokens: int
    cost_nano: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Whether the numbers are right.

    Attributes:
        tracker_nano: All spend by the tracker.
        spans_nano: The same by the spans; `None` if none were kept.
        metrics_nano: The same by the Prometheus counters.
        recorded: What the tracker has of calls whose provider reported the usage; `None` for real providers.
        billed: The simulator's own count of the tokens of those calls, at the prices of `ModelInfo`.
        ledger_nano: The same by the ledger of the budgets; `None` without any.
        estimated_calls: Calls whose usage was estimated, since no provider reported it.
        estimated: What the tracker has of those.
        estimated_billed: What the simulator counted for them.
    """

    tracker_nano: int
    spans_nano: int | None
    metrics_nano: int
    estimated_calls: int
    ledger_nano: int | None = None
    recorded: Account | None = None
    billed: Account | None = None
    estimated: Account | None = None
    estimated_billed: Account | None = None

    @property
    def recorders_agree(self) -> bool:
        """Whether tracker, spans, metrics and ledger say the same."""
        return self.tracker_nano == self.metrics_nano and {self.spans_nano, self.ledger_nano} <= {
            None,
            self.tracker_nano,
        }

    @property
    def are_right(self) -> bool:
        """Whether everything that can be compared is equal."""
        return self.recorders_agree and self.recorded == self.billed


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that the demo shows.

    Attributes:
        target: The real provider's model that was called; `None`: the simulator.
        elapsed_s: From the first call to the last end.
        teams: By tag; a feature that two teams have is one line.
        budgets: `None` if there were none: the real provider's model is free, or its price not known.
        trace: The one that shows most; `None` if no spans were kept.
    """

    target: str | None
    seed: int
    elapsed_s: float
    total: Spend
    teams: tuple[Spend, ...]
    features: tuple[Spend, ...]
    providers: tuple[Spend, ...]
    latencies: tuple[Latency, ...]
    reliability: Reliability
    routing: Routing
    budgets: Budgets | None
    trace: TracedStep | None
    books: Books
