"""For tests of the whole path: a provider on loopback, a runtime with a ledger, and what both say in the end."""

from __future__ import annotations

import asyncio
import gc
import os
from contextlib import ExitStack
from contextvars import copy_context

import pytest
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry

from llm_otel import semconv
from llm_otel.assembly import Runtime
from llm_otel.config import Settings
from llm_otel.demo.simulator import Simulator
from llm_otel.providers.loading import litellm as load_litellm
from llm_otel.stores.redis import RedisStore
from tests.stores.redis_server import running

LITELLMS_OWN = ("ignore::DeprecationWarning", "ignore::UserWarning")
"""What pydantic says of LiteLLM's models, in the middle of a call that an exception would break."""


def pytest_collection_modifyitems(items):
    """Let pass what LiteLLM does wrong by itself."""
    for item in items:
        if "simulator" in getattr(item, "fixturenames", ()):
            for each in LITELLMS_OWN:
                item.add_marker(pytest.mark.filterwarnings(each))


@pytest.fixture(scope="session")
def _litellm():
    """LiteLLM, spared the callbacks for each chunk, which nobody listens to."""
    module = load_litellm()
    module.disable_streaming_logging = True
    gc.freeze()
    return module


@pytest.fixture(scope="session")
def _simulator():
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(_simulator, _litellm, monkeypatch):
    """The provider: its addresses are in the environment, no key is."""
    for name in tuple(os.environ):
        if name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    for name, value in _simulator.env().items():
        monkeypatch.setenv(name, value)
    _simulator.clear()
    yield _simulator
    _simulator.clear()


@pytest.fixture(scope="session")
def _runner(_litellm):
    with asyncio.Runner() as runner:
        yield runner
        runner.run(_litellm.close_litellm_async_clients())


@pytest.fixture
def run(_runner):
    """`asyncio.run` on one event loop for all: LiteLLM keeps connections for it."""
    return lambda coroutine: _runner.run(coroutine, context=copy_context())


class Ledger:
    """A runtime with a ledger, made for one test.

    Attributes:
        journals: Where its journal is put.
    """

    def __init__(self, url, budgets, journals, spans):
        self._spans = spans
        self.journals = journals
        self.runtime = Runtime(
            Settings(strict=True, ledger=url, journal=journals), budgets=budgets, registry=CollectorRegistry()
        )

    def standing(self, name="all"):
        """Return (spent, held) of a budget that is not split, in nano-USD, as it is now."""
        (status,) = [each for each in self.runtime.enforcer.statuses() if each.budget.id == name]
        return int(status.spent_usd * 10**9), int(status.held_usd * 10**9)

    def flushed(self, name="all"):
        """Return the same once all that was handed over is settled."""
        assert self.runtime.enforcer.flush(20)
        return self.standing(name)

    @property
    def by_spans(self):
        """What all calls cost by their spans, in nano-USD."""
        said = [span.attributes or {} for span in self._spans.ended if span.kind is SpanKind.CLIENT]
        return sum(each.get(semconv.COST_NANO_USD) or 0 for each in said)

    def close(self):
        """Leave nothing to later tests."""
        assert self.runtime.enforcer.flush(20)
        self.runtime.enforcer.store.close()


@pytest.fixture
def ledger_at(simulator, spans, tmp_path, monkeypatch):
    """`ledger_at(url, *budgets)` makes a strict runtime with a ledger, and uses it for this test.

    A machine that is busy must not look like an outage: Redis may take its time, unless told otherwise.
    """
    with ExitStack() as closing:

        def ledger_at(url, *budgets, timeout_s=20.0):
            monkeypatch.setitem(RedisStore.__init__.__kwdefaults__, "timeout_s", timeout_s)
            made = Ledger(url, budgets, tmp_path / "journals", spans)
            closing.callback(made.close)
            monkeypatch.setattr("llm_otel.wiring._runtime", made.runtime)
            return made

        yield ledger_at


@pytest.fixture(scope="session")
def _redis():
    with running() as server:
        yield server


@pytest.fixture
def url_of(request, tmp_path):
    """`url_of("sqlite")`: the address of an empty ledger of a kind."""

    def url_of(kind):
        if kind == "redis":
            server = request.getfixturevalue("_redis")
            server.admin.flushall()
            return server.url
        return {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/ledger.db"}[kind]

    return url_of
