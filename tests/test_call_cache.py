"""The response cache in one call: who waits for it is told what its end means for him."""

from __future__ import annotations

import pytest

from llm_otel.caching.cache import Recalled
from llm_otel.call import Answer, CallRecord, CallRequest, Failure, Outcome
from llm_otel.call_cache import CallCache
from llm_otel.plan import Caching
from llm_otel.recording import Guard
from tests.caching.answers import entry

RETRYABLE = Failure(error_type="InternalServerError", is_retryable=True)
FINAL = Failure(error_type="BadRequestError")
CANCELLED = Failure(error_type="CancelledError")


class FakeLead:
    """Notes how it was ended."""

    def __init__(self):
        self.told = []

    def land(self, found):
        self.told.append(found)

    def disband(self):
        self.told.append("disbanded")


class FakeCache:
    """Has no answer, and gives the lead."""

    def __init__(self):
        self.lead = FakeLead()
        self.kept = []

    def recall(self, key, **options):
        return Recalled(lead=self.lead)
        yield

    def keep(self, key, found, ttl_s):
        self.kept.append((key, found, ttl_s))


def ended(outcome, failure=None, *, found=None):
    """Return the cache after a call that led has ended."""
    cache = FakeCache()
    caching = Caching(
        cache=cache, key="k", ttl_s=60.0, may_wait=True, entry_of=lambda raw, record: found, raw_of=lambda kept: kept
    )
    mine = CallCache(caching, Guard(lambda where, error: pytest.fail(str(error))))
    with pytest.raises(StopIteration):
        next(mine.recall(None))
    mine.brings("whole", None)
    record = CallRecord(
        request=CallRequest(operation="chat", provider="openai", model="gpt-4o", litellm_model="gpt-4o"),
        outcome=outcome,
        started_ns=1,
        duration_s=1.0,
        time_to_first_chunk_s=None,
        attempts=(),
        answer=Answer(),
        failure=failure,
        usage=None,
        cost_nano=0,
    )
    mine.ended(record)
    mine.ended(record)
    return cache


def test_an_answer_is_kept_and_told():
    """Once, whoever ends the call."""
    cache = ended(Outcome.SUCCESS, found=entry())

    assert ([entry()], [("k", entry(), 60.0)]) == (cache.lead.told, cache.kept)


@pytest.mark.parametrize(
    ("outcome", "failure"),
    [(Outcome.ERROR, RETRYABLE), (Outcome.CANCELLED, CANCELLED), (Outcome.ABANDONED, None)],
)
def test_the_next_one_tries_where_he_may_fare_better(outcome, failure):
    """The others go on waiting, for him."""
    assert [None] == ended(outcome, failure).lead.told


@pytest.mark.parametrize(
    ("outcome", "failure"),
    [(Outcome.SUCCESS, None), (Outcome.CACHED, None), (Outcome.ERROR, FINAL), (Outcome.DENIED, FINAL)],
)
def test_nobody_waits_in_line_for_the_same_again(outcome, failure):
    """What this one got, the next one would get too, and not before."""
    assert ["disbanded"] == ended(outcome, failure).lead.told
