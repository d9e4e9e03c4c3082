"""The registry: what is found under which name, and who may replace it."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from llm_otel.errors import ConfigurationError
from llm_otel.models.catalog import catalog
from llm_otel.models.entry import ModelEntry
from llm_otel.models.registry import Registry, default_registry


@pytest.fixture
def registry() -> Registry:
    """The catalogue, to write to."""
    return Registry(catalog())


def named(registry: Registry, name: str) -> ModelEntry:
    """Find a model that has to be there."""
    entry = registry.find(name)
    assert entry is not None
    return entry


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("openai/gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai/gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("gemini/gemini-1.5-pro", "gemini-1.5-pro"),
        ("google/gemini-1.5-pro", "gemini-1.5-pro"),
        ("gcp.gemini/gemini-1.5-pro", "gemini-1.5-pro"),
        ("ollama_chat/llama3", "llama3"),
        ("llama3:latest", "llama3"),
    ],
)
def test_a_model_is_found_with_and_without_prefix_and_by_its_aliases(registry: Registry, name: str, found: str) -> None:
    """Prefixes of every vocabulary."""
    assert found == named(registry, name).name


@pytest.mark.parametrize("name", ["gpt-4o-mimi", "anthropic/gpt-4o-mini", "", "openai/", "azure/gpt-4o"])
def test_what_is_not_there_is_not_found(registry: Registry, name: str) -> None:
    """Nor is another provider's."""
    assert registry.find(name) is None


def test_of_one_provider_only(registry: Registry) -> None:
    """A price must not be taken from somebody else."""
    assert registry.find("gpt-4o", "azure.ai.openai") is None
    assert "gpt-4o" == named(registry, "gpt-4o").name


def test_a_new_model_comes_last_and_is_found(registry: Registry) -> None:
    """So that it breaks no tie of the catalogue's."""
    mine = replace(named(registry, "gpt-4o"), name="ours", aliases=())
    registry.register(mine)
    assert mine is registry.find("openai/ours")
    assert mine is registry.entries()[-1]


def test_a_model_that_exists_is_replaced_only_on_request(registry: Registry) -> None:
    """A typo must not change what a model costs."""
    order = [entry.name for entry in registry.entries()]
    mine = replace(named(registry, "gpt-4o"), context_window=1)
    with pytest.raises(ConfigurationError, match="replace=True"):
        registry.register(mine)
    assert 128_000 == named(registry, "gpt-4o").context_window
    registry.register(mine, replace=True)
    assert mine is registry.find("gpt-4o")
    assert order == [entry.name for entry in registry.entries()]


def test_a_dated_name_can_get_an_entry_of_its_own(registry: Registry) -> None:
    """It stops being the alias, and the model it was an alias of stays as it is."""
    mine = replace(named(registry, "gpt-4o"), name="gpt-4o-2024-08-06", aliases=())
    registry.register(mine)
    assert mine is registry.find("gpt-4o-2024-08-06")
    assert "gpt-4o" == named(registry, "gpt-4o").name


def test_a_bare_name_stays_with_the_first_provider_that_has_it(registry: Registry) -> None:
    """Registering a deployment of the same name elsewhere must not turn calls away from OpenAI."""
    mine = replace(named(registry, "gpt-4o"), provider="azure.ai.openai", aliases=())
    registry.register(mine)
    assert "openai" == named(registry, "gpt-4o").provider
    assert mine is registry.find("azure/gpt-4o")


def test_every_write_changes_the_version(registry: Registry) -> None:
    """Whoever caches prices compares it."""
    before = registry.version
    registry.register(replace(named(registry, "gpt-4o"), name="ours", aliases=()))
    assert before + 1 == registry.version


def test_many_threads_register_without_losing_any(registry: Registry) -> None:
    """A write replaces the whole state, so it must not start from an old one."""
    template = replace(named(registry, "gpt-4o"), aliases=())
    count = len(registry.entries())

    def register(name: str) -> None:
        for index in range(50):
            registry.register(replace(template, name=f"{name}-{index}"))

    threads = [threading.Thread(target=register, args=(f"t{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count + 200 == len(registry.entries())
    assert 200 == registry.version
    assert all(registry.find(f"t{thread}-{index}") for thread in range(4) for index in range(50))


def test_the_default_registry_is_one() -> None:
    """What a user registers, everybody sees."""
    assert default_registry() is default_registry()
