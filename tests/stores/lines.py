"""Lines to hold money on, and what stands there. Light: processes of their own import it too."""

from __future__ import annotations

from llm_otel.budgets.ledger import Crossing, Line, RowQuery, Store

START_MS = 1_782_864_000_000
"""2026-07-01T00:00:00Z, when every test begins."""

DAY_S = 86_400


def line(budget: str = "company", limit: int = 100, **other) -> Line:
    """A line for this day, or what else is said."""
    start = other.pop("start", START_MS // 1000)
    fields = {
        "scope": "",
        "start": start,
        "end": start + DAY_S,
        "starts": (start,),
        "limit": limit,
        "forget_at": start + 3 * DAY_S,
    }
    return Line(budget, **{**fields, **other})


def standing(store: Store, line: Line) -> tuple[int, int]:
    """Return what is spent and held in the rows that count for a line."""
    for state in store.snapshot([RowQuery(line.budget, line.starts)]):
        if state.scope == line.scope:
            return state.spent, state.held
    return 0, 0


def told(crossings: tuple[Crossing, ...]) -> list[tuple[str, int, int]]:
    """Return budget, threshold and spend of each crossing."""
    return [(each.line.budget, each.threshold, each.spent) for each in crossings]
