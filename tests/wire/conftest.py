"""The simulator, a runtime for each test, and the books that must balance when it ends."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextvars import copy_context
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from llm_otel import instrument, uninstrument
from llm_otel.assembly import Runtime
from llm_otel.budgets.budget import Budget
from llm_otel.clock import SystemClock
from llm_otel.config import Settings
from llm_otel.demo.simulator import Simulator
from llm_otel.providers.loading import litellm as load_litellm
from tests.conftest import SpanLog
from tests.contract.checker import check_metrics, check_spans
from tests.contract.content import check_span_content
from tests.wire.asking import Asker, with_run
from tests.wire.books import Books
from tests.wire.callers import Caller

Run = Callable[[Coroutine[Any, Any, Any]], Any]

PATIENCE_S = 10.0
"""For a provider to notice that its client has left, on a busy machine."""
LOOP_TURNS = 20
EVERYTHING = Budget("everything", limit_usd=1_000_000, window="lifetime", kind="soft")
HERE = Path(__file__).parent
LITELLMS_OWN = ("ignore::DeprecationWarning", "ignore::UserWarning")
"""What pydantic says of LiteLLM's models, in the middle of a call that an exception would break."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this directory, and let pass what LiteLLM does wrong by itself."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.wire)
            for each in LITELLMS_OWN:
                item.add_marker(pytest.mark.filterwarnings(each))


@pytest.fixture(scope="session", autouse=True)
def litellm() -> Any:
    """LiteLLM, spared the callbacks for each chunk, which nobody listens to."""
    module = load_litellm()
    module.disable_streaming_logging = True
    return module


# --- the provider -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(_simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The provider: its addresses are in the environment, no key is. It ends idle: whoever left has hung up."""
    for name in tuple(os.environ):
        if name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    for name, value in _simulator.env().items():
        monkeypatch.setenv(name, value)
    _simulator.clear()
    yield _simulator
    try:
        _simulator.wait_until_idle(timeout_s=PATIENCE_S)
    except TimeoutError as exc:
        # This test has failed; those after it find a provider that nobody is connected to.
        _simulator.hang_up()
        _simulator.wait_until_idle()
        pytest.fail(f"connections that nobody closed: {exc}")


# --- the library ------------------------------------------------------------------------------------------


class JumpingClock(SystemClock):
    """The machine's clocks, for those who do not wait: a pause is noted, and over at once.

    Attributes:
        jumps: Whether deadlines notice the pauses; then a call may seem to last longer than the scope around it.
    """

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.jumps = False

    def monotonic(self) -> float:
        """Return the time, with the pauses in it."""
        return time.monotonic() + (sum(self.pauses) if self.jumps else 0.0)

    def sleep(self, seconds: float) -> None:
        """Go on."""
        self.pauses.append(seconds)

    async def asleep(self, seconds: float) -> None:
        """Go on."""
        self.pauses.append(seconds)


@pytest.fixture
def clock() -> JumpingClock:
    """The clock of the runtime."""
    return JumpingClock()


@pytest.fixture
def runtimes() -> list[Runtime]:
    """The runtimes of this test, in the order in which they were made."""
    return []


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, clock: JumpingClock, runtimes: list[Runtime]) -> Callable[..., Runtime]:
    """`use(registry, **settings)` makes a runtime, strict unless told otherwise, and uses it for this test.

    Every call is charged to a budget, by default to one that only counts.
    """

    def use(
        registry: CollectorRegistry,
        *,
        budgets: Sequence[Budget] = (EVERYTHING,),
        on_budget_alert: Any = None,
        redact: Any = None,
        **settings: Any,
    ) -> Runtime:
        made = Runtime(
            Settings(**{"strict": True} | settings),
            budgets=budgets,
            on_budget_alert=on_budget_alert,
            redact=redact,
            registry=registry,
            clock=clock,
        )
        monkeypatch.setattr("llm_otel.wiring._runtime", made)
        runtimes.append(made)
        return made

    return use


@pytest.fixture
def registry() -> CollectorRegistry:
    """The Prometheus registry of this test."""
    return CollectorRegistry()


@pytest.fixture
def runtime(use: Callable[..., Runtime], registry: CollectorRegistry) -> Runtime:
    """The runtime of this test."""
    return use(registry)


@pytest.fixture(autouse=True)
def books(
    spans: SpanLog, runtime: Runtime, runtimes: list[Runtime], registry: CollectorRegistry, simulator: Simulator
) -> Iterator[Books]:
    """What was written down. When the test ends it has to balance, and to follow the conventions."""
    books = Books(spans, registry, runtimes)
    threads = set(threading.enumerate())
    yield books
    books.check()
    has_content = any(each.instruments.content is not None for each in runtimes)
    assert [] == [str(finding) for finding in check_spans(spans.ended, with_content=has_content)]
    assert [] == [str(finding) for finding in check_span_content(spans.ended)]
    assert [] == [str(finding) for finding in check_metrics(registry.collect())]
    assert [] == [each.name for each in set(threading.enumerate()) - threads if not _may_stay(each)]


STAYING = ("litellm-", "asyncio_", "AnyIO worker", "llm-otel-ledger", "llm-otel-settler", "llm-otel-cache")


def _may_stay(thread: threading.Thread) -> bool:
    """Tell LiteLLM's threads for callbacks, the workers of the event loop that `run` keeps, and those of a ledger."""
    return thread.name.startswith(STAYING) or "(failure_handler)" in thread.name


@pytest.fixture
def response_cache(litellm: Any) -> Iterator[None]:
    """LiteLLM's own cache of answers, in memory: this one (1.105) loads its proxy for it."""
    if any(find_spec(name) is None for name in ("fastapi", "orjson", "soundfile")):
        pytest.skip("LiteLLM's own cache wants what its proxy needs: pip install fastapi orjson soundfile")
    litellm.cache = litellm.Cache(type="local")
    yield
    litellm.cache = None


# --- its callers ------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _runner(litellm: Any) -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner
        runner.run(litellm.close_litellm_async_clients())


@pytest.fixture(scope="session")
def run(_runner: asyncio.Runner) -> Run:
    """`asyncio.run` on one event loop for all, as LiteLLM keeps connections for it. No task may stay behind."""

    async def checked(coroutine: Coroutine[Any, Any, Any]) -> Any:
        before = asyncio.all_tasks()
        try:
            return await coroutine
        finally:
            # Python closes async generators that were dropped in tasks of its own.
            for _ in range(LOOP_TURNS):
                await asyncio.sleep(0)
            assert [] == [task for task in asyncio.all_tasks() - before if not _is_of_litellm(task)]

    return lambda coroutine: _runner.run(checked(coroutine), context=copy_context())


def _is_of_litellm(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and f"{os.sep}litellm{os.sep}" in code.co_filename


@pytest.fixture
def caller(request: pytest.FixtureRequest, run: Run) -> Caller:
    """The caller that the test is parametrized with (`asked_by`), on the common event loop."""
    return dataclasses.replace(getattr(request, "param", Caller()), run=run)


@pytest.fixture
def asker(request: pytest.FixtureRequest, run: Run) -> Asker:
    """The asker that the test is parametrized with (`asking`), on the common event loop."""
    return with_run(request.param, run)


@pytest.fixture
def instrumented(litellm: Any) -> Iterator[None]:
    """Every plain call is watched, as after `llm_otel.instrument()`."""
    instrument()
    yield
    uninstrument()
