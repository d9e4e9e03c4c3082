"""Builders of the facts that recorders are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.trace import SpanContext, TraceFlags

from llm_otel.call import (
    Answer,
    AttemptReason,
    AttemptRecord,
    CallRecord,
    CallRequest,
    Failure,
    Outcome,
)
from llm_otel.pricing.rate import CostBreakdown
from llm_otel.semconv import TokenType
from llm_otel.usage import Usage
from tests.metering import metering

__all__ = ["metering"]

STARTED_NS = 1_795_000_000 * 10**9
TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
SPAN_ID = 0x00F067AA0BA902B7


class Facts:
    """Each method returns an ordinary value; what a test is about, it passes."""

    trace = SpanContext(TRACE_ID, SPAN_ID, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    @staticmethod
    def request(**changes: Any) -> CallRequest:
        """A chat completion of the search team."""
        given: dict[str, Any] = {
            "operation": "chat",
            "provider": "openai",
            "model": "gpt-4o-mini",
            "litellm_model": "gpt-4o-mini",
            "tags": {"team": "search", "feature": "answer"},
        }
        return CallRequest(**(given | changes))

    @staticmethod
    def cost(parts: Mapping[TokenType, int], *, saved: int = 0) -> CostBreakdown:
        """A cost of these parts, in nano-USD."""
        return CostBreakdown(
            total_nano=sum(parts.values()),
            parts=parts,
            saved_by_cache_nano=saved,
            price_source="registry",
            price_date="2026-11-01",
        )

    def attempt(self, **changes: Any) -> AttemptRecord:
        """A request that was answered: 18 tokens in, 5 out, for 5,700 nano-USD."""
        given: dict[str, Any] = {
            "number": 1,
            "reason": AttemptReason.FIRST,
            "provider": "openai",
            "model": "gpt-4o-mini",
            "outcome": Outcome.SUCCESS,
            "started_s": 0.0,
            "duration_s": 0.5,
            "usage": Usage.of(input_tokens=18, output_tokens=5),
            "cost": self.cost({TokenType.INPUT: 2_700, TokenType.OUTPUT: 3_000}),
        }
        return AttemptRecord(**(given | changes))

    def failed_attempt(self, **changes: Any) -> AttemptRecord:
        """A request that was turned away with a 429: it cost nothing."""
        failure = Failure(error_type="RateLimitError", status_code=429, is_retryable=True)
        nothing = {"outcome": Outcome.ERROR, "failure": failure, "usage": None, "cost": None}
        return self.attempt(**(nothing | changes))

    def record(self, *attempts: AttemptRecord, **changes: Any) -> CallRecord:
        """A call made of these attempts, by default of one that was answered."""
        attempts = attempts or (self.attempt(),)
        is_unpriced = any(attempt.is_unpriced for attempt in attempts)
        usages = [attempt.usage for attempt in attempts if attempt.usage is not None]
        given: dict[str, Any] = {
            "request": self.request(),
            "outcome": attempts[-1].outcome,
            "started_ns": STARTED_NS,
            "duration_s": 0.5,
            "time_to_first_chunk_s": None,
            "attempts": attempts,
            "answer": Answer(),
            "failure": attempts[-1].failure,
            "usage": sum(usages[1:], usages[0]) if usages else None,
            "cost_nano": None if is_unpriced else sum(a.cost.total_nano for a in attempts if a.cost),
            "trace": None,
        }
        return CallRecord(**(given | changes))


@pytest.fixture(scope="session")
def facts() -> Facts:
    """Builders of requests, attempts and records."""
    return Facts()
