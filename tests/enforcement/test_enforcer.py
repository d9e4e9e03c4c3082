"""The enforcer: what it makes of budgets whose words are only understood when a call meets them."""

from __future__ import annotations

import pytest

from llm_otel import steps
from llm_otel.budgets.budget import Budget
from llm_otel.budgets.matching import NOTHING
from llm_otel.enforcement.admission import Admission, DeniedError, Patience
from llm_otel.enforcement.offers import Asked
from llm_otel.errors import UnknownProviderError
from tests.enforcement.enforcers import AT, Made

HELLO = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 1000}


def sought(budget: Budget, errors: list[Exception]) -> Admission:
    """Seek leave for a call to gpt-4o; what goes wrong on the way is put into `errors`."""
    made = Made(budget)
    made.errors = errors
    asked = Asked("openai", "gpt-4o", HELLO, None, AT)
    patience = Patience(left_s=None, lease_ms=60_000, may_change_model=True)
    return steps.run(made.enforcer.seek(asked, {}, NOTHING, patience, lambda crossings: None))


def downgrading(*names: str) -> Budget:
    """A budget with room for a small model."""
    return Budget("team", limit_usd="0.001", window="lifetime", on_exceeded="downgrade", downgrade_to=names)


def test_a_name_that_means_no_model_is_passed_over_on_the_way_down():
    """The next one is taken, and the slip is told of."""
    errors: list[Exception] = []

    admission = sought(downgrading("no-such-model", "gpt-4o-mini"), errors)

    assert "gpt-4o-mini" == admission.offer.asked.model
    assert [UnknownProviderError] == [type(each) for each in errors]


def test_a_refusal_stays_one_where_no_name_means_a_model():
    """The caller is told of the budget, not of how it was written."""
    with pytest.raises(DeniedError) as caught:
        sought(downgrading("no-such-model"), [])

    assert "too_large" == caught.value.denial.kind
