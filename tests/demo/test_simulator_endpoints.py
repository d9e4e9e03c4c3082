"""The simulator beside the chats, over plain HTTP: OpenAI's responses, older completions, and embeddings."""

import base64
import http.client
import json
import math
import struct

import pytest

from llm_otel.demo.simulator import (
    EMPTY_BODY,
    GARBAGE_JSON,
    HTML_PAGE,
    Break,
    Fail,
    Finish,
    Hang,
    Reply,
    Reset,
    Simulator,
    StreamError,
    ToolCall,
)

TEXT = "one two three four five six seven eight nine"  # nine tokens, three chunks
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"type": "function", "name": "get_weather", "parameters": SCHEMA}
CALL = ToolCall("get_weather", {"city": "Oslo"})

RESPONSES = "/v1/responses"
COMPLETIONS = "/v1/completions"
GEMINI = "/v1beta/models/gemini-embedding-001"
EMBEDDINGS = {
    "openai": ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "Hello!"}),
    "gemini": (f"{GEMINI}:embedContent", {"content": {"parts": [{"text": "Hello!"}]}}),
    "ollama": ("/api/embed", {"model": "nomic-embed-text", "input": "Hello!"}),
}
ENDPOINTS = {
    "responses": (RESPONSES, {"model": "gpt-4o-mini", "input": "Hello!"}),
    "completions": (COMPLETIONS, {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello!"}),
    "ollama generate": ("/api/generate", {"model": "llama3", "prompt": "Hello!", "stream": False}),
    **{f"{provider} embeddings": asked for provider, asked in EMBEDDINGS.items()},
}

each_endpoint = pytest.mark.parametrize("endpoint", list(ENDPOINTS))
each_stream = pytest.mark.parametrize("endpoint", ["responses", "completions", "ollama generate"])
each_embedding = pytest.mark.parametrize("provider", list(EMBEDDINGS))


@pytest.fixture
def simulator():
    """A running simulator."""
    with Simulator() as running:
        yield running


@pytest.fixture
def post(simulator):
    """Send a request on a connection of its own and return the response, its body unread."""
    opened = []

    def post_one(path, body, **headers):
        connection = http.client.HTTPConnection(simulator.url.removeprefix("http://"), timeout=60)
        opened.append(connection)
        connection.request("POST", path, json.dumps(body), headers)
        return connection.getresponse()

    yield post_one
    for connection in opened:
        connection.close()


@pytest.fixture
def ask(post):
    """Send a small request to one of the endpoints, with more fields or others."""

    def ask_one(endpoint, **more):
        path, body = ENDPOINTS[endpoint]
        return post(path, {**body, **more})

    return ask_one


@pytest.fixture
def whole(ask):
    """Return the parsed body of a good answer."""

    def read(endpoint, **more):
        response = ask(endpoint, **more)
        assert 200 == response.status
        return json.load(response)

    return read


@pytest.fixture
def streamed(ask):
    """Return the events of a stream up to its end, however it ends, without `[DONE]`."""

    def read(endpoint, **more):
        response = ask(endpoint, stream=True, **more)
        try:
            data = response.read()
        except http.client.IncompleteRead as exc:
            data = exc.partial
        return events_of(data)

    return read


def events_of(data):
    """Return the payloads of whole events: server-sent ones, or lines of JSON."""
    events = []
    for line in data.decode().splitlines():
        try:
            events.append(json.loads(line.removeprefix("data: ")))
        except ValueError:
            continue
    return events


def text_of(events):
    """Return the pieces of text in the events of a stream."""
    pieces = [_piece(event) for event in events]
    return [piece for piece in pieces if piece]


def _piece(event):
    if event.get("choices"):
        return event["choices"][0]["text"]
    return event.get("delta") or (event.get("response") if "done" in event else None)


class TestResponses:
    """OpenAI's `/v1/responses`."""

    def test_a_whole_answer_holds_its_message_and_usage(self, simulator, whole):
        """The usage is inclusive, with the parts in its details; the request's own fields come back."""
        simulator.script(Reply(TEXT, input_tokens=3000, cached_tokens=1000, output_tokens=100, reasoning_tokens=60))

        answer = whole("responses", instructions="Be brief.", metadata={"a": "b"}, service_tier="flex")

        assert ("response", "completed", "flex") == (answer["object"], answer["status"], answer["service_tier"])
        assert ("Be brief.", {"a": "b"}) == (answer["instructions"], answer["metadata"])
        reasoning, message = answer["output"]
        assert ("reasoning", []) == (reasoning["type"], reasoning["summary"])
        assert ("message", "completed", "assistant") == (message["type"], message["status"], message["role"])
        assert [{"type": "output_text", "annotations": [], "logprobs": [], "text": TEXT}] == message["content"]
        assert {
            "input_tokens": 3000,
            "input_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 0},
            "output_tokens": 100,
            "output_tokens_details": {"reasoning_tokens": 60},
            "total_tokens": 3100,
        } == answer["usage"]

    def test_a_stream_tells_each_item_from_its_start_to_its_end(self, simulator, streamed):
        """In the order of the real API, numbered from 0 on, each event under its own name."""
        simulator.script(Reply("one two three four", thinking="Hm", tool_calls=(CALL,)))

        events = streamed("responses")

        assert list(range(len(events))) == [event["sequence_number"] for event in events]
        assert [
            "response.created",
            "response.in_progress",
            "response.output_item.added",  # the reasoning, which is not shown
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ] == [event["type"] for event in events]
        assert [0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2] == [event["output_index"] for event in events[2:-1]]

    def test_a_stream_ends_with_the_whole_answer(self, simulator, whole, streamed):
        """The last event holds what a plain request gets; the items are done as they stand there."""
        reply = Reply("one two three four", reasoning_tokens=5, tool_calls=(CALL, CALL))
        simulator.script(reply, reply)

        plain, events = whole("responses"), streamed("responses")

        last = events[-1]["response"]
        done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        assert last["output"] == done
        volatile = {"id", "output", "created_at", "completed_at"}
        assert {name: plain[name] for name in plain.keys() - volatile} == {
            name: last[name] for name in last.keys() - volatile
        }
        assert [item["type"] for item in plain["output"]] == [item["type"] for item in done]
        assert 2 == len({item["call_id"] for item in done if item["type"] == "function_call"})
        begun = events[0]["response"]
        assert ("in_progress", [], None, last["id"]) == (
            begun["status"],
            begun["output"],
            begun["usage"],
            begun["id"],
        )

    def test_an_event_is_named_as_its_type_says(self, ask):
        """And there is no `[DONE]`."""
        lines = ask("responses", stream=True).read().decode().splitlines()

        names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
        types = [json.loads(line[6:])["type"] for line in lines if line.startswith("data: ")]
        assert types == names

    @pytest.mark.parametrize(
        ("reply", "more", "reason"),
        [
            (Reply(f"{TEXT} " * 2), {"max_output_tokens": 16}, "max_output_tokens"),
            (Reply(TEXT, finish=Finish.CONTENT_FILTER), {}, "content_filter"),
        ],
    )
    def test_an_answer_that_is_cut_is_incomplete(self, simulator, whole, streamed, reply, more, reason):
        """It says why, and is charged as far as it goes."""
        simulator.script(reply, reply)

        plain, last = whole("responses", **more), streamed("responses", **more)[-1]

        assert "response.incomplete" == last["type"]
        for answer in (plain, last["response"]):
            assert ("incomplete", {"reason": reason}) == (answer["status"], answer["incomplete_details"])
            assert "incomplete" == answer["output"][-1]["status"]
        assert 2 * plain["usage"]["output_tokens"] == simulator.bill.total.output_tokens

    def test_reasoning_may_take_all_the_room(self, whole):
        """There is no message then."""
        answer = whole("responses", reasoning={"effort": "high"}, max_output_tokens=16)

        assert ["reasoning"] == [item["type"] for item in answer["output"]][:1]
        assert 0 < answer["usage"]["output_tokens_details"]["reasoning_tokens"] <= 16

    @pytest.mark.parametrize("tool_choice", ["required", {"type": "function", "name": "get_weather"}])
    def test_a_demanded_tool_is_called(self, whole, tool_choice):
        """With arguments by its schema, as text."""
        (item,) = whole("responses", tools=[TOOL], tool_choice=tool_choice)["output"]

        assert ("function_call", "get_weather", "completed") == (item["type"], item["name"], item["status"])
        assert ["city"] == list(json.loads(item["arguments"]))

    @pytest.mark.parametrize(
        ("form", "names"),
        [({"type": "json_schema", "name": "x", "schema": SCHEMA}, ["city"]), ({"type": "json_object"}, ["answer"])],
    )
    def test_json_is_answered_with_json(self, whole, form, names):
        """By the schema, if there is one."""
        (message,) = whole("responses", text={"format": form})["output"]

        assert names == list(json.loads(message["content"][0]["text"]))

    def test_a_prompt_is_counted_by_all_its_parts(self, whole):
        """Instructions, messages, tools, images, calls and their results."""

        def count(**more):
            return whole("responses", **more)["usage"]["input_tokens"]

        def message(*parts):
            return [{"role": "user", "content": list(parts)}]

        words = {"type": "input_text", "text": "one two three"}
        text = count(input="one two three")
        assert 3 + 3 + 3 == text
        assert text == count(input=[{"role": "user", "content": "one two three"}]) == count(input=message(words))
        assert text + 3 + 2 == count(input="one two three", instructions="Be brief")
        assert text < count(input="one two three", tools=[TOOL])
        assert text + 85 == count(input=message(words, {"type": "input_image", "image_url": "x"}))
        sound = {"type": "input_audio", "input_audio": {"data": "A" * 16_000, "format": "wav"}}
        assert text + 10 == count(input=message(words, sound))
        call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
        result = {"type": "function_call_output", "call_id": "c", "output": "sunny"}
        called = count(input=[*message(words), call])
        assert text < called < count(input=[*message(words), call, result])
        assert text == count(input=[*message(words), {"type": "reasoning", "id": "rs_1", "summary": []}])

    def test_going_on_is_charged_for_all_that_was_said(self, simulator, whole):
        """Of any depth; the instructions of an earlier turn are left out."""
        simulator.script(Reply("one two"), Reply("three"), Reply("four"))

        first = whole("responses", input="a b", instructions="Be very brief indeed")
        second = whole("responses", input="c", previous_response_id=first["id"])
        third = whole("responses", input="d", previous_response_id=second["id"])

        counts = [answer["usage"]["input_tokens"] for answer in (first, second, third)]
        said_first, said_second = (3 + 2 + 3) + 2, (3 + 1 + 3) + 1
        assert [3 + 4 + (3 + 2 + 3), said_first + 7, said_first + said_second + 7] == counts
        assert first["id"] == second["previous_response_id"]
        assert sum(counts) == simulator.bill.total.input_tokens

    @pytest.mark.parametrize("why", ["unknown", "not kept", "forgotten"])
    def test_going_on_from_nothing_is_refused(self, simulator, ask, whole, why):
        """As OpenAI does, by a code of its own."""
        previous = "resp_0" if why == "unknown" else whole("responses", store=why != "not kept")["id"]
        if why == "forgotten":
            simulator.clear()

        response = ask("responses", previous_response_id=previous)

        assert (400, "previous_response_not_found") == (response.status, json.load(response)["error"]["code"])

    @pytest.mark.parametrize(
        "more",
        [
            {"input": []},
            {"input": None},
            {"input": 3},
            {"input": [{"content": "no role"}]},
            {"max_output_tokens": 15},
            {"max_output_tokens": "many"},
            {"model": ""},
        ],
    )
    def test_what_cannot_be_read_is_refused(self, simulator, ask, more):
        """Nothing is charged."""
        response = ask("responses", **more)

        assert (400, "invalid_request_error") == (response.status, json.load(response)["error"]["type"])
        assert 0 == simulator.bill.total.requests

    def test_an_error_amid_a_stream_has_two_forms(self, simulator, streamed):
        """An `error` event, or the answer failed; both numbered on."""
        simulator.script(
            StreamError(1, status=429, message="Slow down.", reply=Reply(TEXT)),
            StreamError(1, how="failed", message="Broken.", reply=Reply(TEXT)),
        )

        error, failed = (streamed("responses") for _ in range(2))

        assert len(error) - 1 == error[-1]["sequence_number"] == failed[-1]["sequence_number"]
        assert ("error", "rate_limit_exceeded", "Slow down.") == (
            error[-1]["type"],
            error[-1]["error"]["code"],
            error[-1]["error"]["message"],
        )
        answer = failed[-1]["response"]
        assert ("response.failed", "failed") == (failed[-1]["type"], answer["status"])
        assert {"code": "server_error", "message": "Broken."} == answer["error"]
        assert failed[0]["response"]["id"] == answer["id"]
        assert 3 + 3 == simulator.bill.total.output_tokens


class TestCompletions:
    """OpenAI's older `/v1/completions`."""

    def test_a_whole_answer_is_text(self, simulator, whole):
        """Counted without a frame around the prompt."""
        simulator.script(Reply(TEXT))

        answer = whole("completions", prompt="a b c")

        assert "text_completion" == answer["object"]
        assert [{"text": TEXT, "index": 0, "logprobs": None, "finish_reason": "stop"}] == answer["choices"]
        usage = answer["usage"]
        assert (3, 9, 12) == (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"])

    def test_sixteen_tokens_are_the_default(self, simulator, whole):
        """As the real API has it."""
        simulator.script(*[Reply("word " * 30)] * 2)

        answers = whole("completions"), whole("completions", max_tokens=20)

        assert [16, 20] == [answer["usage"]["completion_tokens"] for answer in answers]
        assert ["length"] * 2 == [answer["choices"][0]["finish_reason"] for answer in answers]

    @pytest.mark.parametrize(
        ("prompt", "prompts", "input_tokens"),
        [("a b", 1, 2), (["a b", "c"], 2, 3), ([5, 6, 7], 1, 3), ([[5, 6], [7]], 2, 3)],
    )
    def test_each_prompt_gets_its_choices(self, simulator, whole, prompt, prompts, input_tokens):
        """Texts or token ids, one or several; one usage for all."""
        simulator.script(Reply("x y"))

        answer = whole("completions", prompt=prompt, n=2)

        assert list(range(2 * prompts)) == [choice["index"] for choice in answer["choices"]]
        counted = (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"])
        assert (input_tokens, 2 * 2 * prompts) == counted

    def test_a_stream_says_the_same(self, simulator, streamed, whole):
        """In pieces, then the finish; the usage only when asked for, and null until then."""
        simulator.script(*[Reply(TEXT)] * 3)

        plain, unasked = whole("completions"), streamed("completions")
        asked = streamed("completions", stream_options={"include_usage": True})

        assert ["one two three", " four five six", " seven eight nine"] == text_of(unasked) == text_of(asked)
        assert [None, None, None, "stop"] == [event["choices"][0]["finish_reason"] for event in unasked]
        assert all("usage" not in event for event in unasked)
        assert [None] * 4 == [event["usage"] for event in asked[:-1]]
        assert ([], plain["usage"]) == (asked[-1]["choices"], asked[-1]["usage"])

    def test_a_stream_ends_with_done(self, ask):
        """As all older streams of OpenAI."""
        assert ask("completions", stream=True).read().endswith(b"data: [DONE]\n\n")

    @pytest.mark.parametrize("prompt", [None, "", [], [""], [["a"]], 7, [1, "a"], [True]])
    def test_what_cannot_be_read_is_refused(self, ask, prompt):
        """A prompt is a text, token ids, or a list of either."""
        response = ask("completions", prompt=prompt)

        assert (400, "invalid_request_error") == (response.status, json.load(response)["error"]["type"])


class TestGenerate:
    """Ollama's older `/api/generate`."""

    def test_a_whole_answer_is_text(self, simulator, whole):
        """With the counts among the other fields."""
        simulator.script(Reply(TEXT))

        answer = whole("ollama generate", prompt="a b c", system="Be brief", images=["x"])

        assert (TEXT, True, "stop") == (answer["response"], answer["done"], answer["done_reason"])
        assert (3 + 2 + 85, 9) == (answer["prompt_eval_count"], answer["eval_count"])

    def test_a_stream_says_the_same(self, simulator, streamed, whole):
        """A line for each piece, the thoughts apart, and one with the counts."""
        simulator.script(*[Reply(TEXT, thinking="Hm, well")] * 2)

        plain, lines = whole("ollama generate"), streamed("ollama generate")

        assert (TEXT, "Hm, well") == (
            "".join(line["response"] for line in lines),
            "".join(line.get("thinking", "") for line in lines),
        )
        counts = ("prompt_eval_count", "eval_count", "done_reason")
        assert [plain[name] for name in counts] == [lines[-1][name] for name in counts]
        assert [False] * (len(lines) - 1) == [line["done"] for line in lines[:-1]]

    def test_limits_and_formats_are_kept_to(self, whole):
        """As in the chat."""
        cut = whole("ollama generate", options={"num_predict": 2})
        shaped = whole("ollama generate", format=SCHEMA)

        assert ("length", 2) == (cut["done_reason"], cut["eval_count"])
        assert ["city"] == list(json.loads(shaped["response"]))


class TestEmbeddings:
    """The three ways to ask for vectors."""

    def vectors(self, provider, body):
        """Return the vectors of an answer."""
        match provider:
            case "openai":
                return [item["embedding"] for item in body["data"]]
            case "gemini":
                return [body["embedding"]["values"]]
            case _:
                return body["embeddings"]

    @each_embedding
    def test_a_vector_depends_on_the_text_alone(self, whole, provider):
        """Of length 1; the same each time, another for another text."""
        other = {"content": {"parts": [{"text": "Bye!"}]}} if provider == "gemini" else {"input": "Bye!"}

        bodies = [whole(f"{provider} embeddings", **more) for more in ({}, {}, other)]

        (first,), (again,), (another,) = (self.vectors(provider, body) for body in bodies)
        assert first == again != another
        assert math.isclose(1.0, math.hypot(*first), rel_tol=1e-6)

    @each_embedding
    def test_the_input_is_charged_and_no_output(self, simulator, whole, provider):
        """Counted by the text, or as scripted; what a reply says of output is no matter."""
        simulator.script(Reply(), Reply("Some text", input_tokens=70, output_tokens=5, reasoning_tokens=2))

        bodies = [whole(f"{provider} embeddings") for _ in range(2)]

        usages = {
            "openai": [body.get("usage") for body in bodies],
            "gemini": [body.get("usageMetadata") for body in bodies],
            "ollama": [{"prompt_eval_count": body.get("prompt_eval_count")} for body in bodies],
        }[provider]
        expected = {
            "openai": [{"prompt_tokens": count, "total_tokens": count} for count in (2, 70)],
            "gemini": [{"promptTokenCount": count} for count in (2, 70)],
            "ollama": [{"prompt_eval_count": count} for count in (2, 70)],
        }[provider]
        assert expected == usages
        total = simulator.bill.total
        assert (2, 72, 0, 0) == (total.requests, total.input_tokens, total.output_tokens, total.reasoning_tokens)

    @each_embedding
    def test_dimensions_are_kept_to(self, whole, provider):
        """Under each provider's name for them."""
        name = "outputDimensionality" if provider == "gemini" else "dimensions"

        (vector,) = self.vectors(provider, whole(f"{provider} embeddings", **{name: 5}))

        assert 5 == len(vector)

    @each_embedding
    @pytest.mark.parametrize("usage", ["omitted", "null"])
    def test_the_usage_may_be_missing(self, simulator, whole, provider, usage):
        """Charged all the same."""
        simulator.script(Reply(usage=usage))

        body = whole(f"{provider} embeddings")

        name = {"openai": "usage", "gemini": "usageMetadata", "ollama": "prompt_eval_count"}[provider]
        assert body.get(name) is None
        assert (usage == "null") == (name in body)
        assert 2 == simulator.bill.total.input_tokens

    @pytest.mark.parametrize(
        ("given", "vectors", "input_tokens"),
        [("a b", 1, 2), (["a b", "c"], 2, 3), ([5, 6, 7], 1, 3), ([[5, 6], [7]], 2, 3)],
    )
    def test_openai_takes_texts_and_token_ids(self, whole, given, vectors, input_tokens):
        """One or several."""
        body = whole("openai embeddings", input=given)

        assert list(range(vectors)) == [item["index"] for item in body["data"]]
        assert input_tokens == body["usage"]["prompt_tokens"]

    def test_openai_packs_vectors_on_request(self, whole):
        """The same numbers, as little-endian floats in base64."""
        plain, packed = (
            whole("openai embeddings", encoding_format=form)["data"][0]["embedding"] for form in ("float", "base64")
        )

        assert plain == list(struct.unpack(f"<{len(plain)}f", base64.b64decode(packed)))

    def test_gemini_takes_a_batch(self, post):
        """A vector for each content, however many parts it has."""
        contents = [{"parts": [{"text": "a b"}, {"text": " c"}]}, {"parts": [{"text": "d"}]}]
        model = "models/gemini-embedding-001"

        response = post(
            f"{GEMINI}:batchEmbedContents", {"requests": [{"model": model, "content": c} for c in contents]}
        )

        body = json.load(response)
        assert 2 == len(body["embeddings"])
        assert {"promptTokenCount": 4} == body["usageMetadata"]

    @pytest.mark.parametrize(
        ("endpoint", "more"),
        [
            ("openai embeddings", {"input": ""}),
            ("openai embeddings", {"input": []}),
            ("openai embeddings", {"input": ["a", ""]}),
            ("openai embeddings", {"dimensions": 0}),
            ("openai embeddings", {"dimensions": 10**9}),
            ("openai embeddings", {"encoding_format": "hex"}),
            ("gemini embeddings", {"content": {}}),
            ("ollama embeddings", {"input": None}),
        ],
    )
    def test_what_cannot_be_read_is_refused(self, simulator, ask, endpoint, more):
        """Nothing is charged."""
        assert 400 == ask(endpoint, **more).status
        assert 0 == simulator.bill.total.requests

    def test_a_long_text_is_not_cached(self, simulator, whole):
        """Embeddings have no prompt cache."""
        for _ in range(2):
            whole("openai embeddings", input="word " * 3000)

        assert 0 == simulator.bill.total.cached_tokens


class TestMisbehaviour:
    """What a script asks for holds for every endpoint."""

    @each_endpoint
    @pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
    def test_errors_are_the_providers_own(self, simulator, ask, endpoint, status):
        """With the time to come back; not charged."""
        simulator.script(Fail(status, retry_after_s=2, message="No."))

        response = ask(endpoint)

        assert (status, "2") == (response.status, response.headers["retry-after"])
        assert "No." in response.read().decode()
        assert 0 == simulator.bill.total.requests

    @each_endpoint
    @pytest.mark.parametrize("raw", [GARBAGE_JSON, EMPTY_BODY, HTML_PAGE])
    def test_nonsense_is_sent_as_scripted(self, simulator, ask, endpoint, raw):
        """Any bytes."""
        simulator.script(raw)

        assert raw.body == ask(endpoint).read()

    @each_endpoint
    def test_a_reset_comes_before_any_byte(self, simulator, ask, endpoint):
        """And nothing is charged."""
        simulator.script(Reset())

        with pytest.raises(ConnectionResetError):
            ask(endpoint)
        assert 0 == simulator.bill.total.requests

    @each_endpoint
    def test_an_answer_breaks_amid_its_body(self, simulator, ask, endpoint):
        """It was generated, so it is charged."""
        simulator.script(Break(1))

        with pytest.raises(http.client.IncompleteRead):
            ask(endpoint).read()
        assert 1 == simulator.bill.total.requests

    @each_endpoint
    def test_a_hang_goes_on_when_released(self, simulator, ask, endpoint):
        """In flight until then."""
        hang = Hang(0)
        simulator.script(hang)

        response = ask(endpoint)
        assert 1 == simulator.in_flight
        hang.release()

        assert json.load(response)
        simulator.wait_until_idle()

    @each_endpoint
    def test_a_wrong_key_is_refused(self, endpoint):
        """As in the chats."""
        path, body = ENDPOINTS[endpoint]
        with Simulator(api_key="right") as simulator:
            connection = http.client.HTTPConnection(simulator.url.removeprefix("http://"), timeout=60)
            connection.request("POST", path, json.dumps(body))
            status = connection.getresponse().status
            connection.close()

        assert (403 if "gemini" in endpoint else 401) == status

    @each_endpoint
    def test_requests_are_remembered(self, simulator, whole, endpoint):
        """With provider, model and prompt; a script may ask for them."""
        simulator.script(Reply(model="another"), when=lambda request: request.prompt == "Hello!")
        whole(endpoint)

        (request,) = simulator.requests
        provider = endpoint.partition(" ")[0] if " " in endpoint else "openai"
        assert (provider, "Hello!", False) == (request.provider, request.prompt, request.stream)
        assert ENDPOINTS[endpoint][1].get("model", "gemini-embedding-001") == request.model
        assert () == simulator.pending == simulator.lookups
        assert 1 == simulator.bill[provider, request.model].requests

    @each_stream
    @pytest.mark.parametrize("after", [0, 1, 2, 99])
    @pytest.mark.parametrize("where", ["between_events", "inside_event", "inside_chunk"])
    def test_a_stream_breaks_after_so_many_chunks(self, simulator, streamed, endpoint, after, where):
        """Charged as far as it was sent."""
        simulator.script(Break(after, where=where, reply=Reply(TEXT, input_tokens=7)))

        events = streamed(endpoint)

        assert TEXT.split(" ")[: after * 3] == "".join(text_of(events)).split()
        assert (7, min(9, after * 3)) == (simulator.bill.total.input_tokens, simulator.bill.total.output_tokens)

    @each_stream
    def test_a_stream_ends_with_an_error(self, simulator, streamed, endpoint):
        """In the provider's own words; a plain request gets the status."""
        simulator.script(StreamError(2, status=503, message="Overloaded.", reply=Reply(TEXT)))

        events = streamed(endpoint)

        assert ["one two three", " four five six"] == text_of(events)
        error = events[-1]["error"]
        assert "Overloaded." == (error if endpoint == "ollama generate" else error["message"])
        assert 6 == simulator.bill.total.output_tokens

    @each_stream
    def test_a_stream_hangs_after_its_chunks(self, simulator, ask, endpoint):
        """Until it is released."""
        hang = Hang(1, reply=Reply(TEXT))
        simulator.script(hang)
        response = ask(endpoint, stream=True)

        data = b""
        while b"one two three" not in data:
            data += response.read1()
        assert 1 == simulator.in_flight
        hang.release()

        data += response.read()
        assert TEXT == "".join(text_of(events_of(data)))
