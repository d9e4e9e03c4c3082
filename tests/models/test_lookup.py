"""What users ask of models."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from llm_otel.errors import ConfigurationError, UnknownModelError, UnknownProviderError
from llm_otel.models import lookup
from llm_otel.models.entry import ModelCapability, ModelTier
from llm_otel.models.info import LongContextCosts, ModelInfo
from llm_otel.models.lookup import get_cheapest_model, get_model_info, list_models, register_model
from llm_otel.models.providers import LLMProvider

pytestmark = pytest.mark.usefixtures("fresh_registry")


def test_a_models_facts() -> None:
    """Costs are exact decimals, per 1,000 tokens."""
    info = get_model_info("gpt-4o-mini")
    assert ("gpt-4o-mini", "openai") == (info.name, info.provider)
    assert (Decimal("0.00015"), Decimal("0.0006")) == (info.input_cost_per_1k, info.output_cost_per_1k)
    assert Decimal("0.000075") == info.cache_read_cost_per_1k
    assert (128_000, 16_384) == (info.context_window, info.max_output_tokens)
    assert ModelCapability.SIMPLE in info.capabilities
    assert ModelTier.ECONOMY is info.tier
    assert (True, True, True) == (info.supports_tools, info.supports_vision, info.supports_json)
    assert ("genai-prices 0.2.3, litellm 1.105.3", date(2026, 11, 22)) == (info.price_source, info.price_date)
    assert not info.is_local


def test_the_price_of_a_retired_model_is_kept() -> None:
    """LiteLLM has forgotten claude-3-opus; bills of then must still add up."""
    info = get_model_info("claude-3-opus-20240229")
    assert (Decimal("0.015"), Decimal("0.075")) == (info.input_cost_per_1k, info.output_cost_per_1k)


def test_a_provider_of_the_four_compares_with_its_member() -> None:
    """`info.provider == LLMProvider.OLLAMA` reads well, and works."""
    assert LLMProvider.OLLAMA == get_model_info("llama3").provider
    assert LLMProvider.GOOGLE == get_model_info("gemini/gemini-1.5-pro").provider


def test_costs_are_those_of_the_day_that_is_asked_for() -> None:
    """Announced changes are in the catalogue."""
    assert Decimal("0.002") == get_model_info("gemini-4-argon", on=date(2026, 11, 30)).input_cost_per_1k
    assert Decimal("0.004") == get_model_info("gemini-4-argon", on=date(2026, 12, 1)).input_cost_per_1k


def test_costs_of_long_requests_are_shown() -> None:
    """The whole request costs more beyond the threshold."""
    (long,) = get_model_info("gemini-2.5-pro").long_context
    assert (200_000, Decimal("0.0025"), Decimal("0.015")) == (
        long.over_tokens,
        long.input_cost_per_1k,
        long.output_cost_per_1k,
    )


def test_a_model_outside_the_catalogue_has_the_facts_of_litellms_map(
    litellm_files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without capabilities and tier, which nobody judged."""
    entry = {
        "litellm_provider": "groq",
        "input_cost_per_token": 5e-08,
        "output_cost_per_token": 8e-08,
        "max_input_tokens": 8192.0,
        "max_output_tokens": 4096,
        "supports_function_calling": True,
        "supports_vision": False,
    }
    known = litellm_files(entries={"groq/fast": entry, "groq/mystery": {"litellm_provider": "groq"}})
    monkeypatch.setattr(lookup, "litellm_map", lambda: known)
    info = get_model_info("groq/fast")
    assert (
        ModelInfo(
            name="fast",
            provider="groq",
            input_cost_per_1k="0.00005",
            output_cost_per_1k="0.00008",
            context_window=8_192,
            max_output_tokens=4_096,
            supports_tools=True,
            price_source="litellm",
        )
        == info
    )
    assert get_model_info("groq/mystery").input_cost_per_1k is None


@pytest.mark.parametrize("name", ["gpt-4o-mimi", "openai/gpt-4o-mimi"])
def test_an_unknown_model_is_an_error_with_the_nearest_names(name: str) -> None:
    """And says what to do."""
    with pytest.raises(UnknownModelError, match="did you mean 'gpt-4o-mini'") as caught:
        get_model_info(name)
    assert name == caught.value.value
    assert "register_model(...)" in str(caught.value)


@pytest.mark.parametrize("name", ["zzzz", "", None, 5])
def test_what_is_like_no_model_is_an_error_too(name: object) -> None:
    """Whatever it is."""
    with pytest.raises(UnknownModelError):
        get_model_info(name)


@pytest.mark.parametrize(
    ("capability", "everywhere", "in_the_cloud"),
    [
        (ModelCapability.SIMPLE, "llama3", "gpt-5-nano"),
        (ModelCapability.MODERATE, "llama3", "gpt-5-nano"),
        (ModelCapability.CODING, "codellama", "gpt-6-luna"),
        ("simple", "llama3", "gpt-5-nano"),
    ],
)
def test_the_cheapest_model(capability: ModelCapability | str, everywhere: str, in_the_cloud: str) -> None:
    """Local ones are free; of equals the first in the registry wins; the name goes straight into a config."""
    assert everywhere == get_cheapest_model(capability)
    assert in_the_cloud == get_cheapest_model(capability, exclude_local=True)
    assert get_model_info(get_cheapest_model(capability)).input_cost_per_1k == 0


def test_the_cheapest_model_of_one_provider() -> None:
    """By any of the provider's names."""
    assert "claude-haiku-5-5" == get_cheapest_model(ModelCapability.SIMPLE, provider=LLMProvider.ANTHROPIC)
    assert "gemini-2.5-flash-lite" == get_cheapest_model(ModelCapability.SIMPLE, provider="google")


def test_no_model_that_fits_is_an_error() -> None:
    """Local models do no research, so without them Ollama has none."""
    with pytest.raises(UnknownModelError, match="no priced model"):
        get_cheapest_model(ModelCapability.RESEARCH, provider=LLMProvider.OLLAMA)
    with pytest.raises(UnknownModelError):
        get_cheapest_model(ModelCapability.SIMPLE, provider=LLMProvider.OLLAMA, exclude_local=True)


def test_a_model_without_a_price_is_never_the_cheapest() -> None:
    """Unknown is not free."""
    register_model(ModelInfo(name="mystery", provider="openai", capabilities=frozenset({ModelCapability.SIMPLE})))
    assert "gpt-5-nano" == get_cheapest_model(ModelCapability.SIMPLE, provider="openai")


def test_a_cheaper_model_that_is_registered_wins() -> None:
    """The registry is what is compared."""
    register_model(
        ModelInfo(
            name="ours",
            provider="openai",
            input_cost_per_1k="0.000001",
            output_cost_per_1k="0.000001",
            capabilities=frozenset({ModelCapability.SIMPLE}),
        )
    )
    assert "ours" == get_cheapest_model(ModelCapability.SIMPLE, exclude_local=True)


def test_models_are_listed_by_every_filter() -> None:
    """Together they narrow."""
    some = list_models(
        capability="coding",
        provider="anthropic",
        tier=ModelTier.STANDARD,
        min_context=500_000,
        supports_tools=True,
        supports_vision=True,
        supports_json=True,
    )
    assert ["claude-sonnet-5-5", "claude-opus-5-5"] == [info.name for info in some]
    assert {"ollama"} == {info.provider for info in list_models(tier="local")}
    assert ["llama3", "codellama", "gemma3", "deepseek-r1"] == [info.name for info in list_models(supports_tools=False)]


@pytest.mark.parametrize(
    ("filters", "error", "field"),
    [
        ({"capability": "easy"}, ConfigurationError, "capability"),
        ({"tier": "cheap"}, ConfigurationError, "tier"),
        ({"provider": "opnai"}, UnknownProviderError, "provider"),
    ],
)
def test_a_filter_that_does_not_exist_is_an_error(
    filters: dict[str, str], error: type[ConfigurationError], field: str
) -> None:
    """Not an empty list."""
    with pytest.raises(error) as caught:
        list_models(**filters)
    assert (field, filters[field]) == (caught.value.field, caught.value.value)


def test_a_registered_model_comes_back_as_it_was_given() -> None:
    """Every field, through the registry's own form."""
    given = ModelInfo(
        name="ours",
        provider="google",
        input_cost_per_1k=0.001,
        output_cost_per_1k=0.002,
        cache_read_cost_per_1k="0.0001",
        cache_write_cost_per_1k=0.00125,
        cache_write_1h_cost_per_1k=0.002,
        reasoning_cost_per_1k=0.003,
        input_audio_cost_per_1k=0.01,
        cache_read_audio_cost_per_1k=0.004,
        output_audio_cost_per_1k=0.02,
        long_context=(LongContextCosts(over_tokens=1_000, input_cost_per_1k=0.002, output_cost_per_1k=0.004),),
        context_window=10_000,
        max_output_tokens=1_000,
        capabilities=frozenset({ModelCapability.CODING}),
        tier=ModelTier.STANDARD,
        supports_tools=True,
        supports_vision=True,
        supports_json=True,
        price_source="contract",
        price_date=date(2026, 1, 1),
        aliases=("ours-1",),
    )
    register_model(given)
    assert "gcp.gemini" == given.provider
    assert Decimal("0.001") == given.input_cost_per_1k
    assert given == get_model_info("ours")
    assert given == get_model_info("gemini/ours-1")


def test_registering_a_name_twice_takes_a_word() -> None:
    """The word is `replace=True`."""
    contract = ModelInfo(name="gpt-4o", provider="openai", input_cost_per_1k=0.001, output_cost_per_1k=0.002)
    with pytest.raises(ConfigurationError, match="replace=True"):
        register_model(contract)
    register_model(contract, replace=True)
    assert contract == get_model_info("gpt-4o")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_cost_per_1k", -1),
        ("input_cost_per_1k", float("nan")),
        ("input_cost_per_1k", True),
        ("context_window", 0),
        ("max_output_tokens", -5),
        ("capabilities", {"easy"}),
        ("name", ""),
        ("provider", ""),
        ("price", 1),
        ("tier", "cheap"),
    ],
)
def test_a_fact_that_cannot_be_is_refused_by_name(field: str, value: object) -> None:
    """Before it can price anything."""
    facts = {
        "name": "ours",
        "provider": "openai",
        "input_cost_per_1k": 1,
        "output_cost_per_1k": 1,
        field: value,
    }
    with pytest.raises(ValidationError, match=field):
        ModelInfo(**facts)


def test_half_a_price_is_refused() -> None:
    """A model with a price for its input alone would be priced with somebody else's output."""
    with pytest.raises(ValidationError, match="go together"):
        ModelInfo(name="ours", provider="openai", input_cost_per_1k=1)


def test_the_data_loads_without_pydantic() -> None:
    """Only who asks for `ModelInfo` pays for it."""
    code = (
        "import sys; from llm_otel.models.registry import default_registry;"
        "from llm_otel.models.resolve import resolve_model;"
        "resolve_model('gpt-4o'); assert default_registry().find('llama3');"
        "assert not {'pydantic', 'litellm', 'genai_prices'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
