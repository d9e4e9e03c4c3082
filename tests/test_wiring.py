"""The runtime: made when it is needed, swapped by `configure()`, and quiet about its own failures."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

import llm_otel
from llm_otel.assembly import Runtime
from llm_otel.budgets.budget import Budget
from llm_otel.call import CallRequest
from llm_otel.clock import SystemClock
from llm_otel.config import Settings
from llm_otel.errors import ConfigurationError
from llm_otel.open_call import OpenCall
from llm_otel.plan import Plan
from llm_otel.scope import Scope
from llm_otel.wiring import configure, metrics_registry, runtime, tracker

REQUEST = CallRequest(operation="chat", provider="openai", model="gpt-4o-mini", litellm_model="openai/gpt-4o-mini")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start each test as a process starts: without a runtime."""
    for name in tuple(os.environ):
        if name.startswith("LLM_OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("llm_otel.wiring._runtime", None)


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of this test's own."""
    return CollectorRegistry()


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples that have these labels."""
    samples = (sample for family in registry.collect() for sample in family.samples)
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def test_no_configuration_is_needed():
    """The first call makes a runtime with the defaults, and the next ones use it."""
    made = runtime()

    assert made is runtime()
    assert ("team", "feature") == made.settings.tag_labels
    assert made.tracker is tracker()


def test_threads_that_need_it_first_get_the_same():
    """One runtime for a process: two would count in two places."""
    barrier, made = threading.Barrier(8), []

    def first_call() -> None:
        barrier.wait(timeout=30)
        made.append(runtime())

    threads = [threading.Thread(target=first_call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [runtime()] * 8 == made


def test_configure_swaps_the_runtime(registry):
    """Its counts go on with the same metrics; statistics start afresh."""
    first = configure(registry=registry, strict=True)
    second = configure(registry=registry, tag_labels=["feature", "team"])

    assert (second, False) == (runtime(), first is second)
    assert (True, False) == (first.settings.strict, second.settings.strict)
    assert first.tracker is not second.tracker


def test_a_configuration_that_cannot_be_used_changes_nothing(registry):
    """The runtime before stays in place."""
    before = configure(registry=registry)
    with pytest.raises(ConfigurationError, match="tag_labels"):
        configure(registry=CollectorRegistry(), tag_labels=["model"])
    with pytest.raises(ConfigurationError, match="strict"):
        configure(strict="perhaps")

    assert before is runtime()


def test_calls_in_flight_end_on_the_runtime_they_began_with(registry, spans):
    """Nothing is counted as begun here and ended there."""
    old = configure(registry=registry, strict=True)
    call = OpenCall(old.instruments, Plan(request=REQUEST))
    new_registry = CollectorRegistry()
    configure(registry=new_registry, strict=True)
    call.begin_attempt()
    call.interrupted(ValueError())

    assert (1, 0) == (value(registry, "llm_otel_requests_total"), value(new_registry, "llm_otel_requests_total"))
    assert 0 == value(registry, "llm_otel_requests_in_flight")
    assert (1, 0) == (old.tracker.get_stats()["total_calls"], tracker().get_stats()["total_calls"])


def test_the_registry_to_serve(registry):
    """The one that was given; prometheus_client's own by default."""
    configure(registry=registry)

    assert registry is metrics_registry()


def test_the_age_of_prices_is_served(registry):
    """So that an alert can say that they are old."""
    configure(registry=registry)

    assert value(registry, "llm_otel_price_age_seconds") >= 0
    assert any(family.name == "llm_otel_price_age_seconds" and family.samples for family in registry.collect())


# --- failures of our own ----------------------------------------------------------------------------------------------


def test_a_failure_of_our_own_is_counted_and_logged_once(registry, caplog):
    """For each kind: a broken recorder must not fill the log."""
    made = configure(registry=registry)
    with caplog.at_level(logging.WARNING, logger="llm_otel"):
        for error in (ValueError("one"), ValueError("two"), KeyError("three")):
            made.internal_error("span", error)
        made.internal_error("tracker", ValueError("four"))

    assert (3, 1) == (
        value(registry, "llm_otel_internal_errors_total", recorder="span"),
        value(registry, "llm_otel_internal_errors_total", recorder="tracker"),
    )
    assert [
        "llm_otel.internal_error recorder=span error=ValueError",
        "llm_otel.internal_error recorder=span error=KeyError",
        "llm_otel.internal_error recorder=tracker error=ValueError",
    ] == [record.getMessage() for record in caplog.records]


def test_a_failure_of_our_own_is_raised_in_strict_mode(registry):
    """The library's own tests see every one."""
    made = configure(registry=registry, strict=True)
    with pytest.raises(ValueError, match="one"):
        made.internal_error("span", ValueError("one"))

    assert 0 == value(registry, "llm_otel_internal_errors_total")


@pytest.mark.parametrize("part", ["answer", "price", "prometheus", "scope", "span", "stream", "tracker", "usage"])
def test_every_part_that_may_fail_has_its_series_from_the_start(part, registry):
    """`increase()` loses the first sample of a counter that is born with one."""
    configure(registry=registry)
    samples = [
        sample.labels.get("recorder")
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "llm_otel_internal_errors_total"
    ]

    assert part in samples


class Broken:
    """A recorder that fails."""

    name = "broken"

    def opened(self, request: Any) -> None:
        """Fail."""
        raise RuntimeError("opened")

    def closed(self, record: Any) -> None:
        """Fail."""
        raise RuntimeError("closed")


def test_a_broken_recorder_does_not_stop_the_others(registry, spans, monkeypatch):
    """Nor the call: telemetry never breaks one."""
    made = configure(registry=registry)
    instruments = SimpleNamespace(
        **{name: getattr(made.instruments, name) for name in type(made.instruments).__slots__}
    )
    instruments.recorders = (Broken(), *made.instruments.recorders)
    call = OpenCall(instruments, Plan(request=REQUEST))
    call.begin_attempt()
    call.interrupted(ValueError())

    assert 2 == value(registry, "llm_otel_internal_errors_total", recorder="broken")
    assert 1 == value(registry, "llm_otel_requests_total", outcome="error")
    assert ["chat gpt-4o-mini"] == spans.names


# --- responses of calls that were made without us ---------------------------------------------------------------------


class StillClock(SystemClock):
    """A clock whose time does not pass."""

    def monotonic(self) -> float:
        """Return the same time again."""
        return 1_000.0


def test_a_response_is_recorded_as_a_call(registry, spans):
    """With its own times, under the tags of its scope, and in the scope's totals."""
    made = Runtime(Settings(strict=True), registry=registry, clock=StillClock())
    scope = Scope("work", {"team": "search"})
    response = {
        "model": "gpt-4o-mini",
        "choices": [{"finish_reason": "stop", "message": {"content": "hi"}}],
        "usage": {"prompt_tokens": 18, "completion_tokens": 5},
    }
    made.record_response(response, scope=scope, started_ns=10**18, duration_s=2.5)

    span = spans.only
    assert (10**18, 10**18 + 2_500_000_000) == (span.start_time, span.end_time)
    assert "search" == span.attributes["llm_otel.tag.team"]
    assert (1, 23, Decimal("0.0000057")) == (scope.calls, scope.tokens, scope.cost_usd)
    assert 1 == value(registry, "llm_otel_requests_total", outcome="success", team="search")


@pytest.mark.parametrize("response", [{}, {"model": None}, {"model": 7, "usage": "?"}, object()])
def test_a_response_that_says_nothing_is_a_call_all_the_same(response, registry, spans):
    """It was made, and its model and provider are not known."""
    made = Runtime(Settings(strict=True), registry=registry)
    made.record_response(response, scope=Scope("work"), started_ns=10**18, duration_s=0.0)

    assert "unknown" == spans.only.attributes["gen_ai.provider.name"]


# --- the whole process ------------------------------------------------------------------------------------------------


def test_warming_up_loads_litellm_in_the_background():
    """The first call does not wait for its import."""
    program = """
import sys, threading
import llm_otel
llm_otel.configure(warm_up=True)
(thread,) = (each for each in threading.enumerate() if each.name == "llm-otel-warm-up")
assert thread.daemon
thread.join()
print("litellm" in sys.modules)
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False, timeout=110
    )

    assert "True\n" == run.stdout, run.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_fork_waits_until_all_is_warm():
    """Else the child would have the locks of half-imported modules, and wait for ever when it makes its first call."""
    program = """
import os, sys, threading
import llm_otel
sys.setswitchinterval(60)  # nobody gets on but by another's waiting
begun, forks = threading.Event(), threading.Event()
threads = []

def load(runtime):
    threads.append(threading.current_thread())
    begun.set()
    forks.wait(60)

os.register_at_fork(after_in_parent=lambda: print(threads[0].is_alive()))
llm_otel.runtime().__class__.warm_up = load
llm_otel.configure(warm_up=True)
begun.wait(60)
# Hooks run in turn, the one registered last first: it is in the fork that the loading ends.
os.register_at_fork(before=forks.set)
if os.fork() == 0:
    os._exit(0)
os.wait()
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False, timeout=110
    )

    assert ("False\n", "") == (run.stdout, run.stderr)


def test_the_public_names_are_these():
    """`llm_otel.runtime` is the function, whatever was imported before."""
    assert (configure, runtime, tracker, metrics_registry) == (
        llm_otel.configure,
        llm_otel.runtime,
        llm_otel.tracker,
        llm_otel.metrics_registry,
    )


def test_a_callback_for_alerts_can_be_called():
    """Found now, and not at the first alert."""
    with pytest.raises(ConfigurationError, match="on_budget_alert='tell' is not usable: a function"):
        configure(on_budget_alert="tell", registry=CollectorRegistry())


def test_a_model_to_downgrade_to_can_be_sent_somewhere():
    """Found now, and not when the money runs out."""
    budget = Budget("chat", limit_usd=1, window="day", downgrade_to=("gpt-4o-mini", "gpt4 oops"))

    with pytest.raises(ConfigurationError, match=r"Budget\('chat'\)\.downgrade_to='gpt4 oops' is not usable"):
        configure(budgets=[budget], registry=CollectorRegistry())
