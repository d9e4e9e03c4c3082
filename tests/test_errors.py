"""Errors: one tree, fields beside the words, and they survive the way to another process."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from llm_otel import errors
from llm_otel.errors import (
    BudgetExceededError,
    CircuitOpenError,
    ConfigurationError,
    LLMOtelError,
    NoModelError,
    ProviderError,
    UnknownModelError,
    UnknownProviderError,
)

EXAMPLES: tuple[LLMOtelError, ...] = (
    LLMOtelError("something", 5),
    ConfigurationError("limit_usd", "-1", "0 or more"),
    ConfigurationError("api_key", None, "a key"),
    NoModelError("capability", "complex", "no model is left", why_not={"openai/gpt-4o": "it takes no images"}),
    UnknownModelError("model", "gpt-99", "a model that is registered"),
    UnknownProviderError("provider", "nobody", "a provider"),
    ProviderError(
        provider="openai",
        model="gpt-4o",
        error_type="RateLimitError",
        status_code=429,
        attempts=3,
        retry_after_s=2.5,
    ),
    CircuitOpenError(provider="openai", model="gpt-4o", retry_after_s=12.5),
    BudgetExceededError(
        kind="exhausted",
        budget="team",
        scope="search",
        window="month 2026-11, Europe/Berlin",
        limit_usd=Decimal(100),
        spent_usd=Decimal("99.8"),
        held_usd=Decimal(0),
        requested_usd=Decimal("0.42"),
        resets_at=datetime(2026, 12, 1, tzinfo=ZoneInfo("Europe/Berlin")),
        retry_after_s=60.0,
    ),
)


def classes(kind: type[LLMOtelError] = LLMOtelError) -> Iterator[type[LLMOtelError]]:
    """Yield the tree from a class down."""
    yield kind
    for each in kind.__subclasses__():
        yield from classes(each)


def refusal(**fields: Any) -> BudgetExceededError:
    """A refusal by a plain budget of 100 dollars."""
    known = {
        "kind": "exhausted",
        "budget": "team",
        "scope": "",
        "window": "day 2026-11-22, UTC",
        "limit_usd": Decimal(100),
        "spent_usd": Decimal(100),
        "held_usd": Decimal(0),
        "requested_usd": Decimal(1),
        "resets_at": datetime(2026, 11, 23, tzinfo=UTC),
        "retry_after_s": 60.0,
    }
    return BudgetExceededError(**{**known, **fields})


def test_every_class_of_the_tree_has_an_example_here() -> None:
    """So that the tests below speak for all."""
    ours = {each for each in classes() if each.__module__ == errors.__name__}
    assert ours == {type(each) for each in EXAMPLES}


@pytest.mark.parametrize(
    "copied",
    [
        *(
            pytest.param(
                lambda each, protocol=protocol: pickle.loads(pickle.dumps(each, protocol)), id=f"pickle-{protocol}"
            )
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
    ],
)
@pytest.mark.parametrize("error", EXAMPLES, ids=lambda each: type(each).__name__)
def test_an_error_survives_the_way_to_another_process(error: LLMOtelError, copied: Any) -> None:
    """Its class, its words and its fields: task queues send errors from process to process."""
    arrived = copied(error)
    assert arrived is not error
    assert (type(error), str(error), error.args, vars(error)) == (
        type(arrived),
        str(arrived),
        arrived.args,
        vars(arrived),
    )


def test_notes_that_were_added_go_along() -> None:
    """Somebody wrote them to be read."""
    error = refusal()
    error.add_note("while answering")
    assert ["while answering"] == pickle.loads(pickle.dumps(error)).__notes__


def test_a_copy_has_fields_of_its_own() -> None:
    """Changing one is not changing the other."""
    error = refusal()
    other = copy.copy(error)
    other.scope = "growth"
    assert "" == error.scope


def test_a_configuration_error_is_a_value_error() -> None:
    """It names the field, the value and what is allowed."""
    error = ConfigurationError("limit_usd", "-1", "0 or more")
    assert isinstance(error, ValueError)
    assert "limit_usd='-1' is not usable: 0 or more" == str(error)
    assert ("limit_usd", "-1", "0 or more") == (error.field, error.value, error.allowed)


def test_an_error_for_want_of_a_key_says_which_to_set() -> None:
    """The first thing that somebody who tries this meets."""
    error = ProviderError(
        provider="openai", model="gpt-4o", error_type="Whatever", status_code=None, attempts=1, unset="OPENAI_API_KEY"
    )
    assert (
        "openai model 'gpt-4o' failed after 1 attempt: Whatever; "
        "there is no key to send it with: set OPENAI_API_KEY, or give LLMConfig an api_key"
    ) == str(error)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0.00"),
        ("0E-9", "0.00"),
        ("1E-9", "0.000000001"),
        ("5", "5.00"),
        ("5.500000000", "5.50"),
        ("0.123456789", "0.123456789"),
        ("1E+3", "1000.00"),
        ("9223372036.854775807", "9223372036.854775807"),
    ],
)
def test_money_is_written_as_people_write_it(amount: str, shown: str) -> None:
    """No exponent, the cents, and no more zeros than that."""
    assert f"refused a call of up to {shown} USD: " in str(refusal(requested_usd=Decimal(amount)))


def test_a_refusal_without_numbers_says_so() -> None:
    """Not 0: nobody knows."""
    error = refusal(spent_usd=None, held_usd=None, requested_usd=None)
    assert "refused a call: ? of 100.00 USD are spent, ? held for calls in flight; resets 2026-11-23" in str(error)
