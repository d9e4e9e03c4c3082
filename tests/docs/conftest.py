"""The library as a program finds it that has just started."""

import signal
from types import SimpleNamespace

import pytest


@pytest.fixture
def fresh_library(monkeypatch):
    """No runtime yet, whatever other tests configured; afterwards theirs is back."""
    import llm_otel.wiring

    monkeypatch.setattr(llm_otel.wiring, "_runtime", None)


@pytest.fixture(autouse=True)
def own_models(fresh_registry):
    """Models that a page registers are its own."""


@pytest.fixture(autouse=True)
def sent_nowhere(monkeypatch):
    """Pages that ask for OTLP get none: a provider would be the whole test process's, until its end."""
    from llm_otel import telemetry
    from llm_otel.telemetry import providers

    monkeypatch.setattr(providers, "install", lambda routes, named, outages: [])
    monkeypatch.setattr(telemetry, "_end", lambda: SimpleNamespace(add=list))


@pytest.fixture(autouse=True)
def the_end_as_before():
    """Pages that handle SIGTERM handle it for themselves."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def litellm_as_before():
    """Pages that instrument do it for themselves."""
    from llm_otel import uninstrument

    yield
    uninstrument()


@pytest.fixture(autouse=True)
def traced_by_the_tests(_span_log):
    """Pages that set a tracer provider come too late: the first of a process stays, and other tests need theirs."""
