"""Rows of a ledger file, as an operation works on them: loaded, changed by `llm_otel.budgets.rows`, written back.

The transaction around it keeps everybody else out from before the first read.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from llm_otel.budgets.rows import Row, RowKey

if TYPE_CHECKING:
    from llm_otel.budgets.ledger import Line

_SELECT = """
    SELECT {at}, start, spent, held, forget_at, told FROM rows
    WHERE budget = ? AND scope = ? AND start BETWEEN ? AND ?
"""
_SPAN = 4
"""How many values `_SELECT` takes."""
_INSERT = "INSERT INTO rows (budget, scope, start, spent, held, forget_at, told) VALUES (?, ?, ?, ?, ?, ?, ?)"
# Without `forget_at`, which is in an index that would be written too.
_UPDATE = "UPDATE rows SET spent = ?, held = ? WHERE budget = ? AND scope = ? AND start = ?"
_UPDATE_ALL = """
    UPDATE rows SET spent = ?, held = ?, forget_at = ?, told = ? WHERE budget = ? AND scope = ? AND start = ?
"""

_Marks = tuple[tuple[int, int], ...]


class RowCopies:
    """Rows that were loaded, and what became of them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._loaded: list[tuple[RowKey, Row, int, int, int | None, _Marks]] = []
        self._new: list[tuple[RowKey, Row]] = []
        self.rows: dict[RowKey, Row] = {}

    def load_lines(self, lines: Iterable[Line]) -> None:
        """Load what counts for lines."""
        spans: list[str | int] = []
        for line in lines:
            spans += (line.budget, line.scope, line.starts[0], line.start)
        self._load(spans)

    def of(self, keys: Sequence[RowKey]) -> list[Row]:
        """Return rows that exist. One that was forgotten counts for nobody, so nothing can be missing there."""
        spans: list[str | int] = []
        for key in keys:
            if key not in self.rows:
                spans += (*key, key[2])
        self._load(spans)
        return [self.rows[key] for key in keys if key in self.rows]

    def _load(self, spans: list[str | int]) -> None:
        """Load, for each budget and scope, from the row that starts at the first time to that of the last."""
        if not spans:
            return
        # One statement for all: three times less overhead for three lines.
        found = self._connection.execute(_select(len(spans) // _SPAN), spans).fetchall()
        rows, loaded = self.rows, self._loaded
        for at, start, spent, held, forget_at, told in found:
            key: RowKey = (spans[at], spans[at + 1], start)
            # What this operation has changed already stays.
            if key not in rows:
                marks = _marks(told) if told else ()
                row = rows[key] = Row(forget_at, spent, held, marks)
                loaded.append((key, row, spent, held, forget_at, marks))

    def row(self, line: Line) -> Row:
        """Return a line's own row, which is made if there is none."""
        row = self.rows.get((line.budget, line.scope, line.start)) or self.new_row(line)
        row.keep_for(line)
        return row

    def new_row(self, line: Line) -> Row:
        """Make a line's row."""
        key = (line.budget, line.scope, line.start)
        row = self.rows[key] = Row(line.forget_at)
        self._new.append((key, row))
        return row

    def write(self) -> None:
        """Write what changed."""
        updates = []
        for key, row, spent, held, forget_at, marks in self._loaded:
            if row.forget_at != forget_at or row.told != marks:
                self._connection.execute(_UPDATE_ALL, (row.spent, row.held, row.forget_at, _told(row), *key))
            elif row.spent != spent or row.held != held:
                updates.append((row.spent, row.held, *key))
        if updates:
            self._connection.executemany(_UPDATE, updates)
        for key, row in self._new:
            self._connection.execute(_INSERT, (*key, row.spent, row.held, row.forget_at, _told(row)))


@cache
def _select(spans: int) -> str:
    """Return the statement for so many spans, which says of each row where its span begins among the values."""
    return " UNION ALL ".join([_SELECT.format(at=number * _SPAN) for number in range(spans)])


def _marks(told: str) -> _Marks:
    return tuple((limit, threshold) for limit, threshold in json.loads(told))


def _told(row: Row) -> str | None:
    return json.dumps(row.told) if row.told else None
