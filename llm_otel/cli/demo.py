"""`llm-otel demo`: the whole of it, on your own machine or with your own key."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from llm_otel.cli.terminal import NoColor, open_console, trimmed
from llm_otel.errors import ConfigurationError, LLMOtelError

if TYPE_CHECKING:
    from llm_otel.demo.program import Options
    from llm_otel.demo.report import Report
    from llm_otel.demo.target import Target

_CALLS, _REAL_CALLS = 300, 20
_MAX_CALLS = 5_000
_SEED = 7
_BOOKS_ARE_WRONG = 1


class ProviderName(StrEnum):
    """The providers that can be called for real."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    OLLAMA = "ollama"


def demo(  # noqa: PLR0913, PLR0917  # each option of a command is an argument
    calls: Annotated[
        int | None,
        typer.Option(help=f"How many; {_CALLS} by default, {_REAL_CALLS} with a real provider.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same calls, and the same spend.")] = _SEED,
    serve: Annotated[bool, typer.Option("--serve", help="Serve /metrics, and go on until Ctrl-C.")] = False,
    host: Annotated[str, typer.Option(help="The address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to serve on.")] = 9464,
    grafana_url: Annotated[
        str | None, typer.Option(help="Where dashboards show it: printed while serving.", show_default=False)
    ] = None,
    provider: Annotated[
        ProviderName | None, typer.Option(help="Call a real provider, with the key in the environment.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Which of its models; a small one by default.")] = None,
    ledger: Annotated[
        str | None, typer.Option(help="Where budgets are kept; in memory by default.", show_default=False)
    ] = None,
    otlp: Annotated[
        bool, typer.Option("--otlp", help="Send spans to the OTLP endpoint of OTEL_EXPORTER_OTLP_*.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Spend without being asked.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    no_color: NoColor = False,
) -> None:
    """Make a few hundred calls, show what they cost.

    Without --provider they go through LiteLLM and real HTTP to a simulator of OpenAI, Anthropic, Gemini and
    Ollama on this machine: no key is needed and nothing is spent.
    """
    if model is not None and provider is None:
        raise ConfigurationError("--model", model, "it goes with --provider; the simulator plays several models")
    target = _find_target(provider, model) if provider is not None else None
    options = _options(target, calls=calls, seed=seed, served_at=(host, port) if serve else None)
    options = replace(options, ledger=ledger or options.ledger, otlp=otlp)
    if target is not None:
        _agree(target, options.calls, is_agreed=yes)
    _run(options, grafana_url=grafana_url, as_json=as_json, no_color=no_color)


def _find_target(provider: ProviderName, model: str | None) -> Target:
    import os

    from llm_otel.demo.target import find_target
    from llm_otel.models.providers import LLMProvider

    return find_target(LLMProvider(provider), model, environ=os.environ)


def _options(target: Target | None, *, calls: int | None, seed: int, served_at: tuple[str, int] | None) -> Options:
    from llm_otel.demo.program import Options
    from llm_otel.demo.scenario import MIN_CALLS
    from llm_otel.recorders.serving import Address

    least = MIN_CALLS if target is None else 2
    if calls is None:
        calls = _CALLS if target is None else _REAL_CALLS
    if not least <= calls <= _MAX_CALLS:
        raise ConfigurationError("--calls", calls, f"from {least} to {_MAX_CALLS:,}")
    return Options(calls=calls, seed=seed, target=target, address=Address(*served_at) if served_at else None)


def _agree(target: Target, calls: int, *, is_agreed: bool) -> None:
    """Ask before money is spent."""
    if target.is_free or is_agreed:
        return
    import sys
    from datetime import UTC, datetime

    from llm_otel.money import format_usd

    ceiling = target.ceiling_nano(calls, at=datetime.now(UTC))
    price = "an amount that is not known" if ceiling is None else f"{format_usd(ceiling, decimals=4)} at most"
    question = f"{calls} calls of {target.model} at {target.provider} cost {price}. Go on?"
    if not sys.stdin.isatty():
        raise LLMOtelError(f"{question} Nobody is there to answer: say --yes")
    typer.confirm(question, abort=True, err=True)


def _run(options: Options, *, grafana_url: str | None, as_json: bool, no_color: bool) -> None:
    from llm_otel.demo.drawing import draw
    from llm_otel.demo.program import play
    from llm_otel.demo.progress import progress_on

    stdout = open_console(no_color=no_color)
    stderr = open_console(no_color=no_color, stderr=True)
    if not as_json:
        stdout.print(_introduction(options))

    def present(report: Report) -> None:
        if as_json:
            typer.echo(_json(report))
        else:
            with trimmed(stdout):
                draw(report, stdout)
        if options.address is not None:
            stderr.print(f"\nServing {options.address.url}; Ctrl-C ends it.", style="bold")
            if grafana_url is not None:
                stderr.print(f"The dashboards are at {grafana_url}", style="bold", soft_wrap=True)

    report = play(options, progress_on(stderr), present)
    if options.address is not None:
        stderr.print("Stopped.")
    if not report.books.are_right:
        raise typer.Exit(_BOOKS_ARE_WRONG)


def _introduction(options: Options) -> str:
    if options.target is not None:
        return f"{options.calls} calls through LiteLLM to {options.target.litellm_model}."
    return (
        f"{options.calls} calls of five teams, through LiteLLM and real HTTP to a simulator of OpenAI, "
        "Anthropic, Gemini and Ollama on this machine. Nothing is spent; prices and budgets are real."
    )


def _json(report: Report) -> str:
    import json
    from dataclasses import asdict

    return json.dumps(asdict(report), indent=2, ensure_ascii=False)
