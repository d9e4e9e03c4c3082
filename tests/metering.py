"""A MeterProvider of a test's own, in the place of the process's, and what its reader sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric, MetricsData

from llm_otel.recorders import otlp_metrics
from llm_otel.recorders.backlog import backlog

Labels = frozenset[tuple[str, Any]]


class Metering:
    """The provider that the library sees, and a reader that asks it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.set(MeterProvider([reader := InMemoryMetricReader()]))
        self._reader = reader

    def set(self, provider: metrics.MeterProvider) -> None:
        """Have the library see another provider."""
        self._monkeypatch.setattr(metrics, "get_meter_provider", lambda: provider)

    def collect(self) -> MetricsData:
        """Return all that the reader is given."""
        return self._reader.get_metrics_data() or MetricsData(resource_metrics=())

    @property
    def metrics(self) -> dict[str, Metric]:
        """What the reader is given, by name."""
        return {
            metric.name: metric
            for resource in self.collect().resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str) -> dict[Labels, Any]:
        """Return the data points of a metric by their attributes; none where nobody has recorded any."""
        metric = self.metrics.get(name)
        points = () if metric is None else metric.data.data_points
        return {frozenset((point.attributes or {}).items()): point for point in points}

    def values(self, name: str) -> dict[Labels, Any]:
        """Return the values of a sum or gauge by their attributes."""
        return {labels: point.value for labels, point in self.points(name).items()}

    def only(self, name: str) -> Any:
        """Return the one data point of a metric."""
        (point,) = self.points(name).values()
        return point


@pytest.fixture
def metering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metering]:
    """A provider that records, with nothing recorded yet."""
    monkeypatch.setattr(otlp_metrics, "_pushed", None)
    backlog.forget()
    yield Metering(monkeypatch)
    backlog.work_off()
