"""Real calls of every entrance, answered by LiteLLM's own mocks, make spans and metrics that follow the conventions."""

from __future__ import annotations

import gc

import httpx
import pytest

from llm_otel import LLMConfig, LLMRouter, ProviderError, traced_llm
from llm_otel.providers.loading import litellm
from tests.contract.fixtures import LITELLM_WARNS

pytestmark = LITELLM_WARNS
MESSAGES = [{"role": "user", "content": "Hello!"}]
ROUTER = LLMRouter()


def mocked(answer: object = "hi there, how are you", **more: object) -> LLMConfig:
    """Return a configuration whose completions LiteLLM makes up."""
    return LLMConfig(model="gpt-4o-mini", extra={"mock_response": answer}, **more)


def test_complete(conformant_spans, world):
    """The span has what the caller asked for, what came back, and the same numbers as the metrics."""
    config = mocked(temperature=1, top_p=0.5, max_tokens=9, stop="END", seed=7, n=2, presence_penalty=0)
    response = ROUTER.complete(MESSAGES, config, tags=["team:search"])

    span = conformant_spans.only
    assert "chat gpt-4o-mini" == span.name
    assert float(response.usage.total_cost_usd) == span.attributes["gen_ai.usage.cost.amount"]
    assert response.usage.input_tokens == span.attributes["gen_ai.usage.input_tokens"]
    assert response.usage.output_tokens == world.metric("llm_otel_tokens_total", token_type="output", team="search")
    assert float(response.usage.total_cost_usd) == pytest.approx(world.metric("llm_otel_cost_usd_total"))
    assert 1 == world.metric("llm_otel_requests_total", outcome="success")


async def test_acomplete(conformant_spans, world):
    """As `complete`."""
    await ROUTER.acomplete(MESSAGES, mocked(response_format={"type": "json_object"}))

    assert "json" == conformant_spans.only.attributes["gen_ai.output.type"]
    assert 1 == world.metric("llm_otel_requests_total", outcome="success")


def test_stream(conformant_spans, world):
    """A stream says when its first chunk came."""
    assert "hi there, how are you" == "".join(chunk.content for chunk in ROUTER.stream(MESSAGES, mocked()))

    assert "gen_ai.response.time_to_first_chunk" in conformant_spans.only.attributes
    assert 1 == world.metric("llm_otel_time_to_first_chunk_seconds_count")


async def test_astream(conformant_spans, world):
    """As `stream`."""
    chunks = [chunk async for chunk in ROUTER.astream(MESSAGES, mocked())]

    assert "hi there, how are you" == "".join(chunk.content for chunk in chunks)
    assert 1 == world.metric("llm_otel_requests_total", outcome="success")


def test_a_consumer_that_breaks_off(conformant_spans, world):
    """That is no error; a finish reason was expected and did not come."""
    with ROUTER.stream(MESSAGES, mocked()) as stream:
        next(stream)

    attributes = conformant_spans.only.attributes
    assert ("abandoned", ("error",)) == (
        attributes["llm_otel.outcome"],
        attributes["gen_ai.response.finish_reasons"],
    )
    assert 1 == world.metric("llm_otel_requests_total", outcome="abandoned")


def test_a_stream_that_is_dropped(conformant_spans, world):
    """The garbage collector ends it."""
    stream = ROUTER.stream(MESSAGES, mocked())
    next(stream)
    del stream
    gc.collect()

    assert "abandoned" == conformant_spans.only.attributes["llm_otel.outcome"]


async def test_an_async_consumer_that_breaks_off(conformant_spans, world):
    """As the sync one."""
    async with ROUTER.astream(MESSAGES, mocked()) as stream:
        await anext(stream)

    assert "abandoned" == conformant_spans.only.attributes["llm_otel.outcome"]


@pytest.mark.parametrize("retries", [0, 2])
def test_an_error(conformant_spans, world, retries):
    """The error, the span and the counter say the same; attempts are spans only where there were several."""
    with pytest.raises(ProviderError) as caught:
        ROUTER.complete(MESSAGES, mocked("litellm.RateLimitError", max_retries=retries))

    span = conformant_spans.named("chat gpt-4o-mini")
    assert (caught.value.error_type, caught.value.status_code) == (
        span.attributes["error.type"],
        span.attributes["http.response.status_code"],
    )
    assert (retries + 1 if retries else 0) == sum(name.startswith("attempt") for name in conformant_spans.names)
    assert 1 == world.metric("llm_otel_requests_total", outcome="error")
    assert retries + 1 == world.metric("llm_otel_attempts_total", outcome="error")


async def test_an_error_while_another_is_handled(conformant_spans, world):
    """What the caller was just handling, a refusal by some other server, says nothing of this call."""
    request = httpx.Request("GET", "http://other")
    other = httpx.HTTPStatusError("", request=request, response=httpx.Response(429, headers={"retry-after": "5"}))
    refusal = litellm().BadRequestError("no", model="gpt-4o-mini", llm_provider="openai")
    try:
        raise other
    except httpx.HTTPStatusError:
        with pytest.raises(ProviderError) as caught:
            ROUTER.complete(MESSAGES, mocked(refusal))
        with pytest.raises(ProviderError) as acaught:
            await ROUTER.acomplete(MESSAGES, mocked(refusal))

    assert (400, None, 1) == (caught.value.status_code, caught.value.retry_after_s, caught.value.attempts)
    assert (400, None, 1) == (acaught.value.status_code, acaught.value.retry_after_s, acaught.value.attempts)


def test_a_scope_around_plain_calls(conformant_spans, world):
    """The scope's totals are the sum of the calls under it."""

    @traced_llm(tags={"team": "search"})
    def answer() -> None:
        litellm().completion("gpt-4o-mini", MESSAGES, mock_response="plain")
        for _ in litellm().completion(
            model="gpt-4o-mini", messages=MESSAGES, mock_response="plain stream", stream=True
        ):
            pass
        ROUTER.complete(MESSAGES, mocked())

    answer()

    assert ["chat gpt-4o-mini"] * 3 == conformant_spans.names[:-1]
    assert 3 == conformant_spans.ended[-1].attributes["llm_otel.total.calls"]


def test_a_scope_whose_body_fails(conformant_spans, world):
    """The exception's class, and none of its text."""

    class OwnError(Exception):
        pass

    with pytest.raises(OwnError), traced_llm("digest"):
        ROUTER.complete(MESSAGES, mocked())
        raise OwnError("the prompt was: Hello!")

    span = conformant_spans.named("invoke_workflow digest")
    assert "Hello" not in f"{span.attributes} {span.status.description} {span.events}"


def test_a_model_that_nobody_knows(conformant_spans, world):
    """It is sent, and no cost is said: a 0 would read as free."""
    config = LLMConfig(model="openai/made-up-yesterday", extra={"mock_response": "hi"})
    response = ROUTER.complete(MESSAGES, config)

    assert response.usage.total_cost_usd is None
    assert "gen_ai.usage.cost.amount" not in conformant_spans.only.attributes
    assert 1 == world.metric("llm_otel_unpriced_requests_total")


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        ("embedding", {"model": "text-embedding-3-small", "input": ["Hi"], "dimensions": 2}, "embeddings"),
        ("text_completion", {"model": "gpt-3.5-turbo-instruct", "prompt": "Hi"}, "text_completion"),
        ("responses", {"model": "gpt-4o-mini", "input": "Hi", "max_output_tokens": 50}, "chat"),
    ],
)
def test_every_operation(function, arguments, name, conformant_spans, world):
    """Each has a span of its own kind, and the same labels in the metrics."""
    with traced_llm("work"):
        answer = [0.1, 0.2] if function == "embedding" else "hi there"
        getattr(litellm(), function)(**arguments, mock_response=answer)

    call = conformant_spans.named(f"{name} {arguments['model']}")
    assert name == call.attributes["gen_ai.operation.name"]
    assert True is call.attributes["llm_otel.mock"]
    assert ("gen_ai.usage.output_tokens" in call.attributes) is (function != "embedding")
    assert 1 == world.metric("llm_otel_requests_total", operation=name, outcome="success", model=arguments["model"])
