"""`llm-otel route`: which model a prompt would go to, and why. No call is made, no budget is looked at."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llm_otel.cli.price import check_service_tier
from llm_otel.cli.terminal import NoColor, open_console, trimmed
from llm_otel.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from llm_otel.routing.decision import Candidate, RouteDecision

_STDIN = "-"
_LEAST_WHY_NOT = 20
"""Columns for the last column of the table, however narrow the terminal is."""
_OPTIONS = {"quality_floor": "--floor", "allow_models": "--allow", "deny_models": "--deny"}
"""What fields of a configuration are called here; the others have their own name."""

_Model = Annotated[
    str | None, typer.Option(help="A name; auto rates the prompt, as is done without this, --capability and --tier.")
]
_Capability = Annotated[str | None, typer.Option(help="Good enough for: simple, moderate, complex, coding, research.")]
_Tier = Annotated[str | None, typer.Option(help="Of the price class: local, economy, standard, premium.")]
_Floor = Annotated[str | None, typer.Option(help="Never below: simple, moderate, complex.")]
_Provider = Annotated[
    str | None, typer.Option(help="Only models of this provider; with --model, the one to ask for it.")
]
_Observe = Annotated[bool, typer.Option("--observe", help="With --model: say what auto would have taken.")]
_MaxTokens = Annotated[int | None, typer.Option(min=1, help="The output limit of the request.")]
_MaxCost = Annotated[str | None, typer.Option(help="Nothing that is expected to cost more.")]
_Tools = Annotated[int, typer.Option(min=0, help="So many tools come with the request.")]
_Images = Annotated[int, typer.Option(min=0, help="So many images come with the request.")]
_JSONMode = Annotated[bool, typer.Option("--json-mode", help="The answer is to be JSON.")]
_ServiceTier = Annotated[str | None, typer.Option(help="At the prices of flex, priority, batch, ...")]
_Allow = Annotated[list[str] | None, typer.Option(help="Only this model or provider; may be repeated.")]
_Deny = Annotated[list[str] | None, typer.Option(help="Not this model or provider; may be repeated.")]


def route(  # noqa: PLR0913, PLR0917  # each option of a command is an argument
    prompt: Annotated[str, typer.Argument(help="The text of the request; - reads it from standard input.")],
    model: _Model = None,
    capability: _Capability = None,
    tier: _Tier = None,
    floor: _Floor = None,
    provider: _Provider = None,
    observe: _Observe = False,
    max_tokens: _MaxTokens = None,
    max_cost_usd: _MaxCost = None,
    tools: _Tools = 0,
    images: _Images = 0,
    json_mode: _JSONMode = False,
    service_tier: _ServiceTier = None,
    allow: _Allow = None,
    deny: _Deny = None,
    all_providers: Annotated[
        bool, typer.Option("--all-providers", help="As if every provider were configured here.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show every model, and the reasons in sentences.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
    no_color: NoColor = False,
) -> None:
    """Say which model a prompt would go to, and why. No call is made."""
    check_service_tier("--service-tier", service_tier)
    said: dict[str, Any] = {
        "model": _taken(model, observe=observe, is_to_choose_by=capability or tier),
        "provider": provider,
        "routing": "observe" if observe else "enforce",
        "capability": capability,
        "tier": tier,
        "quality_floor": floor,
        "max_tokens": max_tokens,
        "max_cost_usd": max_cost_usd,
        "tools": [_TOOL] * tools or None,
        "response_format": {"type": "json_object"} if json_mode else None,
        "service_tier": service_tier,
        "allow_models": tuple(allow or ()),
        "deny_models": tuple(deny or ()),
    }
    environ, note = _environment(all_providers=all_providers)
    decision = _decide(said, _content(_text_of(prompt), images), environ)
    if as_json:
        typer.echo(decision.model_dump_json(indent=2))
        return
    _draw(decision, note, explain=explain, no_color=no_color)


def _taken(model: str | None, *, observe: bool, is_to_choose_by: str | None) -> str | None:
    """Return what `LLMConfig.model` is; without anything to choose by the prompt is rated."""
    if observe and model in {None, "auto"}:
        raise ConfigurationError("--model", model, "--observe goes with the name of the model that is taken")
    return "auto" if model is None and is_to_choose_by is None else model


_TOOL = {"type": "function", "function": {"name": "tool", "parameters": {"type": "object", "properties": {}}}}
"""Stands for each tool: what counts is that there are some, and how many."""
_IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/image.png"}}


def _content(text: str, images: int) -> str | list[dict[str, Any]]:
    return [{"type": "text", "text": text}, *[_IMAGE] * images] if images else text


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


def _decide(said: Mapping[str, Any], content: str | list[dict[str, Any]], environ: Mapping[str, str]) -> RouteDecision:
    """Decide as a call with this configuration would be; what cannot be used is told by the name of its option."""
    from llm_otel import steps
    from llm_otel.budgets.matching import NOTHING
    from llm_otel.clock import SystemClock
    from llm_otel.pricing.book import PriceBook
    from llm_otel.providers.requests import template_of
    from llm_otel.recording import Guard
    from llm_otel.route_finding import Surroundings, find
    from llm_otel.types import LLMConfig

    around = Surroundings(prices=PriceBook(), clock=SystemClock(), guard=Guard(_raise), environ=environ)
    try:
        config = LLMConfig(**said)
        arguments = {**template_of(config).arguments, "messages": [{"role": "user", "content": content}]}
        return steps.run(find(config, arguments, around, tags={}, run=NOTHING)).decision
    except ConfigurationError as exc:
        option = _OPTIONS.get(exc.field, f"--{exc.field.replace('_', '-')}")
        raise ConfigurationError(option, exc.value, exc.allowed) from exc


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
    from llm_otel.money import format_amount

    return "" if amount is None else format_amount(amount)
