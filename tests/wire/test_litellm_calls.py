"""Plain LiteLLM calls inside a scope, and what is left alone outside of one."""

from __future__ import annotations

import functools
import inspect
import threading
from contextvars import copy_context

import pytest

from llm_otel import semconv, traced_llm
from llm_otel.demo.simulator import Fail, Reply
from llm_otel.intercept import arm, disarm
from tests.wire.books import success
from tests.wire.callers import HELLO, LITELLM_ROUTER, PLAIN, asked_by

ANSWER = Reply("Hello there!", input_tokens=18, output_tokens=3)
COST = 18 * 150 + 3 * 600


@pytest.fixture
def ask(litellm):
    """Ask OpenAI's model plainly."""
    given = {"model": "openai/gpt-4o-mini", "messages": HELLO, "api_key": "simulator", "max_retries": 0}
    return lambda **changes: litellm.completion(**given | changes)


@asked_by(entrances=(PLAIN, LITELLM_ROUTER), providers=("openai", "anthropic"))
def test_outside_of_a_scope_nothing_happens(caller, simulator, books, spans):
    """No span, no count: LiteLLM alone."""
    simulator.script(ANSWER)
    with traced_llm("arms the interception"):
        pass
    spans.clear()

    got = caller.ask(in_scope=False)

    assert (None, "Hello there!") == (got.error, got.text)
    assert [] == spans.ended
    assert 0 == books.by_metrics().calls


@asked_by(entrances=(PLAIN,))
def test_the_request_is_the_callers(caller, simulator, books):
    """The provider gets what it would get without us, but for the wish to be told the usage of a stream."""
    options = {"temperature": 0.3, "max_tokens": 9, "stop": ["END"], "user": "john"}
    if caller.provider in ("ollama", "gemini"):
        del options["user"]
    caller.ask(in_scope=False, **options)
    caller.ask(**options)

    outside, inside = simulator.requests
    bodies = [dict(request.body) for request in (outside, inside)]
    if caller.provider == "openai" and caller.is_stream:
        assert {"include_usage": True} == bodies[1].pop("stream_options")
        bodies[0].pop("stream_options", None)
    assert bodies[0] == bodies[1]
    assert (outside.path, outside.query) == (inside.path, inside.query)
    varying = {"content-length", "x-stainless-read-timeout", "host"}
    assert {name for name in outside.headers if name not in varying} == {
        name for name in inside.headers if name not in varying
    }


def test_what_the_caller_passed_is_not_touched(ask, simulator, books):
    """The options belong to the caller, and may be used again."""
    options, messages = {"include_usage": False}, [dict(HELLO[0])]

    with traced_llm("work"):
        list(ask(messages=messages, stream=True, stream_options=options))

    assert ({"include_usage": False}, HELLO) == (options, messages)


@pytest.mark.parametrize("form", ["positional", "keyword"])
def test_arguments_by_position(form, litellm, simulator, books):
    """They mean what they mean to LiteLLM."""
    simulator.script(ANSWER)

    with traced_llm("work"):
        if form == "positional":
            litellm.completion("openai/gpt-4o-mini", HELLO, 30, 0.5, api_key="simulator")
        else:
            litellm.completion(
                model="openai/gpt-4o-mini", messages=HELLO, timeout=30, temperature=0.5, api_key="simulator"
            )

    assert success(18, 3, COST) == books.only
    assert ("gpt-4o-mini", 0.5) == (
        books.said(semconv.GEN_AI_REQUEST_MODEL),
        books.said(semconv.GEN_AI_REQUEST_TEMPERATURE),
    )


def test_the_functions_look_like_litellms(litellm):
    """Name, signature and kind hold: frameworks look at them."""
    with traced_llm("arms the interception"):
        pass

    assert inspect.iscoroutinefunction(litellm.acompletion)
    assert not inspect.iscoroutinefunction(litellm.completion)
    assert ["model", "messages"] == list(inspect.signature(litellm.completion).parameters)[:2]
    assert ("completion", "acompletion") == (litellm.completion.__name__, litellm.acompletion.__name__)
    assert litellm.completion.__doc__ == litellm.completion.__wrapped__.__doc__


@pytest.fixture
def unarmed():
    """LiteLLM with its own functions, as it is before the first scope; armed again when the test ends."""
    disarm()
    yield
    arm()


def test_a_name_imported_too_early(unarmed, simulator, books):
    """`from litellm import completion` before the first scope keeps the original, which is not seen."""
    from litellm import completion

    with traced_llm("work") as scope:
        completion("openai/gpt-4o-mini", HELLO, api_key="simulator")
        assert 0 == scope.calls

        from litellm import completion

        completion("openai/gpt-4o-mini", HELLO, api_key="simulator")
        assert 1 == scope.calls


def test_the_answer_of_a_call_that_was_not_seen(unarmed, simulator, books):
    """If a traced function returns it, it is recorded as the one completion of the scope."""
    from litellm import completion

    simulator.script(ANSWER)

    @traced_llm
    def answer():
        return completion("openai/gpt-4o-mini", HELLO, api_key="simulator")

    assert "Hello there!" == answer().choices[0].message.content
    assert success(18, 3, COST) == books.only


def test_disarming(ask, litellm, simulator, books):
    """It gives LiteLLM its functions back; the next scope arms again."""
    with traced_llm("first"):
        ask()
    disarm()
    assert not hasattr(litellm.completion, "__llm_otel__")
    assert "llm_otel" not in litellm.completion.__code__.co_filename
    with traced_llm("second"):
        ask()

    assert 2 == len(books.calls)


def test_auto_instrument_off(ask, use, registry, simulator, books):
    """`configure(auto_instrument=False)` leaves plain calls alone, also when they were watched before."""
    with traced_llm("work"):
        ask()
    use(registry, auto_instrument=False)
    with traced_llm("work") as scope:
        ask()

    assert 0 == scope.calls
    assert 1 == len(books.calls)


@asked_by(providers=("openai",), entrances=(PLAIN,), is_stream=False)
def test_litellms_own_fallbacks(caller, simulator, books):
    """LiteLLM calls itself for them: one completion, at the price of the model that answered."""
    simulator.script(Fail(500), when=lambda request: request.model == "gpt-4o-mini", repeat=True)
    simulator.script(ANSWER)

    got = caller.ask(fallbacks=["openai/gpt-4o"], num_retries=0)

    assert (None, "Hello there!") == (got.error, got.text)
    assert success(18, 3, 18 * 2500 + 3 * 10000) == books.only
    assert "gpt-4o-mini" == books.said(semconv.GEN_AI_REQUEST_MODEL)


def test_fallbacks_of_litellms_router(litellm, simulator, books):
    """Each deployment that was tried is one call."""
    models = {"first": "openai/gpt-4o-mini", "second": "openai/gpt-4o"}
    router = litellm.Router(
        [{"model_name": n, "litellm_params": {"model": m, "api_key": "simulator"}} for n, m in models.items()],
        fallbacks=[{"first": ["second"]}],
        num_retries=0,
    )
    simulator.script(Fail(500), when=lambda request: request.model == "gpt-4o-mini", repeat=True)
    simulator.script(ANSWER)

    with traced_llm("work") as scope:
        router.completion("first", HELLO)

    assert ["chat gpt-4o-mini", "chat gpt-4o"] == [span.name for span in books.calls]
    assert ["error", "success"] == [ending.outcome for ending in books.endings]
    assert 2 == scope.calls


@asked_by(providers=("openai",), entrances=(PLAIN,))
def test_mocks_of_litellms(caller, simulator, books):
    """They take the whole path, and are marked: their spend is none."""
    got = caller.ask(mock_response="Hello there!")

    assert "Hello there!" == got.text
    assert () == simulator.requests
    assert (True, "success") == (books.said(semconv.MOCK), books.only.outcome)


@asked_by(providers=("openai",), entrances=(PLAIN,))
def test_an_answer_from_litellms_cache(caller, response_cache, simulator, books):
    """It cost nothing, whatever LiteLLM computes for it, counts as cached, and says what it saved."""
    simulator.script(ANSWER)
    caller.ask(caching=True)
    got = caller.ask(caching=True)

    assert "Hello there!" == got.text
    assert 1 == len(simulator.requests)
    first, second = books.endings
    assert success(18, 3, COST) == first
    assert ("cached", 0) == (second.outcome, second.cost_nano)
    assert (books.calls[1].attributes or {})[semconv.CACHE_HIT]
    assert COST == round(books.metric(semconv.SAVED, reason=semconv.SAVED_BY_RESPONSE_CACHE) * 1e9)


def test_a_thread_in_a_copied_context(ask, simulator, books):
    """It is inside the scope; a bare thread is not, as with every context variable."""
    with traced_llm("work") as scope:
        for target in (functools.partial(copy_context().run, ask), ask):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()

    assert 1 == scope.calls == len(books.calls)
    assert 2 == len(simulator.requests)


def test_a_model_that_litellm_cannot_place(litellm, books):
    """LiteLLM's own words about it; the span says that the provider is unknown."""
    with traced_llm("work"), pytest.raises(litellm.BadRequestError, match="LLM Provider NOT provided"):
        litellm.completion("nonsense", HELLO)

    assert "unknown" == books.said(semconv.GEN_AI_PROVIDER_NAME)
    assert ("error", "BadRequestError", 0) == (books.only.outcome, books.only.error_type, books.only.cost_nano)
