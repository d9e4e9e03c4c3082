"""`litellm.Router` under `llm_otel.instrument()`: each attempt is one call, and the router goes its own way."""

from __future__ import annotations

import pytest

from llm_otel import Budget, BudgetExceededError, semconv, traced_llm
from llm_otel.demo.simulator import Fail, Reply
from tests.wire.asking import text_of
from tests.wire.books import refused, success
from tests.wire.callers import HELLO

pytestmark = pytest.mark.usefixtures("instrumented")

ANSWER = Reply("Hello there!", input_tokens=18, output_tokens=3)
FIRST, SECOND = "gpt-4o-mini", "gpt-4o"
COST_OF_SECOND = 18 * 2500 + 3 * 10000


@pytest.fixture
def router(litellm):
    """Two deployments, the second for when the first fails."""
    models = {"first": f"openai/{FIRST}", "second": f"openai/{SECOND}", "vectors": "openai/text-embedding-3-small"}
    return litellm.Router(
        [{"model_name": n, "litellm_params": {"model": m, "api_key": "simulator"}} for n, m in models.items()],
        fallbacks=[{"first": ["second"]}],
        num_retries=0,
    )


@pytest.mark.parametrize("form", ["whole", "stream", "async", "async stream"])
def test_a_fallback(form, router, litellm, simulator, books, run):
    """The attempt that failed, and the one that answered, with its own price; the caller gets LiteLLM's object."""
    simulator.script(Fail(500), when=lambda request: request.model == FIRST, repeat=True)
    simulator.script(ANSWER)
    is_stream = "stream" in form

    async def ask():
        got = await router.acompletion("first", HELLO, stream=is_stream)
        return "".join([text_of(each) async for each in got]) if is_stream else got

    if "async" in form:
        got = run(ask())
    else:
        got = router.completion("first", HELLO, stream=is_stream)
        got = "".join(map(text_of, got)) if is_stream else got

    if is_stream:
        assert "Hello there!" == got
    else:
        assert litellm.ModelResponse is type(got)
        assert "Hello there!" == got.choices[0].message.content
    assert [f"chat {FIRST}", f"chat {SECOND}"] == [span.name for span in books.calls]
    assert [refused("InternalServerError", 500), success(18, 3, COST_OF_SECOND)] == books.endings


@pytest.mark.parametrize("form", ["whole", "async"])
def test_embeddings(form, router, simulator, books, run):
    """Each is one call."""
    asked = {"model": "vectors", "input": ["Hello!"]}
    got = run(router.aembedding(**asked)) if form == "async" else router.embedding(**asked)

    assert "EmbeddingResponse" == type(got).__name__
    assert "embeddings text-embedding-3-small" == books.call.name


def test_responses_of_a_router_made_afterwards(router, simulator, books, run):
    """A router takes LiteLLM's function of responses when it is made: one made while that is watched has it."""
    simulator.script(ANSWER)
    got = run(router.aresponses(model="second", input="Hello!"))

    assert "Hello there!" == got.output_text
    assert success(18, 3, COST_OF_SECOND) == books.only
    assert "responses" == books.said(semconv.OPENAI_API_TYPE)


def test_a_model_that_nobody_prices(litellm, simulator, books):
    """LiteLLM's router says that it cost 0.0; it is unpriced, which is something else."""
    router = litellm.Router(
        [{"model_name": "any", "litellm_params": {"model": "openai/our-own-model", "api_key": "simulator"}}],
        num_retries=0,
    )
    simulator.script(ANSWER)

    router.completion("any", HELLO)

    assert success(18, 3, None) == books.only
    assert 1 == books.metric(semconv.UNPRICED_REQUESTS)


def test_a_budget_refuses_an_attempt(router, simulator, books, use, registry):
    """The caller sees the refusal, and nothing is sent: the router has no cheaper way that we know of."""
    use(registry, budgets=[Budget("all", limit_usd="0.000000001", window="lifetime", on_exceeded="downgrade")])

    with pytest.raises(BudgetExceededError):
        router.completion("second", HELLO)

    assert () == simulator.requests
    assert {"denied"} == {ending.outcome for ending in books.endings}


def test_in_a_scope(router, simulator, books):
    """Its attempts are the scope's calls, once."""
    simulator.script(ANSWER)

    with traced_llm("work", tags={"team": "search"}) as scope:
        router.completion("second", HELLO)

    assert 1 == scope.calls == len(books.calls)
    assert "search" == books.said(f"{semconv.TAG_PREFIX}team")


@pytest.mark.parametrize("form", ["router", "call", "call's model_info"])
def test_a_deployment_is_priced_by_its_base_model(form, litellm, simulator, books, use, registry):
    """As LiteLLM does, on Azure above all: the name of a deployment says nothing of its model. A budget holds by it."""
    use(registry, budgets=[Budget("day", limit_usd=1, window="day")])
    simulator.script(ANSWER)
    params = {"model": "openai/our-deployment", "api_key": "simulator"}
    base = {"base_model": f"openai/{FIRST}"}
    if form == "router":
        models = [{"model_name": "chat", "litellm_params": params, "model_info": base}]
        litellm.Router(models, num_retries=0).completion("chat", HELLO)
    else:
        litellm.completion(messages=HELLO, **params, **(base if form == "call" else {"model_info": base}))

    assert "chat our-deployment" == books.call.name
    assert success(18, 3, 18 * 150 + 3 * 600) == books.only
