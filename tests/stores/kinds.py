"""The kinds of store that keep the contract, and what a test needs of each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from llm_otel.budgets.ledger import Hold, Line, Settlement, Store
from llm_otel.stores.memory import MemoryStore
from llm_otel.stores.redis import RedisStore
from llm_otel.stores.sqlite import SQLiteStore
from tests.stores.lines import START_MS, standing
from tests.stores.redis_server import namespace_of, shared_url

Open = Callable[[Path, Callable[[], int]], Store]
"""Opens the ledger of a directory, which goes by the given time; the same directory twice is one ledger."""

STORES: dict[str, Open] = {
    "memory": lambda _, clock_ms: MemoryStore(clock_ms),
    "sqlite": lambda directory, clock_ms: SQLiteStore(directory / "ledger.db", clock_ms),
    "redis": lambda directory, clock_ms: RedisStore(
        shared_url(), namespace=namespace_of(directory), now_ms=clock_ms, timeout_s=20
    ),
}


class Harness:
    """A new ledger, and its time, which stands still until the test moves it.

    Args:
        kind: A key of `STORES`.
        directory: An empty one.
        closing: What closes the stores in the end.
    """

    def __init__(self, kind: str, directory: Path, closing: ExitStack) -> None:
        self.kind = kind
        self.now_ms = START_MS
        self._directory = directory
        self._closing = closing
        self.store = self.another()

    def another(self) -> Store:
        """Open the ledger once more, as another process would."""
        store = STORES[self.kind](self._directory, lambda: self.now_ms)
        self._closing.callback(store.close)
        return store

    def advance(self, ms: int) -> None:
        """Move the time."""
        self.now_ms += ms

    def reserve(self, hold_id: str, amount: int, *lines: Line, floor: int = 0, lease_ms: int = 60_000):
        """Hold an amount."""
        return self.store.reserve(Hold(hold_id, amount, floor, lease_ms, lines))

    def settle(self, hold_id: str, actual: int, *lines: Line):
        """Settle."""
        return self.store.settle(Settlement(hold_id, actual, lines))

    def standing(self, *lines: Line) -> tuple[tuple[int, int], ...]:
        """Return what is spent and held in the rows that count for each line."""
        return tuple(standing(self.store, line) for line in lines)
