"""Budgets for Prometheus: what the ledger says at a scrape, and what this process counted."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from llm_otel.budgets.budget import Budget
from llm_otel.budgets.ledger import RowState, StoreUnavailableError
from llm_otel.budgets.reports import BudgetStatus, statuses_of
from llm_otel.call import Held, Outcome, Refusal
from llm_otel.recorders.budgets import MAX_SCOPES, BudgetCounters, BudgetGauges, BudgetRecorder, families
from llm_otel.recorders.otlp_metrics import MemoryCounter
from llm_otel.recorders.registries import scraped_counter

NOW_S = 1_795_000_000  # 2026-11-18T10:26:40Z
NEXT_DAY_S = 1_795_046_400
TEAM = Budget("team", limit_usd="2", window="day", by="team")
USER = Budget("user", limit_usd="1", window="day", by=("team", "user"))
TOTAL = Budget("total", limit_usd="10", window="lifetime")


def told(budget: Budget, **spent_usd: str) -> list[BudgetStatus]:
    """What a ledger says of a budget's scopes; a quarter of a dollar is held in each."""
    rows = [RowState(budget.id, scope, int(Decimal(usd) * 10**9), 250_000_000) for scope, usd in spent_usd.items()]
    return statuses_of(budget, rows, now_s=NOW_S)


def scrape(statuses: Any, labels: Iterable[str] = ("team",)) -> dict[tuple[str, ...], float]:
    """Read the gauges: the name without prefix, then the values of the labels."""
    gauges = BudgetGauges()
    gauges.statuses, gauges.label_names = statuses, frozenset(labels)
    return samples(gauges)


def samples(*collectors: Any) -> dict[tuple[str, ...], float]:
    """Read collectors as a scrape does."""
    registry = CollectorRegistry()
    for each in collectors:
        registry.register(each)
    return {
        (sample.name.removeprefix("llm_otel_").removeprefix("budget_"), *sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_a_scrape_shows_how_budgets_stand():
    """Dollars and seconds, by budget and scope; a lifetime has no end and no length."""
    assert {
        ("ledger_up",): 1,
        ("limit_usd", "team", "search"): 2,
        ("spent_usd", "team", "search"): 0.5,
        ("held_usd", "team", "search"): 0.25,
        ("reset_timestamp_seconds", "team", "search"): NEXT_DAY_S,
        ("window_seconds", "team", "search"): 86_400,
        ("limit_usd", "total", ""): 10,
        ("spent_usd", "total", ""): 0,
        ("held_usd", "total", ""): 0,
    } == scrape(lambda: [*told(TEAM, search="0.5"), *told(TOTAL)])


def test_what_is_no_label_is_one_scope_for_all():
    """Users are no series: their sums are, and how many are near the limit or beyond it."""
    assert {
        ("ledger_up",): 1,
        ("spent_usd", "user", "__all__"): 2.6,
        ("held_usd", "user", "__all__"): 0.75,
        ("reset_timestamp_seconds", "user", "__all__"): NEXT_DAY_S,
        ("window_seconds", "user", "__all__"): 86_400,
        ("scopes", "user", "ok"): 1,
        ("scopes", "user", "near"): 1,
        ("scopes", "user", "exceeded"): 1,
    } == scrape(lambda: told(USER, **{"search/ann": "0.79", "search/bob": "0.8", "growth/eve": "1.01"}))


def test_only_so_many_scopes_have_series_of_their_own():
    """Tags are what callers say. The most used ones are shown; the sums stay right."""
    many = {f"team-{number:03}": f"{number / 1000}" for number in range(MAX_SCOPES + 20)}

    found = scrape(lambda: [*told(TEAM, **many), *told(TOTAL)])

    spent = {labels[2]: value for labels, value in found.items() if labels[:2] == ("spent_usd", "team")}
    assert MAX_SCOPES + 1 == len(spent)
    assert ("team-119" in spent, "team-019" in spent) == (True, False)
    assert pytest.approx(sum(range(20)) / 1000) == spent["__other__"]
    assert ("limit_usd", "team", "__other__") not in found
    assert ("limit_usd", "total", "") in found


@pytest.mark.parametrize("name", ["__all__", "__other__"])
def test_a_tag_with_a_name_of_ours_breaks_no_scrape(name):
    """One series, with the sum of all that goes by that name."""
    many = {f"team-{number:03}": "0.1" for number in range(MAX_SCOPES)}
    statuses = told(TEAM, **many, **{name: "1.5", "zzz": "0.05"})
    found = [
        (sample.name, *sample.labels.values())
        for family in families(statuses, frozenset({"team"}))
        for sample in family.samples
    ]

    assert len(found) == len(set(found))
    assert ("llm_otel_budget_spent_usd", "team", name) in found


def test_a_split_by_model_is_a_label_of_its_own():
    """`model` and `provider` are on every metric."""
    budget = Budget("model", limit_usd="1", window="lifetime", by=("provider", "model"))

    assert 0.5 == scrape(lambda: told(budget, **{"openai/gpt-5": "0.5"}))["spent_usd", "model", "openai/gpt-5"]


def test_a_ledger_that_is_out_says_nothing_of_budgets():
    """Absent, never 0: and that it is out is said, counted, and no reason to fail the scrape."""
    failures: list[Exception] = []

    def statuses() -> list[BudgetStatus]:
        raise StoreUnavailableError("it is out")

    gauges = BudgetGauges()
    gauges.statuses, gauges.on_error = statuses, failures.append

    assert {("ledger_up",): 0} == samples(gauges)
    assert ["it is out"] == [str(each) for each in failures]


def test_without_budgets_there_is_no_ledger_to_speak_of():
    """Nobody asked it anything."""
    assert {} == samples(BudgetGauges())


class TestCounters:
    """What the calls of this process did."""

    @pytest.fixture(params=[scraped_counter, MemoryCounter], ids=["scraped", "pushed"])
    def counters(self, request: pytest.FixtureRequest) -> BudgetCounters:
        """Nothing counted yet."""
        return BudgetCounters(request.param)

    @pytest.fixture
    def recorder(self, counters: BudgetCounters) -> BudgetRecorder:
        """For three budgets."""
        return BudgetRecorder(counters, lambda: (TEAM, USER, TOTAL), ("team",))

    def test_budgets_that_are_not_split_have_series_from_the_start(self, counters, recorder):
        """`increase()` loses the first value of a counter that is born with one."""
        found = samples(*counters.collectors)

        assert {0} == set(found.values())
        assert ("spend_usd_total", "total", "") in found
        assert ("denials_total", "total", "", "exhausted") in found
        assert {"total"} == {labels[1] for labels in found}

    def test_the_cost_of_a_call_is_spend_of_all_its_budgets(self, counters, recorder, facts):
        """Of every attempt; a scope that is no label counts for all."""
        held = Held(budgets=(("team", "search"), ("user", "search/ann"), ("total", "")))

        recorder.closed(facts.record(facts.attempt(held=held), facts.attempt(number=2, held=held)))

        found = samples(*counters.collectors)
        assert [pytest.approx(0.0000114)] * 3 == [
            found["spend_usd_total", "team", "search"],
            found["spend_usd_total", "user", "__all__"],
            found["spend_usd_total", "total", ""],
        ]

    def test_a_denial_counts_where_it_was_refused(self, counters, recorder, facts):
        """With its reason; no other budget is concerned."""
        refusal = Refusal(budget="user", scope="search/ann", kind="too_large", is_declared=True)

        recorder.closed(facts.record(outcome=Outcome.DENIED, refusal=refusal))

        assert {("denials_total", "user", "__all__", "too_large"): 1} == {
            labels: value for labels, value in samples(*counters.collectors).items() if value
        }

    def test_the_budget_of_a_single_run_has_no_series(self, counters, recorder, facts):
        """There would be one for each run."""
        refusal = Refusal(budget="nightly", scope="4f2a", kind="exhausted", is_declared=False)

        recorder.closed(facts.record(outcome=Outcome.DENIED, refusal=refusal))

        assert {0} == set(samples(*counters.collectors).values())

    def test_only_so_many_scopes_have_counters_of_their_own(self, counters, recorder, facts):
        """The first ones; what comes after them is in `__other__`, and those that were there go on."""
        for scope in [f"team-{number}" for number in range(MAX_SCOPES + 20)] + ["team-0"]:
            recorder.closed(facts.record(facts.attempt(held=Held(budgets=(("team", scope),)))))

        found = samples(*counters.collectors)
        assert MAX_SCOPES + 1 == sum(labels[:2] == ("spend_usd_total", "team") for labels in found)
        assert pytest.approx(20 * 0.0000057) == found["spend_usd_total", "team", "__other__"]
        assert pytest.approx(2 * 0.0000057) == found["spend_usd_total", "team", "team-0"]

    def test_a_downgrade_counts_for_the_budget_that_asked_for_it(self, counters, recorder, facts):
        """Once for each request."""
        recorder.closed(facts.record(facts.attempt(held=Held(downgraded_for=("team", "search")))))

        assert 1 == samples(*counters.collectors)["downgrades_total", "team", "search"]
