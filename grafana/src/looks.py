"""How things look: colours by value, lines, columns, and other settings for single series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grafana.src import units

Json = dict[str, Any]

GREEN, YELLOW, RED, BLUE, TEXT = "green", "yellow", "red", "blue", "text"
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Levels:
    """Colours by value: the first up to the first bound, and so on.

    Attributes:
        first: The colour below every bound.
        bounds: From which value on, and which colour then; ascending.
    """

    first: str
    bounds: tuple[tuple[float, str], ...] = ()

    def to_json(self) -> Json:
        """Return Grafana's thresholds."""
        steps = [{"value": None, "color": self.first}, *({"value": at, "color": color} for at, color in self.bounds)]
        return {"mode": "absolute", "steps": steps}


NEUTRAL = Levels(TEXT)
PLAIN = Levels(BLUE)
ANY_IS_BAD = Levels(GREEN, ((1e-9, RED),))
ANY_IS_WORTH_A_LOOK = Levels(GREEN, ((1e-9, YELLOW),))
OF_LIMIT = Levels(GREEN, ((0.8, YELLOW), (1.0, RED)))


_CALC_TITLES = {"mean": "Mean", "max": "Max"}
"""What Grafana calls them, where a legend says what it is sorted by."""


@dataclass(frozen=True, slots=True)
class Lines:
    """How the lines of a graph are drawn.

    Attributes:
        stacking: `none`; `normal`: they are parts of a whole; `percent`: and their share of it is what counts.
        calcs: What the legend says of each (`mean`, `max`); it is a table then.
        levels: Bounds to draw across.
        most: The upper end of the axis, unless a value is higher. The lower one is 0.
    """

    stacking: str = "none"
    calcs: tuple[str, ...] = ()
    levels: Levels | None = None
    most: float | None = None

    def custom(self) -> Json:
        """Return Grafana's own settings of a graph."""
        is_area = self.stacking != "none"
        return {
            "drawStyle": "line",
            "lineWidth": 1 if is_area else 2,
            "fillOpacity": 60 if is_area else 0,
            "gradientMode": "none",
            "lineInterpolation": "linear",
            "showPoints": "auto",
            "spanNulls": False,
            "stacking": {"group": "A", "mode": self.stacking},
            "thresholdsStyle": {"mode": "dashed" if self.levels else "off"},
            **({} if self.most is None else {"axisSoftMax": self.most}),
        }

    def legend(self) -> Json:
        """Return Grafana's settings of the legend."""
        if not self.calcs:
            return {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}
        order = {"sortBy": _CALC_TITLES[self.calcs[0]], "sortDesc": True}
        return {"showLegend": True, "displayMode": "table", "placement": "right", "calcs": list(self.calcs), **order}


LINES = Lines()
STACK = Lines(stacking="normal")
SHARES = Lines(stacking="percent")


@dataclass(frozen=True, slots=True)
class Column:
    """A number in a table.

    Attributes:
        title: The head of the column.
        query: An instant query; its labels say which row it belongs to.
        unit: Of `units`.
        levels: Colours of the text, or of the bar.
        bar_to: Draw a bar, full at this value.
        width: Pixels; by default what is left.
        texts: What to write for single values.
        empty: What to write where the row has no such number.
        decimals: Digits after the point; by default as many as fit.
    """

    title: str
    query: str
    unit: str
    levels: Levels | None = None
    bar_to: float | None = None
    width: int | None = None
    texts: tuple[tuple[float, str], ...] = ()
    empty: str = NOTHING
    decimals: int | None = None

    def properties(self) -> Json:
        """Return Grafana's settings of the column."""
        properties: Json = {"unit": self.unit, "noValue": self.empty}
        if self.decimals is not None or self.unit == units.COUNT:
            properties["decimals"] = self.decimals or 0
        if self.width is not None:
            properties["custom.width"] = self.width
        if self.levels is not None:
            properties |= {"thresholds": self.levels.to_json(), "color": {"mode": "thresholds"}}
        if self.levels is not None or self.texts:
            # Nothing is neither good nor bad, but would take the colour of the lowest level.
            properties["mappings"] = [*texts_to_json(self.texts), _neutral(self.empty)]
        if self.bar_to is not None:
            properties["custom.cellOptions"] = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
            # Without bounds of its own a bar is measured against every number of the table.
            properties |= {"min": 0, "max": self.bar_to}
        elif self.levels is not None:
            properties["custom.cellOptions"] = {"type": "color-text"}
        return properties


def override(name: str, **properties: Any) -> Json:
    """Return other settings for the series or column of a name; `/.../` is a pattern."""
    return {
        "matcher": {"id": "byRegexp" if name.startswith("/") else "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def dashed(name: str, color: str = TEXT) -> Json:
    """Return the settings of a line to compare with."""
    return override(
        name,
        **{
            "color": {"mode": "fixed", "fixedColor": color},
            "custom.fillOpacity": 0,
            "custom.lineStyle": {"fill": "dash", "dash": [8, 6]},
            "custom.lineWidth": 2,
        },
    )


def colored(name: str, color: str) -> Json:
    """Return a fixed colour for a series whose meaning has one."""
    return override(name, color={"mode": "fixed", "fixedColor": color})


def texts_to_json(texts: tuple[tuple[float, str], ...]) -> list[Json]:
    """Return Grafana's mappings of single values."""
    named = {f"{value:.15g}": {"text": text, "index": i} for i, (value, text) in enumerate(texts)}
    return [{"type": "value", "options": named}] if named else []


def _neutral(empty: str) -> Json:
    result = {"text": empty, "color": TEXT, "index": 99}
    return {"type": "special", "options": {"match": "null+nan", "result": result}}
