"""The demo in this process: real LiteLLM, real HTTP, and numbers that must be right."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from llm_otel.demo import prompts, scenario, services
from llm_otel.demo.drawing import draw
from llm_otel.demo.report import Report, Spend, TracedStep
from llm_otel.demo.simulator import Fail, Simulator
from llm_otel.demo.target import MAX_OUTPUT_TOKENS, Target
from llm_otel.errors import LLMOtelError
from llm_otel.models.providers import LLMProvider

pytestmark = pytest.mark.wire

CALLS = 60
SEED = 3
PLAN = scenario.plan(CALLS, SEED)
FAILS = [mishap.behaviour for mishap in PLAN.mishaps if isinstance(mishap.behaviour, Fail)]


@pytest.fixture(scope="module")
def report(run_demo: Callable[..., Report]) -> Report:
    """What a small run against the simulator found out."""
    return run_demo(calls=CALLS, seed=SEED)


def drawn(report: Report, *, width: int, encoding: str = "utf-8") -> str:
    """Return the report as it is printed in a pipe of so many columns."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    draw(report, Console(file=stream, width=width, highlight=False))
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


def steps_of(step: TracedStep) -> Iterator[TracedStep]:
    """Yield a step and all beneath it."""
    yield step
    for child in step.steps:
        yield from steps_of(child)


def test_what_was_recorded_is_the_simulators_bill_to_the_nano_dollar(report):
    """The library and the simulator count tokens and price them apart, and agree."""
    books = report.books

    assert books.billed == books.recorded
    assert books.recorded.cost_nano > 10_000_000
    assert books.are_right


def test_tracker_spans_metrics_and_ledger_say_the_same(report):
    """One sum feeds all four."""
    books = report.books

    assert [books.tracker_nano] * 3 == [books.spans_nano, books.metrics_nano, books.ledger_nano]
    assert report.total.cost_nano == books.tracker_nano


def test_streams_cut_short_are_kept_apart(report):
    """What nobody reported is an estimate, near the truth and in no proof."""
    books = report.books

    assert len(PLAN.broken) == books.estimated_calls
    assert books.tracker_nano == books.recorded.cost_nano + books.estimated.cost_nano
    assert books.estimated.cost_nano == sum(report.reliability.wasted_nano.values())
    assert pytest.approx(books.estimated_billed.cost_nano, rel=0.25) == books.estimated.cost_nano


def test_every_call_of_the_plan_is_counted_in_every_split(report):
    """Teams, features, providers and models are splits of the same calls."""
    total = report.total
    models = [part for provider in report.providers for part in provider.parts]

    def sums(spends: list[Spend] | tuple[Spend, ...]) -> tuple[int, int, int]:
        return (sum(s.calls for s in spends), sum(s.tokens for s in spends), sum(s.cost_nano for s in spends))

    assert CALLS == total.calls == sum(report.reliability.outcomes.values())
    for split in (report.teams, report.features, report.providers, models):
        assert (total.calls, total.tokens, total.cost_nano) == sums(split)


def test_all_that_is_promised_is_in_it(report):
    """Five teams, seven features, four providers; nothing that the page describes is missing from a short run."""
    assert {"search", "support", "growth", "research", "labs"} == {team.name for team in report.teams}
    features = {"answer", "classify", "summarise", "draft", "code-review", "naming", "translate"}
    assert features == {feature.name for feature in report.features}
    assert {"openai", "anthropic", "gcp.gemini", "ollama"} == {p.name for p in report.providers}
    facts = report.reliability
    denied, cached = sum(report.budgets.refused.values()), report.routing.cached
    succeeded = CALLS - 3 - denied - cached
    ends = {"success": succeeded, "error": 2, "denied": denied, "abandoned": 1, "cached": cached}
    assert ends == facts.outcomes
    assert 2 == report.total.unpriced_calls
    assert min(facts.saved_nano, facts.cache_read_tokens, facts.reasoning_tokens) > 0
    assert 0 == facts.internal_errors
    assert all(latency.p95_s >= latency.p50_s > 0 for latency in report.latencies)


def test_a_budget_runs_out(run_demo):
    """In front of the user: alerts, then cheaper answers, then none, and never a cent above the limit."""
    shown: list[str] = []
    found = run_demo(calls=CALLS, seed=SEED, shown=shown).budgets
    standings = {each.id: each for each in found.standings}
    (labs,) = standings["labs"].scopes

    assert ["company", "team", "shopper", "labs"] == list(standings)
    assert 0.8 * standings["labs"].limit_nano < labs.spent_nano <= standings["labs"].limit_nano
    assert {0} == {scope.held_nano for each in found.standings for scope in each.scopes}
    assert [0.5, 0.8] == [alert.fraction for alert in found.alerts if alert.budget == "labs"]
    assert found.downgraded > 1
    assert found.saved_nano > 0
    assert ["exhausted"] == list(found.refused)
    assert found.refused["exhausted"] > 1
    assert found.refusal.startswith("Budget 'labs' (day ")
    assert {"labs", "search", "support", "growth", "research"} == {each.scope for each in standings["team"].scopes}
    assert "Budget labs is used up: its calls are refused from now on" in shown
    assert len(found.alerts) == sum(each.startswith("Budget alert: ") for each in shown)


def test_budgets_of_the_user_are_none_of_the_demos(run_demo, monkeypatch, tmp_path):
    """Its simulated dollars are charged to nobody."""
    ledger, limits = tmp_path / "spend.db", tmp_path / "budgets.toml"
    limits.write_text('[[budgets]]\nid = "mine"\nlimit_usd = 0\nwindow = "day"\n')
    monkeypatch.setenv("LLM_OTEL_LEDGER", f"sqlite:///{ledger}")
    monkeypatch.setenv("LLM_OTEL_BUDGETS_FILE", str(limits))

    found = run_demo(calls=scenario.MIN_CALLS, seed=SEED)

    assert "mine" not in {each.id for each in found.budgets.standings}
    assert not ledger.exists()


def test_every_scripted_failure_is_seen(report):
    """What the provider refused is counted by its status, and what was tried again as a retry."""
    facts = report.reliability
    by_status = Counter(f"HTTP {fail.status}" for fail in FAILS)
    outage = f"HTTP {scenario.OUTAGE.status}"

    assert by_status == {cause: n for cause, n in facts.errors.items() if cause.startswith("HTTP") and cause != outage}
    assert len(FAILS) - 1 == facts.retries, "of three faults in a row the last is not tried again"
    assert sum(any(isinstance(m.behaviour, Fail) for m in e.mishaps) for e in PLAN.whole) - 1 == facts.recovered


def test_an_outage_is_seen_by_nobody_who_asks(report):
    """A fallback answers each call of the morning; a circuit keeps requests from being sent, and closes by itself."""
    routing = report.routing
    (circuit,) = routing.circuits
    tried = report.reliability.errors[f"HTTP {scenario.OUTAGE.status}"]

    assert {"gemini-2.5-flash-lite": prompts.MORNING_NOTICES} == routing.fallbacks
    assert services.TRANSLATOR == circuit.model
    assert prompts.MORNING_NOTICES == tried + circuit.not_sent
    assert circuit.not_sent > 0
    assert circuit.is_closed


def test_what_is_asked_again_is_answered_for_nothing(report):
    """One request for each question of the help page, however many ask it at once."""
    asked = [errand.text for errand in PLAN.whole if errand.line is scenario.HELP]

    assert len(asked) - len(set(asked)) == report.routing.cached > 0
    assert report.routing.saved_nano > 0


def test_the_router_chooses_by_what_is_asked(report):
    """Thanks need less than a comparison; one choice is put into words."""
    routing = report.routing
    asked = [errand for errand in PLAN.whole if errand.line is scenario.OPINION]

    assert len(asked) == sum(routing.chosen.values())
    assert routing.explained.partition(". ")[0] in routing.chosen
    assert "the request was rated to need" in routing.explained


def test_the_trace_is_the_one_that_shows_most(report):
    """Nested scopes, four models, a stream, reasoning, a refused attempt: and it went well."""
    steps = list(steps_of(report.trace))

    assert "invoke_workflow review_literature" == report.trace.name
    assert ["attempt 1", "attempt 2"] == [step.name for step in steps if step.is_attempt]
    assert 5 == sum(step.name.startswith("chat ") for step in steps)
    assert report.trace.cost_nano == sum(s.cost_nano for s in steps if s.name.startswith("chat "))
    assert any(remark.startswith("first chunk") for step in steps for remark in step.remarks)
    assert all(0 <= step.start_s <= report.trace.duration_s for step in steps)


def test_the_same_seed_spends_the_same(report, run_demo):
    """Threads and tasks race, and pauses are random; calls, tokens and money are not.

    How often a circuit opens in an outage is a matter of pace: a probe may come while it lasts.
    """
    again = run_demo(calls=CALLS, seed=SEED)

    assert report.total == again.total
    assert report.teams == again.teams
    assert report.books == again.books
    assert replace(report.routing, circuits=()) == replace(again.routing, circuits=())
    assert [(each.model, each.is_closed) for each in report.routing.circuits] == [
        (each.model, each.is_closed) for each in again.routing.circuits
    ]
    assert report.budgets.refused == again.budgets.refused
    assert report.budgets.refusal == again.budgets.refusal


@pytest.mark.parametrize("width", [80, 120])
def test_the_page_fits_and_shows_the_numbers(report, width):
    """No line is longer than the terminal, and the proof is there to read."""
    page = drawn(report, width=width)

    assert [] == [line for line in page.splitlines() if len(line.rstrip()) > width]
    nano = report.books.recorded.cost_nano
    assert 2 == page.count(f"${nano / 1e9:.9f}  {report.books.recorded.tokens:,} tokens")
    assert "equal to the nano-dollar" in page
    assert "invoke_workflow review_literature" in page


def test_the_page_can_be_written_in_ascii(report):
    """A terminal without Unicode gets bars and branches it can show."""
    page = drawn(report, width=100, encoding="ascii")

    assert "|- chat gpt-4o-mini" in page
    assert "##" in page


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A provider that is called for real: it insists on its key."""
    with Simulator(api_key="the right key") as simulator:
        for name, value in simulator.env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OPENAI_API_KEY", "the right key")
        yield simulator


TARGET = Target(LLMProvider.OPENAI, "gpt-4.1-nano", "openai/gpt-4.1-nano")


def test_a_real_provider_gets_all_the_calls_and_no_more(run_demo, provider):
    """One model, a cap on every answer, no warm-up, no proof that only the simulator can give."""
    report = run_demo(calls=12, seed=SEED, target=TARGET)

    sent = 12 - report.routing.cached
    assert 12 == report.total.calls
    assert [sent] * 2 == [len(provider.requests), provider.bill.total.requests]
    assert {"gpt-4.1-nano"} == {request.model for request in provider.requests}
    assert {MAX_OUTPUT_TOKENS} == {request.body["max_tokens"] for request in provider.requests}
    assert report.books.are_right
    assert [None] * 3 == [report.books.recorded, report.books.billed, report.books.estimated]
    agreed = report.budgets.standings[0]
    assert TARGET.ceiling_nano(12, at=datetime.now(UTC)) == agreed.limit_nano
    assert report.books.tracker_nano == agreed.scopes[0].spent_nano == report.books.ledger_nano
    assert "your provider's usage page" in drawn(report, width=80)


def test_a_wrong_key_is_told_once(run_demo, provider, monkeypatch):
    """The first call is made alone; nineteen more would only fail the same way."""
    monkeypatch.setenv("OPENAI_API_KEY", "a wrong key")

    with pytest.raises(LLMOtelError, match=r"the first call failed, so no more were made: .*HTTP 401"):
        run_demo(calls=12, seed=SEED, target=TARGET)

    assert 1 == len(provider.requests)
