"""Where commands write to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

MAX_COLUMNS = 120
"""Beyond, a line is too long to be followed by eye."""

NoColor = Annotated[bool, typer.Option("--no-color", help="No colours (as with NO_COLOR in the environment).")]


def open_console(*, no_color: bool, stderr: bool = False) -> Console:
    """Return a console; in a pipe it writes 80 columns without colours, or as many as `COLUMNS` says."""
    from rich.console import Console

    console = Console(stderr=stderr, no_color=no_color or None, highlight=False)
    console.width = min(console.width, MAX_COLUMNS)
    return console


@contextmanager
def trimmed(console: Console) -> Iterator[Console]:
    """Collect what is printed in the block; write it without the blanks that tables fill their columns with."""
    with console.capture() as drawn:
        yield console
    lines = (line.rstrip() for line in drawn.get().splitlines())
    console.file.write("\n".join((*lines, "")))
    console.file.flush()
