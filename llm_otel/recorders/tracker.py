"""`UsageTracker`: in-process statistics of calls, without a Prometheus to ask.

It has two memories. Sums are kept for ever, for each model and each tag of it. Of the last `max_calls` calls
it knows each one, for what sums cannot tell: percentiles, ranges of time, two tags at once.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from llm_otel.budgets.ledger import StoreUnavailableError
from llm_otel.call import UNASKED
from llm_otel.clock import Clock, SystemClock
from llm_otel.errors import ConfigurationError, LLMOtelError
from llm_otel.money import parse_usd, usd
from llm_otel.recorders.inbox import Inbox
from llm_otel.recorders.stats import BudgetStatus, GroupStats, Selection, Stats, report, told_by_ledger
from llm_otel.recorders.tallies import GroupNames, Totals, TrackedCall
from llm_otel.scope import Tags, parse_tags

if TYPE_CHECKING:
    from llm_otel.budgets import reports
    from llm_otel.call import CallRecord, CallRequest

__all__ = ["BudgetStatus", "GroupStats", "Stats", "UsageTracker"]

DEFAULT_MAX_CALLS = 10_000
"""About 5 MB, and some 20 ms to sort through for a range of time."""


class UsageTracker:
    """Counts calls, cost, tokens and latency, by provider, model and tag. Thread-safe; bounded memory.

        tracker = UsageTracker(budget_limit_usd="10")
        tracker.track(response, tags=["user:john", "research"])
        tracker.get_stats(tag="user:john")["total_cost_usd"]

    Args:
        budget_limit_usd: What `get_budget_status` measures against. It refuses nothing.
        max_calls: How many of the last calls are known one by one.
        clock: Says when a call was tracked.
        ledger: Asks a ledger how its budgets stand; `get_budget_status` speaks for them then.

    Raises:
        ConfigurationError: The limit is no amount of money, or `max_calls` no positive integer.
    """

    name = "tracker"

    def __init__(
        self,
        budget_limit_usd: str | int | float | Decimal | None = None,
        *,
        max_calls: int = DEFAULT_MAX_CALLS,
        clock: Clock | None = None,
        ledger: Callable[[], Sequence[reports.BudgetStatus]] | None = None,
    ) -> None:
        if isinstance(max_calls, bool) or not isinstance(max_calls, int) or max_calls < 1:
            raise ConfigurationError("max_calls", max_calls, "a positive integer")
        self._limit_nano = None if budget_limit_usd is None else parse_usd(budget_limit_usd, field="budget_limit_usd")
        self._clock = SystemClock() if clock is None else clock
        self._ledger = ledger
        self._names = GroupNames()
        self._all_time = Totals(self._names)
        self._window: deque[TrackedCall] = deque(maxlen=max_calls)
        self._newest_dropped_ns: int | None = None
        self._inbox = Inbox(self._count)

    def track(self, response: Any, tags: Tags | None = None) -> None:
        """Count a response that `LLMRouter` returned.

        Args:
            response: An `LLMResponse`, or whatever has the same attributes. It counts as of now.
            tags: As in `traced_llm`: `{"user": "john"}` or `["user:john", "research"]`.

        Raises:
            ConfigurationError: It is something else, for instance LiteLLM's own response, or the tags cannot
                be read.
        """
        self._inbox.put(_read_response(response, parse_tags(tags), self._clock.now_ns()))

    def opened(self, request: CallRequest) -> None:
        """Do nothing: a call counts when it ended."""

    def closed(self, record: CallRecord) -> None:
        """Count a call, however it ended."""
        self._inbox.put(_read_record(record))

    def get_stats(
        self,
        *,
        provider: str | None = None,
        model: str | None = None,
        tag: str | Mapping[str, str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Stats:
        """Return statistics of all calls, or of those that pass every filter.

        `total_cost_usd` is the exact sum of the known costs; calls with an unknown one are in
        `unpriced_calls`. Latencies are those of calls that a provider was asked for, `None` without one: no
        refusals, and no answers from a cache. Percentiles are nearest-rank: `p95_latency_ms` is the latency of a
        call that really was, and 95 % of the calls were no slower. Groups are sorted, the dearest first; a tag
        is written as `"user:john"`, or `"research"` where the value is empty; what no group was left for is in
        `"__other__"`.

        Sums cover all time. Three things are known only of the last `max_calls` calls: percentiles; `by_tag`
        beside a `tag` filter; and everything, if the filter has a time, several tags, or a value that has no
        group of its own. `window_calls` is the number of calls that those figures come from, and
        `is_complete` says that no older call is missing from them.

        Args:
            provider: A `gen_ai.provider.name` value, such as `"openai"`.
            model: The model as it was asked for; of tracked responses, the one that answered.
            tag: `"user:john"`; `"user"` for any value of that tag; a mapping for exact values of several.
            since: Calls that ended at or after this time, an aware datetime.
            until: Calls that ended before this time.

        Raises:
            ConfigurationError: A time has no time zone, `since` is after `until`, or the tag cannot be read.
        """
        selection = Selection.of(provider=provider, model=model, tag=tag, since=since, until=until)
        return self._inbox.read(lambda: self._stats(selection))

    def get_budget_status(self) -> BudgetStatus:
        """Return the limit and what is left of it.

        `remaining_usd` is negative after an overrun, and `percentage_used` then above 100; a limit of 0
        counts as used up. Both are `None` without a limit. Calls whose cost is not known are in none of the
        numbers.

        `llm_otel.tracker()` speaks for the ledger: `budgets` has every scope of every declared budget, the
        numbers beside it are those of the one of which most is used, a hard one if there is any. That asks the
        ledger, over the network where it is in Redis. Any other tracker knows its own limit only.

        Raises:
            LLMOtelError: The ledger cannot be reached.
        """
        statuses = self._statuses()
        if statuses:
            return told_by_ledger(statuses)
        spent, limit = self._inbox.read(self._spent_nano), self._limit_nano
        if limit is None:
            return BudgetStatus(
                limit_usd=None, spent_usd=usd(spent), remaining_usd=None, percentage_used=None, budgets=[]
            )
        return BudgetStatus(
            limit_usd=usd(limit),
            spent_usd=usd(spent),
            remaining_usd=usd(limit - spent),
            percentage_used=100 * spent / limit if limit else 100.0,
            budgets=[],
        )

    def _statuses(self) -> Sequence[reports.BudgetStatus]:
        try:
            return () if self._ledger is None else self._ledger()
        except StoreUnavailableError as exc:
            raise LLMOtelError(f"the ledger cannot be reached: {exc}") from exc

    def _spent_nano(self) -> int:
        return sum(group.tally.cost_nano for group in self._all_time.by_model())

    def _count(self, call: TrackedCall) -> None:
        self._all_time.add(call)
        if len(self._window) == self._window.maxlen:
            dropped_ns = self._window[0].ended_ns
            if self._newest_dropped_ns is None or dropped_ns > self._newest_dropped_ns:
                self._newest_dropped_ns = dropped_ns
        self._window.append(call)

    def _stats(self, selection: Selection) -> Stats:
        known = [call for call in self._window if selection.takes(call)]
        in_window = Totals(self._names)
        needs_window = not selection.is_summed(self._names)
        if needs_window or selection.tags:
            for call in known:
                in_window.add(call)
        if needs_window:
            calls, tags = in_window.by_model(), in_window.by_tag()
        elif selection.tags:
            calls, tags = selection.among(self._all_time.by_tag()), in_window.by_tag()
        else:
            calls = selection.among(self._all_time.by_model())
            tags = selection.among(self._all_time.by_tag())
        dropped_ns = self._newest_dropped_ns
        return report(
            list(calls),
            tags,
            latencies=sorted(call.latency_ns for call in known if call.latency_ns is not None),
            window_calls=len(known),
            is_complete=dropped_ns is None or (selection.since_ns is not None and selection.since_ns > dropped_ns),
        )


def _read_record(record: CallRecord) -> TrackedCall:
    request, usage, cost_nano = record.request, record.usage, record.cost_nano
    if cost_nano is None:
        cost_nano = sum(attempt.cost.total_nano for attempt in record.attempts if attempt.cost is not None)
    latency_ns = round(record.duration_s * 1e9)
    return TrackedCall(
        ended_ns=record.started_ns + latency_ns,
        provider=request.provider,
        model=request.model,
        tags=request.tags,
        tokens=0 if usage is None else usage.total_tokens,
        cost_nano=cost_nano,
        is_unpriced=record.cost_nano is None,
        latency_ns=None if record.outcome in UNASKED else latency_ns,
    )


def _read_response(response: Any, tags: Mapping[str, str], now_ns: int) -> TrackedCall:
    try:
        usage, latency_ms = response.usage, response.latency_ms
        provider, model = response.provider, response.model
        tokens, cost_usd = usage.total_tokens, usage.total_cost_usd
    except AttributeError as exc:
        allowed = "an LLMResponse, as LLMRouter returns; traced LiteLLM calls are in llm_otel.tracker()"
        raise ConfigurationError("response", type(response).__name__, allowed) from exc
    if not (isinstance(provider, str) and isinstance(model, str) and _is_count(tokens) and _is_time(latency_ms)):
        raise ConfigurationError(
            "response",
            type(response).__name__,
            "provider, model, tokens and latency as LLMRouter fills them in",
        )
    return TrackedCall(
        ended_ns=now_ns,
        provider=str(provider),
        model=model,
        tags=tags,
        tokens=tokens,
        cost_nano=0 if cost_usd is None else parse_usd(cost_usd, field="response.usage.total_cost_usd"),
        is_unpriced=cost_usd is None,
        # As above: what was given before, no provider was asked for.
        latency_ns=None if getattr(response, "is_cached", False) else round(latency_ms * 1e6),
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf
