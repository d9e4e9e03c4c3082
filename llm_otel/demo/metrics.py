"""The Prometheus metrics of the demo: a registry of its own, read as a scrape reads it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from llm_otel.money import NANO_PER_USD

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

    from llm_otel.semconv import MetricSpec

new_registry = CollectorRegistry


def total(registry: CollectorRegistry, spec: MetricSpec) -> float:
    """Return a counter's sum over all its series."""
    return sum(sample.value for sample in _samples(registry, spec))


def total_nano(registry: CollectorRegistry, spec: MetricSpec) -> int:
    """Return the sum of a counter of US dollars in nano-USD; floats are exact enough for that."""
    return round(total(registry, spec) * NANO_PER_USD)


def total_by(
    registry: CollectorRegistry, spec: MetricSpec, label: str, where: Mapping[str, str] | None = None
) -> dict[str, float]:
    """Return a counter's sums by the values of a label, without zeros.

    Args:
        registry: Where it stands.
        spec: Which counter.
        label: What it is split by.
        where: Only series with these labels.
    """
    wanted = (where or {}).items()
    sums: dict[str, float] = defaultdict(float)
    for sample in _samples(registry, spec):
        if sample.value and wanted <= sample.labels.items():
            sums[sample.labels[label]] += sample.value
    return dict(sums)


def _samples(registry: CollectorRegistry, spec: MetricSpec) -> Iterator[Sample]:
    for metric in registry.collect():
        yield from (sample for sample in metric.samples if sample.name == spec.prometheus_name)
