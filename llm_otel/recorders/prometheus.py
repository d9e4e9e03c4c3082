"""Prometheus: counters, histograms and the gauge of calls in flight, written from the facts of each call.

Every series that a call may write is made at 0 when the call starts, not when it ends: `increase()` never
sees the first value of a counter that is born with one, which is up to half of a small service's spend.

Money is an integer up to here; what Prometheus shows is a float. `postings` says what a call adds to which metric,
`in_memory` and `in_files` are where the values lie. The same numbers can leave by OTLP instead: `otlp_metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from llm_otel.recorders.budgets import NAME as BUDGETS
from llm_otel.recorders.budgets import BudgetRecorder
from llm_otel.recorders.circuits import CircuitRecorder
from llm_otel.recorders.label_sets import (
    DEFAULT_TAG_LABELS,
    MAX_LABEL_SETS,
    MAX_MODELS,
    LabelSet,
    LabelSets,
    TagLabels,
    parse_tag_labels,
)
from llm_otel.recorders.otlp_metrics import pushed_metrics
from llm_otel.recorders.postings import EndedCall, exemplar_of, post
from llm_otel.recorders.registries import metrics_in

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from llm_otel.budgets.budget import Budget
    from llm_otel.call import CallRecord, CallRequest
    from llm_otel.recorders.budgets import Statuses
    from llm_otel.recorders.series import Series
    from llm_otel.routing.health import Model

NAME = "prometheus"


class PrometheusRecorder:
    """Writes every call to the metrics of `semconv.METRICS`. Thread-safe.

    Args:
        registry: Where the metrics stand; prometheus_client's default for `None`. Further recorders on one
            registry go on with the same series.
        is_pushed: The metrics leave over OTLP instead, and stand in no registry.
        tag_labels: The tags that are labels: names, or name -> declared values, or name -> how many values to
            keep.
        declared_models: (provider, model) pairs whose series are made now, for all declared tag values.
        recorders: Whose failures `internal_error` will count; their series are made now.
        price_age_s: Asked at each scrape: seconds since the prices were checked, `None` if that is not known.
        max_models: Distinct models to keep as labels, declared ones included.
        max_label_sets: Distinct combinations of labels to keep, see `label_sets.MAX_LABEL_SETS`.

    Raises:
        ConfigurationError: `tag_labels` cannot be used, or the registry cannot take the metrics.
    """

    name = NAME

    def __init__(
        self,
        *,
        registry: CollectorRegistry | None = None,
        is_pushed: bool = False,
        tag_labels: TagLabels = DEFAULT_TAG_LABELS,
        declared_models: Iterable[tuple[str, str]] = (),
        recorders: Iterable[str] = (),
        price_age_s: Callable[[], float | None] | None = None,
        max_models: int = MAX_MODELS,
        max_label_sets: int = MAX_LABEL_SETS,
    ) -> None:
        tags = parse_tag_labels(tag_labels)
        self._tag_names = frozenset(tag.name for tag in tags)
        self._label_sets = LabelSets(
            tags,
            declared_models=declared_models,
            max_models=max_models,
            max_label_sets=max_label_sets,
        )
        names = self._label_sets.names
        self._metrics = pushed_metrics(names) if is_pushed else metrics_in(registry, names)
        self._label_sets.keep(self._metrics.seen_label_sets())
        self._price_age_s = price_age_s
        self._metrics.facts.price_age_s = self._price_age
        self._series: dict[LabelSet, Series] = {}
        # Kept: looking one up takes the lock that a scrape holds, and may come from the middle of that scrape.
        errors = self._metrics.internal_errors
        self._errors = {recorder: errors.labels(recorder) for recorder in (self.name, *recorders)}
        for labels in self._label_sets.declared:
            self._series_of(labels)

    def opened(self, request: CallRequest) -> None:
        """Count the call as in flight, and make the series that it may write."""
        self._series_at(request, request.provider, request.model).opened(is_streaming=request.is_streaming)

    def closed(self, record: CallRecord) -> None:
        """Write down how the call went, before the next scrape at the latest."""
        try:
            call = EndedCall.of(record)
        except Exception:
            self._land(record.request)
            raise
        self._metrics.store.write_down(self._write, call)

    def internal_error(self, recorder: str) -> None:
        """Count a failure that was kept from the caller.

        Args:
            recorder: The `name` of the part that failed, one of a few.
        """
        (self._errors.get(recorder) or self._metrics.internal_errors.labels(recorder)).inc()

    def for_budgets(self, budgets: Callable[[], Iterable[Budget]], statuses: Statuses) -> BudgetRecorder:
        """Show budgets in the same registry.

        Args:
            budgets: Returns the budgets in force.
            statuses: Asked at each scrape; may raise.
        """
        gauges = self._metrics.budget_gauges
        gauges.statuses, gauges.label_names = statuses, self._tag_names
        gauges.on_error = lambda _error: self.internal_error(BUDGETS)
        return BudgetRecorder(self._metrics.budget_counters, budgets, self._tag_names)

    def for_circuits(self, open_models: Callable[[], Iterable[Model]]) -> CircuitRecorder:
        """Show circuit breakers in the same registry.

        Args:
            open_models: Returns the models whose circuits are not closed; must not raise.
        """
        return CircuitRecorder(self._metrics.circuits, self._label_sets.model, open_models)

    def _land(self, call: CallRequest | EndedCall) -> None:
        self._series_at(call, call.provider, call.model).closed()

    def _series_at(self, call: CallRequest | EndedCall, provider: str, model: str) -> Series:
        labels = self._label_sets.of(call.operation, provider, model, call.tags)
        return self._series.get(labels) or self._series_of(labels)

    def _series_of(self, labels: LabelSet) -> Series:
        series = self._series[labels] = self._metrics.store.of(labels)
        return series

    def _write(self, call: EndedCall) -> None:
        try:
            exemplar = exemplar_of(call.trace)
            for (provider, model), posting in post(call).items():
                self._series_at(call, provider, model).write(posting, exemplar, call.ended_s)
        # A scrape may be what it is written for, and every other metric of the service waits behind it.
        except Exception:  # noqa: BLE001
            self.internal_error(self.name)
        finally:
            self._land(call)

    def _price_age(self) -> float | None:
        try:
            return None if self._price_age_s is None else self._price_age_s()
        # It is not ours, and every other metric of the service waits behind it in the scrape.
        except Exception:  # noqa: BLE001
            self.internal_error(self.name)
            return None
