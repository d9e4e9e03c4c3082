"""What the committed dashboards ask of Prometheus: every query, with its variables filled in as Grafana does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "grafana" / "dashboards"
BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(COMMITTED.glob("*.json"))
}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Asked:
    """One query of one panel.

    Attributes:
        board: The uid of the dashboard.
        panel: The JSON of the panel.
        target: The JSON of the query.
    """

    board: str
    panel: dict[str, Any]
    target: dict[str, Any]

    @property
    def expr(self) -> str:
        """The PromQL, as it stands in the file."""
        return self.target["expr"]

    @property
    def is_instant(self) -> bool:
        """Whether it is asked once, for the end of the range."""
        return self.target["instant"]

    @property
    def legend_labels(self) -> list[str]:
        """The labels that the legend needs."""
        return re.findall(r"{{\s*(\w+)\s*}}", self.target["legendFormat"])

    def __str__(self) -> str:
        return f"{self.board}: {self.panel['title']}: {self.target['refId']}"


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the panels of a dashboard, without the rows that stand between them."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def each_query() -> Iterator[Asked]:
    """Yield every query of every panel."""
    for uid, board in BOARDS.items():
        for panel in panels(board):
            yield from (Asked(uid, panel, target) for target in panel["targets"])


def the_query(board: str, title: str, ref_id: str = "A") -> str:
    """Return the PromQL of a panel."""
    found = [
        each.expr
        for each in each_query()
        if (each.board, each.panel["title"], each.target["refId"]) == (f"llm-otel-{board}", title, ref_id)
    ]
    assert len(found) == 1, f"{board}: {title}: {ref_id}: {len(found)} queries"
    return found[0]


def column(board: str, title: str, head: str) -> str:
    """Return the PromQL behind a column of a table."""
    for each in each_query():
        if (each.board, each.panel["title"]) == (f"llm-otel-{board}", title):
            names = each.panel["transformations"][-1]["options"]["renameByName"]
            if names.get(f"Value #{each.target['refId']}") == head:
                return each.expr
    raise AssertionError(f"{board}: {title} has no column {head!r}")


def filled(expr: str, *, range_s: int = 3600, step_s: int = 15, scrape_s: int = 15, **variables: str) -> str:
    """Return PromQL as Grafana would send it, with everything chosen unless a variable says otherwise.

    Args:
        expr: As it stands in the dashboard.
        range_s: The length of the dashboard's time range.
        step_s: Seconds between two points of a graph.
        scrape_s: `timeInterval` of the data source.
        variables: Values of the dashboard's own variables.
    """
    values = {
        "__rate_interval": f"{max(step_s + scrape_s, 4 * scrape_s)}s",
        "__interval": f"{step_s}s",
        "__range_s": str(range_s),
        "__range": f"{range_s}s",
        "pace": "1h",
        **dict.fromkeys(("service", "environment", "team", "feature", "provider", "model", "budget"), ".*"),
        **variables,
    }
    return re.sub(r"\$([a-z_]\w*)", lambda found: values[found[1]], expr)
