"""A real provider: found, refused with a reason, and priced before it is called."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from llm_otel.demo.simulator import Simulator
from llm_otel.demo.target import (
    MAX_INPUT_TOKENS,
    MAX_OUTPUT_TOKENS,
    Target,
    find_target,
    installed_in_ollama,
)
from llm_otel.errors import LLMOtelError
from llm_otel.models.providers import LLMProvider

TODAY = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        (LLMProvider.OPENAI, "OPENAI_API_KEY"),
        (LLMProvider.ANTHROPIC, "ANTHROPIC_API_KEY"),
        (LLMProvider.GOOGLE, "GEMINI_API_KEY"),
    ],
)
def test_a_missing_key_is_named(provider, variable):
    """Whoever reads the error knows what to export."""
    with pytest.raises(LLMOtelError, match=variable):
        find_target(provider, None, environ={})


def test_a_key_is_enough():
    """A small model is chosen where none is named; LiteLLM gets its prefix."""
    environ = {"GEMINI_API_KEY": "secret"}

    found = find_target(LLMProvider.GOOGLE, None, environ=environ)

    assert "gemini/gemini-2.5-flash-lite" == found.litellm_model
    assert "gemini-2.5-pro" == find_target(LLMProvider.GOOGLE, "gemini-2.5-pro", environ=environ).model


def test_ollama_is_asked_what_it_has():
    """At the address that is configured; the first model serves where none is named."""
    asked = []

    def installed(address: str) -> tuple[str, ...]:
        asked.append(address)
        return ("mistral", "llama3")

    default = find_target(LLMProvider.OLLAMA, None, environ={}, installed=installed)
    named = find_target(
        LLMProvider.OLLAMA, "llama3:latest", environ={"OLLAMA_API_BASE": "http://box:1"}, installed=installed
    )

    assert ("mistral", "ollama_chat/mistral", True) == (default.model, default.litellm_model, default.is_free)
    assert "llama3:latest" == named.model
    assert ["http://localhost:11434", "http://box:1"] == asked


def test_a_model_that_ollama_does_not_have_is_refused():
    """The error says how to get it, and what is there."""
    with pytest.raises(LLMOtelError, match=r"ollama pull qwen3.*it has mistral"):
        find_target(LLMProvider.OLLAMA, "qwen3", environ={}, installed=lambda address: ("mistral",))


def test_an_ollama_without_models_is_refused():
    """There is nothing to call."""
    with pytest.raises(LLMOtelError, match="no model yet"):
        find_target(LLMProvider.OLLAMA, None, environ={}, installed=lambda address: ())


def test_an_ollama_that_does_not_answer_is_refused():
    """With the address that was tried."""
    with pytest.raises(LLMOtelError, match=r"does not answer at http://127\.0\.0\.1:9"):
        find_target(LLMProvider.OLLAMA, None, environ={"OLLAMA_API_BASE": "http://127.0.0.1:9"})


def test_the_models_of_a_server_are_listed_over_http():
    """`/api/tags`, as Ollama answers it; a tag `latest` goes without saying."""
    with Simulator(ollama_models=("llama3", "codellama")) as simulator:
        assert ("llama3", "codellama") == installed_in_ollama(simulator.url)


def test_the_ceiling_is_that_of_so_many_full_calls():
    """Every call with all the input and output it may have, the input written to a cache if that costs more."""
    target = Target(LLMProvider.ANTHROPIC, "claude-haiku-4-5", "anthropic/claude-haiku-4-5")

    dearest = MAX_INPUT_TOKENS * 2_000 + MAX_OUTPUT_TOKENS * 5_000

    assert 20 * dearest == target.ceiling_nano(20, at=TODAY)


def test_an_unknown_price_has_no_ceiling():
    """Unknown is unknown."""
    assert None is Target(LLMProvider.OPENAI, "zzz", "openai/zzz").ceiling_nano(1, at=TODAY)
