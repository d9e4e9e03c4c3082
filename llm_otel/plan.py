"""What a call is made with, and what is to be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from llm_otel.budgets.shapes import CHAT, Shape
from llm_otel.routing.retry import NO_RETRY, RetryPolicy
from llm_otel.values import value

if TYPE_CHECKING:
    from llm_otel.caching.cache import ResponseCache
    from llm_otel.caching.entry import Entry
    from llm_otel.call import CallRecord, CallRequest, Failure, FailureKind
    from llm_otel.clock import Clock
    from llm_otel.content import ContentCapture
    from llm_otel.enforcement.enforcer import Enforcer
    from llm_otel.pricing.book import PriceBook
    from llm_otel.recorders.base import Recorder
    from llm_otel.recorders.events import EventRecorder
    from llm_otel.recording import Guard
    from llm_otel.routing.health import Health
    from llm_otel.routing.itinerary import Target
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
class Caching:
    """How the answer of a call may come from the response cache, and get there.

    Attributes:
        key: That of the request; see `caching.key`.
        ttl_s: For how many seconds an answer may be given again.
        may_wait: Whether to wait for another who asks the same at this moment, and to have others wait.
        entry_of: Returns what is to be kept of a whole answer; `None` where it is not to be given again.
        raw_of: Returns an answer that was kept as a request would have brought it.
    """

    cache: ResponseCache
    key: str
    ttl_s: float
    may_wait: bool
    entry_of: Callable[[Any, CallRecord], Entry | None]
    raw_of: Callable[[Entry], Any]


NO_DETOURS: Mapping[FailureKind, Sequence[Target]] = MappingProxyType({})


@value
class Plan:
    """What is to be done, and how patiently.

    Attributes:
        arguments: Those of LiteLLM's function: what the estimate is made from.
        shape: Where they say what the request may use.
        may_change_model: Whether a budget may have a cheaper model taken.
        instead_of: The model that would have been asked but for a budget that is nearly used up; `None`: it is asked.
        max_cost_nano: nano-USD that all attempts together may cost; `None` for any amount.
        targets: Where the call may go, its first choice and then the fallbacks; empty for what was asked for alone.
        detours: Where it goes instead when a failure is of a kind.
        health: Which models are in order; `None` where nobody looks at that.
        caching: How the answer may come from the response cache; `None` where nobody asked for that.
        timeout_s: One deadline over all attempts and pauses, to the answer or to the first chunk; `None` for none.
        to_error: Makes the error that the caller sees from the record of the failed call; `None` leaves the
            provider's own exception as it is.
    """

    request: CallRequest
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    shape: Shape = CHAT
    may_change_model: bool = False
    instead_of: Target | None = None
    max_cost_nano: int | None = None
    scope: Scope | None = None
    retry: RetryPolicy = NO_RETRY
    targets: tuple[Target, ...] = ()
    detours: Mapping[FailureKind, Sequence[Target]] = field(default_factory=lambda: NO_DETOURS)
    health: Health | None = None
    caching: Caching | None = None
    timeout_s: float | None = None
    to_error: Callable[[CallRecord], Exception] | None = None

    def in_conversation(self, conversation_id: str) -> Plan:
        """Return the plan with the conversation that the call belongs to."""
        return replace(self, request=replace(self.request, conversation_id=conversation_id))
