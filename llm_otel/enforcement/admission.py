"""Leave to send one request: the order in which money is sought for it.

    estimate ─► hold ─► refused? ─► count closer ─► clip ─► downgrade ─► wait ─► deny
                 └─► granted, or let through: send

What a budget does not allow is left out. Each step that changes the estimate asks the ledger again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llm_otel.budgets.denial import Denial, DenialKind, judge, refusing
from llm_otel.budgets.ledger import Ended, Granted, Hold, Moved, Refused
from llm_otel.enforcement.gate import Unreachable
from llm_otel.enforcement.steps import Reserve
from llm_otel.steps import Count, Pause, Step

if TYPE_CHECKING:
    from llm_otel.budgets.budget import Budget
    from llm_otel.budgets.ceiling import Ceiling
    from llm_otel.budgets.ledger import Balance, Crossed, Crossing
    from llm_otel.budgets.matching import Matched
    from llm_otel.clock import Clock
    from llm_otel.enforcement.gate import Gate
    from llm_otel.enforcement.offers import Appraiser, Asked, Offer

MAX_CLIPS = 3
"""How often an output limit is lowered again because others took what was left meanwhile."""
MAX_MOVES = 5
"""How often a window may turn, or an id be used up, while one call seeks money: more is a broken clock."""
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5
PAUSE_GROWTH = 1.6
"""Calls take seconds, so a waiting one looks often at first, and then twice a second."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What every admission needs.

    Attributes:
        match: The budgets that a request concerns now.
        moved: Takes the store's time, where it is not ours.
        new_id: Makes the id of a hold.
        crossed: Takes thresholds that spend has reached.
        cheaper: The models to try instead, (provider, name) each, in order of preference.
    """

    gate: Gate
    appraiser: Appraiser
    clock: Clock
    match: Callable[[Asked], Matched]
    moved: Callable[[int], None]
    now_s: Callable[[], float]
    new_id: Callable[[], str]
    chance: Callable[[], float]
    crossed: Crossed
    cheaper: Callable[[Offer, Budget], tuple[Offer, ...]]
    count: Callable[[Asked], int | None]


@dataclass(frozen=True, slots=True)
class Patience:
    """How far an admission may go.

    Attributes:
        left_s: Seconds to the call's deadline; `None` without one.
        lease_ms: How long the request may go without a sign of life.
        may_change_model: Whether a cheaper model may be taken.
        ceiling: What the call may cost; `None` for any amount. A request that may cost more is refused: no budget's
            policy helps it.
    """

    left_s: float | None
    lease_ms: int
    may_change_model: bool
    ceiling: Ceiling | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """Leave to send one request.

    Attributes:
        hold: `None` where nothing is held: the request is free, or what it may cost is not known or the ledger is out,
            and the budgets allow that.
        denier: The budget that the request was downgraded for.
    """

    matched: Matched
    offer: Offer
    id: str
    hold: Hold | None
    denier: tuple[Budget, str] | None = None

    @property
    def is_billed(self) -> bool:
        """Whether there is a cost to book: also where the ledger was out when it was asked for a hold."""
        return bool(self.matched.lines) and not self.offer.is_free

    def actual(self, cost: int | None) -> int:
        """Return what to book for a request that may be billed, at a cost in nano-USD; unknown, it is what was held."""
        return (self.offer.amount or 0) if cost is None else cost


class DeniedError(Exception):
    """The request is refused. Becomes the caller's `BudgetExceededError`."""

    def __init__(self, denial: Denial) -> None:
        super().__init__(str(denial.kind))
        self.denial = denial


class Seeker:
    """Seeks money for one request."""

    def __init__(self, desk: Desk, asked: Asked, patience: Patience) -> None:
        self._desk = desk
        self._patience = patience
        self._matched = desk.match(asked)
        self._offer = desk.appraiser.offer(asked, is_bound=self._is_hard or patience.ceiling is not None)
        self._id = desk.new_id()
        self._started_s = desk.clock.monotonic()
        self._pause_s = FIRST_PAUSE_S
        self._denier: tuple[Budget, str] | None = None
        self._clips = 0
        self._moves = 0
        self._is_counted = False
        self._cheaper: list[Offer] | None = None

    @property
    def _is_hard(self) -> bool:
        return any(budget.is_hard for budget in self._matched.budgets)

    def steps(self) -> Generator[Step, Any, Admission]:
        """Go the way of an admission.

        Raises:
            DeniedError: It ends at a budget.
        """
        ceiling = self._patience.ceiling
        self._price_unknown()
        while self._moves < MAX_MOVES:
            if ceiling is not None:
                # Anew each time: it is what is sent in the end that must not cost more.
                yield from self._keep_below(ceiling)
            if not self._matched.budgets or not self._offer.amount:
                return self._admitted(None)
            hold = self._hold()
            answer = yield Reserve(self._desk.gate, hold)
            if isinstance(answer, Granted):
                self._tell(answer.crossings, hold)
                return self._admitted(hold)
            if isinstance(answer, Unreachable):
                return self._through_outage()
            if isinstance(answer, Refused):
                self._desk.crossed(answer.crossings)
                yield from self._make_fit(answer)
            else:
                self._note_move(answer)
            # A pause may have been long, and another model may be another budget's.
            self._matched = self._desk.match(self._offer.asked)
        return self._through_outage()

    def _hold(self) -> Hold:
        offer = self._offer
        amount = offer.amount or 0
        return Hold(self._id, amount, min(offer.floor, amount), self._patience.lease_ms, self._matched.lines)

    def _admitted(self, hold: Hold | None) -> Admission:
        return Admission(self._matched, self._offer, self._id, hold, self._denier)

    def _tell(self, crossings: tuple[Crossing, ...], hold: Hold) -> None:
        try:
            self._desk.crossed(crossings)
        except BaseException:
            # A callback that ends the program, Ctrl-C in it, or strict mode: nobody is left to settle what is held.
            self._desk.gate.give_back(hold)
            raise

    def _note_move(self, answer: Moved | Ended) -> None:
        self._moves += 1
        if isinstance(answer, Moved):
            self._desk.moved(answer.now_ms)
        else:
            self._id = self._desk.new_id()

    # --- what cannot be priced, or not be asked -----------------------------------------------------------------------

    def _price_unknown(self) -> None:
        """Decide about a request whose cost is not known, before anything else."""
        if self._offer.amount is not None:
            return
        policies = {budget.on_unknown_price for budget in self._matched.budgets if budget.is_hard}
        amount = self._desk.appraiser.highest(self._offer) if "estimate" in policies else 0
        if "deny" in policies or amount is None:
            raise self._denied(
                DenialKind.UNKNOWN_PRICE,
                self._first(lambda budget: budget.is_hard and budget.on_unknown_price != "allow"),
            )
        if self._patience.ceiling is not None:
            raise self._beyond(self._patience.ceiling)
        # What is let through stays unknown, not free: should its cost be known in the end, it is booked.
        self._offer = replace(self._offer, amount=amount or None)

    def _through_outage(self) -> Admission:
        # The hold that was asked for may exist, and is being released: its id is used up.
        self._id = self._desk.new_id()
        if all(budget.allows_outage for budget in self._matched.budgets):
            return self._admitted(None)
        raise self._denied(DenialKind.STORE_UNAVAILABLE, self._first(lambda budget: not budget.allows_outage))

    def _first(self, is_meant: Callable[[Budget], bool]) -> int:
        return next((index for index, budget in enumerate(self._matched.budgets) if is_meant(budget)), 0)

    def _denied(self, kind: DenialKind, index: int) -> DeniedError:
        return DeniedError(
            Denial(
                kind=kind,
                budget=self._matched.budgets[index],
                line=self._matched.lines[index],
                requested=self._offer.amount,
                is_unbounded=self._offer.extent.input_tokens is None,
                now_s=self._desk.now_s(),
            )
        )

    # --- what the call may cost ---------------------------------------------------------------------------------------

    def _keep_below(self, ceiling: Ceiling) -> Generator[Step, Any, None]:
        """See that the request costs no more than the call may.

        Raises:
            DeniedError: It may, even counted closer.
        """
        if not ceiling.takes(self._offer.amount) and not self._is_counted:
            yield from self._count_closer()
        if not ceiling.takes(self._offer.amount):
            raise self._beyond(ceiling)

    def _beyond(self, ceiling: Ceiling) -> DeniedError:
        is_unbounded = self._offer.extent.input_tokens is None
        return DeniedError(ceiling.denial(self._offer.amount, is_unbounded=is_unbounded, now_s=self._desk.now_s()))

    # --- what does not fit --------------------------------------------------------------------------------------------

    def _make_fit(self, refused: Refused) -> Generator[Step, Any, None]:
        """Make the request smaller, or wait.

        Raises:
            DeniedError: Nothing of that is possible, or allowed.
        """
        if not self._is_counted:
            yield from self._count_closer()
        amount = self._offer.amount or 0
        refusals = list(refusing(self._matched, refused.balances, amount))
        if not refusals:
            self._moves += 1
            return
        available = min(line.limit - balance.spent - balance.held for _, line, balance in refusals)
        if self._clip(refusals, available) or self._downgrade(refusals, available):
            return
        denial = judge(self._matched, refused.balances, amount, now_s=refused.now_ms / 1000)
        pause_s = self._pause(refusals, denial)
        if pause_s is None:
            raise DeniedError(denial)
        yield Pause(self._desk.clock, pause_s)

    def _count_closer(self) -> Generator[Step, Any, None]:
        """Bound the input by its tokens, where a tokenizer that is really the model's own can."""
        self._is_counted = True
        tokens = yield Count(lambda: self._desk.count(self._offer.asked))
        if tokens is not None:
            self._offer = self._desk.appraiser.with_input(self._offer, tokens)
            self._price_unknown()

    def _clip(self, refusals: list[tuple[Budget, Any, Balance]], available: int) -> bool:
        """Lower the output limit to what is affordable."""
        if self._clips >= MAX_CLIPS or any(budget.on_tight != "clip" for budget, _, _ in refusals):
            return False
        least = max(budget.min_max_tokens for budget, _, _ in refusals)
        clipped = self._desk.appraiser.clipped(self._offer, available=available, least=least)
        if clipped is None:
            return False
        self._clips += 1
        self._offer = clipped
        return True

    def _downgrade(self, refusals: list[tuple[Budget, Any, Balance]], available: int) -> bool:
        """Take the next cheaper model that may fit."""
        if not self._patience.may_change_model or any(b.on_exceeded != "downgrade" for b, _, _ in refusals):
            return False
        budget, line, _ = refusals[0]
        if self._cheaper is None:
            self._cheaper = list(self._desk.cheaper(self._offer, budget))
        while self._cheaper:
            candidate = self._cheaper.pop(0)
            if (candidate.amount or 0) <= available:
                self._offer = candidate
                self._denier = (budget, line.scope)
                self._is_counted = False
                return True
        return False

    def _pause(self, refusals: list[tuple[Budget, Any, Balance]], denial: Denial) -> float | None:
        """Return how long to wait before asking again; `None` not to."""
        waits = [budget.wait_s for budget, _, _ in refusals if budget.on_exceeded == "wait"]
        if len(waits) < len(refusals) or denial.kind is DenialKind.TOO_LARGE:
            return None
        waited_s = self._desk.clock.monotonic() - self._started_s
        left_s = min(waits) - waited_s
        if self._patience.left_s is not None:
            left_s = min(left_s, self._patience.left_s - waited_s)
        if denial.kind is DenialKind.EXHAUSTED:
            # Only the next window helps, or the next bucket of a rolling one.
            ends_s = denial.window_ends_in_s
            return ends_s if ends_s is not None and ends_s < left_s else None
        if left_s <= 0:
            return None
        pause_s = self._pause_s * (0.5 + self._desk.chance() / 2)
        self._pause_s = min(self._pause_s * PAUSE_GROWTH, LONGEST_PAUSE_S)
        return min(pause_s, left_s)
