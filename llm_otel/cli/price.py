"""`llm-otel price`: what one completion costs, to the nano-dollar."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from llm_otel.cli.terminal import NoColor, open_console, trimmed
from llm_otel.errors import ConfigurationError, UnknownModelError, UnknownProviderError

if TYPE_CHECKING:
    from llm_otel.models.resolve import ModelRef
    from llm_otel.pricing.rate import CostBreakdown
    from llm_otel.usage import Usage

_STANDARD_TIERS = frozenset({"standard", "default", "auto"})


def price(  # noqa: PLR0913, PLR0917  # each option of a command is an argument
    model: Annotated[str, typer.Argument(help="gpt-4o-mini, gemini/gemini-2.5-pro, ...", show_default=False)],
    input_: Annotated[int, typer.Option("--input", min=0, help="Input tokens, cached ones included.")] = 0,
    output: Annotated[int, typer.Option(min=0, help="Output tokens, reasoning included.")] = 0,
    cached: Annotated[int, typer.Option(min=0, help="Input tokens read from the prompt cache.")] = 0,
    cache_write: Annotated[int, typer.Option(min=0, help="Input tokens written to the prompt cache.")] = 0,
    reasoning: Annotated[int, typer.Option(min=0, help="Output tokens that were reasoning.")] = 0,
    provider: Annotated[str | None, typer.Option(help="Whose model, where the name does not tell.")] = None,
    tier: Annotated[str | None, typer.Option(help="Service tier: flex, priority, batch, ...")] = None,
    on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="The day (UTC) of the prices; today by default."),
    ] = None,
    no_color: NoColor = False,
) -> None:
    """Price one completion, exactly."""
    _check_parts("--input", input_, {"--cached": cached, "--cache-write": cache_write})
    _check_parts("--output", output, {"--reasoning": reasoning})
    check_service_tier("--tier", tier)
    if not input_ and not output:
        raise ConfigurationError("--input", input_, "say how many tokens the call has, with --input, --output or both")
    from llm_otel.usage import Usage

    usage = Usage.of(
        input_tokens=input_,
        output_tokens=output,
        cache_read_tokens=cached,
        cache_write_tokens=cache_write,
        reasoning_tokens=reasoning,
    )
    ref = _resolve(model, provider)
    at = datetime.now(UTC) if on is None else on.replace(tzinfo=UTC)
    _draw(ref, usage, _cost(ref, usage, at=at, tier=tier), no_color=no_color)


def _check_parts(whole: str, tokens: int, parts: dict[str, int]) -> None:
    if sum(parts.values()) > tokens:
        name, value = max(parts.items(), key=lambda part: part[1])
        raise ConfigurationError(name, value, f"it is a part of {whole}, which is {tokens}")


def check_service_tier(option: str, tier: str | None) -> None:
    """Refuse a service tier that nobody has."""
    from llm_otel.pricing.quote import STANDARD, service_tier_of

    if tier is not None and tier not in _STANDARD_TIERS and service_tier_of(tier) == STANDARD:
        raise ConfigurationError(option, tier, "standard, flex, priority, batch, fast, ultrafast or balanced")


def _resolve(model: str, provider: str | None) -> ModelRef:
    from llm_otel.models.lookup import get_model_info
    from llm_otel.models.resolve import resolve_model

    try:
        return resolve_model(model, provider)
    except UnknownProviderError:
        if provider is None:
            get_model_info(model)  # knows names that are near, and says so
        raise


def _cost(ref: ModelRef, usage: Usage, *, at: datetime, tier: str | None) -> CostBreakdown:
    import logging

    from llm_otel.models.lookup import get_model_info
    from llm_otel.pricing.book import PriceBook

    # The book warns of a price it does not know; here that is the answer itself.
    logging.getLogger("llm_otel").addHandler(logging.NullHandler())
    cost = PriceBook().price(usage, provider=ref.provider, model=ref.model, at=at, service_tier=tier)
    if cost is None:
        get_model_info(ref.model)  # as above
        raise UnknownModelError(
            "model",
            ref.model,
            f"no source knows its price at {ref.provider}; `llm-otel models` has those pinned here",
        )
    return cost


def _draw(ref: ModelRef, usage: Usage, cost: CostBreakdown, *, no_color: bool) -> None:
    from rich.table import Table

    from llm_otel.money import format_usd

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right")
    tokens = usage.buckets()
    for kind, nano in cost.parts.items():
        if tokens.get(kind) or nano:
            table.add_row(f"  {kind.replace('_', ' ')}", f"{tokens.get(kind, 0):,} tokens", format_usd(nano))
    table.add_row("  total", f"{usage.total_tokens:,} tokens", format_usd(cost.total_nano), style="bold")
    if cost.saved_by_cache_nano > 0:
        table.add_row("  saved by the prompt cache", "", format_usd(cost.saved_by_cache_nano), style="dim")
    checked = f", checked {cost.price_date}" if cost.price_date else ""
    with trimmed(open_console(no_color=no_color)) as console:
        console.print(f"{ref.model} ({ref.provider})")
        console.print(table)
        console.print(f"  price: {cost.price_source}{checked}", style="dim")
