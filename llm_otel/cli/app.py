"""The program: its commands, how errors look, and how it ends."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from llm_otel.cli.budgets import budgets
from llm_otel.cli.check import check
from llm_otel.cli.dashboards import dashboards
from llm_otel.cli.demo import demo
from llm_otel.cli.exporter import exporter
from llm_otel.cli.models import models
from llm_otel.cli.price import price
from llm_otel.cli.route import route
from llm_otel.cli.rules import rules
from llm_otel.errors import LLMOtelError

_BAD_INPUT = 2


class _Group(TyperGroup):
    """Commands whose errors are ours to tell: one line, no traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except LLMOtelError as exc:
            typer.echo(f"llm-otel: {' '.join(str(exc).split())}", err=True)
            raise typer.Exit(_BAD_INPUT) from exc


app = typer.Typer(
    cls=_Group,
    name="llm-otel",
    help="Every LLM call traced, priced and held to a budget.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: quicker by a third of a second, and it fits any terminal.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo)
app.command()(budgets)
app.command()(exporter)
app.command()(check)
app.command()(models)
app.command()(price)
app.command()(route)
app.add_typer(dashboards)
app.add_typer(rules)


def _print_version(value: bool) -> None:
    if value:
        import llm_otel

        typer.echo(f"llm-otel {llm_otel.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Every LLM call traced, priced and held to a budget."""


def run() -> None:
    """Run the program and exit, also where nobody reads what it prints any more."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that knows no box or bar gets a question mark, and no traceback.
            stream.reconfigure(errors="replace")
    try:
        app()
    finally:
        _flush()
        # After ten minutes LiteLLM forgets its HTTP clients, and closes none. With the interpreter half gone each would
        # tell asyncio's log of it, in vain and with a traceback.
        logging.getLogger("asyncio").disabled = True


def _flush() -> None:
    """Write what is left; if the reader is gone, keep Python from complaining about it at exit."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
