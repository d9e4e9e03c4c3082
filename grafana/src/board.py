"""A dashboard around its panels: where they stand, what can be chosen, and the way to the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grafana.src.panels import DATASOURCE, labelled
from llm_otel import semconv

if TYPE_CHECKING:
    from grafana.src.looks import Json

SCHEMA_VERSION = 42
"""Grafana 13 still provisions this from files; what its own editor exports (v2) it does not."""
TAG = "llm-otel"
_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Shelf:
    """Panels side by side.

    Attributes:
        height: Of all of them, in Grafana's units of 38 pixels or so.
        panels: Each with its width, of 24; from left to right.
    """

    height: int
    panels: tuple[tuple[int, Json], ...]

    def __post_init__(self) -> None:
        assert sum(width for width, _ in self.panels) == _COLUMNS, "a shelf is filled from side to side"


@dataclass(frozen=True, slots=True)
class Row:
    """A headline over the shelves that follow."""

    title: str


def board(
    *,
    uid: str,
    title: str,
    about: str,
    time_from: str,
    variables: list[Json],
    contents: Sequence[Shelf | Row],
    annotations: Sequence[Json] = (),
) -> Json:
    """Return a dashboard in the classic v1 form.

    Args:
        uid: Stands in addresses and in alerts: never changed.
        title: Of the dashboard.
        about: One sentence: which question it answers.
        time_from: The time range it opens with, to now.
        variables: See `variables`.
        contents: From top to bottom.
        annotations: Marks on every graph, beside Grafana's own.
    """
    return {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": time_from, "to": "now"},
        "timezone": "browser",
        "fiscalYearStartMonth": 0,
        "weekStart": "",
        "templating": {"list": variables},
        "annotations": {"list": list(annotations)},
        "links": [_LINKS],
        "panels": _placed(contents),
    }


def alert_annotation(expr: str) -> Json:
    """Return marks where alerts fired."""
    return {
        "name": "Alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "red",
        "expr": expr,
        "step": "60s",
        "titleFormat": labelled("alertname"),
        "textFormat": labelled(semconv.LABEL_BUDGET, semconv.LABEL_SCOPE),
        "tagKeys": "severity",
        "useValueForTime": False,
    }


_LINKS: Json = {
    "type": "dashboards",
    "title": "LLM dashboards",
    "tags": [TAG],
    "asDropdown": False,
    "includeVars": True,
    "keepTime": True,
    "targetBlank": False,
    "icon": "external link",
    "tooltip": "",
    "url": "",
}


def _placed(contents: Sequence[Shelf | Row]) -> list[Json]:
    """Give every panel its number and its place."""
    placed: list[Json] = []
    y = 0
    for each in contents:
        if isinstance(each, Row):
            row = {"type": "row", "title": each.title, "collapsed": False, "panels": []}
            placed.append(row | _place(len(placed), 0, y, _COLUMNS, 1))
            y += 1
            continue
        x = 0
        for width, panel in each.panels:
            placed.append(panel | _place(len(placed), x, y, width, each.height))
            x += width
        y += each.height
    return placed


def _place(count: int, x: int, y: int, width: int, height: int) -> Json:
    return {"id": count + 1, "gridPos": {"x": x, "y": y, "w": width, "h": height}}
