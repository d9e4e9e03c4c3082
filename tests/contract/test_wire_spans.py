"""Calls over HTTP, to all four providers and with every ending, make spans and metrics that follow the conventions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llm_otel import LLMConfig, LLMProvider, LLMResponse, LLMRouter, ProviderError
from llm_otel.demo.simulator import Break, Fail, Hang, Reply, Reset, Simulator, StreamError
from tests.contract.fixtures import LITELLM_WARNS

pytestmark = [pytest.mark.wire, LITELLM_WARNS]

MESSAGES = [{"role": "user", "content": "Hello!"}]
ROUTER = LLMRouter()
MODELS = {
    LLMProvider.OPENAI: "gpt-4o-mini",
    LLMProvider.ANTHROPIC: "claude-3-haiku-20240307",
    LLMProvider.GOOGLE: "gemini-1.5-pro",
    LLMProvider.OLLAMA: "llama3",
}
MODES = ("complete", "acomplete", "stream", "astream")
STREAMS = ("stream", "astream")
CACHING = [provider for provider in MODELS if provider is not LLMProvider.OLLAMA]
REPLY = Reply("Good day to you, what can I do?", input_tokens=18, output_tokens=5)


@pytest.fixture(scope="module")
def _simulator() -> Iterator[Simulator]:
    with Simulator(chunk_tokens=1) as running:
        yield running


@pytest.fixture
def simulator(_simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The simulator, with nothing scripted, and the environment that leads to it."""
    for name, value in _simulator.env(with_keys=True).items():
        monkeypatch.setenv(name, value)
    yield _simulator
    _simulator.clear()


@pytest.fixture(params=MODELS, ids=lambda provider: provider.name.lower())
def provider(request: pytest.FixtureRequest) -> LLMProvider:
    """Each of the four."""
    return request.param


@pytest.fixture
def config(provider: LLMProvider) -> LLMConfig:
    """A configuration that does not wait long."""
    return LLMConfig(provider=provider, model=MODELS[provider], timeout_s=20, max_retries=0, max_tokens=50)


async def ask(mode: str, config: LLMConfig, *, chunks: int | None = None) -> LLMResponse:
    """Make a completion, and read its stream, or only its first `chunks`."""
    if mode == "complete":
        return ROUTER.complete(MESSAGES, config)
    if mode == "acomplete":
        return await ROUTER.acomplete(MESSAGES, config)
    if mode == "stream":
        with ROUTER.stream(MESSAGES, config) as stream:
            for number, _ in enumerate(stream, 1):
                if number == chunks:
                    break
        return stream.response
    number = 0
    async with ROUTER.astream(MESSAGES, config) as astream:
        async for _ in astream:
            number += 1
            if number == chunks:
                break
    return astream.response


@pytest.mark.parametrize("mode", MODES)
async def test_success(simulator, conformant_spans, world, config, mode):
    """Tokens are those that the provider reported, in the response, on the span and in the metrics."""
    simulator.script(REPLY)
    response = await ask(mode, config)

    attributes = conformant_spans.only.attributes
    assert "Good day to you, what can I do?" == response.content
    assert (18, 5) == (response.usage.input_tokens, response.usage.output_tokens)
    assert (18, 5) == (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"])
    assert 23 == world.metric("llm_otel_tokens_total")
    assert config.provider == attributes["gen_ai.provider.name"]
    assert ("127.0.0.1", int(simulator.url.rpartition(":")[2])) == (
        attributes["server.address"],
        attributes["server.port"],
    )
    assert "llm_otel.usage.estimated" not in attributes


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("provider", CACHING, indirect=True, ids=lambda provider: provider.name.lower())
async def test_cached_and_reasoning_tokens(simulator, conformant_spans, world, config, mode):
    """They are parts of the input and the output, whatever the provider calls them. (Ollama has neither.)"""
    simulator.script(Reply("Hi", input_tokens=1800, output_tokens=50, cached_tokens=1500, reasoning_tokens=40))
    await ask(mode, config)

    attributes = conformant_spans.only.attributes
    assert (1800, 1500) == (
        attributes["gen_ai.usage.input_tokens"],
        attributes["gen_ai.usage.cache_read.input_tokens"],
    )
    assert 50 == attributes["gen_ai.usage.output_tokens"]
    assert 1850 == world.metric("llm_otel_tokens_total")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("status", [401, 429, 503])
async def test_an_error(simulator, conformant_spans, world, config, mode, status):
    """The status is the provider's own; nothing was generated, so nothing was used."""
    simulator.script(Fail(status))
    with pytest.raises(ProviderError) as caught:
        await ask(mode, config)

    attributes = conformant_spans.only.attributes
    assert status == caught.value.status_code == attributes["http.response.status_code"]
    assert caught.value.error_type == attributes["error.type"]
    assert "gen_ai.usage.input_tokens" not in attributes
    assert 1 == world.metric("llm_otel_requests_total", outcome="error")
    assert 0 == world.metric("llm_otel_tokens_total")


@pytest.mark.parametrize("mode", MODES)
async def test_a_retry(simulator, conformant_spans, world, config, mode):
    """The call is a success with one error among its attempts; `Retry-After` was waited for."""
    simulator.script(Fail(429, retry_after_s=3), REPLY)
    await ask(mode, config.model_copy(update={"max_retries": 2}))

    assert ["attempt 1", "attempt 2", f"chat {config.model}"] == conformant_spans.names
    assert "error.type" not in conformant_spans.ended[-1].attributes
    assert [3.0] == [max(3.0, pause) for pause in world.clock.pauses]
    assert 1 == world.metric("llm_otel_requests_total", outcome="success")
    assert 1 == world.metric("llm_otel_attempts_total", outcome="error", reason="first")
    assert 1 == world.metric("llm_otel_attempts_total", outcome="success", reason="retry")


@pytest.mark.parametrize("mode", MODES)
async def test_a_connection_that_is_lost(simulator, conformant_spans, world, config, mode):
    """The request was sent, so its input counts, as an estimate."""
    # For ever: LiteLLM's async client sends a request again when its connection is lost, and cannot be told not to.
    simulator.script(Reset(), repeat=True)
    with pytest.raises(ProviderError):
        await ask(mode, config)

    attributes = conformant_spans.only.attributes
    assert "http.response.status_code" not in attributes
    assert True is attributes["llm_otel.usage.estimated"]
    assert 0 < attributes["gen_ai.usage.input_tokens"]
    assert 0 == attributes["gen_ai.usage.output_tokens"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_silent_provider(simulator, conformant_spans, world, config, mode):
    """The deadline ends it."""
    hang = Hang()
    simulator.script(hang)
    with pytest.raises(ProviderError):
        await ask(mode, config.model_copy(update={"timeout_s": 0.5}))

    attributes = conformant_spans.only.attributes
    assert "http.response.status_code" not in attributes
    assert True is attributes["llm_otel.usage.estimated"]


@pytest.mark.parametrize("mode", STREAMS)
@pytest.mark.parametrize("how", ["close", "reset", "end"])
async def test_a_cut_stream(simulator, conformant_spans, world, config, mode, how):
    """It broke after content had come: an error, with the input and what was received."""
    if config.provider is LLMProvider.GOOGLE and how == "end":
        pytest.skip("LiteLLM reads a 'stop' from every chunk of Gemini's: a stream that just ends looks whole")
    simulator.script(Break(after_chunks=2, how=how, where="between_events", reply=REPLY))
    with pytest.raises(ProviderError):
        await ask(mode, config)

    attributes = conformant_spans.only.attributes
    assert ("error", ("error",)) == (
        attributes["llm_otel.outcome"],
        attributes["gen_ai.response.finish_reasons"],
    )
    assert 0 < attributes["gen_ai.usage.output_tokens"]
    assert 1 == world.metric("llm_otel_requests_total", outcome="error")


@pytest.mark.parametrize("mode", STREAMS)
async def test_an_error_amid_a_stream(simulator, conformant_spans, world, config, mode):
    """The provider says so in an event."""
    simulator.script(StreamError(after_chunks=2, reply=REPLY))
    with pytest.raises(ProviderError):
        await ask(mode, config)

    assert "error" == conformant_spans.only.attributes["llm_otel.outcome"]


@pytest.mark.parametrize("mode", STREAMS)
async def test_an_abandoned_stream(simulator, conformant_spans, world, config, mode):
    """The consumer has had enough: no error, and what came is counted."""
    simulator.script(REPLY)
    response = await ask(mode, config, chunks=2)

    attributes = conformant_spans.only.attributes
    assert "abandoned" == attributes["llm_otel.outcome"]
    assert ("error",) == attributes["gen_ai.response.finish_reasons"]
    assert response.usage.output_tokens == attributes["gen_ai.usage.output_tokens"]
    assert 1 == world.metric("llm_otel_requests_total", outcome="abandoned")


@pytest.mark.parametrize("mode", MODES)
async def test_a_service_tier(simulator, conformant_spans, world, config, mode):
    """Only OpenAI's spans have the attributes of its refinement."""
    simulator.script(Reply("Hi", service_tier="priority"))
    await ask(mode, config)

    is_said = config.provider is LLMProvider.OPENAI
    assert ("priority" if is_said else None) == conformant_spans.only.attributes.get("openai.response.service_tier")
