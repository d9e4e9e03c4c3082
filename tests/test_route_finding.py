"""What a choice is made from: configuration, environment, prices, the lengths of texts, budgets and health."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from llm_otel import steps
from llm_otel.assembly import Runtime
from llm_otel.budgets.matching import NOTHING
from llm_otel.clock import SystemClock
from llm_otel.config import Settings, load_settings
from llm_otel.errors import ConfigurationError, NoModelError, UnknownProviderError
from llm_otel.models.info import ModelInfo
from llm_otel.models.registry import Registry
from llm_otel.pricing.book import PriceBook
from llm_otel.recording import Guard
from llm_otel.route_finding import Surroundings, find, wanted_of
from llm_otel.routing.choice import Choice
from llm_otel.routing.decision import explicit
from llm_otel.routing.headroom import Headroom
from llm_otel.routing.taper import Taper
from llm_otel.types import LLMConfig

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
OPENAI = {"OPENAI_API_KEY": "sk-of-nobody"}
BOTH = OPENAI | {"ANTHROPIC_API_KEY": "sk-of-nobody-else"}


class Failures(list[tuple[str, Exception]]):
    """What a guard heard of."""

    def __call__(self, where: str, error: Exception) -> None:
        """Keep it."""
        self.append((where, error))


class FakeBudgets:
    """Says the same of every model, in one step."""

    def __init__(self, ratio: float | None) -> None:
        self.ratio = ratio
        self.asked: list[list[tuple[str, str]]] = []

    def headrooms(self, models, tags, run) -> Generator[Any, Any, Mapping[tuple[str, str], Headroom]]:
        """Look."""
        self.asked.append(list(models))
        yield _Look()
        return {model: Headroom(self.ratio, "team", tags.get("team", "")) for model in models}


class _Look:
    """A step that takes no time."""

    def run(self) -> None:
        """Do nothing."""

    async def arun(self) -> None:
        """Do nothing."""


def around(environ: Mapping[str, str] = BOTH, **more: Any) -> Surroundings:
    """Return what a runtime knows."""
    base = Surroundings(prices=PriceBook(), clock=SystemClock(), guard=Guard(Failures()), environ=environ)
    return replace(base, **more)


def choose(config: LLMConfig, surroundings: Surroundings | None = None, **more: Any) -> Choice:
    """Find the model of a request."""
    policy = more.pop("policy", None)
    arguments = {"messages": MESSAGES} | more
    surroundings = surroundings or around()
    return steps.run(find(config, arguments, surroundings, tags={"team": "search"}, run=NOTHING, policy=policy))


# --- what the configuration says --------------------------------------------------------------------------------------


def test_a_name_alone_takes_the_short_way():
    """No ledger, no environment, no text: not even with budgets and fallbacks."""
    budgets = FakeBudgets(0.99)

    choice = choose(LLMConfig(model="gpt-4o", fallbacks=("claude-opus-4-5",)), around({}, budgets=budgets))

    assert explicit("gpt-4o", "openai") is choice.decision
    assert ["openai/gpt-4o", "anthropic/claude-opus-4-5"] == [each.litellm_model for each in choice.targets]
    assert [] == budgets.asked


@pytest.mark.parametrize(
    ("config", "field", "told"),
    [
        (LLMConfig(), "model", "or say capability= or tier="),
        (LLMConfig(routing="observe", capability="simple"), "routing", "name the model that is taken"),
        (LLMConfig(model="auto", api_base="http://localhost:1/v1"), "provider", "api_base belongs to one provider"),
        (LLMConfig(capability="simple", api_key="sk-secret"), "provider", "api_key belongs to one provider"),
        (
            LLMConfig(tier="economy", extra={"user": "u1", "extra_headers": {"x-key": "sk-secret"}}),
            "provider",
            "extra['extra_headers'] belongs to one provider",
        ),
        (LLMConfig(model="auto", extra={"vertex_credentials": "sk-secret"}), "provider", "extra['vertex_credentials']"),
        (LLMConfig(capability="simple", provider="opnai"), "provider", "did you mean 'openai'"),
        (LLMConfig(model="gpt-4o", fallbacks=("who-knows",)), "fallbacks[0]", "who-knows"),
    ],
)
def test_a_configuration_that_says_too_little_is_refused(config, field, told):
    """Before anything is sent; no key is shown."""
    with pytest.raises(ConfigurationError) as raised:
        wanted_of(config)

    assert field == raised.value.field
    assert told in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "name", ["service_tier", "max_completion_tokens", "top_k", "safety_settings", "metadata", "user"]
)
def test_what_anybody_may_get_needs_no_provider(name):
    """It says nothing of whose it is, whatever words are in it."""
    assert wanted_of(LLMConfig(model="auto", extra={name: "1"})).is_auto


def test_an_unknown_provider_keeps_its_own_error():
    """As with a model that is named."""
    with pytest.raises(UnknownProviderError):
        wanted_of(LLMConfig(capability="simple", provider="opnai"))


def test_a_policy_chooses_where_the_configuration_says_nothing():
    """All that fits is its to choose from."""

    class Last:
        name = "last"

        def choose(self, request, candidates):
            return candidates[-1]

    choice = choose(LLMConfig(), policy=Last())

    assert ("last", ("policy:last",)) == (choice.decision.policy, choice.decision.reason_codes)


# --- who is configured ------------------------------------------------------------------------------------------------


def test_only_configured_providers_are_chosen():
    """The environment is read anew each time, and the error names what to set."""
    environ: dict[str, str] = {}
    surroundings = around(environ)

    with pytest.raises(NoModelError, match="set OLLAMA_API_BASE or OPENAI_API_KEY or ANTHROPIC_API_KEY"):
        choose(LLMConfig(capability="simple"), surroundings)
    environ["ANTHROPIC_API_KEY"] = "sk"

    assert "anthropic" == choose(LLMConfig(capability="simple"), surroundings).decision.provider


@pytest.mark.parametrize("own", [{"api_key": "sk"}, {"api_base": "http://localhost:1/v1"}])
def test_a_key_or_an_address_configures_its_own_provider(own):
    """And no other is chosen, since the key is for this one."""
    choice = choose(LLMConfig(capability="simple", provider="google", **own), around({}))

    assert {"gcp.gemini"} == {each.provider for each in choice.targets}


def test_a_named_provider_is_the_only_one_to_choose_from():
    """By any of its names."""
    choice = choose(LLMConfig(model="auto", provider="claude"))

    assert {"anthropic"} == {each.provider for each in choice.targets}


def test_a_handler_of_the_users_own_needs_no_variable(monkeypatch):
    """That its model was registered says that it is there."""
    info = ModelInfo(
        name="ours", provider="our-handler", input_cost_per_1k=0, output_cost_per_1k=0, capabilities={"simple"}
    )
    registry = Registry([info.to_entry()])
    monkeypatch.setattr("llm_otel.route_finding.default_registry", lambda: registry)
    monkeypatch.setattr("llm_otel.models.resolve.default_registry", lambda: registry)

    assert "ours" == choose(LLMConfig(capability="simple"), around({})).decision.model


# --- costs ------------------------------------------------------------------------------------------------------------


def test_the_estimate_is_that_of_this_call():
    """Which model is cheapest depends on what is long, the text or the answer."""
    book = [{"role": "user", "content": "word " * 20_000}]

    def taken(messages, max_tokens):
        config = LLMConfig(capability="complex", allow_models=("o3", "gpt-5"), max_tokens=max_tokens)
        return choose(config, messages=messages, max_tokens=max_tokens).decision

    long_text, long_answer = taken(book, 10), taken(MESSAGES, 10_000)

    assert ("gpt-5", "o3") == (long_text.model, long_answer.model)
    assert 25_004 * 1_250 + 10 * 10_000 == long_text.estimated_cost_usd * 10**9


def test_a_limit_on_the_cost_rules_models_out():
    """With the numbers."""
    choice = choose(LLMConfig(capability="complex", max_cost_usd="0.005"))

    why_not = {each.model: each.why_not for each in choice.decision.candidates}
    assert "max_cost_usd is $0.005" in why_not["claude-opus-4-5"]


# --- what is in the request -------------------------------------------------------------------------------------------


def test_images_tools_and_json_bear_on_the_choice():
    """Each candidate that is out says why."""
    image = {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}
    messages = [{"role": "user", "content": [image]}]
    config = LLMConfig(capability="simple")

    decision = choose(config, messages=messages, tools=[{"type": "function", "function": {"name": "f"}}]).decision

    why_not = {each.model: each.why_not for each in decision.candidates}
    assert "it takes no images, and the request has 1" == why_not["gpt-3.5-turbo"]
    assert "it takes no tools, and the request brings some" == why_not["llama3"]


def test_auto_rates_the_request():
    """By its last message."""
    easy = choose(LLMConfig(model="auto")).decision
    code = [{"role": "user", "content": "Fix this bug:\n```python\ndef f(x):\n    return x +\n```"}]
    hard = choose(LLMConfig(model="auto"), messages=code).decision

    assert ("auto", "simple", "coding") == (easy.policy, easy.capability, hard.capability)
    assert easy.score is not None


def test_observing_rates_the_request_and_takes_the_named_model():
    """What would have been is said."""
    choice = choose(LLMConfig(model="gpt-4o", routing="observe"))

    assert ("gpt-4o", "gpt-5-nano") == (choice.decision.model, choice.decision.observed_model)
    assert ["openai/gpt-4o"] == [each.litellm_model for each in choice.targets]


def test_the_way_in_which_a_provider_is_called_stays_the_callers():
    """LiteLLM has two for Ollama."""
    config = LLMConfig(model="ollama/llama3", capability="simple")

    assert ["ollama/llama3"] == [each.litellm_model for each in choose(config).targets]


def test_a_dated_name_among_the_fallbacks_is_no_candidate():
    """It is the same model; it is gone to where the caller said so, and not chosen."""
    choice = choose(LLMConfig(capability="simple", fallbacks=("gpt-5-nano-2025-08-07",)), around(BOTH))

    assert ["gpt-5-nano", "gpt-5-nano-2025-08-07"] == [each.model for each in choice.targets]


# --- budgets, health, policies ----------------------------------------------------------------------------------------


def test_budgets_are_asked_once_about_what_is_configured():
    """In one step for all models."""
    budgets = FakeBudgets(0.5)

    choose(LLMConfig(capability="simple"), around(OPENAI, budgets=budgets, taper=Taper()))

    (models,) = budgets.asked
    assert {"openai"} == {provider for provider, _ in models}


def test_near_a_limit_the_named_model_gives_way():
    """Where a capability says to what."""
    surroundings = around(OPENAI, budgets=FakeBudgets(0.99), taper=Taper())

    decision = choose(LLMConfig(model="gpt-4o", capability="simple"), surroundings).decision

    assert ("gpt-5-nano", "gpt-4o", "budget_critical:team") == (
        decision.model,
        decision.original_model,
        decision.reason_codes[0],
    )


@pytest.mark.parametrize(
    "config", [LLMConfig(model="gpt-4o", routing="observe"), LLMConfig(model="gpt-4o", fallbacks=("gpt-5",))]
)
def test_budgets_are_not_asked_where_they_change_nothing(config):
    """Every reading of a ledger is a wait."""
    budgets = FakeBudgets(0.99)

    choose(config, around(budgets=budgets, taper=Taper()))

    assert [] == budgets.asked


def test_a_taper_that_is_off_asks_nothing():
    """1.0 turns it off; a policy wants to know all the same."""
    budgets = FakeBudgets(0.99)
    surroundings = around(budgets=budgets)

    class First:
        name = "first"

        def choose(self, request, candidates):
            return candidates[0]

    choose(LLMConfig(capability="simple"), surroundings)
    assert [] == budgets.asked
    choose(LLMConfig(capability="simple"), surroundings, policy=First())
    assert 1 == len(budgets.asked)


def test_open_circuits_are_those_of_now():
    """By the runtime's own clock."""
    surroundings = around(OPENAI, open_circuits=lambda now_s: frozenset({("openai", "gpt-5-nano")} if now_s else ()))

    assert "gpt-5-nano" != choose(LLMConfig(capability="simple"), surroundings).decision.model


def test_a_policy_that_fails_is_counted():
    """By the guard, which in strict mode raises it."""

    class Broken:
        name = "broken"

        def choose(self, request, candidates):
            raise RuntimeError("no")

    failures = Failures()

    choice = choose(LLMConfig(capability="simple"), around(guard=Guard(failures)), policy=Broken())

    assert ("policy_failed:broken", "gpt-5-nano") == (choice.decision.reason_codes[0], choice.decision.model)
    ((where, error),) = failures
    assert ("routing_policy", "no") == (where, str(error))


# --- what a runtime knows ---------------------------------------------------------------------------------------------


def test_a_runtime_gathers_what_bears_on_the_choice():
    """Its settings, its budgets, its circuits."""
    made = Runtime(Settings(prefer_cheaper_at=0.5, prefer_cheapest_at=0.7), registry=CollectorRegistry())
    assert made.health is not None
    for _ in range(5):
        admitted = made.health.admits(("openai", "gpt-4o"), 0.0)
        assert admitted is not None
        made.health.noted(admitted, 0.0, failed=True)

    known = made.surroundings

    assert Taper(cheaper_at=0.5, cheapest_at=0.7) == known.taper
    assert made.enforcer is known.budgets
    assert {("openai", "gpt-4o")} == known.open_circuits(1.0)


def test_without_breakers_no_circuit_is_open():
    """`circuit_breaker=False`."""
    made = Runtime(Settings(circuit_breaker=False), registry=CollectorRegistry())

    assert frozenset() == made.surroundings.open_circuits(1.0)


@pytest.mark.parametrize("name", ["prefer_cheaper_at", "prefer_cheapest_at"])
@pytest.mark.parametrize("value", [-0.1, 80, float("nan"), float("inf")])
def test_a_share_that_is_none_is_refused(name, value):
    """1 turns it off; 80 is a slip of the pen for 0.8, and would turn it off unseen."""
    with pytest.raises(ConfigurationError, match=name):
        load_settings({name: value})
    assert 1 == getattr(load_settings({name: 1}), name)
