"""The way of one call: which model is asked next, after what pause, and with how much of the time."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from llm_otel.call import AttemptReason, Failure, FailureKind
from llm_otel.routing.itinerary import Itinerary
from llm_otel.routing.retry import RetryPolicy

BUSY = Failure(error_type="RateLimitError", status_code=429, is_retryable=True)
NO_SUCH_MODEL = Failure(error_type="NotFoundError", status_code=404)
TOO_LONG = Failure(error_type="ContextWindowExceededError", status_code=400, kind=FailureKind.CONTEXT_WINDOW)
NOT_WANTED = Failure(error_type="ContentPolicyViolationError", status_code=400, kind=FailureKind.CONTENT_POLICY)


@dataclass(frozen=True)
class Target:
    """A model."""

    provider: str
    model: str


A1, A2 = Target("a", "one"), Target("a", "two")
B1, B2 = Target("b", "one"), Target("b", "two")
C1 = Target("c", "one")


class Trip:
    """A call on its way; pauses are the longest that chance allows, unless told otherwise."""

    def __init__(self, *targets, max_attempts=1, detours=None, left_s=None):
        self.itinerary = Itinerary(targets, RetryPolicy(max_attempts=max_attempts), detours or {})
        self.left_s = left_s
        self.now_s = 100.0
        self.reasons = [self.itinerary.begin()]

    def fails(self, failure=BUSY, **more):
        """Have the target fail, and ask the next; return the pause before, or `None` at the end."""
        given = {"now_s": self.now_s, "left_s": self.left_s, "chance": 0.999, **more}
        return self._go_on(self.itinerary.after(failure, **given))

    def skips(self, **more):
        """Leave the target out after all; return the pause before the next, or `None` at the end."""
        return self.itinerary.skip(**{"now_s": self.now_s, "left_s": self.left_s, "chance": 0.999, **more})

    def _go_on(self, pause_s):
        if pause_s is not None:
            self.reasons.append(self.itinerary.begin())
        return pause_s

    @property
    def at(self):
        return self.itinerary.target


def way(trip, *failures):
    """Return the targets that are asked while these failures come, one after the other."""
    targets = [trip.at]
    for failure in failures:
        if trip.fails(failure) is None:
            break
        targets.append(trip.at)
    return targets


# --- fallbacks ------------------------------------------------------------------------------------------------


def test_a_fallback_is_asked_at_once():
    """Another model need not be waited for."""
    trip = Trip(A1, B1)

    assert 0.0 == trip.fails()
    assert B1 == trip.at
    assert [AttemptReason.FIRST, AttemptReason.FALLBACK] == trip.reasons


def test_another_provider_comes_first():
    """Whatever ails one model of a provider may well ail the next; among others the order stays."""
    assert [A1, B1, C1, A2, B2] == way(Trip(A1, A2, B1, B2, C1), BUSY, BUSY, BUSY, BUSY, BUSY)


def test_where_all_are_of_one_provider_their_order_holds():
    """There is no better guess."""
    assert [A1, A2] == way(Trip(A1, A2), BUSY, BUSY)


def test_a_model_that_is_named_twice_is_asked_once():
    """Falling back from a model to itself, without a pause, is no fallback."""
    assert [A1, B1] == way(Trip(A1, A1, B1, B1), BUSY, BUSY, BUSY)


def test_the_end_of_the_fallbacks_is_the_end():
    """Without retries each is asked once."""
    trip = Trip(A1, B1)
    trip.fails()

    assert None is trip.fails()
    assert not trip.itinerary.is_at_first


def test_what_is_wrong_with_the_request_is_no_reason_for_another_model():
    """No model takes a bad request; a key that is refused is better known at once than paid around."""
    trip = Trip(A1, B1, max_attempts=3)

    assert None is trip.fails(NO_SUCH_MODEL)
    assert trip.itinerary.is_at_first


def test_a_fallback_that_cannot_serve_at_all_hands_on():
    """The first was asked well: what is wrong is the fallback, and not the request."""
    assert [A1, B1, C1] == way(Trip(A1, B1, C1), BUSY, NO_SUCH_MODEL)


def test_one_that_cannot_serve_at_all_is_not_asked_again():
    """Trying again helps only against what passes."""
    assert [A1, B1, A1, A1] == way(Trip(A1, B1, max_attempts=4), BUSY, NO_SUCH_MODEL, BUSY, BUSY)


# --- back to those that failed --------------------------------------------------------------------------------


def test_when_all_have_failed_it_begins_anew():
    """After a pause, with the one that was tried least."""
    trip = Trip(A1, B1, max_attempts=4)

    assert [A1, B1, A1, B1] == way(trip, BUSY, BUSY, BUSY, BUSY)
    assert [AttemptReason.FIRST, AttemptReason.FALLBACK, AttemptReason.RETRY, AttemptReason.RETRY] == trip.reasons


def test_the_pause_goes_by_all_attempts():
    """Half a second after the first, and twice that after each more."""
    trip = Trip(A1, B1, max_attempts=4)
    trip.fails()

    assert 1.0 == pytest.approx(trip.fails(), rel=0.01)
    assert 2.0 == pytest.approx(trip.fails(), rel=0.01)


@pytest.mark.parametrize(("max_attempts", "asked"), [(1, 3), (3, 3), (5, 5)])
def test_the_number_of_attempts(max_attempts, asked):
    """Each fallback is asked once, whatever the retries; beyond that retries count all requests."""
    assert asked == len(way(Trip(A1, B1, C1, max_attempts=max_attempts), *[BUSY] * 20))


def test_one_that_said_when_to_come_again_is_asked_then():
    """The time that went by since then counts."""
    trip = Trip(A1, B1, max_attempts=3)
    trip.fails(Failure(error_type="RateLimitError", is_retryable=True, retry_after_s=7.0))
    trip.now_s += 4

    assert 3.0 == trip.fails(Failure(error_type="RateLimitError", is_retryable=True, retry_after_s=60.0))
    assert A1 == trip.at


def test_who_asks_for_no_patience_goes_before_who_does():
    """Both were tried once: the caller waits for neither longer than needed."""
    trip = Trip(A1, B1, max_attempts=3)
    trip.fails(Failure(error_type="RateLimitError", is_retryable=True, retry_after_s=60.0))

    assert trip.fails() < 1.1
    assert B1 == trip.at


def test_who_asks_for_more_patience_than_there_is_does_not_end_the_call():
    """Another that was tried more often is there."""
    trip = Trip(A1, B1, max_attempts=9, left_s=30.0)
    trip.fails(Failure(error_type="RateLimitError", is_retryable=True, retry_after_s=60.0))
    trip.fails()

    assert None is not trip.fails()
    assert B1 == trip.at


def test_a_pause_beyond_the_deadline_is_not_begun():
    """The error comes now rather than late."""
    trip = Trip(A1, max_attempts=3, left_s=5.0)

    assert None is trip.fails(Failure(error_type="RateLimitError", is_retryable=True, retry_after_s=5.0))


def test_after_the_deadline_nobody_is_asked():
    """Not even a fallback."""
    assert None is Trip(A1, B1, left_s=0.0).fails()


# --- what is left out -----------------------------------------------------------------------------------------


def test_a_fallback_that_is_left_out_is_not_asked():
    """The next one is, which is one of a provider that gave no trouble: a budget's refusal is none."""
    trip = Trip(A1, B1, A2, B2)
    trip.itinerary.after(BUSY, now_s=0, left_s=None, chance=0)

    assert (B1, 0.0, B2) == (trip.at, trip.skips(), trip.at)


def test_who_is_left_out_stays_out():
    """Also when the others have failed."""
    trip = Trip(A1, B1, max_attempts=3)
    trip.itinerary.after(BUSY, now_s=0, left_s=None, chance=0)
    trip.skips()

    assert A1 == trip.at
    assert [A1, A1] == [target for target in way(trip, BUSY) if target]


def test_with_nobody_left_it_ends():
    """Those that were never asked did not fail, and cannot be retried."""
    itinerary = Itinerary((A1, B1), RetryPolicy(max_attempts=9), {})

    assert 0.0 == itinerary.skip(now_s=0, left_s=None, chance=0)
    assert B1 == itinerary.target
    assert None is itinerary.skip(now_s=0, left_s=None, chance=0)


def test_what_is_out_of_order_is_passed_by():
    """Fallbacks and retries alike."""
    trip = Trip(A1, B1, C1, max_attempts=9)

    trip.fails(out_of_order={("b", "one")})
    assert C1 == trip.at
    trip.fails(out_of_order={("b", "one"), ("a", "one")})
    assert C1 == trip.at
    assert None is trip.fails(out_of_order={("a", "one"), ("b", "one"), ("c", "one")})


def test_a_provider_that_is_out_of_order_with_one_model_gives_trouble():
    """Its next model comes after those of others."""
    itinerary = Itinerary((A1, A2, B1), RetryPolicy(), {})

    itinerary.skip(now_s=0, left_s=None, chance=0, out_of_order={("a", "one")})

    assert B1 == itinerary.target


# --- detours --------------------------------------------------------------------------------------------------


def test_a_request_that_is_too_long_goes_its_own_way():
    """To models with more room, in their order, and never to the other fallbacks."""
    trip = Trip(A1, B1, detours={FailureKind.CONTEXT_WINDOW: (A2, C1)})

    assert [A1, A2, C1] == way(trip, TOO_LONG, BUSY, BUSY, BUSY)
    assert [AttemptReason.FIRST, AttemptReason.FALLBACK, AttemptReason.FALLBACK] == trip.reasons


def test_a_request_that_is_not_wanted_goes_its_own_way():
    """Each kind has its list."""
    detours = {FailureKind.CONTEXT_WINDOW: (A2,), FailureKind.CONTENT_POLICY: (B2,)}

    assert [A1, B2, A2] == way(Trip(A1, B1, detours=detours), NOT_WANTED, TOO_LONG, BUSY)


@pytest.mark.parametrize("detours", [{}, {FailureKind.CONTEXT_WINDOW: ()}, {FailureKind.CONTENT_POLICY: (B2,)}])
def test_without_a_way_of_its_own_it_ends(detours):
    """The other fallbacks are for other troubles."""
    assert [A1] == way(Trip(A1, B1, max_attempts=3, detours=detours), TOO_LONG)


def test_a_detour_does_not_lead_back_to_where_it_began():
    """The very same request would get the very same answer."""
    assert [A1, B1] == way(Trip(A1, detours={FailureKind.CONTEXT_WINDOW: (A1, B1)}), TOO_LONG, TOO_LONG)
    assert [A1] == way(Trip(A1, detours={FailureKind.CONTEXT_WINDOW: (A1,)}), TOO_LONG)


def test_a_detour_may_begin_at_a_fallback():
    """Its window may be the smaller one; the models that failed before stay behind."""
    trip = Trip(A1, B1, C1, max_attempts=9, detours={FailureKind.CONTEXT_WINDOW: (B2,)})

    assert [A1, B1, B2, B2] == way(trip, BUSY, TOO_LONG, BUSY)


# --- time -----------------------------------------------------------------------------------------------------


def test_each_that_was_not_tried_gets_its_part_of_the_time():
    """One that hangs leaves the others theirs; the last one has all that is left."""
    trip = Trip(A1, B1, C1, max_attempts=9)

    assert 4.0 == trip.itinerary.share(12.0)
    trip.fails()
    assert 4.0 == trip.itinerary.share(8.0)
    trip.fails()
    assert 4.0 == trip.itinerary.share(4.0)
    trip.fails()
    assert 3.0 == trip.itinerary.share(3.0)


def test_who_will_not_be_asked_gets_no_part():
    """Left out, or out of order."""
    trip = Trip(A1, B1, C1)
    assert 6.0 == trip.itinerary.share(12.0, {("c", "one")})
    trip.fails()
    trip.skips()

    assert (C1, 8.0) == (trip.at, trip.itinerary.share(8.0))


def test_without_a_deadline_there_is_nothing_to_share():
    """Each may take as long as it likes."""
    assert None is Trip(A1, B1).itinerary.share(None)
