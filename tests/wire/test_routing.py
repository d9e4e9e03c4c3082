"""The choice of a model over real HTTP: what is decided is sent, and response, span and `route()` say the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import zip_longest

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_otel import (
    ConfigurationError,
    LLMConfig,
    LLMRouter,
    NoModelError,
    get_model_info,
    list_models,
    semconv,
)
from llm_otel.demo.simulator import Fail, Reply
from llm_otel.models.registry import default_registry
from llm_otel.routing.policy import RouteRequest
from tests.wire.callers import HELLO, ROUTER, asked_by

ANSWER = Reply("Hello there!", input_tokens=18, output_tokens=3)
HAIKU, SONNET = "claude-3-haiku-20240307", "claude-sonnet-4-5"
FOUR = ("gpt-4o", "gpt-4o-mini", HAIKU, SONNET)
"""A small world: `gpt-4o-mini` is the cheapest for simple work, `gpt-4o` for complex work."""
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
IMAGE = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        ],
    }
]
HARD = [
    {
        "role": "user",
        "content": "Design a sharded, multi-region ledger: weigh consistency against latency, prove that no double "
        "spend can happen under partition, and compare three approaches step by step.",
    }
]

four_forms = asked_by(providers=("openai",), entrances=(ROUTER,))


@pytest.fixture(autouse=True)
def _no_local_models(simulator, monkeypatch):
    """What costs nothing would win every time."""
    monkeypatch.delenv("OLLAMA_API_BASE")


def choosing(**more):
    """Return the options of a call whose model is chosen in the small world."""
    return {"model": None, "provider": None, "allow_models": FOUR, **more}


def asked(simulator):
    """Return the models that got a request, in that order."""
    return [request.model for request in simulator.requests]


# --- what is decided is what is sent --------------------------------------------------------------------------


@four_forms
@pytest.mark.parametrize(
    ("options", "model", "policy", "code"),
    [
        ({"capability": "simple"}, "gpt-4o-mini", "capability", "capability:simple"),
        ({"capability": "complex"}, "gpt-4o", "capability", "capability:complex"),
        ({"capability": "coding", "deny_models": ("openai",)}, SONNET, "capability", "capability:coding"),
        ({"tier": "economy", "deny_models": ("gpt-4o-mini",)}, HAIKU, "tier", "tier:economy"),
        ({"tier": "standard"}, "gpt-4o", "tier", "tier:standard"),
        ({"model": "auto"}, "gpt-4o-mini", "auto", "rated:simple"),
        ({"model": "auto", "quality_floor": "complex"}, "gpt-4o", "auto", "quality_floor:complex"),
        ({"capability": "simple", "provider": "anthropic"}, HAIKU, "capability", "cheapest"),
        ({"capability": "simple", "allow_models": ("anthropic/claude-3-haiku-20240307",)}, HAIKU, "capability", None),
    ],
)
def test_what_is_decided_is_what_is_sent(caller, options, model, policy, code, simulator, books):
    """The provider gets it, the caller is told, the span has it, and `route()` had said so before."""
    options = choosing(**options)
    before = LLMRouter().route(HELLO, caller.config(**options))
    assert () == simulator.requests
    simulator.script(ANSWER)

    got = caller.ask(**options)

    assert got.error is None
    assert [model] == asked(simulator)
    decision = got.result.decision
    assert (model, policy) == (decision.model, decision.policy)
    assert code is None or code in decision.reason_codes
    assert before == decision
    assert f"chat {model}" == books.call.name
    said = {
        semconv.GEN_AI_REQUEST_MODEL: model,
        semconv.GEN_AI_PROVIDER_NAME: decision.provider,
        semconv.ROUTE_POLICY: policy,
        semconv.ROUTE_REASON_CODES: decision.reason_codes,
        semconv.ROUTE_ESTIMATED_COST_USD: float(decision.estimated_cost_usd),
    }
    assert said == {name: books.said(name) for name in said}
    assert 1 == books.metric(semconv.REQUESTS, model=model, outcome="success")


@four_forms
@pytest.mark.parametrize(
    ("messages", "options"),
    [
        (HELLO, {"tools": TOOLS}),
        (IMAGE, {}),
        (HELLO, {"response_format": {"type": "json_object"}}),
        (HELLO, {"max_tokens": 20_000}),
        ([{"role": "user", "content": "word " * 100_000}], {}),
        (HELLO, {"stop": ["END"]}),
        (HELLO, {"n": 2}),
    ],
    ids=["tools", "image", "json", "long answer", "long request", "stop", "answers"],
)
def test_what_is_chosen_can_serve_the_request(caller, messages, options, simulator):
    """With all models of the registry to choose from."""
    got = caller.ask(messages, model=None, provider=None, capability="simple", **options)

    assert got.error is None
    (request,) = simulator.requests
    info = get_model_info(request.model)
    entry = default_registry().find(request.model)
    assert "tools" not in options or entry.supports_tools
    assert messages is not IMAGE or entry.supports_vision
    assert "response_format" not in options or entry.supports_json
    assert options.get("max_tokens", 0) <= (info.max_output_tokens or 10**9)
    assert len(messages[0]["content"]) / 5 <= info.context_window
    cheapest = next(each for each in got.result.decision.candidates if each.fits)
    assert (cheapest.provider, cheapest.model) == (got.result.decision.provider, request.model)


@four_forms
@pytest.mark.parametrize(
    "options", [{"temperature": 0.2}, {"seed": 7}, {"frequency_penalty": 0.5}, {"top_p": 0.5}], ids=str
)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_hint_that_the_chosen_model_does_not_take_is_left_out(caller, provider, options, simulator):
    """Who leaves the choice to the router cannot know what its model takes."""
    got = caller.ask(model=None, provider=provider, tier="economy", **options)

    assert got.error is None
    assert 1 == len(simulator.requests)


@four_forms
def test_a_model_that_is_observed_only(caller, simulator, books):
    """What was named is sent; what would have been chosen is said."""
    options = {"model": "gpt-4o", "routing": "observe", "allow_models": FOUR}

    got = caller.ask(**options)

    assert ["gpt-4o"] == asked(simulator)
    decision = got.result.decision
    assert ("gpt-4o", "gpt-4o-mini", "explicit") == (decision.model, decision.observed_model, decision.policy)
    assert ("explicit_model", "observed:gpt-4o-mini") == decision.reason_codes[:2]
    assert "gpt-4o-mini" == books.said(semconv.ROUTE_OBSERVED_MODEL)


@four_forms
def test_a_hard_request_goes_to_a_better_model(caller, simulator, books):
    """`model="auto"` goes by the text, and says how hard it was found."""
    got = caller.ask(HARD, **choosing(model="auto"))

    assert ["gpt-4o"] == asked(simulator)
    assert "rated:complex" in got.result.decision.reason_codes
    assert 0 < got.result.decision.score == books.said(semconv.ROUTE_SCORE)


@four_forms
def test_a_model_that_is_named_is_not_compared(caller, simulator, books):
    """Nothing but its name stands in the decision, and nothing of a route on the span."""
    got = caller.ask(model="gpt-4o")

    assert (("explicit_model",), 1) == (got.result.decision.reason_codes, len(got.result.decision.candidates))
    assert [] == [name for name in books.call.attributes if name.startswith("llm_otel.route.")]
    assert got.result.decision == LLMRouter().route(HELLO, LLMConfig(model="gpt-4o"))


# --- nobody is left -------------------------------------------------------------------------------------------


@four_forms
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"deny_models": FOUR}, "4 are in deny_models"),
        ({"allow_models": ("gpt-4oo",)}, "allow_models has 'gpt-4oo', which no known model or provider is called"),
        ({"max_cost_usd": "0.000000001"}, "4 are estimated above max_cost_usd"),
        ({"max_tokens": 10**6}, "4 give no answer as long as max_tokens"),
    ],
)
def test_nobody_is_left(caller, options, told, simulator, books):
    """It is bad input: nothing is sent, and there is no call. The error counts, and has each model."""
    error = caller.ask(**choosing(capability="simple") | options).error

    assert isinstance(error, NoModelError)
    assert ("capability", "simple") == (error.field, error.value)
    assert told in str(error)
    assert "openai/gpt-4o-mini" in error.why_not
    assert () == simulator.requests
    assert ([], 0) == (books.calls, books.by_metrics().calls)


def test_nobody_is_configured(simulator, monkeypatch):
    """The variables that would help are named."""
    for name in simulator.env():
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(NoModelError, match="OPENAI_API_KEY or ANTHROPIC_API_KEY"):
        LLMRouter().complete(HELLO, LLMConfig(capability="simple"))


# --- keys stay where they belong ------------------------------------------------------------------------------


@four_forms
def test_a_key_in_the_configuration_configures_its_provider(caller, simulator, monkeypatch):
    """And no other is looked at."""
    address = os.environ["ANTHROPIC_API_BASE"]
    for name in simulator.env():
        monkeypatch.delenv(name, raising=False)

    got = caller.ask(
        model=None, provider="anthropic", capability="simple", api_key="sk-mine", api_base=address, max_tokens=5
    )

    assert got.error is None
    assert ["sk-mine"] == [request.headers.get("x-api-key") for request in simulator.requests]


@four_forms
def test_a_header_goes_to_the_provider_that_was_said_and_no_other(caller, simulator):
    """It may be a key. Nor does the fallback get it."""
    simulator.script(Fail(500), ANSWER)
    headers = {"x-of-anthropic": "secret"}

    got = caller.ask(
        model=None,
        provider="anthropic",
        capability="simple",
        fallbacks=("openai/gpt-4o-mini",),
        max_tokens=5,
        max_retries=0,
        extra_headers=headers,
    )

    assert got.error is None
    assert ["anthropic", "openai"] == [request.provider for request in simulator.requests]
    assert ["secret", None] == [request.headers.get("x-of-anthropic") for request in simulator.requests]


def test_a_header_for_nobody_in_particular_is_sent_to_nobody(simulator, books):
    """Whoever is the cheapest today would get it: the error says what to do, and shows nothing of it."""
    config = LLMConfig(**choosing(capability="simple", extra={"extra_headers": {"x-key": "secret"}}))

    with pytest.raises(ConfigurationError, match=r"extra\['extra_headers'\] belongs to one provider") as raised:
        LLMRouter().complete(HELLO, config)

    assert "secret" not in str(raised.value)
    assert (0, []) == (len(simulator.requests), books.calls)


# --- the same again -------------------------------------------------------------------------------------------

SCRIPT = """
import json, os
from llm_otel import LLMConfig, LLMRouter
os.environ["OPENAI_API_KEY"] = os.environ["ANTHROPIC_API_KEY"] = "of nobody"
router = LLMRouter()
for options in ({"model": "auto"}, {"capability": "coding"}, {"tier": "standard"}, {"capability": "research"}):
    decision = router.route([{"role": "user", "content": "Write a parser for TOML in Python."}], LLMConfig(**options))
    print(decision.model_dump_json())
"""


def test_the_same_inputs_give_the_same_decision():
    """In every process, whatever its hash seed; and in one process, however often."""
    told = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": seed, "LLM_OTEL_STRICT": "true"},
            capture_output=True,
            check=True,
            text=True,
            timeout=120,
        ).stdout
        for seed in ("0", "1", "4711")
    }

    assert 1 == len(told)
    assert 4 == len(next(iter(told)).splitlines())


def test_a_hundred_times_the_same(simulator):
    """No chance, no clock, no order of arrival."""
    router, config = LLMRouter(), LLMConfig(model="auto", quality_floor="moderate")

    assert 1 == len({router.route(HARD, config).model_dump_json() for _ in range(100)})


def test_the_command_line_says_the_same(simulator):
    """`llm-otel route` compares what a call compares."""
    decision = LLMRouter().route(HELLO, LLMConfig(capability="coding", deny_models=("gpt-6-luna",)))

    command = [sys.executable, "-m", "llm_otel", "route", "Hello!", "--capability", "coding", "--deny", "gpt-6-luna"]
    told = subprocess.run([*command, "--json"], capture_output=True, check=True, text=True, timeout=120).stdout

    assert [] == _differences(json.loads(decision.model_dump_json()), json.loads(told))


def _differences(one: dict, other: dict) -> list[object]:
    """Return what two decisions do not have in common: candidate by candidate, since there are many."""
    others = [(name, one[name], other[name]) for name in one if name != "candidates" and one[name] != other[name]]
    pairs = zip_longest(one["candidates"], other["candidates"])
    return [*others, *(pair for pair in pairs if pair[0] != pair[1])]


# --- a policy of the user's -----------------------------------------------------------------------------------


class Policy:
    """Does what a test says."""

    name = "mine"

    def __init__(self, choose):
        self._choose = choose
        self.requests: list[RouteRequest] = []

    def choose(self, request, candidates):
        """Choose."""
        self.requests.append(request)
        return self._choose(candidates)


@pytest.fixture
def by_policy(run):
    """`by_policy(choose, **options)`: a call of each kind by a router with such a policy, until one fails."""

    def by_policy(choose, *, is_async=False, **options):
        policy = Policy(choose)
        router, config = LLMRouter(policy=policy), LLMConfig(**{"allow_models": FOUR, "max_retries": 0} | options)
        response = run(router.acomplete(HELLO, config)) if is_async else router.complete(HELLO, config)
        return policy, response

    return by_policy


@pytest.mark.parametrize("is_async", [False, True])
def test_a_policy_chooses(by_policy, is_async, simulator, books):
    """It gets what fits, the cheapest first, and what it returns is taken."""
    policy, response = by_policy(lambda candidates: candidates[-1], is_async=is_async)

    dearest = response.decision
    assert [dearest.model] == asked(simulator)
    assert dearest.candidates[0].estimated_cost_usd == max(each.estimated_cost_usd for each in dearest.candidates[:4])
    assert ("mine", "policy:mine") == (dearest.policy, dearest.reason_codes[0])
    assert "mine" == books.said(semconv.ROUTE_POLICY)
    assert 1 == len(policy.requests)


def test_a_policys_order_is_the_order_of_fallbacks(by_policy, simulator):
    """The first fails, the second answers; the others are not asked."""
    simulator.script(Fail(500), ANSWER)

    _, response = by_policy(lambda candidates: sorted(candidates, key=lambda each: each.model)[::-1][:2])

    assert ["gpt-4o-mini", "gpt-4o"] == asked(simulator)
    assert "fallback:gpt-4o-mini" == response.decision.reason_codes[0]


@pytest.mark.parametrize(
    "choose",
    [
        lambda candidates: 1 / 0,
        lambda candidates: candidates[0].model_copy(update={"model": "of-mine"}),
        lambda candidates: [],
        lambda candidates: None,
        lambda candidates: "gpt-4o",
    ],
    ids=["raises", "foreign", "none of them", "nothing", "a name"],
)
def test_a_policy_that_fails_breaks_nothing(by_policy, choose, simulator, use, registry):
    """The cheapest is taken, the decision says so, and it is counted; in strict mode it is raised."""
    runtime = use(registry, strict=False)

    _, response = by_policy(choose)

    assert ["gpt-4o-mini"] == asked(simulator)
    assert "policy_failed:mine" == response.decision.reason_codes[0]
    errors = runtime.metrics_registry().get_sample_value(
        semconv.INTERNAL_ERRORS.prometheus_name, {"recorder": "routing_policy"}
    )
    assert 1 == errors
    use(registry, strict=True)
    with pytest.raises((ZeroDivisionError, ValueError, TypeError)):
        by_policy(choose)


# --- it fails -------------------------------------------------------------------------------------------------


@four_forms
def test_a_choice_that_fails_goes_on_to_another_provider(caller, simulator):
    """First to the cheapest of another, though the same has a cheaper one."""
    simulator.script(Fail(503), ANSWER)

    got = caller.ask(**choosing(capability="complex"))

    assert ["gpt-4o", SONNET] == asked(simulator)
    assert "fallback:gpt-4o" == got.result.decision.reason_codes[0]
    assert "capability:complex" in got.result.decision.reason_codes


@four_forms
def test_a_choice_without_fallbacks(caller, simulator):
    """`fallbacks=()` means none."""
    simulator.script(Fail(503), ANSWER)

    got = caller.ask(**choosing(capability="complex", fallbacks=()))

    assert ["gpt-4o"] == asked(simulator)
    assert 503 == got.error.status_code


@four_forms
@pytest.mark.parametrize(
    ("messages", "options", "refusing"),
    [
        (HELLO, {"tools": TOOLS}, "ollama/codellama"),
        (IMAGE, {}, "gpt-3.5-turbo"),
        ([{"role": "user", "content": "word " * 40_000}], {}, "gpt-3.5-turbo"),
        (HELLO, {"max_tokens": 5_000}, "gpt-4-turbo"),
        (HELLO, {"stop": ["END"]}, "gpt-5-nano"),
    ],
    ids=["tools", "image", "long request", "long answer", "stop"],
)
def test_a_fallback_that_cannot_serve_the_request_is_left_out(caller, messages, options, refusing, simulator):
    """Its provider would only refuse it."""
    simulator.script(Fail(503), ANSWER)

    got = caller.ask(messages, model="gpt-4o", fallbacks=(refusing, SONNET), **options)

    assert got.error is None
    assert ["gpt-4o", SONNET] == asked(simulator)


@four_forms
def test_a_detour_that_cannot_serve_the_request_is_left_out(caller, simulator):
    """As with fallbacks."""
    simulator.script(Fail(400, code="context_length_exceeded", message="Too long."), ANSWER)

    got = caller.ask(model="gpt-4o", tools=TOOLS, context_window_fallbacks=("ollama/codellama", "gpt-4.1"))

    assert got.error is None
    assert ["gpt-4o", "gpt-4.1"] == asked(simulator)


# --- whatever is asked ----------------------------------------------------------------------------------------

NAMES = st.sampled_from(["openai", "anthropic", "google", "ollama", *FOUR, "openai/gpt-5", "no-such-model"])
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["auto", "gpt-4o", "gpt-3.5-turbo", "openai/of-tomorrow"]),
        "capability": st.sampled_from(["simple", "moderate", "complex", "coding", "research"]),
        "tier": st.sampled_from(["local", "economy", "standard", "premium"]),
        "quality_floor": st.sampled_from(["simple", "moderate", "complex"]),
        "provider": st.sampled_from(["openai", "anthropic"]),
        "allow_models": st.lists(NAMES, max_size=3).map(tuple),
        "deny_models": st.lists(NAMES, max_size=3).map(tuple),
        "routing": st.sampled_from(["enforce", "observe"]),
        "fallbacks": st.lists(st.sampled_from(["gpt-4o", HAIKU, "openai/of-tomorrow", "who-knows"]), max_size=2),
        "max_cost_usd": st.sampled_from(["0", "0.0001", "0.01", "1"]),
        "max_tokens": st.sampled_from([1, 5_000, 20_000, 300_000]),
        "tools": st.just(TOOLS),
        "response_format": st.just({"type": "json_object"}),
        "stop": st.just(["END"]),
        "n": st.sampled_from([1, 3]),
        "temperature": st.sampled_from([0.0, 0.7]),
        "seed": st.just(1),
    },
)
TEXTS = st.text(max_size=200) | st.sampled_from([" ", "a" * 100_000, "\x00", "漢字" * 3_000, "def f():\n```\n"])
PARTS = st.lists(
    st.sampled_from([{"type": "text", "text": "x"}, IMAGE[0]["content"][1], {"type": "odd"}, {}]), max_size=3
)
CONVERSATIONS = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "assistant", "who"]), "content": TEXTS | PARTS | st.none()}
    ),
    max_size=3,
)


def cannot_serve(entry, messages, options):
    """Say, independently of the filters, whether a provider would surely refuse."""
    images = sum(
        isinstance(part, dict) and part.get("type") == "image_url"
        for message in messages
        if isinstance(message["content"], list)
        for part in message["content"]
    )
    return (
        ("tools" in options and not entry.supports_tools)
        or (images and not entry.supports_vision)
        or ("response_format" in options and not entry.supports_json)
        or options.get("max_tokens", 0) > (entry.max_output_tokens or 10**9)
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CONVERSATIONS, REQUESTS)
def test_whatever_is_asked(simulator, messages, options):
    """It is refused as bad input, or goes to a model that can serve it; a second look says the same."""
    router = LLMRouter()
    try:
        decision = router.route(messages, LLMConfig(**options))
    except ConfigurationError:
        return

    assert decision == router.route(messages, LLMConfig(**options))
    assert decision.explain()
    if options.get("model", "auto") == "auto":
        entry = default_registry().find(decision.model, decision.provider)
        assert not cannot_serve(entry, messages, options)
        assert options.get("provider", decision.provider) == decision.provider
        assert not {decision.model, decision.provider} & set(options.get("deny_models", ()))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=50), REQUESTS)
def test_whatever_is_sent(simulator, text, options):
    """What a call is sent to is what `route()` has said, and the provider is content with it."""
    router, messages = LLMRouter(), [{"role": "user", "content": f"Say {text}"}]
    options = {name: value for name, value in options.items() if name not in {"max_cost_usd", "n"}}
    if options.get("model", "auto") != "auto":
        return
    try:
        decision = router.route(messages, LLMConfig(**options))
    except ConfigurationError:
        return

    response = router.complete(messages, LLMConfig(**options))

    assert decision == response.decision
    assert decision.model == simulator.requests[-1].model


def test_every_model_of_the_registry_can_be_chosen_and_called(simulator):
    """One by one, by name in `allow_models`: what is chosen is what LiteLLM can send."""
    router = LLMRouter()
    for info in list_models():
        if info.provider == "ollama" or not info.capabilities:
            continue
        response = router.complete(HELLO, LLMConfig(tier=info.tier, allow_models=(info.name,), max_tokens=20))
        assert info.name == response.decision.model == simulator.requests[-1].model
