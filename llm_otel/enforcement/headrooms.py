"""How close models are to their budgets, for whoever chooses among them: one look at the ledger, kept for a second."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

from llm_otel.enforcement.gate import Unreachable
from llm_otel.enforcement.steps import Look
from llm_otel.routing.headroom import NO_BUDGET, Headroom

if TYPE_CHECKING:
    from llm_otel.budgets.ledger import Balance, Line
    from llm_otel.budgets.rows import RowKey
    from llm_otel.enforcement.gate import Gate
    from llm_otel.steps import Step

Model = tuple[str, str]
"""Provider (`gen_ai.provider.name`) and name, without prefix."""

KEPT_S = 1.0
"""How long a reading of a store that takes a while is good for: a choice is no hold, and may be a bit behind."""
MAX_KEPT = 10_000
"""Readings kept; a split by user may have more lines than that, and starts over."""


class _Reading:
    """A balance, when it was asked for, and until when it is gone by, in monotonic seconds."""

    __slots__ = ("balance", "good_until_s", "read_s")

    def __init__(self, balance: Balance, read_s: float) -> None:
        self.balance = balance
        self.read_s = read_s
        self.good_until_s = read_s + KEPT_S

    def is_due(self, now_s: float) -> bool:
        """Tell whether to look again. Only the first who asks then is sent; others go on with it for a while."""
        if now_s < self.good_until_s:
            return False
        self.good_until_s = min(now_s, self.read_s + KEPT_S) + KEPT_S
        return True


class Readings:
    """Balances as they stood a moment ago. Thread-safe, and without a lock: at worst a line is read twice."""

    __slots__ = ("_gate", "_kept", "_monotonic")

    def __init__(self, gate: Gate, monotonic: Callable[[], float]) -> None:
        self._gate = gate
        self._monotonic = monotonic
        self._kept: dict[RowKey, _Reading] = {}

    def headrooms(self, concerned: Mapping[Model, tuple[Line, ...]]) -> Generator[Step, Any, dict[Model, Headroom]]:
        """Return the headroom of each model, given the lines that a call to it concerns: at most one step."""
        # Most are the same for all models, and mostly the same object: much quicker told apart than by their values.
        lines = {id(line): line for each in concerned.values() for line in each}
        balances = yield from self._look(tuple(lines.values()))
        rooms = {id(line): _headroom(line, balance) for line, balance in balances}
        return {model: _fullest(each, rooms) for model, each in concerned.items()}

    def _look(self, lines: tuple[Line, ...]) -> Generator[Step, Any, list[tuple[Line, Balance]]]:
        """Return how lines stand; those that the ledger does not tell of are left out."""
        if self._gate.store.is_instant:
            answer = self._gate.balances(lines)
            return [] if isinstance(answer, Unreachable) else list(zip(lines, answer, strict=True))
        now_s = self._monotonic()
        found: list[tuple[Line, Balance]] = []
        due: list[Line] = []
        for line in lines:
            reading = self._kept.get(_key(line))
            if reading is None or reading.is_due(now_s):
                due.append(line)
            else:
                found.append((line, reading.balance))
        if due:
            answer = yield Look(self._gate, tuple(due))
            self._keep(due, answer, now_s)
            if not isinstance(answer, Unreachable):
                found += zip(due, answer, strict=True)
        return found

    def _keep(self, due: list[Line], answer: list[Balance] | Unreachable, now_s: float) -> None:
        if isinstance(answer, Unreachable):
            # Nor do others go by what stood there before the ledger went out.
            for line in due:
                self._kept.pop(_key(line), None)
            return
        if len(self._kept) + len(due) > MAX_KEPT:
            self._kept.clear()
        for line, balance in zip(due, answer, strict=True):
            self._kept[_key(line)] = _Reading(balance, now_s)


def _key(line: Line) -> RowKey:
    return line.budget, line.scope, line.start


def _headroom(line: Line, balance: Balance) -> Headroom:
    """Return how full a line is; a limit of 0 is used up."""
    ratio = (balance.spent + balance.held) / line.limit if line.limit else 1.0
    return Headroom(ratio, line.budget, line.scope)


def _fullest(lines: tuple[Line, ...], rooms: Mapping[int, Headroom]) -> Headroom:
    """Return the fullest of what is known; of two that are equally full, the one that was declared first."""
    fullest, most = NO_BUDGET, -1.0
    for line in lines:
        room = rooms.get(id(line))
        if room is not None and room.ratio is not None and room.ratio > most:
            fullest, most = room, room.ratio
    return fullest
