"""The states of one call. Whatever happens to it, and from however many threads, it ends exactly once.

    opened ──► attempt ──► failed ──► attempt …      (retries)
                   │
                   ├──► answered ───────────────► ended
                   └──► first chunk ──► chunks … ─► ended

Pure: the time comes in as an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_otel.call import (
    Answer,
    AttemptReason,
    AttemptRecord,
    CallRecord,
    CallRequest,
    Failure,
    Held,
    Outcome,
    Refusal,
    TraceRef,
)

if TYPE_CHECKING:
    from llm_otel.pricing.rate import CostBreakdown
    from llm_otel.usage import Usage


@dataclass(slots=True, kw_only=True)
class RunningAttempt:
    """A request that is with the provider. Times are monotonic seconds."""

    number: int
    reason: AttemptReason
    provider: str
    model: str
    started_s: float


class Call:
    """One call, from its opening to its only end."""

    __slots__ = (
        "_attempts",
        "_later_chunks",
        "_unclaimed",
        "first_chunk_s",
        "request",
        "running",
        "started_ns",
        "started_s",
    )

    def __init__(self, request: CallRequest, *, started_ns: int, started_s: float) -> None:
        self.request = request
        self.started_ns = started_ns
        self.started_s = started_s
        self.running: RunningAttempt | None = None
        self.first_chunk_s: float | None = None
        self._attempts: list[AttemptRecord] = []
        self._later_chunks: list[float] = []
        # Whoever takes it ends the call: in one step, so no lock is held when the garbage collector ends another.
        self._unclaimed = [None]

    @property
    def is_over(self) -> bool:
        """Whether somebody has claimed the end."""
        return not self._unclaimed

    def begin_attempt(
        self, *, now_s: float, model: tuple[str, str] | None = None, reason: AttemptReason = AttemptReason.FIRST
    ) -> RunningAttempt:
        """Start the next request: to `model`, provider and name, where that is not what was asked for."""
        assert self.running is None, "one attempt at a time"
        number = len(self._attempts) + 1
        provider, name = model or (self.request.provider, self.request.model)
        self.running = RunningAttempt(
            number=number,
            reason=reason,
            provider=provider,
            model=name,
            started_s=now_s,
        )
        return self.running

    def end_attempt(
        self,
        *,
        now_s: float,
        outcome: Outcome,
        failure: Failure | None,
        usage: Usage | None,
        cost: CostBreakdown | None,
        held: Held | None = None,
    ) -> None:
        """Write down how the running request went; nothing, if there is none (the call ended in a pause)."""
        running = self.running
        if running is None:
            return
        self.running = None
        self._attempts.append(
            AttemptRecord(
                number=running.number,
                reason=running.reason,
                provider=running.provider,
                model=running.model,
                outcome=outcome,
                started_s=running.started_s - self.started_s,
                duration_s=now_s - running.started_s,
                failure=failure,
                usage=usage,
                cost=cost,
                held=held,
            )
        )

    def note_chunk(self, now_s: float) -> None:
        """Note generated content."""
        if self.first_chunk_s is None:
            self.first_chunk_s = now_s
        else:
            self._later_chunks.append(now_s)

    def claim_end(self) -> bool:
        """Return True to the first who asks, and to nobody after: the winner ends the call."""
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True

    def record(
        self,
        *,
        now_s: float,
        outcome: Outcome,
        answer: Answer,
        failure: Failure | None,
        trace: TraceRef | None,
        refusal: Refusal | None = None,
        saved_by_cache_nano: int = 0,
    ) -> CallRecord:
        """Freeze the facts. For the winner of `claim_end`, after the last attempt was ended."""
        attempts = tuple(self._attempts)
        usage, cost_nano = _totals(attempts)
        return CallRecord(
            request=self.request,
            outcome=outcome,
            started_ns=self.started_ns,
            duration_s=now_s - self.started_s,
            time_to_first_chunk_s=None if self.first_chunk_s is None else self.first_chunk_s - self.started_s,
            attempts=attempts,
            answer=answer,
            failure=failure,
            usage=usage,
            cost_nano=cost_nano,
            trace=trace,
            refusal=refusal,
            saved_by_cache_nano=saved_by_cache_nano,
            later_chunks_s=tuple(each - self.started_s for each in self._later_chunks) if self._later_chunks else (),
        )


def _totals(attempts: tuple[AttemptRecord, ...]) -> tuple[Usage | None, int | None]:
    """Sum up usage, and cost in nano-USD.

    One unpriced attempt makes the whole cost unknown; attempts that billed nothing cost 0.
    """
    total: Usage | None = None
    nano, is_known = 0, True
    for attempt in attempts:
        usage, cost = attempt.usage, attempt.cost
        if usage is not None:
            total = usage if total is None else total + usage
        if cost is not None:
            nano += cost.total_nano
        elif usage is not None:
            is_known = False
    return total, nano if is_known else None
