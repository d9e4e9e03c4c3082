"""What users call: look a model up, find the cheapest, list them, add one.

All read one registry: the catalogue, with the user's own models over it. `get_model_info` alone looks
further, into LiteLLM's map, because it is asked for facts; the others choose, and nobody judged what a model
of the map can do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from llm_otel.clock import SystemClock, to_datetime
from llm_otel.errors import ConfigurationError, UnknownModelError, did_you_mean
from llm_otel.models.entry import ModelCapability, ModelEntry, ModelTier
from llm_otel.models.info import ModelInfo
from llm_otel.models.litellm_map import has_prices, litellm_map
from llm_otel.models.providers import LLMProvider, provider_named
from llm_otel.models.registry import default_registry
from llm_otel.models.resolve import resolve_model

_LITELLM = "litellm"
_Enum = TypeVar("_Enum", ModelCapability, ModelTier)


def get_model_info(name: str, *, on: date | None = None) -> ModelInfo:
    """Return the facts of a model, from the registry or LiteLLM's map.

    The map knows no capabilities and no tiers.

    Args:
        name: With or without a provider's prefix: `gpt-4o-mini`, `gemini/gemini-1.5-pro`.
        on: The day (UTC) whose prices are wanted; today by default.

    Raises:
        UnknownModelError: Neither knows it. (Such a model can be called all the same; its cost is not known.)

    Example:
        >>> get_model_info("gpt-4o-mini").output_cost_per_1k
        Decimal('0.0006')
    """
    entry = default_registry().find(name) if isinstance(name, str) else None
    if entry is not None:
        return ModelInfo.from_entry(entry, on or _today())
    return _from_litellm(name)


def get_cheapest_model(
    capability: ModelCapability | str,
    *,
    provider: LLMProvider | str | None = None,
    exclude_local: bool = False,
) -> str:
    """Return the name of the cheapest model with a capability, ready for `LLMConfig(model=...)`.

    Cheapest is the lowest price of 1,000 input and 1,000 output tokens together today; of equals, the first
    in the registry. Whether a provider is configured or a local model installed is not looked at: that is the
    router's part.

    Args:
        capability: What the model must be good enough for.
        provider: Only of this provider.
        exclude_local: Leave out models that run on the user's own machine (they are free, and so would always
            win).

    Raises:
        UnknownModelError: No priced model is left.

    Example:
        >>> get_cheapest_model(ModelCapability.SIMPLE)
        'llama3'
    """
    priced = [
        info
        for info in list_models(capability=capability, provider=provider)
        if info.input_cost_per_1k is not None and not (exclude_local and info.is_local)
    ]
    if not priced:
        raise UnknownModelError(
            "capability", str(capability), "no priced model in the registry fits what was asked for"
        )
    return min(priced, key=_unit_cost).name


def list_models(
    *,
    capability: ModelCapability | str | None = None,
    provider: LLMProvider | str | None = None,
    tier: ModelTier | str | None = None,
    min_context: int = 0,
    supports_tools: bool | None = None,
    supports_vision: bool | None = None,
    supports_json: bool | None = None,
) -> list[ModelInfo]:
    """Return the models of the registry that pass every filter, in its order, with today's prices.

    Args:
        capability: What they must be good enough for.
        provider: By any of its names.
        tier: Their price class.
        min_context: The least context window, in tokens; a model whose window is not known does not pass.
        supports_tools: Only those that do (or, if false, do not).
        supports_vision: The same, for images in the input.
        supports_json: The same, for JSON output.

    Raises:
        ConfigurationError: A capability, tier or provider that does not exist.
    """
    wanted_capability = _member(ModelCapability, capability, "capability")
    wanted_tier = _member(ModelTier, tier, "tier")
    wanted_provider = _provider_name(provider)
    wanted_support = {
        "supports_tools": supports_tools, "supports_vision": supports_vision, "supports_json": supports_json,
    }  # fmt: skip

    def passes(entry: ModelEntry) -> bool:
        return (
            (wanted_capability is None or wanted_capability in entry.capabilities)
            and (wanted_tier is None or entry.tier == wanted_tier)
            and (wanted_provider is None or entry.provider == wanted_provider)
            and (entry.context_window or 0) >= min_context
            and all(wanted is None or getattr(entry, name) == wanted for name, wanted in wanted_support.items())
        )

    today = _today()
    return [ModelInfo.from_entry(entry, today) for entry in default_registry().entries() if passes(entry)]


def register_model(info: ModelInfo, *, replace: bool = False) -> None:
    """Make a model known, or known better: for routing, lookups and prices.

    Its prices go before those of every other source. Thread-safe. Calls that are being priced keep the price
    they found. A provider that is not LiteLLM's becomes known with its first model (a custom handler of
    LiteLLM's, say).

    Args:
        info: The model. A kind of token without a cost is priced by the next source.
        replace: Take the place of the model of that name; without it, one that exists is refused.

    Raises:
        ConfigurationError: The provider has a model of that name already.

    Example:
        >>> info = ModelInfo(name="ours", provider="openai", input_cost_per_1k=0.003, output_cost_per_1k=0.01)
        >>> register_model(info)
    """
    default_registry().register(info.to_entry(), replace=replace)


def _today() -> date:
    return to_datetime(SystemClock.now_ns()).date()


def _unit_cost(info: ModelInfo) -> Decimal:
    return (info.input_cost_per_1k or Decimal(0)) + (info.output_cost_per_1k or Decimal(0))


def _member(kind: type[_Enum], value: _Enum | str | None, field: str) -> _Enum | None:
    """Return a member of an enumeration, by value; refuse others by name."""
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError as exc:
        raise ConfigurationError(field, value, "one of " + ", ".join(map(repr, map(str, kind)))) from exc


def _provider_name(provider: LLMProvider | str | None) -> str | None:
    """Return the `gen_ai.provider.name` of a provider by any of its names."""
    if provider is None:
        return None
    known = provider_named(str(provider))
    return known.name if known else resolve_model("any", provider).provider


def _from_litellm(name: str) -> ModelInfo:
    """Return what LiteLLM's map says of a model that the registry does not have."""
    try:
        ref = resolve_model(name)
        raw = litellm_map().entry(ref.provider, ref.model)
    except ConfigurationError as exc:
        raise _unknown(name) from exc
    if raw is None:
        raise _unknown(name)
    return ModelInfo(
        name=ref.model,
        provider=ref.provider,
        context_window=_tokens(raw, "max_input_tokens") or _tokens(raw, "max_tokens"),
        max_output_tokens=_tokens(raw, "max_output_tokens"),
        supports_tools=raw.get("supports_function_calling") is True,
        supports_vision=raw.get("supports_vision") is True,
        supports_json=raw.get("supports_response_schema") is True,
        price_source=_LITELLM,
        **(_costs(raw) if has_prices(raw) else {}),
    )


def _costs(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return LiteLLM's prices of one token as costs per 1,000."""
    fields = {
        "input_cost_per_1k": "input_cost_per_token",
        "output_cost_per_1k": "output_cost_per_token",
        "cache_read_cost_per_1k": "cache_read_input_token_cost",
        "cache_write_cost_per_1k": "cache_creation_input_token_cost",
    }
    costs = {field: raw[key] for field, key in fields.items() if isinstance(raw.get(key), (int, float))}
    return {field: Decimal(repr(cost)) * 1000 for field, cost in costs.items()}


def _tokens(raw: Mapping[str, Any], key: str) -> int | None:
    value = raw.get(key)
    return int(value) if isinstance(value, (int, float)) and value > 0 else None


def _unknown(name: object) -> UnknownModelError:
    """Return the error for a name that nobody knows, with the nearest names of the registry."""
    names = [entry.name for entry in default_registry().entries()]
    hint = did_you_mean(str(name).rpartition("/")[2], names, most=3)
    return UnknownModelError(
        "model", name, f"{hint}list_models() has those that are known; register_model(...) adds one"
    )
