"""Where one call goes next: its itinerary, and the circuits of the models on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_otel.call import Outcome
from llm_otel.routing.itinerary import NO_MODELS, Itinerary

if TYPE_CHECKING:
    from llm_otel.call import AttemptReason, Failure
    from llm_otel.plan import Instruments, Plan
    from llm_otel.routing.health import Health, Pass
    from llm_otel.routing.itinerary import Model, Target


class CallCourse:
    """Chooses the target of each request of one call. Not thread-safe: the call makes one attempt at a time."""

    __slots__ = ("_deadline_s", "_health", "_instruments", "_itinerary", "_pass", "_refused")

    def __init__(self, instruments: Instruments, plan: Plan, deadline_s: float | None) -> None:
        """Set out; the deadline is in monotonic seconds."""
        self._instruments = instruments
        self._deadline_s = deadline_s
        self._itinerary = Itinerary(plan.targets or (plan.request,), plan.retry, plan.detours)
        self._health: Health | None = plan.health
        self._pass: Pass | None = None
        self._refused: list[tuple[float, Model]] = []

    @property
    def target(self) -> Target:
        """The model to ask: the request itself stands for the one that was asked for."""
        return self._itinerary.target

    @property
    def is_at_first(self) -> bool:
        """Whether that is the first choice."""
        return self._itinerary.is_at_first

    @property
    def left_s(self) -> float | None:
        """Seconds to the deadline, never negative; `None` without one."""
        return None if self._deadline_s is None else max(0.0, self._deadline_s - self._now_s())

    @property
    def attempt_left_s(self) -> float | None:
        """Seconds that this attempt may take, so that time is left for those to come; `None` without a deadline."""
        if not self._itinerary.is_branched:
            return self.left_s
        return self._itinerary.share(self.left_s, self._out_of_order())

    def begin(self) -> AttemptReason:
        """Note that the target is asked; return why."""
        return self._itinerary.begin()

    def skip(self) -> float | None:
        """Leave the target out. Return the seconds to wait before the next one; `None` where there is none."""
        return self._itinerary.skip(
            now_s=self._now_s(),
            left_s=self.left_s,
            chance=self._instruments.chance(),
            out_of_order=self._out_of_order(),
        )

    def after(self, failure: Failure) -> float | None:
        """Go on after the target failed. Return the seconds to wait before the next one; `None` where there is none."""
        return self._itinerary.after(
            failure,
            now_s=self._now_s(),
            left_s=self.left_s,
            chance=self._instruments.chance(),
            out_of_order=self._out_of_order(),
        )

    # --- circuits -----------------------------------------------------------------------------------------------------

    def enter(self) -> bool:
        """Ask whether the target may be sent anything. Where it may, `note` has to be told what came of it."""
        target = self._itinerary.target
        return self._enter((target.provider, target.model))

    def enter_instead(self, model: Model) -> bool:
        """Go to another model than the target, one that a budget chose; as `enter` otherwise."""
        self.note(None)
        return self._enter(model)

    def note(self, failed: bool | None) -> None:  # noqa: FBT001  # three answers, of which None is one
        """Say what the request showed of its model, `None` for nothing; what was said first holds."""
        if self._pass is not None and self._health is not None:
            entered, self._pass = self._pass, None
            self._health.noted(entered, self._now_s(), failed=failed)

    def first_to_open(self) -> tuple[Model, float]:
        """Return which of the models that were out of order may be sent a request first, and in how many seconds."""
        assert self._refused, "something was out of order"
        opens_s, model = min(self._refused)
        return model, max(0.0, opens_s - self._now_s())

    def _enter(self, model: Model) -> bool:
        if self._health is None:
            return True
        now_s = self._now_s()
        self._pass = self._health.admits(model, now_s)
        if self._pass is None:
            self._refused.append((now_s + self._health.retry_after_s(model, now_s), model))
        return self._pass is not None

    def _out_of_order(self) -> frozenset[Model]:
        return NO_MODELS if self._health is None else self._health.open_models(self._now_s())

    def _now_s(self) -> float:
        return self._instruments.clock.monotonic()


def shown_by(outcome: Outcome, failure: Failure | None) -> bool | None:
    """Return whether an ended request speaks against its model; `None` where it says nothing of it."""
    if outcome is Outcome.SUCCESS:
        return False
    return speaks_against(failure) if outcome is Outcome.ERROR and failure is not None else None


def speaks_against(failure: Failure) -> bool | None:
    """Return whether a failure is the provider's doing: what is wrong with the request says nothing of its model."""
    return True if failure.is_retryable else None
