"""Circuit breakers on the metrics: from the calls of a runtime to what a scrape says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from llm_otel import ConfigurationError
from llm_otel.assembly import Runtime
from llm_otel.config import Settings, load_settings
from llm_otel.recorders.prometheus import PrometheusRecorder
from llm_otel.routing.health import CircuitEvent, Health

MODEL = ("openai", "gpt-4o-mini")
OPEN, OPENED, REFUSED = "llm_otel_circuit_open", "llm_otel_circuit_opened_total", "llm_otel_circuit_refusals_total"


class Clock:
    """One that is moved by hand."""

    monotonic_s = 0.0

    def monotonic(self) -> float:
        return self.monotonic_s

    def now_ns(self) -> int:
        return round(self.monotonic_s * 1e9)

    def sleep(self, seconds: float) -> None:
        self.monotonic_s += seconds

    async def asleep(self, seconds: float) -> None:
        self.monotonic_s += seconds


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of the test's own."""
    return CollectorRegistry()


@pytest.fixture
def start(registry) -> Callable[..., Health]:
    """Configure a runtime that records there; return its circuits."""

    def start(**settings: Any) -> Health:
        made = Runtime(Settings(strict=True, circuit_min_calls=2, **settings), registry=registry, clock=Clock())
        assert made.health is not None
        return made.health

    return start


def fail(health: Health, now_s: float = 0.0, model: tuple[str, str] = MODEL, *, times: int = 2) -> None:
    """Make calls that fail."""
    for _ in range(times):
        admitted = health.admits(model, now_s)
        if admitted is not None:
            health.noted(admitted, now_s, failed=True)


def shown(registry: CollectorRegistry, model: tuple[str, str] = MODEL) -> tuple[float | None, ...]:
    """Return what a scrape says of a model: open or not, openings, refusals."""
    labels = {"provider": model[0], "model": model[1]}
    return tuple(registry.get_sample_value(name, labels) for name in (OPEN, OPENED, REFUSED))


def test_a_model_is_there_at_zero_from_its_first_call(registry, start):
    """`increase()` never sees the first value of a counter that is born with one."""
    health = start()
    assert (None, None, None) == shown(registry)

    health.admits(MODEL, 0)

    assert (0, 0, 0) == shown(registry)


def test_an_open_circuit_is_shown_until_a_probe_succeeds(registry, start):
    """While it is half-open too: the others are still refused. A probe that fails opens it once more."""
    health = start(circuit_open_s=10.0)
    fail(health, times=5)
    seen = [shown(registry)]
    fail(health, 10, times=1)
    seen.append(shown(registry))
    probe = health.admits(MODEL, 20)
    seen.append(shown(registry))
    health.noted(probe, 21, failed=False)
    seen.append(shown(registry))

    assert [(1, 1, 3), (1, 2, 3), (1, 2, 3), (0, 2, 3)] == seen


def test_the_log_tells_of_an_outage_once_and_of_its_end(start, caplog):
    """Not of each call that was refused, nor of each probe that failed: an outage of an hour is two lines."""
    health = start(circuit_open_s=10.0)
    fail(health, times=5)
    fail(health, 10, times=1)
    fail(health, 20, times=1)
    health.noted(health.admits(MODEL, 30), 31, failed=False)
    fail(health, 40)

    assert ["llm_otel.circuit_opened", "llm_otel.circuit_closed", "llm_otel.circuit_opened"] == [
        line.partition(" ")[0] for line in caplog.messages
    ]
    assert "provider=openai model='gpt-4o-mini'" in caplog.messages[0]


def test_models_are_told_apart_by_provider_too(registry, start):
    """The same model elsewhere is well."""
    health = start()
    elsewhere = ("azure.ai.openai", MODEL[1])
    health.admits(elsewhere, 0)
    fail(health)

    assert [(1, 1, 0), (0, 0, 0)] == [shown(registry, MODEL), shown(registry, elsewhere)]


def test_models_beyond_the_cap_share_a_series(registry):
    """It is 1 if any of them is open; what calls have as label, circuits have."""
    recorder = PrometheusRecorder(registry=registry, max_models=1)
    open_models = [("openai", "c")]
    circuits = recorder.for_circuits(lambda: open_models)
    for model in ("a", "b", "c"):
        circuits.noticed(("openai", model), CircuitEvent.KNOWN)
    circuits.noticed(("openai", "c"), CircuitEvent.OPENED)

    assert [(0, 0, 0), (1, 1, 0)] == [shown(registry, ("openai", "a")), shown(registry, ("openai", "__other__"))]
    open_models.clear()
    assert (0, 1, 0) == shown(registry, ("openai", "__other__"))


def test_a_new_runtime_begins_with_closed_circuits(registry, start):
    """The series go on: counters with what they have, the gauge at 0 until a circuit of the new one opens."""
    fail(start())
    before = shown(registry)
    again = start()
    after = shown(registry)
    fail(again)

    assert [(1, 1, 0), (0, 1, 0), (1, 2, 0)] == [before, after, shown(registry)]


def test_without_the_breaker_nothing_is_refused_and_nothing_shown(registry):
    """`circuit_breaker=False`: every call finds out by itself."""
    assert Runtime(Settings(circuit_breaker=False), registry=registry).health is None
    assert [] == [sample for family in registry.collect() if "circuit" in family.name for sample in family.samples]


def test_a_recorder_that_fails_breaks_no_call(registry, start, monkeypatch):
    """It is counted, as any other."""
    health = Runtime(Settings(), registry=registry).health

    def broken(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("llm_otel.recorders.circuits.CircuitRecorder.noticed", broken)
    recorder_fails = {"recorder": "circuits"}

    assert health.admits(MODEL, 0)
    assert 1 == registry.get_sample_value("llm_otel_internal_errors_total", recorder_fails)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("circuit_failure_ratio", 0),
        ("circuit_failure_ratio", 1.01),
        ("circuit_failure_ratio", float("nan")),
        ("circuit_min_calls", 0),
        ("circuit_min_calls", 1.5),
        ("circuit_window_s", 0),
        ("circuit_window_s", float("inf")),
        ("circuit_open_s", -1),
        ("circuit_open_s", 86_401),
    ],
)
def test_a_rule_that_cannot_be_met_is_refused(name, value):
    """With its name, before anything is sent."""
    with pytest.raises(ConfigurationError, match=name):
        load_settings({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("circuit_failure_ratio", 1), ("circuit_min_calls", 1), ("circuit_window_s", 0.1), ("circuit_open_s", 86_400)],
)
def test_the_ends_of_the_ranges_are_allowed(name, value):
    """All calls failing, one call, a day."""
    assert value == getattr(load_settings({name: value}), name)
