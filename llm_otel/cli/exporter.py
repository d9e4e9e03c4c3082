"""`llm-otel exporter`: the budgets of a shared ledger for Prometheus, once for a whole fleet."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from llm_otel.cli.ledgers import (
    HOW_TO_DECLARE,
    BudgetsFileOption,
    ConfigFileOption,
    LedgerOption,
    SharedLedger,
    shared_ledger,
)

if TYPE_CHECKING:
    from llm_otel.budgets.reports import BudgetStatus
    from llm_otel.recorders.budgets import BudgetGauges

_PORT = 9465
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def exporter(  # each option of a command is an argument
    ledger: LedgerOption = None,
    budgets_file: BudgetsFileOption = None,
    config_file: ConfigFileOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to serve on.")] = _PORT,
    address: Annotated[str, typer.Option(help="The address to serve on.")] = "127.0.0.1",
) -> None:
    """Serve the budgets of a shared ledger to Prometheus.

    Until Ctrl-C or SIGTERM. One of these is for a whole fleet: /metrics has the limit, spend, holds and reset of every
    budget, asked of the ledger at each scrape. While it cannot be reached they are absent and llm_otel_ledger_up is 0.
    """
    from llm_otel.recorders.serving import Address, registry_of, served

    with shared_ledger(ledger, budgets_file, config_file) as found:
        where = Address(address, port)
        with _signals_blocked(), served(registry_of(_gauges(found)), where):
            typer.echo(f"Serving {where.url} from {found.store.name}; Ctrl-C ends it.", err=True)
            if not found.files.current():
                typer.echo(f"llm-otel: {HOW_TO_DECLARE}", err=True)
            signal.sigwait(_SIGNALS)
        typer.echo("Stopped.", err=True)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Keep the signals that end the program for `sigwait`; threads that are started in the block inherit that."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _gauges(found: SharedLedger) -> BudgetGauges:
    from llm_otel.recorders.budgets import BudgetGauges
    from llm_otel.recorders.label_sets import parse_tag_labels

    outage = _Outage()

    def statuses() -> list[BudgetStatus]:
        asked = found.statuses()
        outage.is_over(found.store.name)
        return asked

    gauges = BudgetGauges()
    gauges.statuses, gauges.on_error = statuses, outage.is_seen
    gauges.label_names = frozenset(tag.name for tag in parse_tag_labels(found.settings.tag_labels))
    return gauges


class _Outage:
    """Tells once that the ledger cannot be reached, and once that it can again."""

    def __init__(self) -> None:
        self._is_on = False

    def is_seen(self, error: Exception) -> None:
        if not self._is_on:
            self._is_on = True
            typer.echo(f"llm-otel: the ledger cannot be reached: {error}", err=True)

    def is_over(self, name: str) -> None:
        if self._is_on:
            self._is_on = False
            typer.echo(f"llm-otel: the ledger answers again: {name}", err=True)
