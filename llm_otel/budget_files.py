"""Budgets in TOML files: `[[budgets]]` tables with the fields of `Budget`, read again when a file changes."""

from __future__ import annotations

import logging
import re
import threading
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_otel.budgets.budget import Budget, check_budgets
from llm_otel.budgets.matching import BudgetSet
from llm_otel.errors import HIDDEN, ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llm_otel.clock import Clock

TABLE = "budgets"
CHECK_S = 1.0
"""How often a file is looked at, in seconds: a limit that was changed is in force that soon."""

_HEADER = re.compile(rf"\s*\[\[\s*{TABLE}\s*\]\]")
_FIELDS = tuple(field.name for field in fields(Budget) if field.init)
_logger = logging.getLogger("llm_otel")


def read_budgets(path: Path) -> tuple[Budget, ...]:
    """Return the budgets of a TOML file.

    Raises:
        ConfigurationError: It cannot be read, or a budget in it cannot be used: it names file, line and field.
    """
    text, tables = _tables(path)
    ids: set[str] = set()
    budgets: list[Budget] = []
    for index, table in enumerate(tables):
        budget = _budget(table, index, text, path)
        if budget.id in ids:
            raise _located("id", budget.id, "every budget has an id of its own", index, text, path)
        ids.add(budget.id)
        budgets.append(budget)
    return tuple(budgets)


class BudgetFiles:
    """Budgets from code and from files, as they are now. Thread-safe.

    A file that cannot be read any more, or that holds an error, changes nothing: what it said last stays in force, and
    the error is logged once.
    """

    def __init__(
        self, declared: Iterable[Budget], paths: Iterable[Path], *, check: Callable[[Budget], None], clock: Clock
    ) -> None:
        """Read the files.

        Args:
            declared: The budgets from code.
            paths: The files.
            check: Raises `ConfigurationError` for a budget that the ledger cannot keep.
            clock: For the time between two looks.

        Raises:
            ConfigurationError: A file or a budget cannot be used, or two have the same id.
        """
        self._declared = check_budgets(declared)
        self._paths = tuple(paths)
        self._check = check
        self._clock = clock
        self._lock = threading.Lock()
        self._stamps = self._looked_at()
        self._budgets = self._read()
        self._look_again_s = clock.monotonic() + CHECK_S

    def current(self) -> BudgetSet:
        """Return the budgets in force."""
        # One caller looks; the others go on with what is in force.
        if self._paths and self._clock.monotonic() >= self._look_again_s and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._budgets

    def _look(self) -> None:
        self._look_again_s = self._clock.monotonic() + CHECK_S
        stamps = self._looked_at()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            self._budgets = self._read()
        except ConfigurationError as exc:
            _logger.warning("llm_otel.budgets_kept: the change is not in force: %s", exc)
        else:
            _logger.info("llm_otel.budgets_reread files=%s", ", ".join(map(str, self._paths)))

    def _read(self) -> BudgetSet:
        budgets = BudgetSet([*self._declared, *(budget for path in self._paths for budget in read_budgets(path))])
        for each in budgets.budgets:
            self._check(each)
        return budgets

    def _looked_at(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_stamp(path) for path in self._paths)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _tables(path: Path) -> tuple[str, list[Mapping[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text)
    except OSError as exc:
        raise ConfigurationError("budgets_file", str(path), f"a TOML file that can be read ({exc.strerror})") from exc
    # No TOML, no text, no path at all, or tables within tables without end.
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError("budgets_file", str(path), f"TOML that can be read: {exc}") from exc
    if TABLE not in found:
        # A slip of the pen, or a file that is just being written: neither takes limits away.
        raise ConfigurationError("budgets_file", str(path), f"a file with [[{TABLE}]]; {TABLE} = [] is one without any")
    tables = found[TABLE]
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise ConfigurationError(f"{path}: {TABLE}", tables, f"tables, each under [[{TABLE}]]")
    return text, tables


def _budget(table: Mapping[str, Any], index: int, text: str, path: Path) -> Budget:
    unknown = next((name for name in table if name not in _FIELDS), None)
    if unknown is not None:
        # Its value is not shown: a setting that slipped below a [[budgets]] header may be a ledger with its password.
        hint = did_you_mean(unknown, _FIELDS)
        allowed = f"no field of a budget; {hint}it has {', '.join(_FIELDS)}; settings stand above the first [[{TABLE}]]"
        raise _located(unknown, HIDDEN, allowed, index, text, path)
    for name in ("id", "limit_usd", "window"):
        if name not in table:
            raise _located(name, None, "every budget has one", index, text, path)
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}
    try:
        return Budget(**given)
    except ConfigurationError as exc:
        raise _located(exc.field.rpartition(".")[2], exc.value, exc.allowed, index, text, path) from exc


def _located(name: str, value: object, allowed: str, index: int, text: str, path: Path) -> ConfigurationError:
    """Return the error for a field of the budget at `index`, with its line."""
    return ConfigurationError(f"{path}:{_line(text, index, name)}: {name}", value, allowed)


def _line(text: str, index: int, name: str) -> int:
    """Return the number of the line where a table sets a field; that of its header where it does not."""
    seen, header, is_inside = -1, 1, False
    field = re.escape(name)
    assignment = re.compile(rf"\s*\"?{field}\"?\s*[.=]|\s*\[\s*{TABLE}\s*\.\s*{field}\s*\]")
    for number, line in enumerate(text.splitlines(), start=1):
        if _HEADER.match(line):
            seen += 1
            is_inside = seen == index
            header = number if is_inside else header
        elif is_inside and assignment.match(line):
            return number
        elif line.lstrip().startswith("["):
            is_inside = False
    return header
