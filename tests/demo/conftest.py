"""Runs of the demo in this process, and LiteLLM pointed at a simulator."""

from __future__ import annotations

import asyncio
import gc
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from llm_otel import wiring
from llm_otel.demo.program import Options, play
from llm_otel.demo.report import Report
from llm_otel.demo.simulator import Simulator
from llm_otel.recorders.tracker import UsageTracker

_PROVIDERS = ("OPENAI_", "ANTHROPIC_", "GEMINI_", "OLLAMA_", "NO_PROXY", "no_proxy")


def _settings() -> dict[str, str]:
    """Return the variables that say where calls go (LiteLLM leaves others in the environment)."""
    return {name: value for name, value in os.environ.items() if name.startswith(_PROVIDERS)}


@dataclass
class SilentProgress:
    """Takes note of what it is asked to show."""

    shown: list[str] = field(default_factory=list)

    def tell(self, what: str) -> None:
        self.shown.append(what)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        self.shown.append(what)
        yield

    @contextmanager
    def calling(self, tracker: UsageTracker, total: int | None) -> Iterator[None]:
        self.shown.append(f"{total} calls")
        yield


@pytest.fixture(scope="module")
def run_demo(_span_log: Any) -> Iterator[Callable[..., Report]]:
    """Runs the demo with options of its own, and presents the report to nobody."""
    runtime: Any = wiring._runtime

    def run(*, shown: list[str] | None = None, **options: Any) -> Report:
        presented: list[Report] = []
        settings = _settings()

        returned = play(Options(**options), SilentProgress([] if shown is None else shown), presented.append)

        assert [returned] == presented
        assert settings == _settings()
        return returned

    yield run
    wiring._runtime = runtime


@pytest.fixture(scope="module")
def litellm() -> Iterator[Any]:
    """LiteLLM, told to fetch nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        patch.setenv("LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "True")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import litellm

        patch.setattr(litellm, "suppress_debug_info", True)
        yield litellm


@pytest.fixture
def collect_between_tests() -> Iterator[None]:
    """Free what LiteLLM leaves half read, but not amid a call.

    Only the cyclic collector frees the response of a stream from Anthropic, even of one read to its end. Its closing
    takes the lock of httpcore's pool: collected by chance where httpcore holds that lock, it waits for ever.
    """
    gc.disable()
    yield
    gc.enable()
    gc.collect(0)


@pytest.fixture(scope="module")
def run(litellm: Any) -> Iterator[Callable[..., Any]]:
    """Run coroutines on one event loop: LiteLLM keeps its clients, and closes some it goes on to use."""
    with asyncio.Runner() as runner:
        yield runner.run
        runner.run(litellm.close_litellm_async_clients())
        # LiteLLM leaves out the client that embeds for Ollama. Its transport alone: that opens again by itself.
        runner.run(litellm.module_level_aclient.client._transport.aclose())


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A running simulator that the environment points at, with nothing but placeholder keys."""
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with Simulator() as running:
        for name, value in running.env(with_keys=True).items():
            monkeypatch.setenv(name, value)
        yield running
