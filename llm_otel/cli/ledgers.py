"""The ledger and the budgets that a command speaks for: those of the configuration, as services read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_otel.budgets.ledger import StoreUnavailableError
from llm_otel.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_otel.budget_files import BudgetFiles
    from llm_otel.budgets.budget import Budget
    from llm_otel.budgets.ledger import Store
    from llm_otel.budgets.reports import BudgetStatus
    from llm_otel.config import Settings
    from llm_otel.drawing.budgets import BudgetStandings

UNREACHABLE = 1
"""The exit code where the ledger cannot be reached."""

LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        help="Where it is: sqlite:///spend.db, redis://host:6379/0. By default LLM_OTEL_LEDGER says.",
        show_default=False,
    ),
]
BudgetsFileOption = Annotated[
    Path | None,
    typer.Option(
        "--budgets-file",
        help="A TOML file with [[budgets]]. By default LLM_OTEL_BUDGETS_FILE names it.",
        show_default=False,
    ),
]
ConfigFileOption = Annotated[
    Path | None,
    typer.Option(
        "--config-file",
        help="A TOML file with settings, and maybe [[budgets]]. By default LLM_OTEL_CONFIG_FILE names it.",
        show_default=False,
    ),
]

HOW_TO_DECLARE = (
    "no budgets are configured: put [[budgets]] with id, limit_usd and window into a TOML file that "
    "LLM_OTEL_BUDGETS_FILE or --budgets-file names (those in a service's code are known to that service alone)"
)

_MEMORY_SAYS = (
    "such a ledger lives in the process that spends, where llm_otel.tracker().get_budget_status() and its /metrics "
    "tell of it; what other processes can see is 'sqlite:///spend.db' (one machine) or 'redis://host:6379/0' (a "
    "fleet), with LLM_OTEL_LEDGER, --ledger or a configuration file"
)


@dataclass(frozen=True, slots=True)
class SharedLedger:
    """A ledger that other processes write. It is read only."""

    store: Store
    settings: Settings
    files: BudgetFiles

    def statuses(self) -> list[BudgetStatus]:
        """Return how the budgets that are in force now stand.

        Raises:
            StoreUnavailableError: The ledger cannot be reached.
        """
        return self._survey()[2]

    def standings(self) -> tuple[int, tuple[BudgetStandings, ...]]:
        """Return the ledger's time, in seconds since the epoch, and how the budgets stand then.

        Raises:
            StoreUnavailableError: The ledger cannot be reached.
        """
        from llm_otel.drawing.budgets import standings_of

        now_s, budgets, statuses = self._survey()
        return now_s, standings_of(budgets, statuses, now_s=now_s)

    def _survey(self) -> tuple[int, tuple[Budget, ...], list[BudgetStatus]]:
        from llm_otel.budgets.reports import survey

        budgets = self.files.current().budgets
        # The ledger's own time decides what window it is.
        now_s = self.store.now_ms() // 1000
        return now_s, budgets, survey(self.store, budgets, now_s=now_s)


@contextmanager
def shared_ledger(ledger: str | None, budgets_file: Path | None, config_file: Path | None) -> Iterator[SharedLedger]:
    """Open the ledger that the configuration names, for the length of the block.

    The program ends with `UNREACHABLE` where it turns out that it cannot be reached, in the block too.

    Raises:
        ConfigurationError: A setting or a budget cannot be used, or no other process could see the ledger.
    """
    from llm_otel.budget_files import BudgetFiles
    from llm_otel.clock import SystemClock
    from llm_otel.config import budget_paths, load_settings

    settings = load_settings({"ledger": ledger, "budgets_file": budgets_file}, config_file)
    clock = SystemClock()
    # What a store cannot keep is refused where money is spent; here it is shown.
    files = BudgetFiles((), budget_paths(settings, config_file), check=lambda _: None, clock=clock)
    try:
        store = _open(settings.ledger, clock_ms=lambda: clock.now_ns() // 1_000_000)
        try:
            yield SharedLedger(store, settings, files)
        finally:
            store.close()
    except StoreUnavailableError as exc:
        typer.echo(f"llm-otel: the ledger cannot be reached: {exc}", err=True)
        raise typer.Exit(UNREACHABLE) from exc


def _open(url: str, *, clock_ms: Callable[[], int]) -> Store:
    from llm_otel.stores.opening import MEMORY, SQLITE, open_store

    if url == MEMORY:
        raise ConfigurationError("ledger", url, _MEMORY_SAYS)
    path = url.removeprefix(SQLITE)
    if path not in ("", url) and not Path(path).exists():
        # Opening it would make one: a slip of the pen would look like a budget that nobody has touched.
        raise StoreUnavailableError(f"there is no file {path!r}; the first service that spends makes it")
    return open_store(url, clock_ms=clock_ms)
