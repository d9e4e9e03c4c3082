"""What is told of budgets: alerts, and how they stand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any

import pytest

from llm_otel.budgets.budget import Budget
from llm_otel.budgets.ledger import Crossing, RowQuery, RowState
from llm_otel.budgets.matching import line_of
from llm_otel.budgets.reports import BudgetAlert, BudgetStatus, State, alert_of, statuses_of, survey
from llm_otel.money import NANO_PER_USD

NOW_S = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp())


def nano(dollars: str) -> int:
    """Return dollars as nano-USD."""
    return int(Decimal(dollars) * NANO_PER_USD)


def budget(id_: str = "team", **fields: Any) -> Budget:
    """50 dollars a month in Berlin, unless a test says otherwise."""
    return Budget(id_, **({"limit_usd": "50", "window": "month", "tz": "Europe/Berlin"} | fields))


def alerts(made: Budget, *, spent: int) -> list[BudgetAlert]:
    """Return what is told when spend reaches all thresholds of a budget."""
    line = line_of(made, "search", made.parsed_window.span(NOW_S))
    return [alert_of(Crossing(line, threshold, spent)) for threshold in line.thresholds]


def status(made: Budget, *rows: RowState) -> list[BudgetStatus]:
    """Return how a budget stands."""
    return statuses_of(made, rows, now_s=NOW_S)


def row(scope: str, spent: str, held: str = "0") -> RowState:
    """What stands for one scope, in dollars."""
    return RowState("team", scope, nano(spent), nano(held))


# --- alerts -----------------------------------------------------------------------------------------------------------


def test_an_alert_tells_which_part_of_the_limit_was_reached() -> None:
    """And what was spent when it was noticed: a settle may cross several at once."""
    assert (
        BudgetAlert(
            budget="team",
            scope="search",
            window_start=int(datetime(2026, 10, 31, 23, tzinfo=UTC).timestamp()),
            fraction=0.8,
            threshold_usd=Decimal(40),
            spent_usd=Decimal(45),
            limit_usd=Decimal(50),
        )
        == alerts(budget(), spent=nano("45"))[1]
    )


@pytest.mark.parametrize(
    ("limit", "shares", "fractions"),
    [
        ("50", (0.5, 0.8, 1.0, 1.5), [0.5, 0.8, 1.0, 1.5]),
        # A third of ten dollars is no whole number of nano-dollars.
        ("10", (0.333333,), [0.333333]),
        ("0", (0.5, 1.0), [1.0]),
        ("9223372036.85", (0.8, 1.0), [0.8, 1.0]),
    ],
)
def test_a_fraction_is_the_one_that_was_declared(limit: str, shares: tuple[float, ...], fractions: list[float]) -> None:
    """It was made into money and back; a limit of nothing is reached as a whole."""
    made = budget(limit_usd=limit, alerts=shares)
    assert fractions == [alert.fraction for alert in alerts(made, spent=made.limit_nano)]


# --- status -----------------------------------------------------------------------------------------------------------


def test_a_status_has_the_numbers_and_the_window_in_words() -> None:
    """Limit, spend, holds and what is left; when it resets, in the budget's own zone."""
    (found,) = status(budget(), row("", "12.5", "2"))
    assert ("month 2026-11, Europe/Berlin", 30 * 86_400) == (found.window, found.window_s)
    assert found.resets_at is not None
    assert "2026-12-01T00:00:00+01:00" == found.resets_at.isoformat()
    assert (Decimal(50), Decimal("12.5"), Decimal(2)) == (found.limit_usd, found.spent_usd, found.held_usd)
    assert (Decimal("35.5"), 0.25) == (found.headroom_usd, found.used_ratio)


@pytest.mark.parametrize(
    ("window", "title", "window_s", "resets_at"),
    [
        ("day", "day 2026-11-22, Europe/Berlin", 86_400, "2026-11-23T00:00:00+01:00"),
        ("rolling:3600s", "rolling 3600 s", 3600, "2026-11-22T14:01:00+01:00"),
        ("lifetime", "lifetime", None, "None"),
    ],
)
def test_a_status_knows_its_kind_of_window(window: str, title: str, window_s: int | None, resets_at: str) -> None:
    """A rolling one is as long as it says, not as its bucket; a lifetime has neither length nor end."""
    (found,) = status(budget(window=window))
    assert (title, window_s) == (found.window, found.window_s)
    assert resets_at == (str(None) if found.resets_at is None else found.resets_at.isoformat())


def test_a_day_with_a_change_of_clocks_has_its_own_length() -> None:
    """25 hours in autumn."""
    at_s = int(datetime(2026, 10, 25, 12, tzinfo=UTC).timestamp())
    (found,) = statuses_of(budget(window="day"), [], now_s=at_s)
    assert 25 * 3600 == found.window_s


def test_a_budget_that_is_not_split_always_has_its_one_scope() -> None:
    """Also before anything was spent; a split one has those that spent."""
    assert [("", Decimal(0))] == [(each.scope, each.spent_usd) for each in status(budget())]
    assert [] == status(budget(by="team"))


def test_the_most_used_scopes_come_first() -> None:
    """By spend and holds together, then by name."""
    found = status(budget(by="team"), row("b", "1"), row("a", "1"), row("c", "0", "5"), row("d", "3", "1"))
    assert ["c", "d", "a", "b"] == [each.scope for each in found]


@pytest.mark.parametrize(
    ("limit", "spent", "ratio", "headroom"),
    [("50", "0", 0.0, "50"), ("50", "75", 1.5, "-25"), ("0", "0", 1.0, "0"), ("0", "1", 1.0, "-1")],
)
def test_an_overrun_shows(limit: str, spent: str, ratio: float, headroom: str) -> None:
    """More than all is used, less than nothing is left; a limit of nothing is used up from the start."""
    (found,) = status(budget(limit_usd=limit), row("", spent))
    assert (ratio, Decimal(headroom)) == (found.used_ratio, found.headroom_usd)


@pytest.mark.parametrize(
    ("limit", "spent", "percentage"),
    [("1", "0.29", 29.0), ("1", "0.0000135", 0.00135), ("2", "0.000000001", 5e-8), ("0", "1", 100.0)],
)
def test_a_percentage_is_written_as_it_was_spent(limit: str, spent: str, percentage: float) -> None:
    """29 cents of a dollar are 29.0 %, whatever the caller's decimal context."""
    (found,) = status(budget(limit_usd=limit), row("", spent))
    with localcontext() as context:
        context.prec = 1
        assert percentage == found.used_percentage


def test_what_is_left_is_exact_in_every_program() -> None:
    """The caller's own decimal context never matters."""
    (found,) = status(budget(limit_usd="123456.789"), row("", "0.000000001"))
    with localcontext() as context:
        context.prec = 3
        assert Decimal("123456.788999999") == found.headroom_usd


# --- in a word, and all at once ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spent", "expected"),
    [
        ("0", State.OK),
        ("39.999999999", State.OK),
        ("40", State.NEAR),
        ("49.999999999", State.NEAR),
        ("50", State.EXCEEDED),
        ("99", State.EXCEEDED),
    ],
)
def test_a_scope_is_near_its_limit_from_four_fifths_on(spent: str, expected: State) -> None:
    """And beyond it when all is spent; what is only held is not."""
    (found,) = status(budget(by="team"), row("search", spent, held="50"))

    assert expected is found.state


def test_a_limit_of_nothing_is_exceeded() -> None:
    """Nothing can be spent."""
    (found,) = status(budget(limit_usd="0"))

    assert State.EXCEEDED is found.state


class AskedStore:
    """Answers with two rows, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[RowQuery] = []

    def snapshot(self, queries: list[RowQuery]) -> list[RowState]:
        self.asked += queries
        return [row("search", "5"), RowState("company", "", nano("7"), 0)]


def test_a_survey_asks_for_the_windows_of_its_time() -> None:
    """In one question; the answer is in the order of the budgets."""
    store: Any = AskedStore()
    made = (budget("company", window="lifetime"), budget(window="day", tz="UTC", by="team"))

    found = survey(store, iter(made), now_s=NOW_S)

    midnight = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())
    assert [RowQuery("company", (0,)), RowQuery("team", (midnight,))] == store.asked
    assert [("company", "", 7), ("team", "search", 5)] == [
        (each.budget.id, each.scope, each.spent_usd) for each in found
    ]


def test_without_budgets_no_ledger_is_asked() -> None:
    """There is nothing to say, and nobody waits."""
    store: Any = AskedStore()

    assert [] == survey(store, (), now_s=NOW_S)
    assert [] == store.asked
