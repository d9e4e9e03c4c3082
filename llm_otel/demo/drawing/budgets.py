"""The budgets: how they stand, and what they kept from being spent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from llm_otel.demo.drawing.remarks import draw_remarks
from llm_otel.drawing.budgets import draw_budgets
from llm_otel.drawing.figures import dollars, plural

if TYPE_CHECKING:
    from rich.console import Console

    from llm_otel.demo.report import Budgets

_TOP = 5


def draw_run_budgets(budgets: Budgets | None, console: Console) -> None:
    """Draw the budgets of the run; nothing if there were none."""
    if budgets is None:
        return
    console.print("\n[bold]Budgets[/]")
    draw_budgets(budgets.standings, console, now_s=budgets.at_s, top=_TOP)
    if not draw_remarks("What they did", _remarks(budgets), console):
        return
    if budgets.refusal is not None:
        console.print("The first caller that was refused got this:")
        console.print(Padding(Text(budgets.refusal, style="red"), (0, 0, 0, 2)))


def _remarks(budgets: Budgets) -> Iterator[tuple[str, str]]:
    for index, alert in enumerate(budgets.alerts):
        yield "" if index else "alerts", str(alert)
    if budgets.downgraded:
        saved = f", {dollars(budgets.saved_nano)} saved" if budgets.saved_nano else ""
        yield "downgraded", f"{plural(budgets.downgraded, 'call')} to a cheaper model{saved}"
    if budgets.refused:
        calls = plural(sum(budgets.refused.values()), "call")
        yield "refused", f"{calls}, nothing sent: up to {dollars(budgets.refused_nano)} not spent"
