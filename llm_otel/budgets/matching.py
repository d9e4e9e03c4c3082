"""Which budgets a call concerns, and on which rows of the ledger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llm_otel.budgets.budget import Budget, check_budgets
from llm_otel.budgets.ledger import HOLD_KEPT_MS, Line
from llm_otel.budgets.windows import LIFETIME
from llm_otel.money import parse_usd, usd

if TYPE_CHECKING:
    from llm_otel.budgets.windows import Span

NO_VALUE = "__none__"
"""The scope of calls without the tag that a budget is split by: charged all the same."""

MODEL = "model"
PROVIDER = "provider"

_MAX_LINES = 10_000
"""Lines kept ready for one budget; a split by user may have more, and makes them anew."""
_GRACE_S = 8 * 86_400
_ROLLING_GRACE_S = 2 * HOLD_KEPT_MS // 1000
"""How long a row outlives its window: longer than the end of a hold in it is remembered. A rolling one has many."""


_RUN_START = -1
"""Where the rows of runs begin: at no time, so that a declared lifetime budget of the same name has none of them."""
_MAX_ID = 64
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True)
class Matched:
    """The budgets that a call concerns, and the line of each. In the order of their declaration."""

    budgets: tuple[Budget, ...] = ()
    lines: tuple[Line, ...] = ()

    def joined(self, other: Matched) -> Matched:
        """Return both: a call has to fit into all of them."""
        return Matched(self.budgets + other.budgets, self.lines + other.lines)


NOTHING = Matched()


class BudgetSet:
    """Declared budgets. Immutable but for what it keeps ready; thread-safe: at worst a line is made twice."""

    __slots__ = ("_entries", "budgets")

    def __init__(self, budgets: Iterable[Budget] = ()) -> None:
        """Take budgets.

        Raises:
            ConfigurationError: Two have the same id.
        """
        self.budgets = check_budgets(budgets)
        self._entries = tuple(_Entry(each) for each in self.budgets)

    def __bool__(self) -> bool:
        return bool(self.budgets)

    def match(self, tags: Mapping[str, str], *, provider: str, model: str, now_s: int) -> Matched:
        """Return what concerns a call that is made now, in seconds since the epoch."""
        budgets: list[Budget] = []
        lines: list[Line] = []
        # On the way of every call: what most budgets do not need is not called.
        for entry in self._entries:
            if entry.conditions and not entry.concerns(tags, provider, model):
                continue
            scope = entry.scope(tags, provider, model) if entry.names else ""
            line = entry.lines.get(scope)
            if line is None or now_s < line.start or (line.end is not None and now_s >= line.end):
                line = entry.new_line(scope, now_s)
            budgets.append(entry.budget)
            lines.append(line)
        return Matched(tuple(budgets), tuple(lines)) if budgets else NOTHING


class _Entry:
    """One budget, with its lines kept ready for as long as their window lasts."""

    __slots__ = ("budget", "conditions", "lines", "names")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.names = budget.split_by
        self.conditions = tuple(budget.conditions.items())
        self.lines: dict[str, Line] = {}

    def concerns(self, tags: Mapping[str, str], provider: str, model: str) -> bool:
        return all(_value(name, tags, provider, model) in allowed for name, allowed in self.conditions)

    def scope(self, tags: Mapping[str, str], provider: str, model: str) -> str:
        if len(self.names) == 1:
            return _value(self.names[0], tags, provider, model)
        # Values are free text: a slash in one must not look like the one between two.
        values = [_value(name, tags, provider, model) for name in self.names]
        return "/".join([value.replace("%", "%25").replace("/", "%2F") for value in values])

    def new_line(self, scope: str, now_s: int) -> Line:
        if len(self.lines) >= _MAX_LINES:
            self.lines.clear()
        made = self.lines[scope] = line_of(self.budget, scope, self.budget.parsed_window.span(now_s))
        return made


def line_of(budget: Budget, scope: str, span: Span) -> Line:
    """Return the line of a budget's scope in one window."""
    grace_s = _ROLLING_GRACE_S if len(span.starts) > 1 else _GRACE_S
    return Line(
        budget=budget.id,
        scope=scope,
        start=span.start,
        end=span.end,
        starts=span.starts,
        limit=budget.limit_nano,
        is_hard=budget.is_hard,
        thresholds=budget.thresholds,
        forget_at=None if span.resets_at is None else span.resets_at + grace_s,
    )


def _value(name: str, tags: Mapping[str, str], provider: str, model: str) -> str:
    if name == MODEL:
        return model
    if name == PROVIDER:
        return provider
    return tags.get(name, NO_VALUE)


def run_budget(name: str, limit_usd: Any) -> Budget:
    """Return the budget for each single run of what has a name. It alerts nobody: that would be a line for each run.

    Raises:
        ConfigurationError: The limit is no amount of money.
    """
    limit_nano = parse_usd(limit_usd, field="budget_usd")
    id_ = _NOT_IN_ID.sub("-", name).lstrip("_.-")[:_MAX_ID]
    return Budget(id_ or "run", limit_usd=usd(limit_nano), window="lifetime", alerts=())


def run_of(budget: Budget, run_id: str, *, now_s: int) -> Matched:
    """Return what concerns the calls of one run. Runs inside it share the row, and so inherit what is left."""
    line = line_of(budget, run_id, LIFETIME)
    own = replace(line, start=_RUN_START, starts=(_RUN_START,), forget_at=now_s + _GRACE_S)
    return Matched((budget,), (own,))
