"""The committed JSON is what Grafana 13's own types say: a misspelt option would be ignored without a word."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from tests.grafana.asked import BOARDS, panels

SCHEMAS = Path(__file__).parent / "schemas"
UNTYPED = {"expr", "step", "tagKeys", "textFormat", "titleFormat", "useValueForTime"}
"""Fields of an annotation that belong to the Prometheus data source, which the types do not cover."""
EVERY_PANEL = [
    pytest.param(panel, id=f"{uid}-{panel['id']}") for uid, board in BOARDS.items() for panel in panels(board)
]


@cache
def schema(name: str) -> Draft7Validator:
    """Return the schema of a type."""
    return Draft7Validator(json.loads((SCHEMAS / f"{name}.json").read_text()))


def complaints(name: str, instance: object) -> list[str]:
    """Return what is wrong with some JSON."""
    return [f"{'/'.join(map(str, each.path))}: {each.message}" for each in schema(name).iter_errors(instance)]


@pytest.mark.parametrize("uid", BOARDS)
def test_a_dashboard_is_one(uid):
    """Every property is known, and every choice is one of Grafana's."""
    board = copy.deepcopy(BOARDS[uid])
    for variable in board["templating"]["list"]:
        # The query as text, beside the one as an object: Grafana writes both, and types one.
        variable.pop("definition", None)
        # Empty: Grafana takes its default data source.
        if variable["type"] == "datasource":
            assert {} == variable.pop("current")
    for annotation in board["annotations"]["list"]:
        for name in UNTYPED:
            del annotation[name]

    assert [] == complaints("dashboard", board)


@pytest.mark.parametrize("panel", EVERY_PANEL)
def test_the_options_of_a_panel_are_its_kind_s(panel):
    """What a kind of panel does not know it would ignore."""
    kind = panel["type"].replace("-", "")

    assert [] == complaints(f"{kind}-Options", panel["options"])
    custom = panel["fieldConfig"]["defaults"].get("custom")
    assert custom is None or [] == complaints(f"{kind}-FieldConfig", custom)


def test_a_misspelt_option_is_found():
    """The schemas are closed."""
    assert complaints("timeseries-FieldConfig", {"fillOpactiy": 10})
    assert complaints("stat-Options", {"graphMode": "aera"})
