"""`llm-otel models`: what is known of models."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from llm_otel.cli.terminal import NoColor, open_console, trimmed

if TYPE_CHECKING:
    from llm_otel.models.info import ModelInfo

_WIDE_COLUMNS = 110


def models(
    capability: Annotated[
        str | None,
        typer.Option(help="Only models good enough for: simple, moderate, complex, coding, research."),
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Only models of: openai, anthropic, google, ollama.")] = None,
    no_color: NoColor = False,
) -> None:
    """List the models of the registry with today's prices."""
    from llm_otel.models.lookup import list_models

    found = list_models(capability=capability, provider=provider)
    console = open_console(no_color=no_color)
    is_wide = console.width >= _WIDE_COLUMNS
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("model", no_wrap=True)
    table.add_column("provider", no_wrap=True)
    for name in ("input", "output", "cached", "context"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("good for" if is_wide else "tier", no_wrap=True)
    for info in found:
        table.add_row(*_cells(info, is_wide=is_wide))
    with trimmed(console):
        console.print(table)
        console.print(f"\n{len(found)} models. Prices are US dollars for a million tokens.", style="dim")


def _cells(info: ModelInfo, *, is_wide: bool) -> tuple[str, ...]:
    from llm_otel.models.entry import ModelCapability

    good_for = " ".join(each for each in ModelCapability if each in info.capabilities)
    return (
        info.name,
        info.provider,
        _per_million(info.input_cost_per_1k),
        _per_million(info.output_cost_per_1k),
        _per_million(info.cache_read_cost_per_1k),
        _short(info.context_window),
        good_for if is_wide else str(info.tier or ""),
    )


def _per_million(cost_per_1k: Decimal | None) -> str:
    return "" if cost_per_1k is None else f"{(cost_per_1k * 1000).normalize():f}"


def _short(tokens: int | None) -> str:
    if tokens is None:
        return ""
    return f"{tokens / 1e6:.1f}M" if tokens >= 1_000_000 else f"{tokens / 1e3:.0f}K"
