"""Budgets as bars, drawn from facts made up for it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from llm_otel.budgets.budget import Budget
from llm_otel.budgets.ledger import RowState
from llm_otel.budgets.reports import statuses_of
from llm_otel.drawing.budgets import draw_budgets, in_words, standings_of, two_part_bar

NOW_S = 1_795_371_000  # 2026-11-22T18:10:00Z
HALF_CENT = 5_000_000


def page(*budgets: tuple[Budget, dict[str, tuple[int, int]]], width: int = 80, top: int = 5, encoding="utf-8") -> str:
    """Draw budgets, each with the (spent, held) of its scopes in nano-USD, in a pipe of so many columns."""
    statuses = [
        status
        for budget, scopes in budgets
        for status in statuses_of(
            budget, [RowState(budget.id, scope, *amounts) for scope, amounts in scopes.items()], now_s=NOW_S
        )
    ]
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    standings = standings_of([budget for budget, _ in budgets], statuses, now_s=NOW_S)
    draw_budgets(standings, Console(file=stream, width=width, highlight=False), now_s=NOW_S, top=top)
    stream.flush()
    drawn: Any = stream.buffer
    return "\n".join(line.rstrip() for line in drawn.getvalue().decode(encoding).splitlines())


COMPANY = Budget("company", limit_usd="500", window="month", tz="Europe/Berlin")
TEAM = Budget("team", limit_usd="0.02", window="day", by="team", kind="soft")


def test_a_budget_is_a_bar_with_its_terms():
    """Spend and holds against the limit, what is left, and the reset by the budget's own clock."""
    assert [
        "█ spent ▒ held                                   used    spent    held     left",
        "company       ████████████████▒▒···············   50%  $250.00  $25.00  $225.00",
        "  hard $500.00; month 2026-11, Europe/Berlin; resets 2026-12-01 00:00, in 8 d",
    ] == page((COMPANY, {"": (250 * 10**9, 25 * 10**9)}), width=79).splitlines()


def test_a_split_shows_those_that_are_most_used():
    """The rest is counted."""
    scopes = {"search": (19_000_000, 0), "growth": (1_000_000, 0), "labs": (40_000_000, 0), "shop": (0, 0)}

    assert [
        "team          4 scopes: 2 ok, 1 near, 1 exceeded",
        "  soft $0.02 per team; day 2026-11-22, UTC; resets 2026-11-23 00:00, in 6 h",
        "  labs        ████████████████████████████████  200%  $0.0400  $0.0000  -$0.0200",
        "  search      ██████████████████████████████··   95%  $0.0190  $0.0000   $0.0010",
        "  and 2 more",
    ] == page((TEAM, scopes), top=2, width=80).splitlines()[1:]


def test_a_split_that_nobody_has_used_is_there_all_the_same():
    """It is declared; that nothing is spent is an answer."""
    assert "team          nothing spent yet" in page((TEAM, {}))


def test_a_lifetime_never_resets():
    """And says so."""
    budget = Budget("pilot", limit_usd="1", window="lifetime")

    assert "  hard $1.00; lifetime; never resets" in page((budget, {})).splitlines()


def test_small_limits_show_small_amounts():
    """A millionth of a dollar counts where the limit is a cent."""
    budget = Budget("user", limit_usd="0.001", window="day", by="user")

    assert "$0.000123  $0.000000  $0.000877" in page((budget, {"ann": (123_000, 0)}))


def test_a_limit_of_nothing_is_used_up():
    """No division by zero."""
    assert " 100%  " in page((Budget("none", limit_usd="0", window="day"), {}))


@pytest.mark.parametrize(("width", "bar"), [(80, 80), (100, 100), (120, 120)])
def test_no_line_is_longer_than_the_terminal(width, bar):
    """However long the names are."""
    scopes = {"a-customer-with-a-name-that-goes-on-and-on": (HALF_CENT, 0), "短い名前" * 9: (HALF_CENT, 1)}

    assert [] == [line for line in page((TEAM, scopes), (COMPANY, {}), width=width).splitlines() if len(line) > bar]


def test_names_are_what_callers_say_and_can_do_nothing_to_the_terminal():
    """Control characters, escapes and markup are text."""
    drawn = page((TEAM, {"\x1b[2J[red]ann\nbob": (HALF_CENT, 0)}))

    assert "  ?[2J[red]ann?bob  █" in drawn
    assert "\x1b" not in drawn


def test_a_pipe_without_unicode_gets_bars_it_can_show():
    """The same figures."""
    drawn = page((TEAM, {"search": (10_000_000, 5_000_000)}), width=80, encoding="ascii")

    assert "  search      ################=========........   50%  $0.0100  $0.0050  $0.0050" in drawn


@pytest.mark.parametrize(
    ("spent", "held", "expected"),
    [
        (0.0, 0.0, "...."),
        (0.001, 0.0, "#..."),
        (0.001, 0.001, "#=.."),
        (0.5, 0.25, "##=."),
        (0.999, 0.0, "###."),
        (1.0, 0.0, "####"),
        (0.75, 0.25, "###="),
        (3.0, 1.0, "####"),
    ],
)
def test_a_bar_shows_what_is_not_nothing_and_not_all(spent, held, expected):
    """Only what is used up looks it."""
    assert expected == two_part_bar(spent, held, 4, ascii_only=True)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "in 0 s"),
        (59, "in 59 s"),
        (600, "in 10 min"),
        (10_800, "in 3 h"),
        (172_799, "in 48 h"),
        (691_200, "in 8 d"),
    ],
)
def test_a_time_to_come_is_told_in_one_unit(seconds, expected):
    """As people say it."""
    assert expected == in_words(seconds)
