"""`UsageTracker`: what it counts, what it is asked, and what it still knows when memory is short."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
import threading
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from llm_otel import wiring
from llm_otel.budgets.budget import Budget
from llm_otel.budgets.ledger import RowState, StoreUnavailableError
from llm_otel.budgets.reports import BudgetStatus, statuses_of
from llm_otel.call import Outcome
from llm_otel.errors import ConfigurationError, LLMOtelError
from llm_otel.recorders.stats import percentile_ms
from llm_otel.recorders.tracker import UsageTracker
from llm_otel.semconv import OVERFLOW_LABEL
from llm_otel.types import LLMResponse, UsageStats

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
START_NS = int(START.timestamp()) * 10**9


class HandClock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.ns = START_NS

    def now_ns(self) -> int:
        return self.ns

    def advance(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


@pytest.fixture
def clock() -> HandClock:
    """Noon."""
    return HandClock()


def response(**changes: Any) -> LLMResponse:
    """A router's answer: 18 tokens in, 5 out, $0.0000057, 250 ms."""
    facts: dict[str, Any] = {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "tokens": 23,
        "cost": Decimal("0.0000057"),
        "latency_ms": 250.0,
    } | changes
    return LLMResponse.model_construct(
        content="",
        provider=facts["provider"],
        model=facts["model"],
        usage=UsageStats(total_tokens=facts["tokens"], total_cost_usd=facts["cost"]),
        latency_ms=facts["latency_ms"],
    )


def scopes(budget: Budget, **spent_nano: int) -> list[BudgetStatus]:
    """What a ledger says of a budget's scopes, with a tenth of a dollar held in each."""
    rows = [RowState(budget.id, scope, spent, 100_000_000) for scope, spent in spent_nano.items()]
    return statuses_of(budget, rows, now_s=int(START.timestamp()))


class TestTrack:
    """Counting responses."""

    def test_the_example_of_the_readme(self) -> None:
        """One answer for 5,700 nano-dollars, against a limit of $10."""
        tracker = UsageTracker(budget_limit_usd=10.0)
        tracker.track(response(), tags=["user:john", "research"])
        stats = tracker.get_stats()
        group = {
            "calls": 1,
            "cost_usd": Decimal("0.0000057"),
            "tokens": 23,
            "unpriced_calls": 0,
            "avg_latency_ms": 250.0,
        }
        assert {
            "total_calls": 1,
            "total_cost_usd": Decimal("0.0000057"),
            "total_tokens": 23,
            "avg_latency_ms": 250.0,
            "p50_latency_ms": 250.0,
            "p95_latency_ms": 250.0,
            "unpriced_calls": 0,
            "window_calls": 1,
            "is_complete": True,
            "by_provider": {"openai": group},
            "by_model": {"gpt-4o-mini": group},
            "by_tag": {"user:john": group, "research": group},
        } == stats
        assert 5.7e-05 == tracker.get_budget_status()["percentage_used"]

    def test_nothing_tracked(self) -> None:
        """Sums are 0; a latency that nobody waited for is not known."""
        assert {
            "total_calls": 0,
            "total_cost_usd": Decimal(0),
            "total_tokens": 0,
            "avg_latency_ms": None,
            "p50_latency_ms": None,
            "p95_latency_ms": None,
            "unpriced_calls": 0,
            "window_calls": 0,
            "is_complete": True,
            "by_provider": {},
            "by_model": {},
            "by_tag": {},
        } == UsageTracker().get_stats()

    def test_sums_are_exact(self) -> None:
        """A thousand times a tenth of a cent is a dollar, in any decimal context."""
        tracker = UsageTracker()
        for _ in range(1000):
            tracker.track(response(cost=Decimal("0.001000001")))
        with localcontext() as context:
            context.prec = 3
            assert Decimal("1.000001000") == tracker.get_stats()["total_cost_usd"]

    def test_an_unknown_cost_is_counted_and_not_guessed(self) -> None:
        """It is not 0: the sum is of what is known, and says how many are not in it."""
        tracker = UsageTracker()
        tracker.track(response(cost=None))
        tracker.track(response())
        stats = tracker.get_stats()
        assert (2, 1, Decimal("0.0000057")) == (
            stats["total_calls"],
            stats["unpriced_calls"],
            stats["total_cost_usd"],
        )

    def test_groups_are_sorted_by_cost(self) -> None:
        """Where the money goes comes first; then where the calls go, then by name."""
        tracker = UsageTracker()
        for model, cost in (("b", 0), ("cheap", 1), ("dear", 5), ("a", 0), ("busy", 0), ("busy", 0)):
            tracker.track(response(model=model, cost=Decimal(cost)))
        assert ["dear", "cheap", "busy", "a", "b"] == list(tracker.get_stats()["by_model"])

    def test_one_model_name_of_two_providers(self) -> None:
        """`by_model` goes by the name; a filter tells them apart."""
        tracker = UsageTracker()
        for provider in ("openai", "azure.ai.openai"):
            tracker.track(response(provider=provider))
        assert 2 == tracker.get_stats()["by_model"]["gpt-4o-mini"]["calls"]
        assert 1 == tracker.get_stats(provider="openai")["by_model"]["gpt-4o-mini"]["calls"]

    @pytest.mark.parametrize(
        "given_",
        [
            SimpleNamespace(model="gpt-4o-mini", usage=SimpleNamespace(prompt_tokens=1, completion_tokens=1)),
            {"usage": {}},
            None,
            response(latency_ms=math.nan),
            response(latency_ms=-1.0),
            response(provider=None),
        ],
        ids=["LiteLLM's or OpenAI's", "a dict", "None", "NaN", "negative", "no provider"],
    )
    def test_something_else_is_refused(self, given_: Any) -> None:
        """By its type, never by what it says; nothing is counted."""
        tracker = UsageTracker()
        with pytest.raises(ConfigurationError) as caught:
            tracker.track(given_)
        assert ("response", type(given_).__name__) == (caught.value.field, caught.value.value)
        assert 0 == tracker.get_stats()["total_calls"]

    def test_a_bare_string_of_tags_is_refused(self) -> None:
        """It would be a tag for each letter."""
        with pytest.raises(ConfigurationError, match=r"\['user:john'\]"):
            UsageTracker().track(response(), tags="user:john")  # type: ignore[arg-type]


class TestRecords:
    """The runtime's own tracker is a recorder."""

    def test_a_call_counts_when_it_ended(self, facts: Any) -> None:
        """Whatever it came to: tokens and cost of all its attempts, and what the caller waited."""
        tracker = UsageTracker()
        tracker.opened(facts.request())
        assert 0 == tracker.get_stats()["total_calls"]
        tracker.closed(facts.record(facts.attempt(outcome=Outcome.ERROR), facts.attempt()))
        stats = tracker.get_stats(tag="team:search")
        assert (1, 46, Decimal("0.0000114"), 500.0) == (
            stats["total_calls"],
            stats["total_tokens"],
            stats["total_cost_usd"],
            stats["p95_latency_ms"],
        )

    def test_it_ended_when_it_had_lasted(self, facts: Any) -> None:
        """Half a second after its start, by the record alone."""
        tracker = UsageTracker()
        tracker.closed(facts.record(started_ns=START_NS))
        half_past = START + timedelta(seconds=0.5)
        assert 1 == tracker.get_stats(since=half_past)["total_calls"]
        assert 0 == tracker.get_stats(until=half_past)["total_calls"]

    def test_a_refused_call_has_no_latency(self, facts: Any) -> None:
        """It is a call, but nobody waited for it."""
        tracker = UsageTracker()
        tracker.closed(facts.record())
        tracker.closed(facts.record(outcome=Outcome.DENIED, attempts=(), usage=None, cost_nano=0, duration_s=0.0))
        stats = tracker.get_stats()
        assert (2, 500.0, 500.0) == (stats["total_calls"], stats["avg_latency_ms"], stats["p50_latency_ms"])

    def test_an_answer_from_a_cache_has_no_latency(self, facts: Any) -> None:
        """Be it told by the runtime or by the caller: percentiles are those of providers."""
        tracker = UsageTracker()
        tracker.closed(facts.record())
        tracker.closed(facts.record(outcome=Outcome.CACHED, attempts=(), usage=None, cost_nano=0, duration_s=0.001))
        tracker.track(response(latency_ms=1.0).model_copy(update={"is_cached": True}))
        stats = tracker.get_stats()
        assert (3, 500.0, 500.0) == (stats["total_calls"], stats["avg_latency_ms"], stats["p50_latency_ms"])

    def test_the_known_part_of_an_unpriced_call_counts(self, facts: Any) -> None:
        """The first attempt was billed and has a price; that the second has none does not undo it."""
        tracker = UsageTracker()
        tracker.closed(facts.record(facts.attempt(outcome=Outcome.ERROR), facts.attempt(cost=None)))
        stats = tracker.get_stats()
        assert (1, Decimal("0.0000057")) == (stats["unpriced_calls"], stats["total_cost_usd"])


class TestFilters:
    """Which calls are asked about."""

    @pytest.fixture
    def tracker(self, clock: HandClock) -> UsageTracker:
        """Three calls, a minute apart."""
        tracker = UsageTracker(clock=clock)
        tracker.track(response(), tags=["user:john", "research"])
        clock.advance(60)
        tracker.track(response(provider="anthropic", model="claude"), tags={"user": "mary", "team": "search"})
        clock.advance(60)
        tracker.track(response(model="gpt-4o"), tags={"user": "john", "team": "search"})
        return tracker

    @pytest.mark.parametrize(
        ("filters", "models"),
        [
            ({}, {"gpt-4o-mini", "claude", "gpt-4o"}),
            ({"provider": "openai"}, {"gpt-4o-mini", "gpt-4o"}),
            ({"model": "claude"}, {"claude"}),
            ({"provider": "openai", "model": "claude"}, set()),
            ({"tag": "user:john"}, {"gpt-4o-mini", "gpt-4o"}),
            ({"tag": {"user": "john"}}, {"gpt-4o-mini", "gpt-4o"}),
            ({"tag": "user"}, {"gpt-4o-mini", "claude", "gpt-4o"}),
            ({"tag": "team"}, {"claude", "gpt-4o"}),
            ({"tag": "research"}, {"gpt-4o-mini"}),
            ({"tag": "research:"}, {"gpt-4o-mini"}),
            ({"tag": "user:"}, set()),
            ({"tag": {"user": "john", "team": "search"}}, {"gpt-4o"}),
            ({"tag": "user:john", "provider": "openai", "model": "gpt-4o"}, {"gpt-4o"}),
            ({"tag": "nobody"}, set()),
            ({"provider": "nobody"}, set()),
            ({"since": START + timedelta(seconds=60)}, {"claude", "gpt-4o"}),
            ({"until": START + timedelta(seconds=60)}, {"gpt-4o-mini"}),
            (
                {"since": START + timedelta(seconds=60), "until": START + timedelta(seconds=120)},
                {"claude"},
            ),
            ({"since": START, "until": START}, set()),
            (
                {"since": datetime(2026, 11, 22, 14, 1, tzinfo=timezone(timedelta(hours=2)))},
                {"claude", "gpt-4o"},
            ),
        ],
    )
    def test_calls_that_pass_every_filter(
        self, tracker: UsageTracker, filters: dict[str, Any], models: set[str]
    ) -> None:
        """Times are from `since` on and before `until`, in any time zone; a bare name is any value."""
        stats = tracker.get_stats(**filters)
        assert models == set(stats["by_model"])
        assert len(models) == stats["total_calls"] == stats["window_calls"]

    def test_tags_beside_a_tag(self, tracker: UsageTracker) -> None:
        """What else John's calls were for."""
        by_tag = tracker.get_stats(tag="user:john")["by_tag"]
        assert {"user:john": 2, "research": 1, "team:search": 1} == {
            tag: group["calls"] for tag, group in by_tag.items()
        }

    @pytest.mark.parametrize(
        ("filters", "field"),
        [
            ({"since": datetime(2026, 11, 22)}, "since"),  # noqa: DTZ001  # naive on purpose
            ({"until": datetime(2026, 11, 22)}, "until"),  # noqa: DTZ001  # naive on purpose
            ({"since": date(2026, 11, 22)}, "since"),
            ({"since": 1_795_000_000}, "since"),
            ({"since": START, "until": START - timedelta(1)}, "since"),
            ({"tag": {}}, "tag"),
            ({"tag": ["user:john"]}, "tag"),
            ({"tag": {"user": None}}, "tags"),
            ({"tag": ""}, "tags"),
        ],
    )
    def test_a_filter_that_cannot_be_read_is_refused(self, filters: dict[str, Any], field: str) -> None:
        """Rather than answering another question."""
        with pytest.raises(ConfigurationError) as caught:
            UsageTracker().get_stats(**filters)
        assert field == caught.value.field

    def test_an_unknown_filter_is_refused(self) -> None:
        """A misspelt filter does not become no filter."""
        with pytest.raises(TypeError, match="modle"):
            UsageTracker().get_stats(modle="gpt-4o")  # type: ignore[call-arg]


class TestBudget:
    """A limit of its own, to look at."""

    def test_status(self) -> None:
        """Exact amounts, and the percentage as a float from 0 to 100."""
        tracker = UsageTracker("0.02")
        tracker.track(response(cost=Decimal("0.015")))
        assert {
            "limit_usd": Decimal("0.02"),
            "spent_usd": Decimal("0.015"),
            "remaining_usd": Decimal("0.005"),
            "percentage_used": 75.0,
            "budgets": [],
        } == tracker.get_budget_status()

    def test_overrun(self) -> None:
        """Nothing is refused; the status says how far over it is."""
        tracker = UsageTracker(1)
        tracker.track(response(cost=Decimal(3)))
        status = tracker.get_budget_status()
        assert (Decimal(-2), 300.0) == (status["remaining_usd"], status["percentage_used"])

    def test_no_limit(self) -> None:
        """Spend is known; what it is a part of is not."""
        tracker = UsageTracker()
        tracker.track(response(cost=Decimal(3)))
        assert {
            "limit_usd": None,
            "spent_usd": Decimal(3),
            "remaining_usd": None,
            "percentage_used": None,
            "budgets": [],
        } == tracker.get_budget_status()

    def test_a_limit_of_nothing_is_used_up(self) -> None:
        """No division by zero."""
        assert 100.0 == UsageTracker(0).get_budget_status()["percentage_used"]

    def test_a_float_limit_means_what_it_shows(self) -> None:
        """0.1 is a tenth of a dollar."""
        assert Decimal("0.1") == UsageTracker(0.1).get_budget_status()["limit_usd"]

    def test_a_tracker_of_the_runtime_speaks_for_the_ledger(self) -> None:
        """Every scope is told; the numbers beside them are those of the hard one of which most is used."""
        told = [
            *scopes(Budget("team", limit_usd="2", window="day", by="team"), search=500_000_000, growth=1_500_000_000),
            *scopes(Budget("all", limit_usd="1", window="lifetime", kind="soft"), **{"": 3_000_000_000}),
        ]
        tracker = UsageTracker(ledger=lambda: told)
        tracker.track(response(cost=Decimal(7)))

        status = tracker.get_budget_status()

        budgets = status.pop("budgets")
        assert {
            "limit_usd": Decimal(2),
            "spent_usd": Decimal("1.5"),
            "remaining_usd": Decimal("0.5"),
            "percentage_used": 75.0,
        } == status
        assert [("team", "growth"), ("team", "search"), ("all", "")] == [
            (each["id"], each["scope"]) for each in budgets
        ]
        assert {
            "id": "team",
            "scope": "search",
            "window": "day 2026-11-22, UTC",
            "limit_usd": Decimal(2),
            "spent_usd": Decimal("0.5"),
            "held_usd": Decimal("0.1"),
            "headroom_usd": Decimal("1.4"),
            "percentage_used": 25.0,
            "resets_at": datetime(2026, 11, 23, tzinfo=UTC),
        } == budgets[1]

    def test_without_a_hard_budget_the_soft_ones_are_spoken_for(self) -> None:
        """The most used of them."""
        a, b = (Budget(name, limit_usd="1", window="lifetime", kind="soft") for name in "ab")
        told = [*scopes(a, **{"": 100_000_000}), *scopes(b, **{"": 3_000_000_000})]

        assert 300.0 == UsageTracker(ledger=lambda: told).get_budget_status()["percentage_used"]

    def test_without_budgets_the_runtimes_tracker_speaks_for_itself(self) -> None:
        """As any other."""
        tracker = UsageTracker(ledger=list)
        tracker.track(response(cost=Decimal(3)))

        assert (None, Decimal(3)) == (
            tracker.get_budget_status()["limit_usd"],
            tracker.get_budget_status()["spent_usd"],
        )

    def test_a_ledger_that_is_out_is_said_so(self) -> None:
        """Nobody takes old or missing numbers for the ledger's."""

        def ledger() -> list[BudgetStatus]:
            raise StoreUnavailableError("redis://box:6379/0 did not answer within 250 ms")

        with pytest.raises(LLMOtelError, match="redis://box:6379/0 did not answer"):
            UsageTracker(ledger=ledger).get_budget_status()

    def test_llm_otels_own_tracker_asks_its_ledger(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`llm_otel.tracker()` knows of declared budgets before the first call."""
        monkeypatch.setattr(wiring, "_runtime", None)
        budget = Budget("company", limit_usd="500", window="month")
        wiring.configure(budgets=[budget], ledger="memory://", registry=CollectorRegistry(), strict=True)

        (told,) = wiring.tracker().get_budget_status()["budgets"]

        assert ("company", Decimal(500), Decimal(500)) == (told["id"], told["limit_usd"], told["headroom_usd"])

    @pytest.mark.parametrize("limit", [-1, math.nan, math.inf, "ten", True, [1]])
    def test_a_limit_that_is_no_amount_is_refused(self, limit: Any) -> None:
        """The error names the argument."""
        with pytest.raises(ConfigurationError, match="budget_limit_usd"):
            UsageTracker(limit)

    @pytest.mark.parametrize("max_calls", [0, -1, True, 1.5, None])
    def test_a_window_of_no_calls_is_refused(self, max_calls: Any) -> None:
        """At least one call is known."""
        with pytest.raises(ConfigurationError, match="max_calls"):
            UsageTracker(max_calls=max_calls)


class TestBoundedMemory:
    """What is forgotten, and what never is."""

    def test_sums_outlive_the_window(self, clock: HandClock) -> None:
        """Totals by provider, model and tag are of all time; percentiles of the window, and it says so."""
        tracker = UsageTracker(max_calls=2, clock=clock)
        for latency_ms in (1000.0, 20.0, 10.0):
            tracker.track(response(latency_ms=latency_ms), tags=["user:john"])
            clock.advance(60)
        for stats in (
            tracker.get_stats(),
            tracker.get_stats(tag="user:john"),
            tracker.get_stats(provider="openai"),
        ):
            assert (3, 2, False) == (stats["total_calls"], stats["window_calls"], stats["is_complete"])
            assert 3 == stats["by_model"]["gpt-4o-mini"]["calls"]
            assert 1030 / 3 == stats["avg_latency_ms"]
            assert (10.0, 20.0) == (stats["p50_latency_ms"], stats["p95_latency_ms"])

    def test_a_range_of_time_within_the_window_is_complete(self, clock: HandClock) -> None:
        """One that reaches back beyond it is not."""
        tracker = UsageTracker(max_calls=2, clock=clock)
        for _ in range(3):
            tracker.track(response())
            clock.advance(60)
        within = tracker.get_stats(since=START + timedelta(seconds=1))
        beyond = tracker.get_stats(since=START)
        assert (2, True) == (within["total_calls"], within["is_complete"])
        assert (2, False) == (beyond["total_calls"], beyond["is_complete"])

    @pytest.mark.parametrize("order", [(0, 60, 120), (60, 0, 120)], ids=["in order", "a late record"])
    def test_a_dropped_call_within_the_range_is_missed(self, facts: Any, order: tuple[int, ...]) -> None:
        """Calls arrive in any order: what matters is the latest end that was dropped."""
        tracker = UsageTracker(max_calls=1)
        for second in order:
            tracker.closed(facts.record(started_ns=START_NS + second * 10**9, duration_s=0.0))
        answers = [tracker.get_stats(since=START + timedelta(seconds=s))["is_complete"] for s in (30, 60, 61)]
        assert [False, False, True] == answers

    def test_tag_values_without_a_place_share_one(self) -> None:
        """None of them is lost, in the sum or in the window."""
        tracker = UsageTracker()
        for number in range(1005):
            tracker.track(response(cost=Decimal(1)), tags={"user": f"u{number}"})
        stats = tracker.get_stats(tag="user")
        assert (1005, 1001, 5) == (
            stats["total_calls"],
            len(stats["by_tag"]),
            stats["by_tag"][f"user:{OVERFLOW_LABEL}"]["calls"],
        )
        assert 1 == tracker.get_stats(tag="user:u1004")["total_calls"]

    def test_models_without_a_place_share_one(self) -> None:
        """The filter still finds one among the calls that are known one by one."""
        tracker = UsageTracker()
        for number in range(102):
            tracker.track(response(model=f"m{number}"))
        assert 2 == tracker.get_stats()["by_model"][OVERFLOW_LABEL]["calls"]
        assert 1 == tracker.get_stats(model="m101")["total_calls"]

    def test_tag_names_without_a_place_share_one(self) -> None:
        """A call with two of them is in it once."""
        tracker = UsageTracker()
        tracker.track(response(), tags={f"n{number}": "" for number in range(22)})
        by_tag = tracker.get_stats()["by_tag"]
        assert (21, 1) == (len(by_tag), by_tag[OVERFLOW_LABEL]["calls"])

    def test_asking_about_a_value_does_not_give_it_a_place(self) -> None:
        """Questions change nothing."""
        tracker = UsageTracker()
        tracker.track(response(), tags=["user:john"])
        for number in range(1005):
            tracker.get_stats(tag=f"user:x{number}", model=f"m{number}", provider=f"p{number}")
        tracker.track(response(model="new"), tags=["user:mary"])
        stats = tracker.get_stats()
        assert {"user:john", "user:mary"} == set(stats["by_tag"])
        assert {"gpt-4o-mini", "new"} == set(stats["by_model"])


class TestPercentile:
    """Nearest-rank."""

    @given(st.lists(st.integers(0, 10**12), min_size=1), st.integers(1, 100))
    def test_it_is_the_least_that_enough_do_not_exceed(self, latencies: list[int], percent: int) -> None:
        """By the definition, counted out."""
        latencies.sort()
        enough = [
            value for value in latencies if sum(each <= value for each in latencies) * 100 >= percent * len(latencies)
        ]
        assert enough[0] / 1e6 == percentile_ms(latencies, percent)


tags = st.dictionaries(st.sampled_from(["user", "team"]), st.sampled_from(["", "a", "b"]), max_size=2)
calls = st.fixed_dictionaries(
    {
        "provider": st.sampled_from(["openai", "anthropic"]),
        "model": st.sampled_from(["m1", "m2", "m3"]),
        "tokens": st.integers(0, 10**6),
        "cost": st.none() | st.integers(0, 10**12).map(lambda nano: Decimal(nano).scaleb(-9)),
        "latency_ms": st.integers(0, 10**6).map(float),
        "tags": tags,
        "pause_s": st.integers(0, 2),
    }
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "provider": st.sampled_from(["openai", "anthropic"]),
        "model": st.sampled_from(["m1", "m2", "m3"]),
        "tag": st.sampled_from(["user", "team", "user:a", "team:", {"user": "a"}, {"user": "b", "team": "a"}]),
        "since": st.integers(0, 10).map(lambda seconds: START + timedelta(seconds=seconds)),
    },
)


def passes(call: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Say whether a call passes, the plain way."""
    for key in ("provider", "model"):
        if key in wanted and call[key] != wanted[key]:
            return False
    if "since" in wanted and call["at"] < wanted["since"]:
        return False
    tag = wanted.get("tag", {})
    if isinstance(tag, str) and ":" not in tag:
        return tag in call["tags"]
    pairs = dict([tag.split(":")]) if isinstance(tag, str) else tag
    return all(call["tags"].get(name) == value for name, value in pairs.items())


def sums(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up calls, the plain way."""
    return {
        "calls": len(found),
        "cost_usd": sum((call["cost"] or 0 for call in found), Decimal(0)),
        "tokens": sum(call["tokens"] for call in found),
        "unpriced_calls": sum(call["cost"] is None for call in found),
        "avg_latency_ms": sum(call["latency_ms"] for call in found) / len(found) if found else None,
    }


class TestAgainstAPlainModel:
    """A list of all calls, and loops over it."""

    @settings(deadline=None)
    @given(made=st.lists(calls, max_size=30), wanted=filters, max_calls=st.sampled_from([1, 5, 100]))
    def test_any_calls_any_filter(self, made: list[dict[str, Any]], wanted: dict[str, Any], max_calls: int) -> None:
        """Sums are those of the model whenever `is_complete` or without a need for single calls."""
        clock = HandClock()
        tracker = UsageTracker(max_calls=max_calls, clock=clock)
        for call in made:
            call["at"] = START + timedelta(microseconds=(clock.ns - START_NS) // 1000)
            tracker.track(
                response(**{key: call[key] for key in ("provider", "model", "tokens", "cost", "latency_ms")}),
                tags=call["tags"],
            )
            clock.advance(call["pause_s"])
        stats = tracker.get_stats(**wanted)
        found = [call for call in made if passes(call, wanted)]
        known = [call for call in made[-max_calls:] if passes(call, wanted)]
        has_two_tags = isinstance(wanted.get("tag"), dict) and len(wanted["tag"]) == 2
        needs_window = "since" in wanted or has_two_tags
        counted = known if needs_window else found
        if stats["is_complete"]:
            assert found == known
        assert sums(counted) == {
            key: stats[f"total_{key}" if key in ("calls", "cost_usd", "tokens") else key] for key in sums([])
        }
        latencies = sorted(call["latency_ms"] for call in known)
        for percent in (50, 95):
            rank = math.ceil(percent / 100 * len(latencies))
            assert (latencies[rank - 1] if latencies else None) == stats[f"p{percent}_latency_ms"]
        assert len(known) == stats["window_calls"]
        for name in ("provider", "model"):
            expected = {
                value: sums([call for call in counted if call[name] == value])
                for value in {call[name] for call in counted}
            }
            assert expected == stats[f"by_{name}"]
        beside = known if "tag" in wanted else counted
        pairs = {pair for call in beside for pair in call["tags"].items()}
        assert {
            f"{name}:{value}" if value else name: sums([call for call in beside if call["tags"].get(name) == value])
            for name, value in pairs
        } == stats["by_tag"]


class TestConcurrency:
    """Many threads, and one thread in two places."""

    def test_no_call_is_lost_while_others_read(self) -> None:
        """8 threads track 250 calls each while two read without a pause."""
        tracker, done = UsageTracker(max_calls=100), threading.Event()
        barrier = threading.Barrier(10)

        def write(thread: int) -> None:
            barrier.wait()
            for number in range(250):
                tracker.track(response(cost=Decimal("0.01")), tags={"user": f"u{(number + thread) % 7}"})

        def read() -> None:
            barrier.wait()
            while not done.is_set():
                stats = tracker.get_stats()
                assert stats["total_cost_usd"] == stats["total_calls"] * Decimal("0.01")

        writers = [threading.Thread(target=write, args=(thread,)) for thread in range(8)]
        readers = [threading.Thread(target=read) for _ in range(2)]
        for thread in writers + readers:
            thread.start()
        for thread in writers:
            thread.join()
        done.set()
        for thread in readers:
            thread.join()
        stats = tracker.get_stats()
        assert (2000, Decimal(20), 2000 * 23) == (
            stats["total_calls"],
            stats["total_cost_usd"],
            stats["total_tokens"],
        )
        assert 2000 == sum(group["calls"] for group in stats["by_tag"].values())

    def test_a_call_that_ends_while_its_thread_is_reading(self, facts: Any) -> None:
        """The garbage collector ends a dropped stream inside `get_stats`: no deadlock, and it counts."""
        tracker = UsageTracker()
        tracker.track(response())

        class DroppedStream(dict[str, str]):
            def __del__(self) -> None:
                tracker.closed(facts.record())
                seen.append(tracker.get_stats()["total_calls"])

        class Name(str):
            """A model whose name is looked at while statistics are made."""

            __slots__ = ()

            def __lt__(self, other: str) -> bool:
                streams.clear()
                gc.collect()
                return str(self) < str(other)

        seen: list[int] = []
        streams = [DroppedStream()]
        tracker.track(response(model=Name("a")))
        tracker.track(response(model=Name("b")))
        assert 3 == tracker.get_stats()["total_calls"]
        assert [3] == seen, "the stream ended within the question, and asked one itself"
        assert 4 == tracker.get_stats()["total_calls"]


class TestWeight:
    """What it takes to have it."""

    def test_it_needs_no_prometheus(self) -> None:
        """Nor anything else that is heavy."""
        script = (
            "import sys, llm_otel.recorders.tracker\n"
            "heavy = {'prometheus_client', 'litellm', 'opentelemetry', 'pydantic', 'genai_prices'}\n"
            "print(sorted(heavy & set(sys.modules)))"
        )
        shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        assert "[]" == shown.strip()
