"""How long calls took and how they ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llm_otel.drawing.figures import dollars, fine_dollars, plural, seconds, table

if TYPE_CHECKING:
    from rich.console import Console

    from llm_otel.demo.report import Reliability, Report


def draw_latency(report: Report, console: Console) -> None:
    """Draw the latencies of all calls and of each provider."""
    drawn = table("Latency")
    drawn.add_column("", width=23, no_wrap=True)
    for name, width in (("p50", 7), ("p95", 7), ("streams", 8), ("first chunk p50", 15), ("p95", 7)):
        drawn.add_column(name, justify="right", width=width, no_wrap=True)
    for latency in report.latencies:
        drawn.add_row(
            latency.name,
            seconds(latency.p50_s),
            seconds(latency.p95_s),
            f"{latency.streams:,}" if latency.streams else "",
            seconds(latency.first_chunk_p50_s) if latency.streams else "",
            seconds(latency.first_chunk_p95_s) if latency.streams else "",
        )
    console.print()
    console.print(drawn)


def draw_reliability(report: Report, console: Console) -> None:
    """Draw how calls ended and what that cost or saved."""
    facts = report.reliability
    drawn = table("How the calls ended", has_header=False)
    drawn.add_column("", width=23, no_wrap=True)
    drawn.add_column("", overflow="fold")
    for outcome, calls in facts.outcomes.items():
        drawn.add_row(outcome, f"{calls:,}")
    for name, text in _remarks(facts, report):
        drawn.add_row(name, text)
    console.print()
    console.print(drawn)


def _remarks(facts: Reliability, report: Report) -> Iterator[tuple[str, str]]:
    if facts.errors:
        causes = ", ".join(f"{count:,}\u00a0×\u00a0{error}" for error, count in facts.errors.items())
        yield "failed requests", causes
    if facts.retries:
        yield "retries", f"{facts.retries:,}; {plural(facts.recovered, 'call')} succeeded that way"
    wasted = sum(facts.wasted_nano.values())
    if wasted:
        reasons = ", ".join(f"{reason} {fine_dollars(nano)}" for reason, nano in facts.wasted_nano.items())
        yield "spent for no answer", f"{fine_dollars(wasted)} ({reasons})"
    if facts.saved_nano:
        tokens = f"{facts.cache_read_tokens:,} tokens were read from it"
        yield "saved by prompt cache", f"{dollars(facts.saved_nano)} ({tokens})"
    if facts.reasoning_tokens:
        yield "reasoning", f"{facts.reasoning_tokens:,} tokens, billed as output"
    if facts.unpriced_models:
        calls = plural(report.total.unpriced_calls, "call")
        yield (
            "no known price",
            f"{calls} of {', '.join(facts.unpriced_models)}: counted, and never taken for $0",
        )
    if facts.internal_errors:
        yield "llm-otel's own failures", f"{facts.internal_errors:,}: please report them"
