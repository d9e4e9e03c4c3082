"""Any sequence of operations, on every store, against one model in plain dicts.

The model keeps no sums: what stands in a row is counted anew from all holds, each time it is asked (invariant 3).
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from llm_otel.budgets.ledger import (
    Balance,
    Ended,
    Granted,
    Hold,
    Line,
    Moved,
    Refused,
    RowQuery,
    SettledAs,
    Settlement,
)
from tests.stores.kinds import STORES, Harness
from tests.stores.lines import START_MS, told

MINUTE_MS = 60_000

amounts = st.sampled_from([0, 1, 7, 20, 33, 60, 101])
limits = st.sampled_from([40, 100, 250])


@dataclass
class Kept:
    """What the model knows of an id."""

    amount: int
    floor: int
    until_ms: int
    rows: list[tuple[str, str, int]]
    state: str
    spent: int = 0

    @property
    def held(self) -> int:
        return self.amount if self.state == "held" else 0


class Model:
    """A ledger that is as simple as it can be said."""

    def __init__(self) -> None:
        self.holds: dict[str, Kept] = {}
        self.marks: set[tuple[tuple[str, str, int], int, int]] = set()
        self.overrun = 0

    def spent(self, line: Line) -> int:
        return sum(
            kept.spent for kept in self.holds.values() for start in line.starts if _key(line, start) in kept.rows
        )

    def held(self, line: Line) -> int:
        return sum(kept.held for kept in self.holds.values() for start in line.starts if _key(line, start) in kept.rows)

    def reserve(self, hold: Hold, now_ms: int):
        self.expire(now_ms)
        known = self.holds.get(hold.id)
        if known:
            return Granted() if known.state == "held" else Ended()
        if any(line.end is not None and not line.start <= now_ms / 1000 < line.end for line in hold.lines):
            return Moved(now_ms)
        balances = tuple(Balance(self.spent(line), self.held(line)) for line in hold.lines)
        crossings = self.cross(hold.lines)
        for line, there in zip(hold.lines, balances, strict=True):
            if line.is_hard and there.spent + there.held + hold.amount > line.limit:
                return Refused(balances, now_ms), crossings
        rows = [_key(line, line.start) for line in hold.lines]
        self.holds[hold.id] = Kept(hold.amount, hold.floor, now_ms + hold.lease_ms, rows, "held")
        return Granted(), crossings

    def settle(self, settlement: Settlement):
        known, actual = self.holds.get(settlement.id), settlement.actual
        if known and known.state == "settled":
            return (SettledAs.REPEATED if known.spent == actual else SettledAs.CONFLICT), []
        if known is None:
            found, rows = SettledAs.UNKNOWN, [_key(line, line.start) for line in settlement.lines]
            known = self.holds[settlement.id] = Kept(0, 0, 0, rows, "settled")
        else:
            found = SettledAs(known.state)
        self.overrun += max(0, actual - known.amount)
        known.state, known.spent = "settled", actual
        return found, self.cross(settlement.lines)

    def expire(self, now_ms: int) -> int:
        due = [kept for kept in self.holds.values() if kept.state == "held" and kept.until_ms <= now_ms]
        for kept in due:
            kept.state, kept.spent = "expired", kept.floor
        return len(due)

    def cross(self, lines: tuple[Line, ...]):
        crossings = []
        for line in lines:
            for threshold in line.thresholds:
                seen = any((_key(line, start), line.limit, threshold) in self.marks for start in line.starts)
                if self.spent(line) >= threshold and not seen:
                    self.marks.add((_key(line, line.start), line.limit, threshold))
                    crossings.append((line.budget, threshold, self.spent(line)))
        return crossings


def _key(line: Line, start: int) -> tuple[str, str, int]:
    return line.budget, line.scope, start


class LedgerMachine(RuleBasedStateMachine):
    """A company, two teams, a soft budget and a rolling window; windows of five minutes."""

    kind = ""

    @initialize()
    def open(self):
        self.closing = ExitStack()
        directory = Path(self.closing.enter_context(tempfile.TemporaryDirectory()))
        self.ledger = Harness(self.kind, directory, self.closing)
        self.model = Model()
        self.limits = {"company": 250, "team": 100, "watch": 20, "rolling": 100}
        self.most = dict(self.limits)
        self.made: dict[str, Hold] = {}
        self.lines_seen: set[Line] = set()

    def teardown(self):
        if hasattr(self, "closing"):
            self.closing.close()

    def lines(self, team: str) -> tuple[Line, ...]:
        now_s = self.ledger.now_ms // 1000
        day, minute = now_s - now_s % 300, now_s - now_s % 60

        def line(budget: str, start: int, width: int, starts: tuple[int, ...], scope: str = "") -> Line:
            limit = self.limits[budget]
            thresholds = (limit // 2, limit)
            is_hard, forget_at = budget != "watch", start + 86_400
            return Line(budget, scope, start, start + width, starts, limit, is_hard, thresholds, forget_at)

        return (
            line("company", day, 300, (day,)),
            line("team", day, 300, (day,), team),
            line("watch", day, 300, (day,)),
            line("rolling", minute, 60, (minute - 120, minute - 60, minute)),
        )

    def compare(self, expected, decision):
        expected, crossings = expected if isinstance(expected, tuple) else (expected, [])
        assert told(getattr(decision, "crossings", ())) == crossings
        if isinstance(decision, Refused):
            decision = Refused(decision.balances, decision.now_ms)
        assert expected == (Granted() if isinstance(decision, Granted) else decision)

    @rule(
        team=st.sampled_from("xy"),
        amount=amounts,
        floor=st.integers(0, 9),
        lease_ms=st.sampled_from([1, 50_000, 500_000]),
        which=st.integers(1, 15),
    )
    def reserve(self, team, amount, floor, lease_ms, which):
        """A new id, on some of the lines."""
        lines = tuple(line for bit, line in enumerate(self.lines(team)) if which >> bit & 1)
        self.lines_seen.update(lines)
        hold = Hold(f"h{len(self.made)}", amount, min(floor, amount), lease_ms, lines)
        self.made[hold.id] = hold
        self.compare(self.model.reserve(hold, self.ledger.now_ms), self.ledger.store.reserve(hold))

    @rule(data=st.data())
    def reserve_again(self, data):
        """An id that was asked for before: held, refused, moved or ended."""
        if self.made:
            hold = self.made[data.draw(st.sampled_from(sorted(self.made)))]
            self.compare(self.model.reserve(hold, self.ledger.now_ms), self.ledger.store.reserve(hold))

    @rule(data=st.data(), actual=amounts)
    def settle(self, data, actual):
        """Whatever became of it: held, expired, refused, settled."""
        if self.made:
            hold = self.made[data.draw(st.sampled_from(sorted(self.made)))]
            settlement = Settlement(hold.id, actual, hold.lines)
            expected, crossings = self.model.settle(settlement)
            settled = self.ledger.store.settle(settlement)
            assert (expected, crossings) == (settled.found, told(settled.crossings))

    @rule(team=st.sampled_from("xy"), actual=amounts)
    def settle_unknown(self, team, actual):
        """An id that the store never saw."""
        hold = Hold(f"h{len(self.made)}", 0, 0, 1, self.lines(team))
        self.made[hold.id] = hold
        self.lines_seen.update(hold.lines)
        expected, crossings = self.model.settle(Settlement(hold.id, actual, hold.lines))
        settled = self.ledger.store.settle(Settlement(hold.id, actual, hold.lines))
        assert (expected, crossings) == (settled.found, told(settled.crossings))

    @rule(data=st.data(), lease_ms=st.sampled_from([1, 90_000]))
    def extend(self, data, lease_ms):
        """Held or not."""
        if self.made:
            hold_id = data.draw(st.sampled_from(sorted(self.made)))
            known = self.model.holds.get(hold_id)
            is_held = known is not None and known.state == "held"
            if is_held:
                known.until_ms = self.ledger.now_ms + lease_ms
            assert is_held == self.ledger.store.extend(hold_id, lease_ms)

    @rule(ms=st.sampled_from([1, 999, MINUTE_MS, 3 * MINUTE_MS, 7 * MINUTE_MS]))
    def advance(self, ms):
        """Leases run out, windows end."""
        self.ledger.advance(ms)

    @rule()
    def sweep(self):
        """All that is due."""
        assert self.model.expire(self.ledger.now_ms) == self.ledger.store.sweep(1000)

    @rule(budget=st.sampled_from(["company", "team", "watch", "rolling"]), limit=limits)
    def change_limit(self, budget, limit):
        """By configuration."""
        self.limits[budget] = limit
        self.most[budget] = max(self.most[budget], limit)

    @invariant()
    def rows_are_the_sums_of_holds(self):
        """3, 4, 9, 10: every row, each time; none below zero."""
        if not hasattr(self, "model"):
            return
        for line in self.lines_seen:
            own = RowQuery(line.budget, (line.start,))
            states = {state.scope: state for state in self.ledger.store.snapshot([own])}
            row = Line(line.budget, line.scope, line.start, None, (line.start,), 0)
            expected = (self.model.spent(row), self.model.held(row))
            found = states.get(line.scope)
            assert expected == ((found.spent, found.held) if found else (0, 0))
            assert min(expected) >= 0

    @invariant()
    def balances_are_the_sums_of_rows(self):
        """3: Of all lines at once, each over the rows of its window."""
        if not hasattr(self, "model"):
            return
        lines = sorted(self.lines_seen, key=lambda line: (line.budget, line.scope, line.start, line.limit))
        expected = [Balance(self.model.spent(line), self.model.held(line)) for line in lines]
        assert expected == self.ledger.store.balances(lines)

    @invariant()
    def the_promise_holds(self):
        """5: spent + held <= the largest limit in force + what was billed beyond its hold."""
        if not hasattr(self, "model"):
            return
        for line in self.lines_seen:
            if line.is_hard and line.budget != "rolling":
                there = self.model.spent(line) + self.model.held(line)
                assert there <= self.most[line.budget] + self.model.overrun


@pytest.mark.parametrize("kind", sorted(STORES))
def test_any_sequence_of_operations_gives_what_the_model_gives(kind):
    """1 to 11: same answers, same rows, same alerts."""
    machine = type(f"{kind.title()}Machine", (LedgerMachine,), {"kind": kind})
    examples = 80 if kind == "memory" else 25

    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=30))


def test_the_machine_starts_where_the_ledger_does():
    """Its windows tile from the start of the harness: five minutes and whole minutes."""
    assert 0 == START_MS % (5 * MINUTE_MS)
