"""Calls that are answered: what the caller gets, and what is written down."""

from __future__ import annotations

import asyncio
import gc
from decimal import Decimal

from llm_otel import LLMConfig, LLMProvider, LLMRouter, semconv, traced_llm
from llm_otel.demo.simulator import Reply
from llm_otel.open_call import OpenCall
from tests.wire.books import success
from tests.wire.callers import HELLO, LITELLM_ROUTER, ROUTER, asked_by

ANSWER = "Hello there, how can I help you?"


@asked_by()
def test_an_answer(caller, simulator, books):
    """What the provider billed is on the span, in every form and for every provider."""
    simulator.script(Reply(ANSWER, input_tokens=18, output_tokens=9))

    got = caller.ask()

    assert (None, ANSWER) == (got.error, got.text)
    assert success(18, 9, caller.model.cost(18, 9)) == books.only
    assert f"chat {caller.model.name}" == books.call.name
    assert caller.model.provider == books.said(semconv.GEN_AI_PROVIDER_NAME)
    assert caller.model.name == books.said(semconv.GEN_AI_RESPONSE_MODEL)
    assert ("stop",) == books.said(semconv.GEN_AI_RESPONSE_FINISH_REASONS)
    assert (caller.is_stream or None) == books.said(semconv.GEN_AI_REQUEST_STREAM)
    assert (1, 27, caller.model.cost(18, 9)) == (got.scope.calls, got.scope.tokens, got.scope.totals.cost_nano)


def open_calls():
    """Return every call that the interpreter holds."""
    return [each for each in gc.get_objects() if type(each) is OpenCall]


@asked_by(entrances=(ROUTER,))
def test_nothing_of_a_call_is_left_to_the_collector(caller, simulator):
    """Messages and answers are large: who is done with a call is rid of them at once, budgets or none."""
    simulator.script(Reply(ANSWER))
    gc.collect()
    # Held by tests before this one, in what pytest keeps of them.
    before = set(map(id, open_calls()))
    gc.disable()
    try:
        assert ANSWER == caller.ask().text
        left = [each for each in open_calls() if id(each) not in before]
    finally:
        gc.enable()

    assert [] == left


@asked_by(entrances=(LITELLM_ROUTER,))
def test_an_answer_through_litellms_router(caller, simulator, books):
    """Each attempt of a `litellm.Router` is one plain call."""
    simulator.script(Reply(ANSWER, input_tokens=18, output_tokens=9))

    got = caller.ask()

    assert (None, ANSWER) == (got.error, got.text)
    assert success(18, 9, caller.model.cost(18, 9)) == books.only


@asked_by(entrances=(ROUTER,))
def test_the_response(caller, simulator, books):
    """The caller of `LLMRouter` is told what the span says."""
    simulator.script(Reply(ANSWER, input_tokens=18, output_tokens=9))

    response = caller.ask().result

    model = caller.model
    assert (ANSWER, "stop", ()) == (response.content, response.finish_reason, response.tool_calls)
    assert (model.provider, model.name) == (response.provider, response.model)
    assert (model.provider, model.name) == (response.decision.provider, response.decision.model)
    usage = response.usage
    assert (18, 9, 27, False) == (usage.input_tokens, usage.output_tokens, usage.total_tokens, usage.estimated)
    assert model.cost(18, 0) == usage.input_cost_usd * 10**9
    assert model.cost(0, 9) == usage.output_cost_usd * 10**9
    assert model.cost(18, 9) == usage.total_cost_usd * 10**9
    assert response.latency_ms > 0
    assert response.content == response.raw.choices[0].message.content


@asked_by(entrances=(ROUTER,), is_stream=True)
def test_the_time_to_first_chunk(caller, simulator, books):
    """Streams say when the first content came, on the span and in a histogram."""
    caller.ask()

    span = books.call
    waited_s = books.said(semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK)
    assert 0 < waited_s <= (span.end_time - span.start_time) / 1e9
    assert waited_s == books.sample("llm_otel_time_to_first_chunk_seconds_sum")
    assert 1 == books.sample("llm_otel_time_to_first_chunk_seconds_count")


@asked_by(providers=("openai",))
def test_exemplars(caller, simulator, books):
    """From a count to its trace: the exemplar is the inference span, of streams too, whose consumers have another."""
    caller.ask()

    context = books.call.context
    expected = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    assert [expected] == books.exemplars(semconv.REQUEST_DURATION)
    assert expected in books.exemplars(semconv.COST)


@asked_by(is_async=False)
def test_what_was_asked_for(caller, simulator, books):
    """The parameters are on the span as the caller gave them, and the server's address without a key."""
    caller.ask(temperature=0.5, max_tokens=7, top_p=0.9, stop=["END"])

    asked = {
        semconv.GEN_AI_REQUEST_TEMPERATURE: 0.5,
        semconv.GEN_AI_REQUEST_MAX_TOKENS: 7,
        semconv.GEN_AI_REQUEST_TOP_P: 0.9,
        semconv.GEN_AI_REQUEST_STOP_SEQUENCES: ("END",),
        semconv.SERVER_ADDRESS: "127.0.0.1",
        semconv.SERVER_PORT: int(simulator.url.rpartition(":")[2]),
        semconv.TAG_PREFIX + "team": "search",
    }
    assert asked == {name: books.said(name) for name in asked}


def test_a_call_outside_of_every_scope(simulator, books, runtime):
    """`LLMRouter` needs no scope: the span is a root, everything else is the same."""
    simulator.script(Reply(ANSWER, input_tokens=18, output_tokens=9))

    LLMRouter().complete(HELLO, LLMConfig(model="gpt-4o-mini"), tags=["user:john", "kind:research"])

    assert None is books.call.parent
    assert success(18, 9, 8_100) == books.only
    assert {"user:john", "kind:research"} == set(runtime.tracker.get_stats()["by_tag"])


README = """
from llm_otel import LLMRouter, LLMConfig, LLMProvider, UsageTracker
router = LLMRouter()
response = router.complete(
    [{"role": "user", "content": "Hello!"}],
    LLMConfig(provider=LLMProvider.OPENAI, model="gpt-4o-mini", temperature=0.7),
)
print(f"Cost: ${response.usage.total_cost_usd:.6f}  Latency: {response.latency_ms:.0f}ms")
tracker = UsageTracker(budget_limit_usd=10.0)
tracker.track(response, tags=["user:john", "research"])
stats = tracker.get_stats(); print(stats["total_cost_usd"], stats["avg_latency_ms"])
print(tracker.get_budget_status()["percentage_used"])
"""


def test_the_first_example(simulator, capsys):
    """It runs with nothing but the provider's address in the environment; 18 in and 5 out cost $0.0000057, exactly."""
    simulator.script(Reply("Hi! How are you?", input_tokens=18, output_tokens=5))
    names: dict[str, object] = {}

    exec(README, names)

    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("Cost: $0.000006  Latency: ")
    assert "0.000005700" == printed[1].split()[0]
    assert float(printed[2]) == 5_700 / 10**10 * 100
    assert Decimal("0.0000057") == names["response"].usage.total_cost_usd
    assert LLMProvider.OPENAI == names["response"].provider


def test_nothing_is_printed(simulator, capfd):
    """LiteLLM's banners stay out of the service's output (it does not know this model's provider by the bare name)."""
    LLMRouter().complete(HELLO, LLMConfig(model="claude-3-haiku-20240307"))

    assert ("", "") == capfd.readouterr()


@asked_by(providers=("openai",), is_async=True)
def test_an_event_loop_that_ends_right_after_the_call(caller, simulator, books):
    """Nothing of ours waits for a loop that is gone: the calls are in the books when `asyncio.run` returns."""

    async def main():
        await asyncio.gather(*(caller.aask() for _ in range(5)))

    with traced_llm("work") as scope:
        asyncio.run(main())

    assert 5 == scope.calls == len(books.calls)
