"""What is going on, while it goes on: a live line on a terminal, a few plain lines anywhere else.

The numbers are the tracker's, read while calls run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from llm_otel.drawing.figures import nano_of
from llm_otel.money import format_usd

if TYPE_CHECKING:
    from rich.console import Console

    from llm_otel.recorders.tracker import UsageTracker

_FRAMES_PER_SECOND = 10
_POLL_S = 0.1
_BAR_WIDTH = 28


class Progress(Protocol):
    """Shows what takes its time. Thread-safe."""

    def tell(self, what: str) -> None:
        """Say what just happened."""

    def waiting(self, what: str) -> AbstractContextManager[None]:
        """Show that something is waited for, whose end cannot be told."""

    def calling(self, tracker: UsageTracker, total: int | None) -> AbstractContextManager[None]:
        """Show how many of so many calls have ended, and their spend; without a total they go on for ever."""


class LiveProgress:
    """One line that moves, and is gone when it is over."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def tell(self, what: str) -> None:
        """Leave a line above the one that moves."""
        self._console.print(Text(what, style="yellow"))

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Turn a spinner."""
        started_s = monotonic()
        spinner = Spinner("dots")

        def draw() -> Table:
            return _row(spinner, Text(what), _elapsed(started_s))

        with self._live(draw):
            yield

    @contextmanager
    def calling(self, tracker: UsageTracker, total: int | None) -> Iterator[None]:
        """Move a bar."""
        started_s = monotonic()
        spinner = Spinner("dots")

        def draw() -> Table:
            calls, spend = _counted(tracker)
            if total is None:
                return _row(spinner, Text(f"{calls:,} calls"), Text(spend), _elapsed(started_s))
            bar = ProgressBar(total=total, completed=calls, width=_BAR_WIDTH)
            return _row(spinner, bar, Text(f"{calls:,} of {total:,} calls"), Text(spend), _elapsed(started_s))

        with self._live(draw):
            yield

    def _live(self, draw: object) -> Live:
        return Live(
            get_renderable=draw,  # type: ignore[arg-type]  # rich says RenderableType; a Table is one
            console=self._console,
            refresh_per_second=_FRAMES_PER_SECOND,
            transient=True,
        )


class PlainProgress:
    """A line for each step, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def tell(self, what: str) -> None:
        """Write a line."""
        self._console.print(Text(f"  {what}"))

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Say what is waited for."""
        self._console.print(f"{what} ...")
        yield

    @contextmanager
    def calling(self, tracker: UsageTracker, total: int | None) -> Iterator[None]:
        """Say at every quarter how far it is; without a total say nothing."""
        if total is None:
            yield
            return
        stopped = threading.Event()
        thread = threading.Thread(target=self._watch, args=(tracker, total, stopped), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def _watch(self, tracker: UsageTracker, total: int, stopped: threading.Event) -> None:
        said = 0
        while not stopped.wait(_POLL_S):
            calls, spend = _counted(tracker)
            quarter = 4 * calls // total
            if quarter > said and calls < total:
                said = quarter
                self._console.print(f"  {calls:,} of {total:,} calls, {spend}")


def progress_on(console: Console) -> Progress:
    """Return what fits where the console writes to."""
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


def _counted(tracker: UsageTracker) -> tuple[int, str]:
    stats = tracker.get_stats()
    return stats["total_calls"], f"{format_usd(nano_of(stats['total_cost_usd']), decimals=4)} spent"


def _elapsed(started_s: float) -> Text:
    return Text(f"{monotonic() - started_s:.1f} s", style="dim")


def _row(*cells: Spinner | ProgressBar | Text) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_row(*cells)
    return row
