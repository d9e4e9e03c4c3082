"""The models whose facts are pinned here: the twelve this project began with, and today's of four providers.

Prices are US dollars for a million tokens, as providers print them, checked on 2026-11-22 against
genai-prices 0.2.3 and the map of LiteLLM 1.105.3; `price_source` says which of them has the model. Where both
do they agree on every figure here, but for the long-context rates of claude-sonnet-4-5, which LiteLLM has
dropped. Batch, flex and priority rates are not pinned: they come from genai-prices, then LiteLLM. Context
windows and output limits are LiteLLM's, or the provider's documentation for models that LiteLLM has deleted.

Capabilities and tiers are this project's judgement, after what the providers say their models are for.
Nothing was measured for them: `register_model` replaces what you know better.

The order matters: `get_cheapest_model` prefers the earlier of two models that cost the same.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from llm_otel.models.entry import ModelCapability, ModelEntry, ModelTier, PricePeriod, TokenPrices
from llm_otel.models.providers import LLMProvider

CHECKED = date(2026, 11, 22)
"""The day on which every price here was compared with its sources."""

_BOTH = "genai-prices 0.2.3, litellm 1.105.3"
_GENAI = "genai-prices 0.2.3"
_GEMINI_PRO = "ai.google.dev/pricing of 2024 (retired)"
"""genai-prices has 0.125/0.375 for gemini-pro: those are Vertex AI's prices of a million *characters*."""
_LOCAL = "runs locally"

_BASIC = frozenset({ModelCapability.SIMPLE, ModelCapability.MODERATE})
_CODER = frozenset({ModelCapability.CODING})
_CAPABLE = _BASIC | _CODER
_STRONG = _CAPABLE | {ModelCapability.COMPLEX}
_FRONTIER = _STRONG | {ModelCapability.RESEARCH}

_ECONOMY, _STANDARD, _PREMIUM = ModelTier.ECONOMY, ModelTier.STANDARD, ModelTier.PREMIUM


def _tokens(input_: str, output: str, **others: str) -> TokenPrices:
    """Return prices for a million tokens, from decimal text."""
    more = {name: Decimal(price) for name, price in others.items()}
    return TokenPrices(input=Decimal(input_), output=Decimal(output), **more)


def _period(base: TokenPrices, *long_context: tuple[int, TokenPrices], since: date | None = None) -> PricePeriod:
    return PricePeriod(since=since, base=base, long_context=long_context)


def _claude(input_: str, output: str, cache_read: str, *, cache_write: str | None = None) -> TokenPrices:
    """Return a Claude's prices: writing to the cache costs 1.25 x the input for 5 minutes, 2 x for an hour.

    Source: platform.claude.com/docs/en/build-with-claude/prompt-caching (claude-3-haiku's write price is
    rounded).
    """
    base = Decimal(input_)
    return TokenPrices(
        input=base,
        output=Decimal(output),
        cache_read=Decimal(cache_read),
        cache_write=base * Decimal("1.25") if cache_write is None else Decimal(cache_write),
        cache_write_1h=base * 2,
    )


# One row of the tables below, so with as many columns as they have.
def _model(  # noqa: PLR0913
    provider: LLMProvider,
    name: str,
    tier: ModelTier,
    capabilities: frozenset[ModelCapability],
    context_window: int,
    max_output_tokens: int | None,
    *periods: PricePeriod,
    source: str = _BOTH,
    aliases: tuple[str, ...] = (),
    tools: bool = True,
    vision: bool = True,
    json: bool = True,
) -> ModelEntry:
    return ModelEntry(
        name=name,
        provider=provider.value,
        tier=tier,
        capabilities=capabilities,
        context_window=context_window,
        max_output_tokens=max_output_tokens,
        periods=periods,
        price_source=source,
        price_date=CHECKED,
        supports_tools=tools,
        supports_vision=vision,
        supports_json=json,
        aliases=aliases,
    )


def _local(
    name: str,
    capabilities: frozenset[ModelCapability],
    context_window: int,
    *,
    tools: bool = True,
    vision: bool = False,
) -> ModelEntry:
    """Return a model of a local Ollama: each token costs 0, which is known and not a guess."""
    free = _period(_tokens("0", "0", cache_read="0", cache_write="0"))
    return _model(
        LLMProvider.OLLAMA, name, ModelTier.LOCAL, capabilities, context_window, None, free,
        source=_LOCAL, aliases=(f"{name}:latest",), tools=tools, vision=vision,
    )  # fmt: skip


def _openai() -> tuple[ModelEntry, ...]:
    openai = LLMProvider.OPENAI
    return (
        _model(openai, "gpt-4o", _STANDARD, _STRONG, 128_000, 16_384,
               _period(_tokens("2.5", "10", cache_read="1.25")),
               aliases=("gpt-4o-2024-08-06", "gpt-4o-2024-11-20")),
        _model(openai, "gpt-4o-mini", _ECONOMY, _BASIC, 128_000, 16_384,
               _period(_tokens("0.15", "0.6", cache_read="0.075")), aliases=("gpt-4o-mini-2024-07-18",)),
        _model(openai, "gpt-4-turbo", _PREMIUM, _STRONG, 128_000, 4_096,
               _period(_tokens("10", "30")), aliases=("gpt-4-turbo-2024-04-09",)),
        _model(openai, "gpt-3.5-turbo", _ECONOMY, _BASIC, 16_385, 4_096,
               _period(_tokens("0.5", "1.5")), aliases=("gpt-3.5-turbo-0125",), vision=False),
        _model(openai, "gpt-6-luna", _ECONOMY, _CAPABLE, 1_050_000, 128_000, _period(
            _tokens("0.1", "0.5", cache_read="0.01", cache_write="0.125"),
            (272_000, _tokens("0.2", "0.75", cache_read="0.02", cache_write="0.25")))),
        _model(openai, "gpt-6.1-terra", _STANDARD, _STRONG, 1_050_000, None, _period(
            _tokens("1", "5", cache_read="0.05", cache_write="1.25"),
            (272_000, _tokens("2", "7.5", cache_read="0.1", cache_write="2.5"))), source=_GENAI),
        _model(openai, "gpt-6.1-sol", _STANDARD, _FRONTIER, 1_050_000, 128_000, _period(
            _tokens("2", "10", cache_read="0.1", cache_write="2.5"),
            (272_000, _tokens("4", "15", cache_read="0.2", cache_write="5")))),
        _model(openai, "gpt-6-astra", _PREMIUM, _FRONTIER, 1_050_000, 128_000, _period(
            _tokens("10", "50", cache_read="1", cache_write="12.5"),
            (272_000, _tokens("20", "75", cache_read="2", cache_write="25")))),
        _model(openai, "gpt-5.5", _PREMIUM, _FRONTIER, 1_050_000, 128_000, _period(
            _tokens("5", "30", cache_read="0.5"), (272_000, _tokens("10", "45", cache_read="1"))),
            aliases=("gpt-5.5-2026-04-23",)),
        _model(openai, "gpt-5", _STANDARD, _FRONTIER, 400_000, 128_000,
               _period(_tokens("1.25", "10", cache_read="0.125")), aliases=("gpt-5-2025-08-07",)),
        _model(openai, "gpt-5-mini", _ECONOMY, _CAPABLE, 400_000, 128_000,
               _period(_tokens("0.25", "2", cache_read="0.025")), aliases=("gpt-5-mini-2025-08-07",)),
        _model(openai, "gpt-5-nano", _ECONOMY, _BASIC, 400_000, 128_000,
               _period(_tokens("0.05", "0.4", cache_read="0.005")), aliases=("gpt-5-nano-2025-08-07",)),
        _model(openai, "gpt-4.1", _STANDARD, _STRONG, 1_047_576, 32_768,
               _period(_tokens("2", "8", cache_read="0.5")), aliases=("gpt-4.1-2025-04-14",)),
        _model(openai, "gpt-4.1-mini", _ECONOMY, _CAPABLE, 1_047_576, 32_768,
               _period(_tokens("0.4", "1.6", cache_read="0.1")), aliases=("gpt-4.1-mini-2025-04-14",)),
        _model(openai, "gpt-4.1-nano", _ECONOMY, _BASIC, 1_047_576, 32_768,
               _period(_tokens("0.1", "0.4", cache_read="0.025")), aliases=("gpt-4.1-nano-2025-04-14",)),
        # Before 2025-06-10 o3 cost five times as much; genai-prices knows.
        _model(openai, "o3", _STANDARD, _FRONTIER, 200_000, 100_000,
               _period(_tokens("2", "8", cache_read="0.5"), since=date(2025, 6, 10)),
               aliases=("o3-2025-04-16",)),
        _model(openai, "o4-mini", _STANDARD, _STRONG, 200_000, 100_000,
               _period(_tokens("1.1", "4.4", cache_read="0.275")), aliases=("o4-mini-2025-04-16",)),
    )  # fmt: skip


def _anthropic() -> tuple[ModelEntry, ...]:
    anthropic = LLMProvider.ANTHROPIC
    return (
        _model(anthropic, "claude-3-opus-20240229", _PREMIUM, _FRONTIER, 200_000, 4_096,
               _period(_claude("15", "75", "1.5")), source=_GENAI),
        _model(anthropic, "claude-3-sonnet-20240229", _STANDARD, _CAPABLE, 200_000, 4_096,
               _period(_claude("3", "15", "0.3")), source=_GENAI),
        _model(anthropic, "claude-3-haiku-20240307", _ECONOMY, _BASIC, 200_000, 4_096,
               _period(_claude("0.25", "1.25", "0.03", cache_write="0.3")), source=_GENAI),
        _model(anthropic, "claude-haiku-5-5", _ECONOMY, _CAPABLE, 1_000_000, 128_000,
               _period(_claude("0.1", "0.5", "0.01"), (100_000, _claude("0.5", "2.5", "0.05")))),
        _model(anthropic, "claude-sonnet-5-5", _STANDARD, _FRONTIER, 1_000_000, 128_000,
               _period(_claude("2", "10", "0.1"))),
        _model(anthropic, "claude-opus-5-5", _STANDARD, _FRONTIER, 1_000_000, 128_000,
               _period(_claude("4", "20", "0.2"))),
        _model(anthropic, "claude-fable-5-2", _PREMIUM, _FRONTIER, 1_000_000, None,
               _period(_claude("8", "40", "0.2")), source=_GENAI),
        _model(anthropic, "claude-haiku-4-5", _ECONOMY, _CAPABLE, 200_000, 64_000,
               _period(_claude("1", "5", "0.1")), aliases=("claude-haiku-4-5-20251001",)),
        _model(anthropic, "claude-sonnet-4-5", _STANDARD, _STRONG, 200_000, 64_000,
               _period(_claude("3", "15", "0.3"), (200_000, _claude("6", "22.5", "0.6"))),
               aliases=("claude-sonnet-4-5-20250929",)),
        _model(anthropic, "claude-opus-4-5", _PREMIUM, _FRONTIER, 200_000, 64_000,
               _period(_claude("5", "25", "0.5")), aliases=("claude-opus-4-5-20251101",)),
    )  # fmt: skip


def _google() -> tuple[ModelEntry, ...]:
    google = LLMProvider.GOOGLE
    return (
        _model(google, "gemini-pro", _ECONOMY, _BASIC, 32_760, 8_192,
               _period(_tokens("0.5", "1.5")), source=_GEMINI_PRO, vision=False),
        _model(google, "gemini-1.5-pro", _STANDARD, _STRONG, 2_097_152, 8_192, _period(
            _tokens("1.25", "5", cache_read="0.3125"), (128_000, _tokens("2.5", "10", cache_read="0.625"))),
            source=_GENAI),
        _model(google, "gemini-3.5-flash-lite", _ECONOMY, _BASIC, 1_048_576, 65_536,
               _period(_tokens("0.3", "2.5", cache_read="0.03"))),
        _model(google, "gemini-3.8-flash", _ECONOMY, _CAPABLE, 1_048_576, 65_536,
               _period(_tokens("0.75", "3.75", cache_read="0.075")),
               _period(_tokens("1.5", "7.5", cache_read="0.15"), since=date(2027, 1, 1))),
        _model(google, "gemini-4-argon", _STANDARD, _FRONTIER, 1_048_576, 1_048_576,
               _period(_tokens("2", "10", cache_read="0.1")),
               _period(_tokens("4", "20", cache_read="0.2"), since=date(2026, 12, 1))),
        _model(google, "gemini-3.1-pro-preview", _STANDARD, _FRONTIER, 1_048_576, 65_536, _period(
            _tokens("2", "12", cache_read="0.2"), (200_000, _tokens("4", "18", cache_read="0.4")))),
        _model(google, "gemini-2.5-pro", _STANDARD, _FRONTIER, 1_048_576, 65_536, _period(
            _tokens("1.25", "10", cache_read="0.125"), (200_000, _tokens("2.5", "15", cache_read="0.25")))),
        _model(google, "gemini-2.5-flash", _ECONOMY, _CAPABLE, 1_048_576, 65_536, _period(
            _tokens("0.3", "2.5", cache_read="0.03", input_audio="1", cache_read_audio="0.1"))),
        _model(google, "gemini-2.5-flash-lite", _ECONOMY, _BASIC, 1_048_576, 65_536, _period(
            _tokens("0.1", "0.4", cache_read="0.01", input_audio="0.3", cache_read_audio="0.03"))),
    )  # fmt: skip


def _ollama() -> tuple[ModelEntry, ...]:
    """Return models by Ollama's own names; context windows are those of ollama.com/library."""
    return (
        _local("llama3", _BASIC, 8_192, tools=False),
        _local("codellama", _CODER, 16_384, tools=False),
        _local("mistral", _BASIC, 32_768),
        _local("llama3.1", _BASIC, 131_072),
        _local("llama3.3", _STRONG, 131_072),
        _local("qwen3", _CAPABLE, 40_960),
        _local("qwen3-coder", _CAPABLE, 262_144),
        _local("gemma3", _BASIC, 131_072, tools=False, vision=True),
        _local("gpt-oss", _CAPABLE, 131_072),
        _local("deepseek-r1", _CAPABLE, 131_072, tools=False),
    )


def catalog() -> tuple[ModelEntry, ...]:
    """Return every pinned model, in the order in which ties are broken."""
    return _ollama() + _openai() + _anthropic() + _google()
