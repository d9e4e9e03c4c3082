"""Circuit breakers for Prometheus: which circuits are open, how often they opened, what they refused.

A circuit is of a process: the gauge is 1 in each process whose circuit is not closed, and whether any is open is the
`max`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from prometheus_client import Gauge
from prometheus_client.metrics_core import GaugeMetricFamily

from llm_otel import semconv
from llm_otel.routing.health import CircuitEvent

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from llm_otel.recorders.series import Collector, LabelledCounter
    from llm_otel.routing.health import Model
    from llm_otel.semconv import MetricSpec

_logger = logging.getLogger("llm_otel")

NAME = "circuits"
_SPEC = semconv.CIRCUIT_OPEN

Open = Callable[[], "Iterable[Model]"]
"""Returns the models whose circuits are not closed, as labels."""


class OpenGauge(Protocol):
    """The gauge of open circuits. Thread-safe."""

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """What a registry holds of it."""

    def ask(self, open_circuits: Open) -> None:
        """Show these circuits from now on, and no longer those of who was asked before."""

    def changed(self, model: Model) -> None:
        """Look anew: a circuit may have opened or closed, or its model is a new one."""


class ScrapedGauge:
    """Asks at each scrape. A collector, too."""

    def __init__(self) -> None:
        self._open: Open = tuple
        self._models: dict[Model, None] = {}

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """What a registry holds of it."""
        return (self,)

    def ask(self, open_circuits: Open) -> None:
        """Show these circuits from now on, and no longer those of who was asked before."""
        self._open = open_circuits

    def changed(self, model: Model) -> None:
        """Show the model."""
        self._models[model] = None

    def describe(self) -> Iterable[Metric]:
        """Name the metric, so that a registry can refuse a second owner of the name."""
        return (_family(),)

    def collect(self) -> Iterator[Metric]:
        """Answer a scrape."""
        family = _family()
        open_now = frozenset(self._open())
        for model in self._models.copy():
            family.add_metric(model, float(model in open_now))
        yield family


class FileGauge:
    """Is written to a file at each change: the scrape may be answered by another process."""

    def __init__(self) -> None:
        self._open: Open = tuple
        self._models: dict[Model, None] = {}
        # Who comes last looks last, so that what stays is how it is. Re-entrant: the garbage collector may end a call.
        self._lock = threading.RLock()
        self._gauge = Gauge(_SPEC.prometheus_name, _SPEC.help, _SPEC.labels, registry=None, multiprocess_mode="livemax")

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """What a registry holds of it."""
        return (self._gauge,)

    def ask(self, open_circuits: Open) -> None:
        """Show these circuits from now on, and no longer those of who was asked before."""
        with self._lock:
            self._open = open_circuits
            self._write(self._models)

    def changed(self, model: Model) -> None:
        """Write down how the circuit stands now."""
        with self._lock:
            self._models[model] = None
            self._write((model,))

    def _write(self, models: Iterable[Model]) -> None:
        open_now = frozenset(self._open())
        for model in models:
            self._gauge.labels(*model).set(model in open_now)


class CircuitMetrics:
    """The metrics, wherever they leave.

    Args:
        make: Makes a counter.
        gauge: Shows what is open.
    """

    def __init__(self, make: Callable[[MetricSpec], LabelledCounter], gauge: OpenGauge) -> None:
        self.gauge = gauge
        self.openings = make(semconv.CIRCUIT_OPENED)
        self.refusals = make(semconv.CIRCUIT_REFUSALS)

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """What a registry holds of it."""
        return (*self.gauge.collectors, self.openings, self.refusals)


class CircuitRecorder:
    """Counts what circuits do, and logs when one opens and when it closes. Thread-safe.

    Args:
        metrics: Where.
        label: Returns a model as labels, which several may share.
        open_models: Returns the models whose circuits are not closed.
    """

    def __init__(self, metrics: CircuitMetrics, label: Callable[[Model], Model], open_models: Open) -> None:
        self._metrics = metrics
        self._label = label
        # Those whose opening was told: a probe that fails opens a circuit again, which is no news.
        self._logged: set[Model] = set()
        metrics.gauge.ask(lambda: map(label, open_models()))

    def noticed(self, model: Model, event: CircuitEvent) -> None:
        """Write down what happened to the circuit of a model."""
        labels = self._label(model)
        # Both made at 0 by the first event: `increase()` never sees the first value of a counter born with one.
        openings, refusals = self._metrics.openings.labels(*labels), self._metrics.refusals.labels(*labels)
        if event is CircuitEvent.REFUSED:
            refusals.inc()
            return
        if event is CircuitEvent.OPENED:
            openings.inc()
        self._metrics.gauge.changed(labels)
        self._log(model, event)

    def _log(self, model: Model, event: CircuitEvent) -> None:
        if event is CircuitEvent.OPENED and model not in self._logged:
            self._logged.add(model)
            _logger.warning("llm_otel.circuit_opened provider=%s model=%r: failed too often, is left alone", *model)
        elif event is CircuitEvent.CLOSED and model in self._logged:
            self._logged.discard(model)
            _logger.warning("llm_otel.circuit_closed provider=%s model=%r", *model)


def _family() -> GaugeMetricFamily:
    return GaugeMetricFamily(_SPEC.prometheus_name, _SPEC.help, labels=_SPEC.labels)
