"""What keeps a model from serving a request: each filter, with words and numbers."""

from __future__ import annotations

import pytest

from llm_otel.models.entry import ModelCapability, ModelTier
from llm_otel.routing.features import Features
from llm_otel.routing.options import (
    Bar,
    Obstacle,
    Option,
    ban_on,
    doubt_about,
    obstacle_to,
    refusal_of,
    told_together,
    wish_against,
)
from llm_otel.routing.wanted import Wanted
from tests.routing.worlds import option, ref

ENGLISH = Features(text_bytes=200_000)
"""200 kB: some 42,000 tokens."""


@pytest.mark.parametrize(
    ("facts", "features", "bar", "why_not"),
    [
        (
            {"supports_tools": False},
            Features(needs_tools=True),
            Bar.NO_TOOLS,
            "it takes no tools, and the request brings some",
        ),
        (
            {"supports_vision": False},
            Features(images=3),
            Bar.NO_VISION,
            "it takes no images, and the request has 3",
        ),
        (
            {"supports_json": False},
            Features(needs_json=True),
            Bar.NO_JSON,
            "it has no JSON mode, and response_format asks for it",
        ),
        (
            {"max_output_tokens": 4_096},
            Features(max_tokens=8_000),
            Bar.OUTPUT_LIMIT,
            "its answers have 4,096 tokens at most, max_tokens is 8,000",
        ),
        (
            {"max_output_tokens": None, "context_window": 8_192},
            Features(max_tokens=10_000),
            Bar.OUTPUT_LIMIT,
            "its context window is 8,192 tokens, max_tokens is 10,000",
        ),
        (
            {"context_window": 16_385},
            ENGLISH,
            Bar.CONTEXT_WINDOW,
            "its context window is 16,385 tokens, the request has more than 20,000",
        ),
    ],
)
def test_what_a_provider_would_refuse(facts, features, bar, why_not):
    """The same model passes where the request does not ask for it, and where nothing is known of the model."""
    found = refusal_of(option("m", **facts), features)

    assert (bar, why_not) == found
    assert None is refusal_of(option("m", **facts), Features())
    assert None is refusal_of(Option(ref=ref("m"), entry=None), features)


def test_what_a_model_can_just_do_it_can():
    """Limits are inclusive."""
    exact = option("m", max_output_tokens=100, context_window=200)

    assert None is refusal_of(exact, Features(max_tokens=100, text_bytes=2_000))


@pytest.mark.parametrize(
    ("window", "is_out", "is_in_doubt"),
    [(16_385, True, True), (32_000, False, True), (81_000, False, False), (128_000, False, False)],
)
def test_a_long_text_excludes_no_model_wrongly(window, is_out, is_in_doubt):
    """One token for each byte would put 200 kB of English out of reach of 128,000 tokens, of which it fills a third."""
    model = option("m", context_window=window)

    assert (is_out, is_in_doubt) == (refusal_of(model, ENGLISH) is not None, doubt_about(model, ENGLISH))


def test_a_window_holds_the_answer_too():
    """So that much of it has to be free."""
    model = option("m", context_window=81_000)

    assert doubt_about(model, Features(text_bytes=200_000, max_tokens=2_000))
    assert not doubt_about(option("m", context_window=None), ENGLISH)


@pytest.mark.parametrize(
    ("listed", "is_meant"),
    [
        ("gpt-4o", True),
        ("openai/gpt-4o", True),
        ("openai", True),
        ("gpt-4o-2024-08-06", True),
        ("openai/gpt-4o-2024-08-06", True),
        ("gpt-4", False),
        ("anthropic", False),
        ("anthropic/gpt-4o", False),
        ("azure/gpt-4o", False),
        ("openrouter/openai/gpt-4o", False),
    ],
)
def test_the_lists_hold_models_and_providers(listed, is_meant):
    """With and without prefix, by any of their names; one name decides."""
    model = option("gpt-4o", aliases=("gpt-4o-2024-08-06",))

    denied = ban_on(model, Wanted(deny=("nothing", listed)))
    allowed = ban_on(model, Wanted(allow=("nothing", listed)))

    assert (is_meant, is_meant) == (denied is not None, allowed is None)
    if is_meant:
        assert (Bar.DENIED, f"deny_models has {listed!r}") == denied
    else:
        assert (Bar.NOT_ALLOWED, "it is not in allow_models") == allowed


@pytest.mark.parametrize("listed", ["google", "gemini", "gcp.gemini", "gemini/gemini-pro", "google/gemini-pro"])
def test_a_provider_goes_by_any_of_its_names(listed):
    """LiteLLM's, the conventions' and people's."""
    assert ban_on(option("gemini-pro", provider="gcp.gemini"), Wanted(deny=(listed,))) is not None


def test_denied_is_denied_whatever_is_allowed():
    """So that a whole provider can be allowed but for one model."""
    wanted = Wanted(allow=("openai",), deny=("gpt-4o",))

    assert Bar.DENIED is ban_on(option("gpt-4o"), wanted).bar
    assert None is ban_on(option("gpt-5"), wanted)


def test_a_provider_that_was_named_is_the_only_one():
    """`LLMConfig(provider=..., capability=...)` chooses among its models."""
    assert Bar.OTHER_PROVIDER is ban_on(option("m", provider="anthropic"), Wanted(provider="openai")).bar
    assert None is ban_on(option("m"), Wanted(provider="openai"))


def test_what_the_caller_wishes():
    """A capability and a tier; who was judged for nothing is good for nothing."""
    wanted = Wanted(tier=ModelTier.PREMIUM)
    work = frozenset({ModelCapability.COMPLEX})

    assert (Bar.CAPABILITY, "it is not judged good enough for complex work") == wish_against(option("m"), wanted, work)
    assert (Bar.TIER, "its tier is standard, premium is asked for") == wish_against(option("m"), wanted, frozenset())
    assert Bar.CAPABILITY is wish_against(option("m", capabilities=frozenset()), wanted, frozenset()).bar
    assert None is wish_against(option("m", tier=ModelTier.PREMIUM), wanted, frozenset())


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            option("m", 2_000, missing=("OPENAI_API_KEY", "OPENAI_BASE_URL")),
            (Bar.NOT_CONFIGURED, "openai is not configured: set OPENAI_API_KEY"),
        ),
        (option("m", None), (Bar.PRICE_UNKNOWN, "its price is not known, and max_cost_usd is set")),
        (option("m", 1_001), (Bar.TOO_DEAR, "it is estimated at $0.000001001, max_cost_usd is $0.000001")),
        (option("m", 1_000), None),
        (
            option("shut", 1),
            (Bar.CIRCUIT_OPEN, "it has failed too often of late and is left alone for a while"),
        ),
    ],
)
def test_what_else_is_in_the_way(model, expected):
    """A key, money, or trouble at the provider."""
    assert expected == obstacle_to(model, Wanted(max_cost_nano=1_000), Features(), {("openai", "shut")})


def test_a_price_matters_only_where_there_is_a_limit():
    """A new model may be chosen before anybody knows its price."""
    assert None is obstacle_to(option("m", None), Wanted(), Features(), ())


@pytest.mark.parametrize("bar", list(Bar))
def test_every_kind_of_obstacle_can_be_told(bar):
    """Of one model and of several, in the order of the kinds."""
    found = [
        (option("a", missing=("A_KEY",)), Obstacle(bar, "?")),
        (option("b", missing=("B_KEY",)), Obstacle(bar, "?")),
    ]

    alone, both = told_together(found[:1]), told_together(found)

    assert alone.startswith("no model is left: of 1, 1 ")
    assert both.startswith("no model is left: of 2, 2 ")
    assert (bar is Bar.NOT_CONFIGURED) == both.endswith("(set A_KEY or B_KEY)")


def test_an_empty_registry_is_told_too():
    """There is nothing to group."""
    assert "no model is known at all; register_model(...) adds one" == told_together([])


def test_a_slip_of_the_pen_in_allow_models_is_told():
    """A name that means no model and no provider allows nothing, and whoever wrote it should hear of it."""
    found = [(option("gpt-4o"), Obstacle(Bar.NOT_ALLOWED, "?"))]

    slip = told_together(found, ("gpt-4oo", "openai"))

    assert slip.endswith("; allow_models has 'gpt-4oo', which no known model or provider is called")
    assert "allow_models has" not in told_together(found, ("gpt-4o", "openai/gpt-4o"))


def test_what_only_litellm_knows_is_told_like_the_rest():
    """Of a model that the registry does not have, too."""
    lacking = Option(ref=ref("unheard"), entry=None, untaken=("logprobs", "stop"))

    assert (Bar.NO_PARAMETER, "it does not take logprobs and stop") == refusal_of(lacking, Features())
