"""Leave to send the next request of one call: from the circuit of a model, and from the budgets."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_otel.enforcement.admission import DeniedError
from llm_otel.steps import Pause

if TYPE_CHECKING:
    from llm_otel.budgets.denial import Denial
    from llm_otel.call_course import CallCourse
    from llm_otel.call_money import CallMoney
    from llm_otel.clock import Clock
    from llm_otel.steps import Step


class NobodyLeftError(Exception):
    """Nobody is left to be asked. Becomes the caller's `CircuitOpenError`, or what the last request failed of."""

    def __init__(self, denial: Denial | None) -> None:
        super().__init__()
        self.denial = denial


@dataclass(frozen=True, slots=True)
class Settle:
    """Wait until the ledger has what was given back: the next target is to find it free again."""

    money: CallMoney

    def run(self) -> None:
        """Do nothing: a thread that may wait has waited."""

    async def arun(self) -> None:
        """Suspend this task."""
        await self.money.settled()


def leave_for_next(
    course: CallCourse,
    money: CallMoney,
    clock: Clock,
    *,
    is_let_through: bool,
) -> Generator[Step, object, None]:
    """Find a target that is not out of order and that the budgets allow: steps. Those that are not are left out.

    Args:
        course: Where the call goes.
        money: Its money.
        clock: For the pauses.
        is_let_through: Whether the target of the moment is in order.

    Raises:
        DeniedError: A budget refuses the first choice, which is final.
        NobodyLeftError: There is no target left.
    """
    denial: Denial | None = None
    while True:
        try:
            if is_let_through and (yield from _has_money(course, money)):
                return
        except DeniedError as exc:
            course.note(None)
            # What a budget says of a fallback is only that it is none.
            if course.is_at_first:
                raise
            denial = exc.denial
        pause_s = course.skip()
        if pause_s is None:
            raise NobodyLeftError(denial)
        if pause_s:
            yield Pause(clock, pause_s)
        is_let_through = course.enter()


def _has_money(course: CallCourse, money: CallMoney) -> Generator[Step, object, bool]:
    """Hold the money for the target; not if a budget would have a model taken that is out of order."""
    if not money.is_concerned():
        return True
    yield from money.seek(course.target, left_s=course.left_s)
    offer = money.offer
    if offer is None or not offer.is_downgraded:
        return True
    is_let_through = course.enter_instead((offer.asked.provider, offer.asked.model))
    if not is_let_through:
        money.give_back()
        yield Settle(money)
    return is_let_through
