"""Where the money went: by team, by feature, by provider and model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from llm_otel.drawing.figures import UNKNOWN, bar, dollars, fine_dollars, is_ascii, table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from llm_otel.demo.report import Report, Spend

_NAME_WIDTH = 23
_WIDE_COLUMNS = 100
_BAR_WIDTH, _WIDE_BAR_WIDTH = 8, 24


def draw_spending(report: Report, console: Console) -> None:
    """Draw the three tables, their columns beneath each other."""
    total = report.total
    for title, rows in (
        ("Spend by team", ((spend, "") for spend in report.teams)),
        ("Spend by feature", ((spend, "") for spend in report.features)),
        ("Spend by provider and model", _with_parts(report.providers)),
    ):
        console.print()
        console.print(_spend_table(title, rows, total, console))


def _with_parts(spends: Iterable[Spend]) -> Iterator[tuple[Spend, str]]:
    for spend in spends:
        yield spend, ""
        yield from ((part, "  ") for part in spend.parts)


def _spend_table(title: str, rows: Iterable[tuple[Spend, str]], total: Spend, console: Console) -> Table:
    drawn = table(title)
    drawn.add_column("", width=_NAME_WIDTH, no_wrap=True)
    for name, width in (("calls", 5), ("tokens", 8), ("cost", 8), ("$/call", 9)):
        drawn.add_column(name, justify="right", width=width, no_wrap=True)
    width = _WIDE_BAR_WIDTH if console.width >= _WIDE_COLUMNS else _BAR_WIDTH
    drawn.add_column("share", width=width + 5, no_wrap=True)
    for spend, indent in rows:
        drawn.add_row(
            *_cells(spend, indent, total, width, ascii_only=is_ascii(console)),
            style="dim" if indent else None,
        )
    return drawn


def _cells(spend: Spend, indent: str, total: Spend, width: int, *, ascii_only: bool) -> Iterator[str]:
    share = spend.cost_nano / total.cost_nano if total.cost_nano else 0.0
    is_priced = spend.unpriced_calls < spend.calls
    yield indent + spend.name
    yield f"{spend.calls:,}"
    yield f"{spend.tokens:,}"
    yield dollars(spend.cost_nano) if is_priced else "no price"
    yield fine_dollars(spend.cost_nano / spend.calls) if is_priced else UNKNOWN
    yield f"{share:4.0%} {bar(share, width, is_ascii=ascii_only)}"
