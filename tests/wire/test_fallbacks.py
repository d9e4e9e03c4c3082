"""Fallbacks over real HTTP: another model answers where the first fails, and every request is held, paid and told."""

from __future__ import annotations

import asyncio
import gc
from decimal import Decimal

import pytest

from llm_otel import Budget, BudgetExceededError, LLMConfig, LLMRouter, ProviderError, semconv, traced_llm
from llm_otel.demo.simulator import GARBAGE_JSON, Break, Fail, Hang, Reply, StreamError
from tests.wire.books import billed, refused, success
from tests.wire.callers import HELLO, MODELS, ROUTER, asked_by, text_of

ANSWER = Reply("Hello there!", input_tokens=18, output_tokens=3)
DEADLINE_S = 8.0
"""Half of it for one that hangs, half for the other, on a machine that is busy."""
LONG_ANSWER = Reply("Hello there, how can I help you today?", input_tokens=18, output_tokens=9)
OPENAI, ANTHROPIC, GEMINI, OLLAMA = (MODELS[name] for name in ("openai", "anthropic", "gemini", "ollama"))
NEXT = {"openai": ANTHROPIC, "anthropic": OPENAI, "gemini": OPENAI, "ollama": ANTHROPIC}
TOO_LONG = {
    "openai": Fail(400, code="context_length_exceeded", message="Too long."),
    "anthropic": Fail(400, message="prompt is too long: 205000 tokens > 200000 maximum"),
    "gemini": Fail(
        400, message="The input token count (1100000) exceeds the maximum number of tokens allowed (1048576)."
    ),
}
"""What each says of a request that is too long, as LiteLLM (1.105) knows it; Ollama cuts it off and says nothing."""
NOT_WANTED = {
    "openai": Fail(400, code="content_policy_violation"),
    "anthropic": Fail(400, message="Output blocked by content filtering policy"),
}


@pytest.fixture(scope="module", autouse=True)
def _warm(_simulator, litellm, run):
    """Have LiteLLM load what it loads late: the first request to a provider may take longer than a deadline here."""
    for model in MODELS.values():
        address = _simulator.api_base(model.litellm_name.partition("/")[0].removesuffix("_chat"))
        options = {"model": model.litellm_name, "messages": HELLO, "api_base": address, "api_key": "warm"}
        litellm.completion(**options)
        run(litellm.acompletion(**options))
        litellm.token_counter(model.litellm_name, messages=HELLO)


four_forms = asked_by(providers=("openai",), entrances=(ROUTER,))
both_streams = asked_by(providers=("openai",), entrances=(ROUTER,), is_stream=True)


def at(model):
    """Match the requests to a model."""
    return lambda request: request.model == model.name


def asked(simulator):
    """Return the models that got a request, in that order."""
    return [request.model for request in simulator.requests]


def attempts_of(books):
    """Return model, outcome, reason and cost of each attempt of the one call, as its child spans tell."""
    return [
        (
            said[semconv.ATTEMPT_MODEL],
            said[semconv.OUTCOME],
            said[semconv.ATTEMPT_REASON],
            said.get(semconv.ATTEMPT_COST_NANO_USD, 0),
        )
        for said in (dict(span.attributes) for span in books.children(books.call))
    ]


def lifetime(limit_usd, name="all", **more):
    """Return a budget without end."""
    return Budget(name, limit_usd=limit_usd, window="lifetime", **more)


def spent(runtime, budget):
    """Return what each scope of a budget has spent, nano-USD, where that is something."""
    statuses = [each for each in runtime.enforcer.statuses() if each.budget.id == budget and each.spent_usd]
    return {each.scope: int(each.spent_usd * 10**9) for each in statuses}


# --- another answers ------------------------------------------------------------------------------------------


@asked_by(entrances=(ROUTER,))
def test_another_model_answers(caller, simulator, books):
    """The caller has its answer, and is told whose it is; the books have two attempts, and each at its model."""
    other = NEXT[caller.provider]
    simulator.script(Fail(500), ANSWER)

    got = caller.ask(fallbacks=(other.litellm_name,))

    cost = other.cost(18, 3)
    assert (None, "Hello there!") == (got.error, got.text)
    assert (other.provider.value, other.name) == (got.result.provider, got.result.model)
    assert [caller.model.name, other.name] == asked(simulator)
    assert success(18, 3, cost, attempts=2) == books.only
    assert [(caller.model.name, "error", "first", 0), (other.name, "success", "fallback", cost)] == attempts_of(books)
    assert 1 == got.scope.calls


@four_forms
def test_whose_numbers_they_are(caller, simulator, books):
    """Tokens and cost count under the model that ran, the request under the one that was asked for."""
    simulator.script(Fail(503), ANSWER)

    caller.ask(fallbacks=(ANTHROPIC.litellm_name,))

    first, other = {"model": OPENAI.name}, {"model": ANTHROPIC.name}
    assert (1, 0) == (books.metric(semconv.REQUESTS, **first), books.metric(semconv.REQUESTS, **other))
    assert (0, 21) == (books.metric(semconv.TOKENS, **first), books.metric(semconv.TOKENS, **other))
    assert (0, ANTHROPIC.cost(18, 3)) == (
        books.metric(semconv.COST, **first),
        round(books.metric(semconv.COST, **other) * 1e9),
    )
    assert 1 == books.metric(semconv.ATTEMPTS, outcome="error", reason="first", **first)
    assert 1 == books.metric(semconv.ATTEMPTS, outcome="success", reason="fallback", **other)


@four_forms
def test_the_decision_says_why_it_was_another(caller, simulator):
    """First the reason, then who it was instead of."""
    simulator.script(Fail(500), ANSWER)

    decision = caller.ask(fallbacks=(ANTHROPIC.litellm_name,)).result.decision

    assert ("anthropic", ANTHROPIC.name) == (decision.provider, decision.model)
    assert "fallback:gpt-4o-mini" == decision.reason_codes[0]
    assert [(ANTHROPIC.name, True), (OPENAI.name, False)] == [(each.model, each.fits) for each in decision.candidates]


@four_forms
def test_no_pause_before_another_model(caller, simulator, clock):
    """Whatever the first asks for."""
    simulator.script(Fail(429, retry_after_s=60), ANSWER)

    assert None is caller.ask(fallbacks=(ANTHROPIC.litellm_name,), max_retries=2).error
    assert 0 == sum(clock.pauses)


@four_forms
def test_the_models_come_in_order_those_of_other_providers_first(caller, simulator, books):
    """And when all have failed, it begins anew."""
    simulator.script(Fail(500), Fail(503), Fail(500), ANSWER)

    got = caller.ask(fallbacks=("gpt-4o", ANTHROPIC.litellm_name), max_retries=3)

    assert None is got.error
    assert [OPENAI.name, ANTHROPIC.name, "gpt-4o", OPENAI.name] == asked(simulator)
    assert ["first", "fallback", "fallback", "retry"] == [reason for _, _, reason, _ in attempts_of(books)]
    assert (OPENAI.name, ("explicit_model",)) == (got.result.model, got.result.decision.reason_codes)


@four_forms
def test_all_have_failed(caller, simulator, books):
    """The error is the last one's, and says who was asked."""
    simulator.script(Fail(500), Fail(503))

    error = caller.ask(fallbacks=(ANTHROPIC.litellm_name,)).error

    assert isinstance(error, ProviderError)
    assert ("anthropic", ANTHROPIC.name, 503, 2) == (error.provider, error.model, error.status_code, error.attempts)
    assert ("openai/gpt-4o-mini", f"anthropic/{ANTHROPIC.name}") == error.tried
    assert f"failed after 2 attempts (openai/gpt-4o-mini, anthropic/{ANTHROPIC.name})" in str(error)
    assert "litellm.exceptions" == type(error.__cause__).__module__
    assert refused(error.error_type, 503, attempts=2) == books.only


# --- what failed ----------------------------------------------------------------------------------------------


@asked_by(providers=("openai", "gemini"), entrances=(ROUTER,))
def test_a_provider_that_hangs_leaves_time_for_another(caller, simulator, books):
    """It gets its share of the deadline; its input may be billed."""
    simulator.script(Hang(), when=at(caller.model))
    simulator.script(ANSWER, when=at(ANTHROPIC))

    got = caller.ask(fallbacks=(ANTHROPIC.litellm_name,), timeout_s=DEADLINE_S)

    lost, cost = caller.model.cost(9, 0), ANTHROPIC.cost(18, 3)
    assert (None, "Hello there!") == (got.error, got.text)
    assert success(27, 3, lost + cost, attempts=2, is_estimated=True) == books.only
    assert [lost, cost] == [cost for *_, cost in attempts_of(books)]
    assert lost == round(books.metric(semconv.WASTED_COST, reason="retry", model=caller.model.name) * 1e9)


@both_streams
def test_a_stream_that_hangs_before_its_first_chunk(caller, simulator, books):
    """Headers are no answer."""
    simulator.script(Hang(after_chunks=0), when=at(OPENAI))
    simulator.script(ANSWER, when=at(ANTHROPIC))

    got = caller.ask(fallbacks=(ANTHROPIC.litellm_name,), timeout_s=DEADLINE_S)

    assert (None, "Hello there!") == (got.error, got.text)
    assert 2 == books.only.attempts


@both_streams
def test_a_stream_that_is_cut_before_its_first_chunk(caller, simulator, books):
    """Its consumer has seen nothing yet."""
    simulator.script(Break(0, how="reset"), ANSWER)

    got = caller.ask(fallbacks=(ANTHROPIC.litellm_name,))

    assert (None, "Hello there!") == (got.error, got.text)
    assert success(27, 3, OPENAI.cost(9, 0) + ANTHROPIC.cost(18, 3), attempts=2, is_estimated=True) == books.only


@both_streams
@pytest.mark.parametrize(
    "behaviour", [Break(2, reply=LONG_ANSWER), StreamError(2, reply=LONG_ANSWER)], ids=["cut", "error"]
)
def test_a_stream_that_is_cut_after_its_first_chunk(caller, behaviour, simulator, books):
    """Its consumer has seen the beginning, and gets the error; what came is booked."""
    simulator.script(behaviour)

    got = caller.ask(fallbacks=(ANTHROPIC.litellm_name,), max_retries=2)

    assert isinstance(got.error, ProviderError)
    assert "Hello there" in got.text
    assert [OPENAI.name] == asked(simulator)
    assert ("error", 1, True) == (books.only.outcome, books.only.attempts, books.only.cost_nano > OPENAI.cost(9, 0))


@asked_by(providers=("openai",), entrances=(ROUTER,), is_stream=False)
def test_a_plain_answer_that_is_cut(caller, simulator, books):
    """It may be billed, and another answers."""
    simulator.script(Break(), ANSWER)

    got = caller.ask(fallbacks=(ANTHROPIC.litellm_name,))

    assert "Hello there!" == got.text
    assert success(27, 3, OPENAI.cost(9, 0) + ANTHROPIC.cost(18, 3), attempts=2, is_estimated=True) == books.only


@asked_by(providers=("openai",), entrances=(ROUTER,), is_stream=False)
def test_an_answer_that_nobody_can_read_is_not_asked_for_again(caller, simulator, books):
    """The provider did answer, and was paid for it: what it sends is for a person to look at."""
    simulator.script(GARBAGE_JSON)

    got = caller.ask(fallbacks=(ANTHROPIC.litellm_name,))

    assert isinstance(got.error, ProviderError)
    assert [OPENAI.name] == asked(simulator)


@four_forms
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_what_no_other_model_can_help_ends_it(caller, status, simulator):
    """A bad request, a bad key: falling back would hide it, and cost more."""
    simulator.script(Fail(status))

    error = caller.ask(fallbacks=(ANTHROPIC.litellm_name,), max_retries=2).error

    assert (1, status) == (error.attempts, error.status_code)
    assert [OPENAI.name] == asked(simulator)


@four_forms
@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_fallback_that_cannot_serve_hands_on(caller, status, simulator, books):
    """It has no key, or does not know its model: the next one is asked."""
    simulator.script(Fail(500), Fail(status), ANSWER)

    got = caller.ask(fallbacks=(ANTHROPIC.litellm_name, GEMINI.litellm_name))

    assert (None, "Hello there!") == (got.error, got.text)
    assert [OPENAI.name, ANTHROPIC.name, GEMINI.name] == asked(simulator)
    assert success(18, 3, GEMINI.cost(18, 3), attempts=3) == books.only


# --- what another kind of model can help ----------------------------------------------------------------------


@asked_by(providers=tuple(TOO_LONG), entrances=(ROUTER,))
def test_a_request_that_is_too_long_goes_to_models_with_more_room(caller, simulator, books):
    """To those that were named for it, and to no other."""
    other = NEXT[caller.provider]
    simulator.script(TOO_LONG[caller.provider], ANSWER)

    got = caller.ask(context_window_fallbacks=(other.litellm_name,), fallbacks=(OLLAMA.litellm_name,))

    assert (None, "Hello there!") == (got.error, got.text)
    assert [caller.model.name, other.name] == asked(simulator)
    assert ["first", "fallback"] == [reason for _, _, reason, _ in attempts_of(books)]


@asked_by(providers=tuple(NOT_WANTED), entrances=(ROUTER,))
def test_a_request_that_is_not_wanted_goes_to_models_that_may_want_it(caller, simulator):
    """As one that is too long."""
    other = NEXT[caller.provider]
    simulator.script(NOT_WANTED[caller.provider], ANSWER)

    got = caller.ask(content_policy_fallbacks=(other.litellm_name,), context_window_fallbacks=(OLLAMA.litellm_name,))

    assert (None, "Hello there!") == (got.error, got.text)
    assert [caller.model.name, other.name] == asked(simulator)


@four_forms
@pytest.mark.parametrize("failure", [TOO_LONG["openai"], NOT_WANTED["openai"]], ids=["too long", "not wanted"])
def test_other_fallbacks_are_not_for_that(caller, failure, simulator):
    """Nobody said that they are any better at it."""
    simulator.script(failure)

    error = caller.ask(fallbacks=(ANTHROPIC.litellm_name,), max_retries=2).error

    assert (1, 400) == (error.attempts, error.status_code)
    assert [OPENAI.name] == asked(simulator)


# --- parameters -----------------------------------------------------------------------------------------------


@four_forms
def test_hints_that_a_fallback_does_not_take_are_left_out(caller, simulator):
    """Better an answer without a seed than none; the first is asked for all of it."""
    simulator.script(Fail(500), ANSWER)

    got = caller.ask(
        fallbacks=(ANTHROPIC.litellm_name,), seed=7, frequency_penalty=0.5, temperature=0.2, service_tier="auto"
    )

    first, other = (request.body for request in simulator.requests)
    assert (None, "Hello there!") == (got.error, got.text)
    assert (7, 0.5, "auto") == (first["seed"], first["frequency_penalty"], first["service_tier"])
    assert 0.2 == other["temperature"]
    assert set() == {"seed", "frequency_penalty", "service_tier"} & other.keys()


@four_forms
def test_what_the_caller_relies_on_is_not_left_out(caller, simulator, books):
    """Who wants two answers is not served by one: that fallback is passed by, and nothing is sent to it."""
    simulator.script(Fail(500), Reply(("one", "two")))

    got = caller.ask(fallbacks=(ANTHROPIC.litellm_name, GEMINI.litellm_name), n=2, seed=7)

    assert None is got.error
    assert [OPENAI.name, GEMINI.name] == asked(simulator)
    assert 2 == simulator.requests[1].body["generationConfig"]["candidate_count"]
    assert ["error", "success"] == [outcome for _, outcome, _, _ in attempts_of(books)]


def test_address_and_key_stay_with_their_provider(simulator, monkeypatch):
    """What was configured for one is not told to another."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "of-anthropic")
    simulator.script(Fail(500), ANSWER)

    config = LLMConfig(
        model=OPENAI.name,
        api_key="of-openai",
        api_base=simulator.api_base("openai"),
        extra={"extra_headers": {"x-of-openai": "of-openai"}, "organization": "of-openai"},
        fallbacks=(ANTHROPIC.litellm_name,),
        max_retries=0,
    )
    LLMRouter().complete(HELLO, config)

    first, other = simulator.requests
    assert "Bearer of-openai" == first.headers["authorization"]
    assert ("of-anthropic", False) == (other.headers["x-api-key"], "of-openai" in str(other.headers))


# --- cancelled, closed, dropped -------------------------------------------------------------------------------


@asked_by(providers=("openai",), entrances=(ROUTER,), is_async=True)
def test_a_task_cancelled_while_a_fallback_is_asked(caller, simulator, books, run):
    """Both are in the books: the failure, and the request that may be billed."""
    simulator.script(Fail(500), Hang())

    async def main():
        task = asyncio.ensure_future(caller.aask(fallbacks=(ANTHROPIC.litellm_name,)))
        await asyncio.to_thread(simulator.wait_for_requests, 2)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    with traced_llm("work"):
        assert run(main())

    assert billed("cancelled", "CancelledError", (9, 0), ANTHROPIC.cost(9, 0), attempts=2) == books.only
    assert [(OPENAI.name, "error"), (ANTHROPIC.name, "cancelled")] == [each[:2] for each in attempts_of(books)]


@asked_by(providers=("openai",), entrances=(ROUTER,), is_async=True, is_stream=False)
def test_a_time_out_of_the_callers_own(caller, simulator, books, run):
    """`asyncio.timeout` around the call is theirs: it is a cancel, and no reason to ask another."""
    simulator.script(Hang())

    async def main():
        async with asyncio.timeout(0.2):
            await caller.aask(fallbacks=(ANTHROPIC.litellm_name,), timeout_s=30.0)

    with pytest.raises(TimeoutError):
        run(main())

    assert billed("cancelled", "CancelledError", (9, 0), OPENAI.cost(9, 0)) == books.only
    assert [OPENAI.name] == asked(simulator)


@asked_by(providers=("openai",), entrances=(ROUTER,), is_async=False, is_stream=True)
@pytest.mark.parametrize("how", ["closed", "dropped"])
def test_a_stream_of_a_fallback_that_nobody_reads_on(caller, how, simulator, books):
    """What was received is booked, at the model that it came from."""
    simulator.script(Fail(500), Hang(after_chunks=1, reply=LONG_ANSWER))

    stream = caller.stream(fallbacks=(ANTHROPIC.litellm_name,))
    while not text_of(next(stream)):
        pass
    if how == "closed":
        stream.close()
        assert ("anthropic", ANTHROPIC.name) == (stream.response.provider, stream.response.model)
    del stream
    # Also the cycles that are left of what was finalized.
    for _ in range(3):
        gc.collect()

    assert billed("abandoned", None, (18, 3), ANTHROPIC.cost(18, 3), attempts=2).outcome == books.only.outcome
    assert (2, "abandoned", ANTHROPIC.name) == (books.only.attempts, *attempts_of(books)[1][1::-1])
    assert books.only.cost_nano == round(books.metric(semconv.COST, model=ANTHROPIC.name) * 1e9) > 0


@asked_by(providers=("openai",), entrances=(ROUTER,), is_async=True, is_stream=True)
def test_an_async_stream_of_a_fallback_that_is_closed(caller, simulator, books, run):
    """As a sync one."""
    simulator.script(Fail(500), Hang(after_chunks=1, reply=LONG_ANSWER))

    async def main():
        stream = await caller.astream(fallbacks=(ANTHROPIC.litellm_name,))
        async for chunk in stream:
            if text_of(chunk):
                break
        await stream.aclose()

    run(main())

    assert ("abandoned", 2) == (books.only.outcome, books.only.attempts)
    assert books.only.cost_nano == round(books.metric(semconv.COST, model=ANTHROPIC.name) * 1e9) > 0


# --- budgets --------------------------------------------------------------------------------------------------


@four_forms
def test_each_request_is_held_and_settled_where_it_goes(caller, simulator, books, use, registry):
    """A budget for each model knows the cost of each; the hang may be billed, and is."""
    runtime = use(
        registry, budgets=[lifetime(1), lifetime(1, "each", by="model"), lifetime(1, "theirs", by="provider")]
    )
    simulator.script(Hang(), when=at(OPENAI))
    simulator.script(ANSWER, when=at(ANTHROPIC))

    got = caller.ask(fallbacks=(ANTHROPIC.litellm_name,), timeout_s=DEADLINE_S)

    lost, cost = OPENAI.cost(9, 0), ANTHROPIC.cost(18, 3)
    assert None is got.error
    assert {"": lost + cost} == spent(runtime, "all")
    assert {OPENAI.name: lost, ANTHROPIC.name: cost} == spent(runtime, "each")
    assert {"openai": lost, "anthropic": cost} == spent(runtime, "theirs")
    assert 0 == sum(status.held_usd for status in runtime.enforcer.statuses())


@four_forms
def test_a_fallback_that_a_budget_refuses_is_passed_by(caller, simulator, books, use, registry):
    """The next one is asked; the refusal is no failure of the call."""
    runtime = use(registry, budgets=[lifetime("0.000001", "claude", match={"provider": "anthropic"}), lifetime(1)])
    simulator.script(Fail(500), ANSWER)

    got = caller.ask(fallbacks=(ANTHROPIC.litellm_name, GEMINI.litellm_name), max_tokens=50)

    assert (None, "Hello there!") == (got.error, got.text)
    assert [OPENAI.name, GEMINI.name] == asked(simulator)
    assert success(18, 3, GEMINI.cost(18, 3), attempts=2) == books.only
    assert {} == spent(runtime, "claude")


@four_forms
def test_where_a_budget_refuses_every_fallback_the_failure_is_told(caller, simulator, books, use, registry):
    """What went wrong is the provider's: the budget was asked only because of it."""
    use(registry, budgets=[lifetime("0.000001", "claude", match={"provider": "anthropic"})])
    simulator.script(Fail(500))

    error = caller.ask(fallbacks=(ANTHROPIC.litellm_name,), max_tokens=50).error

    assert isinstance(error, ProviderError)
    assert ("openai", 500, 1) == (error.provider, error.status_code, error.attempts)
    assert "litellm.exceptions" == type(error.__cause__).__module__
    assert refused(error.error_type, 500) == books.only


@four_forms
def test_then_the_first_is_asked_again_where_it_may(caller, simulator, books, use, registry):
    """Fallbacks that are refused take no retry away."""
    use(registry, budgets=[lifetime("0.000001", "claude", match={"provider": "anthropic"})])
    simulator.script(Fail(500), ANSWER)

    got = caller.ask(fallbacks=(ANTHROPIC.litellm_name,), max_tokens=50, max_retries=1)

    assert (None, "Hello there!") == (got.error, got.text)
    assert [OPENAI.name, OPENAI.name] == asked(simulator)
    assert ["first", "retry"] == [reason for _, _, reason, _ in attempts_of(books)]


@four_forms
def test_a_refusal_of_the_first_choice_is_final(caller, simulator, books, use, registry):
    """A budget is no outage to be routed around."""
    use(registry, budgets=[lifetime("0.000001", "gpt", match={"provider": "openai"})])

    error = caller.ask(fallbacks=(ANTHROPIC.litellm_name,), max_tokens=50).error

    assert isinstance(error, BudgetExceededError)
    assert "gpt" == error.budget
    assert () == simulator.requests
    assert "denied" == books.only.outcome


@four_forms
def test_a_retry_that_the_budget_no_longer_pays_for(caller, simulator, books, use, registry):
    """The lost request has used it up: the refusal is what the caller sees, and the loss is booked."""
    worst = OPENAI.cost(60, 50)
    runtime = use(registry, budgets=[lifetime(Decimal(worst).scaleb(-9))])
    simulator.script(Break(0, how="reset"), repeat=True)

    error = caller.ask(max_tokens=50, max_retries=9).error

    assert isinstance(error, BudgetExceededError)
    assert 1 < books.only.attempts == len(simulator.requests) < 10
    assert {"": books.only.attempts * OPENAI.cost(9, 0)} == spent(runtime, "all")
    assert "denied" == books.only.outcome


@four_forms
def test_a_fallback_may_be_downgraded(caller, simulator, books, use, registry):
    """The budget of its provider has a cheaper model taken, as for a first choice."""
    cheaper = "claude-3-haiku-20240307"
    use(registry, budgets=[
        lifetime("0.001", "claude", match={"provider": "anthropic"}, on_exceeded="downgrade",
                 downgrade_to=(f"anthropic/{cheaper}",)),
    ])  # fmt: skip
    simulator.script(Fail(500), ANSWER)

    got = caller.ask(fallbacks=("anthropic/claude-3-opus-20240229",), max_tokens=500)

    assert None is got.error
    assert [OPENAI.name, cheaper] == asked(simulator)
    assert success(18, 3, ANTHROPIC.cost(18, 3), attempts=2) == books.only
    assert ("anthropic", cheaper) == (got.result.decision.provider, got.result.decision.model)
    assert ("claude", cheaper) == (
        books.said(semconv.BUDGET_DOWNGRADED_FOR),
        books.said(semconv.BUDGET_DOWNGRADED_TO),
    )
