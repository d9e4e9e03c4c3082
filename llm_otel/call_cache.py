"""The response cache in one call: an answer from it, or one for it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm_otel.call import Outcome

if TYPE_CHECKING:
    from llm_otel.caching.entry import Entry
    from llm_otel.caching.flights import Lead
    from llm_otel.call import Answer, CallRecord
    from llm_otel.plan import Caching
    from llm_otel.recording import Guard
    from llm_otel.steps import Step

_PART = "cache"
_ANSWERED = (Outcome.SUCCESS, Outcome.CACHED, Outcome.ABANDONED)
_TOLD_TO_STOP = (Outcome.CANCELLED, Outcome.ABANDONED)
_NOTHING = (None, None)


class CallCache:
    """Looks for the answer of one call, and keeps it. Whoever leads a flight lands it in every ending of the call."""

    __slots__ = ("_brought", "_caching", "_entry", "_guard", "_lead")

    def __init__(self, caching: Caching, guard: Guard) -> None:
        self._caching = caching
        self._guard = guard
        self._entry: Entry | None = None
        self._lead: Lead | None = None
        # One value: another thread may close the stream while its end is written down.
        self._brought: tuple[Any, Callable[[Any], Any] | None] = _NOTHING

    def recall(self, left_s: float | None) -> Generator[Step, Any, Any]:
        """Look for an answer: steps, which end in what a request would have brought; in `None` where there is none."""
        caching = self._caching
        recalled = yield from caching.cache.recall(
            caching.key, ttl_s=caching.ttl_s, left_s=left_s, may_wait=caching.may_wait
        )
        self._lead = recalled.lead
        raw = None if recalled.entry is None else self._guard.call(_PART, caching.raw_of, recalled.entry)
        if raw is not None:
            self._entry = recalled.entry
        return raw

    def brings(self, raw: Any, whole_of: Callable[[Any], Any] | None) -> None:
        """Note what the provider answers, and what makes a whole of it when the call has ended; `None`: it is one."""
        self._brought = raw, whole_of

    def ending(self, outcome: Outcome, answer: Answer) -> tuple[Outcome, Answer, int]:
        """Return how the call ended, and nano-USD saved: no request was made for an answer from here."""
        if self._entry is None:
            return outcome, answer, 0
        if outcome not in _ANSWERED:
            return outcome, replace(answer, usage=None, is_cache_hit=False), 0
        # Who reads no more than the beginning was given all of it.
        reasons = answer.finish_reasons or self._entry.finish_reasons
        answer = replace(answer, usage=None, is_cache_hit=True, finish_reasons=reasons)
        return Outcome.CACHED, answer, self._entry.cost_nano or 0

    def ended(self, record: CallRecord) -> None:
        """Keep the answer, if it is one to keep, and tell those who wait for it."""
        lead, self._lead = self._lead, None
        (raw, whole_of), self._brought = self._brought, _NOTHING
        entry: Entry | None = None
        try:
            if raw is not None and record.outcome is Outcome.SUCCESS:
                entry = self._guard.call(_PART, self._keep, raw, whole_of, record)
        finally:
            if lead is not None:
                _end(lead, entry, record)

    def _keep(self, raw: Any, whole_of: Callable[[Any], Any] | None, record: CallRecord) -> Entry | None:
        caching = self._caching
        entry = caching.entry_of(raw if whole_of is None else whole_of(raw), record)
        if entry is not None:
            caching.cache.keep(caching.key, entry, caching.ttl_s)
        return entry


def _end(lead: Lead, entry: Entry | None, record: CallRecord) -> None:
    if entry is None and not _may_fare_better(record):
        lead.disband()
    else:
        lead.land(entry)


def _may_fare_better(record: CallRecord) -> bool:
    """Tell whether the next one who asks the same may get an answer to share, so that the others go on waiting."""
    failure = record.failure
    return record.outcome in _TOLD_TO_STOP or (
        record.outcome is Outcome.ERROR and failure is not None and failure.is_retryable
    )
