"""`llm-otel budgets`: how they stand, from the ledger that services share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm_otel.cli.ledgers import (
    HOW_TO_DECLARE,
    BudgetsFileOption,
    ConfigFileOption,
    LedgerOption,
    shared_ledger,
)
from llm_otel.cli.terminal import NoColor, open_console, trimmed
from llm_otel.money import usd

if TYPE_CHECKING:
    from llm_otel.drawing.budgets import BudgetStandings, Standing

_TOP = 5


def budgets(  # each option of a command is an argument
    ledger: LedgerOption = None,
    budgets_file: BudgetsFileOption = None,
    config_file: ConfigFileOption = None,
    top: Annotated[int, typer.Option(min=1, help="How many scopes to show of a budget that is split.")] = _TOP,
    as_json: Annotated[bool, typer.Option("--json", help="Print all scopes as JSON.")] = False,
    no_color: NoColor = False,
) -> None:
    """Show what is spent, held and left of each budget.

    Budgets and ledger are those of the configuration that services read: options, then LLM_OTEL_* variables, then the
    TOML file. Exit code 1: the ledger cannot be reached.
    """
    with shared_ledger(ledger, budgets_file, config_file) as found:
        name, (now_s, standings) = found.store.name, found.standings()
    if as_json:
        typer.echo(_json(name, now_s, standings))
    elif standings:
        _draw(name, now_s, standings, top=top, no_color=no_color)
    if not standings:
        typer.echo(f"llm-otel: {HOW_TO_DECLARE}", err=True)


def _draw(name: str, now_s: int, standings: tuple[BudgetStandings, ...], *, top: int, no_color: bool) -> None:
    from llm_otel.drawing.budgets import draw_budgets

    console = open_console(no_color=no_color)
    with trimmed(console):
        draw_budgets(standings, console, now_s=now_s, top=top)
        console.print(f"\n{name}, {_at(now_s):%Y-%m-%d %H:%M} UTC", style="dim", markup=False, soft_wrap=True)


def _at(now_s: int) -> datetime:
    return datetime.fromtimestamp(now_s, UTC)


def _json(name: str, now_s: int, standings: tuple[BudgetStandings, ...]) -> str:
    """Write everything; amounts as text, so that no program reads them as floats."""
    import json

    told = {"ledger": name, "at": _at(now_s).isoformat(), "budgets": [_told(each) for each in standings]}
    return json.dumps(told, indent=2, ensure_ascii=False)


def _told(budget: BudgetStandings) -> dict[str, Any]:
    return {
        "id": budget.id,
        "kind": budget.kind,
        "by": budget.by,
        "window": budget.window,
        "limit_usd": _plain(budget.limit_nano),
        "resets_at": budget.resets_at,
        "scopes": [_told_scope(each, budget.limit_nano) for each in budget.scopes],
    }


def _told_scope(standing: Standing, limit_nano: int) -> dict[str, Any]:
    return {
        "scope": standing.scope,
        "spent_usd": _plain(standing.spent_nano),
        "held_usd": _plain(standing.held_nano),
        "headroom_usd": _plain(limit_nano - standing.spent_nano - standing.held_nano),
        "state": standing.state,
    }


def _plain(nano: int) -> str:
    return f"{usd(nano):f}"
