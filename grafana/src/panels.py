"""Panels: one function a kind. Each says what it shows, in which unit, and what it means when there is nothing.

Numbers of the whole range are asked for once, at its end (instant); graphs are asked for at each step. What a panel
looks like is decided here, once for all dashboards.
"""

from __future__ import annotations

from dataclasses import dataclass

from grafana.src import units
from grafana.src.looks import (
    GREEN,
    LINES,
    NEUTRAL,
    NOTHING,
    PLAIN,
    Column,
    Json,
    Levels,
    Lines,
    override,
    texts_to_json,
)

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
_REF_IDS = "ABCDEFGHIJKLMNOP"
_STAT_TEXT: Json = {"valueSize": 36, "titleSize": 16}
"""Pixels. By itself Grafana makes short numbers huge and long ones small, and the eye goes to the short."""
_BAR_TEXT: Json = {"valueSize": 14, "titleSize": 13}


@dataclass(frozen=True, slots=True)
class Query:
    """What a panel asks.

    Attributes:
        expr: The PromQL.
        legend: Names each series; `{{label}}` is filled in. In a table, nothing.
        has_exemplars: Whether dots on the graph lead to traces. Graphs only.
    """

    expr: str
    legend: str = ""
    has_exemplars: bool = False


def labelled(*labels: str, joined: str = " ") -> str:
    """Return a legend: the values of labels."""
    return joined.join(f"{{{{{label}}}}}" for label in labels)


# --- Kinds ------------------------------------------------------------------------------------------------


def stat(
    title: str,
    query: Query,
    *,
    unit: str,
    about: str,
    empty: str,
    levels: Levels = NEUTRAL,
    decimals: int | None = None,
    texts: tuple[tuple[float, str], ...] = (),
) -> Json:
    """Return one number of the whole range; with the name of its series, if it has one.

    Args:
        title: Of the panel.
        query: Gives one series.
        unit: Of `units`.
        about: What the number is, and what to do about it.
        empty: What it means when there is none.
        levels: Colour of the number.
        decimals: Digits after the point; by default as many as fit.
        texts: What to write for single values.
    """
    panel = _panel("stat", title, about, [_target(query, is_instant=True)])
    panel["fieldConfig"] = _field_config(unit, empty, levels=levels, decimals=decimals, texts=texts)
    panel["options"] = {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "value_and_name" if query.legend else "value",
        "wideLayout": False,
        "text": _STAT_TEXT,
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return panel


def bars(title: str, query: Query, *, unit: str, about: str, empty: str, levels: Levels = PLAIN) -> Json:
    """Return a bar for each series of an instant query, in the order in which it gives them."""
    panel = _panel("bargauge", title, about, [_target(query, is_instant=True)])
    panel["fieldConfig"] = _field_config(unit, empty, levels=levels, least=0)
    panel["options"] = {
        "displayMode": "basic",
        "orientation": "horizontal",
        "showUnfilled": True,
        "valueMode": "text",
        # Above its bar a long name has room.
        "namePlacement": "top",
        "sizing": "manual",
        # Of a bar with its name; what does not fit is scrolled to.
        "minVizHeight": 32,
        "maxVizHeight": 44,
        "minVizWidth": 8,
        "text": _BAR_TEXT,
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return panel


def graph(
    title: str,
    *queries: Query,
    unit: str,
    about: str,
    empty: str,
    lines: Lines = LINES,
    overrides: tuple[Json, ...] = (),
) -> Json:
    """Return lines over time.

    Args:
        title: Of the panel.
        queries: Each gives any number of series.
        unit: Of `units`.
        about: What the lines are, and what to do about them.
        empty: What it means when there are none.
        lines: How they are drawn.
        overrides: See `dashed`, `colored`.
    """
    panel = _panel("timeseries", title, about, [_target(query, is_instant=False) for query in queries])
    levels = lines.levels or Levels(GREEN)
    panel["fieldConfig"] = _field_config(unit, empty, levels=levels, least=0, overrides=overrides)
    panel["fieldConfig"]["defaults"] |= {"color": {"mode": "palette-classic"}, "custom": lines.custom()}
    panel["options"] = {"legend": lines.legend(), "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel


def heatmap(title: str, buckets: str, *, unit: str, about: str, empty: str) -> Json:
    """Return how values are spread over time, from the cumulative buckets of a histogram."""
    target = _target(Query(buckets, labelled("le")), is_instant=False) | {"format": "heatmap"}
    panel = _panel("heatmap", title, about, [target])
    panel["fieldConfig"] = {"defaults": {"noValue": empty, "unit": unit}, "overrides": []}
    panel["options"] = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "scale": "exponential", "exponent": 0.5},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": False},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
        "yAxis": {"axisPlacement": "left", "unit": unit, "reverse": False},
    }
    return panel


def timeline(title: str, query: Query, *, states: tuple[tuple[float, str, str], ...], about: str, empty: str) -> Json:
    """Return what state each series was in: value, name and colour of each state."""
    panel = _panel("state-timeline", title, about, [_target(query, is_instant=False)])
    panel["fieldConfig"] = _field_config(units.WHOLE, empty, levels=NEUTRAL)
    defaults = panel["fieldConfig"]["defaults"]
    defaults["custom"] = {"fillOpacity": 70, "lineWidth": 0}
    named = {f"{value:g}": {"text": text, "color": color, "index": i} for i, (value, text, color) in enumerate(states)}
    defaults["mappings"] = [{"type": "value", "options": named}]
    panel["options"] = {
        "alignValue": "left",
        "mergeValues": True,
        "rowHeight": 0.8,
        "showValue": "auto",
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return panel


def table(
    title: str,
    rows: tuple[tuple[str, str], ...],
    columns: tuple[Column, ...],
    *,
    about: str,
    empty: str,
    sort: str,
    is_descending: bool = True,
) -> Json:
    """Return a row for each group, joined from one instant query a column.

    Args:
        title: Of the panel.
        rows: Labels that say which row a value belongs to, and the heads of their columns.
        columns: The numbers.
        about: What a row is.
        empty: What it means when there are none.
        sort: The head of the column to sort by.
        is_descending: Highest first.
    """
    targets = [
        _target(Query(column.query), is_instant=True) | {"refId": ref_id, "format": "table"}
        for ref_id, column in zip(_REF_IDS, columns, strict=False)
    ]
    panel = _panel("table", title, about, targets)
    # What is written in a cell without a value, and what is written where there is no row, are one setting.
    cells = override("/.*/", noValue=NOTHING)
    overrides = (cells, *(override(column.title, **column.properties()) for column in columns))
    panel["fieldConfig"] = _field_config(units.WHOLE, empty, levels=NEUTRAL, overrides=overrides)
    panel["fieldConfig"]["defaults"]["custom"] = {"align": "auto", "filterable": True, "cellOptions": {"type": "auto"}}
    panel["options"] = {
        "cellHeight": "sm",
        "showHeader": True,
        "sortBy": [{"displayName": sort, "desc": is_descending}],
    }
    panel["transformations"] = _joined(rows, columns)
    return panel


def _joined(rows: tuple[tuple[str, str], ...], columns: tuple[Column, ...]) -> list[Json]:
    """Return the steps that make one table of the answers: same labels, same row."""
    # With one query Grafana calls its column `Value`, with several `Value #A`.
    values = ["Value"] if len(columns) == 1 else [f"Value #{ref_id}" for ref_id in _REF_IDS[: len(columns)]]
    titles = dict(rows) | dict(zip(values, (column.title for column in columns), strict=True))
    organize = {
        "excludeByName": {"Time": True},
        "indexByName": {name: position for position, name in enumerate(titles)},
        "renameByName": titles,
    }
    return [{"id": "merge", "options": {}}, {"id": "organize", "options": organize}]


# --- Their parts ------------------------------------------------------------------------------------------


def over(panel: Json, time_from: str) -> Json:
    """Return a panel that has a time range of its own, relative to now."""
    return panel | {"timeFrom": time_from}


def _panel(kind: str, title: str, about: str, targets: list[Json]) -> Json:
    for target, ref_id in zip(targets, _REF_IDS, strict=False):
        target["refId"] = ref_id
    return {"type": kind, "title": title, "description": about, "datasource": DATASOURCE, "targets": targets}


def _target(query: Query, *, is_instant: bool) -> Json:
    assert not (is_instant and query.has_exemplars), "an exemplar lies on a graph"
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": is_instant,
        "range": not is_instant,
        "exemplar": query.has_exemplars,
    }


def _field_config(
    unit: str,
    empty: str,
    *,
    levels: Levels,
    decimals: int | None = None,
    least: float | None = None,
    texts: tuple[tuple[float, str], ...] = (),
    overrides: tuple[Json, ...] = (),
) -> Json:
    defaults: Json = {
        "unit": unit,
        "noValue": empty,
        "color": {"mode": "thresholds"},
        "thresholds": levels.to_json(),
        "mappings": texts_to_json(texts),
    }
    optional = {"decimals": decimals, "min": least}
    if unit == units.COUNT:
        # Prometheus takes the edges of a range for steady: without this, of 7 calls 7.3 are shown.
        optional["decimals"] = decimals or 0
    defaults |= {key: value for key, value in optional.items() if value is not None}
    return {"defaults": defaults, "overrides": list(overrides)}
