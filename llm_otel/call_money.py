"""The money of one call: leave for each of its requests, what they cost, and the bill."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm_otel.budgets.matching import NOTHING
from llm_otel.call import Charge
from llm_otel.clock import to_datetime
from llm_otel.enforcement.purse import Purse
from llm_otel.pricing.rate import CostBreakdown

if TYPE_CHECKING:
    from llm_otel.budgets.denial import Denial
    from llm_otel.budgets.ledger import Crossing
    from llm_otel.budgets.matching import Matched
    from llm_otel.call import Answer, CallRequest, Failure, Held
    from llm_otel.enforcement.admission import Admission
    from llm_otel.enforcement.offers import Offer
    from llm_otel.lifecycle import RunningAttempt
    from llm_otel.plan import Instruments, Plan
    from llm_otel.routing.itinerary import Target
    from llm_otel.steps import Step
    from llm_otel.usage import Usage

FREE_FROM_CACHE = CostBreakdown(
    total_nano=0, parts={}, saved_by_cache_nano=0, price_source="response_cache", price_date=None
)
"""What a completion costs that LiteLLM answered from its own response cache (its own figure stays the full price)."""


class CallMoney:
    """Seeks money for one call, request by request, and pays. Not thread-safe: the winner of the call's end settles.

    Attributes:
        saved_by_cache_nano: nano-USD that answers from LiteLLM's own cache would have cost.
        offer: How the next request is to be sent; `None` where no budget concerns it.
        may_block: Whether the thread that settles may wait for the ledger.
    """

    __slots__ = (
        "_alerted",
        "_instruments",
        "_plan",
        "_purse",
        "_run_budgets",
        "_started_ns",
        "may_block",
        "offer",
        "saved_by_cache_nano",
    )

    def __init__(
        self,
        instruments: Instruments,
        plan: Plan,
        *,
        started_ns: int,
        may_block: bool,
        alerted: Callable[[Crossing], None],
    ) -> None:
        """Seek for one call.

        Args:
            instruments: The runtime's.
            plan: What is to be done.
            started_ns: When the call began, nanoseconds since the epoch.
            may_block: See the attribute.
            alerted: Takes thresholds that spend reaches by this call.
        """
        self._instruments = instruments
        self._plan = plan
        self._started_ns = started_ns
        self._alerted = alerted
        self._run_budgets: Matched = NOTHING if plan.scope is None else plan.scope.run_budgets
        self._purse: Purse | None = None
        self.may_block = may_block
        self.offer: Offer | None = None
        self.saved_by_cache_nano = 0

    # --- before a request ---------------------------------------------------------------------------------------------

    @property
    def is_held(self) -> bool:
        """Whether a budget concerns the request that is with the provider."""
        return self._purse is not None and self._purse.admission is not None

    def is_concerned(self) -> bool:
        """Tell whether any budget may concern the call, and so leave has to be sought; open a purse where one may."""
        if self._purse is None:
            enforcer, run = self._instruments.enforcer, self._run_budgets
            if enforcer is not None and enforcer.concerns(run, ceiling=self._plan.max_cost_nano):
                self._purse = Purse(enforcer, run, self._alerted)
        return self._purse is not None

    def seek(self, target: Target, *, left_s: float | None) -> Generator[Step, Any, None]:
        """Seek leave to ask a target: steps, which raise `DeniedError`."""
        purse, plan = self._purse, self._plan
        assert purse is not None, "who seeks leave is concerned by a budget"
        admission: Admission = yield from purse.seek(
            self._request_to(target),
            plan.arguments,
            at=to_datetime(self._started_ns),
            left_s=left_s,
            may_change_model=plan.may_change_model,
            shape=plan.shape,
            ceiling=plan.max_cost_nano,
            instead_of=plan.instead_of,
        )
        purse.admitted(admission, now_s=self._instruments.clock.monotonic())
        self.offer = admission.offer

    def take_unasked(self) -> None:
        """Note that the only request is through: it is booked, whatever the budgets say."""
        if self.is_concerned() and (purse := self._purse) is not None:
            now_s = self._instruments.clock.monotonic()
            purse.take_unasked(self._plan.request, at=to_datetime(self._started_ns), now_s=now_s)

    def is_declared(self, denial: Denial) -> bool:
        """Tell whether a denial comes from a declared budget, not from one of a single run or of this call alone."""
        return not denial.is_of_call and all(denial.budget is not each for each in self._run_budgets.budgets)

    def _request_to(self, target: Target) -> CallRequest:
        request = self._plan.request
        if _is_asked_for(request, target):
            return request
        return replace(
            request,
            provider=target.provider,
            model=target.model,
            base_model=None,
            # What it is called is its provider's own.
            service_tier=request.service_tier if target.provider == request.provider else None,
        )

    def lives(self) -> None:
        """Note that the provider still answers."""
        if self._purse is not None:
            self._purse.lives(self._instruments.clock.monotonic())

    # --- after a request ----------------------------------------------------------------------------------------------

    def count(
        self, running: RunningAttempt, answer: Answer, failure: Failure | None
    ) -> tuple[Usage | None, CostBreakdown | None]:
        """Return what the request used and costs: as reported, or as counted here; `None` where that is not known."""
        guard = self._instruments.guard
        usage = answer.usage or guard.call("usage", self._estimate, running, answer, failure)
        return usage, None if usage is None else guard.call("price", self._price, running, usage, answer)

    def settle(self, usage: Usage | None, cost: CostBreakdown | None, failure: Failure | None) -> Held | None:
        """Pay for the request; return how it was held."""
        if self._purse is None:
            return None
        charge = Charge.RECEIVED if usage is not None or failure is None else failure.charge
        return self._pay(usage, None if cost is None else cost.total_nano, charge)

    def give_back(self) -> None:
        """Release what is held for a request that was never sent."""
        self._pay(None, None, Charge.NOTHING)

    def _pay(self, usage: Usage | None, nano: int | None, charge: Charge) -> Held | None:
        return self._instruments.guard.call("ledger", self._settle, usage, nano, charge)

    def _settle(self, usage: Usage | None, nano: int | None, charge: Charge) -> Held | None:
        if self._purse is None:
            return None
        return self._purse.settle(usage, nano, may_be_billed=charge is not Charge.NOTHING, may_block=self.may_block)

    async def settled(self) -> None:
        """Wait until the ledger has the bill: whoever asks next finds it there. A cancel leaves it on its way."""
        bill = None if self._purse is None else self._purse.settled
        # One that is through is not waited for: a cancel here would lose the stream that has just been opened.
        if bill is not None and not bill.done():
            await asyncio.shield(asyncio.wrap_future(bill))

    def _estimate(self, running: RunningAttempt, answer: Answer, failure: Failure | None) -> Usage | None:
        """Return what was used where nobody reports it: as counted here, or nothing where nothing can be billed."""
        if failure is not None and failure.charge is Charge.NOTHING:
            return None
        request = self._plan.request
        if not _is_asked_for(request, running):
            # Each model has a tokenizer of its own.
            request = replace(request, litellm_model=running.model)
        return self._instruments.reader.count(request, answer.text)

    def _price(self, running: RunningAttempt, usage: Usage, answer: Answer) -> CostBreakdown | None:
        request, model, tier = self._plan.request, running.model, answer.service_tier
        if running.provider == request.provider:
            # What a tier is called is its provider's own.
            tier = tier or request.service_tier
            if model == request.model:
                model = request.base_model or model
        cost = self._instruments.prices.price(
            usage, provider=running.provider, model=model, at=self._started_ns / 1e9, service_tier=tier
        )
        if not answer.is_cache_hit:
            return cost
        self.saved_by_cache_nano += 0 if cost is None else cost.total_nano
        return FREE_FROM_CACHE


def _is_asked_for(request: CallRequest, target: Target | RunningAttempt) -> bool:
    """Tell whether the model is the one that was asked for."""
    return (target.provider, target.model) == (request.provider, request.model)
