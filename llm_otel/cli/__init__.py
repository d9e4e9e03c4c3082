"""The command line: `llm-otel`, or `python -m llm_otel`.

Importing it costs next to nothing; what a command needs is loaded when it runs, so that `--help` and
`--version` are quick.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit.

    0 if all went well, 1 if the demo finds the books wrong or a ledger cannot be reached, 2 for bad input and other
    errors of this library, 130 for Ctrl-C.
    """
    from llm_otel.cli.app import run

    run()
