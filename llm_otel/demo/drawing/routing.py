"""What the router chose, what fallbacks and circuits were good for, and what the response cache saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from llm_otel.demo.drawing.remarks import draw_remarks
from llm_otel.drawing.figures import dollars, plural

if TYPE_CHECKING:
    from rich.console import Console

    from llm_otel.demo.report import Circuit, Routing


def draw_routing(routing: Routing, console: Console) -> None:
    """Draw what the router and the response cache did; nothing if nobody asked them to."""
    draw_remarks("What the router and the response cache did", _remarks(routing), console)


def _remarks(routing: Routing) -> Iterator[tuple[str, str]]:
    if routing.chosen:
        yield "chosen by the router", _each(routing.chosen)
    if routing.explained:
        yield "why, for example", routing.explained
    if routing.fallbacks:
        calls = plural(sum(routing.fallbacks.values()), "call")
        yield "answered by a fallback", f"{calls}, by {', '.join(routing.fallbacks)}"
    for circuit in routing.circuits:
        yield "circuit opened", _told(circuit)
    if routing.cached:
        calls = plural(routing.cached, "call")
        yield "from the response cache", f"{calls}, {dollars(routing.saved_nano)} saved"


def _each(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,}\u00a0×\u00a0{name}" for name, count in counts.items())


def _told(circuit: Circuit) -> str:
    times = "" if circuit.opened == 1 else f", {circuit.opened:,} times"
    now = "closed again" if circuit.is_closed else "open still"
    return f"{circuit.model}{times}: {plural(circuit.not_sent, 'request')} not sent; {now}"
