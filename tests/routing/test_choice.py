"""Which model is taken, in what order others follow, and what is said of it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from llm_otel.errors import ConfigurationError, NoModelError
from llm_otel.models.entry import ModelCapability, ModelTier
from llm_otel.routing.decision import Candidate, explicit
from llm_otel.routing.features import Features
from llm_otel.routing.headroom import Headroom
from llm_otel.routing.options import Option
from llm_otel.routing.taper import Taper
from llm_otel.routing.wanted import Wanted
from tests.routing.worlds import BASIC, STRONG, choose, names, option, rating, ref

SIMPLE, MODERATE, COMPLEX = ModelCapability.SIMPLE, ModelCapability.MODERATE, ModelCapability.COMPLEX
CODING = ModelCapability.CODING
CHEAP, MIDDLE, DEAR = option("cheap", 1), option("middle", 5), option("dear", 9)
TAPER = Taper(cheaper_at=0.8, cheapest_at=0.95)


# --- the caller names the model ---------------------------------------------------------------------------------------


def test_a_named_model_is_taken_as_it_is():
    """Nothing is compared, nothing is looked at: the decision is the one that is kept ready."""
    choice = choose(Wanted(model=ref("gpt-9")))

    assert explicit("gpt-9", "openai") is choice.decision
    assert ["gpt-9"] == names(choice)


def test_a_named_model_has_the_fallbacks_that_were_named():
    """In the caller's order, each once, and not itself."""
    wanted = Wanted(model=ref("a"), fallbacks=(ref("c"), ref("a"), ref("b"), ref("c")))

    assert ["a", "c", "b"] == names(choose(wanted))


def test_a_capability_beside_a_name_changes_nothing_while_budgets_have_room():
    """The name is what is asked for, though others are cheaper."""
    choice = choose(Wanted(model=ref("dear"), capability=SIMPLE), CHEAP, DEAR)

    assert "dear" == choice.decision.model
    assert ("explicit_model", "capability:simple") == choice.decision.reason_codes
    assert ["dear"] == names(choice)


def test_a_named_model_that_nobody_knows_is_taken():
    """New ones appear every week."""
    assert "new" == choose(Wanted(model=ref("new"), capability=SIMPLE), CHEAP).decision.model


# --- the router chooses -----------------------------------------------------------------------------------------------


def test_the_cheapest_for_this_call_is_taken():
    """Of the models that are good enough; the decision lists all of them, the chosen one first."""
    weak = option("weak", 0, capabilities=frozenset({CODING}))

    decision = choose(Wanted(capability=SIMPLE), weak, DEAR, CHEAP).decision

    assert ("cheap", "capability", SIMPLE) == (decision.model, decision.policy, decision.capability)
    assert ("cheapest", "capability:simple") == decision.reason_codes
    assert (
        Candidate(model="cheap", provider="openai", estimated_cost_usd=Decimal("1e-9")),
        Candidate(model="dear", provider="openai", estimated_cost_usd=Decimal("9e-9")),
        Candidate(model="weak", provider="openai", fits=False, why_not="it is not judged good enough for simple work"),
    ) == decision.candidates


def test_the_earlier_of_equals_is_taken():
    """The order of the registry breaks ties."""
    assert "first" == choose(Wanted(capability=SIMPLE), option("first"), option("second")).decision.model


def test_a_tier_is_a_price_class_to_choose_from():
    """Alone, or together with a capability."""
    options = [option("economy", 1, tier=ModelTier.ECONOMY), option("premium", 9, tier=ModelTier.PREMIUM)]

    alone = choose(Wanted(tier=ModelTier.PREMIUM), *options).decision
    both = choose(Wanted(tier=ModelTier.PREMIUM, capability=MODERATE), *options).decision

    assert ("premium", "tier") == (alone.model, alone.policy)
    assert ("only_candidate", "tier:premium") == alone.reason_codes
    assert ("premium", "capability") == (both.model, both.policy)
    assert ("only_candidate", "tier:premium", "capability:moderate") == both.reason_codes


def test_a_price_that_is_not_known_is_not_cheap():
    """After all known ones; taken only where there is no other, which is said."""
    unknown = option("unknown", None)

    assert "dear" == choose(Wanted(capability=SIMPLE), unknown, DEAR).decision.model
    only = choose(Wanted(capability=SIMPLE), unknown, option("too", None)).decision
    assert ("unknown", "price_unknown") == (only.model, only.reason_codes[0])


def test_a_model_that_nobody_judged_is_never_chosen():
    """Such as one that only makes embeddings: no capability, so no completion."""
    embeddings = option("embeddings", 0, capabilities=frozenset(), tier=ModelTier.STANDARD)

    assert "dear" == choose(Wanted(tier=ModelTier.STANDARD), embeddings, DEAR).decision.model


# --- by the rating of the request -------------------------------------------------------------------------------------


def test_auto_takes_what_the_request_was_rated_to_need():
    """With the evidence among the reasons."""
    strong = option("strong", 9, capabilities=STRONG)
    features = Features(rating=rating("complex", score=0.8, signals=("steps", "digits")))

    decision = choose(Wanted(is_auto=True), CHEAP, strong, features=features).decision

    assert ("strong", "auto", 0.8, COMPLEX) == (
        decision.model,
        decision.policy,
        decision.score,
        decision.capability,
    )
    assert ("only_candidate", "rated:complex", "signal:steps", "signal:digits") == decision.reason_codes


@pytest.mark.parametrize(
    ("rated", "floor", "expected"),
    [("simple", "complex", "strong"), ("complex", "simple", "strong"), ("simple", "simple", "cheap")],
)
def test_the_floor_raises_a_rating_and_never_lowers_it(rated, floor, expected):
    """And is named only where it changed something."""
    strong = option("strong", 9, capabilities=STRONG)
    wanted = Wanted(is_auto=True, quality_floor=ModelCapability(floor))

    decision = choose(wanted, CHEAP, strong, features=Features(rating=rating(rated))).decision

    assert expected == decision.model
    assert ((rated, floor) == ("simple", "complex")) == (f"quality_floor:{floor}" in decision.reason_codes)


def test_code_that_is_hard_needs_a_model_for_both():
    """Any coder writes a loop; a level below complex asks nothing more of it."""
    coder = option("coder", 1, capabilities=frozenset({CODING}))
    strong = option("strong", 9, capabilities=STRONG)

    easy = choose(Wanted(is_auto=True), coder, strong, features=Features(rating=rating("coding", "moderate")))
    hard = choose(Wanted(is_auto=True), coder, strong, features=Features(rating=rating("coding", "complex")))

    assert ("coder", "strong") == (easy.decision.model, hard.decision.model)
    assert (CODING, CODING) == (easy.decision.capability, hard.decision.capability)


def test_observing_takes_the_named_model_and_says_what_would_have_been():
    """Before anybody trusts the rating, its choices can be watched."""
    wanted = Wanted(model=ref("dear"), is_observed=True)
    features = Features(rating=rating("simple", score=0.1, signals=("short",)))

    choice = choose(wanted, CHEAP, DEAR, features=features)

    assert ("dear", "cheap", 0.1) == (choice.decision.model, choice.decision.observed_model, choice.decision.score)
    assert ("explicit_model", "observed:cheap", "rated:simple", "signal:short") == choice.decision.reason_codes
    assert ["dear", "cheap"] == [each.model for each in choice.decision.candidates]
    assert ["dear"] == names(choice)


def test_observing_fails_no_call():
    """Where nothing could have been chosen, that is what is observed."""
    wanted = Wanted(model=ref("dear"), is_observed=True, deny=("openai",))

    decision = choose(wanted, CHEAP, DEAR, features=Features(rating=rating("simple"))).decision

    assert ("dear", None) == (decision.model, decision.observed_model)
    assert ("explicit_model", "observed_none") == decision.reason_codes


# --- where the call goes when that fails ------------------------------------------------------------------------------


def test_the_next_best_follow_the_choice():
    """Cheapest first, four at most, of which the first is of another provider where there is one."""
    options = [option(f"m{nano}", nano) for nano in range(1, 8)]
    other = option("other", 50, provider="anthropic")

    assert ["m1", "m2", "m3", "m4", "m5"] == names(choose(Wanted(capability=SIMPLE), *options))
    assert ["m1", "other", "m2", "m3", "m4"] == names(choose(Wanted(capability=SIMPLE), *options, other))


def test_the_fallbacks_that_were_named_take_their_place():
    """In the caller's order, whatever they cost; an empty tuple means none."""
    named = Wanted(capability=SIMPLE, fallbacks=(ref("dear"), ref("elsewhere", "x")))

    assert ["cheap", "dear", "elsewhere"] == names(choose(named, CHEAP, MIDDLE, DEAR))
    assert ["cheap"] == names(choose(Wanted(capability=SIMPLE, fallbacks=()), CHEAP, MIDDLE))


def test_a_fallback_that_would_refuse_the_request_is_left_out():
    """What the provider cannot do is no matter of who chose; what is not configured may be so in another way."""
    blind = option("blind", 1, supports_vision=False)
    unset = option("unset", 1, missing=("A_KEY",))
    wanted = Wanted(capability=SIMPLE, fallbacks=(blind.ref, unset.ref, ref("unknown")))

    assert ["dear", "unset", "unknown"] == names(choose(wanted, blind, unset, DEAR, features=Features(images=1)))


# --- nothing is left --------------------------------------------------------------------------------------------------


def test_an_error_says_of_every_model_why_not():
    """Grouped, with the numbers, and with what would help."""
    options = [
        option("blind", supports_vision=False),
        option("unset", missing=("OPENAI_API_KEY", "OPENAI_BASE_URL")),
        option("unset too", provider="anthropic", missing=("ANTHROPIC_API_KEY",)),
        option("coder", capabilities=frozenset({CODING})),
    ]

    with pytest.raises(NoModelError) as raised:
        choose(Wanted(capability=SIMPLE), *options, features=Features(images=2))

    assert isinstance(raised.value, ConfigurationError)
    assert ("capability", "simple") == (raised.value.field, raised.value.value)
    assert (
        "capability='simple' is not usable: no model is left: of 4, 1 is not judged good enough, 1 takes no images, "
        "2 belong to providers that are not configured (set OPENAI_API_KEY or ANTHROPIC_API_KEY)"
    ) == str(raised.value)
    assert "it takes no images, and the request has 2" == raised.value.why_not["openai/blind"]


@pytest.mark.parametrize(
    ("wanted", "field", "value"),
    [
        (Wanted(is_auto=True), "model", "auto"),
        (Wanted(tier=ModelTier.LOCAL), "tier", "local"),
        (Wanted(capability=SIMPLE, tier=ModelTier.LOCAL), "capability", "simple"),
        (Wanted(), "model", None),
    ],
)
def test_an_error_names_what_was_asked(wanted, field, value):
    """As the caller wrote it."""
    with pytest.raises(NoModelError) as raised:
        choose(wanted, features=Features(rating=rating("simple")) if wanted.is_auto else None)

    assert (field, value) == (raised.value.field, raised.value.value)


def test_an_open_circuit_is_avoided():
    """While another model fits."""
    choice = choose(Wanted(capability=SIMPLE), CHEAP, DEAR, open_circuits={CHEAP.model})

    assert ["dear"] == names(choice)
    assert ("only_candidate", "capability:simple") == choice.decision.reason_codes


def test_open_circuits_alone_are_no_error_of_configuration():
    """The call is told when to try again; or it is the one that finds the provider back."""
    choice = choose(Wanted(capability=SIMPLE), CHEAP, DEAR, open_circuits={CHEAP.model, DEAR.model})

    assert ["cheap", "dear"] == names(choice)
    assert ("cheapest", "circuit_open", "capability:simple") == choice.decision.reason_codes


# --- budgets that are nearly used up ----------------------------------------------------------------------------------


def headroom(ratio: float | None, *options: Option, budget: str = "team") -> dict[tuple[str, str], Headroom]:
    """Return the same for each model."""
    return {each.model: Headroom(ratio, budget, "") for each in options}


@pytest.mark.parametrize(
    ("ratio", "expected", "reason"),
    [
        (None, "dear", "explicit_model"),
        (0.79, "dear", "explicit_model"),
        (0.8, "middle", "budget_near:team"),
        (0.949, "middle", "budget_near:team"),
        (0.95, "cheap", "budget_critical:team"),
        (1.7, "cheap", "budget_critical:team"),
    ],
)
def test_near_its_limit_a_budget_has_cheaper_models_taken(ratio, expected, reason):
    """The next cheaper at 80 %, the cheapest at 95 %; both are as good, and it is said."""
    options = [CHEAP, DEAR, MIDDLE]
    wanted = Wanted(model=ref("dear"), capability=SIMPLE)

    decision = choose(wanted, *options, headroom=headroom(ratio, *options), taper=TAPER).decision

    assert (expected, reason) == (decision.model, decision.reason_codes[0])
    if expected != "dear":
        saved = Decimal(9 - {"middle": 5, "cheap": 1}[expected]) / 10**9
        assert ("dear", saved) == (decision.original_model, decision.estimated_saved_usd)
        assert "explicit_model" in decision.reason_codes


def test_what_is_hardly_cheaper_is_no_next_cheaper_model():
    """Another model for a hundredth less is a change for nothing; where the budget is critical every bit counts."""
    dear, same, tenth = option("dear", 100), option("same", 91), option("tenth", 90)
    wanted = Wanted(model=ref("dear"), capability=SIMPLE)

    def taken(ratio, *options):
        return choose(wanted, *options, headroom=headroom(ratio, *options), taper=TAPER).decision.model

    assert ["tenth", "dear"] == [taken(0.8, dear, same, tenth), taken(0.8, dear, same)]
    assert "same" == taken(0.95, dear, same)


def test_the_model_that_was_named_is_what_a_cheaper_one_falls_back_to():
    """It is what the caller wanted; unless there were to be no fallbacks."""
    options = [CHEAP, DEAR]
    near = headroom(0.99, *options)

    def targets(fallbacks):
        wanted = Wanted(model=ref("dear"), capability=SIMPLE, fallbacks=fallbacks)
        return names(choose(wanted, *options, headroom=near, taper=TAPER))

    assert ["cheap", "dear"] == targets(None)
    assert ["cheap", "dear", "other"] == targets((ref("other"),))
    assert ["cheap"] == targets(())


def test_a_named_model_gives_way_only_where_the_caller_said_to_what():
    """Without a capability nobody knows what would be as good."""
    choice = choose(Wanted(model=ref("dear")), CHEAP, DEAR, headroom=headroom(0.99, CHEAP, DEAR), taper=TAPER)

    assert "dear" == choice.decision.model


def test_the_limits_of_the_taper_can_be_turned_off():
    """1.0 or more: never, even over the limit."""
    options = [CHEAP, DEAR, MIDDLE]
    wanted = Wanted(model=ref("dear"), capability=SIMPLE)

    def taken(cheaper_at, cheapest_at):
        taper = Taper(cheaper_at=cheaper_at, cheapest_at=cheapest_at)
        return choose(wanted, *options, headroom=headroom(1.2, *options), taper=taper).decision.model

    assert ["dear", "middle", "cheap"] == [taken(1.0, 1.0), taken(0.8, 1.0), taken(1.0, 0.95)]


def test_never_below_the_floor():
    """At 95 % the floor is what counts, and a kind of work is never given up for it."""
    weak = option("weak", 1, capabilities=BASIC)
    coder = option("coder", 2, capabilities=BASIC | {CODING})
    strong = option("strong", 9, capabilities=STRONG)
    options = [weak, coder, strong]
    critical = headroom(0.99, *options)

    def taken(**wanted):
        return choose(Wanted(**wanted), *options, headroom=critical, taper=TAPER).decision.model

    assert "strong" == taken(capability=COMPLEX)
    assert "weak" == taken(capability=COMPLEX, quality_floor=MODERATE)
    assert "coder" == taken(capability=CODING, quality_floor=MODERATE)


def test_a_tier_gives_way_to_models_that_are_as_good():
    """A tier alone says nothing of quality, so the choice's own is kept."""
    weak = option("weak", 1, tier=ModelTier.ECONOMY)
    peer = option("peer", 2, tier=ModelTier.STANDARD, capabilities=STRONG)
    first = option("first", 9, tier=ModelTier.PREMIUM, capabilities=STRONG)
    options = [weak, peer, first]

    decision = choose(Wanted(tier=ModelTier.PREMIUM), *options, headroom=headroom(0.99, *options), taper=TAPER).decision

    assert ("peer", "first") == (decision.model, decision.original_model)
    assert ("budget_critical:team", "tier:premium") == decision.reason_codes


def test_no_way_out_leads_into_a_fuller_budget():
    """A cheaper model whose own budget is used up would only be refused."""
    options = [CHEAP, MIDDLE, DEAR]
    levels = headroom(0.96, *options) | headroom(1.0, CHEAP, budget="cheap only")

    decision = choose(Wanted(model=ref("dear"), capability=SIMPLE), *options, headroom=levels, taper=TAPER).decision

    assert ("middle", "budget_critical:team") == (decision.model, decision.reason_codes[0])


def test_a_cheaper_model_passes_the_same_filters():
    """One that cannot serve the request saves nothing."""
    blind = option("blind", 1, supports_vision=False)
    levels = headroom(0.99, blind, DEAR)

    choice = choose(
        Wanted(model=ref("dear"), capability=SIMPLE),
        blind,
        DEAR,
        headroom=levels,
        taper=TAPER,
        features=Features(images=1),
    )

    assert "dear" == choice.decision.model


@pytest.mark.parametrize("wanted", [Wanted(model=ref("dear"), capability=SIMPLE), Wanted(tier=ModelTier.PREMIUM)])
def test_what_a_budget_changed_is_kept_for_the_bill(wanted):
    """At the end of the call, its usage is priced with it too."""
    cheap, dear = option("cheap", 1), option("dear", 9, tier=ModelTier.PREMIUM)

    near, far = (
        choose(wanted, cheap, dear, headroom=headroom(ratio, cheap, dear), taper=TAPER) for ratio in (0.9, 0.1)
    )

    assert (ref("dear"), "cheap") == (near.original, near.decision.model)
    assert (None, "dear") == (far.original, far.decision.model)
