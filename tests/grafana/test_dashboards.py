"""The committed dashboards: made by the code, well-formed, and laid out so that people can read them.

Most rules are those of grafana/dashboard-linter that fit; its `job` and `instance` are our `service` and `environment`.
"""

from __future__ import annotations

import itertools
import re

import pytest

from grafana.src import units
from grafana.src.__main__ import main
from grafana.src.dashboards import rendered
from tests.grafana.asked import BOARDS, COMMITTED, DATASOURCE, each_query, panels

UIDS = [
    "llm-otel-budgets",
    "llm-otel-health",
    "llm-otel-reliability",
    "llm-otel-spend",
    "llm-otel-unit-economics",
]
EVERY_PANEL = [
    pytest.param(panel, id=f"{uid}-{panel['id']}") for uid, board in BOARDS.items() for panel in panels(board)
]
EVERY_BOARD = [pytest.param(board, id=uid) for uid, board in BOARDS.items()]
UNITS = {value for name, value in vars(units).items() if name.isupper()}
DASHBOARD_VARIABLES = ["datasource", "service", "environment", "team", "feature", "provider", "model"]


def test_what_is_committed_is_what_the_code_makes():
    """`make dashboards` was run."""
    assert rendered() == {path.name: path.read_text(encoding="utf-8") for path in COMMITTED.iterdir()}


def test_writing_removes_what_no_module_makes(tmp_path):
    """A dashboard that is gone from the code is gone from the files."""
    (tmp_path / "llm-otel-old.json").write_text("{}")

    main(tmp_path)

    assert sorted(rendered()) == sorted(path.name for path in tmp_path.iterdir())


def test_the_uids_stay():
    """They stand in bookmarks and in alerts."""
    assert sorted(BOARDS) == UIDS
    assert sorted(BOARDS) == sorted(board["uid"] for board in BOARDS.values())


@pytest.mark.parametrize("board", EVERY_BOARD)
def test_a_dashboard_can_be_provisioned_from_a_file(board):
    """Classic v1 JSON, no placeholders of an export, not to be edited where a restart would undo it."""
    assert (42, False) == (board["schemaVersion"], board["editable"])
    assert not {"__inputs", "__requires", "id", "apiVersion", "spec"} & board.keys()
    assert "DS_" not in str(board)


@pytest.mark.parametrize("board", EVERY_BOARD)
def test_a_dashboard_leads_to_the_others(board):
    """Time range and variables go along."""
    (link,) = board["links"]

    assert ("dashboards", board["tags"], True, True) == (
        link["type"],
        link["tags"],
        link["keepTime"],
        link["includeVars"],
    )


@pytest.mark.parametrize("board", EVERY_BOARD)
def test_every_dashboard_carries_every_variable(board):
    """Where one does not apply it is hidden, and kept for the way back."""
    variables = {each["name"]: each for each in board["templating"]["list"]}
    used = set(re.findall(r"\$([a-z_]\w*)", " ".join(t["expr"] for p in panels(board) for t in p["targets"])))

    assert set(DASHBOARD_VARIABLES) <= variables.keys()
    assert {name for name in used if not name.startswith("__")} <= variables.keys()
    shown = {name for name, each in variables.items() if each["hide"] == 0}
    assert {"datasource"} | {name for name in used if not name.startswith("__")} == shown


@pytest.mark.parametrize("board", EVERY_BOARD)
def test_all_matches_series_without_the_label_too(board):
    """Their "All" is `.*`, which matches an empty label; values are asked for again with each time range."""
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            assert (".*", True, True, 2, DATASOURCE) == (
                variable["allValue"],
                variable["includeAll"],
                variable["multi"],
                variable["refresh"],
                variable["datasource"],
            )


@pytest.mark.parametrize("board", EVERY_BOARD)
def test_panels_fill_the_width_and_do_not_overlap(board):
    """No two panels share a place, none leaves the grid, no line has a hole."""
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x, y in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    ]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])

    assert len(cells) == len(set(cells))
    assert set(cells) == set(itertools.product(range(24), range(height)))


@pytest.mark.parametrize("board", EVERY_BOARD)
def test_panels_have_ids_and_titles_of_their_own(board):
    """An id is what an address of one panel names."""
    ids, titles = ([panel[key] for panel in board["panels"]] for key in ("id", "title"))

    assert len(ids) == len(set(ids))
    assert len(titles) == len(set(titles))
    assert all(isinstance(each, int) and each > 0 for each in ids)


@pytest.mark.parametrize("panel", EVERY_PANEL)
def test_a_panel_says_what_it_shows(panel):
    """A title, a description, a unit of Grafana's, and what it means when there is nothing."""
    defaults = panel["fieldConfig"]["defaults"]

    assert panel["title"]
    assert panel["description"].endswith(".")
    assert defaults["unit"] in UNITS
    assert defaults["noValue"] not in {"", "No data", "0"}
    assert DATASOURCE == panel["datasource"]


@pytest.mark.parametrize("panel", EVERY_PANEL)
def test_a_panel_asks_once_for_one_number_and_at_each_step_for_a_graph(panel):
    """A number over `$__range` taken from the last step of a graph would be asked for a thousand times."""
    is_graph = panel["type"] in {"timeseries", "heatmap", "state-timeline"}

    assert panel["targets"]
    for target in panel["targets"]:
        assert (not is_graph, is_graph, DATASOURCE) == (target["instant"], target["range"], target["datasource"])
        assert is_graph or not target["exemplar"]
        assert ("$__range" if is_graph else "$__rate_interval") not in target["expr"]
    ref_ids = [target["refId"] for target in panel["targets"]]
    assert len(ref_ids) == len(set(ref_ids))


@pytest.mark.parametrize("panel", [each for each in EVERY_PANEL if each.values[0]["type"] == "table"])
def test_every_column_of_a_table_has_a_head_and_a_unit(panel):
    """Numbers are found by their query, and shown under their name; the sorted one is among them."""
    organize = panel["transformations"][-1]["options"]
    values = [name for name in organize["renameByName"] if name.startswith("Value")]
    heads = list(organize["renameByName"].values())
    dressed = {
        each["matcher"]["options"]: {p["id"] for p in each["properties"]} for each in panel["fieldConfig"]["overrides"]
    }

    assert len(panel["targets"]) == len(values)
    assert panel["options"]["sortBy"][0]["displayName"] in heads
    assert all("unit" in dressed[organize["renameByName"][value]] for value in values)
    assert all(target["format"] == "table" for target in panel["targets"])


def test_money_spent_and_time_waited_lead_to_traces():
    """From a spike to its trace in one click."""
    with_exemplars = {str(each) for each in each_query() if each.target["exemplar"]}

    assert {
        "llm-otel-reliability: Latency: B",
        "llm-otel-reliability: Time to first chunk: B",
        "llm-otel-spend: US dollars an hour, by model: A",
        "llm-otel-spend: US dollars an hour, by team: A",
    } <= with_exemplars


def test_alerts_are_marked_on_the_budgets():
    """What fired is seen where it was seen coming."""
    (annotation,) = BOARDS["llm-otel-budgets"]["annotations"]["list"]

    assert re.fullmatch(r'ALERTS\{alertname=~"LLMBudget\.\*", alertstate="firing", .*\}', annotation["expr"])
