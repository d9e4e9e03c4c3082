"""Matching: which budgets a call concerns, in which scope, and the row of each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_otel.budgets import matching
from llm_otel.budgets.budget import Budget
from llm_otel.budgets.ledger import HOLD_KEPT_MS
from llm_otel.budgets.matching import NO_VALUE, NOTHING, BudgetSet, Matched, line_of, run_budget, run_of
from llm_otel.errors import ConfigurationError

NOW_S = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp())
DAY_S = 86_400
MONTH_START_S = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
MONTH_END_S = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp())


def budget(id_: str = "team", **fields: Any) -> Budget:
    """A budget of 50 dollars a day, unless a test says otherwise."""
    return Budget(id_, **({"limit_usd": "50", "window": "day"} | fields))


def matched(
    *budgets: Budget, provider: str = "openai", model: str = "gpt-4o", now_s: int = NOW_S, **tags: str
) -> Matched:
    """Match a call with these tags against these budgets."""
    return BudgetSet(budgets).match(tags, provider=provider, model=model, now_s=now_s)


def scope(by: Any, **call: str) -> str:
    """Return the scope that a call falls into."""
    (line,) = matched(budget(by=by), **call).lines
    return line.scope


# --- scopes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (None, ""),
        ("team", "search"),
        ("model", "gpt-4o"),
        ("provider", "openai"),
        (("team", "model"), "search/gpt-4o"),
        (("model", "team"), "gpt-4o/search"),
        (("provider", "team", "feature"), "openai/search/answer"),
        ("customer", NO_VALUE),
        (("team", "customer"), f"search/{NO_VALUE}"),
    ],
)
def test_a_split_budget_has_a_scope_for_each_value(by: Any, expected: str) -> None:
    """A call without the tag is charged to `__none__`, never unbudgeted."""
    assert expected == scope(by, team="search", feature="answer")


def test_the_names_model_and_provider_are_the_calls_own() -> None:
    """A tag of that name does not stand in for them."""
    tags = {"model": "cheap", "provider": "mine"}
    (line,) = BudgetSet([budget(by=("model", "provider"))]).match(tags, provider="p", model="m", now_s=NOW_S).lines
    assert "m/p" == line.scope


def test_a_slash_in_a_value_is_no_slash_between_two() -> None:
    """Nor is a slash that somebody escaped; alone, a value stays as it is."""
    assert scope(("team", "feature"), team="a/b", feature="c") != scope(("team", "feature"), team="a", feature="b/c")
    assert "a%2Fb/c" == scope(("team", "feature"), team="a/b", feature="c")
    assert "a%252Fb/c" == scope(("team", "feature"), team="a%2Fb", feature="c")
    assert "openai/gpt-4o" == scope("model", model="openai/gpt-4o")


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_different_pairs_have_different_scopes(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Whatever the values are: text is free."""
    budgets = BudgetSet([budget(by=("team", "feature"))])
    scopes = {
        budgets.match({"team": team, "feature": feature}, provider="p", model="m", now_s=NOW_S).lines[0].scope
        for team, feature in (one, other)
    }
    assert len({one, other}) == len(scopes)


# --- conditions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "is_concerned"),
    [
        (None, True),
        ({}, True),
        ({"team": "search"}, True),
        ({"team": ("growth", "search")}, True),
        ({"team": "growth"}, False),
        ({"team": "sear"}, False),
        ({"team": "search", "feature": "answer"}, True),
        ({"team": "search", "feature": "digest"}, False),
        ({"model": "gpt-4o"}, True),
        ({"model": "gpt-4o-mini"}, False),
        ({"provider": ("anthropic", "openai")}, True),
        ({"customer": "acme"}, False),
        ({"customer": NO_VALUE}, True),
    ],
)
def test_a_condition_restricts_a_budget(match: Any, is_concerned: bool) -> None:
    """All names have to fit, each with one of its values; a missing tag has the value `__none__`."""
    found = matched(budget(match=match), team="search", feature="answer")
    assert is_concerned == bool(found.budgets)
    assert (found == NOTHING) is not is_concerned


def test_all_budgets_that_a_call_concerns_apply_at_once() -> None:
    """In the order of their declaration, whatever their kind."""
    company = budget("company", window="month")
    growth = budget("growth", match={"team": "growth"})
    user = budget("user", by="user", kind="soft")
    model = budget("model", by="model")
    found = matched(company, growth, user, model, team="search", user="u1")
    assert (company, user, model) == found.budgets
    assert [("company", ""), ("user", "u1"), ("model", "gpt-4o")] == [(line.budget, line.scope) for line in found.lines]


def test_a_set_without_budgets_concerns_nothing() -> None:
    """And is false, so that nobody need ask."""
    assert NOTHING == matched()
    assert not BudgetSet()
    assert BudgetSet([budget()])


def test_two_budgets_of_one_name_are_refused() -> None:
    """They would share their rows."""
    with pytest.raises(ConfigurationError, match="every budget has an id of its own"):
        BudgetSet([budget(), budget(limit_usd="1")])


def test_matches_are_joined_in_order() -> None:
    """The declared budgets, then those of the runs around a call."""
    declared, run = matched(budget("company")), matched(budget("run"))
    assert ("company", "run") == tuple(line.budget for line in declared.joined(run).lines)
    assert ("company", "run") == tuple(each.id for each in declared.joined(run).budgets)


# --- lines ------------------------------------------------------------------------------------------------------------


def test_a_line_says_what_the_ledger_has_to_know() -> None:
    """The row, the window, the limit, whether it refuses, and what is to be told."""
    (line,) = matched(budget(window="month", by="team"), team="search").lines
    assert ("team", "search") == (line.budget, line.scope)
    assert (MONTH_START_S, MONTH_END_S, (MONTH_START_S,)) == (line.start, line.end, line.starts)
    assert (50_000_000_000, True) == (line.limit, line.is_hard)
    assert (25_000_000_000, 40_000_000_000, 50_000_000_000) == line.thresholds


def test_a_soft_budget_has_a_line_that_does_not_refuse() -> None:
    """It counts and tells all the same."""
    (line,) = matched(budget(kind="soft")).lines
    assert (False, 3) == (line.is_hard, len(line.thresholds))


def test_lines_are_made_once_for_a_window() -> None:
    """Every call of it gets the same."""
    budgets = BudgetSet([budget(by="team")])
    first, second = (
        budgets.match({"team": "search"}, provider="p", model="m", now_s=now_s).lines[0]
        for now_s in (NOW_S, NOW_S + DAY_S // 2 - 1)
    )
    assert first is second


@pytest.mark.parametrize("window", ["minute", "day", "month", "rolling:3600s"])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_line_is_made_anew_when_the_window_turns(window: str, direction: int) -> None:
    """Also when the time goes back: a clock was set, or the store's is behind."""
    made = budget(window=window)
    budgets = BudgetSet([made])
    (before,) = budgets.match({}, provider="p", model="m", now_s=NOW_S).lines
    assert before.end is not None
    turned_s = before.end if direction == 1 else before.start - 1
    (after,) = budgets.match({}, provider="p", model="m", now_s=turned_s).lines
    assert line_of(made, "", made.parsed_window.span(turned_s)) == after
    assert after.start <= turned_s
    assert before == budgets.match({}, provider="p", model="m", now_s=NOW_S).lines[0]


def test_the_line_of_a_lifetime_is_never_made_anew() -> None:
    """Nor ever forgotten."""
    budgets = BudgetSet([budget(window="lifetime")])
    lines = {budgets.match({}, provider="p", model="m", now_s=now_s).lines[0] for now_s in (0, NOW_S, 10 * NOW_S)}
    assert [(0, None, None)] == [(line.start, line.end, line.forget_at) for line in lines]


@given(
    st.sampled_from(["minute", "hour", "day", "month", "year", "rolling:60s", "rolling:3600s", "rolling:31622400s"]),
    st.integers(NOW_S, NOW_S + 400 * DAY_S),
)
def test_a_row_outlives_every_settle_that_may_come(window: str, now_s: int) -> None:
    """A hold of the window's last second may be settled as long as its end is remembered; and no row that still counts
    is forgotten.
    """
    made = budget(window=window)
    (line,) = matched(made, now_s=now_s).lines
    span = made.parsed_window.span(now_s)
    assert line.end is not None
    assert line.forget_at is not None
    assert line.forget_at > line.end + HOLD_KEPT_MS // 1000
    assert span.resets_at is not None
    assert line.forget_at >= span.resets_at + HOLD_KEPT_MS // 1000


def test_lines_of_many_users_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A split by user may have millions of scopes; what is kept ready has a bound."""
    monkeypatch.setattr(matching, "_MAX_LINES", 3)
    budgets = BudgetSet([budget(by="user")])
    for number in range(10):
        (line,) = budgets.match({"user": f"u{number}"}, provider="p", model="m", now_s=NOW_S).lines
        assert f"u{number}" == line.scope
    (entry,) = budgets._entries
    assert len(entry.lines) <= 3


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("nightly-digest", "nightly-digest"),
        ("app.jobs.<locals>.run", "app.jobs.-locals-.run"),
        ("_private", "private"),
        ("größe", "gr--e"),
        ("...", "run"),
        ("", "run"),
        ("x" * 100, "x" * 64),
    ],
)
def test_a_run_has_a_budget_of_its_name(name: str, id_: str) -> None:
    """As far as an id can have it; for good, since a run has no windows."""
    made = run_budget(name, "2.50")
    assert (id_, 2_500_000_000, "lifetime") == (made.id, made.limit_nano, made.window)


def test_a_runs_limit_that_is_no_money_is_refused_by_its_own_name() -> None:
    """The user wrote `budget_usd`, and no budget."""
    with pytest.raises(ConfigurationError) as caught:
        run_budget("digest", "-1")
    assert ("budget_usd", "-1") == (caught.value.field, caught.value.value)


def test_a_run_is_in_no_row_of_a_declared_budget_of_its_name() -> None:
    """What is told of that budget, by its windows' starts, holds no runs."""
    declared = budget("digest", window="lifetime")
    (of_budget,) = BudgetSet([declared]).match({}, provider="openai", model="m", now_s=NOW_S).lines
    (of_run,) = run_of(run_budget("digest", "2.50"), "run-1", now_s=NOW_S).lines
    assert not set(of_budget.starts) & set(of_run.starts)
    assert of_run.starts[-1] == of_run.start


def test_a_run_alerts_nobody():
    """An agent that has a budget for each request would fill the log, a line for each half of it that is used."""
    (of_run,) = run_of(run_budget("digest", "2.50"), "run-1", now_s=NOW_S).lines

    assert () == of_run.thresholds


def test_each_run_has_a_row_of_its_own_that_is_forgotten() -> None:
    """A lifetime's would stay for ever, and there are many runs."""
    made = run_budget("digest", "2.50")
    found = run_of(made, "run-1", now_s=NOW_S)
    (line,) = found.lines
    assert (made,) == found.budgets
    assert ("digest", "run-1", None) == (line.budget, line.scope, line.end)
    assert line.forget_at is not None
    assert line.forget_at > NOW_S + HOLD_KEPT_MS // 1000
