"""Series whose values prometheus_client keeps in files, so that a scrape can add up several processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from llm_otel import semconv
from llm_otel.recorders.postings import COUNTERS, HISTOGRAMS, SCALES, STREAMS_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llm_otel.call import TraceRef
    from llm_otel.recorders.label_sets import LabelSet
    from llm_otel.recorders.postings import EndedCall, Own, Posting
    from llm_otel.recorders.series import Collector


class FileSeries:
    """All series of one label set. There are no exemplars: the files have no room for them."""

    __slots__ = ("_counters", "_histograms", "_in_flight", "_labels", "_store")

    def __init__(self, store: FileStore, labels: LabelSet) -> None:
        self._store = store
        self._labels = labels
        self._in_flight = store.in_flight.labels(*labels)
        self._counters: dict[tuple[str, Own], Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        for spec, owns in COUNTERS.items():
            for own in owns:
                self._counter(spec.prometheus_name, own)
        for spec in HISTOGRAMS:
            if spec is not STREAMS_ONLY:
                self._histogram(spec.prometheus_name)

    def opened(self, *, is_streaming: bool) -> None:
        """Count a call as in flight. The first that streams makes what only streams have."""
        # First of all: `closed` will count it down whatever else fails here.
        self._in_flight.inc()
        if is_streaming:
            self._histogram(STREAMS_ONLY.prometheus_name)

    def closed(self) -> None:
        """Count a call as in flight no longer."""
        self._in_flight.dec()

    def write(self, posting: Posting, exemplar: TraceRef | None, ended_s: float) -> None:  # noqa: ARG002
        """Add what a call came to."""
        for name, own, amount, _ in posting.counts:
            self._counter(name, own).inc(amount / SCALES[name])
        for name, observed in posting.observations:
            self._histogram(name).observe(observed / SCALES[name])

    def _counter(self, name: str, own: Own) -> Counter:
        counter = self._counters.get((name, own))
        if counter is None:
            # Two threads may both come here: prometheus_client gives them the same one.
            counter = self._counters[name, own] = self._store.counters[name].labels(*self._labels, *own)
        return counter

    def _histogram(self, name: str) -> Histogram:
        histogram = self._histograms.get(name)
        if histogram is None:
            histogram = self._histograms[name] = self._store.histograms[name].labels(*self._labels)
        return histogram


class FileStore:
    """The series of all label sets.

    Args:
        label_names: Names of the values of a label set.
    """

    def __init__(self, label_names: tuple[str, ...]) -> None:
        self._label_names = label_names
        self._series: dict[LabelSet, FileSeries] = {}
        self.counters = {
            spec.prometheus_name: Counter(spec.prometheus_name, spec.help, (*label_names, *spec.labels), registry=None)
            for spec in COUNTERS
        }
        self.histograms = {
            spec.prometheus_name: Histogram(
                spec.prometheus_name, spec.help, label_names, registry=None, buckets=spec.buckets
            )
            for spec in HISTOGRAMS
        }
        self.in_flight = Gauge(
            semconv.REQUESTS_IN_FLIGHT.prometheus_name,
            semconv.REQUESTS_IN_FLIGHT.help,
            label_names,
            registry=None,
            multiprocess_mode="livesum",
        )

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """One for each metric."""
        return (*self.counters.values(), *self.histograms.values(), self.in_flight)

    def of(self, labels: LabelSet) -> FileSeries:
        """Return the series of a label set, made now if there are none."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = FileSeries(self, labels)
        return series

    def label_sets(self) -> Iterable[LabelSet]:
        """Return those that this process has series of, oldest first."""
        return list(self._series)

    def write_down(self, write: Callable[[EndedCall], None], call: EndedCall) -> None:
        """Call `write` with `call` now: the next scrape may be answered by another process."""
        write(call)
