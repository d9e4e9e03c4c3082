"""Service tiers and times, as prices know them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from llm_otel.pricing.quote import day_of, minute_of, service_tier_of


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        (None, "standard"),
        ("default", "standard"),
        ("auto", "standard"),
        ("standard", "standard"),
        ("scale", "standard"),
        ("anything", "standard"),
        ("ON_DEMAND", "standard"),
        ("Flex", "flex"),
        ("ON_DEMAND_FLEX", "flex"),
        ("priority", "priority"),
        ("ON_DEMAND_PRIORITY", "priority"),
        ("batch", "batch"),
        ("fast", "fast"),
    ],
)
def test_a_service_tier_by_what_providers_call_it(name: str | None, tier: str) -> None:
    """OpenAI's, Anthropic's and Gemini's words; whatever has no prices of its own is the standard tier."""
    assert tier == service_tier_of(name)


def test_a_day_is_utc() -> None:
    """Whatever zone the time is told in."""
    late_in_new_york = datetime(2026, 11, 30, 20, 30, tzinfo=timezone(timedelta(hours=-5)))
    start = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    assert (start, start + 86_400) == day_of(late_in_new_york)


def test_a_minute_holds_its_moment() -> None:
    """From its first second to its last."""
    moment = datetime(2026, 11, 22, 4, 0, 59, 999_999, tzinfo=UTC)
    start = datetime(2026, 11, 22, 4, 0, tzinfo=UTC).timestamp()
    assert (start, start + 60) == minute_of(moment)
