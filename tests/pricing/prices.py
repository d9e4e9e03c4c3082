"""Prices made for a test, and a source that gives them. Imported by the tests beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from llm_otel.pricing.quote import ALWAYS, Quote, Steps
from llm_otel.pricing.rate import Price, Rate
from llm_otel.usage import Kind

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
"""The day on which the catalogue was checked."""


def flat(atto: int) -> Steps:
    """A price at every length."""
    return ((ALWAYS, atto),)


def rate_of(prices: dict[Kind, Steps | None], *, source: str = "test", date: str | None = "2026-11-22") -> Rate:
    """A rate with one source."""
    quote = Quote(
        source=source,
        date=date,
        standard={kind: steps for kind, steps in prices.items() if steps is not None},
    )
    return Rate.compile({kind: Price(steps, quote) if steps is not None else None for kind, steps in prices.items()})


@dataclass
class FakeSource:
    """Answers with one quote, and counts the questions."""

    answer: Quote | None
    questions: list[tuple[str, str, datetime, str]] = field(default_factory=list)
    day: date | None = None

    def quote(self, provider: str, model: str, at: datetime, tier: str) -> Quote | None:
        """Give the answer."""
        self.questions.append((provider, model, at, tier))
        return self.answer

    def checked_on(self, day: date) -> date | None:
        """Give the day."""
        return self.day
