"""What one call adds to which metric: the rules, without a place to write to.

Amounts stay as exact as the facts are: money is nano-USD, an integer, until a scrape divides by `SCALES`.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from llm_otel import semconv
from llm_otel.call import UNASKED, AttemptReason, Outcome
from llm_otel.money import NANO_PER_USD
from llm_otel.semconv import TokenType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_otel.call import AttemptRecord, CallRecord, TraceRef
    from llm_otel.semconv import MetricSpec

Model = tuple[str, str]
"""Provider and model, as a record has them."""
Own = tuple[str, ...]
"""Values of the labels that a metric has beside those of the label set."""
Count = tuple[str, Own, int, bool]
"""Name of a counter, values of its own labels, what to add, and whether an exemplar leads from there to the call."""
Observation = tuple[str, float]
"""Name of a histogram, and what was observed. Each gets an exemplar."""

_FRUITLESS = (Outcome.ERROR, Outcome.CANCELLED, Outcome.ABANDONED)
"""Endings of an attempt that brought no complete answer."""
# Members of an enumeration and fields of another module cost several times what these names do, on every call.
_SUCCESS, _DENIED, _RETRY = Outcome.SUCCESS, Outcome.DENIED, AttemptReason.RETRY
_REQUESTS = semconv.REQUESTS.prometheus_name
_ATTEMPTS = semconv.ATTEMPTS.prometheus_name
_TOKENS = semconv.TOKENS.prometheus_name
_COST = semconv.COST.prometheus_name
_WASTED_COST = semconv.WASTED_COST.prometheus_name
_SAVED = semconv.SAVED.prometheus_name
_UNPRICED_REQUESTS = semconv.UNPRICED_REQUESTS.prometheus_name
_ESTIMATED_REQUESTS = semconv.ESTIMATED_REQUESTS.prometheus_name
_REQUEST_DURATION = semconv.REQUEST_DURATION.prometheus_name
_TIME_TO_FIRST_CHUNK = semconv.TIME_TO_FIRST_CHUNK.prometheus_name
_REQUEST_COST = semconv.REQUEST_COST.prometheus_name
_BY_PROMPT_CACHE = (semconv.SAVED_BY_PROMPT_CACHE,)
_BY_RESPONSE_CACHE = (semconv.SAVED_BY_RESPONSE_CACHE,)
_BY_DOWNGRADE = (semconv.SAVED_BY_DOWNGRADE,)

COUNTERS: Mapping[MetricSpec, tuple[Own, ...]] = {
    semconv.REQUESTS: tuple((outcome,) for outcome in Outcome),
    # A call that was denied sent no request.
    semconv.ATTEMPTS: tuple(product((_SUCCESS, *_FRUITLESS, Outcome.CACHED), AttemptReason)),
    semconv.TOKENS: tuple((token_type,) for token_type in TokenType if token_type is not TokenType.REQUEST),
    semconv.COST: tuple((token_type,) for token_type in TokenType),
    semconv.WASTED_COST: ((_RETRY,), *((outcome,) for outcome in _FRUITLESS)),
    semconv.SAVED: (_BY_PROMPT_CACHE, _BY_RESPONSE_CACHE, _BY_DOWNGRADE),
    semconv.UNPRICED_REQUESTS: ((),),
    semconv.ESTIMATED_REQUESTS: ((),),
}
"""Every counter of a label set, and what can occur as values of its own labels."""
HISTOGRAMS = (semconv.REQUEST_DURATION, semconv.TIME_TO_FIRST_CHUNK, semconv.REQUEST_COST)
"""Every histogram of a label set. They have no labels of their own."""
STREAMS_ONLY = semconv.TIME_TO_FIRST_CHUNK
"""The one that only streams have: the first of them makes it, or the first that is told apart too late."""
SCALES = {
    spec.prometheus_name: NANO_PER_USD if spec.unit == semconv.COST.unit else 1 for spec in (*COUNTERS, *HISTOGRAMS)
}
"""How many units of an amount make one of what Prometheus shows, by the name of the metric."""

_SAMPLED = 1
"""The flag of W3C's Trace Context (level 2, section 2.2.5, read 2026-11) that says that a span is kept."""


class EndedCall(NamedTuple):
    """What metrics need of one call: no messages and no answer, which would be held until the next scrape.

    Attributes:
        ended_s: Wall time, seconds since the epoch.
        trace: Where it stands, kept or not.
    """

    operation: str
    provider: str
    model: str
    tags: Mapping[str, str]
    outcome: Outcome
    ended_s: float
    duration_s: float
    time_to_first_chunk_s: float | None
    attempts: tuple[AttemptRecord, ...]
    cost_nano: int | None
    trace: TraceRef | None
    saved_by_cache_nano: int = 0

    @classmethod
    def of(cls, record: CallRecord) -> EndedCall:
        """Read them off a record."""
        request, duration_s = record.request, record.duration_s
        return cls(
            request.operation,
            request.provider,
            request.model,
            request.tags,
            record.outcome,
            record.started_ns / 1e9 + duration_s,
            duration_s,
            record.time_to_first_chunk_s,
            record.attempts,
            record.cost_nano,
            record.trace,
            record.saved_by_cache_nano,
        )


class Posting:
    """What a call adds under one provider and model."""

    __slots__ = ("counts", "observations")

    def __init__(self) -> None:
        self.counts: list[Count] = []
        self.observations: list[Observation] = []


def post(call: EndedCall) -> dict[Model, Posting]:
    """Return what a call adds: first under the provider and model that were asked for, then under others.

    Tokens and cost count for each attempt, under the provider and model that it went to; all else once for each
    completion, under those that were asked for. A completion that is unpriced or estimated counts under the model
    that made it so.
    """
    postings = {(call.provider, call.model): _of_completion(call)}
    unpriced: Posting | None = None
    estimated: Posting | None = None
    last = call.attempts[-1] if call.attempts else None
    for attempt in call.attempts:
        model = (attempt.provider, attempt.model)
        there = postings.get(model)
        if there is None:
            there = postings[model] = Posting()
        _post_attempt(there.counts, attempt, is_last=attempt is last)
        if attempt.usage is not None:
            if attempt.cost is None:
                unpriced = there
            if attempt.usage.is_estimated:
                estimated = there
    if unpriced is not None:
        unpriced.counts.append((_UNPRICED_REQUESTS, (), 1, False))
    if estimated is not None:
        estimated.counts.append((_ESTIMATED_REQUESTS, (), 1, False))
    return postings


def wasted_reason(outcome: Outcome, *, is_last: bool) -> str | None:
    """Say why the cost of an attempt bought no complete answer; `None` when it bought one."""
    if outcome not in _FRUITLESS:
        return None
    return outcome if is_last else _RETRY


def exemplar_of(trace: TraceRef | None) -> TraceRef | None:
    """Return the trace that exemplars lead to; `None` if none is kept."""
    return trace if trace is not None and trace.is_valid and trace.trace_flags & _SAMPLED else None


def _of_completion(call: EndedCall) -> Posting:
    """Return what counts once for each completion."""
    posting = Posting()
    outcome = call.outcome
    # A good one is found through the histograms; what did not go well only through its counter.
    posting.counts.append((_REQUESTS, (outcome,), 1, outcome is not _SUCCESS))
    observations = posting.observations
    if outcome not in UNASKED:
        observations.append((_REQUEST_DURATION, call.duration_s))
        if call.time_to_first_chunk_s is not None:
            observations.append((_TIME_TO_FIRST_CHUNK, call.time_to_first_chunk_s))
    # A refusal is no completion: its cost of 0 would flatter the unit cost. That of an answer from the cache does not:
    # that is what the cache is for.
    if outcome is not _DENIED and call.cost_nano is not None:
        observations.append((_REQUEST_COST, call.cost_nano))
    if call.saved_by_cache_nano:
        posting.counts.append((_SAVED, _BY_RESPONSE_CACHE, call.saved_by_cache_nano, False))
    return posting


def _post_attempt(counts: list[Count], attempt: AttemptRecord, *, is_last: bool) -> None:
    """Count one request to the provider: how it ended, its tokens and its cost."""
    counts.append((_ATTEMPTS, (attempt.outcome, attempt.reason), 1, False))
    if attempt.usage is not None:
        for token_type, tokens in attempt.usage.buckets().items():
            if tokens:
                counts.append((_TOKENS, (token_type,), tokens, False))
    cost = attempt.cost
    if cost is None:
        return
    # One exemplar for each attempt, on what cost most: on every part it would be so many dots in a graph.
    dearest = max(cost.parts, key=cost.parts.__getitem__, default=None)
    for token_type, nano in cost.parts.items():
        if nano:
            counts.append((_COST, (token_type,), nano, token_type is dearest))
    if cost.saved_by_cache_nano > 0:
        counts.append((_SAVED, _BY_PROMPT_CACHE, cost.saved_by_cache_nano, False))
    if attempt.held is not None and attempt.held.saved_nano:
        counts.append((_SAVED, _BY_DOWNGRADE, attempt.held.saved_nano, False))
    reason = wasted_reason(attempt.outcome, is_last=is_last)
    if reason is not None and cost.total_nano:
        counts.append((_WASTED_COST, (reason,), cost.total_nano, False))
