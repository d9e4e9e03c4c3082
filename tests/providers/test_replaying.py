"""Answers from the cache: the response that was given first, whole and as a stream, for every provider."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace

import pytest

from llm_otel.caching.entry import MAX_CHARACTERS, Entry
from llm_otel.call import AttemptReason, AttemptRecord, CallRecord, CallRequest, Outcome
from llm_otel.demo.simulator import Reply, Simulator, ToolCall
from llm_otel.pricing.rate import CostBreakdown
from llm_otel.providers.loading import litellm as load_litellm
from llm_otel.providers.reading import ChunkKind, ChunkReader, answer_of
from llm_otel.providers.replaying import PIECES, Replay, chunks_of, entry_of, response_of
from llm_otel.providers.sources import LiteLLMSource
from llm_otel.usage import Usage

pytestmark = [pytest.mark.wire, pytest.mark.filterwarnings("ignore")]

MODELS = [
    "openai/gpt-4o-mini",
    "anthropic/claude-3-5-haiku-latest",
    "gemini/gemini-2.5-flash",
    "ollama_chat/llama3",
]
REPLIES = {
    "text": Reply("one two three four five six seven eight nine ten, and \U0001f600 too"),
    "json": Reply('{"city": "Rome", "is": [1, 2.5, null, true]}'),
    "tools": Reply("", tool_calls=(ToolCall("get_weather", {"city": "Rome"}), ToolCall("get_time", {"city": "Oslo"}))),
    "all": Reply("hello there", thinking="hmm well", tool_calls=(ToolCall("get_weather", {"city": "Rome"}),)),
}
MESSAGES = [{"role": "user", "content": "Hello!"}]
COST = CostBreakdown(total_nano=1200, parts={}, saved_by_cache_nano=0, price_source="test", price_date=None)


@pytest.fixture(scope="module")
def simulator():
    """The provider, and the environment that leads to it."""
    with Simulator() as made, pytest.MonkeyPatch.context() as patch:
        for name, value in made.env(with_keys=True).items():
            patch.setitem(os.environ, name, value)
        yield made


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    """Of each provider."""
    return request.param


@pytest.fixture(scope="module", params=sorted(REPLIES))
def raw(request, model, simulator):
    """LiteLLM's response to a request."""
    simulator.clear()
    simulator.script(REPLIES[request.param])
    return load_litellm().completion(model=model, messages=MESSAGES)


def record_of(raw, *, outcome=Outcome.SUCCESS, model="m", cost=COST):
    """Return the record of the call that brought a response."""
    request = CallRequest(operation="chat", provider="openai", model="m", litellm_model="openai/m")
    answer = answer_of(raw)
    attempt = AttemptRecord(
        number=1,
        reason=AttemptReason.FIRST,
        provider="openai",
        model=model,
        outcome=outcome,
        started_s=0,
        duration_s=1,
        usage=answer.usage,
        cost=cost,
    )
    return CallRecord(
        request=request,
        outcome=outcome,
        started_ns=5_000_000_000,
        duration_s=1,
        time_to_first_chunk_s=None,
        attempts=(attempt,),
        answer=answer,
        failure=None,
        usage=answer.usage,
        cost_nano=None,
    )


def kept(raw) -> Entry:
    """Return the entry of a response, after its way through JSON."""
    entry = entry_of(raw, record_of(raw))
    assert entry is not None
    return Entry.of_json(entry.to_json())


def plain(response):
    """Return a response as JSON."""
    return json.loads(response.model_dump_json(warnings=False))


# --- whole ------------------------------------------------------------------------------------------------------------


def test_a_response_comes_back_as_it_was(raw):
    """Id, tool calls, usage, what only this provider says: all of it, and its own class."""
    again = response_of(kept(raw))

    assert plain(raw) == plain(again)
    assert type(raw) is type(again)
    assert type(raw.choices[0].message) is type(again.choices[0].message)


def test_it_says_that_it_comes_from_a_cache(raw):
    """So that nobody prices it; all else is read off it as before."""
    assert replace(answer_of(raw), is_cache_hit=True) == answer_of(response_of(kept(raw)))


def test_each_call_gets_its_own(raw):
    """One may change it without another seeing that."""
    entry = kept(raw)
    response_of(entry).choices[0].message.content = "changed"

    assert plain(raw) == plain(response_of(entry))


def test_an_entry_has_what_it_cost(raw):
    """Of the request that brought it, in the moment it ended."""
    entry = kept(raw)

    assert (1200, answer_of(raw).usage) == (entry.cost_nano, entry.usage)
    assert ("openai", "m", 6_000) == (entry.provider, entry.model, entry.created_at_ms)
    assert answer_of(raw).finish_reasons == entry.finish_reasons
    assert answer_of(raw).response_model == entry.response_model


# --- streamed ---------------------------------------------------------------------------------------------------------


def test_a_stream_says_the_same(raw):
    """To our reader, and to LiteLLM's builder: text, thoughts, tool calls, why it ended, usage, id and model."""
    chunks = chunks_of(kept(raw))
    reader = ChunkReader()
    for chunk in chunks:
        reader.feed(chunk)
    built = load_litellm().stream_chunk_builder(chunks)
    expected = answer_of(raw)

    assert replace(expected, is_cache_hit=True, text="") == replace(
        reader.answer(), text="", service_tier=expected.service_tier
    )
    assert reader.is_complete
    assert [said(raw)] == [said(built)]
    assert (raw.id, raw.model, raw.usage.total_tokens) == (built.id, built.model, built.usage.total_tokens)


def said(response):
    """Return what a response says."""
    (choice,) = response.choices
    message = choice.message
    calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()]
    return message.content or "", getattr(message, "reasoning_content", None), calls, choice.finish_reason


def test_a_text_comes_in_pieces(raw):
    """A few: what shows a stream still shows one. Usage comes last, by itself."""
    reader = ChunkReader()
    kinds = [reader.feed(chunk) for chunk in chunks_of(kept(raw))]
    text = raw.choices[0].message.content or ""
    pieces = [chunk.choices[0].delta.content for chunk in chunks_of(kept(raw)) if chunk.choices[0].delta.content]

    assert ChunkKind.USAGE_ONLY is kinds[-1]
    assert text == "".join(pieces)
    assert (min(2, len(text)) <= len(pieces) <= PIECES) or not text


def test_a_replay_is_read_like_a_stream_of_litellm(raw):
    """By threads and by tasks; the driver sees that it is one."""
    entry = kept(raw)
    replay, areplay = Replay(entry), Replay(entry)

    async def read():
        return [chunk async for chunk in areplay]

    source = LiteLLMSource(replay, is_mock=False)
    chunks = list(replay)

    assert [plain(chunk) for chunk in chunks] == [plain(chunk) for chunk in asyncio.run(read())]
    assert chunks == replay.chunks
    assert (True, False, True) == (source.is_cache_hit(), source.is_truncated(), source.has_reported_usage())


# --- what is kept -----------------------------------------------------------------------------------------------------


@pytest.fixture
def response():
    """A response that nobody had to send."""
    return load_litellm().ModelResponse(
        choices=[{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
        usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    )


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.SUCCESS])
def test_only_good_answers_are_kept(response, outcome):
    """Not of a call that failed or was cut off, nor from another cache."""
    assert None is entry_of(response, record_of(response, outcome=outcome))


def test_answers_of_other_models_are_not_kept(response):
    """The next call of the same kind may have the model that it asks for."""
    assert None is entry_of(response, record_of(response, model="cheaper"))


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_cut_off_answers_are_not_kept(response, reason):
    """Nor one of which a single choice is."""
    response.choices.append(response.choices[0].model_copy(update={"finish_reason": reason}))

    assert None is entry_of(response, record_of(response))


def test_long_answers_are_not_kept(response):
    """A few of them would fill the cache."""
    response.choices[0].message.content = "x" * MAX_CHARACTERS

    assert None is entry_of(response, record_of(response))


def test_nothing_is_not_kept(response):
    """A stream whose chunks make no whole; a call that sent nothing."""
    assert None is entry_of(None, record_of(response))
    assert None is entry_of(response, replace(record_of(response), attempts=()))


def test_an_unpriced_answer_is_kept(response):
    """It saves something, and nobody knows how much."""
    entry = entry_of(response, record_of(response, cost=None))

    assert (None, Usage(input_tokens=1, output_tokens=2)) == (entry.cost_nano, entry.usage)


def test_several_choices_come_back(response):
    """Each with its own index and end."""
    second = response.choices[0].model_copy(deep=True, update={"index": 1})
    second.message.content = "Hello"
    response.choices.append(second)
    entry = kept(response)
    reader = ChunkReader()
    for chunk in chunks_of(entry):
        reader.feed(chunk)
    built = load_litellm().stream_chunk_builder(chunks_of(entry))

    assert plain(response) == plain(response_of(entry))
    assert ("stop", "stop") == reader.answer().finish_reasons
    assert "Hi" in built.choices[0].message.content
