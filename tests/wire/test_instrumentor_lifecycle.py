"""`instrument()` and `uninstrument()`: again, midway, before and after everything else."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import pickle
import sys
import threading
import types
from contextvars import copy_context

import pytest
from opentelemetry.context import Context, attach, detach

import llm_otel
from llm_otel import instrument, traced_llm, uninstrument
from llm_otel.demo.simulator import Hang
from llm_otel.instrumentor import LiteLLMInstrumentor
from llm_otel.intercept import disarm
from llm_otel.providers.operations import OPERATIONS
from tests.wire.asking import KINDS, REPLY, Asker, asking, text_of, with_run
from tests.wire.books import success

FUNCTIONS = [name for operation in OPERATIONS for name in (operation.function, operation.async_function)]
CHAT = Asker(KINDS["chat"])


@pytest.fixture(autouse=True)
def untouched(litellm):
    """LiteLLM with its own functions, before and after; and what they are."""
    disarm()
    own = {name: getattr(litellm, name) for name in FUNCTIONS}
    yield own
    uninstrument()
    disarm()
    assert own == {name: getattr(litellm, name) for name in FUNCTIONS}


def test_all_functions_are_watched_and_put_back(litellm, untouched):
    """They look like LiteLLM's own: name, signature, documentation, kind."""
    instrument()
    watched = {name: getattr(litellm, name) for name in FUNCTIONS}
    uninstrument()

    for name, function in watched.items():
        assert function.__wrapped__ is untouched[name]
        assert (name, untouched[name].__doc__) == (function.__name__, function.__doc__)
        assert inspect.signature(function) == inspect.signature(untouched[name])
        assert inspect.iscoroutinefunction(function) == inspect.iscoroutinefunction(untouched[name])
        assert getattr(litellm, name) is untouched[name]


def test_a_module_in_litellms_place(litellm, monkeypatch, simulator, books):
    """Tests of applications have one, with what the application calls: that is watched."""
    response = {
        "id": "1",
        "model": "gpt-4o-mini",
        "choices": [{"finish_reason": "stop", "message": {"content": "Hi"}}],
        "usage": {"prompt_tokens": 18, "completion_tokens": 9},
    }
    fake = types.SimpleNamespace(completion=lambda model, messages: response, __spec__=litellm.__spec__)
    own = fake.completion
    monkeypatch.setitem(sys.modules, "litellm", fake)
    instrument()

    assert fake.completion("openai/gpt-4o-mini", [{"role": "user", "content": "Hi"}]) is response
    assert success(18, 9, CHAT.cost(18, 9)) == books.only
    uninstrument()
    assert fake.completion is own


def test_the_functions_can_be_sent_to_another_process(litellm, untouched):
    """A pool of processes pickles what it is to call; there it is LiteLLM's own, or a watched one, as it stands."""
    instrument()
    watched = {name: getattr(litellm, name) for name in FUNCTIONS}
    sent = {name: pickle.dumps(function) for name, function in watched.items()}
    assert watched == {name: pickle.loads(function) for name, function in sent.items()}
    uninstrument()

    assert untouched == {name: pickle.loads(function) for name, function in sent.items()}


def test_somebody_who_goes_around_ours(litellm, untouched):
    """Who put a wrapper of LiteLLM's own in the place of ours keeps it."""
    instrument()

    @functools.wraps(untouched["completion"])
    def theirs(*args, **kwargs):
        return untouched["completion"](*args, **kwargs)

    litellm.completion = theirs
    uninstrument()

    assert litellm.completion is theirs
    litellm.completion = untouched["completion"]


def test_twice(simulator, books, caplog):
    """The second has no effect, and says nothing; one `uninstrument()` undoes both."""
    instrument()
    instrument()
    CHAT.ask()
    uninstrument()
    uninstrument()
    CHAT.ask()

    assert 1 == len(books.calls)
    assert [] == caplog.messages


def test_again(simulator, books):
    """After `uninstrument()` it can be turned on once more."""
    for _ in range(2):
        instrument()
        CHAT.ask()
        uninstrument()
    CHAT.ask()

    assert 2 == len(books.calls)


def test_the_functions_and_the_instrumentor_are_one(simulator, books):
    """What one has started the other ends."""
    instrument()
    LiteLLMInstrumentor().uninstrument()
    CHAT.ask()
    LiteLLMInstrumentor().instrument()
    CHAT.ask()

    assert 1 == len(books.calls)


@asking(kinds=("chat", "responses"), is_stream=True)
def test_a_stream_ends_as_it_would_have(asker, simulator, books):
    """Though nobody is watching new calls any more."""
    simulator.script(REPLY, REPLY)
    instrument()

    async def aread():
        stream = await asker.acall()
        uninstrument()
        return [text_of(chunk) async for chunk in stream]

    if asker.is_async:
        texts = asker.run(aread())
    else:
        stream = asker.call()
        uninstrument()
        texts = [text_of(chunk) for chunk in stream]
    asker.ask()

    assert "Hello there, how can I help you today?" == "".join(texts)
    assert success(18, 9, asker.cost(18, 9)) == books.only


def test_a_call_in_flight_ends_as_it_would_have(simulator, books):
    """Its answer is booked."""
    hang = Hang(reply=REPLY)
    simulator.script(hang)
    instrument()
    thread = threading.Thread(target=CHAT.ask)
    thread.start()
    simulator.wait_for_requests()
    uninstrument()
    hang.release()
    thread.join()

    assert success(18, 9, CHAT.cost(18, 9)) == books.only


def test_a_name_imported_too_early(litellm, simulator, books):
    """`from litellm import completion` keeps LiteLLM's own, which is not seen; later it is the watched one."""
    from litellm import completion as early

    instrument()
    from litellm import completion as late

    early(**CHAT.arguments())
    assert [] == books.calls
    late(**CHAT.arguments())
    assert 1 == len(books.calls)

    uninstrument()
    late(**CHAT.arguments())
    assert 1 == len(books.calls)


def test_the_explicit_call_goes_over_the_setting(use, registry, simulator, books):
    """`auto_instrument=False` speaks of scopes alone; calls inside them have their tags all the same."""
    use(registry, auto_instrument=False)
    instrument()
    CHAT.ask()
    with traced_llm("work") as scope:
        CHAT.ask()

    assert 2 == len(books.calls)
    assert 1 == scope.calls

    uninstrument()
    with traced_llm("work") as scope:
        CHAT.ask()
    assert 0 == scope.calls


@pytest.mark.parametrize("first", ["scope", "instrument"])
def test_scopes_in_an_instrumented_application(first, simulator, books):
    """One call is one span, whichever came first; the scope goes on watching its own when the other is done."""
    if first == "scope":
        with traced_llm("arms"):
            pass
    instrument()
    with traced_llm("work") as scope:
        CHAT.ask()
        uninstrument()
        CHAT.ask()
    CHAT.ask()

    assert 2 == scope.calls == len(books.calls)


def test_somebody_who_wraps_ours(litellm, untouched, simulator, books):
    """Theirs is left alone, and what is underneath is not counted beside what is on top."""
    instrument()
    ours = litellm.completion
    litellm.completion = theirs = lambda *args, **kwargs: ours(*args, **kwargs)
    uninstrument()
    assert litellm.completion is theirs
    CHAT.ask()
    assert [] == books.calls

    instrument()
    CHAT.ask()
    assert 1 == len(books.calls)
    uninstrument()
    litellm.completion = untouched["completion"]


def test_a_router_that_was_made_meanwhile(litellm, simulator, books, run):
    """It keeps the function that it took: that only passes through from then on."""
    parameters = {"model": "openai/gpt-4o-mini", "api_key": "simulator"}
    instrument()
    router = litellm.Router([{"model_name": "any", "litellm_params": parameters}], num_retries=0)
    uninstrument()
    run(router.aresponses(model="any", input="Hello!"))

    assert [] == books.calls


def test_a_tracer_provider_of_ones_own(simulator, books, spans):
    """All spans go there; those of metrics and logs are not taken, and that is said."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    simulator.script(REPLY, REPLY)

    LiteLLMInstrumentor().instrument(tracer_provider=provider)
    CHAT.ask()
    assert ["chat gpt-4o-mini"] == [span.name for span in kept.get_finished_spans()]
    assert [] == spans.ended
    uninstrument()
    instrument()
    CHAT.ask()

    assert 1 == len(kept.get_finished_spans()) == len(spans.ended)
    for span in kept.get_finished_spans():
        spans.ended.append(span)


def test_providers_that_are_not_taken(caplog):
    """One line for each, that says what holds."""
    with caplog.at_level(logging.WARNING, logger="llm_otel"):
        LiteLLMInstrumentor().instrument(meter_provider=object(), logger_provider=object())

    assert ["argument=meter_provider:", "argument=logger_provider:"] == [each.split()[1] for each in caplog.messages]


def test_the_releases_are_those_of_the_package():
    """What the instrumentor says it works with is what is installed with it."""
    import importlib.metadata

    from packaging.requirements import Requirement

    (declared,) = [
        requirement
        for text in importlib.metadata.requires("llm-otel")
        if (requirement := Requirement(text)).name == "litellm"
    ]
    (said,) = map(Requirement, LiteLLMInstrumentor().instrumentation_dependencies())
    assert (declared.name, declared.specifier) == (said.name, said.specifier)


def test_the_entry_point_is_found():
    """By the name that `opentelemetry-instrument` looks for."""
    import importlib.metadata

    (found,) = importlib.metadata.entry_points(group="opentelemetry_instrumentor", name="llm_otel")
    assert found.load() is LiteLLMInstrumentor


LISTS = ("callbacks", "input_callback", "success_callback", "failure_callback", "_async_success_callback")


@pytest.fixture
def judged(litellm, monkeypatch):
    """A callback of LiteLLM's has each answer judged by a model; `judged(asker)` waits until it is."""
    from litellm.integrations.custom_logger import CustomLogger

    for name in LISTS:
        monkeypatch.setattr(litellm, name, [])
    is_answered, is_judged = threading.Event(), threading.Event()
    judge = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Is it good?"}], "api_key": "k"}

    class Judge(CustomLogger):
        def log_success_event(self, kwargs, response_obj, start_time, end_time):
            if kwargs["messages"] != judge["messages"] and is_answered.wait(timeout=10):
                # In a trace of its own: the books take what is under a call for its attempts.
                copy_context().run(lambda: attach(Context()) and litellm.completion(**judge))
                is_judged.set()

        async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
            if kwargs["messages"] != judge["messages"] and await asyncio.to_thread(is_answered.wait, 10):
                token = attach(Context())
                await litellm.acompletion(**judge)
                detach(token)
                is_judged.set()

    litellm.callbacks.append(Judge())

    async def answered(asker):
        await asker.acall()
        is_answered.set()
        await asyncio.to_thread(is_judged.wait, 10)

    def done(asker):
        if asker.is_async:
            asker.run(answered(asker))
        else:
            asker.call()
            is_answered.set()
        assert is_judged.wait(timeout=10)

    return done


@asking(kinds=("chat",), is_stream=False)
def test_a_call_of_a_callback(asker, judged, simulator, books):
    """It comes after the call that it was called for, in whose context LiteLLM runs it, and is one of its own."""
    instrument()
    judged(asker)

    assert ["success"] * 2 == [ending.outcome for ending in books.endings]
    assert 2 == len(simulator.requests)


def test_litellms_globals_are_left_alone(litellm, simulator, books):
    """Callbacks, prices, settings: what was there is there."""
    watched = ("callbacks", "success_callback", "failure_callback", "num_retries", "suppress_debug_info", "cache")
    before = {name: repr(getattr(litellm, name)) for name in watched}
    instrument()
    CHAT.ask(mock_response="Hi")
    uninstrument()

    assert before == {name: repr(getattr(litellm, name)) for name in watched}


def test_litellms_fallbacks_on_an_event_loop(litellm, simulator, books, run):
    """A sync call on a running loop has LiteLLM try them on another thread: still one call."""
    instrument()
    simulator.script(REPLY)

    async def main():
        return litellm.completion(**CHAT.arguments(), fallbacks=["openai/gpt-4o"])

    assert "Hello there, how can I help you today?" == run(main()).choices[0].message.content
    assert 1 == len(books.calls)


def test_a_batch(litellm, simulator, books):
    """Each of its completions is a call, on whatever thread LiteLLM makes it."""
    instrument()
    conversation = KINDS["chat"].arguments["messages"]
    litellm.batch_completion("openai/gpt-4o-mini", [conversation] * 3, api_key="simulator")

    assert 3 == len(books.calls) == len(simulator.requests)


def test_the_public_names():
    """As on the first page of the manual."""
    assert (llm_otel.instrument, llm_otel.uninstrument) == (instrument, uninstrument)


def test_many_tasks_at_once(simulator, books, run):
    """Each has its own span and its own bill."""
    instrument()
    asker = with_run(Asker(KINDS["embeddings"], is_async=True), run)

    async def main():
        await asyncio.gather(*(asker.aask() for _ in range(20)))

    run(main())
    assert 20 == len(books.calls) == len(simulator.requests)
