"""What a model takes and gives: from the registry, else from LiteLLM's map, else unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llm_otel.models import limits
from llm_otel.models.entry import ModelEntry
from llm_otel.models.limits import ModelLimits, limits_of
from llm_otel.models.registry import default_registry

Say = Callable[[dict[str, Any]], None]

pytestmark = pytest.mark.usefixtures("fresh_registry")


def register(provider: str, name: str, *, window: int | None, most: int | None, replace: bool = False) -> None:
    """Put a model into the registry."""
    entry = ModelEntry(
        name=name,
        provider=provider,
        tier=None,
        capabilities=frozenset(),
        context_window=window,
        max_output_tokens=most,
        periods=(),
        price_source="test",
        price_date=None,
        is_user_defined=True,
    )
    default_registry().register(entry, replace=replace)


@pytest.fixture
def litellm_says(litellm_files: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Say:
    """Let LiteLLM's map say something of one model: `m` at OpenAI."""

    def say(facts: dict[str, Any]) -> None:
        found = litellm_files({"m": {"litellm_provider": "openai", **facts}})
        monkeypatch.setattr(limits, "litellm_map", lambda: found)

    return say


def test_the_catalogue_knows_its_models() -> None:
    """By name, and by the dated names of the same model."""
    assert ModelLimits(128_000, 16_384) == limits_of("openai", "gpt-4o-mini")
    assert limits_of("openai", "gpt-4o") == limits_of("openai", "gpt-4o-2024-08-06")


def test_a_users_model_goes_before_litellms_map(litellm_says: Say) -> None:
    """Unknown there is unknown: nobody mixes the two."""
    litellm_says({"max_input_tokens": 5, "max_output_tokens": 6})
    register("openai", "m", window=1_000, most=None)
    assert ModelLimits(1_000, None) == limits_of("openai", "m")


def test_of_two_models_with_one_name_that_of_the_provider_counts() -> None:
    """The catalogue's `gpt-4o` is OpenAI's own; another provider may serve less of it."""
    register("azure.ai.openai", "gpt-4o", window=1_000, most=100)
    assert ModelLimits(1_000, 100) == limits_of("azure.ai.openai", "gpt-4o")
    assert ModelLimits(128_000, 16_384) == limits_of("openai", "gpt-4o")


def test_a_change_in_the_registry_is_seen_at_once() -> None:
    """What was kept ready is of an older version."""
    assert ModelLimits() == limits_of("nowhere", "mine")
    register("nowhere", "mine", window=1_000, most=100)
    assert ModelLimits(1_000, 100) == limits_of("nowhere", "mine")
    register("nowhere", "mine", window=2_000, most=100, replace=True)
    assert ModelLimits(2_000, 100) == limits_of("nowhere", "mine")


def test_another_registry_has_its_own_limits() -> None:
    """Also one that was written to as often."""
    register("nowhere", "mine", window=1_000, most=100)
    assert ModelLimits(1_000, 100) == limits_of("nowhere", "mine")
    default_registry.cache_clear()
    register("nowhere", "other", window=1_000, most=100)
    assert ModelLimits() == limits_of("nowhere", "mine")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"max_input_tokens": 5_000, "max_output_tokens": 600}, ModelLimits(5_000, 600)),
        ({"max_input_tokens": 5_000, "max_tokens": 600}, ModelLimits(5_000, 600)),
        # An output limit is no window: what is longer than it may well be read, and billed.
        ({"max_tokens": 600}, ModelLimits(None, 600)),
        ({"max_tokens": 600, "max_output_tokens": 600}, ModelLimits(None, 600)),
        ({"max_input_tokens": 5_000.0}, ModelLimits(5_000, None)),
        ({"max_input_tokens": 0, "max_output_tokens": -1}, ModelLimits()),
        ({"max_input_tokens": "5000", "max_output_tokens": None}, ModelLimits()),
        # Without a limit OpenAI's API for texts stops after 16 tokens, and that for chats when the model is done.
        ({"mode": "completion", "max_output_tokens": 600}, ModelLimits(None, 600, 16)),
        ({"mode": "chat", "max_output_tokens": 600}, ModelLimits(None, 600)),
        ({}, ModelLimits()),
    ],
)
def test_litellms_map_knows_the_rest(litellm_says: Say, facts: dict[str, Any], expected: ModelLimits) -> None:
    """As far as it says; what is no positive number says nothing."""
    litellm_says(facts)
    assert expected == limits_of("openai", "m")


def test_a_model_that_nobody_knows_has_no_limits() -> None:
    """Nor has one at another provider's."""
    assert ModelLimits() == limits_of("openai", "gpt-unheard-of") == limits_of("nowhere", "gpt-4o")
