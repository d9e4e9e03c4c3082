"""What `UsageTracker` is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict

from llm_otel.errors import ConfigurationError
from llm_otel.money import usd
from llm_otel.recorders.tallies import Group, GroupNames, Tally, TrackedCall
from llm_otel.scope import parse_tags

if TYPE_CHECKING:
    from llm_otel.budgets import reports

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class GroupStats(TypedDict):
    """What one provider, model or tag came to."""

    calls: int
    cost_usd: Decimal
    tokens: int
    unpriced_calls: int
    avg_latency_ms: float | None


class Stats(TypedDict):
    """What `UsageTracker.get_stats` returns; see there."""

    total_calls: int
    total_cost_usd: Decimal
    total_tokens: int
    avg_latency_ms: float | None
    p50_latency_ms: float | None
    p95_latency_ms: float | None
    unpriced_calls: int
    window_calls: int
    is_complete: bool
    by_provider: dict[str, GroupStats]
    by_model: dict[str, GroupStats]
    by_tag: dict[str, GroupStats]


class ScopeStatus(TypedDict):
    """How one scope of a budget stands; `scope` is empty for a budget that is not split."""

    id: str
    scope: str
    window: str
    limit_usd: Decimal
    spent_usd: Decimal
    held_usd: Decimal
    headroom_usd: Decimal
    percentage_used: float
    resets_at: datetime | None


class BudgetStatus(TypedDict):
    """What `UsageTracker.get_budget_status` returns; see there."""

    limit_usd: Decimal | None
    spent_usd: Decimal
    remaining_usd: Decimal | None
    percentage_used: float | None
    budgets: list[ScopeStatus]


def told_by_ledger(statuses: Sequence[reports.BudgetStatus]) -> BudgetStatus:
    """Return how budgets stand, one at least; at the top the one of which most is used, a hard one if there is any."""
    first = max(statuses, key=lambda each: (each.budget.is_hard, each.used_ratio))
    return BudgetStatus(
        limit_usd=first.limit_usd,
        spent_usd=first.spent_usd,
        remaining_usd=first.limit_usd - first.spent_usd,
        percentage_used=first.used_percentage,
        budgets=[_scope_status(each) for each in statuses],
    )


def _scope_status(status: reports.BudgetStatus) -> ScopeStatus:
    return ScopeStatus(
        id=status.budget.id,
        scope=status.scope,
        window=status.window,
        limit_usd=status.limit_usd,
        spent_usd=status.spent_usd,
        held_usd=status.held_usd,
        headroom_usd=status.headroom_usd,
        percentage_used=status.used_percentage,
        resets_at=status.resets_at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The filters of one question; `None` takes all. A tag with the value `None` may have any."""

    provider: str | None
    model: str | None
    tags: tuple[tuple[str, str | None], ...]
    since_ns: int | None
    until_ns: int | None

    @classmethod
    def of(
        cls,
        *,
        provider: str | None,
        model: str | None,
        tag: str | Mapping[str, str] | None,
        since: datetime | None,
        until: datetime | None,
    ) -> Selection:
        """Read the filters as a user gives them.

        Raises:
            ConfigurationError: A time has no time zone, `since` is after `until`, or the tag cannot be read.
        """
        since_ns, until_ns = _epoch_ns("since", since), _epoch_ns("until", until)
        if since_ns is not None and until_ns is not None and since_ns > until_ns:
            raise ConfigurationError("since", since, f"a time that is not after until={until}")
        return cls(provider=provider, model=model, tags=_tag_filter(tag), since_ns=since_ns, until_ns=until_ns)

    def is_summed(self, names: GroupNames) -> bool:
        """Whether there are sums of exactly these calls."""
        return (
            self.since_ns is None
            and self.until_ns is None
            and len(self.tags) <= 1
            and names.has_model(self.provider, self.model)
            and all(names.has_tag(name, value) for name, value in self.tags)
        )

    def takes(self, call: TrackedCall) -> bool:
        """Whether a call passes every filter."""
        return (
            (self.provider is None or call.provider == self.provider)
            and (self.model is None or call.model == self.model)
            and (self.since_ns is None or call.ended_ns >= self.since_ns)
            and (self.until_ns is None or call.ended_ns < self.until_ns)
            and all(name in call.tags and value in (None, call.tags[name]) for name, value in self.tags)
        )

    def among(self, groups: Iterable[Group]) -> Iterator[Group]:
        """Yield the groups that pass; there may be one tag at most."""
        for group in groups:
            if self.provider not in (None, group.provider) or self.model not in (None, group.model):
                continue
            if not self.tags or self._has_tag(group):
                yield group

    def _has_tag(self, group: Group) -> bool:
        ((name, value),) = self.tags
        return group.tag is not None and group.tag[0] == name and value in (None, group.tag[1])


def report(
    calls: list[Group], tags: Iterable[Group], *, latencies: list[int], window_calls: int, is_complete: bool
) -> Stats:
    """Sum up: `calls` are groups that hold each call once, `tags` those of each tag.

    Args:
        calls: Groups by model.
        tags: Groups by model and tag.
        latencies: Nanoseconds of each call that is known singly, sorted.
        window_calls: How many calls are.
        is_complete: Whether no call is missing from the figures that need that.
    """
    total = Tally()
    for group in calls:
        total.merge(group.tally)
    return Stats(
        total_calls=total.calls,
        total_cost_usd=usd(total.cost_nano),
        total_tokens=total.tokens,
        avg_latency_ms=total.avg_latency_ms,
        p50_latency_ms=percentile_ms(latencies, 50),
        p95_latency_ms=percentile_ms(latencies, 95),
        unpriced_calls=total.unpriced_calls,
        window_calls=window_calls,
        is_complete=is_complete,
        by_provider=_grouped(calls, lambda group: group.provider),
        by_model=_grouped(calls, lambda group: group.model),
        by_tag=_grouped(tags, _tag_text),
    )


def _grouped(groups: Iterable[Group], name_of: Callable[[Group], str]) -> dict[str, GroupStats]:
    tallies: dict[str, Tally] = {}
    for group in groups:
        tallies.setdefault(name_of(group), Tally()).merge(group.tally)
    dearest_first = sorted(tallies.items(), key=lambda item: (-item[1].cost_nano, -item[1].calls, item[0]))
    return {
        name: GroupStats(
            calls=tally.calls,
            cost_usd=usd(tally.cost_nano),
            tokens=tally.tokens,
            unpriced_calls=tally.unpriced_calls,
            avg_latency_ms=tally.avg_latency_ms,
        )
        for name, tally in dearest_first
    }


def _tag_text(group: Group) -> str:
    assert group.tag is not None, "groups of tags have one"
    name, value = group.tag
    return f"{name}:{value}" if value else name


def percentile_ms(latencies_ns: list[int], percent: int) -> float | None:
    """Return the nearest-rank percentile of sorted latencies in milliseconds; `None` of none.

    It is the least latency that at least `percent` of a hundred do not exceed.
    """
    if not latencies_ns:
        return None
    rank = -(-percent * len(latencies_ns) // 100)
    return latencies_ns[max(rank, 1) - 1] / 1e6


def _tag_filter(tag: str | Mapping[str, str] | None) -> tuple[tuple[str, str | None], ...]:
    if tag is None:
        return ()
    if isinstance(tag, str):
        ((name, value),) = parse_tags([tag]).items()
        return ((name, value if ":" in tag else None),)
    if not isinstance(tag, Mapping) or not tag:
        raise ConfigurationError("tag", tag, "'user:john', 'user' for any value, or {'user': 'john'}")
    return tuple(parse_tags(tag).items())


def _epoch_ns(field: str, time: datetime | None) -> int | None:
    if time is None:
        return None
    if not isinstance(time, datetime) or time.utcoffset() is None:
        raise ConfigurationError(field, time, "a datetime with a time zone, such as datetime.now(UTC)")
    return (time - _EPOCH) // _MICROSECOND * 1_000
