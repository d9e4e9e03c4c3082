"""What the consumer of a stream sees, beside what LiteLLM would have shown."""

from __future__ import annotations

import pytest
from opentelemetry import trace

from llm_otel import semconv, traced_llm
from llm_otel.demo.simulator import Break, Hang, Reply, StreamError
from tests.wire.books import billed, success
from tests.wire.callers import PLAIN, ROUTER, asked_by, text_of

LONG = "Hello there, how can I help you today? Ask me anything you like."
PART = "Hello there, how can I"
EXACT = Reply(LONG, input_tokens=18, output_tokens=16)


def shapes(chunks):
    """Return what consumers look at in chunks."""
    return [
        (
            [(each.delta.content, each.finish_reason) for each in chunk.choices],
            getattr(getattr(chunk, "usage", None), "total_tokens", None),
        )
        for chunk in chunks
    ]


def without_us(caller, simulator, behaviour, **options):
    """Return what LiteLLM gives to a caller who is in no scope."""
    simulator.script(behaviour)
    return caller.ask(in_scope=False, **options)


@asked_by(entrances=(PLAIN,), is_stream=True)
@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": False}}], ids=["silent", "declined"])
def test_the_usage_is_hidden_from_who_did_not_ask(caller, options, simulator, books):
    """We ask the provider for it; the caller sees chunk for chunk what LiteLLM alone would have shown."""
    expected = without_us(caller, simulator, EXACT, **options)
    simulator.script(EXACT)

    got = caller.ask(**options)

    assert shapes(expected.chunks) == shapes(got.chunks)
    assert not [usage for _, usage in shapes(got.chunks) if usage]
    assert success(18, 16, caller.model.cost(18, 16)) == books.only


@asked_by(entrances=(PLAIN,), is_stream=True)
def test_the_usage_is_shown_to_who_asked(caller, simulator, books):
    """Chunk for chunk what LiteLLM alone would have shown."""
    options = {"stream_options": {"include_usage": True}}
    expected = without_us(caller, simulator, EXACT, **options)
    simulator.script(EXACT)

    got = caller.ask(**options)

    assert shapes(expected.chunks) == shapes(got.chunks)
    assert 34 == shapes(got.chunks)[-1][1]
    assert success(18, 16, caller.model.cost(18, 16)) == books.only


@asked_by(entrances=(ROUTER,), is_stream=True)
def test_the_chunks_of_the_router(caller, simulator, books):
    """They are text and reason in one shape; joined they are the response."""
    simulator.script(EXACT)

    got = caller.ask()

    assert LONG == "".join(chunk.content for chunk in got.chunks) == got.result.content
    assert ["stop"] == [chunk.finish_reason for chunk in got.chunks if chunk.finish_reason]
    assert all(chunk.raw is not None for chunk in got.chunks)


@asked_by(providers=("openai",), entrances=(PLAIN,), is_stream=True)
def test_a_stream_stays_what_it_is(caller, simulator, books, run):
    """`isinstance` and the attributes of LiteLLM's stream hold; LiteLLM looks at them itself in many places."""
    from litellm import CustomStreamWrapper, stream_chunk_builder

    stream = caller.ask().result

    assert isinstance(stream, CustomStreamWrapper)
    assert (caller.model.name, "openai") == (stream.model, stream.custom_llm_provider)
    assert stream.response_uptil_now == stream_chunk_builder(stream.chunks).choices[0].message.content
    assert stream.logging_obj is not None


@asked_by(is_stream=True)
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("where", ["between_events", "inside_event", "inside_chunk"])
def test_a_stream_that_is_cut(caller, where, how, simulator, books):
    """The caller gets what came, then an error; input and what came are billed, as counted here."""
    simulator.script(Break(2, where=where, how=how, reply=EXACT))

    got = caller.ask()

    assert PART == got.text
    error_type = type(caller.cause_of(got.error)).__name__
    assert billed("error", error_type, (9, 6), caller.model.cost(9, 6)) == books.only
    assert ("error",) == books.said(semconv.GEN_AI_RESPONSE_FINISH_REASONS)


@asked_by(is_stream=True)
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_stream_that_is_cut_before_its_first_chunk(caller, how, simulator, books):
    """The provider had begun: the input is billed."""
    simulator.script(Break(0, how=how, reply=EXACT))

    got = caller.ask()

    assert [] == got.chunks
    error_type = type(caller.cause_of(got.error)).__name__
    assert billed("error", error_type, (9, 0), caller.model.cost(9, 0)) == books.only


@asked_by(is_stream=True)
def test_an_error_amid_a_stream(caller, simulator, books):
    """The caller gets what came, then the provider's error."""
    simulator.script(StreamError(2, reply=EXACT))

    got = caller.ask()

    assert PART == got.text
    error_type, status = type(caller.cause_of(got.error)).__name__, books.only.status_code
    assert billed("error", error_type, (9, 6), caller.model.cost(9, 6), status_code=status) == books.only


@asked_by(is_stream=True)
@pytest.mark.parametrize(("after", "text"), [(0, ""), (2, PART)], ids=["empty", "half"])
def test_half_a_stream(caller, after, text, simulator, books):
    """A stream that ends well, but before the model said that it is done, is an error to callers of the router.

    LiteLLM makes a finish reason up for it, and other callers get just that; the span says what it was. Of Gemini's
    streams LiteLLM says "stop" with every chunk, so that half of one cannot be told from a whole one.
    """
    simulator.script(Break(after, where="between_events", how="end", reply=EXACT))

    got = caller.ask()

    assert text == got.text
    if caller.provider == "gemini" and after:
        assert "success" == books.only.outcome
        return
    ending = books.only
    usage = (ending.input_tokens, 6 if text else 0)
    # Anthropic says the input with its first event; the others' is counted here.
    assert ending.input_tokens in (9, 18)
    assert billed("error", "IncompleteStream", usage, caller.model.cost(*usage)) == ending
    if caller.entrance == ROUTER:
        assert ("IncompleteStream", None, 1) == (got.error.error_type, got.error.status_code, got.error.attempts)
    else:
        assert None is got.error


@asked_by(entrances=(ROUTER,), is_stream=True)
def test_a_stream_that_falls_silent(caller, simulator, books):
    """It ends after `stream_idle_timeout_s`, for every provider, whatever LiteLLM makes of the time-out."""
    simulator.script(Hang(after_chunks=1, reply=EXACT))

    got = caller.ask(stream_idle_timeout_s=0.4)

    assert "Hello there," == got.text
    ending = books.only
    assert ("error", "ERROR", True) == (ending.outcome, ending.status, ending.is_estimated)
    assert caller.model.cost(9, ending.output_tokens) == ending.cost_nano


@asked_by(providers=("openai",), is_stream=True)
def test_an_iterator_stays_exhausted(caller, simulator, books, run):
    """After its end a stream ends again, and sends nothing again."""
    with traced_llm("work"):
        if caller.is_async:

            async def exhaust():
                stream = await caller.astream()
                return [chunk async for chunk in stream], [chunk async for chunk in stream]

            chunks, more = run(exhaust())
        else:
            stream = caller.stream()
            chunks, more = list(stream), list(stream)

    assert "".join(map(text_of, chunks))
    assert [] == more
    assert 1 == len(simulator.requests)


@asked_by(providers=("openai",), is_stream=True)
def test_the_consumers_own_span(caller, simulator, books, run):
    """Between the chunks the consumer's span is current: what it does is no part of the call."""
    seen = set()

    async def consume():
        async for _ in await caller.astream():
            seen.add(trace.get_current_span().name)

    with traced_llm("work"):
        if caller.is_async:
            run(consume())
        else:
            for _ in caller.stream():
                seen.add(trace.get_current_span().name)

    assert {"invoke_workflow work"} == seen
