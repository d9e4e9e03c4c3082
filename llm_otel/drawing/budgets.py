"""Budgets as bars: what is spent, what is held for calls in flight, and what is left.

█ spent ▒ held                           used    spent     held     left
company       ████████████▒▒······        62%  $0.0753  $0.0120  $0.0327
  soft $0.12; month 2026-11, UTC; resets 2026-12-01 00:00, in 8 d

Names of scopes are what callers put into tags: whatever they hold, a terminal gets one line of printable text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.padding import Padding
from rich.text import Text

from llm_otel.budgets.reports import State
from llm_otel.drawing.figures import is_ascii, nano_of, plural
from llm_otel.money import NANO_PER_USD, format_usd

if TYPE_CHECKING:
    from rich.console import Console

    from llm_otel.budgets.budget import Budget
    from llm_otel.budgets.reports import BudgetStatus

_MIN_NAME_WIDTH, _MAX_NAME_WIDTH = 12, 26
_MIN_BAR_WIDTH, _MAX_BAR_WIDTH = 8, 40
_GAP = "  "
_INDENT = 2
_AMOUNTS = ("used", "spent", "held", "left")
_STYLES = {State.OK: "green", State.NEAR: "yellow", State.EXCEEDED: "red"}
_DECIMALS = ((10 * NANO_PER_USD, 2), (NANO_PER_USD // 100, 4), (0, 6))
"""From a limit of so many nano-USD on, amounts have so many decimals."""

_TICKS = ((172_800, 86_400, "d"), (5_400, 3_600, "h"), (90, 60, "min"))
"""From so many seconds on, in steps of so many, called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one scope of a budget stands. Plain facts; money is in nano-USD.

    Attributes:
        scope: The value that the budget is split by; empty for one that is not.
    """

    scope: str
    spent_nano: int
    held_nano: int
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStandings:
    """How a budget stands. Plain facts; money is in nano-USD.

    Attributes:
        by: What it is split by; empty for a budget that is not.
        window: In words.
        resets_at: ISO 8601, in the budget's time zone; `None` for a lifetime.
        scopes: The most used first. One for a budget that is not split; none where nobody has spent anything yet.
    """

    id: str
    kind: str
    by: tuple[str, ...]
    window: str
    limit_nano: int
    resets_at: str | None
    scopes: tuple[Standing, ...]

    @property
    def states(self) -> dict[State, int]:
        """How many scopes are ok, near their limit, and beyond it."""
        found = [standing.state for standing in self.scopes]
        return {state: found.count(state) for state in State}


def standings_of(
    budgets: Iterable[Budget], statuses: Iterable[BudgetStatus], *, now_s: int
) -> tuple[BudgetStandings, ...]:
    """Return the facts that are drawn, budget by budget.

    Args:
        budgets: Those that were asked for.
        statuses: What the ledger said.
        now_s: When, in seconds since the epoch.
    """
    found: dict[str, list[Standing]] = {}
    for status in statuses:
        found.setdefault(status.budget.id, []).append(
            Standing(
                scope=status.scope,
                spent_nano=nano_of(status.spent_usd),
                held_nano=nano_of(status.held_usd),
                state=status.state,
            )
        )
    return tuple(_standings(each, tuple(found.get(each.id, ())), now_s) for each in budgets)


def _standings(budget: Budget, scopes: tuple[Standing, ...], now_s: int) -> BudgetStandings:
    window = budget.parsed_window
    span = window.span(now_s)
    resets_at = None if span.resets_at is None else datetime.fromtimestamp(span.resets_at, window.zone).isoformat()
    return BudgetStandings(
        id=budget.id,
        kind=budget.kind,
        by=budget.split_by,
        window=window.title(span),
        limit_nano=budget.limit_nano,
        resets_at=resets_at,
        scopes=scopes,
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    name: int
    bar: int
    amounts: tuple[int, ...]


def draw_budgets(budgets: Sequence[BudgetStandings], console: Console, *, now_s: float, top: int) -> None:
    """Draw budgets, one after the other.

    Args:
        budgets: One at least.
        console: Where.
        now_s: Seconds since the epoch, for the time to the reset.
        top: How many scopes of a budget that is split.
    """
    layout = _layout(budgets, console.width, top)
    console.print(_header(layout, _marks(ascii_only=is_ascii(console))))
    for index, budget in enumerate(budgets):
        if index:
            console.print()
        _draw_budget(budget, console, layout, now_s=now_s, top=top)


def _draw_budget(budget: BudgetStandings, console: Console, layout: _Layout, *, now_s: float, top: int) -> None:
    limit, ascii_only = budget.limit_nano, is_ascii(console)
    names = (" " * _INDENT + each.scope if budget.by else budget.id for each in budget.scopes[:top])
    rows = [
        _row(name, each, limit, layout, ascii_only=ascii_only) for name, each in zip(names, budget.scopes, strict=False)
    ]
    head = Text(_fitted(budget.id, layout.name) + _GAP + _count(budget)) if budget.by else rows.pop()
    console.print(head)
    console.print(Padding(Text(_terms(budget, now_s), style="dim"), (0, 0, 0, _INDENT)))
    for row in rows:
        console.print(row)
    if len(budget.scopes) > top:
        console.print(Text(f"{' ' * _INDENT}and {len(budget.scopes) - top:,} more", style="dim"))


def _count(budget: BudgetStandings) -> str:
    if not budget.scopes:
        return "nothing spent yet"
    states = ", ".join(f"{count:,} {state}" for state, count in budget.states.items())
    return f"{plural(len(budget.scopes), 'scope')}: {states}"


def _terms(budget: BudgetStandings, now_s: float) -> str:
    each = f" per {' and '.join(budget.by)}" if budget.by else ""
    limit = f"{budget.kind} {format_usd(budget.limit_nano)}{each}"
    return "; ".join((limit, budget.window, _reset(budget.resets_at, now_s)))


def _reset(resets_at: str | None, now_s: float) -> str:
    if resets_at is None:
        return "never resets"
    at = datetime.fromisoformat(resets_at)
    return f"resets {at:%Y-%m-%d %H:%M}, {in_words(at.timestamp() - now_s)}"


def in_words(seconds: float) -> str:
    """Say how long something takes from now: `in 45 s`, `in 3 h`, `in 8 d`."""
    for least, step, unit in _TICKS:
        if seconds >= least:
            return f"in {seconds / step:.0f} {unit}"
    return f"in {max(0, seconds):.0f} s"


def two_part_bar(first: float, second: float, width: int, *, ascii_only: bool) -> str:
    """Draw two shares of a whole, one after the other, and what is left of it.

    What is not nothing shows at least a little, and only what is all of it is shown as all.
    """
    full, part, rest = _marks(ascii_only=ascii_only)
    one = _columns(first, width)
    both = max(one + (1 if second > 0 and one < width else 0), _columns(first + second, width))
    return full * one + part * (both - one) + rest * (width - both)


def _columns(share: float, width: int) -> int:
    if share <= 0:
        return 0
    return width if share >= 1 else min(max(1, round(share * width)), width - 1)


def _marks(*, ascii_only: bool) -> tuple[str, str, str]:
    return ("#", "=", ".") if ascii_only else ("█", "▒", "·")


def _header(layout: _Layout, marks: tuple[str, str, str]) -> Text:
    legend = f"{marks[0]} spent {marks[1]} held"
    left = set_cell_size(legend, layout.name + len(_GAP) + layout.bar)
    return Text(_GAP.join((left, *_right(_AMOUNTS, layout))), style="dim", no_wrap=True)


def _row(name: str, standing: Standing, limit: int, layout: _Layout, *, ascii_only: bool) -> Text:
    spent = standing.spent_nano / limit if limit else 1.0
    held = standing.held_nano / limit if limit else 0.0
    return Text.assemble(
        _fitted(name, layout.name),
        _GAP,
        (two_part_bar(spent, held, layout.bar, ascii_only=ascii_only), _STYLES[standing.state]),
        _GAP,
        _GAP.join(_right(_figures(standing, limit), layout)),
        no_wrap=True,
        overflow="ellipsis",
    )


def _fitted(name: str, width: int) -> str:
    printable = _printable(name)
    if cell_len(printable) > width:
        printable = set_cell_size(printable, width - 1) + "~"
    return set_cell_size(printable, width)


def _printable(name: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in name)


def _figures(standing: Standing, limit: int) -> tuple[str, ...]:
    spent, held = standing.spent_nano, standing.held_nano
    return (_percent(spent, limit), *(_amount(each, limit) for each in (spent, held, limit - spent - held)))


def _percent(spent: int, limit: int) -> str:
    """Write a share of the limit, rounded down: 100 % is for what is really used up."""
    if not limit:
        return "100%"
    percent = 100 * spent // limit
    return "<1%" if spent and not percent else f"{percent:,}%"


def _amount(nano: int, limit: int) -> str:
    return format_usd(nano, decimals=next(decimals for least, decimals in _DECIMALS if limit >= least))


def _right(texts: Iterable[str], layout: _Layout) -> Iterator[str]:
    return (text.rjust(width) for text, width in zip(texts, layout.amounts, strict=True))


def _layout(budgets: Sequence[BudgetStandings], width: int, top: int) -> _Layout:
    """Give figures what they need, names what they need up to a bound, and the bars the rest."""
    shown = [(budget, each) for budget in budgets for each in budget.scopes[:top]]
    figures = (_figures(each, budget.limit_nano) for budget, each in shown)
    amounts = tuple(max(map(len, texts)) for texts in zip(_AMOUNTS, *figures, strict=True))
    scopes = (_INDENT + cell_len(_printable(each.scope)) for budget, each in shown if budget.by)
    longest = max(_MIN_NAME_WIDTH, *scopes, *(len(budget.id) for budget in budgets))
    name = min(longest, _MAX_NAME_WIDTH)
    rest = width - name - sum(amounts) - len(_GAP) * (len(amounts) + 1)
    return _Layout(name, min(max(rest, _MIN_BAR_WIDTH), _MAX_BAR_WIDTH), amounts)
