"""What the simulator was asked: the requests it got, and how many it is still busy with."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Condition

from llm_otel.demo.simulator.chat import Json, Provider


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as it arrived."""

    index: int
    """0 for the first one since the start or the last `clear()`."""
    provider: Provider | None
    """None where the path belongs to none of the wire formats."""
    model: str
    """Empty where the request names none."""
    prompt: str
    """All text of the prompt, in the provider's order; empty where the request could not be read."""
    stream: bool
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case name; the last one where a name comes twice."""
    body: Json
    """The parsed body; empty where it was no JSON object."""
    arrived_s: float
    """Reading of the simulator's monotonic clock when the request was complete."""


class Journal:
    """Keeps the latest requests and counts those in flight; safe for use by several threads."""

    def __init__(self, keep: int) -> None:
        self._changed = Condition()
        self._requests: deque[RecordedRequest] = deque(maxlen=keep)
        self._arrived = 0
        self._in_flight = 0

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The latest requests, oldest first."""
        with self._changed:
            return tuple(self._requests)

    @property
    def in_flight(self) -> int:
        """How many requests have no complete answer yet, nor lost their client."""
        with self._changed:
            return self._in_flight

    def begin(self, describe: Callable[[int], RecordedRequest]) -> RecordedRequest:
        """Record a request that has arrived, described with its index."""
        with self._changed:
            request = describe(self._arrived)
            self._requests.append(request)
            self._arrived += 1
            self._in_flight += 1
            self._changed.notify_all()
            return request

    def end(self) -> None:
        """Record that a request is answered or given up."""
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget the requests; those in flight stay counted as such."""
        with self._changed:
            self._requests.clear()
            self._arrived = 0

    def wait_for_requests(self, number: int, timeout_s: float) -> None:
        """Wait until this many requests have arrived."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._arrived >= number, timeout_s):
                raise TimeoutError(f"{self._arrived} of {number} requests arrived within {timeout_s:g} s")

    def wait_until_idle(self, timeout_s: float) -> None:
        """Wait until no request is in flight."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._in_flight == 0, timeout_s):
                raise TimeoutError(f"{self._in_flight} requests still in flight after {timeout_s:g} s")
