"""`llm-otel rules`: the recording rules and alerts for Prometheus that come with the package."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from llm_otel.cli.shipped import export, shipped
from llm_otel.errors import ConfigurationError

GRAFANA_URL = "http://localhost:3000"
"""Where the alerts say that the dashboards are: the address of the compose file."""
RUNBOOK_URL = "https://github.com/llm-otel/llm-otel/blob/main/docs/runbook.md"
"""Where the alerts say that the runbook is."""

# What ends a YAML value or begins a template has no place in an address here.
_ADDRESS = re.compile(r"https?://[^\s{}#?'\"]+")
_LABEL = re.compile(r"([A-Za-z0-9][A-Za-z0-9._/-]*)=([A-Za-z0-9._-]*)")


class RuleFormat(StrEnum):
    """What reads the rules."""

    PROMETHEUS = "prometheus"
    """Prometheus itself, by `rule_files`."""
    PROMETHEUSRULE = "prometheusrule"
    """The Prometheus Operator in Kubernetes: one `PrometheusRule` for each file."""


rules = typer.Typer(
    name="rules",
    help="Write the Prometheus rules and alerts to a directory.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@rules.callback()
def _rules() -> None:
    """The recording rules and alerts that come with the package."""


@rules.command("export")
def export_rules(  # each option of a command is an argument
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; it is made if it is not there.")],
    rule_format: Annotated[
        RuleFormat, typer.Option("--format", help="For Prometheus, or for its operator in Kubernetes.")
    ] = RuleFormat.PROMETHEUS,
    grafana_url: Annotated[str, typer.Option(help="Where the dashboards are that alerts link to.")] = GRAFANA_URL,
    runbook_url: Annotated[str, typer.Option(help="Where docs/runbook.md is to be read.")] = RUNBOOK_URL,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="KEY=VALUE",
            help="A label of the PrometheusRule, by which an operator selects its rules. May be given again.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are different.")] = False,
) -> None:
    """Write the rules as YAML."""
    texts = shipped("rules", checkout="exporters/prometheus/rules", suffix=".yml")
    grafana, runbook = _address("--grafana-url", grafana_url), _address("--runbook-url", runbook_url)
    own = dict(_label(each) for each in labels or ())
    if own and rule_format is RuleFormat.PROMETHEUS:
        raise ConfigurationError("--label", " ".join(labels or ()), "used with --format prometheusrule alone")
    files = {name: _linking_to(text, grafana, runbook) for name, text in texts.items()}
    if rule_format is RuleFormat.PROMETHEUSRULE:
        files = {name: prometheus_rule(name, text, own.items()) for name, text in files.items()}
    written = export(files, directory, is_forced=force)
    for name in written:
        typer.echo(directory / name)
    typer.echo(f"{len(written)} of {len(files)} rule files written.", err=True)


def prometheus_rule(name: str, text: str, labels: Iterable[tuple[str, str]] = ()) -> str:
    """Wrap a rule file for the Prometheus Operator.

    Its text, comments included, goes deeper by one level: YAML measures indentation against the line above.
    """
    lines = ["apiVersion: monitoring.coreos.com/v1", "kind: PrometheusRule", "metadata:"]
    lines.append(f"  name: llm-otel-{name.partition('.')[0]}")
    named = [f'    {key}: "{value}"' for key, value in labels]
    lines += ["  labels:", *named] if named else []
    lines.append("spec:")
    lines += [f"  {line}".rstrip() for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def _linking_to(text: str, grafana: str, runbook: str) -> str:
    text = text.replace(f"dashboard_url: {GRAFANA_URL}/", f"dashboard_url: {grafana}/")
    return text.replace(f"runbook_url: {RUNBOOK_URL}#", f"runbook_url: {runbook}#")


def _address(option: str, given: str) -> str:
    if not _ADDRESS.fullmatch(given):
        raise ConfigurationError(option, given, "an address that begins with http:// or https://")
    return given.rstrip("/")


def _label(given: str) -> tuple[str, str]:
    found = _LABEL.fullmatch(given)
    if found is None:
        raise ConfigurationError("--label", given, "key=value, such as release=prometheus")
    return found[1], found[2]
