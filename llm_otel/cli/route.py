"""`llm-otel route`: which model a prompt would go to, and why. No call is made, no budget is looked at."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm_otel.cli.terminal import NoColor, open_console, trimmed
from llm_otel.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from llm_otel.routing.decision import Candidate, RouteDecision
    from llm_otel.types import LLMConfig

_STDIN = "-"
_LEAST_WHY_NOT = 20
"""Columns for the last column of the table, however narrow the terminal is."""


def route(  # noqa: PLR0913, PLR0917  # each option of a command is an argument
    prompt: Annotated[str, typer.Argument(help="The text of the request; - reads it from standard input.")],
    model: Annotated[
        str | None,
        typer.Option(help="A name; auto rates the prompt, as is done without this, --capability and --tier."),
    ] = None,
    capability: Annotated[
        str | None, typer.Option(help="Good enough for: simple, moderate, complex, coding, research.")
    ] = None,
    tier: Annotated[str | None, typer.Option(help="Of the price class: local, economy, standard, premium.")] = None,
    floor: Annotated[str | None, typer.Option(help="Never below: simple, moderate, complex.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The output limit of the request.")] = None,
    max_cost_usd: Annotated[str | None, typer.Option(help="Nothing that is expected to cost more.")] = None,
    allow: Annotated[list[str] | None, typer.Option(help="Only this model or provider; may be repeated.")] = None,
    deny: Annotated[list[str] | None, typer.Option(help="Not this model or provider; may be repeated.")] = None,
    all_providers: Annotated[
        bool, typer.Option("--all-providers", help="As if every provider were configured here.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show every model, and the reasons in sentences.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
    no_color: NoColor = False,
) -> None:
    """Say which model a prompt would go to, and why; no call is made."""
    from llm_otel.types import LLMConfig

    # What is wrong with a value the configuration says itself, in one line.
    said: dict[str, Any] = {
        "model": "auto" if model is None and capability is None and tier is None else model,
        "capability": capability,
        "tier": tier,
        "quality_floor": floor,
        "max_tokens": max_tokens,
        "max_cost_usd": max_cost_usd,
        "allow_models": tuple(allow or ()),
        "deny_models": tuple(deny or ()),
    }
    config = LLMConfig(**said)
    environ, note = _environment(all_providers=all_providers)
    decision = _decide(config, _text_of(prompt), environ)
    if as_json:
        typer.echo(decision.model_dump_json(indent=2))
        return
    _draw(decision, note, explain=explain, no_color=no_color)


def _text_of(prompt: str) -> str:
    text = sys.stdin.read() if prompt == _STDIN else prompt
    if not text.strip():
        raise ConfigurationError("prompt", text, "the text of a request, or - to read it from standard input")
    return text


def _environment(*, all_providers: bool) -> tuple[Mapping[str, str], str | None]:
    """Return where keys are looked for: where there is none at all, everything is taken to be configured."""
    import os

    from llm_otel.models.providers import PROVIDERS
    from llm_otel.models.registry import default_registry

    ours = {entry.provider for entry in default_registry().entries()}
    known = [provider for provider in PROVIDERS if provider.name in ours]
    everything = {name: "set" for each in known for name in each.variables}
    if all_providers:
        return everything, None
    if any(provider.configured_by(os.environ) is not None for provider in known):
        return os.environ, None
    variables = ", ".join(each.variables[0] for each in known)
    return everything, f"No provider is configured here, so all are taken to be. A call needs one of {variables}."


def _decide(config: LLMConfig, prompt: str, environ: Mapping[str, str]) -> RouteDecision:
    from llm_otel import steps
    from llm_otel.budgets.matching import NOTHING
    from llm_otel.clock import SystemClock
    from llm_otel.pricing.book import PriceBook
    from llm_otel.recording import Guard
    from llm_otel.route_finding import Surroundings, find

    around = Surroundings(prices=PriceBook(), clock=SystemClock(), guard=Guard(_raise), environ=environ)
    arguments = {"messages": [{"role": "user", "content": prompt}], "max_tokens": config.max_tokens}
    return steps.run(find(config, arguments, around, tags={}, run=NOTHING)).decision


def _raise(where: str, error: Exception) -> None:
    error.add_note(where)
    raise error


def _draw(decision: RouteDecision, note: str | None, *, explain: bool, no_color: bool) -> None:
    with trimmed(open_console(no_color=no_color)) as console:
        if explain:
            console.print(decision.explain(), markup=False)
            console.print()
            console.print(_table(decision, console.width))
        else:
            console.print(_line(decision), markup=False, soft_wrap=True)
    if note is not None:
        open_console(no_color=no_color, stderr=True).print(note, style="dim", markup=False, soft_wrap=True)


def _line(decision: RouteDecision) -> str:
    from llm_otel.routing.reasons import EXPLICIT_MODEL

    cost, reasons = _cost(decision.estimated_cost_usd), decision.reason_codes
    # Of a model that was named nobody has asked what it costs, which is not that nobody knows.
    unknown = "" if EXPLICIT_MODEL in reasons else ", price unknown"
    about = f", about {cost}" if cost else unknown
    return f"{decision.model} ({decision.provider}){about}: {', '.join(reasons)}"


def _table(decision: RouteDecision, width: int) -> object:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("model", no_wrap=True)
    table.add_column("provider", no_wrap=True)
    table.add_column("cost", justify="right", no_wrap=True)
    table.add_column("why not", min_width=min(_LEAST_WHY_NOT, width))
    for number, candidate in enumerate(decision.candidates):
        style = "bold" if number == 0 else "" if candidate.fits else "dim"
        table.add_row(*_cells(candidate, is_taken=number == 0), style=style)
    return table


def _cells(candidate: Candidate, *, is_taken: bool) -> tuple[str, ...]:
    from rich.markup import escape

    why_not = "taken" if is_taken else candidate.why_not or ""
    return escape(candidate.model), candidate.provider, _cost(candidate.estimated_cost_usd), escape(why_not)


def _cost(amount: Decimal | None) -> str:
    from llm_otel.money import format_usd, parse_usd

    return "" if amount is None else format_usd(parse_usd(amount, field="estimated_cost_usd"))
