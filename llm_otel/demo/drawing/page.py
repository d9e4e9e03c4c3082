"""The whole report, from top to bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_otel.demo.drawing.budgets import draw_run_budgets
from llm_otel.demo.drawing.proof import draw_proof
from llm_otel.demo.drawing.quality import draw_latency, draw_reliability
from llm_otel.demo.drawing.routing import draw_routing
from llm_otel.demo.drawing.spending import draw_spending
from llm_otel.demo.drawing.trace import draw_trace
from llm_otel.drawing.figures import exact_dollars, plural, table

if TYPE_CHECKING:
    from rich.console import Console

    from llm_otel.demo.report import Report


def draw(report: Report, console: Console) -> None:
    """Draw a report."""
    _draw_head(report, console)
    draw_spending(report, console)
    draw_latency(report, console)
    draw_reliability(report, console)
    draw_routing(report.routing, console)
    draw_run_budgets(report.budgets, console)
    draw_trace(report.trace, console)
    draw_proof(report, console)
    _draw_next(report, console)


def _draw_head(report: Report, console: Console) -> None:
    total = report.total
    models = sum(len(provider.parts) for provider in report.providers)
    parts = (
        plural(total.calls, "call"),
        f"{total.tokens:,} tokens",
        plural(len(report.teams), "team"),
        plural(models, "model"),
        f"{report.elapsed_s:.1f} s",
    )
    console.print()
    console.print(f"[bold]{exact_dollars(total.cost_nano)}[/] for {', '.join(parts)}")


def _draw_next(report: Report, console: Console) -> None:
    drawn = table("Where to go from here", has_header=False)
    drawn.add_column("", no_wrap=True)
    drawn.add_column("")
    drawn.add_row("llm-otel demo --serve", "go on, and keep /metrics for a Prometheus")
    if report.target is None:
        drawn.add_row("llm-otel demo --provider openai", "the same with a provider and your key")
    drawn.add_row("llm-otel price gpt-4o-mini --input 18", "what a call costs")
    drawn.add_row('llm-otel route "Hello!" --explain', "which model would answer, and why")
    drawn.add_row('@traced_llm(tags={"team": "search"})', "on your own functions: README, Use it")
    drawn.add_row("llm-otel budgets", "these bars, for the ledger that your services share")
    console.print()
    console.print(drawn)
