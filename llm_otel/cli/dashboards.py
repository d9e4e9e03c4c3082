"""`llm-otel dashboards`: the Grafana dashboards that come with the package."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from llm_otel.cli.shipped import export, shipped
from llm_otel.errors import ConfigurationError

_UID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
"""Grafana's own rule (docs of the data source API, read 2026-11)."""

dashboards = typer.Typer(
    name="dashboards", help="Write the Grafana dashboards to a directory.", no_args_is_help=True, rich_markup_mode=None
)


@dashboards.callback()
def _dashboards() -> None:
    """The Grafana dashboards that come with the package."""


@dashboards.command("export")
def export_dashboards(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; it is made if it is not there.")],
    datasource_uid: Annotated[
        str | None,
        typer.Option(
            help="The uid of the Prometheus they open with. By default Grafana's default one.", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are different.")] = False,
) -> None:
    """Write the dashboards as JSON. For a file provider of Grafana, or to import by hand."""
    files = shipped("dashboards", checkout="grafana/dashboards", suffix=".json")
    if datasource_uid is not None:
        if not _UID.fullmatch(datasource_uid):
            raise ConfigurationError("--datasource-uid", datasource_uid, "1 to 40 letters, digits, - and _")
        files = {name: _opening_with(text, datasource_uid) for name, text in files.items()}
    written = export(files, directory, is_forced=force)
    for name in written:
        typer.echo(directory / name)
    rest = "" if len(written) == len(files) else "; the others are there already"
    typer.echo(f"{len(written)} of {len(files)} dashboards written{rest}.", err=True)


def _opening_with(text: str, datasource_uid: str) -> str:
    """Return a dashboard whose variable for the data source has a value. A viewer can still choose another."""
    import json

    dashboard: dict[str, Any] = json.loads(text)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "datasource":
            variable["current"] = {"text": datasource_uid, "value": datasource_uid}
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"
