"""Whether the ledger answers, keeps what the budgets need, and owes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from llm_otel.budgets.ledger import StoreUnavailableError
from llm_otel.cli.checks.finding import Finding, State
from llm_otel.clock import Clock
from llm_otel.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_otel.budgets.budget import Budget
    from llm_otel.budgets.ledger import Store
    from llm_otel.config import Settings

_BUDGETS = "budgets"
_LEDGER = "ledger"
_JOURNAL = "journal"
MAX_CLOCK_SKEW_MS = 2_000
"""Windows and leases go by the ledger's clock; beyond this, times in logs and dashboards mislead."""


def look_at_budgets(budgets: tuple[Budget, ...], store: Store | None) -> Finding:
    """Tell what budgets are declared, and whether a store keeps them, for more than one process.

    Args:
        budgets: Those of the files.
        store: `None` where it is not made yet.
    """
    if not budgets:
        return Finding(
            State.NOTE,
            _BUDGETS,
            "none in a file (those in a service's code are known to that service alone)",
            "put [[budgets]] into a TOML file that LLM_OTEL_BUDGETS_FILE names",
        )
    from llm_otel.assembly import check_kept

    hard = sum(each.is_hard for each in budgets)
    said = f"{len(budgets)} in force, {hard} of them hard: {', '.join(each.id for each in budgets)}"
    try:
        if store is not None:
            for each in budgets:
                check_kept(each, store)
    except ConfigurationError as exc:
        return Finding(State.FAILED, _BUDGETS, str(exc), "mend it: a service with it does not start")
    if store is not None and not store.is_shared:
        return Finding(
            State.WARNING,
            _BUDGETS,
            f"{said}; memory:// holds each process to them alone",
            "share a ledger: LLM_OTEL_LEDGER=sqlite:///spend.db on one machine, redis://host:6379/0 for a fleet",
        )
    return Finding(State.OK, _BUDGETS, said)


def look_at_ledger(settings: Settings, budgets: tuple[Budget, ...], clock: Clock) -> Iterator[Finding]:
    """Open the ledger and ask it how every budget stands. Nothing is written."""
    from llm_otel.stores.opening import SQLITE, open_store

    path = Path(settings.ledger.removeprefix(SQLITE))
    if settings.ledger.startswith(SQLITE) and not path.exists():
        yield look_at_budgets(budgets, None)
        yield _look_at_directory(path)
        return
    try:
        store = open_store(settings.ledger, clock_ms=lambda: clock.now_ns() // 1_000_000)
    except (ConfigurationError, StoreUnavailableError) as exc:
        yield Finding(
            State.FAILED, _LEDGER, str(exc), "docs/budgets.md, Which ledger, has the addresses and what they need"
        )
        return
    try:
        yield look_at_budgets(budgets, store)
        yield _asked(store, budgets, clock)
        yield look_at_journal(settings.journal)
    finally:
        store.close()


def _look_at_directory(path: Path) -> Finding:
    """Judge where a ledger will be: looking must not make one, which would pass for a budget nobody has touched."""
    if os.access(path.absolute().parent, os.W_OK):
        return Finding(State.NOTE, _LEDGER, f"no file {str(path)!r} yet; the first service that spends makes it")
    said = f"no file {str(path)!r}, and no way to make one in {str(path.absolute().parent)!r}"
    return Finding(State.FAILED, _LEDGER, said, "make the directory, and let the service's user write to it")


def _asked(store: Store, budgets: tuple[Budget, ...], clock: Clock) -> Finding:
    from llm_otel.budgets.reports import survey

    started_s = clock.monotonic()
    try:
        now_ms = store.now_ms()
        skew_ms = abs(clock.now_ns() // 1_000_000 - now_ms)
        survey(store, budgets, now_s=now_ms // 1000)
    except (ConfigurationError, StoreUnavailableError) as exc:
        return Finding(
            State.FAILED,
            _LEDGER,
            str(exc),
            "until it answers, hard budgets deny and soft ones let pass; settled calls wait in the journal",
        )
    took_ms = (clock.monotonic() - started_s) * 1000
    if skew_ms > MAX_CLOCK_SKEW_MS:
        said = f"{store.name} answers, and its clock is {skew_ms / 1000:.1f} s off this machine's"
        return Finding(State.WARNING, _LEDGER, said, "windows go by the ledger's clock: see to NTP on both")
    return Finding(State.OK, _LEDGER, f"{store.name} answered in {took_ms:.0f} ms")


def look_at_journal(directory: Path | None) -> Finding:
    """Look for bills that the ledger has not taken."""
    from llm_otel.enforcement.journal import default_directory, waiting

    where = directory or default_directory()
    count = waiting(where)
    if count:
        return Finding(
            State.WARNING,
            _JOURNAL,
            f"{count} settle{'' if count == 1 else 's'} in {where} that no ledger has taken yet",
            "start a service with the ledger that they belong to: it takes them over",
        )
    return Finding(State.OK, _JOURNAL, f"nothing waits in {where}")
