"""Our collectors in a Prometheus registry: made once, used again by the next recorder, served to a scrape.

With `PROMETHEUS_MULTIPROC_DIR` set before the process starts, prometheus_client keeps every value in a file
of the process, and a scrape adds the files up. That mode has no exemplars and no `_created` series, and
leaves the files of dead processes to the user: empty the directory before the first worker starts, and call
`prometheus_client.multiprocess.mark_process_dead(pid)` when one exits, or its calls in flight are shown for
ever.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

from prometheus_client import REGISTRY, CollectorRegistry, Counter, values
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from llm_otel import semconv
from llm_otel.errors import ConfigurationError
from llm_otel.recorders.budgets import BudgetCounters, BudgetGauges
from llm_otel.recorders.circuits import CircuitMetrics, FileGauge, ScrapedGauge
from llm_otel.recorders.in_files import FileStore
from llm_otel.recorders.in_memory import MemoryStore
from llm_otel.versions import OURS, version_of

if TYPE_CHECKING:
    from llm_otel.recorders.circuits import OpenGauge
    from llm_otel.recorders.series import Collector, LabelledCounter, SeriesStore
    from llm_otel.semconv import MetricSpec

MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"


class ProcessFacts:
    """What a scrape asks this process, rather than what its calls have added up to.

    A collector instead of gauges: it is right at the moment of the scrape, an unknown age is absent instead
    of 0, and it can stand beside the files of multiprocess mode, where prometheus_client has neither `Info`
    nor `set_function`.

    Attributes:
        price_age_s: Called at each scrape, on its thread; must not raise. The newest recorder sets it.
    """

    def __init__(self) -> None:
        self.price_age_s: Callable[[], float | None] = _unknown
        self._versions = (version_of(OURS), version_of("litellm"))

    def describe(self) -> Iterable[Metric]:
        """Name the metrics, so that a registry can refuse a second owner of the names."""
        return (_family(semconv.BUILD_INFO), _family(semconv.PRICE_AGE))

    def collect(self) -> Iterator[Metric]:
        """Answer a scrape."""
        build_info = _family(semconv.BUILD_INFO)
        build_info.add_metric(self._versions, 1)
        yield build_info
        age_s = self.price_age_s()
        if age_s is not None:
            price_age = _family(semconv.PRICE_AGE)
            price_age.add_metric((), age_s)
            yield price_age


def _unknown() -> None:
    return None


def scraped_counter(spec: MetricSpec) -> Counter:
    """Make one of prometheus_client's counters: in memory, or in the files of several processes."""
    return Counter(spec.prometheus_name, spec.help, spec.labels, registry=None)


def _family(spec: MetricSpec) -> GaugeMetricFamily:
    return GaugeMetricFamily(spec.prometheus_name, spec.help, labels=spec.labels)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Our collectors, and what stands behind them. All of it is thread-safe."""

    label_names: tuple[str, ...]
    store: SeriesStore
    internal_errors: LabelledCounter
    budget_counters: BudgetCounters
    circuits: CircuitMetrics
    facts: ProcessFacts = field(default_factory=ProcessFacts)
    budget_gauges: BudgetGauges = field(default_factory=BudgetGauges)
    registries: WeakSet[CollectorRegistry] = field(default_factory=WeakSet)
    """Where they are registered."""

    @classmethod
    def make(
        cls,
        label_names: tuple[str, ...],
        store: SeriesStore,
        counter: Callable[[MetricSpec], LabelledCounter],
        open_circuits: OpenGauge,
    ) -> Metrics:
        """Make collectors that stand in no registry yet.

        Args:
            label_names: Names of the labels of calls.
            store: Where what calls come to is kept.
            counter: Makes a counter with labels of its own.
            open_circuits: Shows them.
        """
        return cls(
            label_names=label_names,
            store=store,
            internal_errors=counter(semconv.INTERNAL_ERRORS),
            budget_counters=BudgetCounters(counter),
            circuits=CircuitMetrics(counter, open_circuits),
        )

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """All that a registry holds of us."""
        counters = (self.internal_errors, *self.budget_counters.collectors)
        return (*self.store.collectors, *counters, *self.circuits.collectors, self.facts, self.budget_gauges)

    def seen_label_sets(self) -> Iterator[dict[str, str]]:
        """Yield the labels of calls that have series already, oldest first."""
        for labels in self.store.label_sets():
            yield dict(zip(self.label_names, labels, strict=True))


_lock = threading.Lock()
_metrics_of: WeakKeyDictionary[CollectorRegistry, Metrics] = WeakKeyDictionary()
"""A registry does not tell what is registered; the next recorder has to go on with the same collectors."""


def metrics_in(registry: CollectorRegistry | None, label_names: tuple[str, ...]) -> Metrics:
    """Return our collectors in `registry` (`None`: the default one), registered now if they were not.

    Raises:
        ConfigurationError: `registry` is none, they are there with other labels, somebody else's metric has one of our
            names, or the directory of multiprocess mode cannot be used.
    """
    _check_mode()
    registry = REGISTRY if registry is None else registry
    if not isinstance(registry, CollectorRegistry):
        raise ConfigurationError("registry", registry, "one of prometheus_client, as CollectorRegistry()")
    home = _home(registry)
    with _lock:
        metrics = _metrics_of.get(home)
        if metrics is None:
            # Collectors of our own are not added up over processes.
            store, gauge = _in_files(label_names) if is_multiprocess() else _in_memory(label_names)
            metrics = Metrics.make(label_names, store, scraped_counter, gauge)
        elif metrics.label_names != label_names:
            allowed = f"the registry has our metrics with {metrics.label_names}; give those, or another registry"
            raise ConfigurationError("tag_labels", label_names, allowed)
        _register(metrics, registry)
        _metrics_of[home] = metrics
    return metrics


def _in_memory(label_names: tuple[str, ...]) -> tuple[SeriesStore, OpenGauge]:
    return MemoryStore(label_names), ScrapedGauge()


def _in_files(label_names: tuple[str, ...]) -> tuple[SeriesStore, OpenGauge]:
    return FileStore(label_names), FileGauge()


def serving_registry(registry: CollectorRegistry | None = None) -> CollectorRegistry:
    """Return the registry to serve: the recorded one, or in multiprocess mode a view of all processes.

    The view has everything that prometheus_client's metrics wrote, the application's own included.

    Args:
        registry: The one that is recorded into; prometheus_client's default for `None`.

    Raises:
        ConfigurationError: The directory of multiprocess mode cannot be used.
    """
    registry = REGISTRY if registry is None else registry
    _check_mode()
    if not is_multiprocess():
        return registry
    served = CollectorRegistry()
    # prometheus_client has no annotations there; the collector registers itself.
    MultiProcessCollector(served)  # type: ignore[no-untyped-call]
    metrics = _metrics_of.get(_home(registry))
    if metrics is not None:
        served.register(metrics.facts)
        served.register(metrics.budget_gauges)
    return served


def is_multiprocess() -> bool:
    """Whether values live in files. prometheus_client decides that once, when it is imported."""
    return values.ValueClass is not values.MutexValue


def _check_mode() -> None:
    """Refuse a directory that is not there, or that was named too late to be used."""
    path = os.environ.get(MULTIPROCESS_DIR, os.environ.get(MULTIPROCESS_DIR.lower()))
    if path is None:
        return
    if not is_multiprocess():
        allowed = "set it before the process starts: prometheus_client was imported without it, and counts alone"
        raise ConfigurationError(MULTIPROCESS_DIR, path, allowed)
    if not path or not Path(path).is_dir():
        raise ConfigurationError(MULTIPROCESS_DIR, path, "an existing directory, empty when the first worker starts")


def _home(registry: CollectorRegistry) -> CollectorRegistry:
    """Return what our collectors are looked up by.

    In multiprocess mode the whole process has one set: a second one would keep sums of its own and write them
    over the first one's, in the same places of the same files.
    """
    return REGISTRY if is_multiprocess() else registry


def _register(metrics: Metrics, registry: CollectorRegistry) -> None:
    """Put all collectors into the registry, or none. Those that somebody unregistered come back."""
    added: list[Collector] = []
    for collector in metrics.collectors:
        try:
            registry.register(collector)
        except ValueError as exc:
            if registry in metrics.registries:
                continue
            for ours in added:
                registry.unregister(ours)
            name = next(iter(collector.describe())).name
            allowed = "somebody else's metric has that name there; give another registry, as CollectorRegistry()"
            raise ConfigurationError("registry", name, allowed) from exc
        added.append(collector)
    metrics.registries.add(registry)
