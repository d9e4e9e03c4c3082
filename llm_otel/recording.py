"""Running recorders so that telemetry never breaks a call, and never waits for itself.

A stream that is dropped ends its call from the garbage collector, which may run in the middle of a recorder that holds
a lock (prometheus_client's and the SDK's are not re-entrant) on the same thread. Such an end is put off until the
recorder underneath is done.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class InternalErrorSink(Protocol):
    """Where failures of our own go. In strict mode it raises; else it counts and logs."""

    def __call__(self, where: str, error: Exception) -> None:
        """Take note of `error`, which happened in the part called `where`."""


class _ThisThread(threading.local):
    def __init__(self) -> None:
        self.is_recording = False
        self.put_off: deque[Callable[[], None]] = deque()


_this_thread = _ThisThread()


def record_now(work: Callable[..., None], /, *args: Any) -> None:
    """Do `work`, or put it off if this thread is already recording; then do what was put off meanwhile."""
    thread = _this_thread
    if thread.is_recording:
        thread.put_off.append(partial(work, *args))
        return
    thread.is_recording = True
    try:
        work(*args)
        while thread.put_off:
            thread.put_off.popleft()()
    finally:
        thread.is_recording = False
        if thread.put_off:
            # One of them raised (strict mode, Ctrl-C): that must not lose the ends of other calls.
            record_now(thread.put_off.popleft())


class Guard:
    """Calls into recorders, with their failures kept from the caller."""

    __slots__ = ("_on_error",)

    def __init__(self, on_error: InternalErrorSink) -> None:
        self._on_error = on_error

    def call(self, where: str, function: Callable[..., T], /, *args: Any) -> T | None:
        """Return what `function` returns, or `None` when it fails and the sink keeps quiet."""
        try:
            return function(*args)
        # Whatever a recorder raises: the caller's completion is worth more than the record of it.
        except Exception as exc:  # noqa: BLE001
            self._on_error(where, exc)
            return None

    def failed(self, where: str, error: Exception) -> None:
        """Report a failure that was caught elsewhere."""
        self._on_error(where, error)
