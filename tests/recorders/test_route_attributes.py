"""What a span says of the choice of its model."""

from __future__ import annotations

from decimal import Decimal

from llm_otel.models.entry import ModelCapability
from llm_otel.recorders.route_attributes import attributes_of
from llm_otel.routing.decision import Candidate, RouteDecision, explicit
from tests.contract.conventions import INFERENCE

CHOSEN = RouteDecision(
    model="gpt-5-nano",
    provider="openai",
    candidates=(
        Candidate(model="gpt-5-nano", provider="openai", estimated_cost_usd=Decimal("0.000102950")),
        Candidate(model="new", provider="x_ai"),
        Candidate(model="gpt-4o", provider="openai", fits=False, why_not="deny_models has 'gpt-4o'"),
    ),
    reason_codes=("budget_near:team", "cheapest", "rated:simple"),
    policy="auto",
    score=0.25,
    capability=ModelCapability.SIMPLE,
    original_model="gpt-4o",
    estimated_saved_usd=Decimal("0.002"),
    observed_model="gpt-5",
)


def test_a_model_that_was_named_needs_no_words():
    """The span has its name already."""
    assert {} == attributes_of(explicit("gpt-4o", "openai"))


def test_a_choice_is_told_with_its_reasons():
    """Every attribute that there is."""
    expected = {
        "llm_otel.route.policy": "auto",
        "llm_otel.route.reason_codes": ("budget_near:team", "cheapest", "rated:simple"),
        "llm_otel.route.candidates": (
            "openai/gpt-5-nano: 0.00010295 USD",
            "x_ai/new: price unknown",
            "openai/gpt-4o: deny_models has 'gpt-4o'",
        ),
        "llm_otel.route.score": 0.25,
        "llm_otel.route.capability": "simple",
        "llm_otel.route.original_model": "gpt-4o",
        "llm_otel.route.observed_model": "gpt-5",
        "llm_otel.route.estimated_cost_usd": 0.00010295,
        "llm_otel.route.estimated_saved_usd": 0.002,
    }

    assert expected == attributes_of(CHOSEN)
    assert {name for name in INFERENCE.attributes if name.startswith("llm_otel.route.")} == expected.keys()


def test_what_is_not_known_is_left_out():
    """A 0 would read as free."""
    plain = CHOSEN.model_copy(
        update={
            "candidates": CHOSEN.candidates[1:],
            "score": None,
            "capability": None,
            "original_model": None,
            "estimated_saved_usd": None,
            "observed_model": None,
        }
    )

    assert {"policy", "reason_codes", "candidates"} == {name.rpartition(".")[2] for name in attributes_of(plain)}


def test_a_span_stays_small():
    """Ten of the models are enough; the response has all."""
    many = CHOSEN.model_copy(update={"candidates": CHOSEN.candidates * 20})

    assert 10 == len(attributes_of(many)["llm_otel.route.candidates"])
