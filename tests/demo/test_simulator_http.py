"""The simulator over plain HTTP: how it misbehaves on request, and how it ends."""

import http.client
import json
import logging
import socket
import subprocess
import sys
import threading
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from llm_otel.demo.simulator import (
    EMPTY_BODY,
    GARBAGE_JSON,
    HTML_PAGE,
    Break,
    Fail,
    Hang,
    Pace,
    Raw,
    Reply,
    Reset,
    Simulator,
    StreamError,
)

NOW_S = 1_795_000_000
THREAD = "llm-otel-simulator"
TEXT = "one two three four five six seven eight nine"  # nine tokens, three chunks
MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-haiku",
    "gemini": "gemini-2.5-flash",
    "ollama": "llama3",
}

each_provider = pytest.mark.parametrize("provider", list(MODELS))


class SteadyClock:
    """Stands still, and notes how long it was asked to wait."""

    def __init__(self):
        self.waits = []

    def now_ns(self):
        """Return a fixed time."""
        return NOW_S * 10**9

    def monotonic(self):
        """Return a fixed reading."""
        return 5.0

    def sleep(self, seconds):
        """Nobody blocks a thread in here."""
        raise AssertionError

    async def asleep(self, seconds):
        """Take note and go on."""
        self.waits.append(seconds)


def serving():
    """Return the threads of simulators: other tests of the run may have one too."""
    return {thread for thread in threading.enumerate() if thread.name == THREAD}


@pytest.fixture
def clock():
    """The clock of the simulator."""
    return SteadyClock()


@pytest.fixture
def simulator(clock):
    """A running simulator."""
    before = serving()
    with Simulator(clock=clock) as running:
        yield running
    assert before == serving()


@pytest.fixture
def connect(simulator):
    """Open connections that are closed in the end."""
    opened = []

    def open_one():
        connection = http.client.HTTPConnection(simulator.url.removeprefix("http://"), timeout=60)
        opened.append(connection)
        return connection

    yield open_one
    for connection in opened:
        connection.close()


@pytest.fixture
def send(connect):
    """Send a chat request on a connection of its own and return the response, its body unread."""

    def send_one(provider="openai", *, stream=False, headers=None, connection=None, **more):
        path, body = chat(provider, stream=stream, **more)
        connection = connection or connect()
        connection.request("POST", path, json.dumps(body), headers or {})
        return connection.getresponse()

    return send_one


def chat(provider, *, text="Hello!", stream=False, **more):
    """Return the path and body of a small request."""
    model, messages = MODELS[provider], [{"role": "user", "content": text}]
    match provider:
        case "openai":
            body = {"model": model, "messages": messages, "stream": stream, **more}
            return "/v1/chat/completions", body
        case "anthropic":
            body = {"model": model, "messages": messages, "max_tokens": 500, "stream": stream, **more}
            return "/v1/messages", body
        case "gemini":
            method = "streamGenerateContent?alt=sse" if stream else "generateContent"
            body = {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}
            return f"/v1beta/models/{model}:{method}", body
        case _:
            return "/api/chat", {"model": model, "messages": messages, "stream": stream, **more}


def contents(provider, data):
    """Return the pieces of text in a stream's bytes, as far as its events are whole."""
    pieces = []
    for line in data.decode().splitlines():
        payload = line.removeprefix("data: ")
        try:
            event = json.loads(payload)
        except ValueError:
            continue
        pieces.append(_piece(provider, event))
    return [piece for piece in pieces if piece]


def _piece(provider, event):
    if "error" in event:
        return "ERROR"
    match provider:
        case "openai":
            return event["choices"][0]["delta"].get("content") if event["choices"] else None
        case "anthropic":
            return event.get("delta", {}).get("text")
        case "gemini":
            return event["candidates"][0]["content"]["parts"][0]["text"]
        case _:
            return event["message"]["content"]


def read_all(response):
    """Return what can be read of a response, and what went wrong then."""
    try:
        return response.read(), None
    except http.client.IncompleteRead as exc:
        return exc.partial, type(exc)
    except OSError as exc:
        return b"", type(exc)


def chunk_sizes(data):
    """Return, for each HTTP chunk after the head, the size it announces and the size it has."""
    rest, sizes = data.partition(b"\r\n\r\n")[2], []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        held, rest = rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        sizes.append((int(size, 16), len(held)))
    return sizes


class TestErrors:
    """Errors by status."""

    @each_provider
    @pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 429, 500, 503, 529])
    def test_have_the_body_of_the_provider(self, simulator, send, provider, status):
        """Each provider's own shape, with a message."""
        simulator.script(Fail(status))

        response = send(provider)

        assert status == response.status
        error = json.load(response)
        if provider == "ollama":
            assert ["error"] == list(error)
            assert isinstance(error["error"], str)
            return
        assert error["error"]["message"]
        match provider:
            case "openai":
                assert {"message", "type", "param", "code"} == set(error["error"])
            case "anthropic":
                assert "error" == error["type"]
                assert error["request_id"] == response.headers["x-request-id"]
            case _:
                assert status == error["error"]["code"]

    @pytest.mark.parametrize(
        ("provider", "status", "word"),
        [
            ("openai", 401, "invalid_api_key"),
            ("openai", 429, "rate_limit_exceeded"),
            ("anthropic", 429, "rate_limit_error"),
            ("anthropic", 529, "overloaded_error"),
            ("gemini", 429, "RESOURCE_EXHAUSTED"),
            ("gemini", 503, "UNAVAILABLE"),
        ],
    )
    def test_are_told_in_the_words_of_the_provider(self, simulator, send, provider, status, word):
        """The code that clients look at; another one where the script says so."""
        simulator.script(Fail(status), Fail(status, code="my_code", message="Because."))
        name = {"openai": "code", "anthropic": "type", "gemini": "status"}[provider]

        errors = [json.load(send(provider))["error"] for _ in range(2)]

        assert [word, "my_code"] == [error[name] for error in errors]
        assert "Because." == errors[1]["message"]

    @each_provider
    def test_a_bad_gateway_answers_with_a_page(self, simulator, send, provider):
        """The gateway knows no provider's format, unless the script gives it words."""
        simulator.script(Fail(502), Fail(502, message="no upstream"))

        page, told = send(provider), send(provider)

        assert (502, "text/html") == (page.status, page.headers["content-type"])
        assert "application/json" == told.headers["content-type"]
        assert "no upstream" in told.read().decode()

    def test_say_when_to_come_back(self, simulator, send):
        """In seconds, as a date, or in milliseconds."""
        simulator.script(
            Fail(429, retry_after_s=1.5),
            Fail(429, retry_after_s=30, retry_after_as="date"),
            Fail(503, retry_after_s=0.25, retry_after_as="milliseconds"),
            Fail(429),
        )
        seconds, date, milliseconds, none = (send().headers for _ in range(4))

        assert "1.5" == seconds["retry-after"]
        assert NOW_S + 30 == parsedate_to_datetime(date["retry-after"]).timestamp()
        assert "250" == milliseconds["retry-after-ms"]
        assert none["retry-after"] is none["retry-after-ms"] is None

    def test_gemini_says_it_in_the_body_too(self, simulator, send):
        """As its API does."""
        simulator.script(Fail(429, retry_after_s=7))

        (detail,) = json.load(send("gemini"))["error"]["details"]

        assert "7s" == detail["retryDelay"]

    @each_provider
    def test_are_not_charged(self, simulator, send, provider):
        """Nothing was generated."""
        simulator.script(Fail(500))
        send(provider).read()

        assert 0 == simulator.bill.total.requests


class TestNonsense:
    """Answers that are none."""

    @pytest.mark.parametrize(
        ("raw", "status", "kind"),
        [
            (GARBAGE_JSON, 200, "application/json"),
            (EMPTY_BODY, 200, "application/json"),
            (HTML_PAGE, 200, "text/html"),
            (Raw(b"tea", status=418, content_type=None, headers={"x-tea": "yes"}), 418, None),
        ],
    )
    def test_bytes_are_sent_as_scripted(self, simulator, send, raw, status, kind):
        """Whatever was asked."""
        simulator.script(raw)

        response = send("gemini", stream=True)

        assert (status, kind) == (response.status, response.headers["content-type"])
        assert raw.body == response.read()

    def test_a_good_answer_may_come_under_a_wrong_name(self, simulator, send):
        """The content type and further headers of a reply are free."""
        simulator.script(Reply("Hi", content_type="text/plain", headers={"x-extra": "1"}))

        response = send()

        assert ("text/plain", "1") == (response.headers["content-type"], response.headers["x-extra"])
        assert "Hi" == json.load(response)["choices"][0]["message"]["content"]

    @each_provider
    def test_a_reset_comes_before_any_byte(self, simulator, send, provider):
        """RST, and nothing is charged."""
        simulator.script(Reset())

        with pytest.raises(ConnectionResetError):
            send(provider)
        assert 0 == simulator.bill.total.requests


class TestBrokenStreams:
    """Streams that stop before their end."""

    @each_provider
    @pytest.mark.parametrize("after", [0, 1, 2, 99])
    def test_break_after_so_many_chunks(self, simulator, send, provider, after):
        """Or after all of them; what was sent is charged, and the whole input."""
        simulator.script(Break(after, where="between_events", reply=Reply(TEXT, input_tokens=7)))

        data, problem = read_all(send(provider, stream=True))

        assert http.client.IncompleteRead is problem
        assert TEXT.split(" ")[: after * 3] == "".join(contents(provider, data)).split()
        line = simulator.bill[provider, MODELS[provider]]
        assert (7, min(9, after * 3)) == (line.input_tokens, line.output_tokens)

    @each_provider
    def test_break_inside_an_event(self, simulator, send, provider):
        """A whole HTTP chunk with half an event."""
        simulator.script(Break(1, where="inside_event", reply=Reply(TEXT)))

        data, problem = read_all(send(provider, stream=True))

        assert http.client.IncompleteRead is problem
        assert ["one two three"] == contents(provider, data)
        assert not data.endswith(b"\n")

    @each_provider
    def test_break_inside_a_chunk(self, simulator, connect, provider):
        """The HTTP chunk announces more than it holds."""
        simulator.script(Break(1, where="inside_chunk", reply=Reply(TEXT)))
        connection = connect()
        path, body = chat(provider, stream=True)
        connection.request("POST", path, json.dumps(body))

        data = b""
        while received := connection.sock.recv(65_536):
            data += received

        *whole, (announced, held) = chunk_sizes(data)
        assert all(size == length for size, length in whole)
        assert announced // 2 == held > 0

    @each_provider
    def test_may_be_reset(self, simulator, send, provider):
        """RST amid the stream."""
        simulator.script(Break(1, how="reset", reply=Reply(TEXT)))

        _, problem = read_all(send(provider, stream=True))

        assert ConnectionResetError is problem

    @each_provider
    def test_may_end_as_if_nothing_was_missing(self, simulator, send, provider):
        """Good HTTP, half an answer; the connection lives on."""
        simulator.script(Break(2, where="between_events", how="end", reply=Reply(TEXT)), Reply("next"))
        response = send(provider, stream=True)

        data, problem = read_all(response)

        assert problem is None
        assert ["one two three", " four five six"] == contents(provider, data)

    @each_provider
    def test_may_end_with_an_error(self, simulator, send, provider):
        """An event in the provider's own shape, then the end."""
        simulator.script(StreamError(2, status=503, message="Overloaded.", reply=Reply(TEXT)))

        data, problem = read_all(send(provider, stream=True))

        assert problem is None
        assert ["one two three", " four five six", "ERROR"] == contents(provider, data)
        assert b"Overloaded." in data
        assert 6 == simulator.bill.total.output_tokens

    def test_an_error_event_is_a_status_for_a_plain_answer(self, simulator, send):
        """There is no stream to put it in."""
        simulator.script(StreamError(2, status=503))

        assert 503 == send().status

    @pytest.mark.parametrize(
        ("behaviour", "problem"),
        [
            (Break(1, reply=Reply(TEXT)), http.client.IncompleteRead),
            (Break(0, reply=Reply(TEXT)), http.client.IncompleteRead),
            (Break(1, how="reset", reply=Reply(TEXT)), ConnectionResetError),
            (Break(1, how="end", reply=Reply(TEXT)), None),
        ],
    )
    def test_a_plain_answer_breaks_amid_its_body(self, simulator, send, behaviour, problem):
        """All of it was generated, so all of it is charged."""
        simulator.script(behaviour)

        data, met = read_all(send())

        assert problem is met
        assert behaviour.how == "reset" or bool(behaviour.after_chunks) == bool(data)
        with pytest.raises(ValueError, match=r"line 1 column"):
            json.loads(data)
        assert 9 == simulator.bill.total.output_tokens


class TestHanging:
    """Answers that do not come."""

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("after", [None, 0])
    def test_go_on_when_released(self, simulator, send, stream, after):
        """As if nothing had been; the headers may come before."""
        hang = Hang(after, reply=Reply(TEXT))
        simulator.script(hang)
        got = []
        thread = threading.Thread(target=lambda: got.append(send(stream=stream).read()))
        thread.start()
        simulator.wait_for_requests(1)
        assert 1 == simulator.in_flight

        hang.release()
        thread.join()

        assert b"nine" in got[0]
        simulator.wait_until_idle()

    def test_a_stream_hangs_after_so_many_chunks(self, simulator, send):
        """What came before has arrived and is charged; the rest is not."""
        hang = Hang(2, reply=Reply(TEXT))
        simulator.script(hang)

        response = send(stream=True)
        data = b""
        while b"six" not in data:
            data += response.read1()

        assert (1, 6) == (simulator.in_flight, simulator.bill.total.output_tokens)
        hang.release()
        assert b"nine" in response.read()

    def test_does_not_hang_once_released(self, simulator, send):
        """A release may come before the request does."""
        hang = Hang(reply=Reply("Hi"))
        hang.release()
        simulator.script(hang, hang)

        assert [200, 200] == [send().status for _ in range(2)]

    @pytest.mark.parametrize(("after", "charged"), [(None, 0), (0, 0), (2, 6)])
    def test_ends_when_the_client_leaves(self, simulator, send, connect, after, charged):
        """Nobody waits for nobody: what was sent is charged, and the next request is answered."""
        simulator.script(Hang(after, reply=Reply(TEXT)))
        connection = connect()
        path, body = chat("openai", stream=True)
        connection.request("POST", path, json.dumps(body))
        simulator.wait_for_requests(1)
        received = b""
        while charged and b"six" not in received:
            received += connection.sock.recv(65_536)

        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()

        simulator.wait_until_idle()
        assert charged == simulator.bill.total.output_tokens
        assert 200 == send().status


class TestClosing:
    """The end of the simulator."""

    @each_provider
    def test_drops_those_who_hang_and_leaves_no_thread(self, provider):
        """At once, whether they wait for headers or for chunks."""
        before = serving()
        simulator = Simulator().start()
        behaviours = [Hang(), Hang(0), Hang(1), Reply(pace=Pace(headers_s=3600))]
        problems = []

        def call():
            connection = http.client.HTTPConnection(simulator.url.removeprefix("http://"), timeout=30)
            path, body = chat(provider, stream=True)
            try:
                connection.request("POST", path, json.dumps(body))
                connection.getresponse().read()
            except (http.client.HTTPException, OSError) as exc:
                problems.append(exc)
            finally:
                connection.close()

        simulator.script(*behaviours)
        threads = [threading.Thread(target=call) for _ in behaviours]
        for thread in threads:
            thread.start()
        simulator.wait_for_requests(len(behaviours))

        simulator.close()
        for thread in threads:
            thread.join()

        assert len(behaviours) == len(problems)
        assert 0 == simulator.in_flight
        assert before == serving()

    def test_hundreds_may_hang_at_once(self):
        """One thread serves them all, and all are dropped."""
        before = serving()
        with Simulator() as simulator:
            simulator.script(Hang(), repeat=True)
            path, body = chat("ollama")
            data = json.dumps(body).encode()
            head = f"POST {path} HTTP/1.1\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            port = int(simulator.url.rpartition(":")[2])
            sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
            for each in sockets:
                each.sendall(head + data)
            simulator.wait_for_requests(300)
            assert 1 == len(serving() - before)

        assert 0 == simulator.in_flight
        for each in sockets:
            each.close()

    def test_may_come_twice_or_before_the_start(self):
        """It means the same."""
        simulator = Simulator()
        simulator.close()
        simulator.start()
        simulator.close()
        simulator.close()

    def test_a_gate_may_open_after_it(self):
        """Late is not wrong."""
        with Simulator() as simulator:
            hang = Hang()
            simulator.script(hang)
        hang.release()

    def test_frees_the_port(self):
        """The same port can be listened on again."""
        with Simulator() as first:
            port = int(first.url.rpartition(":")[2])
            with pytest.raises(OSError, match="in use"):
                Simulator(port=port).start()
        with Simulator(port=port) as second:
            assert first.url == second.url

    def test_an_address_needs_a_start(self):
        """The error says what to do."""
        with pytest.raises(RuntimeError, match="with Simulator"):
            _ = Simulator().url

    def test_starts_once(self):
        """A second start is a mistake."""
        with Simulator() as simulator, pytest.raises(RuntimeError, match="started already"):
            simulator.start()

    def test_raises_what_a_predicate_raised(self, caplog):
        """The client is reset, the log says why, and the test that wrote it fails."""
        caplog.set_level(logging.CRITICAL)

        def bad(request):
            raise LookupError("no such thing")

        with pytest.raises(LookupError, match="no such thing"), Simulator() as simulator:
            simulator.script(Reply(), when=bad)
            connection = http.client.HTTPConnection(simulator.url.removeprefix("http://"))
            path, body = chat("openai")
            connection.request("POST", path, json.dumps(body))
            with pytest.raises(ConnectionResetError):
                connection.getresponse()
            connection.close()


class TestPacing:
    """Slow answers, by a clock that only takes notes."""

    PACE = Pace(headers_s=1, first_chunk_s=10, chunk_s=100)

    def test_a_stream_waits_before_headers_and_chunks(self, clock, simulator, send):
        """Three chunks: one first, two more."""
        simulator.script(Reply(TEXT, pace=self.PACE))
        send(stream=True).read()

        assert [1, 10, 100, 100] == clock.waits

    def test_a_plain_answer_takes_as_long_before_its_headers(self, clock, simulator, send):
        """The sum of all."""
        simulator.script(Reply(TEXT, pace=self.PACE))
        send().read()

        assert [1, 210] == clock.waits

    def test_an_error_waits_for_its_headers(self, clock, simulator, send):
        """A slow refusal."""
        simulator.script(Fail(503, pace=self.PACE))
        send().read()

        assert [1] == clock.waits

    def test_the_pace_of_the_simulator_is_the_default(self, clock):
        """And the same for the same seed."""

        def waits():
            noted = SteadyClock()
            with Simulator(clock=noted, pace=Pace(chunk_s=1, spread=0.5)) as simulator:
                connection = http.client.HTTPConnection(simulator.url.removeprefix("http://"))
                path, body = chat("openai", stream=True)
                connection.request("POST", path, json.dumps(body))
                connection.getresponse().read()
                connection.close()
            return noted.waits

        assert waits() == waits()
        assert 1 < len(set(waits()))

    def test_nobody_waits_by_default(self, clock, send):
        """Tests are fast."""
        send(stream=True).read()

        assert [] == clock.waits


KEY_HEADERS = {
    "openai": ("authorization", "Bearer {}"),
    "anthropic": ("x-api-key", "{}"),
    "gemini": ("x-goog-api-key", "{}"),
    "ollama": ("authorization", "Bearer {}"),
}
KEY_REFUSALS = {"openai": (401, 401), "anthropic": (401, 401), "gemini": (403, 400), "ollama": (401, 401)}
"""Without a key, with a wrong one."""


class TestKeys:
    """Keys."""

    @each_provider
    def test_any_or_none_is_good_by_default(self, send, provider):
        """A placeholder is as good as a key."""
        name, form = KEY_HEADERS[provider]

        assert [200, 200] == [send(provider).status, send(provider, headers={name: form.format("x")}).status]

    @each_provider
    def test_one_may_be_insisted_on(self, provider):
        """None, a wrong one, the right one; Gemini refuses in its own way. No script is used up."""
        name, form = KEY_HEADERS[provider]
        path, body = chat(provider)
        statuses = []
        with Simulator(api_key="right") as simulator:
            simulator.script(Reply("Hi"))
            for key in (None, "wrong", "right"):
                connection = http.client.HTTPConnection(simulator.url.removeprefix("http://"))
                headers = {name: form.format(key)} if key else {}
                connection.request("POST", path, json.dumps(body), headers)
                response = connection.getresponse()
                statuses.append(response.status)
                response.read()
                connection.close()
            assert () == simulator.pending

        assert [*KEY_REFUSALS[provider], 200] == statuses


class TestRequests:
    """What is recorded, and what is refused."""

    @each_provider
    @pytest.mark.parametrize("stream", [False, True])
    def test_are_recorded_as_they_arrived(self, simulator, send, provider, stream):
        """With what predicates and assertions want to know."""
        send(provider, stream=stream, headers={"X-Trace": "t1"}).read()

        (request,) = simulator.requests
        assert (0, provider, MODELS[provider], stream, "Hello!", "POST", "t1", 5.0) == (
            request.index,
            request.provider,
            request.model,
            request.stream,
            request.prompt,
            request.method,
            request.headers["x-trace"],
            request.arrived_s,
        )
        assert chat(provider, stream=stream)[1] == request.body

    @each_provider
    @pytest.mark.parametrize("body", [b"", b"[]", b"{nope", b"{}", b'{"messages": 3, "model": "m", "contents": "x"}'])
    def test_that_cannot_be_read_are_refused_and_recorded(self, simulator, connect, provider, body):
        """In the provider's shape, whatever is scripted."""
        simulator.script(Reply("unused"))
        connection = connect()
        connection.request("POST", chat(provider)[0], body)
        response = connection.getresponse()

        assert 400 == response.status
        assert json.load(response)["error"]
        assert (1, 1) == (len(simulator.requests), len(simulator.pending))

    @pytest.mark.parametrize(
        ("provider", "more", "message"),
        [
            ("openai", {"max_tokens": 0}, "max_tokens: expected an integer of at least 1, got 0"),
            ("openai", {"n": True}, "n: expected an integer of at least 1, got true"),
            ("openai", {"messages": []}, "messages: expected at least one item"),
            ("openai", {"messages": [{"content": "x"}]}, "every message needs a role"),
            ("openai", {"model": ""}, "model: expected a non-empty string"),
            ("anthropic", {"max_tokens": None}, "max_tokens: Field required"),
            ("anthropic", {"messages": [{"role": "system"}]}, "roles must be 'user' or 'assistant'"),
            ("gemini", {"generationConfig": {"maxOutputTokens": -1}}, "maxOutputTokens: expected an integer"),
            ("gemini", {"generation_config": {"max_output_tokens": "9"}}, "max_output_tokens: expected an"),
            ("ollama", {"messages": [{}]}, "every message needs a role"),
        ],
    )
    def test_a_bad_field_is_named(self, send, provider, more, message):
        """As the provider would, more or less."""
        response = send(provider, **more)

        assert 400 == response.status
        assert message in response.read().decode()

    def test_scripts_may_look_at_them(self, simulator, send):
        """By provider, model, stream, headers, body."""
        simulator.script(Fail(500), when=lambda request: request.provider == "ollama")
        simulator.script(Fail(503), when=lambda request: "secret" in request.prompt, repeat=True)

        statuses = [send().status, send(text="a secret").status, send("ollama").status, send("ollama").status]

        assert [200, 503, 500, 200] == statuses

    def test_one_connection_serves_many(self, simulator, send, connect):
        """Keep-alive, after plain answers, streams and errors alike."""
        simulator.script(Reply("a"), Reply("b"), Fail(429), Break(1, how="end"), Reply("c"))
        connection = connect()

        for stream in (False, True, False, True, False):
            send(stream=stream, connection=connection).read()

        assert 5 == len(simulator.requests)
        assert connection.sock is not None

    def test_a_client_may_close_after_one(self, send):
        """`Connection: close` is honoured."""
        response = send(headers={"Connection": "close"})
        response.read()

        assert response.isclosed()

    def test_other_paths_are_kept_apart(self, simulator, connect):
        """Ollama's questions are answered, what is unknown is not; neither uses up the script."""
        simulator.script(Reply("unused"))
        connection = connect()
        found = {}
        for method, path in (
            ("GET", "/api/tags"),
            ("POST", "/api/show"),
            ("GET", "/api/version"),
            ("GET", "/x"),
        ):
            connection.request(method, path)
            response = connection.getresponse()
            found[path] = response.status, json.load(response)

        assert [200, 200, 200, 404] == [status for status, _ in found.values()]
        assert ["llama3:latest", "codellama:latest", "mistral:latest"] == [
            model["name"] for model in found["/api/tags"][1]["models"]
        ]
        assert 8192 == found["/api/show"][1]["model_info"]["llama.context_length"]
        assert (0, 4, 1) == (len(simulator.requests), len(simulator.lookups), len(simulator.pending))

    def test_what_is_no_http_is_told_so(self, simulator):
        """And the connection ends."""
        with socket.create_connection(("127.0.0.1", int(simulator.url.rpartition(":")[2]))) as client:
            client.sendall(b"hello?\r\n\r\n")
            answer = b""
            while received := client.recv(4096):
                answer += received

        assert answer.startswith(b"HTTP/1.1 400 ")

    def test_a_long_body_waits_for_leave(self, simulator):
        """`Expect: 100-continue`."""
        path, body = chat("openai")
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {len(data)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", int(simulator.url.rpartition(":")[2]))) as client:
            client.sendall(head.encode())
            assert b"HTTP/1.1 100 Continue\r\n\r\n" == client.recv(4096)
            client.sendall(data)
            assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")

    def test_those_in_flight_are_dropped_on_request(self, simulator, send, connect):
        """For clients that neither read on nor leave; a connection at rest stays."""
        at_rest = connect()
        send(connection=at_rest).read()
        simulator.script(Hang(), Hang(after_chunks=1))
        waiting, reading = connect(), connect()
        path, body = chat("openai")
        waiting.request("POST", path, json.dumps(body))
        simulator.wait_for_requests(2)
        stream = send(stream=True, connection=reading)
        assert 2 == simulator.in_flight

        simulator.hang_up()
        simulator.wait_until_idle()

        with pytest.raises(ConnectionResetError):
            waiting.getresponse()
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            stream.read()
        assert 200 == send(connection=at_rest).status
        assert at_rest.sock is not None

    def test_all_is_forgotten_on_request(self, simulator, send):
        """For a simulator that serves several tests."""
        long = "word " * 2000
        send(text=long).read()
        simulator.script(Fail(500))

        simulator.clear()

        assert ((), (), 0) == (simulator.requests, simulator.pending, simulator.bill.total.requests)
        cached = json.load(send(text=long))["usage"]["prompt_tokens_details"]["cached_tokens"]
        assert 0 == cached


def test_imports_nothing_heavy():
    """It starts in milliseconds, and serves tests that must not load LiteLLM."""
    code = (
        "import sys; import llm_otel.demo.simulator as s; s.Simulator().start().close();"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)

    assert set() == {"litellm", "pydantic", "prometheus_client", "httpx", "aiohttp"} & set(run.stdout.split())


def test_the_environment_holds_every_address():
    """Keys only on request."""
    with Simulator() as simulator:
        url = simulator.url
        assert {
            "OPENAI_BASE_URL": f"{url}/v1",
            "OPENAI_API_BASE": f"{url}/v1",
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_BASE": url,
            "GEMINI_API_BASE": f"{url}/v1beta",
            "OLLAMA_API_BASE": url,
        } == simulator.env()
        keys = simulator.env(with_keys=True).keys() - simulator.env().keys()
        assert {"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"} == keys
        with pytest.raises(ValueError, match="'nobody'"):
            simulator.api_base("nobody")
