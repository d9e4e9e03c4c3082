"""What cannot be right is refused before anything is sent, with the field, the value and what is allowed."""

from __future__ import annotations

import pytest

from llm_otel import ConfigurationError, LLMConfig, LLMRouter, UnknownProviderError
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
BAD_ROUTING = [
    ("capability", {"capability": 3}),
    ("tier", {"tier": "cheap"}),
    ("tier", {"tier": ""}),
    ("quality_floor", {"model": "auto", "quality_floor": "coding"}),
    ("quality_floor", {"model": "auto", "quality_floor": "high"}),
    ("allow_models", {"model": "auto", "allow_models": "openai"}),
    ("allow_models", {"model": "auto", "allow_models": ("",)}),
    ("deny_models", {"model": "auto", "deny_models": 7}),
    ("deny_models", {"model": "auto", "deny_models": (None,)}),
    ("routing", {"model": "gpt-4o", "routing": "obey"}),
    ("routing", {"model": "auto", "routing": "observe"}),
    ("routing", {"capability": "simple", "routing": "observe"}),
    ("fallbacks", {"model": "gpt-4o", "fallbacks": "gpt-4o-mini"}),
    ("fallbacks", {"model": "gpt-4o", "fallbacks": (1,)}),
    ("fallbacks", {"model": "gpt-4o", "fallbacks": ("",)}),
    ("fallbacks[1]", {"model": "gpt-4o", "fallbacks": ("gpt-4o-mini", "who-knows")}),
    ("fallbacks[0]", {"model": "gpt-4o", "fallbacks": ("auto",)}),
    ("fallbacks[0]", {"model": "auto", "fallbacks": ("who-knows",)}),
    ("context_window_fallbacks[0]", {"model": "gpt-4o", "context_window_fallbacks": ("who-knows",)}),
    ("content_policy_fallbacks[0]", {"model": "gpt-4o", "content_policy_fallbacks": ("who-knows",)}),
    ("max_cost_usd", {"model": "gpt-4o", "max_cost_usd": -1}),
    ("max_cost_usd", {"model": "gpt-4o", "max_cost_usd": "much"}),
    ("max_cost_usd", {"model": "gpt-4o", "max_cost_usd": True}),
    ("max_cost_usd", {"model": "gpt-4o", "max_cost_usd": float("nan")}),
    ("max_cost_usd", {"model": "gpt-4o", "max_cost_usd": [1]}),
    ("cache_ttl_s", {"model": "gpt-4o", "cache_ttl_s": 0}),
    ("cache_ttl_s", {"model": "gpt-4o", "cache_ttl_s": "60"}),
    ("cache_ttl_s", {"model": "gpt-4o", "cache_ttl_s": float("inf")}),
    ("model", {}),
    ("model", {"model": ""}),
    ("model", {"quality_floor": "simple"}),
    ("provider", {"model": "auto", "provider": "opnai"}),
    ("provider", {"model": "auto", "api_key": "sk-secret"}),
    ("provider", {"capability": "simple", "api_base": "http://127.0.0.1:1/v1"}),
    ("model", {"model": "auto", "allow_models": ("gpt-4oo",)}),
]
"""Fields that say which model is to be taken, with what cannot be."""
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


@asked_by(providers=("openai",), entrances=(ROUTER,))
@pytest.mark.parametrize(("field", "values"), BAD_ROUTING, ids=str)
def test_a_choice_that_cannot_be(caller, field, values, simulator, books):
    """The error names the field, or its place in the list; a key is not shown. Of a stream it may come with `next`."""
    with pytest.raises(ConfigurationError) as caught:
        exhaust(caller, asking(caller)(HELLO, LLMConfig(**values)))

    assert field == caught.value.field
    assert "sk-secret" not in str(caught.value)
    assert () == simulator.requests
    assert 0 == books.by_metrics().calls


def exhaust(caller, asked):
    """Read what was asked for to its end, where that is a stream."""

    async def read():
        async for _ in asked:
            pass

    if caller.is_stream:
        caller.run(read()) if caller.is_async else list(asked)


class Policy:
    """Chooses, once it is made."""

    name = "mine"

    def choose(self, request, candidates):
        """Return them as they are."""
        return candidates


@pytest.mark.parametrize("policy", ["cheapest", Policy], ids=["a name", "a class"])
def test_a_policy_that_cannot_choose(policy):
    """It is refused when the router is made."""
    with pytest.raises(ConfigurationError, match="policy"):
        LLMRouter(policy=policy)


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


@pytest.mark.parametrize("router", [LLMRouter(), LLMRouter("gpt-4o-mini")], ids=["of the call", "of the router"])
def test_a_name_of_a_model_is_no_configuration(router, simulator):
    """Who writes it reads how it is written."""
    with pytest.raises(ConfigurationError, match=r"config='gpt-4o-mini' is not usable: .*LLMConfig\(model=") as caught:
        router.complete(HELLO, None if router._config else "gpt-4o-mini")

    assert "config" == caught.value.field
    assert () == simulator.requests


def test_tags_that_cannot_be(simulator):
    """They are checked like the rest."""
    with pytest.raises(ConfigurationError, match="tags"):
        LLMRouter().complete(HELLO, LLMConfig(model="gpt-4o-mini"), tags={"team": 7})

    assert () == simulator.requests
