"""`llm-otel check`: whether a deployment is fit to run, a line for each part, with what to do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_otel.cli.checks.finding import Finding, State
from llm_otel.cli.ledgers import BudgetsFileOption, ConfigFileOption, LedgerOption
from llm_otel.cli.terminal import NoColor, open_console

if TYPE_CHECKING:
    from rich.console import Console

    from llm_otel.clock import Clock

_FAILED = 1
_STYLES = {State.OK: "green", State.NOTE: "dim", State.WARNING: "yellow", State.FAILED: "bold red"}
_ABOUT_COLUMNS = 9


def check(  # each option of a command is an argument
    ledger: LedgerOption = None,
    budgets_file: BudgetsFileOption = None,
    config_file: ConfigFileOption = None,
    metrics_url: Annotated[
        str | None, typer.Option(help="The /metrics address of a service, to be scraped.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    no_color: NoColor = False,
) -> None:
    """Say whether a deployment is fit to run, and what to do.

    It looks at settings, budgets, ledger, response cache, OTLP endpoint, metrics, prices and LiteLLM. Run it where the
    service runs, with the service's environment. It writes nothing but a test span to the OTLP endpoint, where one is
    configured. Exit code 1: something failed.
    """
    from llm_otel.clock import SystemClock

    findings = _findings(
        {"ledger": ledger, "budgets_file": budgets_file}, config_file, metrics_url=metrics_url, clock=SystemClock()
    )
    if as_json:
        seen = list(findings)
        typer.echo(_json(seen))
    else:
        seen = list(_drawn(findings, open_console(no_color=no_color)))
    if any(each.state is State.FAILED for each in seen):
        raise typer.Exit(_FAILED)


def _findings(
    arguments: dict[str, object], config_file: Path | None, *, metrics_url: str | None, clock: Clock
) -> Iterator[Finding]:
    from llm_otel.cli.checks.cache import look_at_cache
    from llm_otel.cli.checks.ledger import look_at_ledger
    from llm_otel.cli.checks.otlp import look_at_otlp
    from llm_otel.cli.checks.packages import look_at_packages
    from llm_otel.cli.checks.scrape import look_at_scrape
    from llm_otel.cli.checks.settings import look_at_settings
    from llm_otel.config import OTLP

    finding, settings, budgets = look_at_settings(arguments, config_file, clock)
    yield finding
    if settings is not None:
        yield from look_at_ledger(settings, budgets, clock)
        yield from look_at_cache(settings, clock)
        yield look_at_otlp(os.environ, otlp=settings.otlp)
        yield look_at_scrape(metrics_url, is_pushed=settings.metrics_export == OTLP)
    yield from look_at_packages(datetime.fromtimestamp(clock.now_ns() / 1e9, UTC))


def _drawn(findings: Iterable[Finding], console: Console) -> Iterator[Finding]:
    """Print each finding as it is made: an endpoint that is down may take seconds."""
    for each in findings:
        # As wide as it is: paths and addresses are for copying.
        console.print(f"{each.state:<4}", style=_STYLES[each.state], end="  ", markup=False)
        console.print(f"{each.about:<{_ABOUT_COLUMNS}} {each.said}", markup=False, soft_wrap=True)
        if each.to_do:
            console.print(f"{'':{_ABOUT_COLUMNS + 7}}→ {each.to_do}", style="dim", markup=False, soft_wrap=True)
        yield each


def _json(findings: list[Finding]) -> str:
    import json
    from dataclasses import asdict

    return json.dumps([asdict(each) for each in findings], indent=2, ensure_ascii=False)
