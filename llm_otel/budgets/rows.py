"""What an operation does to the rows of a ledger: the same for every store that works in Python.

A store finds the rows, asks `weigh`, and then changes them with `charge` and `announce`: in memory the rows
themselves, elsewhere copies that are written back in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from llm_otel.budgets.ledger import (
    Balance,
    Crossing,
    Decision,
    Ended,
    Granted,
    Hold,
    Line,
    Moved,
    Refused,
    Settled,
    SettledAs,
)

RowKey = tuple[str, str, int]
"""Budget, scope, start of window."""


class Row:
    """What stands in one row.

    Attributes:
        spent: nano-USD.
        held: nano-USD.
        forget_at: When it may be deleted, in seconds since the epoch; `None` for never.
        told: The thresholds that were announced, each after the limit that it was made for: a limit that is changed
            arms its alerts anew, and two processes that disagree about it tell their own once each.
    """

    __slots__ = ("forget_at", "held", "spent", "told")

    def __init__(
        self, forget_at: int | None, spent: int = 0, held: int = 0, told: tuple[tuple[int, int], ...] = ()
    ) -> None:
        self.spent = spent
        self.held = held
        self.forget_at = forget_at
        self.told = told

    def keep_for(self, line: Line) -> None:
        """Forget the row no earlier than a line says; never is the latest of all."""
        if self.forget_at != line.forget_at:
            ends = (self.forget_at, line.forget_at)
            self.forget_at = None if None in ends else max(end for end in ends if end is not None)


Rows = Mapping[RowKey, Row]

GRANTED = Granted()
ENDED = Ended()
SETTLED = Settled(SettledAs.HELD)
"""The answers without news, made once."""


Weighed = tuple[Moved | Refused | None, list[Row], bool]
"""Why not, `None` if it fits; the row of each line, or fewer if one is missing or must be kept for longer; whether any
line may have news."""


def weigh(hold: Hold, now_ms: int, rows: Rows) -> Weighed:
    """Find out whether a hold of an unknown id can be granted.

    Args:
        hold: What is asked.
        now_ms: The store's time.
        rows: What stands in all the `starts` of its lines; a row that is missing is empty.
    """
    lines, amount, own = hold.lines, hold.amount, []
    now_s, fits, has_news = now_ms // 1000, True, False
    for line in lines:
        start, end, thresholds = line.start, line.end, line.thresholds
        if end is not None and not start <= now_s < end:
            return Moved(now_ms), [], False
        row = rows.get((line.budget, line.scope, start))
        spent = held = 0
        if row is not None:
            spent, held = row.spent, row.held
            if row.forget_at == line.forget_at:
                own.append(row)
        if line.starts[0] != start:
            spent, held = sums(line, rows)
        if spent + held + amount > line.limit and line.is_hard:
            fits = False
        if thresholds and spent >= thresholds[0] and not (row and _is_told(line, row)):
            has_news = True
    if fits:
        return None, own, has_news
    return Refused(tuple(Balance(*sums(line, rows)) for line in lines), now_ms), own, has_news


def sums(line: Line, rows: Rows) -> tuple[int, int]:
    """Return what is spent and held in the rows that count for a line."""
    budget, scope = line.budget, line.scope
    spent = held = 0
    for start in line.starts:
        row = rows.get((budget, scope, start))
        if row is not None:
            spent += row.spent
            held += row.held
    return spent, held


def charge(rows: Iterable[Row], spend: int, hold: int) -> None:
    """Add to what is spent and held in all rows."""
    for row in rows:
        row.spent += spend
        row.held += hold


def may_have_news(lines: Sequence[Line], rows: Sequence[Row]) -> bool:
    """Tell quickly, and most often, that there is nothing to announce. `rows` has the row of each line."""
    if len(lines) != len(rows):
        return True
    for line, row in zip(lines, rows, strict=False):
        thresholds = line.thresholds
        if thresholds and (row.spent >= thresholds[0] or line.starts[0] != line.start) and not _is_told(line, row):
            return True
    return False


def _is_told(line: Line, row: Row) -> bool:
    """Tell whether all that a line's own row has reached was announced in it; of several rows, that is not known."""
    if line.starts[0] != line.start:
        return False
    for threshold in line.thresholds:
        if threshold > row.spent:
            break
        if (line.limit, threshold) not in row.told:
            return False
    return True


def announce(lines: Iterable[Line], rows: Rows, new_row: Callable[[Line], Row]) -> tuple[Crossing, ...]:
    """Return the thresholds that spend has reached and nobody was told of, and mark them as told.

    Args:
        lines: Those in hand.
        rows: What stands in all their `starts`.
        new_row: Makes the row of a line that has none.
    """
    crossings: list[Crossing] = []
    for line in lines:
        if not line.thresholds:
            continue
        budget, scope, limit = line.budget, line.scope, line.limit
        own = (budget, scope, line.start)
        if len(line.starts) > 1:
            standing = [row for start in line.starts if (row := rows.get((budget, scope, start))) is not None]
        else:
            standing = [rows[own]] if own in rows else []
        spent = sum([row.spent for row in standing])
        for threshold in line.thresholds:
            if threshold > spent:
                break
            mark = (limit, threshold)
            if not any(mark in row.told for row in standing):
                row = rows.get(own) or new_row(line)
                row.told = (*row.told, mark)
                crossings.append(Crossing(line, threshold, spent))
    return tuple(crossings)


def with_news(denial: Moved | Refused | None, crossings: tuple[Crossing, ...]) -> Decision:
    """Return the answer to a `reserve`."""
    if denial is None:
        return Granted(crossings) if crossings else GRANTED
    if isinstance(denial, Refused) and crossings:
        return Refused(denial.balances, denial.now_ms, crossings)
    return denial
