"""The simulator's responses, completions and embeddings through real LiteLLM: the tokens are those of the bill.

What is asserted holds for the oldest LiteLLM that is supported and for the newest; where they differ the test
says so.
"""

import httpx
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
    StreamError,
    ToolCall,
)

pytestmark = [
    pytest.mark.wire,
    # LiteLLM leaves sessions to the garbage collector and calls what pydantic and others have deprecated.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("collect_between_tests"),
]

TEXT = "one two three four five six seven eight nine"
CHAT = "openai/gpt-4o-mini"
OLDER = "text-completion-openai/gpt-3.5-turbo-instruct"
EMBEDDING = "openai/text-embedding-3-small"
TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}

both_ways = pytest.mark.parametrize("way", ["sync", "async"])


class Client:
    """Calls LiteLLM, sync or async, and gives back the same either way."""

    def __init__(self, litellm, way, run):
        self._litellm = litellm
        self._way = way
        self._run = run

    def respond(self, text="Hello!", *, model=CHAT, received=None, **more):
        """Return a response, or the events of a streamed one; those before an error are in `received`."""
        options = {"model": model, "input": text, "timeout": 60, **more}
        return self._get("responses", options, received)

    def complete(self, prompt="Hello!", *, model=OLDER, received=None, **more):
        """Return a completion, or the chunks of a streamed one."""
        options = {"model": model, "prompt": prompt, "timeout": 60, "max_retries": 0, **more}
        return self._get("text_completion", options, received)

    def chat(self, *, stream):
        """Return the completion of a model of Ollama's, or its chunks."""
        options = {"model": "ollama/llama3", "messages": [{"role": "user", "content": "Hello!"}], "timeout": 60}
        if stream:
            options |= {"stream": True, "stream_options": {"include_usage": True}}
        return self._get("completion", options, None)

    def embed(self, given="Hello!", *, model=EMBEDDING, **more):
        """Return vectors. LiteLLM takes `max_retries=0` for none given: the SDK of OpenAI tries three times."""
        return self._get("embedding", {"model": model, "input": given, "timeout": 60, **more}, None)

    def _get(self, name, options, received):
        received = [] if received is None else received
        if self._way == "async":
            return self._run(self._aget(f"a{name}", options, received))
        answer = getattr(self._litellm, name)(**options)
        if not options.get("stream"):
            return answer
        received.extend(answer)
        return received

    async def _aget(self, name, options, received):
        answer = await getattr(self._litellm, name)(**options)
        if not options.get("stream"):
            return answer
        async for chunk in answer:
            received.append(chunk)
        return received


@pytest.fixture
def client(litellm, way, run):
    """LiteLLM in one of its two ways."""
    return Client(litellm, way, run)


def deltas(events):
    """Return the pieces of text in the events of a response."""
    return [event.delta for event in events if event.type == "response.output_text.delta"]


@both_ways
class TestResponses:
    """`litellm.responses` and `aresponses`."""

    REPLY = Reply(TEXT, input_tokens=3000, cached_tokens=1000, output_tokens=100, reasoning_tokens=60)

    @pytest.mark.parametrize("stream", [False, True])
    def test_tokens_are_those_of_the_bill(self, simulator, litellm, client, stream):
        """All inclusive; in the last event of a stream."""
        simulator.script(self.REPLY)

        answer = client.respond(stream=stream)
        usage = (answer[-1].response if stream else answer).usage

        assert litellm.types.llms.openai.ResponseAPIUsage is type(usage)
        line = simulator.bill["openai", "gpt-4o-mini"]
        assert (1, 3000, 1000, 100, 60) == (
            line.requests,
            usage.input_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.output_tokens,
            usage.output_tokens_details.reasoning_tokens,
        )
        assert (3000, 1000, 100, 60) == (
            line.input_tokens,
            line.cached_tokens,
            line.output_tokens,
            line.reasoning_tokens,
        )

    def test_a_stream_is_made_of_typed_events(self, simulator, litellm, client):
        """LiteLLM knows every one of them, and the answer at the end is a whole one."""
        simulator.script(Reply(TEXT, reasoning_tokens=4, tool_calls=(ToolCall("get_weather", {"city": "Oslo"}),)))

        events = client.respond(stream=True, tools=[TOOL])

        assert litellm.types.llms.openai.GenericEvent not in {type(event) for event in events}
        assert ["one two three", " four five six", " seven eight nine"] == deltas(events)
        answer = events[-1].response
        assert "completed" == answer.status
        assert ["reasoning", "message", "function_call"] == [item.type for item in answer.output]
        assert '{"city":"Oslo"}' == answer.output[2].arguments

    def test_an_answer_that_is_cut_says_so(self, simulator, client):
        """LiteLLM raises the limit to the sixteen that OpenAI asks for."""
        simulator.script(Reply("word " * 30))

        answer = client.respond(max_output_tokens=5)

        assert 16 == simulator.requests[0].body["max_output_tokens"] == answer.usage.output_tokens
        assert ("incomplete", "max_output_tokens") == (answer.status, answer.incomplete_details.reason)

    def test_a_conversation_is_charged_in_full(self, simulator, client):
        """LiteLLM's own id for an answer leads back to it."""
        simulator.script(Reply("one two"), Reply("three"))

        first = client.respond("a b")
        second = client.respond("c", previous_response_id=first.id)

        assert simulator.requests[1].body["previous_response_id"].startswith("resp_")
        assert (8, 8 + 2 + 7) == (first.usage.input_tokens, second.usage.input_tokens)

    @pytest.mark.parametrize(
        ("model", "path"),
        [
            ("anthropic/claude-3-5-haiku-latest", "/v1/messages"),
            ("gemini/gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:generateContent"),
            ("ollama_chat/llama3", "/api/chat"),
        ],
    )
    def test_other_providers_are_asked_by_their_chats(self, simulator, client, model, path):
        """With the tokens of the bill too."""
        simulator.script(Reply(TEXT))

        usage = client.respond(model=model).usage

        assert [path] == [request.path for request in simulator.requests]
        total = simulator.bill.total
        assert (total.input_tokens, total.output_tokens) == (usage.input_tokens, usage.output_tokens)

    def test_usage_may_be_missing(self, simulator, client):
        """None where the answer is whole; LiteLLM makes it up, without details, for a stream."""
        simulator.script(*[Reply(TEXT, usage="omitted")] * 2)

        assert client.respond().usage is None
        made_up = client.respond(stream=True)[-1].response.usage
        assert made_up.input_tokens_details is made_up.output_tokens_details is None

    @pytest.mark.parametrize(
        ("status", "name"), [(400, "BadRequestError"), (429, "RateLimitError"), (500, "InternalServerError")]
    )
    @pytest.mark.parametrize("stream", [False, True])
    def test_errors_are_mapped(self, simulator, client, status, name, stream):
        """By status, from one request."""
        simulator.script(Fail(status, retry_after_s=2))

        with pytest.raises(Exception, match=".") as caught:  # noqa: RUF043 - any message
            client.respond(stream=stream)

        assert name == type(caught.value).__name__
        assert "2" == caught.value.litellm_response_headers["retry-after"]
        assert 1 == len(simulator.requests)

    @pytest.mark.parametrize("nonsense", [GARBAGE_JSON, EMPTY_BODY, HTML_PAGE])
    @pytest.mark.parametrize("stream", [False, True])
    def test_nonsense_is_an_error(self, simulator, litellm, client, nonsense, stream):
        """Never an answer."""
        simulator.script(nonsense)

        with pytest.raises(litellm.exceptions.openai.OpenAIError):
            client.respond(stream=stream)

    @pytest.mark.parametrize("how", ["close", "reset", "end"])
    def test_a_broken_stream_raises(self, simulator, litellm, client, how):
        """What came before is there; httpx's own error comes through where the connection breaks."""
        simulator.script(Break(2, where="between_events", how=how, reply=Reply(TEXT)))
        received = []

        with pytest.raises((httpx.HTTPError, litellm.exceptions.openai.OpenAIError)) as caught:
            client.respond(stream=True, received=received)

        assert "one two three four five six" == "".join(deltas(received))
        assert (how == "end") == isinstance(caught.value, litellm.exceptions.openai.OpenAIError)
        simulator.wait_until_idle()
        assert 6 == simulator.bill.total.output_tokens

    @pytest.mark.parametrize("how", ["error", "failed"])
    @pytest.mark.parametrize("status", [400, 429, 500])
    def test_a_stream_may_end_with_an_error(self, simulator, litellm, client, how, status):
        """In either form, by its status."""
        simulator.script(StreamError(1, status=status, how=how, reply=Reply(TEXT)))
        received = []

        with pytest.raises(litellm.exceptions.openai.OpenAIError) as caught:
            client.respond(stream=True, received=received)

        assert (["one two three"], status) == (deltas(received), caught.value.status_code)

    def test_a_hang_ends_with_the_clients_patience(self, simulator, litellm, client):
        """And the simulator sees it leave."""
        simulator.script(Hang())

        with pytest.raises(litellm.exceptions.openai.OpenAIError):
            client.respond(timeout=0.3)

        simulator.wait_until_idle()
        assert 0 == simulator.bill.total.requests


@both_ways
class TestCompletions:
    """`litellm.text_completion` and `atext_completion`."""

    def test_tokens_are_those_of_the_bill(self, simulator, litellm, client):
        """Of a single answer, or of several."""
        simulator.script(Reply(TEXT), Reply("x y"))

        one, several = client.complete(), client.complete(["a b", "c"], n=2)

        assert litellm.TextCompletionResponse is type(one)
        assert (2, 9, 3, 8) == (
            one.usage.prompt_tokens,
            one.usage.completion_tokens,
            several.usage.prompt_tokens,
            several.usage.completion_tokens,
        )
        line = simulator.bill["openai", "gpt-3.5-turbo-instruct"]
        assert (2, 5, 17) == (line.requests, line.input_tokens, line.output_tokens)
        assert {"/v1/completions"} == {request.path for request in simulator.requests}

    def test_a_stream_has_its_usage_in_the_last_chunk(self, simulator, client):
        """Asked for; else each chunk says it is 0."""
        simulator.script(Reply(TEXT), Reply(TEXT))

        asked = client.complete(stream=True, stream_options={"include_usage": True})
        unasked = client.complete(stream=True)

        assert TEXT == "".join(chunk.choices[0].text or "" for chunk in asked if chunk.choices)
        assert (2, 9) == (asked[-1].usage.prompt_tokens, asked[-1].usage.completion_tokens)
        assert {0} == {chunk.usage.total_tokens for chunk in unasked}
        assert (4, 18) == (simulator.bill.total.input_tokens, simulator.bill.total.output_tokens)

    @pytest.mark.parametrize(
        ("model", "path"),
        [
            ("openai/gpt-4o-mini", "/v1/chat/completions"),
            ("anthropic/claude-3-5-haiku-latest", "/v1/messages"),
            ("ollama/llama3", "/api/generate"),
        ],
    )
    def test_models_that_chat_are_asked_by_their_chats(self, simulator, client, model, path):
        """Ollama's are not, but for the prefix `ollama_chat/`; with the tokens of the bill too."""
        usage = client.complete(model=model).usage

        assert [path] == [request.path for request in simulator.requests]
        total = simulator.bill.total
        assert (total.input_tokens, total.output_tokens) == (usage.prompt_tokens, usage.completion_tokens)

    @pytest.mark.parametrize("behaviour", [Fail(429), GARBAGE_JSON, HTML_PAGE, Break(1), Reset()])
    def test_bad_answers_are_errors(self, simulator, litellm, client, behaviour):
        """Never an answer."""
        simulator.script(behaviour)

        with pytest.raises(litellm.exceptions.openai.OpenAIError):
            client.complete()

    @pytest.mark.parametrize("behaviour", [Break(2, where="between_events", reply=Reply(TEXT)), StreamError(0)])
    def test_broken_streams_raise(self, simulator, litellm, client, behaviour):
        """In LiteLLM's own terms."""
        simulator.script(behaviour)

        with pytest.raises(litellm.exceptions.openai.OpenAIError):
            client.complete(stream=True)


@both_ways
class TestGenerate:
    """`litellm.completion` with the prefix `ollama/`."""

    @pytest.mark.parametrize("stream", [False, True])
    def test_tokens_are_those_of_the_bill(self, simulator, client, stream):
        """Plain, and in the last chunk of a stream."""
        simulator.script(Reply(TEXT))

        answer = client.chat(stream=stream)

        assert ["/api/generate"] == [request.path for request in simulator.requests]
        usage = (answer[-1] if stream else answer).usage
        line = simulator.bill["ollama", "llama3"]
        assert (line.input_tokens, line.output_tokens, 9) == (usage.prompt_tokens, usage.completion_tokens, 9)

    def test_a_stream_says_it_all(self, simulator, client):
        """In pieces."""
        simulator.script(Reply(TEXT))

        pieces = [chunk.choices[0].delta.content for chunk in client.chat(stream=True) if chunk.choices]

        assert TEXT == "".join(piece or "" for piece in pieces)
        assert 3 <= sum(bool(piece) for piece in pieces)


@both_ways
class TestEmbeddings:
    """`litellm.embedding` and `aembedding`."""

    @pytest.mark.parametrize("model", [EMBEDDING, "ollama/nomic-embed-text"])
    @pytest.mark.parametrize(("given", "number"), [("Hello!", 1), (["Hello!", "one two three"], 2)])
    def test_tokens_are_those_of_the_bill(self, simulator, litellm, client, model, given, number):
        """Of one text or several."""
        answer = client.embed(given, model=model)

        assert litellm.EmbeddingResponse is type(answer)
        assert (number, 0) == (len(answer.data), answer.usage.completion_tokens)
        line = simulator.bill[tuple(model.split("/"))]
        assert (1, 0, answer.usage.prompt_tokens) == (line.requests, line.output_tokens, line.input_tokens)

    def test_token_ids_and_dimensions_reach_openai(self, simulator, client):
        """As they are."""
        answer = client.embed([5, 6, 7], dimensions=4)

        assert (1, 4, 3) == (len(answer.data), len(answer.data[0]["embedding"]), answer.usage.prompt_tokens)
        assert ([5, 6, 7], 4) == (simulator.requests[0].body["input"], simulator.requests[0].body["dimensions"])

    def test_litellm_counts_for_gemini_itself(self, simulator, client):
        """It asks for a batch, and takes no notice of what Gemini counted."""
        simulator.script(Reply(input_tokens=70))

        answer = client.embed(["Hello!", "one two three"], model="gemini/gemini-embedding-001", dimensions=4)

        (request,) = simulator.requests
        assert "/v1beta/models/gemini-embedding-001:batchEmbedContents" == request.path
        assert [4, 4] == [len(item["embedding"]) for item in answer.data]
        assert 0 < answer.usage.prompt_tokens < 70 == simulator.bill.total.input_tokens

    @pytest.mark.parametrize(
        ("model", "requests"),
        [(EMBEDDING, 3), ("gemini/gemini-embedding-001", 1), ("ollama/nomic-embed-text", 1)],
    )
    def test_errors_are_mapped(self, simulator, client, model, requests):
        """OpenAI is asked three times, whatever `max_retries` says."""
        simulator.script(Fail(429, headers={"retry-after-ms": "1"}), repeat=True)

        with pytest.raises(Exception, match=".") as caught:  # noqa: RUF043 - any message
            client.embed(model=model, max_retries=0)

        assert ("RateLimitError", requests) == (type(caught.value).__name__, len(simulator.requests))

    @pytest.mark.parametrize("model", [EMBEDDING, "gemini/gemini-embedding-001", "ollama/nomic-embed-text"])
    @pytest.mark.parametrize("nonsense", [GARBAGE_JSON, EMPTY_BODY, HTML_PAGE])
    def test_nonsense_is_an_error(self, simulator, litellm, client, model, nonsense):
        """Never vectors."""
        simulator.script(nonsense)

        with pytest.raises(litellm.exceptions.openai.OpenAIError):
            client.embed(model=model)
