"""The parts of the simulator that need no network: tokens, text, caches, answers, bills, scripts, HTTP."""

import asyncio
import json
import random
import socket
import threading

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_otel.demo.simulator import Break, Fail, Finish, Hang, Pace, Reply, ToolCall, conversations, prose, tokens
from llm_otel.demo.simulator.bill import BillLine, Ledger
from llm_otel.demo.simulator.chat import ChatRequest, Provider, Segment, TokenCounts, Tool, Turn
from llm_otel.demo.simulator.compose import Draft, Stamp, compose
from llm_otel.demo.simulator.connection import Connection
from llm_otel.demo.simulator.conversations import Conversations
from llm_otel.demo.simulator.gate import Gate
from llm_otel.demo.simulator.http1 import LARGEST_HEAD, HttpRequest, HttpSyntaxError, RequestReader
from llm_otel.demo.simulator.journal import Journal, RecordedRequest
from llm_otel.demo.simulator.prompt_cache import CacheUse, PromptCache
from llm_otel.demo.simulator.script import Script

WEATHER = Tool("get_weather", {"type": "object", "properties": {"city": {"type": "string"}}})


def ask(provider=Provider.OPENAI, *, text="Hello!", **options):
    """Return a request with a prompt of one segment, or of those given."""
    segments = options.pop("segments", (Segment(text),))
    return ChatRequest(provider, options.pop("model", "some-model"), segments, **options)


def answer_to(request, reply=None, *, cache=None, seed=0, size=3):
    """Return the answer to a request."""
    draft = Draft(request, reply or Reply(), seed)
    return compose(draft, cache or CacheUse(), stamp=Stamp("ab12", 1_800_000_000), size=size)


class TestTokens:
    """The tokenizer."""

    @given(st.text())
    def test_the_tokens_of_a_text_join_to_it(self, text):
        """Nothing is lost or added."""
        assert text == "".join(tokens.split(text))

    @given(st.text())
    def test_there_are_no_more_tokens_than_bytes(self, text):
        """What bounds real tokens bounds these too."""
        assert tokens.count(text) <= len(text.encode())

    @given(st.text(), st.integers(0, 50))
    def test_a_cut_between_tokens_keeps_the_tokens_before_it(self, text, limit):
        """So the count of a text cut to n tokens is n."""
        assert tokens.split(text)[:limit] == tokens.split(tokens.first(text, limit))

    @given(st.text(), st.integers(1, 9))
    def test_chunks_add_up(self, text, size):
        """Text and counts of the chunks are those of the whole; none is empty."""
        pieces = list(tokens.chunks(text, size))

        assert (text, tokens.count(text)) == ("".join(p for p, _ in pieces), sum(n for _, n in pieces))
        assert all(piece and 1 <= length <= size for piece, length in pieces)

    def test_english_comes_to_about_four_characters_a_token(self):
        """Counts have the size that real ones have."""
        text = prose.write_exactly(random.Random(1), 500)

        assert 3.5 < len(text) / 500 < 5.5


class TestProse:
    """Made-up text."""

    @given(st.integers(0, 300), st.integers())
    def test_has_exactly_the_tokens_asked_for(self, length, seed):
        """A script may say how long an answer is."""
        assert length == tokens.count(prose.write_exactly(random.Random(seed), length))

    def test_depends_on_the_generator_alone_and_varies_in_length(self):
        """The same seed writes the same; seeds differ widely in length."""
        texts = [prose.write(random.Random(seed)) for seed in range(200)]

        assert texts == [prose.write(random.Random(seed)) for seed in range(200)]
        lengths = sorted(map(tokens.count, texts))
        assert lengths[180] > 4 * lengths[20]

    @pytest.mark.parametrize(
        "schema",
        [
            {},
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 7}, "b": {"type": "null"}}},
            {"type": "array", "items": {"enum": ["x", "y"]}},
            {"type": ["null", "boolean"]},
            {"anyOf": [{"type": "null"}, {"const": 3}]},
            {"properties": {"deep": {"type": "array", "items": {"properties": {"n": {"type": "number"}}}}}},
            {"$defs": {"N": {"type": "string"}}, "properties": {"name": {"$ref": "#/$defs/N"}}},
        ],
    )
    def test_json_follows_its_schema(self, schema):
        """Structured output is valid output."""
        jsonschema.validate(json.loads(prose.write_json(random.Random(2), schema)), schema)

    def test_a_schema_that_contains_itself_ends(self):
        """Recursion is cut, and so is a reference that leads in a circle or nowhere."""
        tree = {
            "type": "object",
            "properties": {"next": {"$ref": "#"}, "child": {"$ref": "#/properties/child"}},
        }

        assert "next" in json.loads(prose.write_json(random.Random(3), {**tree, "x": {"$ref": "#/nowhere"}}))

    def test_gemini_spells_types_in_capitals(self):
        """Its schemas are OpenAPI's, not JSON Schema's."""
        schema = {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}}

        assert isinstance(json.loads(prose.write_json(random.Random(4), schema))["n"], int)


class TestPromptCache:
    """What is kept of earlier prompts."""

    @pytest.mark.parametrize("provider", [Provider.OPENAI, Provider.GEMINI])
    @pytest.mark.parametrize(
        ("length", "expected"), [(1024, 0), (1025, 1024), (1152, 1024), (1153, 1152), (3000, 2944)]
    )
    def test_a_prompt_seen_before_is_read_in_steps_of_128_from_1024(self, provider, length, expected):
        """At least one token is always computed anew."""
        cache, request = PromptCache(), ask(provider, text="x " * (length - 1) + "x")
        assert length == len(request.prompt_tokens[0])

        assert [CacheUse(), CacheUse(read=expected)] == [cache.use(request), cache.use(request)]

    def test_a_common_beginning_is_read_however_it_is_cut_into_messages(self):
        """Caches see tokens, not messages."""
        cache = PromptCache()
        cache.use(ask(segments=(Segment("abcdef" * 1300), Segment("one question"))))

        same_text = (Segment("abcdef" * 700), Segment("abcdef" * 600), Segment("another question"))
        assert 1280 == cache.use(ask(segments=same_text)).read

    def test_models_and_other_texts_share_nothing(self):
        """A prefix belongs to one model, and to one image."""
        cache = PromptCache()
        image = Segment(filler="image:1", filler_tokens=2000)
        cache.use(ask(segments=(image,)))

        others = [
            ask(segments=(image,), model="other"),
            ask(segments=(Segment(filler="i:2", filler_tokens=2000),)),
        ]
        assert [0, 0] == [cache.use(other).read for other in others]

    def test_anthropic_caches_where_it_is_told_to(self):
        """The prompt up to a mark is written once and read after; what follows the mark is neither."""
        cache = PromptCache()
        request = ask(Provider.ANTHROPIC, segments=(Segment("a " * 1500, cache_ttl="5m"), Segment("b " * 2000)))

        assert [CacheUse(written=1501), CacheUse(read=1501)] == [cache.use(request), cache.use(request)]

    def test_anthropic_splits_writes_by_their_time(self):
        """What lies between two marks is written for the time of the second."""
        cache = PromptCache()
        hour, minutes = Segment("a" * 6 * 1100, cache_ttl="1h"), Segment("b" * 6 * 200, cache_ttl="5m")

        assert CacheUse(written=1300, written_1h=1100) == cache.use(ask(Provider.ANTHROPIC, segments=(hour, minutes)))
        longer = Segment("c" * 6 * 50, cache_ttl="5m")
        assert CacheUse(read=1300, written=50) == cache.use(ask(Provider.ANTHROPIC, segments=(hour, minutes, longer)))

    def test_anthropic_caches_nothing_unasked_or_short(self):
        """No mark, or too little before it: nothing."""
        cache = PromptCache()
        unmarked = ask(Provider.ANTHROPIC, text="a " * 5000)
        short = ask(Provider.ANTHROPIC, segments=(Segment("a" * 6 * 1023, cache_ttl="5m"),))

        assert [CacheUse()] * 4 == [cache.use(r) for r in (unmarked, unmarked, short, short)]

    def test_ollama_caches_nothing_that_is_reported(self):
        """A local model has no cached price."""
        request = ask(Provider.OLLAMA, text="a " * 5000)
        cache = PromptCache()

        assert [CacheUse(), CacheUse()] == [cache.use(request), cache.use(request)]


class TestConversations:
    """What is kept for those who go on."""

    def answer(self, number, *, previous=None, is_kept=True):
        """Return the answer to one turn, after two tokens of instructions."""
        segments = (Segment("Be brief"), Segment(f"question {number}"))
        request = ChatRequest(Provider.OPENAI, "m", segments, turn=Turn(previous, 1, is_kept))
        stamp = Stamp(f"id{number}", 0)
        return compose(Draft(request, Reply(f"answer {number}"), 0), CacheUse(), stamp=stamp, size=3)

    def test_a_turn_is_put_after_the_instructions_of_the_next(self):
        """With its answer, and without its own instructions."""
        kept = Conversations()
        kept.remember(self.answer(1))

        resumed = kept.resumed(self.answer(2, previous="id1").request)

        assert ["Be brief", "question 1", "answer 1", "question 2"] == [segment.text for segment in resumed.segments]

    def test_the_oldest_are_forgotten(self, monkeypatch):
        """And nobody can go on from them, nor from what was not to be kept."""
        monkeypatch.setattr(conversations, "_KEPT", 2)
        kept = Conversations()
        for number in range(1, 4):
            kept.remember(self.answer(number))
        kept.remember(self.answer(4, is_kept=False))

        missing = [kept.missing(self.answer(5, previous=f"id{number}").request) for number in range(1, 5)]

        assert ["id1", None, None, "id4"] == missing
        assert kept.missing(self.answer(5).request) is None


class TestCompose:
    """From a request and a reply to an answer."""

    @given(
        max_tokens=st.none() | st.integers(1, 60),
        choices=st.integers(1, 3),
        thinking=st.booleans(),
        calls=st.sampled_from([(), ("get_weather",), ("get_weather", "get_weather")]),
        text=st.none() | st.text(max_size=80),
        size=st.integers(1, 5),
    )
    def test_counts_follow_the_text_and_keep_to_max_tokens(self, max_tokens, choices, thinking, calls, text, size):
        """For any request: counts add up, steps end at them, and no choice is longer than allowed."""
        request = ask(max_tokens=max_tokens, choices=choices, thinking=thinking, tools=(WEATHER,))

        answer = answer_to(request, Reply(text, tool_calls=calls), size=size)

        counts = answer.counts
        said = [tokens.count(c.text) + sum(call.tokens for call in c.tool_calls) for c in answer.choices]
        assert counts.output_tokens == tokens.count(answer.thinking) + sum(said)
        assert counts.reasoning_tokens == tokens.count(answer.thinking)
        reached = [step.output_tokens for step in answer.steps]
        assert sorted(reached) == reached
        assert counts.output_tokens == max(reached, default=0)
        for choice in answer.choices:
            streamed = "".join(s.text for s in answer.steps if s.kind == "text" and s.choice == choice.index)
            assert choice.text == streamed
            if max_tokens is not None:
                assert said[choice.index] + counts.reasoning_tokens <= max_tokens

    def test_a_text_cut_by_max_tokens_ends_for_its_length(self):
        """The finish says why."""
        cut, whole = (answer_to(ask(max_tokens=limit), Reply("one two three four")).choices[0] for limit in (2, 4))

        assert ("one two", Finish.LENGTH) == (cut.text, cut.finish)
        assert ("one two three four", Finish.STOP) == (whole.text, whole.finish)

    def test_the_same_seed_and_prompt_give_the_same_text(self):
        """Whatever the provider, the model and the way it is sent."""
        answers = {
            answer_to(ask(provider, stream=stream)).choices[0].text for provider in Provider for stream in (True, False)
        }

        assert 1 == len(answers)
        others = {answer_to(ask(), seed=1).choices[0].text, answer_to(ask(text="Bye!")).choices[0].text}
        assert answers.isdisjoint(others)

    def test_scripted_counts_are_reported_as_they_stand(self):
        """Even where the text says otherwise; a provider may bill more than the bound."""
        reply = Reply("Hi", input_tokens=5000, cached_tokens=2000, output_tokens=900, reasoning_tokens=300)

        counts = answer_to(ask(max_tokens=10), reply).counts

        expected = TokenCounts(input_tokens=5000, cached_tokens=2000, output_tokens=900, reasoning_tokens=300)
        assert expected == counts

    def test_a_scripted_length_is_written(self):
        """Without a text of its own the answer is as long as the usage says, reasoning included."""
        answer = answer_to(ask(), Reply(output_tokens=50, reasoning_tokens=20))

        assert (20, 30) == (tokens.count(answer.thinking), tokens.count(answer.choices[0].text))

    def test_scripted_cache_tokens_fit_into_the_input(self):
        """A short prompt with much cached is a long one in truth."""
        counts = answer_to(ask(), Reply(cached_tokens=2000, cache_write_tokens=500)).counts

        assert 2500 == counts.input_tokens

    def test_the_cache_counts_unless_scripted(self):
        """What the prompt cache found is what is reported."""
        request, use = ask(text="a " * 1500), CacheUse(read=1024)

        assert 1024 == answer_to(request, cache=use).counts.cached_tokens
        assert 7 == answer_to(request, Reply(cached_tokens=7), cache=use).counts.cached_tokens

    def test_a_bare_tool_name_gets_arguments_by_its_schema(self):
        """The script names the tool, the request knows its parameters."""
        choice = answer_to(ask(tools=(WEATHER,)), Reply(tool_calls=("get_weather",))).choices[0]

        (call,) = choice.tool_calls
        assert ("", Finish.TOOL_CALLS, "get_weather", ["city"]) == (
            choice.text,
            choice.finish,
            call.name,
            list(call.arguments),
        )

    def test_a_tool_the_request_insists_on_is_called(self):
        """`tool_choice` needs no script; a scripted text wins."""
        request = ask(tools=(WEATHER,), forced_tool="get_weather")

        assert "get_weather" == answer_to(request).choices[0].tool_calls[0].name
        assert () == answer_to(request, Reply("No.")).choices[0].tool_calls

    def test_a_call_that_does_not_fit_is_left_out(self):
        """Half a tool call is of no use to anyone."""
        call = ToolCall("get_weather", {"city": "a rather long name of a town"})

        choice = answer_to(ask(max_tokens=3), Reply(tool_calls=(call,))).choices[0]

        assert ((), Finish.LENGTH) == (choice.tool_calls, choice.finish)

    def test_choices_differ_unless_scripted(self):
        """One text for all, or one for each in turn."""

        def texts(reply):
            return [choice.text for choice in answer_to(ask(choices=3), reply).choices]

        assert ["a", "a", "a"] == texts(Reply("a"))
        assert ["a", "b", "a"] == texts(Reply(("a", "b")))
        assert 1 < len(set(texts(Reply())))


class TestReply:
    """What a script refuses."""

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: Reply(output_tokens=-1), "output_tokens must be 0 or more, not -1"),
            (
                lambda: Reply(input_tokens=1, cached_tokens=2),
                "cache_write_tokens is 2, more than input_tokens, 1",
            ),
            (lambda: Reply(output_tokens=1, reasoning_tokens=2), "audio_output_tokens is 2, more than"),
            (lambda: Reply(cache_write_1h_tokens=2), "cache_write_1h_tokens is 2, more than"),
            (lambda: Fail(200), "status must be between 400 and 599, not 200"),
            (lambda: Fail(429, retry_after_s=-1), "retry_after_s must be 0 or more, not -1"),
            (lambda: Pace(chunk_s=float("nan")), "chunk_s must be 0 or more, not nan"),
            (lambda: Break(-1), "after_chunks must be 0 or more, not -1"),
            (lambda: Hang(-1), "after_chunks must be 0 or more, not -1"),
            (lambda: Break(where="inside_chunk", how="end"), "a message cannot end well inside a chunk"),
        ],
    )
    def test_contradictions_are_refused_when_scripted(self, make, message):
        """A mistake in a script shows where it is written."""
        with pytest.raises(ValueError, match=message):
            make()

    def test_parts_of_the_input_are_checked_together(self):
        """What is read and what is written cannot both be all of the input."""
        with pytest.raises(ValueError, match="more than input_tokens"):
            Reply(input_tokens=10, cached_tokens=8, cache_write_tokens=8)


class TestPace:
    """Delays."""

    def test_is_exact_without_a_spread(self):
        """The waits are the medians."""
        waits = Pace(headers_s=1, first_chunk_s=2, chunk_s=3).waits(random.Random(0))

        assert [1, 2, 3, 3] == [next(waits) for _ in range(4)]

    def test_varies_around_the_median_with_a_spread(self):
        """Log-normal, and the same for the same seed."""

        def drawn():
            waits = Pace(headers_s=1, first_chunk_s=1, chunk_s=1, spread=0.5).waits(random.Random(0))
            return [next(waits) for _ in range(999)]

        assert drawn() == drawn()
        ordered = sorted(drawn())
        assert 0.95 < ordered[499] < 1.05
        assert 1.5 < ordered[839] < 1.8


class TestBill:
    """The ledger."""

    COUNTS = TokenCounts(100, 40, 30, 10, 5, output_tokens=20, reasoning_tokens=8, audio_output_tokens=4)

    def test_charges_the_input_at_once_and_the_output_as_it_goes(self):
        """Reasoning comes first, audio last."""
        ledger = Ledger()
        meter = ledger.meter("openai", "m", self.COUNTS)
        begun = BillLine(100, 40, 30, 10, 5, requests=1)
        assert begun == ledger.snapshot()["openai", "m"]

        seen = []
        for reached in (5, 10, 18, 20):
            meter.reach(reached)
            line = ledger.snapshot()["openai", "m"]
            seen.append((line.output_tokens, line.reasoning_tokens, line.audio_output_tokens))
        assert [(5, 5, 0), (10, 8, 0), (18, 8, 2), (20, 8, 4)] == seen

    @given(st.lists(st.integers(0, 40)))
    def test_never_charges_more_than_the_counts_or_takes_back(self, reached):
        """However the stream goes."""
        ledger = Ledger()
        meter = ledger.meter("openai", "m", self.COUNTS)
        for each in reached:
            meter.reach(each)

        assert min(20, max(reached, default=0)) == ledger.snapshot()["openai", "m"].output_tokens

    def test_lines_are_by_provider_and_model_and_add_up(self):
        """A model nobody used has an empty line."""
        ledger = Ledger()
        for model in ("m", "m", "n"):
            ledger.meter("openai", model, self.COUNTS).reach(20)
        bill = ledger.snapshot()

        assert (2, 40) == (bill["openai", "m"].requests, bill["openai", "m"].output_tokens)
        assert (3, 300) == (bill.total.requests, bill.total.input_tokens)
        assert BillLine() == bill["openai", "unused"]

    def test_loses_nothing_between_threads(self):
        """A thousand answers at once are a thousand answers."""
        ledger = Ledger()

        def work():
            for _ in range(250):
                ledger.meter("openai", "m", self.COUNTS).reach(20)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert (1000, 20_000) == (ledger.snapshot().total.requests, ledger.snapshot().total.output_tokens)


def recorded(model="m", *, stream=False):
    """Return a request as predicates see it."""
    return RecordedRequest(0, Provider.OPENAI, model, "", stream, "POST", "/", {}, {}, {}, 0.0)


class TestScript:
    """The list of behaviours."""

    def test_is_taken_in_order_then_good_answers_follow(self):
        """One behaviour for each request."""
        script = Script()
        script.add(Fail(500), Reply("a"))

        assert (Fail(500), Reply("a")) == script.pending()
        assert [Fail(500), Reply("a"), Reply()] == [script.take(recorded()) for _ in range(3)]

    def test_a_request_takes_the_first_behaviour_meant_for_it(self):
        """Others stay for others."""
        script = Script()
        script.add(Fail(500), when=lambda request: request.model == "x")
        script.add(Fail(503))

        assert [Fail(503), Fail(500), Reply()] == [script.take(recorded(model)) for model in ("m", "x", "x")]

    def test_a_standing_behaviour_stays_and_is_not_pending(self):
        """It is no debt of the test."""
        script = Script()
        script.add(Fail(503), when=lambda request: request.stream, repeat=True)

        assert [Fail(503), Fail(503), Reply()] == [
            script.take(recorded(stream=stream)) for stream in (True, True, False)
        ]
        assert () == script.pending()

    def test_a_predicate_may_script_more(self):
        """What it adds comes after what is there."""
        script = Script()

        def when(request):
            script.add(Reply("more"))
            return True

        script.add(Fail(500), when=when)

        assert [Fail(500), Reply("more"), Reply()] == [script.take(recorded()) for _ in range(3)]


class TestGate:
    """Waiting for another thread."""

    async def test_lets_through_those_who_wait_and_those_who_come_later(self):
        """Opened once, open for ever."""
        gate = Gate()
        waiting = asyncio.ensure_future(gate.passed())
        await asyncio.sleep(0)
        assert not waiting.done()

        await asyncio.to_thread(gate.open)
        await waiting
        await gate.passed()

    async def test_a_waiter_that_gave_up_is_forgotten(self):
        """Opening the gate after a cancellation disturbs nobody."""
        gate = Gate()
        waiting = asyncio.ensure_future(gate.passed())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        gate.open()
        await asyncio.sleep(0)

    def test_opens_after_the_loop_of_a_waiter_is_gone(self):
        """A simulator may close before its gates open."""
        gate, loop = Gate(), asyncio.new_event_loop()
        waiting = loop.create_task(gate.passed())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

        gate.open()

        assert not waiting.done()
        waiting._log_destroy_pending = False


class TestJournal:
    """Counting requests."""

    def test_waiting_for_what_does_not_come_says_what_came(self):
        """A test that waits in vain fails with numbers."""
        journal = Journal(keep=10)
        journal.begin(lambda index: recorded())

        with pytest.raises(TimeoutError, match="1 of 2 requests arrived within 0 s"):
            journal.wait_for_requests(2, 0)
        with pytest.raises(TimeoutError, match="1 requests still in flight after 0 s"):
            journal.wait_until_idle(0)

    def test_keeps_the_latest_and_counts_all(self):
        """A long demo does not grow without end."""
        journal = Journal(keep=2)
        for _ in range(3):
            journal.begin(lambda index: recorded(str(index)))

        assert ["1", "2"] == [request.model for request in journal.requests]
        journal.wait_for_requests(3, 0)


POST = b"POST /v1/x?a=1&a=2&b= HTTP/1.1\r\nHost: h\r\nX-Two: 1\r\nx-two: 2\r\n"


def read_all(data, *, size):
    """Return the requests in bytes that come in pieces."""
    reader, found = RequestReader(), []
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
        while (request := reader.next()) is not None:
            found.append(request)
    return found


class TestHttp:
    """Reading requests."""

    @pytest.mark.parametrize("size", [1, 7, 10_000])
    @pytest.mark.parametrize(
        "body",
        [
            b"Content-Length: 5\r\n\r\nhello",
            b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n",
        ],
    )
    def test_requests_come_in_any_pieces(self, body, size):
        """Two in a row, byte by byte or at once, by length or in chunks."""
        first, second = read_all((POST + body) * 2, size=size)

        assert first == second
        assert ("POST", "/v1/x", {"a": "2", "b": ""}, b"hello", "2") == (
            first.method,
            first.path,
            first.query,
            first.body,
            first.headers["x-two"],
        )

    @pytest.mark.parametrize(
        "data",
        [
            b"GET / HTTP/1.0\r\n\r\n",
            b"\x16\x03\x01 TLS is not spoken here\r\n\r\n",
            b"x" * (LARGEST_HEAD + 1),
            POST + b"Content-Length: -1\r\n\r\n",
            POST + b"Content-Length: 99999999999\r\n\r\n",
            POST + b"Transfer-Encoding: chunked\r\n\r\nhello\r\n",
        ],
    )
    def test_what_is_no_request_is_refused(self, data):
        """No guess is made."""
        with pytest.raises(HttpSyntaxError):
            read_all(data, size=10_000)

    def test_a_client_that_waits_for_leave_is_told_once(self):
        """`Expect: 100-continue` is what curl sends before a long body."""
        reader = RequestReader()
        reader.feed(POST + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n")

        assert [True, False] == [reader.expects_continue(), reader.expects_continue()]
        reader.feed(b"x")
        request = reader.next()
        assert isinstance(request, HttpRequest)
        assert b"x" == request.body


class Transport:
    """Takes what it is given, and stands for its own socket."""

    def __init__(self):
        self.sent = b""
        self.options = []

    def get_extra_info(self, name):
        """Return the socket."""
        return self

    def setsockopt(self, *option):
        """Note it."""
        self.options.append(option)

    def write(self, data):
        """Keep it."""
        self.sent += data


class TestConnection:
    """Sending."""

    def test_does_not_wait_to_fill_its_packets(self):
        """A chunk leaves when it is sent: Nagle would hold it for the acknowledgement of the one before."""
        transport = Transport()
        Connection(None, set()).connection_made(transport)

        assert [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)] == transport.options

    async def test_waits_while_the_client_does_not_read(self):
        """A stream does not fill the memory with what nobody takes."""
        connection, transport = Connection(None, set()), Transport()
        connection.connection_made(transport)
        connection.pause_writing()

        sending = asyncio.ensure_future(connection.send(b"one"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert (b"one", False) == (transport.sent, sending.done())

        connection.resume_writing()
        await sending

    async def test_goes_nowhere_once_the_client_has_left(self):
        """Neither do closing and resetting."""
        connection, transport = Connection(None, set()), Transport()
        connection.connection_made(transport)
        connection.connection_lost(None)

        await connection.send(b"late")
        connection.close()
        connection.reset()
        connection.abort()

        assert b"" == transport.sent
