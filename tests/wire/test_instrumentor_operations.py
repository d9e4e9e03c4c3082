"""After `llm_otel.instrument()` every call of every operation takes the whole way, and its caller notices nothing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from llm_otel import Budget, BudgetExceededError, semconv
from llm_otel.demo.simulator import Break, Fail, Hang, Reply
from tests.wire.asking import REPLY, asking, text_of
from tests.wire.books import Ending, billed, refused, success

pytestmark = pytest.mark.usefixtures("instrumented")

HELD = Hang(after_chunks=2, reply=Reply("Hello there, how can I help you today?", input_tokens=18, output_tokens=9))
"""Two chunks, and then nothing until the client hangs up."""
FEW = 2
"""Our count of the input "Hello!" as a plain text; as a conversation it is more."""


class Stop(BaseException):
    """Told by nobody's rules to stop."""


def broken_off(asker: Any, outcome: str, error_type: str | None = None) -> Ending:
    """Return the ending of a stream that was left after two chunks of three tokens."""
    counted = 9 if asker.kind.name == "chat" else FEW
    return billed(outcome, error_type, (counted, 6), asker.cost(counted, 6))


# --- to the end -------------------------------------------------------------------------------------------------------


@asking()
def test_an_answer(asker, simulator, books):
    """One span with the provider's tokens and their price; one request."""
    simulator.script(REPLY)
    asker.ask()

    assert success(18, asker.output_tokens, asker.cost(18, 9 if asker.output_tokens else 0)) == books.only
    assert asker.kind.span == books.call.name
    assert 1 == len(simulator.requests)
    assert simulator.requests[0].path.endswith(asker.kind.path)


@asking()
def test_an_answer_from_litellms_own_cache(asker, response_cache, simulator, books):
    """Nobody bills for a replay: it cost nothing, whatever LiteLLM computes for it, and is marked."""
    simulator.script(REPLY)
    asker.ask(caching=True)
    asker.ask(caching=True)

    assert 1 == len(simulator.requests)
    first, second = books.endings
    assert "success" == first.outcome
    assert ("cached", 0) == (second.outcome, second.cost_nano)
    assert (books.calls[1].attributes or {})[semconv.CACHE_HIT]


@asking(kinds=("embeddings",), is_async=True)
def test_inputs_that_litellms_own_cache_has_in_part(asker, response_cache, simulator, books):
    """What was asked of the provider is billed: LiteLLM says a hit, and the tokens of all, which is what is booked."""
    asker.ask(caching=True, input=["One"])
    asker.ask(caching=True, input=["One", "Another, which is new"])
    asker.ask(caching=True, input=["One", "Another, which is new"])

    assert [["One"], ["Another, which is new"]] == [request.body["input"] for request in simulator.requests]
    _, in_part, hit = books.endings
    assert ("success", True) == (in_part.outcome, in_part.is_estimated)
    assert asker.cost(in_part.input_tokens, 0) == in_part.cost_nano > 0
    assert ("cached", 0) == (hit.outcome, hit.cost_nano)


@asking(is_stream=True)
def test_a_stream_is_read_as_litellms_is(asker, simulator, books):
    """Callers ask it which way it is to be read: by `for`, by `async for`, or by either."""
    from llm_otel import instrument, uninstrument

    watched = asker.call()
    uninstrument()
    plain = asker.call()
    instrument()

    for name in ("__iter__", "__next__", "__aiter__", "__anext__"):
        assert (name, hasattr(plain, name)) == (name, hasattr(watched, name))
    assert isinstance(plain, AsyncIterator) == isinstance(watched, AsyncIterator)
    assert isinstance(plain, Iterator) == isinstance(watched, Iterator)
    for stream in (watched, plain):
        _read(asker, stream)


@asking()
def test_the_caller_gets_what_litellm_returned(asker, simulator, books):
    """Types, texts and chunks are those that LiteLLM gives without us."""
    from llm_otel import instrument, uninstrument

    simulator.script(REPLY, REPLY)
    watched = asker.call()
    watched_got = _read(asker, watched)
    uninstrument()
    plain = asker.call()
    plain_got = _read(asker, plain)
    instrument()

    assert isinstance(watched, type(plain))
    if not asker.is_stream:
        assert type(watched) is type(plain)
        return
    assert [text_of(chunk) for chunk in plain_got] == [text_of(chunk) for chunk in watched_got]
    assert [type(chunk) for chunk in plain_got] == [type(chunk) for chunk in watched_got]
    assert vars(plain).keys() == vars(watched.__wrapped__).keys()
    assert plain.model == watched.model
    assert len(books.calls) == 1


def _read(asker: Any, got: Any) -> list[Any]:
    if not asker.is_stream:
        return [got]
    if not asker.is_async:
        return list(got)

    async def read() -> list[Any]:
        return [chunk async for chunk in got]

    return asker.run(read())


@asking()
def test_the_request_is_the_callers(asker, simulator, books):
    """The provider gets what it would get without us, but for the wish to be told the usage of a stream."""
    from llm_otel import instrument, uninstrument

    asker.ask(user="john")
    uninstrument()
    asker.ask(user="john")
    instrument()

    watched, plain = [dict(request.body) for request in simulator.requests]
    if asker.is_stream and asker.kind.name != "responses":
        assert {"include_usage": True} == watched.pop("stream_options")
        plain.pop("stream_options", None)
    assert plain == watched


@asking(kinds=("chat", "text", "responses"), is_stream=True)
def test_without_a_report_the_usage_is_estimated(asker, simulator, books):
    """Counted here or by LiteLLM, and marked."""
    simulator.script(Reply("Hello there!", usage="omitted"))
    asker.ask()

    ending = books.only
    assert ("success", True) == (ending.outcome, ending.is_estimated)
    assert 0 < ending.input_tokens < 20
    assert 3 == ending.output_tokens


@asking(is_stream=False)
def test_a_whole_answer_without_a_report(asker, simulator, books):
    """It has tokens and a price all the same; what LiteLLM makes up here passes for the provider's word."""
    simulator.script(Reply("Hello there!", usage="omitted"))
    asker.ask()

    assert "success" == books.only.outcome
    assert 0 < books.only.input_tokens < 20
    assert books.only.cost_nano is not None


# --- failures ---------------------------------------------------------------------------------------------------------


@asking()
def test_a_provider_that_fails(asker, simulator, books):
    """LiteLLM's own exception comes through; nothing was billed."""
    simulator.script(Fail(429), repeat=True)

    with pytest.raises(Exception) as caught:
        asker.ask()

    assert "litellm.exceptions" == type(caught.value).__module__
    assert refused(type(caught.value).__name__, 429) == books.only


@asking(is_stream=True)
def test_a_stream_that_breaks(asker, simulator, books):
    """It is an error, with the input and what had come."""
    simulator.script(Break(after_chunks=2, how="close", where="between_events", reply=REPLY))

    with pytest.raises(Exception) as caught:
        asker.ask()

    assert broken_off(asker, "error", type(caught.value).__name__) == books.only


@asking(is_stream=False)
def test_bad_input(asker, simulator, books, litellm):
    """What LiteLLM says to it is what its caller sees."""
    from llm_otel import instrument, uninstrument

    with pytest.raises(litellm.BadRequestError) as watched:
        asker.ask(model="nonsense")
    uninstrument()
    with pytest.raises(litellm.BadRequestError) as plain:
        asker.ask(model="nonsense")
    instrument()

    assert type(plain.value) is type(watched.value)
    assert str(plain.value) == str(watched.value)
    assert ("error", 0) == (books.only.outcome, books.only.cost_nano)
    assert () == simulator.requests


@asking(is_stream=False)
def test_no_arguments_at_all(asker, simulator, books):
    """Python's own error, or LiteLLM's, unchanged."""
    with pytest.raises((TypeError, KeyError, Exception)) as caught:
        asker.run(asker.function()) if asker.is_async else asker.function()

    assert "llm_otel" not in type(caught.value).__module__
    assert "error" == books.only.outcome


@asking()
def test_a_budget_refuses(asker, simulator, books, use, registry):
    """Before anything is sent."""
    use(registry, budgets=[Budget("all", limit_usd="0.000000001", window="lifetime")])

    with pytest.raises(BudgetExceededError):
        asker.ask()

    assert () == simulator.requests
    assert ("denied", None) == (books.only.outcome, books.only.input_tokens)
    assert asker.kind.span == books.call.name


@asking(kinds=("responses",), is_stream=False)
def test_a_limit_that_litellm_raises_is_held_as_it_is_sent(asker, simulator, books, use, registry):
    """OpenAI takes no fewer than 16 tokens for a response: the hold is for these."""
    use(registry, budgets=[Budget("all", limit_usd=1, window="lifetime")])
    simulator.script(Reply("Hello there!", input_tokens=18, output_tokens=16))
    asker.ask(max_output_tokens=5)

    assert 16 == simulator.requests[0].body["max_output_tokens"]
    assert asker.cost(18, 16) == books.only.cost_nano <= books.said(semconv.BUDGET_HELD_NANO_USD)


@asking()
def test_a_hard_budget_sends_an_output_limit(asker, simulator, books, use, registry):
    """Under the name that the operation has for it; embeddings have no output, and the API of texts has a limit."""
    use(registry, budgets=[Budget("all", limit_usd=1, window="lifetime")], default_max_tokens=77)
    simulator.script(REPLY)
    asker.ask()

    body = simulator.requests[0].body
    limits = {name: body[name] for name in ("max_tokens", "max_completion_tokens", "max_output_tokens") if name in body}
    expected = {
        "chat": {"max_tokens": 77},
        "text": {"max_tokens": 16},
        "responses": {"max_output_tokens": 77},
        "embeddings": {},
    }
    assert expected[asker.kind.name] == limits
    assert books.only.cost_nano <= books.said(semconv.BUDGET_HELD_NANO_USD)


# --- streams that are left --------------------------------------------------------------------------------------------


def to_text(stream):
    """Read until there is text, twice."""
    seen = 0
    while seen < 2:
        seen += bool(text_of(next(stream)))


async def ato_text(stream):
    """Read until there is text, twice."""
    seen = 0
    while seen < 2:
        seen += bool(text_of(await anext(stream)))


@asking(is_stream=True, is_async=False)
@pytest.mark.parametrize("how", ["close", "drop"])
def test_a_stream_that_is_left(asker, how, simulator, books):
    """No error: the input and what had come are booked, and the connection is closed."""
    simulator.script(HELD)
    stream = asker.call()
    to_text(stream)
    if how == "close":
        stream.close()
    del stream
    gc.collect()

    assert broken_off(asker, "abandoned") == books.only


@asking(is_stream=True, is_async=True)
@pytest.mark.parametrize("how", ["aclose", "drop", "break"])
def test_an_async_stream_that_is_left(asker, how, simulator, books):
    """As a sync one."""
    simulator.script(HELD)

    async def main():
        stream = await asker.acall()
        if how == "break":
            seen = 0
            async for chunk in stream:
                seen += bool(text_of(chunk))
                if seen == 2:
                    break
        else:
            await ato_text(stream)
        if how == "aclose":
            await stream.aclose()
        del stream
        # What finalizes a stream holds it until then; and Python closes async generators in tasks.
        for _ in range(3):
            gc.collect()
            await asyncio.sleep(0.001)

    asker.run(main())

    assert broken_off(asker, "abandoned") == books.only


@asking(is_stream=True)
def test_a_stream_that_nobody_reads(asker, simulator, books):
    """The request was sent: its input is booked."""
    simulator.script(REPLY)
    stream = asker.call()
    del stream
    gc.collect()

    assert ("abandoned", 0) == (books.only.outcome, books.only.output_tokens)


@asking(is_async=True)
def test_a_task_that_is_cancelled(asker, simulator, books):
    """At once, with the input booked; the cancel goes on."""
    simulator.script(Hang(after_chunks=0, reply=REPLY) if asker.is_stream else Hang(reply=REPLY))

    async def main():
        task = asyncio.ensure_future(asker.aask())
        await asyncio.to_thread(simulator.wait_for_requests)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asker.run(main())

    ending = books.only
    assert ("cancelled", "CancelledError") == (ending.outcome, ending.error_type)
    assert 0 < ending.input_tokens
    assert ending.is_estimated


@asking()
def test_a_base_exception(asker, books, litellm, simulator, monkeypatch):
    """Ctrl-C and its like pass through, and the call has ended."""
    module = "litellm.main" if asker.kind.name != "responses" else "litellm.responses.main"

    def stop(*_args, **_kwargs):
        raise Stop

    monkeypatch.setattr(f"{module}.get_llm_provider" if "responses" not in module else "litellm.get_llm_provider", stop)
    with pytest.raises(Stop):
        asker.ask()

    assert ("cancelled", "Stop") == (books.only.outcome, books.only.error_type)


# --- what an operation has of its own ---------------------------------------------------------------------------------


@asking(kinds=("embeddings",))
def test_embeddings_say_their_form(asker, simulator, books):
    """The length of the vectors, and how they are written; no output, no finish reason."""
    asker.ask(input=["Hello!", "And you?"], dimensions=16, encoding_format="float")

    assert (16, ("float",)) == (
        books.said(semconv.GEN_AI_EMBEDDINGS_DIMENSION_COUNT),
        books.said(semconv.GEN_AI_REQUEST_ENCODING_FORMATS),
    )
    assert None is books.said(semconv.GEN_AI_USAGE_OUTPUT_TOKENS)
    assert 1 == books.metric(semconv.REQUESTS, operation="embeddings", outcome="success")


@pytest.mark.parametrize("model", ["gemini/gemini-embedding-001", "ollama/nomic-embed-text"])
def test_embeddings_of_other_providers(model, litellm, simulator, books):
    """The length is told by what came."""
    litellm.embedding(model, input=["Hello!"], api_key="simulator")

    assert f"embeddings {model.partition('/')[2]}" == books.call.name
    assert 0 < books.said(semconv.GEN_AI_EMBEDDINGS_DIMENSION_COUNT)
    assert "success" == books.only.outcome


@asking(kinds=("responses",))
def test_responses_say_what_they_go_on_from(asker, simulator, books):
    """The response before, the limit, the effort; and that OpenAI's Responses API was meant."""
    simulator.script(Reply("Hi", input_tokens=1800, output_tokens=50, cached_tokens=1500, reasoning_tokens=40), REPLY)
    first = asker.run(_id_of(asker)) if asker.is_async else _sync_id_of(asker)
    asker.ask(
        model="openai/o4-mini",
        previous_response_id=first,
        max_output_tokens=50,
        reasoning={"effort": "low"},
        instructions="Be brief.",
        text={"format": {"type": "json_object"}},
    )

    before, after = [dict(span.attributes) for span in books.calls]
    assert (1500, 40) == (
        before[semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS],
        before[semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS],
    )
    assert ("stop",) == before[semconv.GEN_AI_RESPONSE_FINISH_REASONS]
    assert (first, 50, "low", "json", "responses") == tuple(
        after[name]
        for name in (
            semconv.GEN_AI_REQUEST_PREVIOUS_RESPONSE_ID,
            semconv.GEN_AI_REQUEST_MAX_TOKENS,
            semconv.GEN_AI_REQUEST_REASONING_LEVEL,
            semconv.GEN_AI_OUTPUT_TYPE,
            semconv.OPENAI_API_TYPE,
        )
    )


def _sync_id_of(asker):
    got = asker.ask()
    return got[-1].response.id if asker.is_stream else got.id


async def _id_of(asker):
    got = await asker.aask()
    return got[-1].response.id if asker.is_stream else got.id


@asking(kinds=("responses",))
def test_a_response_that_ran_out_of_tokens(asker, simulator, books):
    """It is a success that says so, in the words of chat completions."""
    asker.ask(max_output_tokens=3)

    assert ("success", ("length",)) == (books.only.outcome, books.said(semconv.GEN_AI_RESPONSE_FINISH_REASONS))


@asking(kinds=("responses",))
def test_a_response_of_a_provider_that_knows_chat_alone(asker, simulator, books):
    """LiteLLM makes a chat of it: that is one call, of the operation that was asked for."""
    simulator.script(REPLY)
    asker.ask(model="anthropic/claude-3-haiku-20240307")

    assert success(18, 9, 18 * 250 + 9 * 1250) == books.only
    assert None is books.said(semconv.OPENAI_API_TYPE)


@asking(kinds=("chat",))
def test_a_chat_that_litellm_makes_a_response_of(asker, simulator, books):
    """One call, of the operation that was asked for."""
    simulator.script(REPLY)
    asker.ask(model="openai/responses/gpt-4o-mini")

    assert success(18, 9, asker.cost(18, 9)) == books.only
    assert simulator.requests[0].path.endswith("/responses")


@asking(kinds=("text",), is_stream=False)
def test_several_prompts(asker, simulator, books, use, registry):
    """The output limit is for each: the hold is for all."""
    use(registry, budgets=[Budget("all", limit_usd=1, window="lifetime")])
    asker.ask(prompt=["One", "Two", "Three"], max_tokens=100, n=2)

    assert 6 * 100 * 2000 < books.said(semconv.BUDGET_HELD_NANO_USD)
    assert books.only.cost_nano <= books.said(semconv.BUDGET_HELD_NANO_USD)
