"""What `test_sqlite.py` runs in processes of their own: `python -m tests.stores.sqlite_processes JOB FILE ...`."""

from __future__ import annotations

import os
import sys
import threading

from llm_otel.budgets.ledger import Granted, Hold, Settlement
from llm_otel.stores.sqlite import SQLiteStore
from tests.stores.lines import START_MS, line

LINES = (line("company", 10**9), line("team", 1000))


def say(text: str) -> None:
    """Write a line that has arrived when this returns, whatever becomes of the process."""
    os.write(1, f"{text}\n".encode())


def race(path: str, name: str) -> None:
    """Wait for the start, then reserve 60 times and settle every third; say what was granted and spent."""
    store = SQLiteStore(path, lambda: START_MS)
    say("ready")
    sys.stdin.readline()
    granted = spent = 0
    for number in range(60):
        hold = Hold(f"{name}:{number}", 10, 1, 60_000, LINES)
        if store.reserve(hold) == Granted():
            granted += 1
            if number % 3 == 0:
                store.settle(Settlement(hold.id, 10, LINES))
                spent += 10
    say(f"{granted} {spent}")


def hold(path: str) -> None:
    """Hold 30, say so, and wait to be killed."""
    SQLiteStore(path, lambda: START_MS).reserve(Hold("held", 30, 4, 60_000, LINES))
    say("held")
    threading.Event().wait()


def spend(path: str, name: str) -> None:
    """Hold 5 and settle 3 for ever, and say what was answered."""
    store = SQLiteStore(path, lambda: START_MS)
    for number in range(10**9):
        store.reserve(Hold(f"{name}:{number}", 5, 1, 60_000, (LINES[0], line("soft", 0, is_hard=False))))
        say("held")
        store.settle(Settlement(f"{name}:{number}", 3, LINES))
        say("settled")


if __name__ == "__main__":
    {"race": race, "hold": hold, "spend": spend}[sys.argv[1]](*sys.argv[2:])
