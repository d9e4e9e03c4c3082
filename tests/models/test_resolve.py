"""Whose model it is: given, told from the name, or refused."""

from __future__ import annotations

import pytest

from llm_otel.errors import ConfigurationError, UnknownProviderError
from llm_otel.models.entry import ModelEntry
from llm_otel.models.litellm_map import LiteLLMMap
from llm_otel.models.providers import LLMProvider
from llm_otel.models.registry import Registry
from llm_otel.models.resolve import ModelRef, resolve_model


class Unread(LiteLLMMap):
    """A map that must not be needed."""

    def _load_models(self):
        raise AssertionError("LiteLLM's files were read")


def entry(name: str, provider: str) -> ModelEntry:
    """A model of which only the name matters."""
    return ModelEntry(
        name=name,
        provider=provider,
        tier=None,
        capabilities=frozenset(),
        context_window=None,
        max_output_tokens=None,
        periods=(),
        price_source="test",
        price_date=None,
        is_user_defined=True,
    )


@pytest.mark.parametrize(
    ("model", "provider", "name", "provider_name", "litellm_model"),
    [
        ("gpt-4o-mini", None, "gpt-4o-mini", "openai", "openai/gpt-4o-mini"),
        ("gpt-4o-mini", LLMProvider.OPENAI, "gpt-4o-mini", "openai", "openai/gpt-4o-mini"),
        ("openai/gpt-4o", None, "gpt-4o", "openai", "openai/gpt-4o"),
        ("openai/gpt-4o", "openai", "gpt-4o", "openai", "openai/gpt-4o"),
        (" gpt-4o ", None, "gpt-4o", "openai", "openai/gpt-4o"),
        ("gemini-1.5-pro", None, "gemini-1.5-pro", "gcp.gemini", "gemini/gemini-1.5-pro"),
        ("gemini/gemini-2.5-pro", "google", "gemini-2.5-pro", "gcp.gemini", "gemini/gemini-2.5-pro"),
        ("google/gemini-2.5-pro", None, "gemini-2.5-pro", "gcp.gemini", "gemini/gemini-2.5-pro"),
        ("gemini-2.5-pro", "vertex_ai", "gemini-2.5-pro", "gcp.vertex_ai", "vertex_ai/gemini-2.5-pro"),
        ("llama3", None, "llama3", "ollama", "ollama_chat/llama3"),
        ("mine:7b", LLMProvider.OLLAMA, "mine:7b", "ollama", "ollama_chat/mine:7b"),
        ("mine:7b", "ollama", "mine:7b", "ollama", "ollama_chat/mine:7b"),
        ("ollama/llama3", None, "llama3", "ollama", "ollama/llama3"),
        ("ollama/llama3", LLMProvider.OLLAMA, "llama3", "ollama", "ollama/llama3"),
        ("claude-next-7", None, "claude-next-7", "anthropic", "anthropic/claude-next-7"),
        ("gpt-99", None, "gpt-99", "openai", "openai/gpt-99"),
        ("o7-mini", None, "o7-mini", "openai", "openai/o7-mini"),
        ("gemini-9-new", None, "gemini-9-new", "gcp.gemini", "gemini/gemini-9-new"),
        ("openrouter/openai/gpt-4o", None, "openai/gpt-4o", "openrouter", "openrouter/openai/gpt-4o"),
        ("openai/gpt-4o", "openrouter", "openai/gpt-4o", "openrouter", "openrouter/openai/gpt-4o"),
        ("openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b", "groq", "groq/openai/gpt-oss-120b"),
        ("together_ai/meta/llama", None, "meta/llama", "together_ai", "together_ai/meta/llama"),
        ("meta/llama", LLMProvider.OPENAI, "meta/llama", "openai", "openai/meta/llama"),
        ("openai/mistral/small", None, "mistral/small", "openai", "openai/mistral/small"),
        ("openai/responses/gpt-5", None, "gpt-5", "openai", "openai/responses/gpt-5"),
        ("bedrock/converse/amazon.nova", None, "amazon.nova", "aws.bedrock", "bedrock/converse/amazon.nova"),
        ("mistral-large", "mistral_ai", "mistral-large", "mistral_ai", "mistral/mistral-large"),
        (
            "davinci-002",
            "text-completion-openai",
            "davinci-002",
            "openai",
            "text-completion-openai/davinci-002",
        ),
    ],
)
def test_a_model_and_its_provider_in_every_vocabulary(
    model: str, provider: LLMProvider | str | None, name: str, provider_name: str, litellm_model: str
) -> None:
    """The tables know these, so no file of LiteLLM's is read."""
    litellm_provider = litellm_model.partition("/")[0]
    expected = ModelRef(name, provider_name, litellm_model, litellm_provider)
    assert expected == resolve_model(model, provider, known_to_litellm=Unread())


def test_litellms_map_tells_the_provider_of_a_bare_name(litellm_files) -> None:
    """After the registry and the families."""
    known = litellm_files()
    assert ModelRef(
        "anthropic.claude-9-v1:0", "aws.bedrock", "bedrock/anthropic.claude-9-v1:0", "bedrock"
    ) == resolve_model("anthropic.claude-9-v1:0", known_to_litellm=known)
    assert (
        "vertex_ai/claude-on-vertex"
        == resolve_model("claude-on-vertex", "vertex", known_to_litellm=known).litellm_model
    )


@pytest.mark.parametrize("provider", ["hosting_inc", "listed_only", "like_openai", "modelscope"])
def test_every_provider_of_litellms_files_can_be_named(litellm_files, provider: str) -> None:
    """By the map, by the two lists, and those that stand in none of them; given or as a prefix."""
    known = litellm_files()
    expected = ModelRef("openai/gpt-x", provider, f"{provider}/openai/gpt-x", provider)
    assert expected == resolve_model("openai/gpt-x", provider, known_to_litellm=known)
    assert expected == resolve_model(f"{provider}/openai/gpt-x", known_to_litellm=known)


def test_a_registered_model_tells_its_provider(litellm_files) -> None:
    """Even a provider that LiteLLM does not list: a custom handler."""
    registry = Registry([entry("house-model", "in_house")])
    expected = ModelRef("house-model", "in_house", "in_house/house-model", "in_house")
    for model, provider in (
        ("house-model", None),
        ("in_house/house-model", None),
        ("house-model", "in_house"),
    ):
        assert expected == resolve_model(model, provider, registry=registry, known_to_litellm=litellm_files())


@pytest.mark.parametrize("model", ["", "   ", None, 5])
def test_a_model_needs_a_name(model: object) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError, match="the name of a model"):
        resolve_model(model)


@pytest.mark.parametrize("model", ["mystery", "gpt-oss-20b", "nobody/mystery", "openai/", "/gpt-4o"])
def test_a_provider_that_cannot_be_told_is_an_error_that_says_how_to_say_it(litellm_files, model: str) -> None:
    """It names the model and both ways out."""
    with pytest.raises(UnknownProviderError, match="cannot be told") as caught:
        resolve_model(model, known_to_litellm=litellm_files())
    assert ("model", model) == (caught.value.field, caught.value.value)
    assert "provider=LLMProvider.OPENAI" in str(caught.value)
    assert "'openai/...'" in str(caught.value)


@pytest.mark.parametrize(
    ("provider", "near"),
    [("opnai", "'openai'"), ("antropic", "'anthropic'"), ("hosting_ink", "'hosting_inc'")],
)
def test_a_wrong_provider_is_an_error_with_the_nearest_names(litellm_files, provider: str, near: str) -> None:
    """From the table and from LiteLLM's lists."""
    with pytest.raises(UnknownProviderError, match="did you mean") as caught:
        resolve_model("gpt-4o", provider, known_to_litellm=litellm_files())
    assert provider == caught.value.value
    assert near in str(caught.value)


def test_a_wrong_provider_with_no_near_name_still_says_what_is_allowed(litellm_files) -> None:
    """No guess is made up."""
    with pytest.raises(UnknownProviderError, match=r"^provider='§§§' is not usable: openai, anthropic, google, ollama"):
        resolve_model("gpt-4o", "§§§", known_to_litellm=litellm_files())


@pytest.mark.parametrize(("model", "provider"), [("anthropic/claude-x", "openai"), ("gemini/x", LLMProvider.ANTHROPIC)])
def test_a_prefix_that_contradicts_the_provider_is_an_error(model: str, provider: str) -> None:
    """And says how to mean it all the same."""
    with pytest.raises(ConfigurationError, match="names another") as caught:
        resolve_model(model, provider)
    assert "provider" == caught.value.field
    assert f"'{provider}/{model}'" in str(caught.value)


def test_without_litellms_files_the_tables_still_work(litellm_files, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be read is logged once and counts as empty."""
    broken = litellm_files(entries="{not json")
    for _ in range(2):
        with pytest.raises(UnknownProviderError):
            resolve_model("mystery", known_to_litellm=broken)
    assert "openai/gpt-4o" == resolve_model("gpt-4o", known_to_litellm=broken).litellm_model
    assert 1 == caplog.text.count("llm_otel.litellm_data_unreadable")


def test_a_prefix_without_a_model_is_an_error() -> None:
    """The provider alone is no model."""
    with pytest.raises(ConfigurationError, match="after the provider's prefix"):
        resolve_model("openai/", LLMProvider.OPENAI)
