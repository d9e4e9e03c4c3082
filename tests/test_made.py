"""Calls that were made without us: one span, its cost, the totals and the budgets, as if they had been made here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry import baggage, context
from prometheus_client import CollectorRegistry

from llm_otel import Budget, ConfigurationError, UnknownProviderError, semconv
from llm_otel.assembly import Runtime
from llm_otel.clock import SystemClock
from llm_otel.config import Settings
from llm_otel.made import Told, times_of
from llm_otel.open_call import OpenCall
from llm_otel.scope import Scope
from llm_otel.traced import current_trace, record, traced_llm
from llm_otel.traced.opened import OpenScope

NOW_S = 1_800_000_000.0
ANTHROPIC = {
    "id": "msg_1",
    "model": "claude-haiku-4-5",
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100},
}
OPENAI = {"id": "c1", "model": "gpt-4o-mini", "choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 100}}
OPENAI_COST_NANO = 1000 * 150 + 100 * 600


class StillClock(SystemClock):
    """Stands still until it is moved."""

    seconds = 0.0

    def now_ns(self) -> int:
        """Return wall time."""
        return round((NOW_S + self.seconds) * 1e9)

    def monotonic(self) -> float:
        """Return as many seconds."""
        return 100.0 + self.seconds


@pytest.fixture
def clock() -> StillClock:
    """The clock of the runtime."""
    return StillClock()


@pytest.fixture
def registry() -> CollectorRegistry:
    """The metrics of this test."""
    return CollectorRegistry()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, clock: StillClock, registry: CollectorRegistry) -> Callable[..., Runtime]:
    """`use(budgets=..., **settings)` makes the runtime of this test."""

    def use(budgets: Any = (), **settings: Any) -> Runtime:
        made = Runtime(Settings(strict=True, **settings), budgets=budgets, registry=registry, clock=clock)
        monkeypatch.setattr("llm_otel.wiring._runtime", made)
        return made

    return use


@pytest.fixture(autouse=True)
def runtime(use: Callable[..., Runtime]) -> Runtime:
    """One without budgets."""
    return use()


class TestWhatIsWrittenDown:
    """The span of a recorded call, and every sum that it is in."""

    def test_the_span_is_that_of_any_call(self, spans: Any, clock: StillClock) -> None:
        """With the counts of its SDK made inclusive, its price, and the tags around."""
        with traced_llm("work", tags={"team": "search"}, conversation_id="c-7") as trace:
            trace.record(ANTHROPIC, duration_s=2, tags={"user": "john"})

        span, work = spans.named("chat claude-haiku-4-5"), spans.named("invoke_workflow work")
        said = dict(span.attributes)
        assert work.get_span_context().span_id == span.parent.span_id
        assert {
            semconv.GEN_AI_PROVIDER_NAME: "anthropic",
            semconv.GEN_AI_REQUEST_MODEL: "claude-haiku-4-5",
            semconv.GEN_AI_RESPONSE_ID: "msg_1",
            semconv.GEN_AI_RESPONSE_FINISH_REASONS: ("end_turn",),
            semconv.GEN_AI_USAGE_INPUT_TOKENS: 110,
            semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: 100,
            semconv.GEN_AI_CONVERSATION_ID: "c-7",
            semconv.OUTCOME: "success",
            "llm_otel.tag.team": "search",
            "llm_otel.tag.user": "john",
        }.items() <= said.items()
        assert (1, 115) == (trace.calls, trace.tokens)
        assert trace.totals.cost_nano == said[semconv.COST_NANO_USD] == work.attributes[semconv.TOTAL_COST_NANO_USD]

    def test_the_cost_is_that_of_a_call_made_here(self, spans: Any, runtime: Runtime) -> None:
        """By the same prices; in the tracker and the metrics too."""
        with traced_llm("work") as trace:
            trace.record(OPENAI, duration_s=1)

        assert Decimal(OPENAI_COST_NANO).scaleb(-9) == trace.cost_usd
        assert Decimal(OPENAI_COST_NANO).scaleb(-9) == runtime.tracker.get_stats()["total_cost_usd"]

    def test_embeddings_have_their_own_operation(self, spans: Any) -> None:
        """Told from the response; or said."""
        response = {"model": "text-embedding-3-small", "data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 8}}
        record(response, duration_s=1)
        record(OPENAI, operation="text_completion", duration_s=1)

        assert ["embeddings text-embedding-3-small", "text_completion gpt-4o-mini"] == spans.names

    def test_a_call_that_failed(self, spans: Any) -> None:
        """Is one, without usage."""
        with traced_llm("work") as trace:
            trace.record(error=ValueError("secret"), model="gpt-4o-mini", duration_s=1)

        span = spans.named("chat gpt-4o-mini")
        assert ("error", "ValueError") == (span.attributes[semconv.OUTCOME], span.attributes[semconv.ERROR_TYPE])
        assert "secret" not in str(span.attributes) + str(span.status.description) + str(span.events)
        assert (1, 0) == (trace.calls, trace.tokens)

    def test_what_came_before_it_failed_is_booked(self, spans: Any) -> None:
        """A stream that broke, with the usage that it had told."""
        record(OPENAI, error=ConnectionError(), duration_s=1)

        said = spans.only.attributes
        assert ("error", OPENAI_COST_NANO) == (said[semconv.OUTCOME], said[semconv.COST_NANO_USD])

    def test_a_response_that_says_that_it_failed(self, spans: Any) -> None:
        """As OpenAI's Responses API has them, without an exception."""
        failed = {"model": "gpt-5-mini", "status": "failed", "error": {"code": "server_error"}, "output": []}
        record(failed | {"usage": {"input_tokens": 10, "output_tokens": 0}}, duration_s=1)

        said = spans.only.attributes
        assert ("error", "server_error") == (said[semconv.OUTCOME], said[semconv.ERROR_TYPE])

    def test_recording_twice_counts_twice(self, spans: Any) -> None:
        """Nothing tells two calls with one id from one call: the docs say so."""
        with traced_llm("work") as trace:
            trace.record(OPENAI)
            trace.record(OPENAI)

        assert 2 == trace.calls

    def test_what_was_recorded_is_not_recorded_again_when_it_is_returned(self, spans: Any) -> None:
        """A function may do both."""

        @traced_llm("work")
        def work() -> Any:
            record(OPENAI)
            return OPENAI

        work()
        assert ["chat gpt-4o-mini", "invoke_workflow work"] == spans.names


class TestBudgets:
    """The money is spent already."""

    def test_it_is_charged_and_refused_by_none(self, use: Callable[..., Runtime], spans: Any) -> None:
        """Also above the limit; the next call of ours is refused."""
        made = use([Budget("team", limit_usd="0.0001", window="day", by="team")])
        with traced_llm("work", tags={"team": "search"}, budget_usd="0.0001") as trace:
            trace.record(OPENAI)
            trace.record(OPENAI)

        assert made.enforcer.flush(5)
        (status,) = made.enforcer.statuses()
        assert ("search", Decimal(2 * OPENAI_COST_NANO).scaleb(-9)) == (status.scope, status.spent_usd)
        assert 2 == trace.calls

    @pytest.mark.parametrize("is_async", [False, True])
    def test_no_event_loop_waits_for_the_ledger(self, is_async: bool, spans: Any, monkeypatch: Any) -> None:
        """In a thread the ledger has the bill when `record` returns; on a loop it is on its way."""
        asked: list[bool] = []
        opened = OpenCall.__init__

        def noted(call: Any, *args: Any, may_block: bool = True, **facts: Any) -> None:
            asked.append(may_block)
            opened(call, *args, may_block=may_block, **facts)

        monkeypatch.setattr(OpenCall, "__init__", noted)

        @traced_llm("returned")
        def returned() -> Any:
            return OPENAI

        async def main() -> None:
            record(OPENAI, duration_s=1)
            returned()

        if is_async:
            asyncio.run(main())
        else:
            record(OPENAI, duration_s=1)
            returned()

        assert [not is_async] * 2 == asked


class TestWhere:
    """The scope that it counts in, and the span that it is under."""

    def test_in_the_innermost_scope(self, spans: Any) -> None:
        """Which `record` and `current_trace` find by themselves."""
        with traced_llm("outer") as outer:
            with traced_llm("inner") as inner:
                assert inner is current_trace()
                record(OPENAI)
            assert outer is current_trace()

        assert current_trace() is None
        assert (1, 1) == (inner.calls, outer.calls)

    def test_of_an_outer_scope_it_is_the_outer_ones(self, spans: Any) -> None:
        """Its totals and tags; its span stands where the program stands."""
        with traced_llm("outer", tags={"a": "outer"}) as outer, traced_llm("inner", tags={"a": "inner"}) as inner:
            outer.record(OPENAI)

        span = spans.named("chat gpt-4o-mini")
        assert (0, 1, "outer") == (inner.calls, outer.calls, span.attributes["llm_otel.tag.a"])
        assert spans.named("invoke_workflow inner").get_span_context().span_id == span.parent.span_id

    def test_from_a_thread_it_is_under_the_span_of_the_scope(self, spans: Any) -> None:
        """Though nothing was carried there."""
        with traced_llm("work") as trace:
            thread = threading.Thread(target=lambda: trace.record(OPENAI))
            thread.start()
            thread.join()

        span = spans.named("chat gpt-4o-mini")
        assert spans.named("invoke_workflow work").get_span_context().span_id == span.parent.span_id
        assert 1 == trace.calls

    def test_outside_of_all_it_stands_alone(self, use: Callable[..., Runtime], spans: Any) -> None:
        """With the tags that came with the request."""
        use(baggage_tags=("team",))
        token = context.attach(baggage.set_baggage("team", "wire"))
        record(OPENAI, duration_s=1)
        context.detach(token)

        assert spans.only.parent is None
        assert "wire" == spans.only.attributes["llm_otel.tag.team"]


class TestTimes:
    """From when to when."""

    def test_the_span_has_the_times_of_the_call(self, spans: Any) -> None:
        """Not of the recording."""
        record(OPENAI, started=NOW_S - 60, duration_s=2.5)

        assert (round((NOW_S - 60) * 1e9), 2.5e9) == (
            spans.only.start_time,
            spans.only.end_time - spans.only.start_time,
        )

    @pytest.mark.parametrize(
        ("facts", "expected"),
        [
            ({"started": NOW_S - 10, "duration_s": 4}, (-10.0, 4.0)),
            ({"started": NOW_S - 10}, (-10.0, 10.0)),
            ({"started": datetime.fromtimestamp(NOW_S - 10, UTC)}, (-10.0, 10.0)),
            ({"duration_s": 4}, (-4.0, 4.0)),
            ({"duration_s": 0}, (0.0, 0.0)),
            ({"started": NOW_S + 1}, (1.0, 0.0)),
            ({}, (-30.0, 30.0)),
        ],
    )
    def test_what_is_not_said_is_told_from_the_rest(self, facts: Any, expected: tuple[float, float]) -> None:
        """From now, or from when its scope began."""
        told = Told(**facts)
        since = (round((NOW_S - 30) * 1e9), 30.0)
        started_ns, duration_s = times_of(told, since=since, now_ns=round(NOW_S * 1e9))

        assert expected == (pytest.approx(started_ns / 1e9 - NOW_S), pytest.approx(duration_s))

    def test_its_one_attempt_has_them_too(self, spans: Any, runtime: Runtime) -> None:
        """It went out when the call began."""
        kept: list[Any] = []

        class Keeping(Scope):
            def add(self, record: Any) -> None:
                kept.append(record)

        runtime.record_made(Told(response=OPENAI, duration_s=2), scope=Keeping("kept"), since=None)

        (ended,) = kept
        assert [(0.0, 2.0)] == [(each.started_s, each.duration_s) for each in ended.attempts]

    def test_calls_one_after_the_other_do_not_overlap(self, spans: Any, monkeypatch: Any, clock: StillClock) -> None:
        """Each begins with its scope, or where the one before it was recorded."""
        opened = OpenScope("work", {}, clock=clock)
        with opened, opened.running:
            for pause in (3, 4):
                clock.seconds += pause
                opened.scope.record(OPENAI)

        calls = [span for span in spans.ended if span.name == "chat gpt-4o-mini"]
        assert [(0, 3), (3, 7)] == [
            (round(span.start_time / 1e9 - NOW_S), round(span.end_time / 1e9 - NOW_S)) for span in calls
        ]


class TestBadInput:
    """A mistake of the program is told at once: which field, what it was, what it may be."""

    @pytest.mark.parametrize(
        ("facts", "message"),
        [
            ({}, "response=None is not usable"),
            ({"response": "the answer"}, "response='str' is not usable: a response with its usage"),
            ({"response": {"content": "x"}}, "response='dict' is not usable"),
            ({"response": OPENAI | {"model": None}}, "model=None is not usable"),
            ({"response": OPENAI, "model": 5}, "model=5 is not usable"),
            ({"response": OPENAI, "provider": 5}, "provider=5 is not usable"),
            ({"response": OPENAI, "operation": "dream"}, "operation='dream' is not usable: one of chat"),
            ({"response": OPENAI, "duration_s": -1}, "duration_s=-1 is not usable"),
            ({"response": OPENAI, "duration_s": "2"}, "duration_s='2' is not usable"),
            ({"response": OPENAI, "duration_s": True}, "duration_s=True is not usable"),
            ({"response": OPENAI, "duration_s": float("nan")}, "duration_s=nan is not usable"),
            ({"response": OPENAI, "duration_s": 10**400}, "is not usable: a number of seconds"),
            ({"response": OPENAI, "started": 1234.5}, "started=1234.5 is not usable"),
            ({"response": OPENAI, "started": NOW_S * 1000}, "is not usable: seconds since the epoch"),
            ({"response": OPENAI, "started": datetime(2026, 1, 1)}, "a datetime with a time zone"),  # noqa: DTZ001
            ({"response": OPENAI, "error": "failed"}, "error='str' is not usable"),
            ({"response": OPENAI, "tags": "team:search"}, "tags="),
        ],
    )
    def test_it_names_what_is_wrong(self, facts: Any, message: str, spans: Any) -> None:
        """And nothing is written down."""
        with traced_llm("work") as trace, pytest.raises(ConfigurationError) as raised:
            trace.record(**facts)

        assert message in str(raised.value)
        assert 0 == trace.calls

    def test_a_provider_that_cannot_be_told_has_to_be_given(self, spans: Any) -> None:
        """Then any will do that LiteLLM has."""
        with traced_llm("work") as trace:
            with pytest.raises(UnknownProviderError):
                trace.record(OPENAI, model="our-own-model")
            trace.record(OPENAI, model="our-own-model", provider="openai")

        assert 1 == trace.calls

    def test_outside_of_a_scope_nothing_else_tells_the_time(self) -> None:
        """A span of no length would pass for a very quick provider."""
        with pytest.raises(ConfigurationError, match="started=None"):
            record(OPENAI)
