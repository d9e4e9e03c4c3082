"""Fixtures for tests that make real calls. Other directories import those they want into their `conftest.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from llm_otel.assembly import Runtime
from llm_otel.clock import SystemClock
from llm_otel.config import Settings
from tests.conftest import SpanLog
from tests.contract.checker import check_metrics, check_spans

LITELLM_WARNS = pytest.mark.filterwarnings("ignore")
"""For tests that go through LiteLLM: its pydantic models and its sessions warn wherever they please (1.105),
and a warning that is raised as an error in there is just another failure of the provider."""


@pytest.fixture
def conformant_spans(spans: SpanLog) -> Iterator[SpanLog]:
    """The spans of this test; when it ends, every one of ours has to follow the conventions."""
    yield spans
    assert [] == [str(finding) for finding in check_spans(spans.ended)]


class HurriedClock(SystemClock):
    """The machine's clocks, for those who do not wait: pauses are noted, and over at once."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Note a pause."""
        self.pauses.append(seconds)

    async def asleep(self, seconds: float) -> None:
        """Note a pause."""
        self.pauses.append(seconds)


@dataclass
class World:
    """A runtime of this test's own, strict, with a registry of its own."""

    clock: HurriedClock = field(default_factory=HurriedClock)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    runtime: Runtime = field(init=False)

    def __post_init__(self) -> None:
        self.runtime = Runtime(Settings(strict=True), registry=self.registry, clock=self.clock)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        samples = (sample for family in self.registry.collect() for sample in family.samples)
        return sum(
            sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()
        )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The runtime that this test's calls use; when it ends, its metrics have to follow the conventions."""
    made = World()
    monkeypatch.setattr("llm_otel.wiring._runtime", made.runtime)
    yield made
    assert [] == [str(finding) for finding in check_metrics(made.registry.collect())]
    assert 0 == made.metric("llm_otel_requests_in_flight")
