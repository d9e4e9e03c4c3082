"""Providers: one table, three vocabularies."""

from __future__ import annotations

from collections import Counter

import pytest

from llm_otel.models.providers import (
    PROVIDERS,
    LLMProvider,
    provider_named,
    provider_of_litellm,
)


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ("openai", LLMProvider.OPENAI),
        ("anthropic", LLMProvider.ANTHROPIC),
        ("google", LLMProvider.GOOGLE),
        ("gemini", LLMProvider.GOOGLE),
        ("gcp.gemini", LLMProvider.GOOGLE),
        (" Gemini ", LLMProvider.GOOGLE),
        ("ollama", LLMProvider.OLLAMA),
        ("ollama_chat", LLMProvider.OLLAMA),
    ],
)
def test_a_provider_goes_by_any_of_its_names(text: str, member: LLMProvider) -> None:
    """The convention's, LiteLLM's, and what people say."""
    assert member is LLMProvider(text)


@pytest.mark.parametrize("value", ["vertex_ai", "nobody", "", 5, None])
def test_other_values_are_no_members(value: object) -> None:
    """Other providers are given as text, not as members."""
    with pytest.raises(ValueError, match="LLMProvider"):
        LLMProvider(value)


def test_a_members_value_is_the_name_of_the_conventions() -> None:
    """So that it can stand in a span as it is."""
    expected = {"OPENAI": "openai", "ANTHROPIC": "anthropic", "GOOGLE": "gcp.gemini", "OLLAMA": "ollama"}
    assert expected == {member.name: member.value for member in LLMProvider}
    assert "gcp.gemini" == str(LLMProvider.GOOGLE)


@pytest.mark.parametrize(
    ("litellm_id", "name"),
    [
        ("openai", "openai"),
        ("text-completion-openai", "openai"),
        ("azure", "azure.ai.openai"),
        ("azure_ai", "azure.ai.inference"),
        ("anthropic", "anthropic"),
        ("bedrock", "aws.bedrock"),
        ("bedrock_converse", "aws.bedrock"),
        ("gemini", "gcp.gemini"),
        ("vertex_ai", "gcp.vertex_ai"),
        ("vertex_ai_beta", "gcp.vertex_ai"),
        ("vertex_ai-anthropic_models", "gcp.vertex_ai"),
        ("mistral", "mistral_ai"),
        ("deepseek", "deepseek"),
        ("groq", "groq"),
        ("perplexity", "perplexity"),
        ("xai", "x_ai"),
        ("watsonx", "ibm.watsonx.ai"),
        ("cohere", "cohere"),
        ("cohere_chat", "cohere"),
        ("moonshot", "moonshot_ai"),
        ("ollama", "ollama"),
        ("ollama_chat", "ollama"),
        ("openrouter", "openrouter"),
        ("nobody_knows", "nobody_knows"),
    ],
)
def test_litellms_ids_have_the_names_of_the_conventions(litellm_id: str, name: str) -> None:
    """A well-known value must be used where there is one; others keep LiteLLM's id."""
    assert name == provider_of_litellm(litellm_id).name


def test_no_name_means_two_providers() -> None:
    """Names, ids and aliases are all different, but for a provider's own."""
    names = [each for provider in PROVIDERS for each in {provider.name, *provider.litellm_ids, *provider.aliases}]
    assert [] == [name for name, count in Counter(names).items() if count > 1]


def test_a_credential_or_an_address_makes_a_provider_configured() -> None:
    """The variable is named, its value is not."""
    openai, ollama = provider_named("openai"), provider_named("ollama")
    assert openai is not None
    assert ollama is not None
    assert "OPENAI_API_KEY" == openai.configured_by({"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://x"})
    assert "OPENAI_BASE_URL" == openai.configured_by({"OPENAI_API_KEY": "", "OPENAI_BASE_URL": "http://x"})
    assert openai.configured_by({}) is None
    assert "OLLAMA_API_BASE" == ollama.configured_by({"OLLAMA_API_BASE": "http://localhost:11434"})


def test_an_unlisted_provider_follows_litellms_convention() -> None:
    """LiteLLM has a hundred more than the table; their variables are named alike."""
    assert "SOME_HOST_API_KEY" == provider_of_litellm("some-host").configured_by({"SOME_HOST_API_KEY": "k"})
