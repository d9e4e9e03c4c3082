"""What a call is made with, and what is to be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from llm_otel.budgets.shapes import CHAT, Shape
from llm_otel.routing.retry import NO_RETRY, RetryPolicy
from llm_otel.values import value

if TYPE_CHECKING:
    from llm_otel.call import CallRecord, CallRequest, Failure
    from llm_otel.clock import Clock
    from llm_otel.content import ContentCapture
    from llm_otel.enforcement.enforcer import Enforcer
    from llm_otel.pricing.book import PriceBook
    from llm_otel.recorders.base import Recorder
    from llm_otel.recorders.events import EventRecorder
    from llm_otel.recording import Guard
    from llm_otel.scope import Scope
    from llm_otel.usage import Usage


class ProviderReader(Protocol):
    """What the driver has to know of a provider's answers and errors."""

    def failure_of(self, error: BaseException, handled: BaseException | None = None) -> Failure:
        """Read an exception, apart from one that was being handled when the call began. Never raises."""

    def count(self, request: CallRequest, text: str) -> Usage:
        """Estimate the usage of a request that brought `text` before it was cut off. Never raises."""


@dataclass(frozen=True, slots=True)
class Instruments:
    """What every call needs. Made once for each runtime; all of it thread-safe."""

    clock: Clock
    prices: PriceBook
    reader: ProviderReader
    recorders: tuple[Recorder, ...]
    guard: Guard
    chance: Callable[[], float]
    enforcer: Enforcer | None = None
    content: ContentCapture | None = None
    """Records what is said in calls; `None`, the default, where nobody asked for it."""
    events: EventRecorder | None = None
    """Emits log records for calls; `None` where they were turned off."""
    times_every_chunk: Callable[[], bool] = bool
    """Asked once for each stream: whether a metric wants to know when each of its chunks came. `bool` says no."""


@value
class Plan:
    """What is to be done, and how patiently.

    Attributes:
        arguments: Those of LiteLLM's function: what the estimate is made from.
        shape: Where they say what the request may use.
        may_change_model: Whether a budget may have a cheaper model taken.
        timeout_s: One deadline over all attempts and pauses, to the answer or to the first chunk; `None` for none.
        to_error: Makes the error that the caller sees from the record of the failed call; `None` leaves the
            provider's own exception as it is.
    """

    request: CallRequest
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    shape: Shape = CHAT
    may_change_model: bool = False
    scope: Scope | None = None
    retry: RetryPolicy = NO_RETRY
    timeout_s: float | None = None
    to_error: Callable[[CallRecord], Exception] | None = None
