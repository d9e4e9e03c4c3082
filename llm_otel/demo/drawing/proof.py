"""Whether the numbers are right, said so that anybody can check it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llm_otel.drawing.figures import exact_dollars, plural, table

if TYPE_CHECKING:
    from rich.console import Console

    from llm_otel.demo.report import Books, Report

_NAME_WIDTH = 34


def draw_proof(report: Report, console: Console) -> None:
    """Draw the books."""
    books = report.books
    drawn = table("Are the books right?", has_header=False)
    drawn.add_column("", width=_NAME_WIDTH)
    drawn.add_column("", justify="right", no_wrap=True)
    drawn.add_column("", overflow="fold")
    for cells in (*_against_the_bill(books), *_among_recorders(books)):
        drawn.add_row(*cells)
    console.print()
    console.print(drawn)


def _against_the_bill(books: Books) -> Iterator[tuple[str, str, str]]:
    if books.recorded is None or books.billed is None:
        yield (
            "recorded by llm-otel",
            exact_dollars(books.tracker_nano),
            "your provider's usage page has its own figure",
        )
        if books.estimated_calls:
            yield (
                "of it estimated",
                "",
                f"{plural(books.estimated_calls, 'stream')} ended before the usage was told",
            )
        return
    yield "recorded by llm-otel", exact_dollars(books.recorded.cost_nano), f"{books.recorded.tokens:,} tokens"
    yield (
        "the simulator's own bill",
        exact_dollars(books.billed.cost_nano),
        f"{books.billed.tokens:,} tokens × list price",
    )
    difference = books.recorded.cost_nano - books.billed.cost_nano
    is_equal = books.recorded == books.billed
    verdict = "[green]equal to the nano-dollar[/]" if is_equal else "[red]NOT equal: please report it[/]"
    yield "difference", exact_dollars(difference), verdict
    if books.estimated is not None and books.estimated_billed is not None:
        streams = plural(books.estimated_calls, "stream")
        yield (
            f"not in it: {streams} cut short",
            exact_dollars(books.estimated.cost_nano),
            f"estimated; billed {exact_dollars(books.estimated_billed.cost_nano)}",
        )


def _among_recorders(books: Books) -> Iterator[tuple[str, str, str]]:
    others = {"spans": books.spans_nano, "metrics": books.metrics_nano, "ledger": books.ledger_nano}
    known = {name: nano for name, nano in others.items() if nano is not None}
    if books.recorders_agree:
        yield " = ".join(("tracker", *known)), exact_dollars(books.tracker_nano), "[green]the same in each[/]"
        return
    yield "tracker", exact_dollars(books.tracker_nano), "[red]NOT the same: please report it[/]"
    for name, nano in known.items():
        yield name, exact_dollars(nano), ""
