"""`python -m grafana.src [DIR]`: write every dashboard as JSON, into `grafana/dashboards` by default."""

from __future__ import annotations

import sys
from pathlib import Path

from grafana.src.dashboards import rendered

_COMMITTED = Path(__file__).parent.parent / "dashboards"


def main(directory: Path) -> None:
    """Write the dashboards, and remove what no module makes any more."""
    directory.mkdir(parents=True, exist_ok=True)
    files = rendered()
    for stale in {path.name for path in directory.glob("*.json")} - files.keys():
        (directory / stale).unlink()
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else _COMMITTED)
