"""One trace as a tree, with a column for each number and, where there is room, a time line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_otel.drawing.figures import UNKNOWN, fine_dollars, is_ascii, seconds, table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from llm_otel.demo.report import TracedStep

_WIDE_COLUMNS = 110
_TIMELINE_WIDTH = 26


@dataclass(frozen=True, slots=True)
class _Guides:
    """The pieces that a tree is drawn with."""

    branch: str
    last: str
    through: str
    blank: str
    block: str
    gap: str


_UNICODE = _Guides("├─ ", "└─ ", "│  ", "   ", "█", "·")
_ASCII = _Guides("|- ", "`- ", "|  ", "   ", "#", ".")


def draw_trace(root: TracedStep | None, console: Console) -> None:
    """Draw a trace; without one say why."""
    console.print()
    if root is None:
        console.print("[bold]One trace[/]")
        console.print("No spans were kept: OTEL_SDK_DISABLED is set, or a tracer provider that is not the SDK's.")
        return
    guides = _ASCII if is_ascii(console) else _UNICODE
    is_wide = console.width >= _WIDE_COLUMNS
    drawn = _columns(is_wide=is_wide)
    for prefix, step in _lines(root, guides):
        style = "red" if step.is_failed else "dim" if step.is_attempt else None
        cells = [prefix + step.name, seconds(step.duration_s), *_amounts(step), ", ".join(step.remarks)]
        if is_wide:
            cells.insert(1, _timeline(step, root.duration_s, guides))
        drawn.add_row(*cells, style=style)
    console.print(drawn)


def _columns(*, is_wide: bool) -> Table:
    drawn = table("One trace, as it is exported")
    drawn.add_column("", no_wrap=True)
    if is_wide:
        drawn.add_column("when", no_wrap=True)
    drawn.add_column("time", justify="right", no_wrap=True)
    drawn.add_column("tokens", justify="right", no_wrap=True)
    drawn.add_column("cost", justify="right", no_wrap=True)
    drawn.add_column("", no_wrap=True)
    return drawn


def _lines(step: TracedStep, guides: _Guides, prefix: str = "", below: str = "") -> Iterator[tuple[str, TracedStep]]:
    """Yield every step under its parent, with what is drawn before its name."""
    yield prefix, step
    for index, child in enumerate(step.steps):
        is_last = index == len(step.steps) - 1
        own = guides.last if is_last else guides.branch
        beneath = guides.blank if is_last else guides.through
        yield from _lines(child, guides, below + own, below + beneath)


def _amounts(step: TracedStep) -> tuple[str, str]:
    if step.is_attempt:
        # They are the call's own, which stand one line above: here they would be read as more of them.
        return "", ""
    tokens = UNKNOWN if step.tokens is None else f"{step.tokens:,}"
    return tokens, UNKNOWN if step.cost_nano is None else fine_dollars(step.cost_nano)


def _timeline(step: TracedStep, whole_s: float, guides: _Guides) -> str:
    if not whole_s:
        return ""
    start = min(int(step.start_s / whole_s * _TIMELINE_WIDTH), _TIMELINE_WIDTH - 1)
    length = max(1, round(step.duration_s / whole_s * _TIMELINE_WIDTH))
    drawn = guides.gap * start + guides.block * min(length, _TIMELINE_WIDTH - start)
    return drawn.ljust(_TIMELINE_WIDTH, guides.gap)
