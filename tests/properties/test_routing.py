"""Whatever is asked: a decision never crashes, never names a model that cannot serve, and is always the same."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from llm_otel.errors import NoModelError
from llm_otel.models.catalog import catalog
from llm_otel.models.entry import ModelCapability, ModelTier
from llm_otel.models.resolve import ModelRef, resolve_model
from llm_otel.routing.choice import Choice, decide
from llm_otel.routing.complexity import Rating
from llm_otel.routing.decision import RouteDecision
from llm_otel.routing.features import Features, features_of
from llm_otel.routing.headroom import Headroom
from llm_otel.routing.options import Option
from llm_otel.routing.reasons import CODES
from llm_otel.routing.taper import NO_TAPER, Taper
from llm_otel.routing.wanted import LEVELS, Wanted

ENTRIES = catalog()
REFS = [resolve_model(entry.name, entry.provider) for entry in ENTRIES]
FOREIGN = ModelRef("of-tomorrow", "openai", "openai/of-tomorrow", "openai")
LISTED = st.lists(
    st.sampled_from(["openai", "anthropic", "google", "ollama", "gpt-4o", "openai/gpt-5", "gpt-4o-mini", "x/y"]),
    max_size=3,
).map(tuple)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Option, ...]:
    """Return some of the catalogue's models, at any cost, configured or not."""
    chosen = draw(st.lists(st.sampled_from(range(len(ENTRIES))), max_size=12, unique=True))
    return tuple(
        Option(
            ref=REFS[index],
            entry=draw(st.sampled_from([ENTRIES[index], replace(ENTRIES[index], context_window=None)])),
            estimated_nano=draw(st.none() | st.integers(0, 50)),
            missing=draw(st.sampled_from([(), (), ("A_KEY",)])),
        )
        for index in sorted(chosen)
    )


RATINGS = st.builds(
    Rating,
    capability=st.sampled_from(ModelCapability),
    level=st.sampled_from(LEVELS),
    score=st.floats(0, 1),
    signals=st.lists(st.sampled_from(["a", "b"]), max_size=3).map(tuple),
)
FEATURES = st.builds(
    Features,
    text_bytes=st.integers(0, 3_000_000),
    images=st.integers(0, 2),
    max_tokens=st.none() | st.integers(1, 200_000),
    answers=st.integers(1, 4),
    needs_tools=st.booleans(),
    needs_json=st.booleans(),
    rating=RATINGS,
)
WANTED = st.builds(
    Wanted,
    model=st.none() | st.sampled_from([*REFS, FOREIGN]),
    is_auto=st.booleans(),
    capability=st.none() | st.sampled_from(ModelCapability),
    tier=st.none() | st.sampled_from(ModelTier),
    quality_floor=st.none() | st.sampled_from(LEVELS),
    provider=st.sampled_from([None, None, "openai"]),
    allow=LISTED,
    deny=LISTED,
    fallbacks=st.none() | st.lists(st.sampled_from([*REFS, FOREIGN]), max_size=3).map(tuple),
    max_cost_nano=st.none() | st.integers(0, 60),
).flatmap(lambda wanted: st.sampled_from([wanted, replace(wanted, is_observed=wanted.model is not None)]))
LEVELS_OF_BUDGETS = st.dictionaries(
    st.sampled_from([(ref.provider, ref.model) for ref in REFS]),
    st.builds(Headroom, st.none() | st.floats(0, 1.5), st.just("team"), st.just("")),
)
TAPERS = st.sampled_from([Taper(), NO_TAPER, Taper(cheaper_at=0.1, cheapest_at=0.2)])
SHUT = st.frozensets(st.sampled_from([(ref.provider, ref.model) for ref in REFS]), max_size=5)


def cannot_serve(option: Option, features: Features) -> bool:
    """Say, independently of the filters, whether a provider would surely refuse."""
    entry = option.entry
    assert entry is not None
    return (
        (features.needs_tools and not entry.supports_tools)
        or (features.images > 0 and not entry.supports_vision)
        or (features.needs_json and not entry.supports_json)
        or (features.max_tokens or 0) > (entry.max_output_tokens or 10**9)
        or features.text_bytes > 11 * (entry.context_window or 10**9)
    )


@given(WANTED, FEATURES, worlds(), LEVELS_OF_BUDGETS, SHUT, TAPERS)
def test_a_choice_can_serve_the_request(wanted, features, options, headroom, shut, taper):
    """What the router chooses passes every filter; where nothing does, the error says so and nothing else is raised."""
    try:
        choice = decide(wanted, features, options, headroom=headroom, open_circuits=shut, taper=taper)
    except NoModelError:
        assert wanted.model is None
        return
    decision, taken = choice.decision, find(options, choice.decision)

    assert (decision.provider, decision.model) == (choice.targets[0].provider, choice.targets[0].model)
    assert len(set(choice.targets)) == len(choice.targets)
    assert {code.partition(":")[0] for code in decision.reason_codes} <= set(CODES)
    assert decision.explain()
    if (decision.provider, decision.model) == named(wanted):
        return
    assert taken is not None
    assert not cannot_serve(taken, features)
    assert not taken.missing
    assert wanted.max_cost_nano is None or (taken.estimated_nano or 0) <= wanted.max_cost_nano
    assert decision.provider not in wanted.deny
    assert decision.model not in wanted.deny
    assert wanted.provider in {None, decision.provider}
    assert is_good_enough(taken, wanted, features)


def is_good_enough(taken: Option, wanted: Wanted, features: Features) -> bool:
    """Say whether a model is not below the floor, and can do the kind of work."""
    assert taken.entry is not None
    can = taken.entry.capabilities
    asked = {wanted.capability} if wanted.capability else set()
    if not wanted.is_observed and features.rating is not None:
        asked.add(features.rating.capability)
    kinds = {each for each in asked if each not in LEVELS}
    return kinds <= can and (wanted.quality_floor is None or any(each in can for each in LEVELS))


def named(wanted: Wanted) -> tuple[str, str] | None:
    """Return the model that the caller named."""
    return None if wanted.model is None else (wanted.model.provider, wanted.model.model)


def find(options: tuple[Option, ...], decision: RouteDecision) -> Option | None:
    """Return the option that was chosen."""
    return next((each for each in options if each.model == (decision.provider, decision.model)), None)


@given(WANTED, FEATURES, worlds(), LEVELS_OF_BUDGETS, SHUT, TAPERS)
def test_the_same_inputs_give_the_same_decision(wanted, features, options, headroom, shut, taper):
    """Nothing is remembered, nothing is left to chance."""

    def outcome() -> Choice | str:
        try:
            return decide(wanted, features, options, headroom=headroom, open_circuits=shut, taper=taper)
        except NoModelError as exc:
            return str(exc)

    assert outcome() == outcome()


@given(WANTED, FEATURES, worlds(), st.sampled_from(["allow", "deny", "provider", "tier", "max_cost_nano"]))
def test_a_filter_less_never_makes_the_choice_dearer(wanted, features, options, relaxed):
    """For requests that no model may find too long: those are taken where they surely fit, at any price."""
    empty = () if relaxed in {"allow", "deny"} else None
    strict = replace(wanted, model=None, is_observed=False)
    short = replace(features, text_bytes=100, max_tokens=None)

    costs = [cost_of(each, short, options) for each in (strict, replace(strict, **{relaxed: empty}))]

    assert costs[1] <= costs[0]


def cost_of(wanted: Wanted, features: Features, options: tuple[Option, ...]) -> float:
    """Return what the choice is expected to cost; more than anything where there is none, or no price."""
    try:
        choice = decide(wanted, features, options, headroom={}, open_circuits=(), taper=NO_TAPER)
    except NoModelError:
        return float("inf")
    taken = find(options, choice.decision)
    assert taken is not None
    return 10**9 if taken.estimated_nano is None else taken.estimated_nano


@given(WANTED, FEATURES, worlds(), LEVELS_OF_BUDGETS)
def test_a_budget_never_has_a_dearer_model_taken(wanted, features, options, headroom):
    """And what it saves is the difference."""
    try:
        choice = decide(wanted, features, options, headroom=headroom, open_circuits=(), taper=Taper())
    except NoModelError:
        return
    decision = choice.decision
    if decision.original_model is None:
        assert decision.estimated_saved_usd is None
        return
    assert decision.estimated_saved_usd is not None
    assert decision.estimated_saved_usd > 0
    assert decision.reason_codes[0].startswith(("budget_near:team", "budget_critical:team"))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "tool_calls", "image_url", "input"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["messages", "tools", "functions", "response_format", "max_tokens", "n", "service_tier"]),
        ANYTHING,
    )
)
def test_any_arguments_can_be_read(arguments):
    """A request that no provider would take is the provider's to refuse."""
    features = features_of(arguments, rating=None, tags={})

    assert 0 <= features.least_input_tokens <= features.usual_input_tokens <= features.most_input_tokens
    assert features.expected_output_tokens(None, None) > 0
