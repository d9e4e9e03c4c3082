"""What the Prometheus recorder writes to. Values lie in memory, or in files that several processes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.metrics_core import Metric

    from llm_otel.call import TraceRef
    from llm_otel.recorders.label_sets import LabelSet
    from llm_otel.recorders.postings import EndedCall, Posting


class Collector(Protocol):
    """What a registry holds: it is asked at each scrape."""

    def describe(self) -> Iterable[Metric]:
        """Name the metrics, so that a registry can refuse a second owner of the names."""

    def collect(self) -> Iterable[Metric]:
        """Answer a scrape."""


class Count(Protocol):
    """One series of a counter. Thread-safe."""

    def inc(self, amount: float = 1) -> None:
        """Add to it."""


class LabelledCounter(Collector, Protocol):
    """A counter with labels of its own: prometheus_client's, or one in memory. Thread-safe."""

    def labels(self, *values: str) -> Count:
        """Return the series with these labels, made at 0 if there is none."""


class Series(Protocol):
    """All series of one label set, made at 0. Thread-safe."""

    def opened(self, *, is_streaming: bool) -> None:
        """Count a call as in flight. The first that streams makes what only streams have."""

    def closed(self) -> None:
        """Count a call as in flight no longer."""

    def write(self, posting: Posting, exemplar: TraceRef | None, ended_s: float) -> None:
        """Add what a call came to.

        Args:
            posting: What is to be added.
            exemplar: The trace that exemplars lead to.
            ended_s: When the call ended, seconds since the epoch.
        """


class SeriesStore(Protocol):
    """The series of all label sets. Thread-safe."""

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """One for each metric."""

    def of(self, labels: LabelSet) -> Series:
        """Return the series of a label set, made now if there are none."""

    def label_sets(self) -> Iterable[LabelSet]:
        """Return those that have series, oldest first."""

    def write_down(self, write: Callable[[EndedCall], None], call: EndedCall) -> None:
        """Call `write` with `call` before the next scrape.

        Args:
            write: May be called on the thread of another call or of a scrape, therefore must not raise.
            call: A call that ended.
        """
