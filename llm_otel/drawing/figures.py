"""How numbers are written, and the tables that they stand in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from llm_otel.money import format_usd, usd

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.console import Console

UNKNOWN = "–"

_FULL, _EIGHTHS = "█", " ▏▎▍▌▋▊▉"


def nano_of(amount: Decimal) -> int:
    """Return US dollars as nano-USD; amounts of the library are whole numbers of them."""
    whole = int(amount.scaleb(9))
    assert usd(whole) == amount, "an amount finer than a nano-dollar was recorded"
    return whole


def dollars(nano: int) -> str:
    """Write an amount as people read it in a table."""
    return format_usd(nano, decimals=4)


def fine_dollars(nano: int | float) -> str:
    """Write a small amount: a millionth of a dollar is the last place."""
    return format_usd(round(nano), decimals=6)


def exact_dollars(nano: int) -> str:
    """Write an amount to the nano-dollar."""
    return format_usd(nano, decimals=9)


def seconds(value: float | None) -> str:
    """Write a duration."""
    return UNKNOWN if value is None else f"{value:.2f} s"


def plural(number: int, noun: str) -> str:
    """Write a number of things: `1 call`, `1,200 calls`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def bar(share: float, width: int, *, is_ascii: bool) -> str:
    """Draw a share, 0 to 1, as a bar; what is not nothing shows at least a little."""
    share = min(max(share, 0.0), 1.0)
    if is_ascii:
        return "#" * (max(1, round(share * width)) if share else 0)
    eighths = max(1, round(share * width * 8)) if share else 0
    full, rest = divmod(eighths, 8)
    return _FULL * full + _EIGHTHS[rest].strip()


def table(title: str, *, has_header: bool = True) -> Table:
    """Return a table without lines."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        show_header=has_header,
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="dim",
        # Trailing blanks make a line wrap in a narrow terminal, and a mess of a copied one.
        collapse_padding=True,
    )


def is_ascii(console: Console) -> bool:
    """Whether only ASCII can be written."""
    return console.options.ascii_only
