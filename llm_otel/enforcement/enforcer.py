"""What a runtime knows of budgets, joined: who is concerned, leave before a request, the bill after it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_otel.budgets.estimate import Extent
from llm_otel.budgets.ledger import Crossed, Crossing, Settlement
from llm_otel.budgets.matching import BudgetSet, Matched
from llm_otel.budgets.reports import BudgetAlert, BudgetStatus, alert_of, survey
from llm_otel.enforcement.admission import Admission, Desk, Patience, Seeker
from llm_otel.enforcement.gate import Gate
from llm_otel.enforcement.headrooms import Model, Readings
from llm_otel.enforcement.offers import Appraiser, Asked, Offer, same_or_better
from llm_otel.enforcement.settler import Settler
from llm_otel.errors import ConfigurationError
from llm_otel.models.resolve import resolve_model

if TYPE_CHECKING:
    from llm_otel.budgets.budget import Budget
    from llm_otel.budgets.ledger import Store
    from llm_otel.clock import Clock
    from llm_otel.enforcement.journal import Journal
    from llm_otel.pricing.book import PriceBook
    from llm_otel.recording import Guard
    from llm_otel.routing.headroom import Headroom
    from llm_otel.steps import Step
    from llm_otel.usage import Usage

DEFAULT_MAX_TOKENS = 4096
"""The output limit that is sent where a hard budget needs one and the caller gave none."""

_logger = logging.getLogger("llm_otel")

OnAlert = Callable[[BudgetAlert], None]


@dataclass(frozen=True, slots=True)
class Means:
    """What an enforcer works with.

    Attributes:
        budgets: Returns the budgets in force: they may come from a file that changes.
        new_id: Makes ids that nobody else makes.
        chance: Returns a random number in [0, 1).
        count: Counts the input tokens of a request exactly; `None` where no tokenizer is the model's own.
        on_alert: The user's callback.
    """

    budgets: Callable[[], BudgetSet]
    store: Store
    journal: Journal
    prices: PriceBook
    clock: Clock
    guard: Guard
    new_id: Callable[[], str]
    chance: Callable[[], float]
    count: Callable[[Asked], int | None]
    default_max_tokens: int = DEFAULT_MAX_TOKENS
    on_alert: OnAlert | None = None


class Enforcer:
    """Holds calls to their budgets. Thread-safe; one for each runtime."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._skew_ms = 0
        self._appraiser = Appraiser(means.prices, default_max_tokens=means.default_max_tokens)
        self._gate = Gate(means.store, means.clock, release=self._release, on_error=means.guard.failed)
        self._readings = Readings(self._gate, means.clock.monotonic)
        self._settler = Settler(
            means.store,
            means.journal,
            means.clock,
            crossed=self.announce,
            reached=self._gate.reached,
            on_error=means.guard.failed,
        )

    @property
    def store(self) -> Store:
        """Where the ledger lives."""
        return self._means.store

    @property
    def budgets(self) -> BudgetSet:
        """The budgets in force."""
        return self._means.budgets()

    @property
    def appraiser(self) -> Appraiser:
        """What bounds the cost of requests."""
        return self._appraiser

    # --- before a choice ----------------------------------------------------------------------------------------------

    def headrooms(
        self, models: Sequence[Model], tags: Mapping[str, str], run: Matched
    ) -> Generator[Step, Any, Mapping[Model, Headroom]]:
        """Look how full the budgets are that a call to each of some models would be held to: at most one step.

        Of a store that others wait for, a reading is kept for a second. Where the ledger is out, a ratio is not known.
        Empty, without a step, where there is no budget at all.
        """
        if not self.concerns(run):
            return {}
        budgets, now_s = self._means.budgets(), int(self._now_s())
        lines = {
            (provider, model): budgets.match(tags, provider=provider, model=model, now_s=now_s).lines + run.lines
            for provider, model in models
        }
        return (yield from self._readings.headrooms(lines))

    # --- before a request ---------------------------------------------------------------------------------------------

    def concerns(self, run: Matched, *, ceiling: int | None = None) -> bool:
        """Whether a request within `run`, the budgets of the runs around it, may have to be held to anything.

        Args:
            run: See above.
            ceiling: The most that the call may cost, in nano-USD; `None` for any.
        """
        return ceiling is not None or bool(run.budgets or self._means.budgets().budgets)

    def seek(
        self, asked: Asked, tags: Mapping[str, str], run: Matched, patience: Patience, crossed: Crossed
    ) -> Generator[Step, Any, Admission]:
        """Seek leave to send a request: steps for `steps.run` or `steps.arun`, which raise `DeniedError`."""
        if self.concerns(run):
            self._settler.ensure_worker()
        means = self._means
        desk = Desk(
            gate=self._gate,
            appraiser=self._appraiser,
            clock=means.clock,
            match=lambda each: self._match(each.provider, each.model, tags, run),
            moved=self._moved,
            now_s=self._now_s,
            new_id=means.new_id,
            chance=means.chance,
            crossed=crossed,
            cheaper=self._cheaper,
            count=means.count,
        )
        return Seeker(desk, asked, patience).steps()

    def unasked(self, asked: Asked, tags: Mapping[str, str], run: Matched) -> Admission:
        """Return the leave that nobody asked for: the request is through, and its cost is to be booked."""
        self._settler.ensure_worker()
        unknown = Offer(asked=asked, extent=Extent(None, None), amount=None, floor=0)
        return Admission(self._match(asked.provider, asked.model, tags, run), unknown, self._means.new_id(), None)

    def _match(self, provider: str, model: str, tags: Mapping[str, str], run: Matched) -> Matched:
        declared = self._means.budgets().match(tags, provider=provider, model=model, now_s=int(self._now_s()))
        if not run.budgets:
            return declared
        return Matched(declared.budgets + run.budgets, declared.lines + run.lines)

    def _now_s(self) -> float:
        return self._means.clock.now_ns() / 1e9 + self._skew_ms / 1000

    def _moved(self, now_ms: int) -> None:
        """Go by the store's clock from now on: it decides which window it is."""
        self._skew_ms = now_ms - self._means.clock.now_ns() // 1_000_000

    def _cheaper(self, offer: Offer, budget: Budget) -> tuple[Offer, ...]:
        """Return what a budget allows instead: its own list in its order, else the cheapest first."""
        if budget.downgrade_to:
            return tuple(self._appraiser.cheaper(offer, tuple(self._downgrades(budget))))
        asked = offer.asked
        models = same_or_better(asked.provider, asked.model, asked.arguments)
        return tuple(sorted(self._appraiser.cheaper(offer, models), key=lambda each: each.amount or 0))

    def _downgrades(self, budget: Budget) -> Iterator[tuple[str, str]]:
        for name in budget.downgrade_to:
            try:
                ref = resolve_model(name)
            # A slip of the pen must not take the refusal's place.
            except ConfigurationError as exc:
                self._means.guard.failed("budgets", exc)
            else:
                yield ref.provider, ref.model

    def price(self, asked: Asked, usage: Usage) -> int | None:
        """Return what some usage costs with the model of a request, in nano-USD; `None` where that is not known."""
        cost = self._means.prices.price(
            usage, provider=asked.provider, model=asked.priced_as, at=asked.at, service_tier=asked.service_tier
        )
        return None if cost is None else cost.total_nano

    # --- after a request ----------------------------------------------------------------------------------------------

    def settle(
        self, admission: Admission, actual: int, *, may_block: bool, crossed: Crossed | None = None
    ) -> Future[None] | None:
        """Book what a request cost, in nano-USD. Return what is done when it is; `None` if it is already.

        Args:
            admission: The leave that it was sent with.
            actual: What it cost; 0 releases the hold.
            may_block: Whether this thread may wait for the store.
            crossed: Takes thresholds that are reached by it.
        """
        if not admission.is_billed or (admission.hold is None and not actual):
            return None
        settlement = Settlement(admission.id, actual, admission.matched.lines)
        if may_block:
            self._settler.settle_now(settlement, crossed)
            return None
        return self._settler.settle_soon(settlement, crossed)

    def extend(self, admission: Admission) -> None:
        """Tell the ledger that a request lives."""
        if admission.hold is not None:
            self._settler.extend_soon(admission.id, admission.hold.lease_ms)

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was handed over is settled or journalled; return whether it is."""
        return self._settler.flush(timeout_s)

    def _release(self, settlement: Settlement) -> None:
        self._settler.settle_soon(settlement)

    def announce(self, crossings: tuple[Crossing, ...]) -> None:
        """Log thresholds that were reached, and call the user back."""
        for crossing in crossings:
            alert = alert_of(crossing)
            _logger.warning(
                "llm_otel.budget_alert budget=%s scope=%r fraction=%g spent_usd=%s limit_usd=%s",
                alert.budget,
                alert.scope,
                alert.fraction,
                alert.spent_usd,
                alert.limit_usd,
            )
            if self._means.on_alert is not None:
                self._means.guard.call("on_budget_alert", self._means.on_alert, alert)

    # --- at any time --------------------------------------------------------------------------------------------------

    def statuses(self) -> list[BudgetStatus]:
        """Return how all budgets stand, in the order of their declaration, each with its most used scopes first.

        Raises:
            StoreUnavailableError: The ledger cannot be reached.
        """
        return survey(self._means.store, self._means.budgets().budgets, now_s=int(self._now_s()))
