"""What is said in calls: nowhere by default, and where it is asked for whole, redacted, and once."""

from __future__ import annotations

import asyncio
import gc
import json
import logging

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from prometheus_client.exposition import generate_latest

from llm_otel import Budget, BudgetExceededError, ConfigurationError, semconv, traced_llm
from llm_otel.content import CAPTURE, EMIT_EVENT
from llm_otel.demo.simulator import Break, Fail, Hang, Reply, ToolCall
from tests.contract.content import CONTENT, check_logs
from tests.wire.callers import PLAIN, ROUTER, asked_by, text_of

CANARY = "tweetycanary"
QUESTION = f"Where is the {CANARY} of 555-0100?"
MESSAGES = [{"role": "system", "content": f"Guard the {CANARY}."}, {"role": "user", "content": QUESTION}]
ANSWER = f"The {CANARY} is in its cage today."
REPLY = Reply(ANSWER, input_tokens=18, output_tokens=9)
TOOL = {
    "type": "function",
    "function": {
        "name": "find_bird",
        "description": "Finds a bird.",
        "parameters": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
}
INPUT, OUTPUT = semconv.GEN_AI_INPUT_MESSAGES, semconv.GEN_AI_OUTPUT_MESSAGES
HELD = Hang(after_chunks=2, reply=Reply(ANSWER + " It sings all day, and sleeps all night.", output_tokens=30))


class Logs:
    """The log records of a test."""

    def __init__(self, exporter):
        self._exporter = exporter

    @property
    def records(self):
        """All of them."""
        return list(self._exporter.get_finished_logs())

    def attributes(self, name):
        """Return the attributes of the one record of this name."""
        (found,) = (log.log_record for log in self.records if log.log_record.event_name == name)
        return dict(found.attributes)

    @property
    def details(self):
        """What the one event of a call says."""
        return self.attributes(semconv.EVENT_OPERATION_DETAILS)

    @property
    def names(self):
        """Which events there are."""
        return [log.log_record.event_name for log in self.records]


@pytest.fixture
def logs(monkeypatch):
    """A provider of log records, for this test alone; what it gets follows the conventions."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    monkeypatch.setattr("opentelemetry._logs._internal._LOGGER_PROVIDER", provider)
    yield Logs(exporter)
    assert [] == [str(finding) for finding in check_logs(exporter.get_finished_logs(), with_content=True)]
    provider.shutdown()


@pytest.fixture
def capture(monkeypatch, use, registry):
    """`capture("SPAN_ONLY", **settings)` makes a runtime that records content."""

    def capture(mode, **settings):
        monkeypatch.setenv(CAPTURE, mode)
        return use(registry, **settings)

    return capture


def said(role, *texts):
    """Return a message of texts."""
    return {"role": role, "parts": [{"type": "text", "content": text} for text in texts]}


def on_span(books, name):
    """Return what an attribute of the one call says, read."""
    value = books.said(name)
    return None if value is None else json.loads(value)


def plain(value):
    """Return the lists and dictionaries that the SDK made something else of."""
    return json.loads(json.dumps(value, default=dict))


def without_content(attributes):
    """Return the attributes that are no content."""
    return {name: value for name, value in attributes.items() if name not in CONTENT}


def text_in(messages):
    """Return the text of the first message."""
    return "".join(part["content"] for part in messages[0]["parts"] if part["type"] == "text")


# --- nothing by default -----------------------------------------------------------------------------------


def everything(spans, logs, registry, caplog):
    """Return all that a test exported, as one text."""
    found = [span.to_json() for span in spans.ended]
    found += [log.to_json() for log in logs.records]
    found += [generate_latest(registry).decode(), caplog.text]
    return "\n".join(found)


@asked_by()
def test_nothing_is_recorded_by_default(caller, simulator, books, spans, logs, registry, caplog):
    """Not on spans, not in events, not as labels, not in our logs: the answer as little as the question."""
    caplog.set_level(logging.DEBUG, logger="llm_otel")
    simulator.script(REPLY)

    got = caller.ask(MESSAGES, tools=[TOOL])

    assert ANSWER == got.text
    assert [] == logs.records
    exported = everything(spans, logs, registry, caplog)
    assert (semconv.OUTCOME in exported, CANARY in exported, "find_bird" in exported) == (True, False, False)


@asked_by(is_async=False)
@pytest.mark.parametrize(
    "behaviour", [Fail(400, message=f"no {QUESTION}"), Break(after_chunks=2, reply=REPLY)], ids=["refused", "broken"]
)
def test_a_failure_quotes_nothing(caller, simulator, behaviour, books, spans, logs, registry, caplog):
    """Providers quote prompts in their errors: the event of the exception has its type and no text of it."""
    caplog.set_level(logging.DEBUG, logger="llm_otel")
    simulator.script(behaviour)

    got = caller.ask(MESSAGES)

    assert got.error is not None
    assert [semconv.EVENT_OPERATION_EXCEPTION] == logs.names
    assert books.only.error_type == logs.attributes(semconv.EVENT_OPERATION_EXCEPTION)[semconv.EXCEPTION_TYPE]
    assert CANARY not in everything(spans, logs, registry, caplog)


# --- where it is asked for --------------------------------------------------------------------------------


@asked_by()
def test_question_and_answer_stand_on_the_span(caller, simulator, capture, books):
    """As JSON, whole or streamed, for every provider; a stream's answer is put together."""
    capture("SPAN_ONLY")
    simulator.script(REPLY)

    caller.ask(MESSAGES)

    assert [said("system", MESSAGES[0]["content"]), said("user", QUESTION)] == on_span(books, INPUT)
    assert [said("assistant", ANSWER)] == on_span(books, OUTPUT)
    assert None is books.said(semconv.GEN_AI_SYSTEM_INSTRUCTIONS)


@pytest.mark.parametrize(
    ("mode", "is_on_span", "is_in_event"),
    [
        ("NO_CONTENT", False, False),
        ("no_content", False, False),
        ("", False, False),
        ("false", False, False),
        ("SPAN_ONLY", True, False),
        ("span_only", True, False),
        ("EVENT_ONLY", False, True),
        ("SPAN_AND_EVENT", True, True),
        (" true ", True, True),
    ],
)
@asked_by(providers=["openai"], entrances=[ROUTER], is_async=False)
def test_the_variable_says_where(caller, simulator, capture, books, logs, mode, is_on_span, is_in_event):
    """In any case of letters; on spans as JSON, in events as structures."""
    capture(mode)
    simulator.script(REPLY)

    caller.ask(MESSAGES)

    expected = [said("assistant", ANSWER)]
    assert (expected if is_on_span else None) == on_span(books, OUTPUT)
    assert ([semconv.EVENT_OPERATION_DETAILS] if is_in_event else []) == logs.names
    if is_in_event:
        assert expected == plain(logs.details[OUTPUT])


@pytest.mark.parametrize("name", [CAPTURE, EMIT_EVENT])
def test_any_other_value_is_refused(monkeypatch, use, registry, name):
    """With the variable, the value and what is allowed: a typing error must not record, or lose, anything."""
    monkeypatch.setenv(name, "SPANS")

    with pytest.raises(ConfigurationError, match=rf"{name}='SPANS' is not usable: "):
        use(registry)


@asked_by(providers=["openai"], entrances=[ROUTER])
def test_the_event_has_all_that_the_span_has(caller, simulator, capture, books, logs):
    """It belongs to the span, at its end, at debug level."""
    capture("SPAN_AND_EVENT")
    simulator.script(REPLY)

    caller.ask(MESSAGES, temperature=0.5)

    assert without_content(books.call.attributes) == without_content(logs.details)
    (log,) = (log.log_record for log in logs.records)
    context = books.call.get_span_context()
    assert (context.trace_id, context.span_id) == (log.trace_id, log.span_id)
    assert (books.call.end_time, SeverityNumber.DEBUG) == (log.timestamp, log.severity_number)


@asked_by(providers=["openai"], is_async=False)
def test_the_event_of_a_failure_has_all_that_the_span_has(caller, simulator, capture, books, logs):
    """The exception has an event of its own beside it."""
    capture("EVENT_ONLY")
    simulator.script(Fail(429))

    caller.ask(MESSAGES)

    assert without_content(books.call.attributes) == without_content(logs.details)
    assert [said("system", MESSAGES[0]["content"]), said("user", QUESTION)] == plain(logs.details[INPUT])
    assert {
        semconv.EXCEPTION_TYPE: "RateLimitError",
        semconv.GEN_AI_OPERATION_NAME: "chat",
        semconv.GEN_AI_PROVIDER_NAME: "openai",
        semconv.GEN_AI_REQUEST_MODEL: "gpt-4o-mini",
        semconv.HTTP_RESPONSE_STATUS_CODE: 429,
    } == logs.attributes(semconv.EVENT_OPERATION_EXCEPTION)


@pytest.mark.parametrize(
    ("mode", "emit", "expected"),
    [
        ("NO_CONTENT", "true", {"details"}),
        ("SPAN_ONLY", "TRUE", {"details"}),
        ("EVENT_ONLY", "false", set()),
        ("EVENT_ONLY", "", {"details", "content"}),
        ("SPAN_AND_EVENT", "False", set()),
    ],
)
@asked_by(providers=["openai"], entrances=[ROUTER], is_async=False, is_stream=False)
def test_events_are_turned_on_and_off(caller, simulator, capture, logs, monkeypatch, mode, emit, expected):
    """Without content, or not at all; exceptions are off then too."""
    monkeypatch.setenv(EMIT_EVENT, emit)
    capture(mode)
    simulator.script(REPLY, Fail(400))

    caller.ask(MESSAGES)
    found = {"details"} if logs.names else set()
    found |= {"content" for log in logs.records if CONTENT & log.log_record.attributes.keys()}
    caller.ask(MESSAGES)

    assert expected == found
    assert (emit.lower() != "false") is (semconv.EVENT_OPERATION_EXCEPTION in logs.names)


@asked_by(providers=["openai"], entrances=[ROUTER], is_async=False, is_stream=False)
def test_without_a_provider_of_logs_nothing_is_made(caller, simulator, capture, books):
    """Nobody would see it: not even the redaction is called."""
    seen = []
    capture("EVENT_ONLY", redact=seen.append)
    simulator.script(REPLY)

    caller.ask(MESSAGES)

    assert [] == seen


@asked_by()
def test_tools_are_recorded(caller, simulator, capture, books):
    """Their definitions, the calls that the model asks for, and what they answered."""
    capture("SPAN_ONLY")
    arguments = {"name": CANARY, "count": 2}
    simulator.script(Reply(tool_calls=(ToolCall("find_bird", arguments),), output_tokens=9))
    called = {"id": "call_1", "type": "function", "function": {"name": "find_bird", "arguments": '{"name": "owl"}'}}
    history = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"found": false}'},
    ]

    caller.ask(history, tools=[TOOL])

    assert [TOOL["function"] | {"type": "function"}] == on_span(books, semconv.GEN_AI_TOOL_DEFINITIONS)
    assert [
        said("user", QUESTION),
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "call_1", "name": "find_bird", "arguments": {"name": "owl"}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": {"found": False}}]},
    ] == on_span(books, INPUT)
    ((message,),) = (on_span(books, OUTPUT),)
    (call,) = (part for part in message["parts"] if part["type"] == "tool_call")
    assert ("find_bird", arguments) == (call["name"], call["arguments"])


@asked_by(providers=["anthropic", "gemini"], entrances=[ROUTER])
def test_reasoning_is_recorded(caller, simulator, capture, books):
    """Apart from the answer."""
    capture("SPAN_ONLY")
    simulator.script(Reply(ANSWER, thinking=f"The {CANARY}, hm.", reasoning_tokens=5, output_tokens=20))

    # Without a parameter Gemini's thoughts stay unsaid; Anthropic's model has none.
    caller.ask(MESSAGES, max_tokens=4_000, **({"reasoning_effort": "low"} if caller.provider == "gemini" else {}))

    ((message,),) = (on_span(books, OUTPUT),)
    assert [("reasoning", f"The {CANARY}, hm."), ("text", ANSWER)] == [
        (part["type"], part["content"]) for part in message["parts"]
    ]


@asked_by(providers=["openai"], entrances=[PLAIN])
def test_every_choice_is_a_message(caller, simulator, capture, books):
    """In their order, from a stream too."""
    capture("SPAN_ONLY")
    simulator.script(Reply(("One bird.", "Two birds."), output_tokens=6))

    caller.ask(MESSAGES, n=2)

    assert [said("assistant", "One bird."), said("assistant", "Two birds.")] == on_span(books, OUTPUT)


# --- endings ----------------------------------------------------------------------------------------------


@asked_by(is_async=False)
def test_a_call_that_failed_has_its_question(caller, simulator, capture, books):
    """And no answer, as there was none."""
    capture("SPAN_ONLY")
    simulator.script(Fail(400, message="no"))

    caller.ask(MESSAGES)

    assert ("error", QUESTION) == (books.only.outcome, text_in(on_span(books, INPUT)[1:]))
    assert None is books.said(OUTPUT)


@asked_by(providers=["openai"], is_async=False, is_stream=False)
def test_a_call_that_was_refused_has_its_question(caller, simulator, capture, books, logs):
    """The exception is the one that its caller sees."""
    capture("SPAN_AND_EVENT", budgets=[Budget("nothing", limit_usd="0.00001", window="lifetime")])

    got = caller.ask(MESSAGES, max_tokens=50_000 if caller.entrance == PLAIN else 16_000)

    assert isinstance(got.error, BudgetExceededError)
    assert QUESTION == text_in(on_span(books, INPUT)[1:])
    assert None is books.said(OUTPUT)
    exception = logs.attributes(semconv.EVENT_OPERATION_EXCEPTION)
    assert "BudgetExceededError" == exception[semconv.EXCEPTION_TYPE]


@asked_by(providers=["openai"], entrances=[ROUTER], is_async=False)
def test_retries_record_it_once(caller, simulator, capture, books, logs):
    """On the call, not on its attempts; and only the failure that reaches the caller is an event."""
    capture("SPAN_AND_EVENT")
    simulator.script(Fail(503), REPLY)

    caller.ask(MESSAGES, max_retries=1)

    assert [said("assistant", ANSWER)] == on_span(books, OUTPUT)
    assert [] == [name for each in books.children(books.call) for name in each.attributes if name in CONTENT]
    assert [semconv.EVENT_OPERATION_DETAILS] == logs.names


@asked_by(is_stream=True, is_async=False)
def test_a_stream_that_breaks_is_kept_as_far_as_it_came(caller, simulator, capture, books):
    """What its consumer saw."""
    capture("SPAN_ONLY")
    simulator.script(Break(after_chunks=2, reply=REPLY))

    got = caller.ask(MESSAGES)

    assert got.error is not None
    assert got.text
    assert got.text == text_in(on_span(books, OUTPUT))


@pytest.mark.parametrize("way", ["close", "drop"])
@asked_by(is_stream=True, is_async=False)
def test_a_stream_that_is_left_is_kept_as_far_as_it_came(caller, simulator, capture, books, way):
    """Closed, or dropped and collected."""
    capture("SPAN_ONLY")
    simulator.script(HELD)

    with traced_llm("work"):
        stream = caller.stream(MESSAGES)
        seen = next(filter(None, map(text_of, stream)))
        if way == "close":
            stream.close()
        del stream
        gc.collect()

    assert "abandoned" == books.only.outcome
    assert seen == text_in(on_span(books, OUTPUT))


@asked_by(is_stream=True, is_async=True)
def test_a_stream_that_is_cancelled_is_kept_as_far_as_it_came(caller, simulator, capture, books, logs, run):
    """Who cancels knows it: no event of an exception."""
    capture("SPAN_AND_EVENT")
    simulator.script(HELD)
    seen = []

    async def main():
        has_begun = asyncio.Event()

        async def consume():
            async for chunk in await caller.astream(MESSAGES):
                seen.append(text_of(chunk))
                if seen[-1]:
                    has_begun.set()

        task = asyncio.ensure_future(consume())
        await has_begun.wait()
        task.cancel()
        await asyncio.wait([task])

    with traced_llm("work"):
        run(main())

    assert "cancelled" == books.only.outcome
    assert "".join(seen) == text_in(on_span(books, OUTPUT))
    assert [semconv.EVENT_OPERATION_DETAILS] == logs.names


@asked_by(providers=["openai"], is_async=False)
def test_what_was_asked_is_what_was_sent(caller, simulator, capture, books):
    """A caller goes on with its list while the stream is open."""
    capture("SPAN_ONLY")
    simulator.script(REPLY)
    messages = [{"role": "user", "content": QUESTION}]

    with traced_llm("work"):
        if caller.is_stream:
            stream = caller.stream(messages)
            next(stream)
            messages.append({"role": "user", "content": "And?"})
            list(stream)
        else:
            caller.complete(messages)
            messages.append({"role": "user", "content": "And?"})

    assert [said("user", QUESTION)] == on_span(books, INPUT)


def test_a_response_that_was_made_elsewhere_has_its_answer(capture, books, simulator):
    """What was asked is not known."""
    capture("SPAN_ONLY")

    @traced_llm
    def answer():
        message = {"role": "assistant", "content": ANSWER}
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        return {"id": "r1", "model": "gpt-4o-mini", "choices": choices, "usage": usage}

    answer()

    assert ([said("assistant", ANSWER)], None) == (on_span(books, OUTPUT), books.said(INPUT))


# --- redaction and size -----------------------------------------------------------------------------------


@asked_by(providers=["openai"])
def test_every_text_is_redacted(caller, simulator, capture, books, spans, logs, registry, caplog):
    """Question, answer, tools: what goes through the hook leaves nothing behind."""
    caplog.set_level(logging.DEBUG, logger="llm_otel")
    capture("SPAN_AND_EVENT", redact=lambda text: text.replace(CANARY, "[bird]"))
    simulator.script(Reply(ANSWER, tool_calls=(ToolCall("find_bird", {"name": CANARY}),), output_tokens=30))

    caller.ask(MESSAGES, tools=[TOOL | {"function": TOOL["function"] | {"description": f"Finds a {CANARY}."}}])

    exported = everything(spans, logs, registry, caplog)
    assert (True, False) == ("[bird]" in exported, CANARY in exported)


def forgetful(_text):
    """Return nothing."""


def failing(text):
    """Raise what quotes the text."""
    raise ValueError(text)


@pytest.mark.parametrize("redact", [failing, forgetful])
@asked_by(providers=["openai"], is_async=False)
def test_a_failing_redaction_drops_the_content(caller, simulator, capture, books, logs, caplog, redact):
    """Never recorded as it was; the call goes well, and the failure is counted and logged without the text."""
    capture("SPAN_AND_EVENT", redact=redact, strict=False)
    simulator.script(REPLY)

    got = caller.ask(MESSAGES)

    assert ANSWER == got.text
    assert (None, None) == (books.said(INPUT), books.said(OUTPUT))
    assert 1 == books.metric(semconv.INTERNAL_ERRORS, recorder="content")
    assert "llm_otel.internal_error recorder=content error=ContentError" in caplog.text
    assert CANARY not in everything(books.spans, logs, books.registry, caplog)


@asked_by(providers=["openai"], entrances=[ROUTER], is_async=False)
def test_a_redaction_that_fails_for_the_answer_drops_the_question_too(caller, simulator, capture, books):
    """All or nothing: half a conversation reads like the whole."""
    capture("SPAN_ONLY", redact=lambda text: failing(text) if "cage" in text else text, strict=False)
    simulator.script(REPLY)

    caller.ask(MESSAGES)

    assert (None, None) == (books.said(INPUT), books.said(OUTPUT))
    assert 1 == books.metric(semconv.INTERNAL_ERRORS, recorder="content")


def test_a_redaction_is_a_function(use, registry):
    """Found when it is set up, not with the first call."""
    with pytest.raises(ConfigurationError, match="redact='x' is not usable: a function that takes a text"):
        use(registry, redact="x")


@asked_by(providers=["openai"], entrances=[ROUTER], is_async=False)
def test_long_texts_are_cut_and_old_messages_dropped(caller, simulator, capture, books):
    """Both are said on the span; the JSON stays valid (the fixture looks)."""
    capture("SPAN_ONLY", content_max_length=50)
    simulator.script(REPLY)

    caller.ask([{"role": "user", "content": f"{n} " + "x" * 98} for n in range(9)])

    texts = [text_in([message]) for message in on_span(books, INPUT)]
    assert [f"{n} " + "x" * 48 + "… [50 more characters]" for n in (6, 7, 8)] == texts
    assert 6 == books.said(semconv.CONTENT_DROPPED)
    assert 3 <= books.said(semconv.CONTENT_TRUNCATED)


# --- LiteLLM's other functions ----------------------------------------------------------------------------


@pytest.fixture
def in_scope(litellm, simulator):
    """Call one of LiteLLM's functions inside a scope, and read its stream."""

    def ask(function, **arguments):
        with traced_llm("work"):
            result = getattr(litellm, function)(api_key="simulator", **arguments)
            return list(result) if arguments.get("stream") else result

    return ask


@pytest.mark.parametrize("stream", [False, True])
def test_a_text_completion(in_scope, simulator, capture, books, stream):
    """The prompt is a message of the user."""
    capture("SPAN_ONLY")
    simulator.script(REPLY)

    in_scope("text_completion", model="openai/gpt-3.5-turbo-instruct", prompt=QUESTION, stream=stream)

    assert ([said("user", QUESTION)], [said("assistant", ANSWER)]) == (on_span(books, INPUT), on_span(books, OUTPUT))


@pytest.mark.parametrize("stream", [False, True])
def test_a_response(in_scope, simulator, capture, books, logs, stream):
    """Instructions stand apart, items of the input are messages, items of the output parts of one."""
    capture("SPAN_AND_EVENT")
    simulator.script(REPLY)
    items = [{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]
    tool = {"type": "function"} | TOOL["function"]

    in_scope("responses", model="openai/gpt-4o-mini", input=items, instructions="Sing.", tools=[tool], stream=stream)

    assert [{"type": "text", "content": "Sing."}] == on_span(books, semconv.GEN_AI_SYSTEM_INSTRUCTIONS)
    assert ([said("user", QUESTION)], [said("assistant", ANSWER)]) == (on_span(books, INPUT), on_span(books, OUTPUT))
    assert [tool] == on_span(books, semconv.GEN_AI_TOOL_DEFINITIONS)
    assert [said("assistant", ANSWER)] == plain(logs.details[OUTPUT])


def test_a_response_that_breaks_is_kept_as_far_as_it_came(in_scope, simulator, capture, books):
    """Its events are put together."""
    capture("SPAN_ONLY")
    simulator.script(Break(after_chunks=2, reply=REPLY))

    with pytest.raises(Exception):  # noqa: B017  # whatever LiteLLM makes of it
        in_scope("responses", model="openai/gpt-4o-mini", input=QUESTION, stream=True)

    assert [said("user", QUESTION)] == on_span(books, INPUT)
    assert 0 < len(text_in(on_span(books, OUTPUT))) < len(ANSWER)


def test_embeddings_have_no_messages(in_scope, simulator, capture, books, spans, logs):
    """What they are made of has no place in the conventions."""
    capture("SPAN_AND_EVENT")

    in_scope("embedding", model="openai/text-embedding-3-small", input=[QUESTION])

    assert CANARY not in books.call.to_json()
    assert [] == [name for log in logs.records for name in CONTENT & log.log_record.attributes.keys()]
