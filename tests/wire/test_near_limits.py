"""Near a limit over real HTTP: cheaper models when a budget is nearly used up, and the most that one call may cost."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_otel import Budget, BudgetExceededError, LLMConfig, LLMRouter, NoModelError, ProviderError, semconv
from llm_otel.budgets.ledger import Settlement
from llm_otel.demo.books import price_bill
from llm_otel.demo.simulator import Break, Fail, Reply
from tests.stores.redis_server import running
from tests.wire.callers import HELLO, MODELS, ROUTER, asked_by

ANSWER = Reply("Hello there!", input_tokens=18, output_tokens=3)
HAIKU, SONNET = "claude-3-haiku-20240307", "claude-sonnet-4-5"
FOUR = ("gpt-4o", "gpt-4o-mini", HAIKU, SONNET)
COST = {"gpt-4o": 18 * 2_500 + 3 * 10_000, "gpt-4o-mini": 18 * 150 + 3 * 600, SONNET: 18 * 3_000 + 3 * 15_000}
"""Of `ANSWER`, in nano-USD: the list prices of the providers, checked 2026-11-22."""
LIMIT_USD = 1_000
WORK = {"model": SONNET, "provider": None, "capability": "complex", "quality_floor": "moderate", "allow_models": FOUR}
"""`gpt-4o` is the next cheaper that is as good, `gpt-4o-mini` the cheapest that meets the floor."""

four_forms = asked_by(providers=("openai",), entrances=(ROUTER,))
whole = asked_by(providers=("openai",), entrances=(ROUTER,), is_stream=False)


@pytest.fixture(autouse=True)
def _no_local_models(simulator, monkeypatch):
    """What costs nothing would win every time."""
    monkeypatch.delenv("OLLAMA_API_BASE")


@pytest.fixture(scope="module")
def redis_server():
    """A server that keeps nothing."""
    with running() as server:
        yield server


@pytest.fixture
def ledger(request, tmp_path):
    """The address of the ledger that a test is parametrized with."""
    if request.param == "redis":
        server = request.getfixturevalue("redis_server")
        server.admin.flushall()
        return server.url
    return {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/spend.db"}[request.param]


all_ledgers = pytest.mark.parametrize("ledger", ["memory", "sqlite", "redis"], indirect=True)


def budget(name="all", **more):
    """Return a budget without end."""
    return Budget(name, **{"limit_usd": LIMIT_USD, "window": "lifetime"} | more)


def spend(runtime, share, *, model=("openai", "gpt-4o"), tags=None, limit_usd=LIMIT_USD):
    """Let another call to a model have spent a share of the limit."""
    provider, name = model
    matched = runtime.enforcer.budgets.match(tags or {"team": "search"}, provider=provider, model=name, now_s=0)
    runtime.enforcer.store.settle(Settlement(f"{share} {name}", int(limit_usd * 10**9 * share), matched.lines))


def asked(simulator):
    """Return the models that got a request, in that order."""
    return [request.model for request in simulator.requests]


# --- cheaper when a budget is nearly used up --------------------------------------------------------------------


@four_forms
@pytest.mark.parametrize(
    ("share", "taken"),
    [
        (0.79, (SONNET, None)),
        (0.80, ("gpt-4o", "budget_near:all")),
        (0.94, ("gpt-4o", "budget_near:all")),
        (0.95, ("gpt-4o-mini", "budget_critical:all")),
    ],
)
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_a_budget_that_is_nearly_used_up(caller, share, taken, kind, simulator, books, use, registry):
    """A cheaper model is sent; decision, span and metric say why, instead of what, and what it saves."""
    model, code = taken
    spend(use(registry, budgets=[budget(kind=kind)]), share)
    simulator.script(ANSWER)

    got = caller.ask(**WORK, max_tokens=50)

    assert got.error is None
    assert [model] == asked(simulator)
    decision = got.result.decision
    is_changed = code is not None
    assert (code or "explicit_model") == decision.reason_codes[0]
    assert (SONNET if is_changed else None) == decision.original_model == books.said(semconv.ROUTE_ORIGINAL_MODEL)
    saved = books.said(semconv.ROUTE_ESTIMATED_SAVED_USD)
    assert saved == (float(decision.estimated_saved_usd) if is_changed else None)
    assert f"chat {model}" == books.call.name
    by_downgrade = round(books.metric(semconv.SAVED, reason=semconv.SAVED_BY_DOWNGRADE) * 1e9)
    assert COST[SONNET] - COST[model] == by_downgrade
    assert 0 == books.metric(semconv.BUDGET_DOWNGRADES)


@all_ledgers
@whole
@pytest.mark.parametrize(("share", "model"), [(0.79, SONNET), (0.80, "gpt-4o"), (0.95, "gpt-4o-mini")])
def test_in_every_ledger(caller, share, model, ledger, simulator, use, registry):
    """It is read from where the spend of all processes is."""
    spend(use(registry, budgets=[budget()], ledger=ledger), share)

    decision = LLMRouter().route(HELLO, caller.config(**WORK), tags={"team": "search"})

    assert None is caller.ask(**WORK, max_tokens=50).error
    assert [model] == [decision.model] == asked(simulator)


@all_ledgers
@four_forms
def test_what_is_used_up_is_refused(caller, ledger, simulator, use, registry):
    """The cheapest would be too dear for a hard budget; a soft one refuses nothing."""
    spend(use(registry, budgets=[budget()], ledger=ledger), 1)

    error = caller.ask(**WORK, max_tokens=50).error

    assert isinstance(error, BudgetExceededError)
    assert "exhausted" == error.kind
    assert () == simulator.requests


@four_forms
def test_a_choice_gives_way_too(caller, simulator, books, use, registry):
    """Not only a model that was named: never below the floor."""
    spend(use(registry, budgets=[budget()]), 0.96)
    simulator.script(ANSWER)

    got = caller.ask(**WORK | {"model": None}, max_tokens=50)

    assert ["gpt-4o-mini"] == asked(simulator)
    assert ("budget_critical:all", "gpt-4o") == (
        got.result.decision.reason_codes[0],
        got.result.decision.original_model,
    )
    saved = round(books.metric(semconv.SAVED, reason=semconv.SAVED_BY_DOWNGRADE) * 1e9)
    assert COST["gpt-4o"] - COST["gpt-4o-mini"] == saved


@four_forms
def test_nothing_goes_below_the_floor(caller, simulator, use, registry):
    """However full the budget is."""
    spend(use(registry, budgets=[budget()]), 0.99)

    caller.ask(**WORK | {"quality_floor": "complex"}, max_tokens=50)

    assert ["gpt-4o"] == asked(simulator)


@whole
def test_a_model_that_is_only_named_does_not_give_way(caller, simulator, use, registry):
    """Nobody said what would do instead."""
    spend(use(registry, budgets=[budget()]), 0.96)

    caller.ask(model="gpt-4o", max_tokens=50)

    assert ["gpt-4o"] == asked(simulator)


@whole
@pytest.mark.parametrize(("team", "model"), [("search", "gpt-4o"), ("growth", SONNET)])
def test_a_budget_that_is_split_by_team(caller, team, model, simulator, use, registry):
    """Only the team that is near its limit changes over. (`caller` is of the team search.)"""
    spend(use(registry, budgets=[budget("team", by="team")]), 0.9, tags={"team": team})

    caller.ask(**WORK, max_tokens=50)

    assert [model] == asked(simulator)


@whole
def test_a_budget_that_is_split_by_model(caller, simulator, use, registry):
    """The way out is a model whose own budget is not fuller."""
    runtime = use(registry, budgets=[budget("model", by="model")])
    spend(runtime, 0.96, model=("anthropic", SONNET))
    spend(runtime, 0.97, model=("openai", "gpt-4o-mini"))

    got = caller.ask(**WORK, max_tokens=50)

    assert [HAIKU] == asked(simulator)
    assert "budget_critical:model" == got.result.decision.reason_codes[0]


@whole
def test_when_it_begins_can_be_said(caller, simulator, use, registry):
    """For all calls of a runtime; 1 means never."""
    spend(use(registry, budgets=[budget()], prefer_cheaper_at=0.5, prefer_cheapest_at=1), 0.6)
    caller.ask(**WORK, max_tokens=50)
    spend(use(registry, budgets=[budget()], prefer_cheaper_at=1, prefer_cheapest_at=1), 0.99)
    caller.ask(**WORK, max_tokens=50)

    assert ["gpt-4o", SONNET] == asked(simulator)


@four_forms
def test_the_named_model_is_the_first_fallback_of_what_a_budget_took(caller, simulator, books, use, registry):
    """Its key is its own, and nothing is saved where it answers after all."""
    spend(use(registry, budgets=[budget()]), 0.85)
    simulator.script(Fail(503), ANSWER)

    got = caller.ask(**WORK, api_key="sk-of-anthropic", api_base=anthropic_of(simulator), max_tokens=50)

    assert got.error is None
    assert ["gpt-4o", SONNET] == asked(simulator)
    first, second = (request.headers for request in simulator.requests)
    assert "sk-of-anthropic" not in str(dict(first))
    assert "sk-of-anthropic" == second.get("x-api-key")
    assert 0 == books.metric(semconv.SAVED, reason=semconv.SAVED_BY_DOWNGRADE)


def anthropic_of(simulator):
    """Return the address of the one that is no secret, for the field of the configuration."""
    return simulator.env()["ANTHROPIC_API_BASE"]


def test_a_ledger_that_hangs_holds_nobody_up(redis_server, simulator, use, registry, run, tmp_path):
    """The call goes on as if no budget were known, in time, and the event loop goes on meanwhile."""
    redis_server.admin.flushall()
    use(registry, strict=False, budgets=[budget(kind="soft")], ledger=redis_server.url, journal=str(tmp_path))
    router = LLMRouter()
    options = WORK | {"provider": None, "max_tokens": 50, "max_retries": 0}

    async def main():
        await router.acomplete(HELLO, LLMConfig(**options))
        gaps, last = [], time.monotonic()
        with redis_server.frozen():
            call = asyncio.ensure_future(router.acomplete(HELLO, LLMConfig(**options)))
            while not call.done():
                await asyncio.wait([call], timeout=0.01)
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
            return await call, gaps

    response, gaps = run(main())

    assert SONNET == response.decision.model
    assert sum(gaps) < 2
    assert max(gaps) < 0.2


# --- the most that one call may cost ----------------------------------------------------------------------------


@four_forms
@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"model": "gpt-4o", "max_tokens": 50, "max_cost_usd": "0.0001"}, "too_large"),
        ({"model": "gpt-4o", "max_cost_usd": "0.01"}, "too_large"),
        ({"model": "gpt-4o", "max_cost_usd": 0}, "too_large"),
        ({"model": "openai/of-tomorrow", "max_tokens": 1, "max_cost_usd": 1_000}, "unknown_price"),
    ],
)
def test_what_may_cost_more_is_not_sent(caller, options, kind, simulator, books, use, registry):
    """With and without budgets; no budget's metric knows of it."""
    runtime = use(registry, budgets=[budget(on_unknown_price="allow")])

    error = caller.ask(**options, provider=None).error

    assert isinstance(error, BudgetExceededError)
    assert (kind, "max_cost_usd") == (error.kind, error.budget)
    assert "max_cost_usd" in str(error)
    assert () == simulator.requests
    assert ("denied", "ERROR") == (books.only.outcome, books.only.status)
    assert 0 == books.metric(semconv.BUDGET_DENIALS)
    (status,) = runtime.enforcer.statuses()
    assert (0, 0) == (status.spent_usd, status.held_usd)


@four_forms
def test_all_attempts_count_together(caller, simulator, use, registry):
    """What the first was billed leaves too little for another."""
    use(registry, budgets=[])
    options = {"model": "gpt-4o", "provider": None, "max_tokens": 50, "max_retries": 3}
    bound = caller.ask(**options, max_cost_usd=0).error.requested_usd
    simulator.script(Break(after_chunks=0), ANSWER)

    got = caller.ask(**options, max_cost_usd=bound)

    assert isinstance(got.error, BudgetExceededError)
    assert 1 == len(simulator.requests)
    assert 0 < got.error.spent_usd <= bound


@four_forms
def test_what_fails_for_nothing_leaves_all_of_it(caller, simulator, use, registry):
    """An error by status costs nothing, so a retry has as much."""
    use(registry, budgets=[])
    options = {"model": "gpt-4o", "provider": None, "max_tokens": 50, "max_retries": 1}
    bound = caller.ask(**options, max_cost_usd=0).error.requested_usd
    simulator.script(Fail(500), ANSWER)

    assert None is caller.ask(**options, max_cost_usd=bound).error


@four_forms
def test_a_fallback_that_may_cost_more_is_left_out(caller, simulator, use, registry):
    """The caller hears what the first failed of."""
    use(registry, budgets=[])
    simulator.script(Fail(503), ANSWER)

    error = caller.ask(max_tokens=50, fallbacks=("gpt-4o",), max_cost_usd="0.0001").error

    assert isinstance(error, ProviderError)
    assert ["gpt-4o-mini"] == asked(simulator)


@four_forms
def test_a_model_that_is_expected_to_cost_more_is_not_chosen(caller, simulator):
    """It is out like any other that cannot serve the request."""
    with_limit = {"model": None, "provider": None, "capability": "simple", "allow_models": FOUR, "max_tokens": 50}

    got = caller.ask(**with_limit, max_cost_usd="0.0001")

    assert ["gpt-4o-mini"] == asked(simulator)
    why_not = {each.model: each.why_not for each in got.result.decision.candidates}
    assert "max_cost_usd is $0.0001" in why_not["gpt-4o"]


TEXTS = st.text(min_size=1, max_size=400) | st.sampled_from(["漢字" * 50, "🎉" * 40, "0" * 300, " " * 300 + "x"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": TEXTS}), max_size=3),
    st.integers(0, 2_000_000),
    st.none() | st.integers(1, 300),
    st.sampled_from([*FOUR, "auto"]),
    st.booleans(),
)
def test_what_is_billed_never_exceeds_it(simulator, messages, limit_nano, max_tokens, model, is_stream):
    """By the provider's own count, whatever is asked, by whatever model."""
    messages = [*messages, {"role": "user", "content": "Go on."}]
    limit_usd = Decimal(limit_nano).scaleb(-9)
    config = LLMConfig(model=model, max_tokens=max_tokens, max_cost_usd=limit_usd, allow_models=FOUR, max_retries=0)
    router, before = LLMRouter(), price_bill(simulator.bill).cost_nano
    try:
        if is_stream:
            list(router.stream(messages, config))
        else:
            router.complete(messages, config)
    except (BudgetExceededError, NoModelError):
        assert before == price_bill(simulator.bill).cost_nano

    assert price_bill(simulator.bill).cost_nano - before <= limit_nano


@whole
def test_an_exact_limit_is_enough(caller, simulator, use, registry):
    """As much as the error asks for."""
    use(registry, budgets=[])
    options = {"model": MODELS["openai"].name, "max_tokens": 50}
    bound = caller.ask(**options, max_cost_usd=0).error.requested_usd
    less = bound - Decimal("1e-9")

    assert isinstance(caller.ask(**options, max_cost_usd=less).error, BudgetExceededError)
    assert None is caller.ask(**options, max_cost_usd=bound).error
