"""What importing the library loads: no more than each name needs, measured in fresh interpreters."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ALWAYS = {"llm_otel"}
OPENTELEMETRY_API = {"opentelemetry", "typing_extensions", "importlib_metadata", "zipp"}
PYDANTIC = {"pydantic", "pydantic_core", "annotated_types", "typing_inspection", "typing_extensions"}
PROMETHEUS = {"prometheus_client"}

# A statement, and the top-level packages that it may load beside the standard library's.
STATEMENTS = {
    "import llm_otel": ALWAYS,
    "from llm_otel import traced_llm": ALWAYS | OPENTELEMETRY_API,
    "from llm_otel import ProviderError, LLMProvider, ModelCapability": ALWAYS,
    "from llm_otel import instrument, uninstrument": ALWAYS,
    "from llm_otel import UsageTracker": ALWAYS,
    "from llm_otel import ModelInfo, get_model_info, get_cheapest_model": ALWAYS | PYDANTIC,
    "from llm_otel import LLMConfig, LLMResponse, UsageStats, RouteDecision": ALWAYS | PYDANTIC,
    "from llm_otel import LLMRouter, LLMConfig": ALWAYS | OPENTELEMETRY_API | PYDANTIC | PROMETHEUS,
    "from llm_otel import configure, runtime, tracker": ALWAYS | OPENTELEMETRY_API | PYDANTIC | PROMETHEUS,
    "import llm_otel; llm_otel.get_cheapest_model": ALWAYS | PYDANTIC,
    "from llm_otel import traced_llm, LLMRouter; traced_llm('x')(print); LLMRouter()": ALWAYS
    | OPENTELEMETRY_API
    | PYDANTIC
    | PROMETHEUS,
}
HEAVY = {
    "aiohttp",
    "genai_prices",
    "httpx",
    "litellm",
    "openai",
    "pydantic_settings",
    "redis",
    "rich",
    "typer",
    "wrapt",
}


def loaded_by(statement: str) -> tuple[set[str], set[str]]:
    """Return what a statement loads: top-level packages that are not Python's, and modules of the OpenTelemetry SDK."""
    program = f"""
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    run = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert 0 == run.returncode, run.stderr
    modules = json.loads(run.stdout)
    packages = {name.partition(".")[0] for name in modules if not name.startswith("_sysconfigdata")}
    sdk = {name for name in modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))}
    return packages - sys.stdlib_module_names, sdk


@pytest.mark.parametrize(("statement", "allowed"), STATEMENTS.items(), ids=STATEMENTS)
def test_an_import_loads_no_more_than_it_must(statement, allowed):
    """Users import the decorator in modules that never make a call, and LiteLLM alone takes seconds."""
    packages, sdk = loaded_by(statement)

    assert (set(), set()) == (packages - allowed, sdk)


def test_nothing_heavy_is_allowed():
    """The table above is not to be widened by one of these."""
    assert set() == HEAVY & set().union(*STATEMENTS.values())


def test_what_is_needed_is_found_out():
    """The measurement can fail: it sees what a statement loads."""
    packages, sdk = loaded_by("import pydantic_settings, opentelemetry.sdk.trace")

    assert "pydantic_settings" in packages
    assert "opentelemetry.sdk.trace" in sdk
