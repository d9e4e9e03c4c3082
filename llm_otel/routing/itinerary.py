"""Where one call goes: its targets in order, and which comes next when one fails.

    first ──retryable──► a fallback of another provider ──► the other fallbacks ──► back, after a pause
      ├──too long───────► context_window_fallbacks
      └──not wanted─────► content_policy_fallbacks

Pure: chance, time and what is out of order come in as arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from llm_otel.call import AttemptReason, FailureKind

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from llm_otel.call import Failure
    from llm_otel.routing.retry import RetryPolicy

Model = tuple[str, str]
"""Provider (`gen_ai.provider.name`) and name, without LiteLLM's prefix."""
NO_MODELS: frozenset[Model] = frozenset()


class Target(Protocol):
    """A model that a call may go to: a `ModelRef`, or the request itself for the one that was asked for."""

    @property
    def provider(self) -> str:
        """Return the `gen_ai.provider.name` value."""

    @property
    def model(self) -> str:
        """Return the name without LiteLLM's prefix."""


@dataclass(slots=True)
class _Stop:
    """A target, and how it went there."""

    target: Target
    tries: int = 0
    is_out: bool = False
    failure: Failure | None = None
    failed_s: float = 0.0

    @property
    def model(self) -> Model:
        return _model_of(self.target)


class Itinerary:
    """The way of one call. Not thread-safe: a call makes one attempt at a time."""

    __slots__ = ("_attempts", "_current", "_detours", "_origin", "_past", "_retry", "_stops")

    def __init__(
        self, targets: Sequence[Target], retry: RetryPolicy, detours: Mapping[FailureKind, Sequence[Target]]
    ) -> None:
        """Plan the way.

        Args:
            targets: The first choice, then its fallbacks, in order of preference; one that is named twice counts once.
            retry: How often, and how patiently.
            detours: Where to go instead when a failure is of a kind; each is taken once.
        """
        self._stops = [_Stop(targets[0])] if len(targets) == 1 else _stops_at(targets)
        self._current = self._origin = self._stops[0]
        self._retry = retry
        self._detours = detours
        self._past: list[_Stop] = []
        self._attempts = 0

    @property
    def target(self) -> Target:
        """Where the call goes now."""
        return self._current.target

    @property
    def is_at_first(self) -> bool:
        """Whether that is where it was to go."""
        return self._current is self._origin

    @property
    def is_branched(self) -> bool:
        """Whether there is more than one target, so that time is to be shared."""
        return len(self._stops) > 1

    def begin(self) -> AttemptReason:
        """Note that the target is asked; return why."""
        stop = self._current
        stop.tries += 1
        self._attempts += 1
        if stop.tries > 1 or any(past.tries and past.model == stop.model for past in self._past):
            return AttemptReason.RETRY
        return AttemptReason.FIRST if stop is self._origin else AttemptReason.FALLBACK

    def share(self, left_s: float | None, out_of_order: AbstractSet[Model] = NO_MODELS) -> float | None:
        """Return how much of the time that is left this attempt may take: each target not tried yet gets its part."""
        if left_s is None or len(self._stops) == 1:
            return left_s
        others = sum(1 for stop in self._fresh(out_of_order) if stop is not self._current)
        return left_s / (1 + others)

    def skip(
        self, *, now_s: float, left_s: float | None, chance: float, out_of_order: AbstractSet[Model] = NO_MODELS
    ) -> float | None:
        """Leave out the target, which cannot be asked. Return the seconds to wait before the next; `None` without one.

        Arguments are as in `after`.
        """
        self._current.is_out = True
        return self._onward(now_s=now_s, left_s=left_s, chance=chance, out_of_order=out_of_order)

    def after(
        self,
        failure: Failure,
        *,
        now_s: float,
        left_s: float | None,
        chance: float,
        out_of_order: AbstractSet[Model] = NO_MODELS,
    ) -> float | None:
        """Go on after the target failed. Return the seconds to wait before the next attempt; `None` to give up.

        Args:
            failure: Why it failed.
            now_s: Monotonic seconds.
            left_s: Seconds to the deadline; `None` without one.
            chance: In [0, 1).
            out_of_order: Models whose circuit is open.
        """
        self._current.failure, self._current.failed_s = failure, now_s
        if (detour := self._take_detour(failure.kind)) is not None:
            self._past += self._stops
            self._stops = detour
        elif not failure.is_retryable and self.is_at_first:
            # The request itself is at fault: no other model would like it better.
            return None
        return self._onward(now_s=now_s, left_s=left_s, chance=chance, out_of_order=out_of_order)

    def _onward(
        self, *, now_s: float, left_s: float | None, chance: float, out_of_order: AbstractSet[Model]
    ) -> float | None:
        if left_s is not None and left_s <= 0:
            return None
        following = self._following(out_of_order)
        if following is not None:
            self._current = following
            return 0.0
        return self._back(now_s=now_s, left_s=left_s, chance=chance, out_of_order=out_of_order)

    def _take_detour(self, kind: FailureKind) -> list[_Stop] | None:
        if kind is FailureKind.OTHER or kind not in self._detours:
            return None
        targets = self._detours[kind]
        # Whoever meets the same again on the detour goes on along it.
        self._detours = {other: way for other, way in self._detours.items() if other is not kind}
        useless = {stop.model for stop in (*self._past, *self._stops) if stop.is_out or stop is self._current}
        return _stops_at(target for target in targets if _model_of(target) not in useless) or None

    def _fresh(self, out_of_order: AbstractSet[Model]) -> list[_Stop]:
        return [stop for stop in self._stops if not stop.tries and not stop.is_out and stop.model not in out_of_order]

    def _following(self, out_of_order: AbstractSet[Model]) -> _Stop | None:
        """Return the next target that was not tried: one of a provider that gave no trouble, if there is one."""
        fresh = self._fresh(out_of_order)
        trouble = {
            stop.target.provider
            for stop in self._stops
            if stop.failure is not None or (stop.is_out and stop.model in out_of_order)
        }
        return next((stop for stop in fresh if stop.target.provider not in trouble), fresh[0] if fresh else None)

    def _back(
        self, *, now_s: float, left_s: float | None, chance: float, out_of_order: AbstractSet[Model]
    ) -> float | None:
        """Go back to the target that was tried least and asks for the least patience, if time is left for that."""
        again: list[tuple[int, float, _Stop, Failure]] = []
        for stop in self._stops:
            if stop.failure is None or stop.is_out or stop.model in out_of_order:
                continue
            asked_s = max(0.0, (stop.failure.retry_after_s or 0.0) - (now_s - stop.failed_s))
            again.append((stop.tries, asked_s, stop, replace(stop.failure, retry_after_s=asked_s)))
        for _, _, stop, failure in sorted(again, key=lambda each: each[:2]):
            pause_s = self._retry.pause_s(failure, attempt=self._attempts, left_s=left_s, chance=chance)
            if pause_s is not None:
                self._current = stop
                return pause_s
        return None


def _model_of(target: Target) -> Model:
    return target.provider, target.model


def _stops_at(targets: Iterable[Target]) -> list[_Stop]:
    """Return a stop for each model, in the order in which they are first named."""
    stops: dict[Model, _Stop] = {}
    for target in targets:
        stops.setdefault(_model_of(target), _Stop(target))
    return list(stops.values())
