"""Where one call goes next: its itinerary, and the circuits of the models on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llm_otel.call import AttemptReason, Outcome
from llm_otel.routing.itinerary import NO_MODELS, Itinerary

if TYPE_CHECKING:
    from llm_otel.call import Failure
    from llm_otel.plan import Instruments, Plan
    from llm_otel.routing.health import Health, Pass
    from llm_otel.routing.itinerary import Model, Target


class CallCourse:
    """Chooses the target of each request of one call. Not thread-safe: the call makes one attempt at a time.

    Attributes:
        target: The model to ask: the request itself stands for the one that was asked for.
    """

    __slots__ = (
        "_chance",
        "_deadline_s",
        "_has_begun",
        "_health",
        "_itinerary",
        "_now_s",
        "_pass",
        "_plan",
        "_refused",
        "target",
    )

    def __init__(self, instruments: Instruments, plan: Plan, deadline_s: float | None) -> None:
        """Set out; the deadline is in monotonic seconds."""
        targets = plan.targets
        self.target: Target = targets[0] if targets else plan.request
        self._plan = plan
        self._now_s = instruments.clock.monotonic
        self._chance = instruments.chance
        self._deadline_s = deadline_s
        self._has_begun = False
        # Most calls have one target, whose first answer is the last: made when one has to look further.
        self._itinerary: Itinerary | None = _itinerary_of(plan) if len(targets) > 1 else None
        self._health: Health | None = plan.health
        self._pass: Pass | None = None
        self._refused: list[tuple[float, Model]] = []

    @property
    def is_at_first(self) -> bool:
        """Whether the target is the first choice."""
        return self._itinerary is None or self._itinerary.is_at_first

    def is_late(self, now_s: float) -> bool:
        """Tell whether the deadline has passed, in monotonic seconds."""
        return self._deadline_s is not None and now_s >= self._deadline_s

    @property
    def left_s(self) -> float | None:
        """Seconds to the deadline, never negative; `None` without one."""
        return None if self._deadline_s is None else max(0.0, self._deadline_s - self._now_s())

    @property
    def attempt_left_s(self) -> float | None:
        """Seconds that this attempt may take, so that time is left for those to come; `None` without a deadline."""
        if self._itinerary is None:
            return self.left_s
        return self._itinerary.share(self.left_s, self._out_of_order())

    def begin(self) -> AttemptReason:
        """Note that the target is asked; return why."""
        self._has_begun = True
        return AttemptReason.FIRST if self._itinerary is None else self._itinerary.begin()

    def skip(self) -> float | None:
        """Leave the target out. Return the seconds to wait before the next one; `None` where there is none."""
        return self._go_on(Itinerary.skip)

    def after(self, failure: Failure) -> float | None:
        """Go on after the target failed. Return the seconds to wait before the next one; `None` where there is none."""
        # Noted before the next one is chosen: this failure may be the one that opens the circuit.
        self.note(_speaks_against(failure))
        return self._go_on(Itinerary.after, failure)

    def _go_on(self, step: Callable[..., float | None], *about: Failure) -> float | None:
        itinerary = self._itinerary
        if itinerary is None:
            itinerary = self._itinerary = _itinerary_of(self._plan)
            if self._has_begun:
                itinerary.begin()
        pause_s = step(
            itinerary,
            *about,
            now_s=self._now_s(),
            left_s=self.left_s,
            chance=self._chance(),
            out_of_order=self._out_of_order(),
        )
        self.target = itinerary.target
        return pause_s

    # --- circuits -----------------------------------------------------------------------------------------------------

    def enter(self) -> bool:
        """Ask whether the target may be sent anything. Where it may, `note` has to be told what came of it."""
        target = self.target
        return self._health is None or self._enter(self._health, (target.provider, target.model))

    def enter_instead(self, model: Model) -> bool:
        """Go to another model than the target, one that a budget chose; as `enter` otherwise."""
        self.note(None)
        return self._health is None or self._enter(self._health, model)

    def note(self, failed: bool | None) -> None:  # noqa: FBT001  # three answers, of which None is one
        """Say what the request showed of its model, `None` for nothing; what was said first holds."""
        if self._pass is not None and self._health is not None:
            entered, self._pass = self._pass, None
            self._health.noted(entered, self._now_s(), failed=failed)

    def ended(self, outcome: Outcome | None, failure: Failure | None) -> None:
        """Say how the request ended, `None` for one that was not sent: as `note`, for what that shows."""
        if self._pass is not None:
            self.note(_shown_by(outcome, failure))

    def first_to_open(self) -> tuple[Model, float]:
        """Return which of the models that were out of order may be sent a request first, and in how many seconds."""
        assert self._refused, "something was out of order"
        opens_s, model = min(self._refused)
        return model, max(0.0, opens_s - self._now_s())

    def _enter(self, health: Health, model: Model) -> bool:
        now_s = self._now_s()
        self._pass = health.admits(model, now_s)
        if self._pass is None:
            self._refused.append((now_s + health.retry_after_s(model, now_s), model))
        return self._pass is not None

    def _out_of_order(self) -> frozenset[Model]:
        return NO_MODELS if self._health is None else self._health.open_models(self._now_s())


def _itinerary_of(plan: Plan) -> Itinerary:
    return Itinerary(plan.targets or (plan.request,), plan.retry, plan.detours)


def _shown_by(outcome: Outcome | None, failure: Failure | None) -> bool | None:
    """Return whether an ended request speaks against its model; `None` where it says nothing of it."""
    if outcome is Outcome.SUCCESS:
        return False
    return _speaks_against(failure) if outcome is Outcome.ERROR and failure is not None else None


def _speaks_against(failure: Failure) -> bool | None:
    """Return whether a failure is the provider's doing: what is wrong with the request says nothing of its model."""
    return True if failure.is_retryable else None
