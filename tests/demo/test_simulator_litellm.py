"""The simulator through real LiteLLM: it is taken for each provider, at its best and at its worst.

What is asserted holds for the oldest LiteLLM that is supported and for the newest; where they differ the test
says so.
"""

import asyncio
import threading

import pytest

from llm_otel.demo.simulator import (
    EMPTY_BODY,
    GARBAGE_JSON,
    HTML_PAGE,
    Break,
    Fail,
    Hang,
    Reply,
    Reset,
    Simulator,
    StreamError,
    ToolCall,
)

pytestmark = [
    pytest.mark.wire,
    # LiteLLM leaves sessions to the garbage collector and calls what pydantic and others have deprecated.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("collect_between_tests"),
]

MODELS = {
    "openai": "openai/gpt-4o-mini",
    "anthropic": "anthropic/claude-3-5-haiku-latest",
    "gemini": "gemini/gemini-2.5-flash",
    "ollama": "ollama_chat/llama3",
}
TEXT = "one two three four five six seven eight nine"
MESSAGES = [{"role": "user", "content": "Hello!"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

each_provider = pytest.mark.parametrize("provider", list(MODELS))
both_ways = pytest.mark.parametrize("way", ["sync", "async"])


class Client:
    """Calls LiteLLM, sync or async, and gives back the same either way."""

    def __init__(self, litellm, way, run):
        self._litellm = litellm
        self._way = way
        self._run = run

    def complete(self, provider, **more):
        """Return a plain response."""
        options = {"messages": MESSAGES, "max_retries": 0, "timeout": 60, **more}
        if self._way == "sync":
            return self._litellm.completion(model=MODELS[provider], **options)
        return self._run(self._litellm.acompletion(model=MODELS[provider], **options))

    def stream(self, provider, received=None, **more):
        """Return all chunks; those that came before an error are in `received`."""
        received = [] if received is None else received
        options = {
            "messages": MESSAGES,
            "max_retries": 0,
            "timeout": 60,
            "stream": True,
            "stream_options": {"include_usage": True},
            **more,
        }
        if self._way == "sync":
            received.extend(self._litellm.completion(model=MODELS[provider], **options))
        else:
            self._run(self._astream(MODELS[provider], options, received))
        return received

    async def _astream(self, model, options, received):
        async for chunk in await self._litellm.acompletion(model=model, **options):
            received.append(chunk)


@pytest.fixture
def client(litellm, way, run):
    """LiteLLM in one of its two ways."""
    return Client(litellm, way, run)


@pytest.fixture
def sync_client(litellm, run):
    """LiteLLM's blocking calls."""
    return Client(litellm, "sync", run)


def text_of(chunks):
    """Return the text that chunks add up to."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def counts_of(usage):
    """Return a usage as LiteLLM reports it, as the simulator counts it."""
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return {
        "input": usage.prompt_tokens,
        "output": usage.completion_tokens,
        "cached": (prompt and prompt.cached_tokens) or 0,
        "reasoning": (completion and completion.reasoning_tokens) or 0,
    }


@each_provider
@both_ways
class TestGoodAnswers:
    """What LiteLLM makes of good answers."""

    def test_plain(self, simulator, client, provider):
        """Text, finish and counts arrive, and are those of the bill."""
        simulator.script(Reply(TEXT))

        response = client.complete(provider)

        assert (TEXT, "stop") == (response.choices[0].message.content, response.choices[0].finish_reason)
        line = simulator.bill[provider, MODELS[provider].partition("/")[2]]
        assert (1, response.usage.prompt_tokens, 9) == (line.requests, line.input_tokens, line.output_tokens)
        assert 9 == response.usage.completion_tokens

    def test_streamed(self, simulator, client, provider):
        """In several chunks, with the usage in the last."""
        simulator.script(Reply(TEXT))

        chunks = client.stream(provider)

        assert TEXT == text_of(chunks)
        assert 3 <= sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks)
        assert ["stop"] == [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
        usage = chunks[-1].usage
        assert (simulator.bill.total.input_tokens, 9) == (usage.prompt_tokens, usage.completion_tokens)

    def test_unscripted(self, simulator, client, provider):
        """The same text each time, however it is sent; each answer is charged."""
        plain, streamed = client.complete(provider), client.stream(provider)

        assert plain.choices[0].message.content == text_of(streamed)
        assert (2, 2 * plain.usage.completion_tokens) == (
            simulator.bill.total.requests,
            simulator.bill.total.output_tokens,
        )

    def test_cut_short(self, simulator, client, provider):
        """`max_tokens` reaches the simulator, and its finish comes back."""
        simulator.script(Reply(TEXT), Reply(TEXT))

        response, chunks = client.complete(provider, max_tokens=4), client.stream(provider, max_tokens=4)

        assert ("one two three four", "length") == (
            response.choices[0].message.content,
            response.choices[0].finish_reason,
        )
        assert "one two three four" == text_of(chunks)

    def test_tool_call(self, simulator, client, provider):
        """Named, with its arguments."""
        simulator.script(*[Reply(tool_calls=(ToolCall("get_weather", {"city": "Oslo"}),))] * 2)

        response, chunks = client.complete(provider, tools=[TOOL]), client.stream(provider, tools=[TOOL])

        (call,) = response.choices[0].message.tool_calls
        assert ("get_weather", '{"city":"Oslo"}') == (
            call.function.name,
            call.function.arguments.replace(" ", ""),
        )
        parts = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or ()]
        assert "get_weather" == "".join(part.function.name or "" for part in parts)
        arguments = "".join(part.function.arguments or "" for part in parts)
        assert '{"city":"Oslo"}' == arguments.replace(" ", "")


class TestUsage:
    """Special tokens, as LiteLLM reports them: all inclusive, as they were scripted."""

    REPLY = Reply(TEXT, input_tokens=3000, cached_tokens=1000, output_tokens=100, reasoning_tokens=60)

    @pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini"])
    @pytest.mark.parametrize("stream", [False, True])
    def test_cached_and_reasoning_tokens(self, simulator, sync_client, provider, stream):
        """Plain and streamed; before 1.99 LiteLLM does not read how much Anthropic thought."""
        simulator.script(self.REPLY)

        usage = sync_client.stream(provider)[-1].usage if stream else sync_client.complete(provider).usage

        expected = {"input": 3000, "output": 100, "cached": 1000, "reasoning": 60}
        counted = counts_of(usage)
        if provider == "anthropic":
            del expected["reasoning"], counted["reasoning"]
        assert expected == counted

    @pytest.mark.parametrize("stream", [False, True])
    def test_cache_writes_of_anthropic(self, simulator, sync_client, stream):
        """Split by the time they are kept."""
        simulator.script(
            Reply(
                "Hi",
                input_tokens=5000,
                cached_tokens=1000,
                cache_write_tokens=3000,
                cache_write_1h_tokens=1000,
            )
        )

        call = sync_client.stream if stream else sync_client.complete
        usage = (call("anthropic")[-1] if stream else call("anthropic")).usage

        details = usage.prompt_tokens_details
        assert (5000, 1000, 3000) == (
            usage.prompt_tokens,
            details.cached_tokens,
            details.cache_creation_tokens,
        )
        split = details.cache_creation_token_details
        assert (2000, 1000) == (split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens)

    def test_audio_tokens_of_openai_and_gemini(self, simulator, sync_client):
        """In the details."""
        simulator.script(*[Reply("Hi", input_tokens=100, audio_input_tokens=40)] * 2)

        for provider in ("openai", "gemini"):
            assert 40 == sync_client.complete(provider).usage.prompt_tokens_details.audio_tokens

    def test_a_prompt_seen_before_is_cached(self, simulator, sync_client):
        """By OpenAI unasked, by Anthropic at its marks."""
        long = "word " * 3000
        marked = [{"type": "text", "text": long, "cache_control": {"type": "ephemeral"}}]

        def cached(provider, content):
            messages = [{"role": "user", "content": content}]
            return counts_of(sync_client.complete(provider, messages=messages).usage)["cached"]

        assert [0, 2944] == [cached("openai", long) for _ in range(2)]
        first, second = (cached("anthropic", marked) for _ in range(2))
        assert 0 == first < 3000 < second

    def test_several_choices_have_one_usage(self, simulator, sync_client):
        """`n`, where it is known."""
        simulator.script(*[Reply(("a b c", "d e f"))] * 2)

        for provider in ("openai", "gemini"):
            response = sync_client.complete(provider, n=2)
            assert ["a b c", "d e f"] == [choice.message.content for choice in response.choices]
            assert 6 == response.usage.completion_tokens

    def test_the_service_tier_comes_back(self, simulator, sync_client):
        """As it was asked for."""
        assert "flex" == sync_client.complete("openai", service_tier="flex").service_tier

    @each_provider
    def test_json_mode(self, sync_client, simulator, provider):
        """A schema is kept to, whatever LiteLLM makes of it on the way."""
        schema = {**TOOL["function"]["parameters"], "additionalProperties": False}
        wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}

        content = sync_client.complete(provider, response_format=wanted).choices[0].message.content

        assert content.startswith('{"city":')


@each_provider
@both_ways
class TestBadAnswers:
    """What LiteLLM makes of bad ones."""

    @pytest.mark.parametrize(
        ("status", "names"),
        [
            (400, {"BadRequestError"}),
            (401, {"AuthenticationError"}),
            (404, {"NotFoundError"}),
            (408, {"Timeout"}),
            (429, {"RateLimitError"}),
            (500, {"InternalServerError"}),
            (503, {"ServiceUnavailableError", "InternalServerError"}),
        ],
    )
    def test_errors_are_mapped(self, simulator, client, provider, status, names):
        """By status; before 1.99 every error of Ollama is a failed connection."""
        simulator.script(Fail(status, retry_after_s=2))
        allowed = names | {"APIConnectionError"} if provider == "ollama" else names

        with pytest.raises(Exception, match=".") as caught:  # noqa: RUF043 - any message
            client.complete(provider)

        assert type(caught.value).__name__ in allowed
        assert "2" == caught.value.litellm_response_headers["retry-after"]
        assert 1 == len(simulator.requests)

    @pytest.mark.parametrize("nonsense", [GARBAGE_JSON, EMPTY_BODY, HTML_PAGE, Break(1), Break(1, how="end")])
    def test_nonsense_is_an_error(self, simulator, litellm, client, provider, nonsense):
        """Never an answer."""
        simulator.script(nonsense)

        with pytest.raises(litellm.exceptions.openai.OpenAIError):
            client.complete(provider)

    def test_a_reset_is_an_error_or_tried_again(self, simulator, litellm, client, provider, way):
        """Under aiohttp LiteLLM itself tries once more, unseen, for all but OpenAI."""
        simulator.script(Reset(), Reset())

        with pytest.raises(litellm.exceptions.openai.OpenAIError):
            client.complete(provider)

        assert (1 if way == "sync" or provider == "openai" else 2) == len(simulator.requests)

    def test_a_hang_ends_with_the_clients_patience(self, simulator, client, provider):
        """And the simulator sees it leave."""
        simulator.script(Hang())

        with pytest.raises(Exception, match=".") as caught:  # noqa: RUF043 - any message
            client.complete(provider, timeout=0.3)

        assert type(caught.value).__name__ in {"Timeout", "APIConnectionError"}
        simulator.wait_until_idle()
        assert 0 == simulator.bill.total.requests


@each_provider
class TestBrokenStreams:
    """Streams that break; async ones do so unnoticed before 1.99, so the sync ones are asserted."""

    @pytest.mark.parametrize(
        "behaviour",
        [
            Break(2, where="between_events", reply=Reply(TEXT)),
            Break(2, where="inside_chunk", reply=Reply(TEXT)),
            Break(2, where="between_events", how="reset", reply=Reply(TEXT)),
        ],
    )
    def test_raise(self, simulator, litellm, sync_client, provider, behaviour):
        """After the chunks that came."""
        simulator.script(behaviour)
        received = []

        with pytest.raises(litellm.exceptions.openai.OpenAIError):
            sync_client.stream(provider, received)

        assert "one two three four five six" == text_of(received)
        assert 6 == simulator.bill.total.output_tokens

    def test_that_end_early_in_good_order_do_not_raise(self, simulator, sync_client, provider):
        """LiteLLM does not miss the end: it makes up a finish and a usage."""
        simulator.script(Break(2, where="between_events", how="end", reply=Reply(TEXT)))

        assert "one two three four five six" == text_of(sync_client.stream(provider))

    def test_with_an_error_event_raise(self, simulator, litellm, sync_client, provider):
        """Before anything was said."""
        simulator.script(StreamError(0, status=429))

        with pytest.raises(litellm.exceptions.openai.OpenAIError):
            sync_client.stream(provider)


def test_a_stream_that_is_left_is_noticed(simulator, litellm, run):
    """A consumer that goes away is not charged for more; LiteLLM hangs up in time for OpenAI alone."""
    simulator.script(Hang(1, reply=Reply(TEXT)))

    async def leave():
        stream = await litellm.acompletion(model=MODELS["openai"], messages=MESSAGES, stream=True)
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        await stream.aclose()

    run(leave())

    simulator.wait_until_idle()
    assert 3 == simulator.bill.total.output_tokens


class TestTogether:
    """Many at once."""

    def test_hundreds_of_calls_are_all_charged_once(self, simulator, litellm, run):
        """Sync and async, plain and streamed, for all providers."""

        async def call(number):
            model = MODELS[list(MODELS)[number % 4]]
            messages = [{"role": "user", "content": f"Question {number}"}]
            if number % 3:
                response = await litellm.acompletion(model=model, messages=messages, max_retries=0)
                return response.usage.completion_tokens
            usage = None
            options = {"stream": True, "stream_options": {"include_usage": True}, "max_retries": 0}
            async for chunk in await litellm.acompletion(model=model, messages=messages, **options):
                usage = getattr(chunk, "usage", None) or usage
            return usage.completion_tokens

        async def call_all():
            return await asyncio.gather(*map(call, range(120)))

        counts = run(call_all())

        simulator.wait_until_idle()
        assert (120, sum(counts)) == (simulator.bill.total.requests, simulator.bill.total.output_tokens)

    def test_closing_ends_calls_that_hang(self, litellm, monkeypatch):
        """A test that forgot to release does not hang."""
        before = set(threading.enumerate())
        simulator = Simulator().start()
        for name, value in simulator.env(with_keys=True).items():
            monkeypatch.setenv(name, value)
        simulator.script(Hang(), repeat=True)
        problems = []

        def call(model):
            try:
                litellm.completion(model=model, messages=MESSAGES, max_retries=0)
            except litellm.exceptions.openai.OpenAIError as exc:
                problems.append(exc)

        threads = [threading.Thread(target=call, args=(model,)) for model in MODELS.values()]
        for thread in threads:
            thread.start()
        simulator.wait_for_requests(4, timeout_s=60)

        simulator.close()
        for thread in threads:
            thread.join()

        assert 4 == len(problems)
        left = set(threading.enumerate()) - before
        assert "llm-otel-simulator" not in [thread.name for thread in left]
