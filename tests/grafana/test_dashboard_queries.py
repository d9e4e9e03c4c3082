"""What the dashboards ask: names that exist, PromQL that parses, and numbers that are right."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from grafana.src.queries.promql import ENVIRONMENT, FEATURE, JOB, TEAM
from llm_otel import semconv
from tests.exporters.tools import built, packaged, run
from tests.grafana.asked import BOARDS, column, each_query, filled, the_query

SPECS = {
    f"{spec.prometheus_name}{suffix}": spec
    for spec in semconv.METRICS
    for suffix in (("_bucket", "_sum", "_count") if spec.buckets else ("",))
}
OF_A_CALL = {semconv.LABEL_PROVIDER, semconv.LABEL_MODEL, semconv.LABEL_OPERATION, TEAM, FEATURE}
OF_A_TARGET = {JOB, ENVIRONMENT, "instance"}
NOT_OURS = {"up": set(), "ALERTS": {"alertname", "alertstate", semconv.LABEL_BUDGET}}
"""What Prometheus itself writes, and which labels that has beside those of a target."""
_SELECTOR = re.compile(r"\b([a-zA-Z_]\w*)\{([^}]*)\}")
EVERY_QUERY = [pytest.param(each, id=str(each)) for each in each_query()]


def labels_of(name: str) -> set[str]:
    """Return the labels that a series of a name can have."""
    if name in NOT_OURS:
        return NOT_OURS[name] | OF_A_TARGET
    spec = SPECS[name]
    own = {*spec.labels, *(OF_A_CALL if spec.is_per_model else ())}
    return own | OF_A_TARGET | ({"le"} if spec.buckets else set())


def selectors(expr: str) -> list[tuple[str, set[str]]]:
    """Return name and labels of each selector. None stands without braces: everything is chosen by variables."""
    return [(name, set(re.findall(r"(\w+)\s*=?[=!]~?", inner))) for name, inner in _SELECTOR.findall(expr)]


# --- Names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", EVERY_QUERY)
def test_a_query_names_metrics_and_labels_that_exist(asked):
    """A metric that is renamed in semconv breaks this before it breaks a dashboard that was not made anew."""
    found = selectors(asked.expr)

    assert found
    assert set() == {name for name, _ in found} - SPECS.keys() - NOT_OURS.keys()
    assert {} == {name: extra for name, labels in found if (extra := labels - labels_of(name))}


@pytest.mark.parametrize("asked", EVERY_QUERY)
def test_a_query_is_of_what_the_viewer_chose(asked):
    """Every selector has the variables that its series have labels for."""
    chosen = {f'{JOB}=~"$service"', f'{ENVIRONMENT}=~"$environment"'}
    of_calls = {f'{label}=~"${label}"' for label in (TEAM, FEATURE, semconv.LABEL_PROVIDER, semconv.LABEL_MODEL)}

    for name, inner in _SELECTOR.findall(asked.expr):
        is_of_calls = name in SPECS and SPECS[name].is_per_model
        assert (chosen | of_calls if is_of_calls else chosen) <= set(inner.split(", "))


@pytest.mark.parametrize("asked", EVERY_QUERY)
def test_the_labels_of_a_legend_are_in_the_answer(asked):
    """A legend that names a label which was summed away shows nothing."""
    kept = {label for group in re.findall(r" by \(([^)]*)\)", asked.expr) for label in group.split(", ")}
    if " by (" not in asked.expr.partition(" and ")[0]:
        kept |= OF_A_TARGET

    assert set() == set(asked.legend_labels) - kept


@pytest.mark.parametrize("asked", EVERY_QUERY)
def test_a_counter_is_asked_for_its_growth(asked):
    """The value of a counter means nothing: it starts at 0 with its process."""
    for found in re.finditer(r"(?:(rate|increase|group|count_over_time)\()?\b([a-z_]\w*)\{[^}]*\}(\[)?", asked.expr):
        function, name, is_range = found.groups()
        if name.endswith(("_total", "_bucket")):
            assert (function in {"rate", "increase"} and is_range) or function == "group"


@pytest.mark.parametrize("asked", EVERY_QUERY)
def test_a_graph_looks_back_as_far_as_its_steps_are_apart(asked):
    """A fixed window misses what lies between two steps, or has no two scrapes in it."""
    windows = set(re.findall(r"(?:rate|increase)\([^[(]*\[([^]]+)\]", asked.expr))

    assert windows <= ({"$__range", "1h", "1d", "$pace"} if asked.is_instant else {"$__rate_interval", "$pace"})


def test_gauges_of_a_shared_ledger_are_not_added_up():
    """They are the same from every process."""
    gauges = "|".join(spec.prometheus_name for spec in (*semconv.BUDGET_GAUGES, semconv.LEDGER_UP))

    for asked in each_query():
        for found in re.finditer(rf"(\w+)(?: by \([^)]*\))? ?\((?:{gauges})\{{", asked.expr):
            assert found[1] in {"max", "min", "timestamp"}, asked


def test_every_metric_is_on_a_dashboard():
    """What is recorded is there to be looked at."""
    asked = {name for each in each_query() for name, _ in selectors(each.expr)}

    assert set() == {spec.prometheus_name for spec in semconv.METRICS} - {
        SPECS[name].prometheus_name for name in asked if name in SPECS
    }


@pytest.mark.parametrize("uid", BOARDS)
def test_variables_and_annotations_name_what_exists(uid):
    """The lists to choose from come from the same metrics."""
    board = BOARDS[uid]
    queries = [each["definition"] for each in board["templating"]["list"] if each["type"] == "query"]

    for query in [*queries, *(each["expr"] for each in board["annotations"]["list"])]:
        ((name, labels),) = selectors(query)
        wanted = re.search(r", (\w+)\)$", query)
        assert labels | ({wanted[1]} if wanted else set()) <= labels_of(name)


# --- PromQL -----------------------------------------------------------------------------------------------


@pytest.fixture(params=[built, packaged], ids=["built", "packaged"])
def promtool(request):
    """The tool of the long-term release, and the one that the system has."""
    return request.param("promtool")


def test_every_query_parses(promtool, tmp_path):
    """Prometheus takes them all, with the variables filled in."""
    rules = [{"record": f"query:{i}", "expr": filled(each.expr)} for i, each in enumerate(each_query())]
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))

    checked = run(promtool, "check", "rules", "--lint=none", path)

    assert 0 == checked.returncode, checked.stdout


class Prometheus:
    """Evaluates expressions over series that are written down: `promtool test rules`.

    Args:
        promtool: The program.
        path: A file to write cases to.
        series: Name and labels, and values in promtool's notation.
        interval_s: Between two values.
    """

    def __init__(self, promtool: str, path: Path, series: dict[str, str], interval_s: int) -> None:
        self._promtool = promtool
        self._path = path
        self._series = [{"series": name, "values": values} for name, values in series.items()]
        self._interval = f"{interval_s}s"

    def holds(self, expr: str, at: str, expected: dict[str, float]) -> None:
        """Compare the answer at a time, series by series; values within a millionth."""
        # Rounded, since older releases compare floats bit by bit.
        test = {
            "expr": f"round({expr}, 1e-6)",
            "eval_time": at,
            "exp_samples": [{"labels": labels, "value": value} for labels, value in expected.items()],
        }
        case = {"interval": self._interval, "input_series": self._series, "promql_expr_test": [test]}
        cases = {"rule_files": [], "evaluation_interval": self._interval, "tests": [case]}
        self._path.write_text(json.dumps(cases))

        ran = run(self._promtool, "test", "rules", self._path)

        assert 0 == ran.returncode, ran.stdout


@pytest.fixture
def prometheus(promtool, tmp_path):
    """Makes a Prometheus that has seen some series."""
    return lambda series, *, interval_s: Prometheus(promtool, tmp_path / "cases.yml", series, interval_s)


# --- Spend equals the ledger ------------------------------------------------------------------------------

SCRAPE_S = 15
DAY = 86_400 // SCRAPE_S
CALLS, PROCESSES = 50, 5


def a_slow_day(*, is_born_at_zero: bool, has_new_instances: bool) -> tuple[dict[str, str], float]:
    """Return what a Prometheus saw of a service with 50 calls a day and four restarts, and what was spent.

    Args:
        is_born_at_zero: Whether counters were scraped at 0 before their first call: made at 0 by the library, and where
            the first call ended before the next scrape, by Prometheus from their created timestamp.
        has_new_instances: Whether a restart gets a new `instance`, as a pod does, or keeps it, as a fixed target does.
    """
    rng = random.Random(50)
    groups = [(team, model) for team in ("search", "growth", "labs") for model in ("a", "b", "c", "d")]
    spent = 0.0
    seen: dict[str, list[str]] = {}
    for process in range(PROCESSES):
        start, end = process * DAY // PROCESSES + 8, (process + 1) * DAY // PROCESSES
        calls = [(rng.randrange(start, end - 2), rng.choice(groups)) for _ in range(CALLS // PROCESSES)]
        for team, model in sorted({group for _, group in calls}):
            at = sorted(scrape for scrape, group in calls if group == (team, model))
            costs = [round(rng.uniform(0.001, 0.05), 6) for _ in at]
            spent += sum(costs)
            instance = f"pod-{process}" if has_new_instances else "host"
            name = f'{semconv.COST.prometheus_name}{{job="s", instance="{instance}", team="{team}", model="{model}"}}'
            samples = seen.setdefault(name, ["_"] * DAY)
            total = sum(costs)
            value = 0.0
            for scrape in range(at[0] - is_born_at_zero, end):
                while at and at[0] <= scrape:
                    at.pop(0)
                    value += costs.pop(0)
                samples[scrape] = f"{value:.6f}"
            assert abs(value - total) < 1e-9
            if end < DAY:
                samples[end] = "stale"
    return {name: " ".join(samples) for name, samples in seen.items()}, spent


@pytest.mark.parametrize("has_new_instances", [False, True], ids=["same-instance", "new-instances"])
def test_the_spend_of_a_slow_service_is_that_of_the_ledger(prometheus, has_new_instances):
    """Within 1 %, with 50 calls a day and four restarts."""
    series, spent = a_slow_day(is_born_at_zero=True, has_new_instances=has_new_instances)
    spend = filled(the_query("spend", "Spend"), range_s=86_400)

    seen = prometheus(series, interval_s=SCRAPE_S)

    seen.holds(f"abs({spend} / {spent:.6f} - 1) < bool 0.01", "86385s", {"{}": 1})


def test_without_the_zeros_most_of_it_would_be_lost(prometheus):
    """Why counters are made at 0 and created timestamps taken in: `increase` never sees the first value."""
    series, spent = a_slow_day(is_born_at_zero=False, has_new_instances=True)
    spend = filled(the_query("spend", "Spend"), range_s=86_400)

    seen = prometheus(series, interval_s=SCRAPE_S)

    seen.holds(f"{spend} / {spent:.6f} < bool 0.5", "86385s", {"{}": 1})


def test_a_call_without_a_team_is_in_the_spend_and_has_a_name(prometheus):
    """To Prometheus an empty label is none: "All" still has it, and the bar is not blank."""
    cost = semconv.COST.prometheus_name
    series = {f'{cost}{{job="s", model="a"}}': "0+1x240", f'{cost}{{job="s", team="x", model="a"}}': "0+3x240"}

    seen = prometheus(series, interval_s=15)

    seen.holds(filled(the_query("spend", "Spend")), "1h", {"{}": 960})
    by_team = filled(the_query("spend", "Spend by team"))
    seen.holds(by_team, "1h", {'{team="x"}': 720, '{team="(no team)"}': 240})
    chosen = filled(the_query("spend", "Spend"), team="x")
    seen.holds(chosen, "1h", {"{}": 720})


def test_answers_from_a_cache_are_a_part_of_what_was_not_refused(prometheus):
    """Three of four; who has none has 0 of them, and who only was refused has no answer."""
    requests, row = semconv.REQUESTS.prometheus_name, 'job="s", team="t", feature="f"'
    grown = {("m", "success"): 1, ("m", "cached"): 3, ("m", "denied"): 4, ("n", "success"): 1, ("n", "cached"): 0}
    grown |= {("o", "denied"): 1, ("o", "cached"): 0}
    series = {
        f'{requests}{{{row}, model="{model}", outcome="{outcome}"}}': f"0+{growth}x240"
        for (model, outcome), growth in grown.items()
    }
    share = filled(column("spend", "Spend by team, feature and model", "Answers from cache"))

    expected = {f'{{team="t", feature="f", model="{model}"}}': part for model, part in (("m", 0.75), ("n", 0))}
    prometheus(series, interval_s=15).holds(share, "1h", expected)


def test_the_month_is_projected_at_the_pace_of_the_last_day(prometheus):
    """Promtool's clock begins with January 1970: a dollar an hour, a day old, ends as 744 dollars."""
    series = {
        f'{semconv.COST.prometheus_name}{{job="s"}}': "0+0.016666666666666666x1440",
        f'{semconv.BUILD_INFO.prometheus_name}{{job="s"}}': "1+0x1440",
    }
    seen = prometheus(series, interval_s=60)
    month_end = filled(the_query("spend", "Projected month end"), range_s=86_400)

    seen.holds(f"abs(({month_end}) - 744) < bool 8", "24h", {"{}": 1})
    elsewhere = filled(the_query("spend", "Projected month end"), range_s=7 * 86_400)
    seen.holds(elsewhere, "24h", {})


def test_a_service_of_some_seconds_has_a_month_end(prometheus):
    """The pace is taken to the minute, and no full minute has seen it yet: that is a number all the same."""
    series = {
        f'{semconv.COST.prometheus_name}{{job="s"}}': "_ 0 1 2",
        f'{semconv.BUILD_INFO.prometheus_name}{{job="s"}}': "_ 1 1 1",
    }
    month_end = filled(the_query("spend", "Projected month end"), range_s=45)

    prometheus(series, interval_s=15).holds(f"({month_end}) > bool 2", "45s", {"{}": 1})


# --- Budgets ----------------------------------------------------------------------------------------------


def budget(name: str, *, limit: float, spent: str, counted: str, scope: str = "", resets_at: int | None = None):
    """Return the series of a budget, from two processes that share the ledger."""
    series = {}
    for instance in ("a", "b"):
        labels = f'{{job="s", instance="{instance}", budget="{name}"' + (f', scope="{scope}"}}' if scope else "}")
        for spec, values in (
            (semconv.BUDGET_LIMIT, f"{limit}+0x120"),
            (semconv.BUDGET_SPENT, spent),
            (semconv.BUDGET_HELD, "0+0x120"),
            (semconv.BUDGET_SPEND, counted),
            (semconv.BUDGET_RESET_TIMESTAMP, None if resets_at is None else f"{resets_at}+0x120"),
            (semconv.BUDGET_WINDOW, None if resets_at is None else "86400+0x120"),
        ):
            if values is not None:
                series[f"{spec.prometheus_name}{labels}"] = values
    return series


AT = "119m30s"
"""Between two scrapes: a subquery that begins and ends on a step has one step more with Prometheus 2 than with 3."""
RESET = 86_370
"""22 hours after that."""


@pytest.fixture
def budgets(prometheus):
    """Two hours of four budgets; each process spends half of what the ledger has."""
    return prometheus(
        {
            # 1 USD an hour, 2 spent, 2 left, 22 hours to go: gone in two.
            **budget(
                "tight",
                limit=4,
                spent="0.016666666666666666+0.016666666666666666x120",
                counted="0+0.008333333333333333x120",
                resets_at=RESET,
            ),
            # The same pace, but 98 left.
            **budget(
                "wide",
                limit=100,
                spent="0.016666666666666666+0.016666666666666666x120",
                counted="0+0.008333333333333333x120",
                resets_at=RESET,
            ),
            # For a lifetime, 1 USD an hour, 8 left.
            **budget(
                "life",
                limit=10,
                spent="0.016666666666666666+0.016666666666666666x120",
                counted="0+0.008333333333333333x120",
            ),
            # Used up, and nothing is spent any more.
            **budget("gone", limit=1, spent="1+0x120", counted="0+0x120", scope="x", resets_at=RESET),
        },
        interval_s=60,
    )


STANDINGS = "Budgets, soonest to run out first"


def test_which_budget_runs_out_next(budgets):
    """By headroom and pace; what lasts until its reset is not among them, what is used up only for want of others."""
    budgets.holds(
        filled(column("budgets", STANDINGS, "Runs out in")),
        AT,
        {
            '{budget="gone", scope="x"}': 0,
            '{budget="tight"}': 7_200,
            '{budget="life"}': 28_800,
            '{budget="wide"}': 10**10,
        },
    )
    budgets.holds(filled(the_query("budgets", "Runs out next")), AT, {'{budget="tight"}': 7_200})
    gone = filled(the_query("budgets", "Runs out next"), budget="gone|wide")
    budgets.holds(gone, AT, {'{budget="gone", scope="x"}': 0})
    budgets.holds(filled(the_query("budgets", "Runs out next"), budget="wide"), AT, {})


def test_gauges_are_taken_once_and_counters_added(budgets):
    """Two processes show the same ledger, and each counts its own."""
    budgets.holds(filled(column("budgets", STANDINGS, "Spent"), budget="tight"), AT, {'{budget="tight"}': 2})
    budgets.holds(filled(column("budgets", STANDINGS, "Headroom"), budget="tight"), AT, {'{budget="tight"}': 2})
    budgets.holds(filled(column("budgets", STANDINGS, "$ / hour"), budget="tight"), AT, {'{budget="tight"}': 1})
    budgets.holds(filled(the_query("budgets", "Used up")), AT, {"{}": 1})
    budgets.holds(filled(the_query("budgets", "Used up"), budget="wide"), AT, {"{}": 0})
    budgets.holds(filled(the_query("budgets", "Used up"), budget="none"), AT, {})


def test_what_a_budget_comes_to_at_its_reset(budgets):
    """2 spent and 22 hours at a dollar: six times the limit of 4; the burn rate says the same of a whole day."""
    at_reset = filled(column("budgets", STANDINGS, "At reset, of limit"), budget="tight|life")
    budgets.holds(at_reset, AT, {'{budget="tight"}': 6})
    budgets.holds(filled(the_query("budgets", "Burn rate"), budget="tight"), AT, {'{budget="tight"}': 6})
    budgets.holds(filled(the_query("budgets", "Burn rate"), budget="wide"), AT, {'{budget="wide"}': 0.24})


def test_a_service_that_just_began_has_its_real_pace(budgets):
    """Ten minutes of an hour are not an hour: spend is divided by the time in which there was any to see."""
    budgets.holds(
        f"abs({filled(column('budgets', STANDINGS, '$ / hour'), budget='tight')} - 1) < bool 0.15",
        "10m",
        {'{budget="tight"}': 1},
    )


def test_a_rolling_window_runs_out_only_if_more_comes_in_than_leaves_it(prometheus):
    """Its reset is always a window away: at a pace below limit / window it stays where it is, however full."""
    day = 86_400

    def rolling(name: str, limit: float) -> dict[str, str]:
        series = budget(name, limit=limit, spent="20+0x120", counted="0+0.008333333333333333x120", resets_at=0)
        ends = f"{day + 60}+60x120"
        return {key: ends if "reset_timestamp" in key else values for key, values in series.items()}

    # At 1 USD an hour a day holds 24.
    seen = prometheus(rolling("full", 25) | rolling("small", 22), interval_s=60)

    seen.holds(filled(the_query("budgets", "Runs out next")), AT, {'{budget="small"}': 7_200})
    seen.holds(filled(column("budgets", STANDINGS, "At reset, of limit"), budget="full"), AT, {'{budget="full"}': 0.96})


def test_budgets_of_two_environments_are_two(prometheus):
    """Production does not run out because the tests did."""
    series = {
        key.replace('job="s"', f'job="s", environment="{environment}"'): values
        for environment, spent in (("prod", "1+0x120"), ("test", "4+0x120"))
        for key, values in budget("team", limit=4, spent=spent, counted="0+0x120").items()
    }
    seen = prometheus(series, interval_s=60)

    gone = {'{budget="team", environment="(test)"}': 0}
    seen.holds(filled(the_query("budgets", "Runs out next")), AT, gone)
    used = {'{budget="team", environment="prod"}': 0.25, '{budget="team", environment="test"}': 1}
    seen.holds(filled(column("budgets", STANDINGS, "Used")), AT, used)


@pytest.mark.parametrize(
    ("spent", "denials", "reason", "runs_out_in", "used_up"),
    [
        # A tenth is left, and no call that came fits into it.
        (9, "0+1x120", "exhausted", 0, 1),
        # They were refused an hour ago: the budget was given more since, or smaller calls come now.
        (9, "0+1x50 50+0x70", "exhausted", 10**10, 0),
        # One call asked for much; the others go on.
        (5, "0+1x120", "exhausted", 10**10, 0),
        (9, "0+1x120", "in_flight", 10**10, 0),
    ],
)
def test_a_budget_that_refuses_for_want_of_money_is_used_up(prometheus, spent, denials, reason, runs_out_in, used_up):
    """What is left is too little for the calls that come, so it stays left: no pace would ever say that it is out."""
    series = budget("full", limit=10, spent=f"{spent}+0x120", counted="0+0x120", resets_at=RESET)
    labels = f'{{job="s", instance="a", budget="full", reason="{reason}"}}'
    seen = prometheus(series | {f"{semconv.BUDGET_DENIALS.prometheus_name}{labels}": denials}, interval_s=60)

    seen.holds(filled(column("budgets", STANDINGS, "Runs out in")), AT, {'{budget="full"}': runs_out_in})
    seen.holds(filled(the_query("budgets", "Used up")), AT, {"{}": used_up})


@pytest.mark.parametrize("head", ["$ / hour", "Refused"])
def test_a_scope_that_has_not_spent_since_the_reset_has_no_row(prometheus, head):
    """Its counters go on, but the ledger knows nothing of it: a row without a limit would stand above all others."""
    labels = 'job="s", instance="a", budget="team", scope="quiet"'
    series = {
        f"{semconv.BUDGET_SPEND.prometheus_name}{{{labels}}}": "0+1x120",
        f'{semconv.BUDGET_DENIALS.prometheus_name}{{{labels}, reason="exhausted"}}': "0+1x120",
    }

    prometheus(series, interval_s=60).holds(filled(column("budgets", STANDINGS, head)), AT, {})


def test_a_limit_of_nothing_is_used_up(prometheus):
    """0 USD refuses everything: that is no division by zero."""
    series = budget("none", limit=0, spent="0+0x120", counted="0+0x120", resets_at=RESET)
    seen = prometheus(series, interval_s=60)

    seen.holds(filled(column("budgets", STANDINGS, "Runs out in")), AT, {'{budget="none"}': 0})
    seen.holds(filled(column("budgets", STANDINGS, "Used")), AT, {})
    seen.holds(filled(the_query("budgets", "Used up")), AT, {"{}": 1})


# --- Reliability ------------------------------------------------------------------------------------------


def test_circuits_are_of_processes_and_models_are_counted_once(prometheus):
    """Two processes leave a model alone, one of them another; a third model is well, and so is one of the same name."""
    opened, refusals = semconv.CIRCUIT_OPENED.prometheus_name, semconv.CIRCUIT_REFUSALS.prometheus_name
    series = {}
    for provider, model, states in (("x", "down", "11"), ("x", "ill", "01"), ("x", "well", "00"), ("y", "down", "00")):
        for instance, is_open in zip("ab", states, strict=True):
            labels = f'job="s", instance="{instance}", provider="{provider}", model="{model}"'
            series[f"{semconv.CIRCUIT_OPEN.prometheus_name}{{{labels}}}"] = f"{is_open}+0x240"
            series[f"{opened}{{{labels}}}"] = f"0+{is_open}x240"
            series[f"{refusals}{{{labels}}}"] = f"0+{3 * int(is_open)}x240"
    seen = prometheus(series, interval_s=15)

    def asked(title: str, **variables: str) -> str:
        return filled(the_query("reliability", title), **variables)

    seen.holds(asked("Open circuits"), "1h", {"{}": 2})
    seen.holds(asked("Open circuits", model="ill|well"), "1h", {"{}": 1})
    seen.holds(asked("Open circuits", provider="y"), "1h", {"{}": 0})
    seen.holds(asked("Open circuits", service="other"), "1h", {})
    by_model = {'{provider="x", model="down"}': 2, '{provider="x", model="ill"}': 1}
    seen.holds(asked("Open circuits, by model"), "1h", by_model)
    not_made = {'{provider="x", model="down"}': 0.4, '{provider="x", model="ill"}': 0.2}
    seen.holds(asked("Attempts not made, by model"), "1h", not_made)
    openings = {'{provider="x", model="ill"}': 240, '{provider="x", model="well"}': 0}
    column_of = column("reliability", "Providers and models", "Circuit opened")
    seen.holds(filled(column_of, model="ill|well"), "1h", openings)


# --- Telemetry health -------------------------------------------------------------------------------------


def test_metrics_and_ledger_come_to_the_same(prometheus):
    """Over a reset too: the ledger's gauge falls to 0, and what was spent before stays counted."""
    spend, spent = semconv.BUDGET_SPEND.prometheus_name, semconv.BUDGET_SPENT.prometheus_name
    series = {
        f'{spend}{{job="s", budget="day"}}': "0+0.1x120",
        f'{spent}{{job="s", budget="day"}}': "0+0.1x59 0+0.1x60",
    }
    seen = prometheus(series, interval_s=60)
    books = "Charged to budgets: metrics and ledger"
    ask = {"range_s": 7_200, "step_s": 60}

    seen.holds(filled(column("health", books, "By the metrics"), **ask), "2h", {'{budget="day"}': 12})
    difference = filled(column("health", books, "Difference"), **ask)
    seen.holds(f"abs({difference}) < bool 0.02", "2h", {'{budget="day"}': 1})


def test_targets_of_other_programs_are_none_of_ours(prometheus):
    """Prometheus scrapes much; only jobs that showed the library's metrics within a day count."""
    series = {
        'up{job="s", instance="a"}': "1+0x60",
        'up{job="s", instance="b"}': "0+0x60",
        'up{job="node", instance="c"}': "0+0x60",
        f'{semconv.BUILD_INFO.prometheus_name}{{job="s", instance="a"}}': "1+0x60",
    }
    seen = prometheus(series, interval_s=60)

    seen.holds(filled(the_query("health", "Targets down")), "1h", {"{}": 1})
    seen.holds(
        filled(the_query("health", "Scrapes")),
        "1h",
        {'{job="s", instance="a"}': 1, '{job="s", instance="b"}': 0},
    )


def test_no_overflow_is_zero_and_no_calls_are_no_answer(prometheus):
    """0 is said only where it is known."""
    name = semconv.REQUESTS.prometheus_name
    overflow = filled(the_query("health", f"Calls in model {semconv.OVERFLOW_LABEL}"))

    some = prometheus({f'{name}{{job="s", model="a"}}': "0+1x240"}, interval_s=15)
    some.holds(overflow, "1h", {"{}": 0})
    none = prometheus({'up{job="s"}': "1+0x240"}, interval_s=15)
    none.holds(overflow, "1h", {})
