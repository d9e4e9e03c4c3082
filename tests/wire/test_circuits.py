"""Circuit breakers over real HTTP: a model that is down is left alone, and one call finds out when it is back."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from llm_otel import Budget, BudgetExceededError, CircuitOpenError, LLMConfig, LLMRouter, ProviderError, semconv
from llm_otel.demo.simulator import Break, Fail, Hang, Reply
from llm_otel.routing.health import CircuitState
from tests.wire.books import Ending
from tests.wire.callers import HELLO, MODELS, ROUTER, asked_by, text_of

ANSWER = Reply("Hello there!", input_tokens=18, output_tokens=3)
OPENAI, ANTHROPIC = MODELS["openai"], MODELS["anthropic"]
MODEL = ("openai", OPENAI.name)
ENOUGH = 5
"""Failures that open a circuit, by default."""
OPEN_S = 30.0

NOT_SENT = Ending(outcome="error", status="ERROR", error_type="CircuitOpenError", attempts=0)

four_forms = asked_by(providers=("openai",), entrances=(ROUTER,))


def at(model):
    """Match the requests to a model."""
    return lambda request: request.model == model.name


def asked(simulator, model=OPENAI):
    """Return how many requests a model got."""
    return sum(request.model == model.name for request in simulator.requests)


def state(clock):
    """Return how the circuit of the first model stands."""
    from llm_otel.wiring import runtime

    return dict(runtime().health.states(clock.monotonic()))[MODEL]


@pytest.fixture
def wait(clock):
    """`wait(seconds)`: let time pass for the breakers."""

    def wait(seconds):
        clock.jumps = True
        clock.pauses.append(seconds)

    return wait


@pytest.fixture
def outage(simulator, caller):
    """The first model has failed often enough to be left alone."""
    simulator.script(*[Fail(500)] * ENOUGH, when=at(OPENAI))
    errors = [caller.ask(in_scope=False).error for _ in range(ENOUGH)]
    assert [500] * ENOUGH == [error.status_code for error in errors]
    assert ENOUGH == asked(simulator)


# --- open -----------------------------------------------------------------------------------------------------


@four_forms
def test_a_model_that_is_down_is_left_alone(caller, outage, simulator, books, clock):
    """The caller hears it at once, with the time to come again; nothing is sent. One model alone suffices."""
    error = caller.ask(in_scope=False).error

    assert isinstance(error, CircuitOpenError)
    assert ("openai", OPENAI.name, 0, None) == (error.provider, error.model, error.attempts, error.status_code)
    assert 0 < error.retry_after_s <= OPEN_S
    assert ENOUGH == len(simulator.requests)
    assert [NOT_SENT] == books.endings[ENOUGH:]
    assert ENOUGH + 1 == books.metric(semconv.REQUESTS, outcome="error")
    assert CircuitState.OPEN == state(clock)


@four_forms
def test_retries_stop_when_the_circuit_opens(caller, simulator, clock):
    """The call whose own failure opens it sees that failure, not a circuit."""
    simulator.script(Fail(500), repeat=True)

    error = caller.ask(max_retries=20, in_scope=False).error

    assert (ProviderError, 500, ENOUGH) == (type(error), error.status_code, error.attempts)
    assert ENOUGH == len(simulator.requests)


@four_forms
def test_who_has_a_fallback_does_not_notice(caller, outage, simulator, books):
    """It is asked first, as `fallback`: the first choice was not asked at all."""
    simulator.script(ANSWER)

    got = caller.ask(fallbacks=(ANTHROPIC.litellm_name,), in_scope=False)

    assert (None, "Hello there!") == (got.error, got.text)
    assert (ENOUGH, 1) == (asked(simulator), asked(simulator, ANTHROPIC))
    assert ("anthropic", "fallback:gpt-4o-mini") == (got.result.provider, got.result.decision.reason_codes[0])
    assert 1 == books.metric(semconv.ATTEMPTS, reason="fallback", outcome="success", model=ANTHROPIC.name)
    assert 1 == books.metric(semconv.REQUESTS, outcome="success", model=OPENAI.name)
    (attempt,) = books.children(books.calls[-1])
    assert ("attempt 1", "fallback", "anthropic", ANTHROPIC.name) == (
        attempt.name,
        attempt.attributes[semconv.ATTEMPT_REASON],
        attempt.attributes[semconv.ATTEMPT_PROVIDER],
        attempt.attributes[semconv.ATTEMPT_MODEL],
    )


@four_forms
def test_a_fallback_that_is_down_is_not_asked(caller, outage, simulator):
    """The caller hears what the first choice failed of."""
    simulator.script(Hang(), when=at(ANTHROPIC))

    error = caller.ask(
        model=ANTHROPIC.name, provider=ANTHROPIC.provider, fallbacks=("gpt-4o-mini",), timeout_s=0.6, in_scope=False
    ).error

    assert isinstance(error, ProviderError)
    assert ("anthropic", 1) == (error.provider, error.attempts)
    assert ENOUGH == asked(simulator)


@four_forms
def test_all_are_down(caller, outage, simulator, wait):
    """The one that may be asked first is named."""
    wait(10)
    simulator.script(*[Fail(500)] * ENOUGH, when=at(ANTHROPIC))
    for _ in range(ENOUGH):
        caller.ask(model=ANTHROPIC.name, provider=ANTHROPIC.provider, in_scope=False)

    error = caller.ask(fallbacks=(ANTHROPIC.litellm_name,), in_scope=False).error

    assert isinstance(error, CircuitOpenError)
    assert OPENAI.name == error.model
    assert error.retry_after_s <= OPEN_S - 10
    assert 2 * ENOUGH == len(simulator.requests)


@four_forms
def test_a_fallback_that_the_budget_refuses_does_not_hide_the_outage(caller, simulator, use, registry):
    """The caller is told when to come again, and what kept the other from helping."""
    use(registry, budgets=[Budget("c", limit_usd="0.000001", window="lifetime", match={"provider": "anthropic"})])
    simulator.script(*[Fail(500)] * ENOUGH)
    for _ in range(ENOUGH):
        caller.ask(in_scope=False)

    error = caller.ask(fallbacks=(ANTHROPIC.litellm_name,), max_tokens=50, in_scope=False).error

    assert isinstance(error, CircuitOpenError)
    assert isinstance(error.__cause__, BudgetExceededError)
    assert ENOUGH == len(simulator.requests)


@four_forms
@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_is_wrong_with_requests_opens_nothing(caller, status, simulator, clock):
    """A caller with a wrong key must not shut out all others."""
    simulator.script(Fail(status), repeat=True)

    errors = [caller.ask(in_scope=False).error for _ in range(3 * ENOUGH)]

    assert [status] * 3 * ENOUGH == [error.status_code for error in errors]
    assert CircuitState.CLOSED == state(clock)


@asked_by(entrances=(ROUTER,), is_stream=True)
def test_streams_that_are_cut_open_it(caller, simulator):
    """They began well, and are worth nothing."""
    simulator.script(Break(1), repeat=True)

    errors = [caller.ask(in_scope=False).error for _ in range(ENOUGH + 1)]

    assert [ProviderError] * ENOUGH + [CircuitOpenError] == [type(error) for error in errors]


# --- half open ------------------------------------------------------------------------------------------------


@four_forms
def test_one_probe_finds_it_well(caller, outage, simulator, wait, clock):
    """After the pause a call goes, and with its answer all others."""
    wait(OPEN_S)

    assert None is caller.ask(in_scope=False).error
    assert CircuitState.CLOSED == state(clock)
    assert None is caller.ask(in_scope=False).error


@four_forms
def test_one_probe_finds_it_still_ill(caller, outage, simulator, wait):
    """One request was wasted; the others are spared for as long again."""
    wait(OPEN_S)
    simulator.script(Fail(500))

    errors = [caller.ask(in_scope=False).error for _ in range(4)]

    assert [ProviderError] + [CircuitOpenError] * 3 == [type(error) for error in errors]
    assert ENOUGH + 1 == len(simulator.requests)


@asked_by(providers=("openai",), entrances=(ROUTER,), is_async=False, is_stream=False)
def test_others_do_not_wait_for_the_probe(caller, outage, simulator, wait):
    """While one asks, the rest is refused, or served by fallbacks."""
    wait(OPEN_S)
    simulator.script(hang := Hang(reply=ANSWER), when=at(OPENAI))
    probe = threading.Thread(target=caller.ask, kwargs={"in_scope": False})
    probe.start()
    simulator.wait_for_requests(ENOUGH + 1)

    refused_one = caller.ask(in_scope=False).error
    served = caller.ask(in_scope=False, fallbacks=(ANTHROPIC.litellm_name,))
    hang.release()
    probe.join()

    assert isinstance(refused_one, CircuitOpenError)
    assert (None, "anthropic") == (served.error, served.result.provider)
    assert None is caller.ask(in_scope=False).error


@asked_by(providers=("openai",), entrances=(ROUTER,), is_async=True)
def test_a_probe_that_is_cancelled_is_given_back(caller, outage, simulator, wait, run):
    """It found out nothing: the next call asks."""
    wait(OPEN_S)
    simulator.script(Hang())

    async def main():
        task = asyncio.ensure_future(caller.aask())
        await asyncio.to_thread(simulator.wait_for_requests, ENOUGH + 1)
        task.cancel()
        await asyncio.wait([task])

    run(main())

    assert None is caller.ask(in_scope=False).error


@asked_by(providers=("openai",), entrances=(ROUTER,), is_async=False, is_stream=True)
def test_a_probe_that_is_dropped_is_given_back(caller, outage, simulator, wait):
    """Nobody reads on."""
    wait(OPEN_S)
    simulator.script(Hang(after_chunks=1))
    stream = caller.stream()
    while not text_of(next(stream)):
        pass
    assert isinstance(caller.ask(in_scope=False).error, CircuitOpenError)

    del stream
    for _ in range(3):
        gc.collect()

    assert None is caller.ask(in_scope=False).error


@four_forms
def test_a_probe_that_a_budget_refuses_is_given_back(caller, simulator, wait, use, registry):
    """It was not sent at all."""
    use(registry, budgets=[Budget("all", limit_usd="0.00005", window="lifetime")])
    simulator.script(*[Fail(500)] * ENOUGH)
    for _ in range(ENOUGH):
        caller.ask(max_tokens=50, in_scope=False)
    wait(OPEN_S)

    refusal = caller.ask(max_tokens=4_000, in_scope=False).error

    assert isinstance(refusal, BudgetExceededError)
    assert None is caller.ask(max_tokens=50, in_scope=False).error


@four_forms
def test_a_probe_whose_request_is_bad_is_given_back(caller, outage, simulator, wait):
    """A 400 says that somebody is there, but not whether it is well."""
    wait(OPEN_S)
    simulator.script(Fail(400))

    assert 400 == caller.ask(in_scope=False).error.status_code
    assert None is caller.ask(in_scope=False).error


@four_forms
def test_a_cheaper_model_that_is_down_is_not_taken(caller, outage, simulator, use, registry):
    """A budget would have it taken; what was held for it is free again, and the fallback answers."""
    from llm_otel.wiring import runtime

    first = runtime()
    made = use(registry, budgets=[
        Budget("openai", limit_usd="0.001", window="lifetime", match={"provider": "openai"},
               on_exceeded="downgrade", downgrade_to=("gpt-4o-mini",)),
    ])  # fmt: skip
    made.health = first.health
    simulator.script(ANSWER)

    got = caller.ask(model="gpt-4o", max_tokens=500, fallbacks=(ANTHROPIC.litellm_name,), in_scope=False)

    assert (None, "anthropic") == (got.error, got.result.provider)
    assert ENOUGH == asked(simulator)


# --- many at once ---------------------------------------------------------------------------------------------

THREADS, TASKS, EACH = 8, 8, 6


def outage_of_many(run, config):
    """Make calls from threads and tasks; return what each got, an answer or an error."""
    router, got = LLMRouter(), []

    def work():
        for _ in range(EACH):
            try:
                got.append(router.complete(HELLO, config))
            except ProviderError as exc:
                got.append(exc)

    async def awork():
        for _ in range(EACH):
            try:
                got.append(await router.acomplete(HELLO, config))
            except ProviderError as exc:
                got.append(exc)

    async def tasks():
        await asyncio.gather(*[awork() for _ in range(TASKS)])

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    run(tasks())
    for thread in threads:
        thread.join()
    return got


def test_many_callers_with_a_fallback(simulator, books, run):
    """All are served; the one that is down gets what was under way when it opened, and no more."""
    simulator.script(Fail(500), when=at(OPENAI), repeat=True)
    config = LLMConfig(model=OPENAI.name, fallbacks=(ANTHROPIC.litellm_name,), max_retries=0)

    got = outage_of_many(run, config)

    assert (THREADS + TASKS) * EACH == len(got) == asked(simulator, ANTHROPIC)
    assert {"anthropic"} == {each.provider for each in got}
    assert ENOUGH <= asked(simulator) < ENOUGH + THREADS + TASKS
    assert len(got) == books.metric(semconv.REQUESTS, outcome="success", model=OPENAI.name)


def test_many_callers_without(simulator, books, run):
    """Those who asked see the failure, the others the circuit; nobody asks in vain."""
    simulator.script(Fail(500), when=at(OPENAI), repeat=True)

    got = outage_of_many(run, LLMConfig(model=OPENAI.name, max_retries=0))

    sent = asked(simulator)
    assert ENOUGH <= sent < ENOUGH + THREADS + TASKS
    assert sent == sum(type(each) is ProviderError for each in got)
    assert len(got) - sent == sum(type(each) is CircuitOpenError for each in got)
    assert {"error": len(got)} == books.by_spans().outcomes
    assert len(got) - sent == books.endings.count(NOT_SENT)
