"""LiteLLM's data, read without importing it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from llm_otel.models import litellm_map as module
from llm_otel.models.litellm_map import LiteLLMMap, has_prices, litellm_map


def test_reading_the_map_does_not_import_litellm() -> None:
    """Importing it costs seconds; its files cost milliseconds."""
    code = (
        "import sys; from llm_otel.models.litellm_map import litellm_map;"
        "assert litellm_map().entry('openai', 'gpt-4o'); assert 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_the_installed_map_knows_models_and_providers() -> None:
    """The files are where LiteLLM keeps them, in the version that is installed."""
    entry = litellm_map().entry("openai", "gpt-4o")
    assert entry is not None
    assert "openai" == entry["litellm_provider"]
    assert {"openai", "vertex_ai", "ollama_chat", "openrouter"} <= litellm_map().provider_ids()
    assert [] == [each for each in litellm_map().provider_ids() if each.startswith("vertex_ai-")]


@pytest.mark.parametrize(
    ("provider", "model", "price"),
    [
        ("openai", "gpt-x", 1e-06),
        ("aws.bedrock", "anthropic.claude-9-v1:0", 1e-06),
        ("gcp.gemini", "gemini-x", 3e-06),
        ("gcp.vertex_ai", "gemini-x", 4e-06),
        ("ollama", "some", 0.0),
        ("hosting_inc", "openai/gpt-x", 5e-06),
    ],
)
def test_an_entry_is_found_by_the_names_of_the_conventions(
    litellm_files, provider: str, model: str, price: float
) -> None:
    """Under a prefix, or bare if the bare name is this provider's."""
    entry = litellm_files().entry(provider, model)
    assert entry is not None
    assert price == entry["input_cost_per_token"]


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "gpt-x"),
        ("openai", "gemini-x"),
        ("openai", "sample_spec"),
        ("openai", "not-a-model"),
        ("x", "y"),
    ],
)
def test_what_is_another_providers_or_no_model_is_not_found(litellm_files, provider: str, model: str) -> None:
    """A price of somebody else's is worse than none."""
    assert litellm_files().entry(provider, model) is None


@pytest.mark.parametrize("content", ["{", "[]x", "5", '["a"]', ""])
def test_a_file_that_cannot_be_read_is_logged_and_counts_as_empty(
    litellm_files, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is raised at a caller who only wanted a price."""
    known = litellm_files(entries=content)
    assert known.entry("openai", "gpt-x") is None
    assert known.litellm_id_of("gpt-x") is None
    assert "llm_otel.litellm_data_unreadable" in caplog.text


def test_a_missing_litellm_is_logged_and_counts_as_empty(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It can be, where only prices and dashboards are used."""
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    assert LiteLLMMap().entry("openai", "gpt-4o") is None
    assert "litellm is not installed" in caplog.text


def test_the_map_is_read_once_by_many_threads(litellm_files, monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait for the first."""
    known, reads = litellm_files(), []
    read = LiteLLMMap._read
    monkeypatch.setattr(LiteLLMMap, "_read", lambda self, name: reads.append(name) or read(self, name))
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        assert known.entry("openai", "gpt-x") is not None

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len(reads)


@pytest.mark.parametrize(
    ("entry", "known"),
    [
        ({"input_cost_per_token": 1e-06, "output_cost_per_token": 0.0}, True),
        ({"input_cost_per_token": 0, "output_cost_per_token": 2e-06}, True),
        ({"tiered_pricing": [{}]}, True),
        ({"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}, False),
        ({"input_cost_per_second": 0.1}, False),
        ({"input_cost_per_token": "1e-06"}, False),
        ({}, False),
    ],
)
def test_zeros_throughout_are_no_price(entry: dict[str, object], known: bool) -> None:
    """LiteLLM writes them for what is free and for what nobody looked up."""
    assert known is has_prices(entry)
