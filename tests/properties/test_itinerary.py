"""Any way through any models, whatever fails: it ends, it is bounded, and nobody is asked who is not to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_otel.call import AttemptReason, Failure, FailureKind
from llm_otel.routing.itinerary import Itinerary
from llm_otel.routing.retry import RetryPolicy


@dataclass(frozen=True)
class Target:
    """A model."""

    provider: str
    model: str

    @property
    def key(self) -> tuple[str, str]:
        return self.provider, self.model


@dataclass(frozen=True)
class Blow:
    """What befalls one target, and how the world stands then."""

    failure: Failure | None
    """`None`: it is left out before it is asked."""
    took: float
    """The part of its share that it took."""
    chance: float
    out_of_order: frozenset[tuple[str, str]]


MODELS = [Target(provider, model) for provider in "abc" for model in ("one", "two")]
targets = st.lists(st.sampled_from(MODELS), max_size=5)
detours = st.dictionaries(st.sampled_from([FailureKind.CONTEXT_WINDOW, FailureKind.CONTENT_POLICY]), targets)
failures = st.builds(
    Failure,
    error_type=st.just("Error"),
    is_retryable=st.booleans(),
    retry_after_s=st.none() | st.floats(0, 100),
    kind=st.sampled_from(FailureKind),
)
blows = st.builds(
    Blow,
    failure=failures | st.none(),
    took=st.floats(0, 1),
    chance=st.floats(0, 1, exclude_max=True),
    out_of_order=st.frozensets(st.sampled_from([each.key for each in MODELS]), max_size=3),
)
NO_WAY = Blow(None, 0.0, 0.0, frozenset())


@dataclass
class Visit:
    """A target that was asked."""

    target: Target
    reason: AttemptReason
    share_s: float | None
    left_s: float | None
    pause_s: float


def travel(
    first: Target, fallbacks: list[Target], retries: int, ways: Any, left_s: float | None, troubles: list[Blow]
) -> tuple[list[Visit], list[tuple[str, str]], list[Target]]:
    """Go all the way; return who was asked, who was left out, and who was asked while out of order."""
    itinerary = Itinerary((first, *fallbacks), RetryPolicy(max_attempts=1 + retries), ways)
    visits: list[Visit] = []
    left_out: list[tuple[str, str]] = []
    wrong: list[Target] = []
    blows, now_s, pause_s = iter(troubles), 1_000.0, 0.0
    blow = Blow(None, 0.0, 0.0, frozenset())
    while True:
        target = itinerary.target
        assert isinstance(target, Target)
        if target.key in blow.out_of_order:
            wrong.append(target)
        blow = next(blows, NO_WAY)
        stand: dict[str, Any] = {"chance": blow.chance, "out_of_order": blow.out_of_order}
        if blow.failure is None:
            left_out.append(target.key)
            following = itinerary.skip(now_s=now_s, left_s=left_s, **stand)
        else:
            assert target.key not in left_out
            reason = itinerary.begin()
            share_s = itinerary.share(left_s)
            visits.append(Visit(target, reason, share_s, left_s, pause_s))
            took_s = blow.took * (1.0 if share_s is None else share_s)
            now_s, left_s = now_s + took_s, None if left_s is None else left_s - took_s
            following = itinerary.after(blow.failure, now_s=now_s, left_s=left_s, **stand)
        if following is None:
            return visits, left_out, wrong
        assert following >= 0
        assert left_s is None or following < left_s
        pause_s = following
        now_s, left_s = now_s + pause_s, None if left_s is None else left_s - pause_s


trips = st.tuples(
    st.sampled_from(MODELS),
    targets,
    st.integers(0, 6),
    detours,
    st.none() | st.floats(0.0, 300.0),
    st.lists(blows, max_size=30),
)


@given(trips)
def test_it_ends_and_nobody_is_asked_too_often(trip):
    """Never more requests than retries allow, or than there are models; each trouble comes to an end by itself."""
    first, fallbacks, retries, ways, _, troubles = trip
    visits, _, _ = travel(*trip)

    places = len({first, *fallbacks}) + sum(len(set(way)) for way in ways.values())
    assert len(visits) <= max(1 + retries, places)
    assert len(visits) <= len(troubles)


@given(trips)
def test_nobody_is_asked_who_is_out(trip):
    """Neither who was out of order when it was chosen, nor who was left out before (checked on the way)."""
    _, _, wrong = travel(*trip)

    assert [] == wrong


@given(trips)
def test_the_reasons_tell_first_from_fallback_from_retry(trip):
    """The first choice, another model, or one that was asked before on the same way."""
    visits, _, _ = travel(*trip)

    seen = set()
    for visit in visits:
        other = AttemptReason.FIRST if visit.target == trip[0] else AttemptReason.FALLBACK
        assert (AttemptReason.RETRY if visit.target in seen else other) == visit.reason
        seen.add(visit.target)


@given(trips)
def test_only_a_retry_waits(trip):
    """Another model is asked at once."""
    visits, _, _ = travel(*trip)

    assert [] == [visit for visit in visits if visit.pause_s and visit.reason is not AttemptReason.RETRY]


@given(trips)
def test_shares_fit_into_what_is_left(trip):
    """Each is a part of what is left when it begins, and so they never add up to more than there was."""
    visits, _, _ = travel(*trip)

    for visit in visits:
        if visit.left_s is None:
            assert visit.share_s is None
        else:
            assert 0 <= visit.share_s <= visit.left_s


@given(st.lists(st.sampled_from(MODELS), min_size=1, max_size=6, unique=True), st.floats(0.001, 300.0))
def test_models_that_all_hang_share_the_time_evenly(models, left_s):
    """Each has the same, and together they have all."""
    hang = Blow(Failure(error_type="Timeout", is_retryable=True), 1.0, 0.0, frozenset())
    visits, _, _ = travel(models[0], models[1:], 0, {}, left_s, [hang] * len(models))

    assert [pytest.approx(left_s / len(models))] * len(models) == [visit.share_s for visit in visits]


@given(trips)
def test_the_same_troubles_lead_the_same_way(trip):
    """Nothing but what comes in decides."""
    assert travel(*trip) == travel(*trip)
