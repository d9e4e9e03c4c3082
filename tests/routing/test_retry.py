"""Retries: only where one may help, with full jitter, never before the provider asked, never past the deadline."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llm_otel.call import Failure
from llm_otel.routing.retry import NO_RETRY, RetryPolicy

POLICIES = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 2_000),
    base_s=st.just(0.0) | st.floats(0.001, 60),
    cap_s=st.floats(0, 600),
)
CHANCES = st.floats(0, 1, exclude_max=True)
WAITS = st.none() | st.floats(0, 1e6)
RETRYABLE = Failure(error_type="RateLimitError", status_code=429, is_retryable=True)


def failure(retry_after_s: float | None) -> Failure:
    """Return a failure after which a retry may help."""
    return Failure(error_type="RateLimitError", is_retryable=True, retry_after_s=retry_after_s)


@given(POLICIES, CHANCES, WAITS, st.integers(1, 2_000))
def test_the_pause_is_full_jitter_under_a_doubling_bound(policy, chance, asked, attempt):
    """Uniform between 0 and min(cap, base · 2ⁿ); what the provider asked is a lower bound, and may pass the cap."""
    assume(attempt < policy.max_attempts)
    pause = policy.pause_s(failure(asked), attempt=attempt, left_s=None, chance=chance)

    bound = min(policy.cap_s, policy.base_s * 2.0 ** min(attempt - 1, 1_000))
    assert pause == pytest.approx(max(chance * bound, asked or 0.0))


@given(POLICIES, CHANCES, WAITS, st.floats(0, 1e6), st.integers(1, 2_000))
def test_no_pause_reaches_the_deadline(policy, chance, asked, left, attempt):
    """A pause that would use up what is left is not begun: the error comes now, not after it."""
    pause = policy.pause_s(failure(asked), attempt=attempt, left_s=left, chance=chance)

    assert pause is None or 0 <= pause < left


@given(POLICIES, st.lists(CHANCES, min_size=1), st.lists(st.floats(0, 20), min_size=1), st.floats(0.1, 300))
def test_attempts_and_pauses_end_within_the_deadline(policy, chances, durations, timeout):
    """Attempts that keep to what is left, and the pauses between them, never add up to more than the time-out."""
    now, attempt = 0.0, 0
    while True:
        attempt += 1
        now += min(durations[attempt % len(durations)], timeout - now)
        pause = policy.pause_s(
            RETRYABLE, attempt=attempt, left_s=max(0.0, timeout - now), chance=chances[attempt % len(chances)]
        )
        if pause is None:
            break
        now += pause

    assert attempt <= policy.max_attempts
    assert now <= timeout * (1 + 1e-9)


def test_nothing_left_is_no_time_for_a_pause_of_zero():
    """At the deadline there is no next attempt, even if it could begin at once."""
    assert RetryPolicy().pause_s(RETRYABLE, attempt=1, left_s=0.0, chance=0.0) is None


@given(POLICIES, CHANCES, WAITS)
def test_what_may_not_help_is_not_tried(policy, chance, asked):
    """A bad request stays bad, however politely the answer asks to wait."""
    hopeless = Failure(error_type="BadRequestError", is_retryable=False, retry_after_s=asked)

    assert policy.pause_s(hopeless, attempt=1, left_s=None, chance=chance) is None


@given(st.integers(1, 50))
def test_attempts_are_counted_with_the_first(most):
    """`max_attempts` is how many requests are made in all."""
    policy = RetryPolicy(max_attempts=most)
    attempt = 1
    while policy.pause_s(RETRYABLE, attempt=attempt, left_s=None, chance=0.5) is not None:
        attempt += 1

    assert most == attempt


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (6, 8.0), (5_000, 8.0)])
def test_the_usual_bounds(attempt, longest):
    """Half a second before the second attempt, doubling up to eight seconds."""
    policy = RetryPolicy(max_attempts=10_000)

    assert longest == policy.pause_s(RETRYABLE, attempt=attempt, left_s=None, chance=1.0)


def test_calls_that_are_not_ours_to_repeat():
    """Plain LiteLLM calls keep the retries that their caller chose."""
    assert NO_RETRY.pause_s(RETRYABLE, attempt=1, left_s=None, chance=0.0) is None
