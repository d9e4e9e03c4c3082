"""What tests run in processes of their own: `python -m tests.enforcement.processes JOB ...`. No LiteLLM in here."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path

from llm_otel.budgets.ledger import Hold, Settled, Settlement
from llm_otel.clock import SystemClock
from llm_otel.enforcement import settler as settlers
from llm_otel.enforcement.journal import Journal
from llm_otel.enforcement.settler import Settler
from llm_otel.stores.sqlite import SQLiteStore
from tests.stores.lines import START_MS, line

LEDGER = "sqlite:///somewhere"
LINES = (line("company", 10**9), line("team", 10**6, thresholds=(10, 20), forget_at=None))


def settlement(number: int) -> Settlement:
    """The bill of a numbered request: so many nano-USD."""
    return Settlement(f"hold-{number}", number, LINES)


def say(text: str) -> None:
    """Write a line that has arrived when this returns, whatever becomes of the process."""
    os.write(1, f"{text}\n".encode())


def keep(directory: str) -> None:
    """Keep two settles, say so, and wait to be killed."""
    journal = Journal(LEDGER, Path(directory))
    journal.add(settlement(1))
    journal.add(settlement(2))
    say("kept")
    threading.Event().wait()


def fork_journal(directory: str) -> None:
    """Keep a settle, fork, and let the child keep one; say what each has, and what a third could take over."""
    journal = Journal(LEDGER, Path(directory))
    journal.add(settlement(1))
    if os.fork() == 0:
        journal.forget()
        say(f"child {len(journal)}")
        journal.add(settlement(2))
        journal.done(settlement(2))
        os._exit(0)
    os.wait()
    files = len(list(Path(directory).iterdir()))
    say(f"parent {len(journal)}, files {files}, adopted {Journal(LEDGER, Path(directory)).adopt()}")


def make_settler(store: SQLiteStore, directory: str) -> Settler:
    """A settler of a program that nobody watches."""

    def fail(where: str, error: Exception) -> None:
        raise error

    journal = Journal(LEDGER, Path(directory))
    return Settler(store, journal, SystemClock(), crossed=lambda _: None, reached=lambda: None, on_error=fail)


class SlowStore(SQLiteStore):
    """Takes its time for a settle, or for ever."""

    takes_s = 0.0

    def settle(self, settlement: Settlement) -> Settled:
        threading.Event().wait(self.takes_s)
        return super().settle(settlement)


def end(path: str, directory: str, takes_s: str, exit_s: str) -> None:
    """Hold and settle five requests from an event loop, wait for nothing, and end."""
    settlers.EXIT_S = float(exit_s)
    store = SlowStore(path, lambda: START_MS)
    store.takes_s = float(takes_s)
    settler = make_settler(store, directory)

    async def main() -> None:
        settler.ensure_worker()
        for number in range(1, 6):
            await store.areserve(Hold(f"hold-{number}", 10, 1, 60_000, LINES))
            settler.settle_soon(settlement(number))

    asyncio.run(main())


def fork_settler(path: str, directory: str) -> None:
    """Settle one before a fork, one in the child and one in the parent after it."""
    store = SQLiteStore(path, lambda: START_MS)
    settler = make_settler(store, directory)
    settler.ensure_worker()
    before = settler.settle_soon(settlement(1))
    assert before is not None
    before.result(30)
    child = os.fork()
    settler.ensure_worker()
    after = settler.settle_soon(settlement(2 if child else 3))
    assert after is not None
    after.result(30)
    if child == 0:
        os._exit(0)
    _, status = os.waitpid(child, 0)
    say(f"child {os.waitstatus_to_exitcode(status)}")


JOBS = {"keep": keep, "fork_journal": fork_journal, "end": end, "fork_settler": fork_settler}

if __name__ == "__main__":
    JOBS[sys.argv[1]](*sys.argv[2:])
