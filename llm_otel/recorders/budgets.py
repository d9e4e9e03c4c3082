"""Budgets for Prometheus: gauges that the ledger is asked for at each scrape, counters of what this process did.

The gauges are the same from every process that shares the ledger: `max by (budget, scope)`. What the ledger does not
say is absent, never 0. A budget that is split by what is no label has one scope, `__all__`; what is beyond `MAX_SCOPES`
is in `__other__`.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import GaugeMetricFamily

from llm_otel import semconv
from llm_otel.budgets.denial import DenialKind
from llm_otel.budgets.matching import MODEL, PROVIDER
from llm_otel.budgets.reports import State
from llm_otel.call import Outcome
from llm_otel.money import NANO_PER_USD

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from llm_otel.budgets.budget import Budget
    from llm_otel.budgets.reports import BudgetStatus
    from llm_otel.call import CallRecord, CallRequest
    from llm_otel.recorders.series import Collector, Count, LabelledCounter
    from llm_otel.semconv import MetricSpec

NAME = "budgets"
_SERIES_KEPT = 1024

MAX_SCOPES = 100
"""Scopes of one budget that have series of their own; callers make up new ones as they like. As many as models."""

_FOR_SEVERAL = frozenset({semconv.ALL_SCOPES_LABEL, semconv.OVERFLOW_LABEL})
"""Two samples of one series break a whole scrape, so a tag with such a value has no series of its own."""

Statuses = Callable[[], "list[BudgetStatus]"]


class BudgetGauges:
    """How budgets stand, asked at each scrape.

    Attributes:
        statuses: Asked at each scrape; may raise what a ledger raises that is out. `None`: there are no budgets.
        label_names: Names of tags that are labels.
        on_error: Takes what `statuses` raises.
    """

    def __init__(self) -> None:
        self.statuses: Statuses | None = None
        self.label_names: frozenset[str] = frozenset()
        self.on_error: Callable[[Exception], None] | None = None

    def describe(self) -> Iterable[Metric]:
        """Name the metrics, so that a registry can refuse a second owner of the names."""
        return tuple(_family(spec) for spec in (semconv.LEDGER_UP, *semconv.BUDGET_GAUGES))

    def collect(self) -> Iterator[Metric]:
        """Answer a scrape: of budgets with nothing, while the ledger is out."""
        if self.statuses is None:
            return
        is_up = _family(semconv.LEDGER_UP)
        try:
            statuses = self.statuses()
        # Every other metric of the service waits behind it in the scrape.
        except Exception as exc:  # noqa: BLE001
            if self.on_error is not None:
                self.on_error(exc)
            is_up.add_metric((), 0)
            yield is_up
            return
        is_up.add_metric((), 1)
        yield is_up
        yield from families(statuses, self.label_names)


class BudgetRecorder:
    """Counts what calls did to budgets. Thread-safe."""

    name = NAME

    def __init__(
        self, counters: BudgetCounters, budgets: Callable[[], Iterable[Budget]], labels: Iterable[str]
    ) -> None:
        """Count into `counters`; the series of budgets that are not split are made now.

        Args:
            counters: Where.
            budgets: Returns the budgets in force.
            labels: Names of tags that are labels.
        """
        self._counters = counters
        self._label_names = frozenset(labels)
        self._split_by: dict[str, tuple[str, ...]] = {}
        self._seen: dict[str, set[str]] = {}
        self._budgets = budgets
        # Looking a series up costs several times what adding to it does, and every call adds to some.
        self._spending = lru_cache(maxsize=_SERIES_KEPT)(self._find_spending)
        for each in budgets():
            if not each.split_by:
                counters.expect(each.id, "")

    def opened(self, request: CallRequest) -> None:
        """Do nothing: budgets are told of a call when it ended."""

    def closed(self, record: CallRecord) -> None:
        """Count the spend, the denial and the downgrades of a call."""
        for attempt in record.attempts:
            held = attempt.held
            if held is None:
                continue
            cost = 0 if attempt.cost is None else attempt.cost.total_nano
            for budget, scope in held.budgets:
                self._spending(budget, scope).inc(cost / NANO_PER_USD)
            if held.downgraded_for is not None:
                budget, scope = held.downgraded_for
                self._counters.downgrade(budget, self._shown(budget, scope))
        refusal = record.refusal
        if record.outcome is Outcome.DENIED and refusal is not None and refusal.is_declared:
            self._counters.denial(refusal.budget, self._shown(refusal.budget, refusal.scope), refusal.kind)

    def _find_spending(self, budget: str, scope: str) -> Count:
        return self._counters.spending(budget, self._shown(budget, scope))

    def _shown(self, budget: str, scope: str) -> str:
        split_by = self._split_by.get(budget)
        if split_by is None:
            self._split_by.update((each.id, each.split_by) for each in self._budgets())
            split_by = self._split_by.setdefault(budget, ())
        shown = shown_scope(split_by, scope, self._label_names)
        seen = self._seen.setdefault(budget, set())
        if shown not in seen:
            if len(seen) >= MAX_SCOPES:
                return semconv.OVERFLOW_LABEL
            seen.add(shown)
        return shown


class BudgetCounters:
    """The counters, in memory or in the files of several processes.

    Args:
        make: Makes one of them.
    """

    def __init__(self, make: Callable[[MetricSpec], LabelledCounter]) -> None:
        self._spend, self._denials, self._downgrades = map(make, semconv.BUDGET_COUNTERS)

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """What a registry holds of it."""
        return (self._spend, self._denials, self._downgrades)

    def expect(self, budget: str, scope: str) -> None:
        """Make the series of a scope at 0: `increase()` never sees the first value of a counter born with one."""
        self._spend.labels(budget, scope)
        self._downgrades.labels(budget, scope)
        for kind in DenialKind:
            self._denials.labels(budget, scope, kind.value)

    def spending(self, budget: str, scope: str) -> Count:
        """Return the series that counts the spend of a scope, in US dollars."""
        return self._spend.labels(budget, scope)

    def denial(self, budget: str, scope: str, reason: str) -> None:
        """Count a refusal."""
        self._denials.labels(budget, scope, reason).inc()

    def downgrade(self, budget: str, scope: str) -> None:
        """Count a request that went to a cheaper model."""
        self._downgrades.labels(budget, scope).inc()


def shown_scope(split_by: tuple[str, ...], scope: str, label_names: frozenset[str]) -> str:
    """Return the label of a scope: itself, where what it is split by are labels too."""
    is_label = all(name in label_names or name in (MODEL, PROVIDER) for name in split_by)
    return scope if is_label else semconv.ALL_SCOPES_LABEL


def families(statuses: Iterable[BudgetStatus], label_names: frozenset[str]) -> Iterator[Metric]:
    """Return the gauges of budgets. Of one budget, its most used scopes come first."""
    limit, spent, held, reset, window, scopes = (_family(spec) for spec in semconv.BUDGET_GAUGES)
    summed: dict[tuple[str, str], list[BudgetStatus]] = {}
    shown: Tally[str] = Tally()
    for status in statuses:
        budget = status.budget
        labels = (budget.id, shown_scope(budget.split_by, status.scope, label_names))
        if labels[1] != semconv.ALL_SCOPES_LABEL and shown[budget.id] >= MAX_SCOPES:
            labels = (budget.id, semconv.OVERFLOW_LABEL)
        if labels[1] != status.scope or status.scope in _FOR_SEVERAL:
            summed.setdefault(labels, []).append(status)
            continue
        shown[budget.id] += 1
        limit.add_metric(labels, float(status.limit_usd))
        spent.add_metric(labels, float(status.spent_usd))
        held.add_metric(labels, float(status.held_usd))
        _add_window(status, labels, reset, window)
    for labels, each in summed.items():
        # No limit: theirs is for each of them.
        spent.add_metric(labels, float(sum(status.spent_usd for status in each)))
        held.add_metric(labels, float(sum(status.held_usd for status in each)))
        _add_window(each[0], labels, reset, window)
        if labels[1] == semconv.ALL_SCOPES_LABEL:
            states = Tally(status.state for status in each)
            for state in State:
                scopes.add_metric((labels[0], state.value), states[state])
    yield from (family for family in (limit, spent, held, reset, window, scopes) if family.samples)


def _add_window(
    status: BudgetStatus, labels: tuple[str, str], reset: GaugeMetricFamily, window: GaugeMetricFamily
) -> None:
    if status.resets_at is not None:
        reset.add_metric(labels, status.resets_at.timestamp())
    if status.window_s is not None:
        window.add_metric(labels, status.window_s)


def _family(spec: MetricSpec) -> GaugeMetricFamily:
    return GaugeMetricFamily(spec.prometheus_name, spec.help, labels=spec.labels)
