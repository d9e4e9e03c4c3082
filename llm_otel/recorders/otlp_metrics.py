"""Our own metrics without a scrape: observable instruments on the global MeterProvider, over the same numbers.

What a call adds to which series is decided where it is for Prometheus; a reader of the provider asks for the sums when
it collects, instead of a scrape. The one thing that cannot be asked for is a histogram: the cost of a request is
recorded, by one instrument more. The durations are left to the metrics of the GenAI conventions, which have them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import TYPE_CHECKING
from weakref import WeakSet

from opentelemetry import metrics as otel_metrics
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation
from prometheus_client.metrics_core import CounterMetricFamily

from llm_otel import semconv
from llm_otel.errors import ConfigurationError
from llm_otel.money import NANO_PER_USD
from llm_otel.recorders import meters
from llm_otel.recorders.backlog import backlog
from llm_otel.recorders.circuits import ScrapedGauge
from llm_otel.recorders.in_memory import MemorySeries, MemoryStore
from llm_otel.recorders.registries import Metrics

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from llm_otel.call import TraceRef
    from llm_otel.clock import Clock
    from llm_otel.recorders.label_sets import LabelSet
    from llm_otel.recorders.postings import EndedCall, Posting
    from llm_otel.recorders.series import Collector
    from llm_otel.semconv import MetricSpec

BY_THE_CONVENTIONS = (semconv.REQUEST_DURATION, semconv.TIME_TO_FIRST_CHUNK)
"""What does not leave as a metric of ours, since the conventions' own says it."""
_REQUEST_COST = semconv.REQUEST_COST.prometheus_name
_SPECS = {spec.prometheus_name: spec for spec in semconv.METRICS}
_NOT_COUNTED = frozenset({"s", "", semconv.COST.unit})
"""Units of amounts. All others are of things, whose numbers are whole."""

Callback = Callable[[CallbackOptions], Iterable[Observation]]


class MemoryCount:
    """One series of a counter."""

    __slots__ = ("_lock", "value")

    def __init__(self) -> None:
        # Re-entrant: the garbage collector may end a call on the thread that holds it.
        self._lock = threading.RLock()
        self.value: float = 0

    def inc(self, amount: float = 1) -> None:
        """Add to it."""
        with self._lock:
            self.value += amount


class MemoryCounter:
    """A counter with labels of its own. prometheus_client's would keep files under several worker processes."""

    def __init__(self, spec: MetricSpec) -> None:
        self._spec = spec
        self._series: dict[tuple[str, ...], MemoryCount] = {}

    def labels(self, *values: str) -> MemoryCount:
        """Return the series with these labels, made at 0 if there is none."""
        return self._series.get(values) or self._series.setdefault(values, MemoryCount())

    def describe(self) -> Iterable[Metric]:
        """Name the metric."""
        return (self._family(),)

    def collect(self) -> Iterator[Metric]:
        """Answer who asks."""
        family = self._family()
        for values, count in self._series.copy().items():
            family.add_metric(values, count.value)
        yield family

    def _family(self) -> CounterMetricFamily:
        return CounterMetricFamily(self._spec.prometheus_name, self._spec.help, labels=self._spec.labels)


class _PushedSeries(MemorySeries):
    """All series of one label set, whose request costs are recorded as they come."""

    __slots__ = ("_attributes",)

    def __init__(self, clock: Clock, attributes: dict[str, str]) -> None:
        super().__init__(clock)
        self._attributes = attributes

    def write(self, posting: Posting, exemplar: TraceRef | None, ended_s: float) -> None:
        """Add what a call came to."""
        super().write(posting, exemplar, ended_s)
        meter = meters.meter()
        if meter is None:
            return
        for name, observed in posting.observations:
            if name == _REQUEST_COST:
                context = meters.context_of(exemplar)
                _request_cost(meter).record(observed / NANO_PER_USD, self._attributes, context=context)


class _PushedStore(MemoryStore):
    """The series of all label sets. Calls are written down where OpenTelemetry's instruments may be touched."""

    def __init__(self, label_names: tuple[str, ...]) -> None:
        super().__init__(label_names)
        self._label_names = label_names

    def write_down(self, write: Callable[[EndedCall], None], call: EndedCall) -> None:
        """Call `write` with `call` before a reader collects."""
        backlog.leave(write, call)

    def settled(self) -> list[tuple[LabelSet, MemorySeries]]:
        """Return all series, with every call that has ended written down."""
        backlog.work_off()
        return super().settled()

    def _new(self, labels: LabelSet) -> MemorySeries:
        return _PushedSeries(self._clock, _attributes(dict(zip(self._label_names, labels, strict=True))))


class _Shown:
    """What one collector says, for the instruments that show a part of it each.

    A collector may ask the ledger: that is done once for each time that a reader collects, which is noticed by an
    instrument that comes again.
    """

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._waiting: dict[str, Metric | None] = {}

    def observe(self, spec: MetricSpec, _options: CallbackOptions) -> Iterator[Observation]:
        """Yield the series of one metric. For one reader at a time, as OpenTelemetry asks them."""
        if spec.prometheus_name not in self._waiting:
            self._waiting = dict.fromkeys(_names(self._collector.describe()))
            self._waiting |= {_name(family): family for family in self._collector.collect()}
        family = self._waiting.pop(spec.prometheus_name)
        for sample in () if family is None else family.samples:
            # Not `_created`, where prometheus_client shows it.
            if sample.name == spec.prometheus_name:
                value = sample.value if spec.unit in _NOT_COUNTED else int(sample.value)
                yield Observation(value, _attributes(sample.labels))


_lock = threading.Lock()
_pushed: Metrics | None = None
"""A reader's callbacks stay for the life of its provider: so do the numbers, whatever runtimes come and go."""
_providers: WeakSet[MeterProvider] = WeakSet()
"""Those whose readers ask for our metrics."""


def pushed_metrics(label_names: tuple[str, ...]) -> Metrics:
    """Return our metrics for OTLP, shown to the readers of the global MeterProvider from now on.

    Raises:
        ConfigurationError: They have other labels already.
    """
    global _pushed  # noqa: PLW0603  # as long-lived as the provider, which is global too
    with _lock:
        if _pushed is None:
            _pushed = Metrics.make(label_names, _PushedStore(label_names), MemoryCounter, ScrapedGauge())
        elif _pushed.label_names != label_names:
            allowed = f"the metrics leave with {_pushed.label_names} already, until the process ends"
            raise ConfigurationError("tag_labels", label_names, allowed)
        provider = otel_metrics.get_meter_provider()
        if provider not in _providers:
            _providers.add(provider)
            _show(_pushed, meters.meter_of(provider))
        return _pushed


def _show(shown: Metrics, meter: Meter) -> None:
    """Make an instrument for each metric. Where the provider is set only later, they begin to be asked then."""
    for collector in shown.collectors:
        part = _Shown(collector)
        for family in collector.describe():
            if family.type != "histogram":
                spec = _SPECS[_name(family)]
                create = _creator(meter, spec, family.type)
                create(spec.otel_name, [partial(part.observe, spec)], spec.unit, spec.help)


def _creator(meter: Meter, spec: MetricSpec, family_type: str) -> Callable[[str, list[Callback], str, str], object]:
    if family_type == "counter":
        return meter.create_observable_counter
    # What several processes have in flight adds up; no other gauge does.
    is_sum = spec is semconv.REQUESTS_IN_FLIGHT
    return meter.create_observable_up_down_counter if is_sum else meter.create_observable_gauge


@lru_cache(maxsize=8)
def _request_cost(meter: Meter) -> Histogram:
    spec = semconv.REQUEST_COST
    return meter.create_histogram(
        spec.otel_name, spec.unit, spec.help, explicit_bucket_boundaries_advisory=spec.buckets
    )


def _names(families: Iterable[Metric]) -> Iterator[str]:
    return map(_name, families)


def _name(family: Metric) -> str:
    """Return the name in full: prometheus_client takes the suffix of a counter off."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def _attributes(labels: dict[str, str]) -> dict[str, str]:
    """Return the labels that say something, as plain text: to Prometheus an empty one is an absent one."""
    return {name: str(value) for name, value in labels.items() if value}
