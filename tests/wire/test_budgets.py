"""Budgets over real HTTP, by every entrance: refused before anything is sent, held while in flight, settled exactly."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal

import pytest

import llm_otel
from llm_otel import Budget, BudgetExceededError, LLMConfig, LLMRouter, semconv, traced_llm
from llm_otel.demo.simulator import Fail, Hang, Reply
from tests.wire.callers import HELLO, PLAIN, ROUTER, asked_by

REPLY = Reply("Hello there, how can I help you today?", input_tokens=9, output_tokens=9)
OUTPUT_LIMITS = {
    "openai": lambda body: body.get("max_tokens") or body.get("max_completion_tokens"),
    "anthropic": lambda body: body.get("max_tokens"),
    "gemini": lambda body: body.get("generationConfig", {}).get("max_output_tokens"),
    "ollama": lambda body: body.get("options", {}).get("num_predict"),
}
PAID = ("openai", "anthropic", "gemini")


def lifetime(limit_usd, name="all", **more):
    """Return a budget without end."""
    return Budget(name, limit_usd=limit_usd, window="lifetime", **more)


def standing(runtime, name="all"):
    """Return (spent, held) in nano-USD of a budget that is not split."""
    (status,) = [each for each in runtime.enforcer.statuses() if each.budget.id == name]
    return int(status.spent_usd * 10**9), int(status.held_usd * 10**9)


# --- at the limit ---------------------------------------------------------------------------------------------


@asked_by(providers=PAID)
def test_what_does_not_fit_is_refused_before_it_is_sent(caller, simulator, books, use, registry):
    """The caller gets the numbers, the provider gets nothing, and nothing stays held."""
    runtime = use(registry, budgets=[lifetime("0.0000001")])

    error = caller.ask().error

    assert isinstance(error, BudgetExceededError)
    assert ("too_large", "all", "", "lifetime") == (error.kind, error.budget, error.scope, error.window)
    assert (Decimal("1E-7"), 0, 0) == (error.limit_usd, error.spent_usd or 0, error.held_usd or 0)
    assert error.requested_usd > error.limit_usd
    assert () == simulator.requests
    assert (0, 0) == standing(runtime)
    assert ("denied", "ERROR", "budget_exceeded") == (books.only.outcome, books.only.status, books.only.error_type)
    assert ("all", None, "too_large") == tuple(
        books.said(name) for name in (semconv.BUDGET_DENIED_BY, semconv.BUDGET_DENIED_SCOPE, semconv.BUDGET_DENIAL_KIND)
    )
    assert 1 == books.metric(semconv.BUDGET_DENIALS, budget="all", reason="too_large")
    assert 1 == books.metric(semconv.REQUESTS, outcome="denied")


@asked_by(providers=PAID)
def test_what_fits_is_settled_to_its_cost(caller, simulator, books, use, registry):
    """While it is in flight its estimate is held; afterwards the spend is the span's cost, to the nano-dollar."""
    runtime = use(registry, budgets=[lifetime(1), lifetime(2, name="by-team", by="team")])
    simulator.script(REPLY)

    got = caller.ask(max_tokens=50)

    assert got.error is None
    assert (caller.model.cost(9, 9), 0) == standing(runtime)
    assert caller.model.cost(9, 9) == books.only.cost_nano
    assert ("all", "by-team") == books.said(semconv.BUDGET_IDS)
    assert books.said(semconv.BUDGET_HELD_NANO_USD) > caller.model.cost(9, 9)
    assert books.said(semconv.ESTIMATE_EXCEEDED) is None
    assert books.only.cost_nano / 1e9 == books.metric(semconv.BUDGET_SPEND, budget="all")
    assert books.only.cost_nano / 1e9 == books.metric(semconv.BUDGET_SPEND, budget="by-team", scope="search")
    assert books.only.cost_nano / 1e9 == books.metric(semconv.BUDGET_SPENT, budget="by-team", scope="search")
    assert 2 == books.metric(semconv.BUDGET_LIMIT, budget="by-team")


@asked_by(providers=PAID)
def test_the_next_call_sees_what_the_last_one_spent(caller, simulator, use, registry):
    """Of two that would fit one by one, the second is refused, and says when that ends: never."""
    cost = caller.model.cost(9, 9)
    runtime = use(registry, budgets=[lifetime(Decimal(caller.model.cost(60, 50)).scaleb(-9))])
    simulator.script(REPLY, REPLY)

    while caller.ask(max_tokens=50).error is None:
        simulator.script(REPLY)
        assert len(simulator.requests) < 50
    error = caller.ask(max_tokens=50).error

    assert isinstance(error, BudgetExceededError)
    assert ("exhausted", None, None) == (error.kind, error.resets_at, error.retry_after_s)
    assert cost * len(simulator.requests) == standing(runtime)[0]


@asked_by()
def test_an_output_limit_is_sent_where_a_hard_budget_needs_one(caller, simulator, books, use, registry):
    """Without it the estimate would bound nothing. What costs nothing needs no bound."""
    use(registry, budgets=[lifetime(1)], default_max_tokens=77)
    simulator.script(REPLY)

    caller.ask()

    is_free = caller.provider == "ollama"
    assert (None if is_free else 77) == OUTPUT_LIMITS[caller.provider](simulator.requests[-1].body)
    assert (None if is_free else True) == books.said(semconv.MAX_TOKENS_DEFAULTED)
    assert (None if is_free else 77) == books.said(semconv.GEN_AI_REQUEST_MAX_TOKENS)


@asked_by(providers=("openai", "gemini", "ollama"))
def test_without_a_hard_budget_the_request_is_untouched(caller, simulator, books, use, registry):
    """A soft budget counts and alerts; it changes nothing."""
    runtime = use(registry, budgets=[lifetime("0.000000001", kind="soft")])
    simulator.script(REPLY)

    assert caller.ask().error is None

    assert OUTPUT_LIMITS[caller.provider](simulator.requests[-1].body) is None
    assert (caller.model.cost(9, 9), 0) == standing(runtime)


@asked_by(providers=("openai",))
def test_an_output_limit_is_lowered_to_what_is_affordable(caller, simulator, books, use, registry):
    """`on_tight="clip"`: the highest limit that fits, and said so."""
    runtime = use(registry, budgets=[lifetime("0.00005", on_tight="clip")])
    simulator.script(REPLY)

    got = caller.ask(max_tokens=4000)

    assert got.error is None
    sent = OUTPUT_LIMITS["openai"](simulator.requests[-1].body)
    assert 16 <= sent < 80
    assert True is books.said(semconv.MAX_TOKENS_CLIPPED)
    assert sent == books.said(semconv.GEN_AI_REQUEST_MAX_TOKENS)
    assert 50_000 - 600 < books.said(semconv.BUDGET_HELD_NANO_USD) <= 50_000
    assert (caller.model.cost(9, 9), 0) == standing(runtime)


@asked_by(providers=("openai",), entrances=(ROUTER,))
def test_a_cheaper_model_is_taken_where_the_budget_says_so(caller, simulator, books, use, registry):
    """It is sent, priced and counted as itself; span, response and counter say why."""
    use(registry, budgets=[lifetime("0.001", on_exceeded="downgrade", downgrade_to=("gpt-4o-mini",))])
    simulator.script(REPLY)

    got = caller.ask(model="gpt-4o", max_tokens=500)

    assert got.error is None
    assert "gpt-4o-mini" == simulator.requests[-1].body["model"]
    assert caller.model.cost(9, 9) == books.only.cost_nano
    assert ("all", "gpt-4o-mini") == (
        books.said(semconv.BUDGET_DOWNGRADED_FOR),
        books.said(semconv.BUDGET_DOWNGRADED_TO),
    )
    assert ("budget_downgrade:all", "gpt-4o-mini") == (got.result.decision.reason_codes[0], got.result.decision.model)
    assert 1 == books.metric(semconv.BUDGET_DOWNGRADES, budget="all")
    saved_nano = 9 * 2_500 + 9 * 10_000 - caller.model.cost(9, 9)
    assert saved_nano / 1e9 == pytest.approx(books.metric(semconv.SAVED, reason="downgrade"))


@asked_by(providers=("openai",), entrances=(PLAIN,), is_stream=False)
def test_a_plain_call_keeps_its_model(caller, simulator, use, registry):
    """LiteLLM's callers get what they asked for, or a refusal."""
    use(registry, budgets=[lifetime("0.001", on_exceeded="downgrade", downgrade_to=("gpt-4o-mini",))])

    error = caller.ask(model="openai/gpt-4o", max_tokens=500).error

    assert isinstance(error, BudgetExceededError)
    assert () == simulator.requests


# --- waiting --------------------------------------------------------------------------------------------------


@asked_by(providers=("openai",), entrances=(ROUTER,), is_async=False, is_stream=False)
def test_a_call_waits_for_one_in_flight(caller, simulator, use, registry, monkeypatch):
    """`on_exceeded="wait"`: what is held comes back, and the call goes on without an error."""
    runtime = use(registry, budgets=[lifetime("0.00005", on_exceeded="wait", wait_s=30)])
    simulator.script(Hang(reply=REPLY), REPLY)
    first = threading.Thread(target=caller.ask, kwargs={"max_tokens": 50})
    first.start()
    simulator.wait_for_requests()
    pauses = []
    monkeypatch.setattr(
        runtime.instruments.clock, "sleep", lambda seconds: (pauses.append(seconds), simulator.hang_up())
    )

    got = caller.ask(max_tokens=50)
    first.join()

    assert got.error is None
    assert pauses
    assert 0 == standing(runtime)[1]


@asked_by(providers=("openai",), is_async=True, is_stream=False)
def test_who_is_cancelled_while_waiting_leaves_nothing_held(caller, simulator, use, registry, run, monkeypatch):
    """It had nothing yet, and has asked the provider for nothing."""
    runtime = use(registry, budgets=[lifetime("0.00005", on_exceeded="wait", wait_s=30)])
    simulator.script(Hang(reply=REPLY))

    async def main():
        waits = asyncio.Event()

        async def asleep(seconds):
            waits.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(runtime.instruments.clock, "asleep", asleep)
        with traced_llm("work"):
            first = asyncio.create_task(caller.aask(max_tokens=50))
            await asyncio.to_thread(simulator.wait_for_requests)
            second = asyncio.create_task(caller.aask(max_tokens=50))
            await waits.wait()
            second.cancel()
            await asyncio.wait([second])
            assert standing(runtime)[1] > 0
            first.cancel()
            await asyncio.wait([first])

    run(main())

    assert 0 == standing(runtime)[1]
    assert 1 == len(simulator.requests)


# --- attempts, runs, unknown prices ---------------------------------------------------------------------------


@asked_by(providers=("openai",), entrances=(ROUTER,))
def test_every_attempt_is_held_and_settled_on_its_own(caller, simulator, books, use, registry):
    """One that failed by status costs nothing, and gives back what it held."""
    runtime = use(registry, budgets=[lifetime("0.00005")])
    simulator.script(Fail(500), Fail(500), REPLY)

    got = caller.ask(max_tokens=50, max_retries=2)

    assert got.error is None
    assert 3 == books.only.attempts
    assert (caller.model.cost(9, 9), 0) == standing(runtime)


@asked_by(providers=("openai",))
def test_a_run_has_a_budget_of_its_own(caller, simulator, use, registry):
    """Runs inside inherit what is left of it, whatever their own."""
    use(registry)
    simulator.script(REPLY, REPLY)
    limit = Decimal(caller.model.cost(60, 50)).scaleb(-9)

    with traced_llm("outer", budget_usd=limit) as outer:
        first = caller.ask(max_tokens=50)
        with traced_llm("inner run", budget_usd=5):
            errors = [caller.ask(max_tokens=50).error for _ in range(20)]

    assert first.error is None
    refused = [each for each in errors if each is not None]
    assert refused
    assert {("outer", limit)} == {(each.budget, each.limit_usd) for each in refused}
    assert 21 == outer.calls
    assert outer.cost_usd <= limit


@asked_by(providers=("openai",), entrances=(ROUTER,), is_stream=False)
@pytest.mark.parametrize(("policy", "is_sent"), [("deny", False), ("allow", True), ("estimate", True)])
def test_an_unknown_price_follows_the_policy(caller, simulator, use, registry, policy, is_sent):
    """Refused, let through uncounted, or held and booked at the dearest price of the provider."""
    runtime = use(registry, budgets=[lifetime(10, on_unknown_price=policy)])
    simulator.script(REPLY)

    error = caller.ask(model="gpt-unheard-of", max_tokens=10).error

    assert is_sent == (error is None)
    assert is_sent == bool(simulator.requests)
    spent, held = standing(runtime)
    assert (policy == "estimate", 0) == (spent > 0, held)
    if not is_sent:
        assert ("unknown_price", None) == (error.kind, error.requested_usd)


def test_a_response_that_was_made_without_us_is_booked(simulator, use, registry):
    """The money is spent: no budget refuses it any more, and the ledger knows."""
    runtime = use(registry, budgets=[lifetime("0.000000001")])
    usage = {"prompt_tokens": 9, "completion_tokens": 9}
    choices = [{"finish_reason": "stop", "message": {"content": "Hello"}}]
    response = {"id": "chatcmpl-1", "model": "gpt-4o-mini", "usage": usage, "choices": choices}

    @traced_llm
    def answer():
        return response

    answer()

    assert (9 * 150 + 9 * 600, 0) == standing(runtime)


# --- alerts ---------------------------------------------------------------------------------------------------


@asked_by(providers=("openai",))
def test_a_threshold_is_announced_once(caller, simulator, books, use, registry, caplog):
    """By a callback, an event on the span of the call that reached it, and a line of the log."""
    told = []
    cost = caller.model.cost(9, 9)
    budget = lifetime(Decimal(cost * 2).scaleb(-9), kind="soft", alerts=(0.5, 1.0))
    use(registry, budgets=[budget], on_budget_alert=told.append)
    simulator.script(REPLY, REPLY, REPLY)

    for _ in range(3):
        caller.ask(max_tokens=50)

    assert [("all", 0.5), ("all", 1.0)] == [(each.budget, each.fraction) for each in told]
    assert [1, 1, 0] == [len(span.events) for span in books.calls]
    event = books.calls[0].events[0]
    assert semconv.EVENT_BUDGET_ALERT == event.name
    assert 0.5 == event.attributes[semconv.ALERT_FRACTION]
    assert 2 == sum("llm_otel.budget_alert" in line for line in caplog.messages)


def test_a_callback_that_fails_breaks_nothing(simulator, use, registry):
    """It is counted; the caller has the answer."""

    def fail(alert):
        raise RuntimeError("no")

    runtime = use(registry, strict=False, budgets=[lifetime("0.000000001", kind="soft")], on_budget_alert=fail)
    simulator.script(REPLY)

    response = LLMRouter().complete(HELLO, LLMConfig(model="gpt-4o-mini"))

    assert "Hello" in response.content
    errors = runtime.metrics_registry().get_sample_value(
        semconv.INTERNAL_ERRORS.prometheus_name, {"recorder": "on_budget_alert"}
    )
    assert 1 == errors


def test_budgets_are_public():
    """What users write down."""
    assert llm_otel.Budget is Budget
