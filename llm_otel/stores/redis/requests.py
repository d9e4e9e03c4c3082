"""What the scripts are sent, and what their answers mean. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

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
    RowQuery,
    RowState,
    Settled,
    SettledAs,
    Settlement,
)
from llm_otel.stores.redis import scripts

if TYPE_CHECKING:
    from llm_otel.stores.redis.scripts import Script

PAGE = 1_000
"""How many rows one script reads for a snapshot: 1 ms of a server that does nothing else meanwhile."""

_GRANTED, _ENDED = Granted(), Ended()


class Sendable(Protocol):
    """What goes to the server in one exchange."""

    @property
    def by_digest(self) -> bytes:
        """The command, as it goes out."""

    @property
    def by_source(self) -> bytes:
        """The command for a server that does not know the script yet."""


class Request(NamedTuple):
    """A script with all that it is sent."""

    script: Script
    keys: Sequence[bytes]
    arguments: Sequence[bytes | str | int]

    @property
    def by_digest(self) -> bytes:
        """The command that runs it where it is known, as it goes out."""
        return self._packed("EVALSHA", self.script.digest)

    @property
    def by_source(self) -> bytes:
        """The command that makes it known and runs it."""
        return self._packed("EVAL", self.script.source)

    def _packed(self, command: str, script: str) -> bytes:
        return packed((command, script, len(self.keys), *self.keys, *self.arguments))


def packed(parts: Sequence[bytes | str | int]) -> bytes:
    """Return a command in RESP, in one piece: redis-py's own packing takes several times as long."""
    encoded = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    return b"*%d\r\n" % len(encoded) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in encoded])


class Requests:
    """Writes requests for one ledger.

    All its keys have one hash tag, its namespace, so that they lie on one shard of a Redis Cluster.

    Args:
        namespace: Letters, digits and underscores.
    """

    def __init__(self, namespace: str) -> None:
        self._tag = b"{%b}:" % namespace.encode()
        self._layout = self._tag + b"layout"
        self._holds = self._tag + b"hold:"
        self._common = (self._layout, self._tag + b"clock", self._tag + b"leases")
        self._reserve = scripts.load("opening", "rows", "reserve")
        self._settle = scripts.load("opening", "rows", "settle")
        self._extend = scripts.load("opening", "rows", "extend")
        self._sweep = scripts.load("opening", "rows", "sweep")
        self._now = scripts.load("opening", "now")
        self._snapshot = scripts.load("snapshot")
        self._balances = scripts.load("balances")

    def now(self, time: int | str) -> Request:
        """Ask for the time. `time` is what tests set it to, here and below; empty for the server's own."""
        return Request(self._now, self._common, (time,))

    def reserve(self, hold: Hold, time: int | str) -> Request:
        """Ask for a hold."""
        keys, lines = self._lines(hold.lines)
        arguments = (hold.amount, hold.floor, hold.lease_ms, lines)
        return self._on_hold(self._reserve, hold.id, time, keys, arguments)

    def settle(self, settlement: Settlement, time: int | str) -> Request:
        """Ask for a settle."""
        keys, lines = self._lines(settlement.lines)
        return self._on_hold(self._settle, settlement.id, time, keys, (settlement.actual, lines))

    def extend(self, hold_id: str, lease_ms: int, time: int | str) -> Request:
        """Ask for a new lease."""
        return self._on_hold(self._extend, hold_id, time, (), (lease_ms,))

    def sweep(self, limit: int, time: int | str) -> Request:
        """Ask for holds to be expired."""
        return self._on_hold(self._sweep, "", time, (), (limit,))

    def snapshot(self, queries: Sequence[RowQuery], index: int, offset: int, time: int | str) -> Request:
        """Ask for a page of the rows, from a place that the page before has named; 1 and 0 at first."""
        wanted = [(query.budget, start) for query in queries for start in query.starts]
        indexes = (self._index(budget, start) for budget, start in wanted)
        rows = (self._row(budget, start, "") for budget, start in wanted)
        return Request(self._snapshot, (self._layout, *indexes), (time, PAGE, index, offset, *rows))

    def balances(self, lines: Sequence[Line]) -> Request:
        """Ask for what stands in the rows that count for lines."""
        rows = [self._row(line.budget, start, line.scope) for line in lines for start in line.starts]
        return Request(self._balances, (self._layout, *rows), [len(line.starts) for line in lines])

    def _on_hold(
        self,
        script: Script,
        hold_id: str,
        time: int | str,
        keys: Sequence[bytes],
        arguments: Sequence[bytes | str | int],
    ) -> Request:
        name = _bytes(hold_id)
        return Request(script, (*self._common, self._holds + name, *keys), (time, self._holds, name, *arguments))

    def _lines(self, lines: Sequence[Line]) -> tuple[list[bytes], str]:
        """Return the keys of lines, and what `read_lines` in rows.lua is told of them.

        Amounts are text, since Lua does not count that far. The scope is the end of the row's key.
        """
        keys: list[bytes] = []
        told: list[dict[str, Any]] = []
        for line in lines:
            keys.append(self._index(line.budget, line.start))
            keys.extend(self._row(line.budget, start, line.scope) for start in line.starts)
            one = {
                "scope_at": len(self._row(line.budget, line.start, "")) + 1,
                "start": line.start,
                "starts": len(line.starts),
                "limit": str(line.limit),
                "is_hard": line.is_hard,
                "thresholds": [str(threshold) for threshold in line.thresholds],
                "forget": "" if line.forget_at is None else str(line.forget_at),
            }
            if line.end is not None:
                one["over"] = line.end
            told.append(one)
        return keys, json.dumps(told, separators=(",", ":"))

    def _index(self, budget: str, start: int) -> bytes:
        return b"%bscopes:%d:%b" % (self._tag, start, _bytes(budget))

    def _row(self, budget: str, start: int, scope: str) -> bytes:
        """Return the key of a row. The length says where the budget's id ends, whatever is in it."""
        name = _bytes(budget)
        return b"%brow:%d:%d:%b:%b" % (self._tag, start, len(name), name, _bytes(scope))


def decision(hold: Hold, answer: list[Any]) -> Decision:
    """Read what became of a hold."""
    outcome = answer[0]
    if outcome == b"granted":
        return Granted(_crossings(hold.lines, answer[1:])) if len(answer) > 1 else _GRANTED
    if outcome == b"ended":
        return _ENDED
    now_ms = int(answer[1])
    if outcome == b"moved":
        return Moved(now_ms)
    end = 2 + 2 * len(hold.lines)
    amounts = map(_sum, answer[2:end])
    balances = tuple(Balance(spent, next(amounts)) for spent in amounts)
    return Refused(balances, now_ms, _crossings(hold.lines, answer[end:]))


def settled(settlement: Settlement, answer: list[Any]) -> Settled:
    """Read what a settle found."""
    return Settled(SettledAs(answer[0].decode()), _crossings(settlement.lines, answer[1:]))


def row_states(queries: Sequence[RowQuery], pages: Sequence[list[Any]]) -> list[RowState]:
    """Read the pages of a snapshot: the rows of a scope, added up."""
    numbers = [number for number, query in enumerate(queries) for _ in query.starts]
    # What is met twice, because rows came or went between two pages, counts once.
    rows = {(row[0], row[1]): (int(row[2]), int(row[3])) for page in pages for row in _by(4, page[2:])}
    sums: dict[tuple[int, bytes], tuple[int, int]] = {}
    for (index, scope), (spent, held) in rows.items():
        key = (numbers[index - 1], scope)
        before = sums.get(key, (0, 0))
        sums[key] = (before[0] + spent, before[1] + held)
    return [
        RowState(queries[number].budget, scope.decode("utf-8", "surrogatepass"), spent, held)
        for (number, scope), (spent, held) in sums.items()
    ]


def by_rows(lines: Sequence[Line]) -> Iterator[Sequence[Line]]:
    """Yield lines, as many at a time as one script reads: no more than `PAGE` rows, or one line."""
    first = rows = 0
    for number, line in enumerate(lines):
        if rows + len(line.starts) > PAGE and number > first:
            yield lines[first:number]
            first, rows = number, 0
        rows += len(line.starts)
    if lines:
        yield lines[first:]


def balances(answer: list[Any]) -> list[Balance]:
    """Read what stands in the rows of each line."""
    return [Balance(_sum(spent), _sum(held)) for spent, held in _by(2, answer)]


def _crossings(lines: Sequence[Line], answer: list[Any]) -> tuple[Crossing, ...]:
    found = []
    for number, index, spent in _by(3, answer):
        line = lines[number - 1]
        found.append(Crossing(line, line.thresholds[index - 1], _sum(spent)))
    return tuple(found)


def _by(size: int, values: list[Any]) -> Iterator[tuple[Any, ...]]:
    return zip(*[iter(values)] * size, strict=True)


def _sum(text: bytes) -> int:
    """Read an amount; one that Lua cannot add up comes as `a+b+c`."""
    return int(text) if b"+" not in text else sum(map(int, text.split(b"+")))


def _bytes(text: str) -> bytes:
    """Encode what a user has named: a tag may hold half a character, from an environment variable."""
    return text.encode("utf-8", "surrogatepass")
