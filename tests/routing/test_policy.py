"""A user's own policy chooses among what fits, and cannot break a call."""

from __future__ import annotations

import pytest

from llm_otel.models.entry import ModelCapability
from llm_otel.routing.decision import Candidate
from llm_otel.routing.features import Features
from llm_otel.routing.headroom import NO_BUDGET, Headroom
from llm_otel.routing.taper import Taper
from llm_otel.routing.wanted import Wanted
from tests.routing.worlds import choose, names, option, rating

CHEAP, MIDDLE, DEAR = option("cheap", 1), option("middle", 5), option("dear", 9)
WANTED = Wanted(capability=ModelCapability.SIMPLE)


class Policy:
    """Returns what it was made with, or what that makes of the candidates."""

    name = "mine"

    def __init__(self, returned: object = None) -> None:
        self.returned = returned
        self.seen: list[tuple[object, tuple[Candidate, ...]]] = []

    def choose(self, request, candidates):
        """Choose, and keep what was asked."""
        self.seen.append((request, tuple(candidates)))
        return self.returned(candidates) if callable(self.returned) else self.returned


def test_a_policy_chooses_among_what_fits():
    """It gets the cheapest first, and nothing that cannot serve the call."""
    policy = Policy(lambda candidates: candidates[-1])
    unset = option("unset", 0, missing=("A_KEY",))

    decision = choose(WANTED, unset, DEAR, CHEAP, policy=policy).decision

    assert ("dear", "mine") == (decision.model, decision.policy)
    assert ("policy:mine", "capability:simple") == decision.reason_codes
    ((_, candidates),) = policy.seen
    assert ["cheap", "dear"] == [each.model for each in candidates]


def test_a_policy_may_give_an_order():
    """Which is then that of the fallbacks; what it leaves out is not tried."""
    choice = choose(WANTED, CHEAP, MIDDLE, DEAR, policy=Policy(lambda found: [found[2], found[0]]))

    assert ["dear", "cheap"] == names(choice)


def test_after_one_choice_the_next_best_follow():
    """A policy need not think of failures."""
    choice = choose(WANTED, CHEAP, MIDDLE, DEAR, policy=Policy(lambda found: found[1]))

    assert ["middle", "cheap", "dear"] == names(choice)


def test_a_policy_may_choose_where_the_caller_said_nothing():
    """It then has every model that fits."""
    assert "dear" == choose(Wanted(), CHEAP, DEAR, policy=Policy(lambda found: found[1])).decision.model


def test_a_policy_is_told_what_matters_and_no_text():
    """Lengths, needs, tags, and how full budgets are."""
    policy = Policy(lambda found: found[0])
    features = Features(
        text_bytes=400,
        max_tokens=50,
        needs_tools=True,
        rating=rating("simple", score=0.25),
        tags={"team": "search"},
    )
    near = {CHEAP.model: Headroom(0.5, "team", "search")}

    choose(Wanted(is_auto=True), CHEAP, DEAR, features=features, headroom=near, policy=policy)

    ((request, candidates),) = policy.seen
    assert (104, 50, True, False) == (
        request.input_tokens,
        request.output_tokens,
        request.needs_tools,
        request.needs_vision,
    )
    assert (ModelCapability.SIMPLE, 0.25, {"team": "search"}) == (request.capability, request.score, request.tags)
    assert [0.5, None] == [request.headroom_of(each).ratio for each in candidates]
    assert NO_BUDGET == request.headroom_of(candidates[1])


@pytest.mark.parametrize(
    ("returned", "error"),
    [
        (Candidate(model="foreign", provider="openai"), ValueError),
        ([], ValueError),
        (None, TypeError),
        ("cheap", TypeError),
        (["cheap"], TypeError),
        (lambda found: [found[0], Candidate(model="foreign", provider="x")], ValueError),
        (lambda found: 1 / 0, ZeroDivisionError),
        (lambda found: (each for each in found), TypeError),
    ],
)
def test_what_cannot_be_used_has_the_cheapest_taken(returned, error):
    """The call goes on, it is said, and whoever runs the call hears of it."""
    choice = choose(WANTED, DEAR, CHEAP, policy=Policy(returned))

    assert "cheap" == choice.decision.model
    assert ("policy_failed:mine", "cheapest", "capability:simple") == choice.decision.reason_codes
    assert error is type(choice.policy_error)


def test_a_policy_without_a_name_goes_by_its_class():
    """Decorated or mocked objects may have none."""

    class Nameless:
        def choose(self, request, candidates):
            return candidates[0]

    assert "Nameless" == choose(WANTED, CHEAP, policy=Nameless()).decision.policy


def test_a_budget_that_is_nearly_used_up_goes_before_a_policy():
    """And the policy's choice is what it would have been."""
    options = [CHEAP, MIDDLE, DEAR]
    near = {each.model: Headroom(0.99, "team", "") for each in options}
    policy = Policy(lambda found: found[-1])

    decision = choose(WANTED, *options, headroom=near, taper=Taper(), policy=policy).decision

    assert ("cheap", "dear", "mine") == (decision.model, decision.original_model, decision.policy)
    assert ("budget_critical:team", "policy:mine", "capability:simple") == decision.reason_codes


def test_a_policy_is_not_asked_about_a_named_model():
    """The caller has decided."""
    policy = Policy(lambda found: found[0])

    decision = choose(Wanted(model=DEAR.ref, capability=ModelCapability.SIMPLE), CHEAP, DEAR, policy=policy).decision

    assert ("dear", []) == (decision.model, policy.seen)
