"""The money of one call: leave for each of its requests, and the bill after it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm_otel.budgets.ceiling import Ceiling
from llm_otel.budgets.shapes import CHAT
from llm_otel.call import Held
from llm_otel.enforcement.admission import Admission, Patience
from llm_otel.enforcement.offers import Asked

if TYPE_CHECKING:
    from datetime import datetime

    from llm_otel.budgets.ledger import Crossing
    from llm_otel.budgets.matching import Matched
    from llm_otel.budgets.shapes import Shape
    from llm_otel.call import CallRequest
    from llm_otel.enforcement.enforcer import Enforcer
    from llm_otel.routing.itinerary import Target
    from llm_otel.steps import Step
    from llm_otel.usage import Usage

UNHURRIED_S = 600.0
"""How long a request without a deadline is thought to live without a sign of it: LiteLLM's own time-out is longer, but
what comes late is corrected."""
MARGIN_S = 60.0
"""From the deadline of a request to the end of its lease: for slow endings, and clocks that differ."""
_SIGNS_PER_LEASE = 3


class Purse:
    """What one call has been given, and owes. Not thread-safe: one request at a time, settled by the winner of its end.

    Attributes:
        admission: The leave of the request that is with the provider; `None` where no budget concerns it.
        settled: What is done when the last bill is with the ledger; `None` if it is.
    """

    __slots__ = ("_alerted", "_asked", "_dearer", "_enforcer", "_next_sign_s", "_run", "_spent", "admission", "settled")

    def __init__(self, enforcer: Enforcer, run: Matched, alerted: Callable[[Crossing], None]) -> None:
        """Open a purse.

        Args:
            enforcer: The runtime's.
            run: The budgets of the runs around the call.
            alerted: Takes thresholds that spend reaches by this call, once they are announced.
        """
        self._enforcer = enforcer
        self._run = run
        self._alerted = alerted
        self._next_sign_s = 0.0
        self._spent = 0
        self._asked: Asked | None = None
        self._dearer: Asked | None = None
        self.admission: Admission | None = None
        self.settled: Future[None] | None = None

    def seek(
        self,
        request: CallRequest,
        arguments: Mapping[str, Any],
        *,
        at: datetime,
        left_s: float | None,
        may_change_model: bool,
        shape: Shape = CHAT,
        ceiling: int | None = None,
        instead_of: Target | None = None,
    ) -> Generator[Step, Any, Admission]:
        """Seek leave for the next request: steps that end in an admission, or raise `DeniedError`.

        Nothing is left of a refusal: leave may be sought for another model at once.

        Args:
            request: What is asked for.
            arguments: Those of LiteLLM's function.
            at: When the call was made.
            left_s: Seconds to its deadline; `None` without one.
            may_change_model: Whether a budget may have a cheaper model taken.
            shape: Where the arguments say what the request may use.
            ceiling: nano-USD that all requests of the call together may cost; `None` for any amount.
            instead_of: What would have been asked but for a budget that is nearly used up; `None`: it is asked.
        """
        asked = self._asked = Asked(
            request.provider, request.model, arguments, request.service_tier, at, shape, request.base_model
        )
        self._dearer = None if instead_of is None else _as_asked_of(instead_of, asked)
        lease_s = (UNHURRIED_S if left_s is None else left_s) + MARGIN_S
        most = None if ceiling is None else Ceiling(ceiling, self._spent)
        patience = Patience(left_s, int(lease_s * 1000), may_change_model, most)
        return self._enforcer.seek(asked, request.tags, self._run, patience, self._crossed)

    def take_unasked(self, request: CallRequest, *, at: datetime, now_s: float) -> None:
        """Note a request that was made without leave: what it cost is booked all the same."""
        asked = Asked(request.provider, request.model, {}, request.service_tier, at, base_model=request.base_model)
        self.admitted(self._enforcer.unasked(asked, request.tags, self._run), now_s=now_s)

    def admitted(self, admission: Admission, *, now_s: float) -> None:
        """Note the leave that was given, at a monotonic time."""
        self.admission = admission
        self._sign_after(now_s)

    def lives(self, now_s: float) -> None:
        """Note that the request still answers: its hold must not expire under it."""
        if self.admission is not None and now_s >= self._next_sign_s:
            self._sign_after(now_s)
            self._enforcer.extend(self.admission)

    def settle(self, usage: Usage | None, cost: int | None, *, may_be_billed: bool, may_block: bool) -> Held | None:
        """Pay for the request, and forget it; return how it was held.

        Args:
            usage: What it used; `None` where that is not known, or nothing.
            cost: nano-USD; `None` where it is not known.
            may_be_billed: Whether the provider may bill it at all.
            may_block: Whether this thread may wait for the ledger.
        """
        admission, self.admission = self.admission, None
        if admission is None:
            return None
        actual = admission.actual(cost) if may_be_billed else 0
        self._spent += actual
        self.settled = self._enforcer.settle(admission, actual, may_block=may_block, crossed=self._crossed)
        return self._held(admission, actual, usage)

    def _crossed(self, crossings: tuple[Crossing, ...]) -> None:
        """Tell of thresholds that this call has taken spend to: on its span too, where that has not ended."""
        self._enforcer.announce(crossings)
        for crossing in crossings:
            self._alerted(crossing)

    def _held(self, admission: Admission, actual: int, usage: Usage | None) -> Held:
        offer, hold = admission.offer, admission.hold
        declared = len(admission.matched.budgets) - len(self._run.budgets)
        denier = admission.denier
        return Held(
            budgets=tuple((line.budget, line.scope) for line in admission.matched.lines[:declared]),
            amount_nano=None if hold is None else hold.amount,
            max_tokens=offer.max_tokens,
            is_defaulted=offer.is_defaulted,
            is_clipped=offer.is_clipped,
            is_exceeded=hold is not None and actual > hold.amount,
            downgraded_for=None if denier is None else (denier[0].id, denier[1]),
            saved_nano=0 if usage is None else self._saved(actual, usage, is_downgraded=denier is not None),
        )

    def _saved(self, actual: int, usage: Usage, *, is_downgraded: bool) -> int:
        """Return what the same usage would have cost more with the model that no budget would have changed."""
        original = self._dearer or (self._asked if is_downgraded else None)
        dearer = None if original is None else self._enforcer.price(original, usage)
        return 0 if dearer is None else max(0, dearer - actual)

    def _sign_after(self, now_s: float) -> None:
        hold = self.admission.hold if self.admission is not None else None
        lease_s = hold.lease_ms / 1000 if hold is not None else UNHURRIED_S
        self._next_sign_s = now_s + lease_s / _SIGNS_PER_LEASE


def _as_asked_of(target: Target, asked: Asked) -> Asked:
    """Return a request as it would have been made to another model."""
    tier = asked.service_tier if target.provider == asked.provider else None
    return replace(asked, provider=target.provider, model=target.model, service_tier=tier, base_model=None)
