"""Answers that are given again: to whom, in which form, and what is written down of it."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from llm_otel import Budget, BudgetExceededError, CircuitOpenError, LLMConfig, LLMRouter, semconv, traced_llm
from llm_otel.call import Outcome
from llm_otel.content import CAPTURE
from llm_otel.demo.simulator import Break, Fail, Finish, Hang, Reply, ToolCall
from tests.metering import metering
from tests.wire.books import Ending, success
from tests.wire.callers import HELLO, MODELS, ROUTER, asked_by

__all__ = ["metering"]

TTL_S = 60.0
TEXT = "Hello there, how can I help you today?"
REPLY = Reply(TEXT, input_tokens=18, output_tokens=9)
COST = MODELS["openai"].cost(18, 9)
HIT = Ending(outcome="cached", cost_nano=0, attempts=0)
FORMS = ((False, False), (False, True), (True, False), (True, True))
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find_bird",
            "description": "Finds a bird.",
            "parameters": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        },
    }
]


def in_all_forms(caller):
    """Return callers that ask the same in every form."""
    return [replace(caller, is_async=is_async, is_stream=is_stream) for is_async, is_stream in FORMS]


def config(**options: Any) -> LLMConfig:
    """Return the configuration of a call that may be answered from the cache."""
    return LLMConfig(**{"model": "gpt-4o-mini", "max_retries": 0, "cache_ttl_s": TTL_S} | options)


def saved(books):
    """Return nano-USD that the cache has saved."""
    return round(books.metric(semconv.SAVED, reason=semconv.SAVED_BY_RESPONSE_CACHE) * 1e9)


# --- a hit ------------------------------------------------------------------------------------------------------------


@asked_by(entrances=(ROUTER,))
def test_an_answer_is_given_again(caller, simulator, books):
    """In whatever form it was asked for first, and is asked for now; each provider's."""
    simulator.script(REPLY)
    first = caller.ask(cache_ttl_s=TTL_S)

    again = [each.ask(cache_ttl_s=TTL_S) for each in in_all_forms(caller)]

    assert 1 == len(simulator.requests)
    cost = caller.model.cost(18, 9)
    assert [success(18, 9, cost), HIT, HIT, HIT, HIT] == books.endings
    assert (4 * cost, 1) == (saved(books), books.metric(semconv.ATTEMPTS))
    assert 1 == books.sample("llm_otel_request_duration_seconds_count")
    assert (False, 0) == (first.result.is_cached, first.result.saved_usd)
    for got in again:
        response = got.result
        assert (None, TEXT, TEXT) == (got.error, got.text, response.content)
        assert (True, Decimal(cost).scaleb(-9)) == (response.is_cached, response.saved_usd)
        assert (0, 0, 0) == (response.usage.total_tokens, response.usage.input_cost_usd, response.usage.total_cost_usd)
        told = ("provider", "model", "finish_reason", "tool_calls", "decision")
        assert [getattr(first.result, name) for name in told] == [getattr(response, name) for name in told]
        assert (1, 0, 0) == (got.scope.calls, got.scope.tokens, got.scope.totals.cost_nano)


@asked_by(providers=("openai",), entrances=(ROUTER,))
def test_the_span_of_a_hit(caller, simulator, books):
    """It says whose answer it is and that it comes from the cache, and nothing of tokens."""
    simulator.script(REPLY)
    caller.ask(cache_ttl_s=TTL_S)
    caller.ask(cache_ttl_s=TTL_S)

    said = dict(books.calls[1].attributes or {})
    expected = {
        semconv.CACHE_HIT: True,
        semconv.ATTEMPT_COUNT: 0,
        semconv.GEN_AI_USAGE_COST_AMOUNT: 0.0,
        semconv.GEN_AI_RESPONSE_MODEL: "gpt-4o-mini",
        semconv.GEN_AI_RESPONSE_FINISH_REASONS: ("stop",),
    }
    assert expected == {name: said.get(name) for name in expected}
    assert caller.is_stream == (semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK in said)
    assert [] == books.children(books.calls[1])


@asked_by(providers=("openai", "anthropic", "gemini"), entrances=(ROUTER,), is_async=False)
def test_calls_of_tools(caller, simulator, books):
    """Their names and arguments come back as they were, and as objects of LiteLLM's."""
    simulator.script(Reply("", tool_calls=(ToolCall("find_bird", {"name": "Tweety", "age": 7}),)))
    first = caller.ask(cache_ttl_s=TTL_S, tools=TOOLS)

    for each in in_all_forms(caller):
        again = each.ask(cache_ttl_s=TTL_S, tools=TOOLS)

        assert again.result.is_cached
        assert [("find_bird", '{"name":"Tweety","age":7}')] == [
            (call.function.name, call.function.arguments.replace(" ", "")) for call in again.result.tool_calls
        ]
        assert [call.id for call in first.result.tool_calls] == [call.id for call in again.result.tool_calls]
        assert first.result.finish_reason == again.result.finish_reason


@asked_by(providers=("openai",), entrances=(ROUTER,), is_stream=False)
def test_several_choices(caller, simulator, books):
    """All of them come back, each in its place."""
    simulator.script(Reply(("One bird.", "Two birds.")))
    caller.ask(cache_ttl_s=TTL_S, n=2)

    whole = caller.ask(cache_ttl_s=TTL_S, n=2).result
    assert ["One bird.", "Two birds."] == [choice.message.content for choice in whole.raw.choices]
    texts = {0: "", 1: ""}
    for chunk in replace(caller, is_stream=True).ask(cache_ttl_s=TTL_S, n=2).chunks:
        texts[chunk.raw.choices[0].index] += chunk.raw.choices[0].delta.content or ""
    assert {0: "One bird.", 1: "Two birds."} == texts
    assert [False, True, True] == [semconv.CACHE_HIT in (span.attributes or {}) for span in books.calls]


@asked_by(providers=("openai",), entrances=(ROUTER,), is_stream=True)
def test_a_stream_of_several_choices_is_not_kept(caller, simulator, books):
    """LiteLLM makes one choice of them, which is nobody's answer."""
    simulator.script(*[Reply(("One bird.", "Two birds."))] * 2)
    caller.ask(cache_ttl_s=TTL_S, n=2)

    whole = replace(caller, is_stream=False).ask(cache_ttl_s=TTL_S, n=2).result
    assert ["One bird.", "Two birds."] == [choice.message.content for choice in whole.raw.choices]
    assert not whole.is_cached


@asked_by(entrances=(ROUTER,), is_async=False)
def test_json(caller, simulator, books):
    """The mode is part of the question, and the text comes back byte for byte."""
    text = '{"birds": ["Tweety", "Zazu"], "ö": "\\u2028"}'
    simulator.script(Reply(text))
    asked = {"cache_ttl_s": TTL_S, "response_format": {"type": "json_object"}}
    caller.ask(**asked)

    assert [text] * 4 == [each.ask(**asked).text for each in in_all_forms(caller)]
    assert 1 == len(simulator.requests)


def test_a_caller_who_changes_an_answer_changes_his_own(simulator, books):
    """Every hit is a new object."""
    router = LLMRouter()
    simulator.script(REPLY)
    for _ in range(3):
        response = router.complete(HELLO, config())
        assert TEXT == response.content
        response.raw.choices[0].message.content = "something else"


@asked_by(providers=("openai",), entrances=(ROUTER,))
def test_what_is_said_is_recorded(caller, simulator, books, use, registry, monkeypatch):
    """Where the content of calls is recorded, a hit says what it said."""
    monkeypatch.setenv(CAPTURE, "SPAN_ONLY")
    use(registry)
    simulator.script(REPLY)
    caller.ask(cache_ttl_s=TTL_S)
    caller.ask(cache_ttl_s=TTL_S)

    names = (semconv.GEN_AI_INPUT_MESSAGES, semconv.GEN_AI_OUTPUT_MESSAGES)
    first, again = ([(span.attributes or {})[name] for name in names] for span in books.calls)
    assert TEXT in again[1]
    assert first == again


@asked_by(providers=("openai",), entrances=(ROUTER,))
def test_the_metrics_of_the_conventions(caller, simulator, books, metering):
    """A hit is no latency of a provider's, and used no tokens."""
    simulator.script(REPLY)
    caller.ask(cache_ttl_s=TTL_S)
    caller.ask(cache_ttl_s=TTL_S)

    assert 1 == sum(point.count for point in metering.points("gen_ai.client.inference.duration").values())
    usage = "gen_ai.client.inference.usage"
    assert [18, 9] == [sum(metering.values(f"{usage}.{kind}_tokens").values()) for kind in ("input", "output")]


# --- budgets and circuits ---------------------------------------------------------------------------------------------


def test_a_hit_passes_a_budget_that_is_used_up(use, registry, simulator, books):
    """It costs nothing, so there is nothing to refuse; what would cost something is refused as ever."""
    made = use(registry, budgets=[Budget("tiny", limit_usd="0.00002", window="lifetime")])
    simulator.script(Reply(TEXT, input_tokens=200, output_tokens=9))
    router, asked = LLMRouter(), config(max_tokens=20)
    router.complete(HELLO, asked)
    (before,) = made.enforcer.statuses()
    assert before.spent_usd > before.limit_usd

    assert router.complete(HELLO, asked).is_cached
    with pytest.raises(BudgetExceededError):
        router.complete([{"role": "user", "content": "And now?"}], asked)

    (after,) = made.enforcer.statuses()
    assert (before.spent_usd, 0) == (after.spent_usd, after.held_usd)


def test_a_hit_passes_a_ceiling_that_a_request_would_not(simulator, books):
    """`max_cost_usd` is about what a call costs."""
    router = LLMRouter()
    router.complete(HELLO, config(max_tokens=100))

    assert router.complete(HELLO, config(max_tokens=100, max_cost_usd="0.000000001")).is_cached


def test_a_hit_passes_an_open_circuit(use, registry, simulator, books):
    """What is here needs no provider; the circuit is none the wiser for it."""
    use(registry, circuit_min_calls=1)
    router, other = LLMRouter(), [{"role": "user", "content": "And now?"}]
    router.complete(HELLO, config())
    simulator.script(Fail(500), Fail(500), Fail(500))
    while True:
        with pytest.raises(Exception, match="") as caught:
            router.complete(other, config())
        if isinstance(caught.value, CircuitOpenError):
            break

    assert router.complete(HELLO, config()).is_cached
    with pytest.raises(CircuitOpenError):
        router.complete(other, config())


# --- what is not kept -------------------------------------------------------------------------------------------------


NOT_KEPT = {
    "an error": Fail(400),
    "an answer that was cut off by the limit": Reply(TEXT, finish=Finish.LENGTH),
    "an answer that a filter cut off": Reply(TEXT, finish=Finish.CONTENT_FILTER),
    "an answer that broke": Break(1),
}


@pytest.mark.parametrize("bad", NOT_KEPT.values(), ids=NOT_KEPT)
@asked_by(providers=("openai",), entrances=(ROUTER,))
def test_what_is_not_whole_is_asked_for_again(caller, bad, simulator, books):
    """A failure is nobody's answer, and half of one is not either."""
    simulator.script(bad, REPLY)
    caller.ask(cache_ttl_s=TTL_S)

    again = caller.ask(cache_ttl_s=TTL_S)

    assert (2, TEXT, False) == (len(simulator.requests), again.text, again.result.is_cached)
    assert caller.ask(cache_ttl_s=TTL_S).result.is_cached


def leave_by_close(stream):
    """Read a chunk, and close it."""
    next(stream)
    stream.close()


def leave_by_drop(stream):
    """Read a chunk; nobody has it then."""
    next(stream)


def leave_by_interrupt(stream):
    """Leave its block by Ctrl-C."""
    with suppress(KeyboardInterrupt), stream:
        next(stream)
        raise KeyboardInterrupt


@pytest.mark.parametrize("leave", [leave_by_close, leave_by_drop, leave_by_interrupt])
def test_a_stream_that_was_left_is_asked_for_again(leave, simulator, books):
    """Also where all of it may have come by then."""
    router = LLMRouter()
    hang = Hang(after_chunks=1, reply=REPLY)
    simulator.script(hang, REPLY)
    leave(router.stream(HELLO, config()))
    gc.collect()

    assert not router.complete(HELLO, config()).is_cached
    assert 2 == len(simulator.requests)
    hang.release()


def test_a_stream_that_was_cancelled_is_asked_for_again(simulator, books, run):
    """The task was told to stop."""
    router = LLMRouter()
    simulator.script(Hang(after_chunks=1, reply=REPLY), REPLY)

    async def main():
        begun = asyncio.Event()

        async def read():
            async for _ in router.astream(HELLO, config()):
                begun.set()

        task = asyncio.create_task(read())
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        return await router.acomplete(HELLO, config())

    assert not run(main()).is_cached
    assert ["cancelled", "success"] == [ending.outcome for ending in books.endings]


def test_a_stream_that_nobody_reads_asks_for_nothing(simulator, books):
    """And stands in nobody's way."""
    router = LLMRouter()
    unread = router.stream(HELLO, config())
    simulator.script(REPLY)

    assert not router.complete(HELLO, config()).is_cached
    assert router.complete(HELLO, config()).is_cached
    unread.close()


def test_a_replay_that_is_left_early_is_a_hit(simulator, books):
    """It was answered, and nothing was spent."""
    router = LLMRouter()
    simulator.script(REPLY)
    router.complete(HELLO, config())
    stream = router.stream(HELLO, config())
    next(stream)
    stream.close()

    assert [success(18, 9, COST), HIT] == books.endings
    assert stream.response.is_cached


def test_a_replay_that_was_told_to_stop_is_cancelled(simulator, books):
    """As any stream; nobody got an answer, so nothing was saved."""
    router = LLMRouter()
    simulator.script(REPLY)
    router.complete(HELLO, config())
    leave_by_interrupt(router.stream(HELLO, config()))

    assert ["success", "cancelled"] == [ending.outcome for ending in books.endings]
    assert 0 == saved(books)


def test_the_answer_of_a_fallback_is_not_kept(simulator, books):
    """It is another model's; and one that answers is not kept from doing so."""
    router, asked = LLMRouter(), config(fallbacks=(MODELS["anthropic"].litellm_name,))
    simulator.script(Fail(503), REPLY, REPLY)
    other = router.complete(HELLO, asked)

    again = router.complete(HELLO, asked)

    assert ("anthropic", "openai", False) == (other.provider, again.provider, again.is_cached)


def test_the_answer_of_a_downgrade_is_not_kept(use, registry, simulator, books):
    """The budget may have more tomorrow."""
    budget = Budget("day", limit_usd="0.001", window="day", on_exceeded="downgrade", downgrade_to=("gpt-4o-mini",))
    use(registry, budgets=[budget])
    router, asked = LLMRouter(), config(model="gpt-4o", max_tokens=200)
    first = router.complete(HELLO, asked)

    again = router.complete(HELLO, asked)

    assert ("gpt-4o-mini", "gpt-4o-mini") == (first.model, again.model)
    assert (2, False) == (len(simulator.requests), again.is_cached)


def test_a_hit_of_litellms_own_cache(response_cache, simulator, books):
    """It says what it saved too, and is not kept once more."""
    router = LLMRouter()
    simulator.script(REPLY, REPLY)
    router.complete(HELLO, config(cache_ttl_s=None, extra={"caching": True}))
    litellms = router.complete(HELLO, config(extra={"caching": True}))
    third = router.complete(HELLO, config(extra={"caching": False}))

    assert (True, Decimal(COST).scaleb(-9)) == (litellms.is_cached, litellms.saved_usd)
    assert (COST, False) == (saved(books), third.is_cached)
    assert ["success", "cached", "success"] == [ending.outcome for ending in books.endings]


# --- who asks the same ------------------------------------------------------------------------------------------------


DIFFERENT = {
    "temperature": {"temperature": 0.5},
    "max_tokens": {"max_tokens": 500},
    "model": {"model": "gpt-4o"},
    "key": {"api_key": "sk-another"},
    "tools": {"tools": TOOLS},
    "seed": {"extra": {"seed": 7}},
    "something new": {"extra": {"logit_bias": {"1": 1}}},
}


@pytest.mark.parametrize("different", DIFFERENT.values(), ids=DIFFERENT)
def test_another_question_has_another_answer(different, simulator, books):
    """Every parameter counts."""
    router = LLMRouter()
    router.complete(HELLO, config())

    assert not router.complete(HELLO, config(**different)).is_cached
    assert router.complete(HELLO, config(**different)).is_cached
    assert 2 == len(simulator.requests)


def test_patience_is_not_part_of_the_question(simulator, books):
    """How long one waits, how often one asks again and how old an answer may be changes nothing about it."""
    router = LLMRouter()
    router.complete(HELLO, config())

    assert router.complete(HELLO, config(timeout_s=7, max_retries=3, cache_ttl_s=30.0)).is_cached
    assert router.complete(HELLO, config(model="openai/gpt-4o-mini")).is_cached


def test_tenants_never_share(simulator, books):
    """Whose a call is says a tag, of its own or of the scope around it; other tags keep nobody apart."""
    router = LLMRouter()

    def ask(**tags):
        return router.complete(HELLO, config(), tags=tags).is_cached

    assert [False] * 4 == [ask(), ask(tenant="a"), ask(tenant="b"), ask(user="a")]
    assert [True] * 4 == [ask(), ask(tenant="a"), ask(tenant="b", team="x"), ask(user="a")]
    with traced_llm("work", tags={"tenant": "a"}):
        assert ask()
    with traced_llm("work", tags={"tenant": "c"}):
        assert not ask()
    assert 5 == len(simulator.requests)


def test_the_tags_of_tenants_are_a_setting(use, registry, simulator, books):
    """What keeps whom apart is the service's to say."""
    use(registry, cache_tenant_tags=("region",))
    router = LLMRouter()
    router.complete(HELLO, config(), tags={"region": "eu", "tenant": "a"})

    assert router.complete(HELLO, config(), tags={"region": "eu", "tenant": "b"}).is_cached
    assert not router.complete(HELLO, config(), tags={"region": "us", "tenant": "a"}).is_cached


def test_who_does_not_ask_for_it_gets_nothing_from_the_cache(simulator, books, runtime):
    """And leaves nothing there."""
    router, asked = LLMRouter(), config(cache_ttl_s=None)
    for _ in range(2):
        assert not router.complete(HELLO, asked).is_cached
    assert None is runtime._response_cache
    assert not router.complete(HELLO, config()).is_cached
    assert not router.complete(HELLO, asked).is_cached

    assert 4 == len(simulator.requests)


def test_a_question_that_cannot_be_written_down_is_asked(simulator, books):
    """It has no key, and so no answer but its own."""
    router, asked = LLMRouter(), config(extra={"metadata_of_mine": None, "mock_delay": {1: 2}})

    assert [False, False] == [router.complete(HELLO, asked).is_cached for _ in range(2)]


def test_an_answer_has_its_time(clock, simulator, books):
    """After that it is asked for again."""
    clock.jumps = True
    router = LLMRouter()
    router.complete(HELLO, config())
    clock.pauses.append(TTL_S - 1)
    assert router.complete(HELLO, config()).is_cached
    clock.pauses.append(1)

    assert not router.complete(HELLO, config()).is_cached
    assert {Outcome.SUCCESS: 2, Outcome.CACHED: 1} == books.by_spans().outcomes
