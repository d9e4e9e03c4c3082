"""Runs of the demo in this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from llm_otel import wiring
from llm_otel.demo.program import Options, play
from llm_otel.demo.report import Report
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
