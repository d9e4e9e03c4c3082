"""The page, drawn from facts made up for it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from llm_otel.budgets.reports import State
from llm_otel.cli.app import app
from llm_otel.demo.drawing import draw
from llm_otel.demo.program import Options
from llm_otel.demo.report import (
    Account,
    Alert,
    Books,
    Budgets,
    Circuit,
    Latency,
    Reliability,
    Report,
    Routing,
    Spend,
    TracedStep,
)
from llm_otel.drawing.budgets import BudgetStandings, Standing

SPEND = Spend(name="all calls", calls=4, tokens=1_234, cost_nano=5_000_000)
ACCOUNT = Account(tokens=1_234, cost_nano=5_000_000)
BOOKS = Books(
    tracker_nano=5_000_000,
    spans_nano=5_000_000,
    metrics_nano=5_000_000,
    estimated_calls=0,
    recorded=ACCOUNT,
    billed=ACCOUNT,
)
STEP = TracedStep(
    name="chat gpt-4o-mini",
    start_s=0.5,
    duration_s=0.5,
    tokens=600,
    cost_nano=None,
    is_attempt=False,
    is_failed=False,
    remarks=(),
)
REPORT = Report(
    target=None,
    seed=1,
    elapsed_s=2.0,
    total=SPEND,
    teams=(replace(SPEND, name="search", cost_nano=4_000_000), replace(SPEND, name="growth", cost_nano=1_000_000)),
    features=(replace(SPEND, name="answer"),),
    providers=(replace(SPEND, name="openai", parts=(replace(SPEND, name="house-7b", cost_nano=0, unpriced_calls=4),)),),
    latencies=(
        Latency(name="all calls", p50_s=0.5, p95_s=None, streams=0, first_chunk_p50_s=None, first_chunk_p95_s=None),
    ),
    reliability=Reliability(
        outcomes={"success": 4},
        errors={},
        retries=0,
        recovered=0,
        wasted_nano={},
        saved_nano=0,
        cache_read_tokens=0,
        reasoning_tokens=0,
        unpriced_models=(),
        internal_errors=0,
    ),
    routing=Routing(chosen={}, explained=None, fallbacks={}, circuits=(), cached=0, saved_nano=0),
    budgets=None,
    trace=replace(STEP, name="invoke_workflow answer", start_s=0.0, duration_s=1.0, cost_nano=3, steps=(STEP,)),
    books=BOOKS,
)
BUDGETS = Budgets(
    at_s=1_795_371_000,  # 2026-11-22T18:10:00Z
    standings=(
        BudgetStandings(
            id="labs",
            kind="hard",
            by=(),
            window="day 2026-11-22, UTC",
            limit_nano=20_000_000,
            resets_at="2026-11-23T00:00:00+00:00",
            scopes=(Standing(scope="", spent_nano=19_000_000, held_nano=0, state=State.NEAR),),
        ),
    ),
    alerts=(Alert(budget="team", scope="labs", fraction=0.8, spent_nano=16_000_000, limit_nano=20_000_000),),
    refused={"exhausted": 3, "in_flight": 1},
    refused_nano=9_000_000,
    refusal="Budget 'labs' refused a call",
    downgraded=2,
    saved_nano=1_500_000,
)
ROUTING = Routing(
    chosen={"gpt-5-nano": 9, "o4-mini": 2},
    explained="o4-mini. No other model fits.",
    fallbacks={"gemini-2.5-flash-lite": 10},
    circuits=(
        Circuit(model="gpt-4.1-mini", opened=1, not_sent=5, is_closed=True),
        Circuit(model="gpt-5", opened=2, not_sent=1, is_closed=False),
    ),
    cached=25,
    saved_nano=12_300_000,
)
WRONG = replace(BOOKS, billed=Account(tokens=1_234, cost_nano=4_999_999))


def page(report: Report, *, width: int = 80) -> str:
    """Draw a report in a pipe of so many columns."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    draw(report, console)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def row(report: Report, name: str, *, width: int = 80) -> str:
    """Return the first line that begins with a name, blanks reduced."""
    return next(
        " ".join(line.split()) for line in page(report, width=width).splitlines() if line.strip().startswith(name)
    )


def test_a_share_is_of_the_total_spend():
    """The tables add up to the line at the top."""
    assert "$0.005000000 for 4 calls, 1,234 tokens, 2 teams, 1 model, 2.0 s" == row(REPORT, "$")
    assert "search 4 1,234 $0.0040 $0.001000 80% ██████▍" == row(REPORT, "search")
    assert "growth 4 1,234 $0.0010 $0.000250 20% █▋" == row(REPORT, "growth")


def test_an_unknown_price_is_not_drawn_as_nothing():
    """It would read as free."""
    assert "house-7b 4 1,234 no price – 0%" == row(REPORT, "house-7b")
    assert "└─ chat gpt-4o-mini 0.50 s 600 –" == row(REPORT, "└─ chat")


def test_what_the_router_did_is_a_line_for_each_thing():
    """Choices, fallbacks, circuits, the response cache; nothing where it did nothing."""
    routed = replace(REPORT, routing=ROUTING)

    assert "chosen by the router 9 × gpt-5-nano, 2 × o4-mini" == row(routed, "chosen")
    assert "why, for example o4-mini. No other model fits." == row(routed, "why")
    assert "answered by a fallback 10 calls, by gemini-2.5-flash-lite" == row(routed, "answered")
    assert "circuit opened gpt-4.1-mini: 5 requests not sent; closed again" == row(routed, "circuit")
    assert "gpt-5, 2 times: 1 request not sent; open still" in page(routed)
    assert "from the response cache 25 calls, $0.0123 saved" == row(routed, "from the")
    assert "the router" not in page(REPORT)


def test_what_was_not_measured_is_not_drawn_as_zero():
    """A dash, or nothing where there were no streams."""
    assert "all calls 0.50 s –" == row(REPORT, "all calls")


def test_a_time_line_shows_when_things_happened_where_there_is_room():
    """The child ran in the second half of its parent."""
    assert "·············█████████████" in row(REPORT, "└─ chat", width=120)


def test_only_what_occurred_is_told():
    """A run without trouble has one line about how it went."""
    told = page(REPORT).partition("How the calls ended\n")[2].partition("\n\n")[0]

    assert ["success 4"] == [" ".join(line.split()) for line in told.splitlines()]


def test_budgets_are_drawn_with_what_they_did():
    """Bars, alerts, calls that were made cheaper, and those that were never made."""
    told = page(replace(REPORT, budgets=BUDGETS)).partition("\nBudgets\n")[2].partition("\n\nOne trace")[0]

    assert [
        "█ spent ▒ held used spent held left",
        "labs ███████████████████████████████·· 95% $0.0190 $0.0000 $0.0010",
        "hard $0.02; day 2026-11-22, UTC; resets 2026-11-23 00:00, in 6 h",
        "",
        "What they did",
        "alerts team labs at 80% of $0.02: $0.0160 spent",
        "downgraded 2 calls to a cheaper model, $0.0015 saved",
        "refused 4 calls, nothing sent: up to $0.0090 not spent",
        "The first caller that was refused got this:",
        "Budget 'labs' refused a call",
    ] == [" ".join(line.split()) for line in told.splitlines()]


def test_budgets_that_did_nothing_are_bars_alone():
    """And a run without any has no section."""
    idle = replace(BUDGETS, alerts=(), refused={}, refused_nano=0, refusal=None, downgraded=0, saved_nano=0)

    assert "What they did" not in page(replace(REPORT, budgets=idle))
    assert "\nBudgets\n" not in page(REPORT)


@pytest.mark.parametrize(
    ("books", "told"),
    [
        (BOOKS, "difference $0.000000000 equal to the nano-dollar"),
        (WRONG, "difference $0.000000001 NOT equal: please report it"),
    ],
)
def test_one_nano_dollar_is_a_difference(books, told):
    """And nobody has to look twice."""
    assert told == row(replace(REPORT, books=books), "difference")


def test_recorders_that_disagree_are_told_one_by_one():
    """With the figure of each."""
    report = replace(REPORT, books=replace(BOOKS, metrics_nano=4_000_000))

    assert "tracker $0.005000000 NOT the same: please report it" == row(report, "tracker")
    assert "metrics $0.004000000" == row(report, "metrics")


def test_without_spans_the_page_says_why():
    """And the books do without them."""
    report = replace(REPORT, trace=None, books=replace(BOOKS, spans_nano=None))

    assert "OTEL_SDK_DISABLED" in page(report)
    assert "tracker = metrics $0.005000000 the same in each" == row(report, "tracker")


def test_the_ledger_is_compared_where_there_is_one():
    """It is one more set of books."""
    right = replace(REPORT, books=replace(BOOKS, ledger_nano=5_000_000))
    wrong = replace(REPORT, books=replace(BOOKS, ledger_nano=4_999_999))

    assert "tracker = spans = metrics = ledger $0.005000000 the same in each" == row(right, "tracker")
    assert "ledger $0.004999999" == row(wrong, "ledger")


@pytest.mark.parametrize(("books", "expected"), [(BOOKS, 0), (WRONG, 1)])
def test_the_command_ends_well_only_if_the_books_are_right(monkeypatch, books, expected):
    """So that a script sees it; the report is there all the same."""

    def play(options: Options, progress: object, present: Callable[[Report], None]) -> Report:
        report = replace(REPORT, books=books, seed=options.seed)
        present(report)
        return report

    monkeypatch.setattr("llm_otel.demo.program.play", play)

    finished = CliRunner().invoke(app, ["demo", "--json", "--seed", "42"])

    assert expected == finished.exit_code
    assert 42 == json.loads(finished.stdout)["seed"]
