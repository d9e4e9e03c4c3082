"""A list of what something did: a name, and a few words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from llm_otel.drawing.figures import table

if TYPE_CHECKING:
    from rich.console import Console


def draw_remarks(title: str, remarks: Iterable[tuple[str, str]], console: Console) -> bool:
    """Draw pairs of a name and a text after an empty line; return whether there was anything to draw."""
    pairs = list(remarks)
    if not pairs:
        return False
    drawn = table(title, has_header=False)
    drawn.add_column("", width=23, no_wrap=True)
    drawn.add_column("", overflow="fold")
    for name, text in pairs:
        drawn.add_row(name, text)
    console.print()
    console.print(drawn)
    return True
