"""The choice of a model is a value that says why."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from llm_otel.routing.decision import Candidate, RouteDecision, explicit


def test_a_caller_who_names_the_model_has_decided():
    """One candidate, which fits, and the reason."""
    expected = RouteDecision(
        model="gpt-4o-mini",
        provider="openai",
        candidates=(Candidate(model="gpt-4o-mini", provider="openai"),),
        reason_codes=("explicit_model",),
        policy="explicit",
    )

    assert expected == explicit("gpt-4o-mini", "openai")
    assert (True, None) == (expected.candidates[0].fits, expected.candidates[0].why_not)


def test_a_decision_does_not_change():
    """The response carries the one that was made."""
    with pytest.raises(ValidationError):
        explicit("gpt-4o-mini", "openai").model = "gpt-4o"
