"""What cannot be right is refused before anything is sent, with the field, the value and what is allowed."""

from __future__ import annotations

import pytest

from llm_otel import ConfigurationError, LLMConfig, LLMRouter, ModelCapability, UnknownProviderError
from tests.wire.callers import HELLO, ROUTER, asked_by

BAD_CONFIGS = {
    "provider": {"model": "gpt-4o-mini", "provider": "opnai"},
    "max_tokens": {"model": "gpt-4o-mini", "max_tokens": -1},
    "temperature": {"model": "gpt-4o-mini", "temperature": 3},
    "timeout_s": {"model": "gpt-4o-mini", "timeout_s": float("nan")},
    "max_retries": {"model": "gpt-4o-mini", "max_retries": -1},
    "capability": {"model": "gpt-4o-mini", "capability": "sublime"},
    "tempreature": {"model": "gpt-4o-mini", "tempreature": 0.5},
    "model": {"model": "a-model-without-a-provider"},
    "extra['fallbacks']": {"model": "gpt-4o-mini", "extra": {"fallbacks": ["gpt-4o"]}},
}
NOT_YET = {
    "capability": {"model": "gpt-4o-mini", "capability": ModelCapability.SIMPLE},
    "fallbacks": {"model": "gpt-4o-mini", "fallbacks": ["gpt-4o"]},
    "max_cost_usd": {"model": "gpt-4o-mini", "max_cost_usd": "0.01"},
}
BAD_MESSAGES = {
    "none": None,
    "text": "Hello!",
    "empty": [],
    "bytes": b"Hello!",
    "mapping": {"role": "user", "content": "Hello!"},
    "texts": ["Hello!"],
    "no role": [{"content": "Hello!"}],
    "role of a wrong type": [{"role": 7, "content": "Hello!"}],
}


def asking(caller):
    """Return the router's function of this form, which refuses when it is called or awaited."""
    router = LLMRouter()
    if caller.is_stream:
        return router.astream if caller.is_async else router.stream
    return (lambda *args: caller.run(router.acomplete(*args))) if caller.is_async else router.complete


@asked_by(providers=("openai",), entrances=(ROUTER,))
@pytest.mark.parametrize(("field", "values"), BAD_CONFIGS.items(), ids=BAD_CONFIGS)
def test_a_configuration_that_cannot_be(caller, field, values, simulator, books):
    """The error names the field."""
    with pytest.raises(ConfigurationError) as caught:
        asking(caller)(HELLO, LLMConfig(**values))

    assert field == caught.value.field
    assert () == simulator.requests
    assert 0 == books.by_metrics().calls


@pytest.mark.parametrize(("field", "values"), NOT_YET.items(), ids=NOT_YET)
def test_what_comes_with_a_later_version(field, values, simulator):
    """It says so, instead of doing nothing."""
    with pytest.raises(ConfigurationError, match="comes with routing") as caught:
        LLMRouter().complete(HELLO, LLMConfig(**values))

    assert field == caught.value.field
    assert () == simulator.requests


@asked_by(providers=("openai",), entrances=(ROUTER,))
@pytest.mark.parametrize("messages", BAD_MESSAGES.values(), ids=BAD_MESSAGES)
def test_messages_that_cannot_be(caller, messages, simulator, books):
    """The error names the place, and quotes nothing."""
    with pytest.raises(ConfigurationError) as caught:
        asking(caller)(messages, LLMConfig(model="gpt-4o-mini"))

    assert caught.value.field.startswith("messages")
    assert "Hello" not in str(caught.value)
    assert () == simulator.requests
    assert 0 == books.by_metrics().calls


def test_a_provider_that_is_misspelt(simulator):
    """The nearest names are offered."""
    with pytest.raises(UnknownProviderError, match="did you mean 'openai'"):
        LLMRouter().complete(HELLO, LLMConfig(model="x", provider="opnai"))

    assert () == simulator.requests


def test_no_configuration_at_all(simulator):
    """A router without one needs it with each call."""
    with pytest.raises(ConfigurationError, match="model"):
        LLMRouter().complete(HELLO)

    assert () == simulator.requests


def test_tags_that_cannot_be(simulator):
    """They are checked like the rest."""
    with pytest.raises(ConfigurationError, match="tags"):
        LLMRouter().complete(HELLO, LLMConfig(model="gpt-4o-mini"), tags={"team": 7})

    assert () == simulator.requests
