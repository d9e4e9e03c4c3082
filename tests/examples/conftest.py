"""What the examples run against: a simulator in the place of every provider, and a runtime of the test's own."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from prometheus_client import CollectorRegistry

import llm_otel.wiring
from llm_otel.assembly import Runtime
from llm_otel.config import Settings
from llm_otel.demo.simulator import Simulator

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The simulator, and the environment that leads there."""
    with Simulator() as simulator:
        for name, value in simulator.env(with_keys=True).items():
            monkeypatch.setenv(name, value)
        yield simulator


@pytest.fixture(scope="session")
def _loaded() -> dict[str, tuple[ModuleType, Settings]]:
    """The examples that ran, each once as in a program, and how they configured the library."""
    return {}


@pytest.fixture
def load(
    monkeypatch: pytest.MonkeyPatch, providers: Simulator, _loaded: dict[str, tuple[ModuleType, Settings]]
) -> Callable[[str], ModuleType]:
    """`load("celery_worker")` gives the example as a module, with a runtime as it configured it, for this test."""

    def load(name: str) -> ModuleType:
        monkeypatch.setattr(llm_otel.wiring, "_runtime", None)
        if name not in _loaded:
            module = _run(name)
            _loaded[name] = (module, llm_otel.wiring.runtime().settings)
        module, settings = _loaded[name]
        made = Runtime(Settings(**settings.model_dump() | {"strict": True}), registry=CollectorRegistry())
        monkeypatch.setattr(llm_otel.wiring, "_runtime", made)
        return module

    return load


def _run(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
