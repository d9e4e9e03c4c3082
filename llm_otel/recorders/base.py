"""What the driver asks of a recorder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from llm_otel.call import CallRecord, CallRequest


class Recorder(Protocol):
    """A destination for the facts of calls.

    Both methods are called on the thread of the call and must be quick, thread-safe and free of I/O that can block.
    What they raise never reaches the caller: it is counted and logged by the driver.
    """

    @property
    def name(self) -> str:
        """Return a short constant: the `recorder` label of `llm_otel_internal_errors_total`."""

    def opened(self, request: CallRequest) -> None:
        """Note that a call starts; every series that it may write is made now, at 0."""

    def closed(self, record: CallRecord) -> None:
        """Write down a call that ended. Called exactly once for each `opened`."""
