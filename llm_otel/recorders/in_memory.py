"""Series whose values are plain numbers in memory, shown by collectors of our own.

A call writes some ten values. prometheus_client takes a lock and a check for each, and looks at all exemplars anew;
here a call leaves its facts in an inbox, one lock holds for all values of it, and the showing is left to the scrape.
What a scrape says is the same, to the letter.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import Counter
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString
from prometheus_client.values import MutexValue, ValueClass

from llm_otel import semconv
from llm_otel.clock import Clock, SystemClock
from llm_otel.recorders.inbox import Inbox
from llm_otel.recorders.postings import COUNTERS, HISTOGRAMS, SCALES, STREAMS_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.metrics_core import Metric

    from llm_otel.call import TraceRef
    from llm_otel.recorders.label_sets import LabelSet
    from llm_otel.recorders.postings import EndedCall, Own, Posting
    from llm_otel.recorders.series import Collector
    from llm_otel.semconv import MetricSpec

Sighting = tuple["TraceRef", float, float]
"""An exemplar, before it is shown: the trace, the amount, and when (seconds since the epoch)."""

_AT_ZERO = {spec.prometheus_name: dict.fromkeys(owns, 0) for spec, owns in COUNTERS.items()}
_BOUNDS = {
    spec.prometheus_name: tuple(
        bound if (scale := SCALES[spec.prometheus_name]) == 1 else round(bound * scale) for bound in spec.buckets
    )
    for spec in HISTOGRAMS
}
"""Upper bounds of all buckets but the last, in units of the amounts."""
_STREAMS_ONLY = STREAMS_ONLY.prometheus_name


class _Histogram:
    """One histogram of one label set. For the holder of the lock of its series."""

    __slots__ = ("counts", "created_s", "exemplars", "sum")

    def __init__(self, buckets: int, created_s: float) -> None:
        self.created_s = created_s
        self.counts = [0] * buckets
        self.exemplars: list[Sighting | None] = [None] * buckets
        self.sum: float = 0


class HistogramReading(NamedTuple):
    """What a histogram says at one moment."""

    counts: list[int]
    """For each bucket, not cumulative."""
    exemplars: list[Sighting | None]
    sum: float
    created_s: float


class MemorySeries:
    """All series of one label set.

    The lock is re-entrant: the garbage collector may end a stream, on the same thread, while a scrape holds it.
    Such an end finds every number whole, since each is changed in one step and copied before it is looked through.
    """

    __slots__ = ("_clock", "_counters", "_exemplars", "_histograms", "_lock", "created_s", "in_flight")

    def __init__(self, clock: Clock) -> None:
        self._lock = threading.RLock()
        self._clock = clock
        self.created_s = clock.now_ns() / 1e9
        self.in_flight = 0
        self._counters = {name: values.copy() for name, values in _AT_ZERO.items()}
        self._exemplars: dict[tuple[str, Own], Sighting] = {}
        self._histograms = {
            name: _Histogram(len(bounds) + 1, self.created_s)
            for name, bounds in _BOUNDS.items()
            if name != _STREAMS_ONLY
        }

    def opened(self, *, is_streaming: bool) -> None:
        """Count a call as in flight. The first that streams makes what only streams have."""
        with self._lock:
            self.in_flight += 1
            if is_streaming:
                self._expect_stream()

    def closed(self) -> None:
        """Count a call as in flight no longer."""
        with self._lock:
            self.in_flight -= 1

    def write(self, posting: Posting, exemplar: TraceRef | None, ended_s: float) -> None:
        """Add what a call came to."""
        with self._lock:
            for name, own, amount, leads_to_trace in posting.counts:
                values = self._counters[name]
                if own not in values:
                    # It was not foreseen: made now, instead of being lost.
                    values[own] = 0
                values[own] += amount
                if leads_to_trace and exemplar is not None:
                    self._exemplars[name, own] = (exemplar, amount, ended_s)
            for name, observed in posting.observations:
                bucket = bisect_left(_BOUNDS[name], observed)
                histogram = self._histograms.get(name) or self._expect_stream()
                histogram.counts[bucket] += 1
                histogram.sum += observed
                if exemplar is not None:
                    histogram.exemplars[bucket] = (exemplar, observed, ended_s)

    def counter(self, name: str) -> Iterator[tuple[Own, int, Sighting | None]]:
        """Yield own labels, sum and last exemplar of each series of a counter."""
        with self._lock:
            values = self._counters[name].copy()
            exemplars = self._exemplars.copy()
        for own, value in values.items():
            yield own, value, exemplars.get((name, own))

    def histogram(self, name: str) -> HistogramReading | None:
        """Return what a histogram says now; `None` if there is none yet."""
        with self._lock:
            found = self._histograms.get(name)
            if found is None:
                return None
            return HistogramReading(found.counts.copy(), found.exemplars.copy(), found.sum, found.created_s)

    def _expect_stream(self) -> _Histogram:
        histogram = self._histograms.get(_STREAMS_ONLY)
        if histogram is None:
            made = _Histogram(len(_BOUNDS[_STREAMS_ONLY]) + 1, self._clock.now_ns() / 1e9)
            histogram = self._histograms.setdefault(_STREAMS_ONLY, made)
        return histogram


class MemoryStore:
    """The series of all label sets.

    Args:
        label_names: Names of the values of a label set.
        clock: Says when a series began.
    """

    def __init__(self, label_names: tuple[str, ...], clock: Clock | None = None) -> None:
        self._clock = SystemClock() if clock is None else clock
        self._series: dict[LabelSet, MemorySeries] = {}
        self._inbox: Inbox[tuple[Callable[[EndedCall], None], EndedCall]] = Inbox(_write)
        self._collectors: tuple[Collector, ...] = (
            *(_CounterCollector(spec, label_names, self) for spec in COUNTERS),
            *(_HistogramCollector(spec, label_names, self) for spec in HISTOGRAMS),
            _InFlightCollector(label_names, self),
        )

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """One for each metric."""
        return self._collectors

    def of(self, labels: LabelSet) -> MemorySeries:
        """Return the series of a label set, made now if there are none."""
        # In one step: of two threads that both come here, one gets the other's.
        return self._series.get(labels) or self._series.setdefault(labels, self._new(labels))

    def _new(self, labels: LabelSet) -> MemorySeries:  # noqa: ARG002  # others want to know
        return MemorySeries(self._clock)

    def label_sets(self) -> Iterable[LabelSet]:
        """Return those that have series, oldest first."""
        return [labels for labels, _ in self.settled()]

    def write_down(self, write: Callable[[EndedCall], None], call: EndedCall) -> None:
        """Call `write` with `call` before the next scrape."""
        self._inbox.put((write, call))

    def settled(self) -> list[tuple[LabelSet, MemorySeries]]:
        """Return all series, with every call that has ended written down."""
        self._inbox.settle()
        return list(self._series.items())


def _write(item: tuple[Callable[[EndedCall], None], EndedCall]) -> None:
    write, call = item
    write(call)


class _CounterCollector:
    """Shows one counter."""

    def __init__(self, spec: MetricSpec, label_names: tuple[str, ...], store: MemoryStore) -> None:
        self._spec = spec
        self._label_names = (*label_names, *spec.labels)
        self._store = store

    def describe(self) -> Iterable[Metric]:
        """Name the metric."""
        return (self._family(),)

    def collect(self) -> Iterator[Metric]:
        """Answer a scrape."""
        family = self._family()
        name = self._spec.prometheus_name
        has_created = shows_created()
        for labels, series in self._store.settled():
            created_s = series.created_s if has_created else None
            for own, value, exemplar in series.counter(name):
                shown = None if exemplar is None else _exemplar(exemplar, SCALES[name])
                family.add_metric((*labels, *own), value / SCALES[name], created_s, exemplar=shown)
        yield family

    def _family(self) -> CounterMetricFamily:
        return CounterMetricFamily(self._spec.prometheus_name, self._spec.help, labels=self._label_names)


class _HistogramCollector:
    """Shows one histogram."""

    def __init__(self, spec: MetricSpec, label_names: tuple[str, ...], store: MemoryStore) -> None:
        self._spec = spec
        self._label_names = label_names
        self._store = store
        # prometheus_client has no annotations there.
        self._bounds = [floatToGoString(bound) for bound in (*spec.buckets, math.inf)]  # type: ignore[no-untyped-call]

    def describe(self) -> Iterable[Metric]:
        """Name the metric."""
        return (self._family(),)

    def collect(self) -> Iterator[Metric]:
        """Answer a scrape."""
        family = self._family()
        name = self._spec.prometheus_name
        has_created = shows_created()
        for labels, series in self._store.settled():
            histogram = series.histogram(name)
            if histogram is None:
                continue
            family.add_metric(labels, self._buckets(histogram), histogram.sum / SCALES[name])
            if has_created:
                by_name = dict(zip(self._label_names, labels, strict=True))
                family.add_sample(f"{name}_created", by_name, histogram.created_s)
        yield family

    def _buckets(self, histogram: HistogramReading) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
        scale = SCALES[self._spec.prometheus_name]
        upto = map(float, accumulate(histogram.counts))
        return [
            (bound, count) if sighting is None else (bound, count, _exemplar(sighting, scale))
            for bound, count, sighting in zip(self._bounds, upto, histogram.exemplars, strict=True)
        ]

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._spec.prometheus_name, self._spec.help, labels=self._label_names)


class _InFlightCollector:
    """Shows the calls that have not ended."""

    def __init__(self, label_names: tuple[str, ...], store: MemoryStore) -> None:
        self._label_names = label_names
        self._store = store

    def describe(self) -> Iterable[Metric]:
        """Name the metric."""
        return (self._family(),)

    def collect(self) -> Iterator[Metric]:
        """Answer a scrape."""
        family = self._family()
        for labels, series in self._store.settled():
            family.add_metric(labels, float(series.in_flight))
        yield family

    def _family(self) -> GaugeMetricFamily:
        spec = semconv.REQUESTS_IN_FLIGHT
        return GaugeMetricFamily(spec.prometheus_name, spec.help, labels=self._label_names)


def shows_created() -> bool:
    """Whether prometheus_client shows when series began. It can be told not to, and tells nobody but its metrics.

    Under several worker processes it never does; there the probe would be written to a file.
    """
    if ValueClass is not MutexValue:
        return False
    probe = Counter("probe", "Never shown.", registry=None)
    return any(sample.name.endswith("_created") for metric in probe.collect() for sample in metric.samples)


def _exemplar(sighting: Sighting, scale: int) -> Exemplar:
    trace, amount, seen_s = sighting
    labels = {
        semconv.EXEMPLAR_TRACE_ID: f"{trace.trace_id:032x}",
        semconv.EXEMPLAR_SPAN_ID: f"{trace.span_id:016x}",
    }
    return Exemplar(labels, amount / scale, seen_s)
