"""What is counted and priced when there is more to an answer than plain text."""

from __future__ import annotations

import pytest

from llm_otel import LLMConfig, LLMRouter, semconv
from llm_otel.demo.simulator import Reply
from llm_otel.semconv import TokenType
from tests.wire.books import success
from tests.wire.callers import PLAIN, ROUTER, asked_by

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find_flight",
            "parameters": {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]},
        },
    }
]


def kinds(books):
    """Return the disjoint token counts of the metrics, those that are not 0."""
    counted = {kind.value: int(books.metric(semconv.TOKENS, token_type=kind)) for kind in TokenType}
    return {kind: count for kind, count in counted.items() if count}


@asked_by()
def test_the_providers_own_count(caller, simulator, books):
    """Whatever was asked and answered: the span says what the provider put on the bill."""
    caller.ask([{"role": "user", "content": "Where is the nearest airport, and how do I get there by train?"}])

    bill = simulator.bill[caller.provider, caller.model.name]
    assert bill.input_tokens > 0
    assert bill.output_tokens > 0
    expected = caller.model.cost(bill.input_tokens, bill.output_tokens)
    assert success(bill.input_tokens, bill.output_tokens, expected) == books.only


# Nano-USD a token read from the cache, from the providers' price lists of 2026-11-22.
CACHE_READ_NANO = {"openai": 75, "anthropic": 30, "gemini": 30}


@asked_by(providers=tuple(CACHE_READ_NANO), entrances=(ROUTER,))
def test_cached_input(caller, simulator, books):
    """What came from the prompt cache is a part of the input, with a price of its own; the saving is counted."""
    simulator.script(Reply(input_tokens=2_000, cached_tokens=1_500, output_tokens=9))

    caller.ask()

    read_nano, model = CACHE_READ_NANO[caller.provider], caller.model
    assert success(2_000, 9, model.cost(500, 9) + 1_500 * read_nano) == books.only
    assert 1_500 == books.said(semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS)
    assert {"input": 500, "cache_read": 1_500, "output": 9} == kinds(books)
    assert 1_500 * (model.input_nano - read_nano) == round(books.metric(semconv.SAVED) * 1e9)


@pytest.mark.parametrize(("ttl", "write_nano"), [("5m", 300), ("1h", 500)])
@asked_by(providers=("anthropic",), entrances=(ROUTER,))
def test_input_written_to_the_cache(caller, ttl, write_nano, simulator, books):
    """Writing costs more than reading, and for an hour more than for five minutes."""
    an_hour = 1_500 if ttl == "1h" else 0
    reply = Reply(
        input_tokens=2_000, cache_write_tokens=1_500, cache_write_1h_tokens=an_hour, cached_tokens=0, output_tokens=9
    )
    simulator.script(reply)

    caller.ask()

    assert success(2_000, 9, caller.model.cost(500, 9) + 1_500 * write_nano) == books.only
    assert 1_500 == books.said(semconv.GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS)
    assert {"input": 500, "cache_write": 1_500, "output": 9} == kinds(books)


@asked_by(providers=("openai", "gemini"), entrances=(ROUTER,))
def test_reasoning(caller, simulator, books):
    """It is a part of the output, at the price of output."""
    simulator.script(Reply(input_tokens=18, output_tokens=90, reasoning_tokens=64))

    caller.ask()

    assert success(18, 90, caller.model.cost(18, 90)) == books.only
    assert 64 == books.said(semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS)
    assert {"input": 18, "reasoning": 64, "output": 26} == kinds(books)


@asked_by(providers=("openai",))
def test_several_choices(caller, simulator, books):
    """`n` choices have one usage and a finish reason each (LiteLLM's streams pass on only one of those)."""
    simulator.script(Reply(("One.", "Two.", "Three."), input_tokens=18, output_tokens=6))

    caller.ask(n=3)

    assert success(18, 6, caller.model.cost(18, 6)) == books.only
    assert 3 == books.said(semconv.GEN_AI_REQUEST_CHOICE_COUNT)
    if not caller.is_stream:
        assert ("stop",) * 3 == books.said(semconv.GEN_AI_RESPONSE_FINISH_REASONS)


@asked_by()
def test_tools(caller, simulator, books):
    """An answer may be a call of a tool, without any text."""
    simulator.script(Reply(tool_calls=("find_flight",)))

    got = caller.ask(tools=TOOLS)

    bill = simulator.bill[caller.provider, caller.model.name]
    assert (None, "") == (got.error, got.text)
    assert (bill.input_tokens, bill.output_tokens) == (books.only.input_tokens, books.only.output_tokens)
    assert books.only.outcome == "success"
    if caller.entrance == ROUTER and not caller.is_stream:
        assert "find_flight" == got.result.tool_calls[0].function.name


@asked_by(providers=("openai", "gemini", "ollama"), entrances=(ROUTER,), is_async=False)
def test_json(caller, simulator, books):
    """The wish for JSON reaches the provider, and is on the span."""
    got = caller.ask(response_format={"type": "json_object"})

    bill = simulator.bill[caller.provider, caller.model.name]
    assert got.text.startswith("{")
    assert "json" == books.said(semconv.GEN_AI_OUTPUT_TYPE)
    assert success(bill.input_tokens, bill.output_tokens, books.only.cost_nano) == books.only


@asked_by(entrances=(ROUTER,))
def test_an_answer_cut_by_its_limit(caller, simulator, books):
    """An answer that stopped at `max_tokens` is complete as far as the provider goes."""
    got = caller.ask(max_tokens=4)

    assert ("length",) == books.said(semconv.GEN_AI_RESPONSE_FINISH_REASONS)
    assert "length" == got.result.finish_reason
    assert 4 == books.only.output_tokens
    assert "success" == books.only.outcome


@asked_by(providers=("openai",), entrances=(ROUTER, PLAIN), is_async=False)
def test_a_service_tier(caller, simulator, books):
    """The tier that served the call is on the span; OpenAI bills priority at a price of its own, or none is known."""
    simulator.script(Reply(input_tokens=18, output_tokens=9, service_tier="default"))

    caller.ask(service_tier="default")

    assert "default" == books.said(semconv.OPENAI_RESPONSE_SERVICE_TIER)
    assert success(18, 9, caller.model.cost(18, 9)) == books.only


@asked_by()
def test_a_model_that_nobody_knows(caller, simulator, books):
    """With its provider it is sent; its cost is unknown, which is not 0, and counted as such."""
    name = "brand-new-model"
    simulator.script(Reply("Hi!", input_tokens=18, output_tokens=2))

    given = name if caller.entrance == ROUTER else f"{caller.model.litellm_name.partition('/')[0]}/{name}"
    got = caller.ask(model=given)

    if caller.provider == "ollama":
        assert success(18, 2, 0) == books.only
        return
    assert success(18, 2, None) == books.only
    assert 1 == books.metric(semconv.UNPRICED_REQUESTS, model=name)
    assert 0 == books.metric(semconv.COST)
    assert 1 == got.scope.totals.unpriced_calls
    if caller.entrance == ROUTER:
        assert (None, None) == (got.result.usage.total_cost_usd, got.result.usage.input_cost_usd)


@asked_by(is_stream=True)
def test_a_stream_without_usage(caller, simulator, books):
    """The tokens are counted here, and marked as an estimate."""
    simulator.script(Reply("Hello there, how can I help you?", usage="omitted"))

    got = caller.ask()

    ending = books.only
    assert (None, "success", True) == (got.error, ending.outcome, ending.is_estimated)
    assert (9, 9) == (ending.input_tokens, ending.output_tokens)
    assert caller.model.cost(9, 9) == ending.cost_nano
    assert 1 == books.metric(semconv.ESTIMATED_REQUESTS)


@asked_by(providers=("openai",), is_stream=False)
def test_an_answer_without_usage(caller, simulator, books):
    """As with streams. (LiteLLM cannot read such an answer of Anthropic's or Gemini's, and counts for Ollama.)"""
    simulator.script(Reply("Hello there, how can I help you?", usage="omitted"))

    caller.ask()

    assert success(9, 9, caller.model.cost(9, 9), is_estimated=True) == books.only


@asked_by(providers=("openai",), entrances=(ROUTER,))
def test_usage_of_zeros(caller, simulator, books):
    """Zeros throughout are no usage: LiteLLM reports them for streams whose provider said nothing."""
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    simulator.script(Reply("Hello there, how can I help you?", usage=zeros))

    caller.ask()

    assert success(9, 9, caller.model.cost(9, 9), is_estimated=True) == books.only


def test_audio(simulator, books):
    """Audio is a part of input and output, on the span by itself."""
    simulator.script(Reply(input_tokens=100, audio_input_tokens=80, output_tokens=50, audio_output_tokens=30))

    LLMRouter().complete([{"role": "user", "content": "Say it."}], LLMConfig(model="gpt-4o-audio-preview"))

    assert 80 == books.said(semconv.GEN_AI_USAGE_AUDIO_INPUT_TOKENS)
    assert 30 == books.said(semconv.GEN_AI_USAGE_AUDIO_OUTPUT_TOKENS)
    assert {"input": 100, "output": 50} == kinds(books)
