"""Sending what is left when the program ends, for a bounded time.

Three things are in the way. The SDK waits 10 to 30 s for a dead endpoint, one provider after the other. No thread can
be started once the interpreter ends (Python 3.12), so each provider has one that waits for the end. And a worker of
`multiprocessing` ends without `atexit`.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import multiprocessing.util
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_otel.forks import when_forked

if TYPE_CHECKING:
    from llm_otel.clock import Clock
    from llm_otel.telemetry.outages import Outages
    from llm_otel.telemetry.senders import Sender

_logger = logging.getLogger("llm_otel")
END_S = 5.0
"""The longest that the end of a program waits, for all signals together."""
_FOR_GIVING_UP = 0.1
"""The part of that time that is left for what is still trying to stop, and to say why."""
_LAST_OF_ALL = 0
"""multiprocessing runs finalizers of high priority first; what they record is sent too."""


@dataclass(frozen=True, slots=True)
class Way:
    """How one signal leaves: its sender, and what makes its provider send the rest and close."""

    sender: Sender
    shutdown: Callable[[], object]


class _Closer:
    """A thread that does nothing until the end."""

    def __init__(self, way: Way) -> None:
        self.sender = way.sender
        self.begin = threading.Event()
        self.done = threading.Event()
        self._shutdown = way.shutdown
        threading.Thread(target=self._run, name="llm-otel-end", daemon=True).start()

    def _run(self) -> None:
        self.begin.wait()
        try:
            self._shutdown()
        # A reader of metrics that fails makes its provider raise; the others end all the same.
        except Exception as exc:
            signal = self.sender.route.signal
            _logger.warning("llm_otel.shutdown_failed signal=%s error=%s", signal, type(exc).__name__, exc_info=exc)
        finally:
            self.done.set()


class Ending:
    """Closes what has been set up when the process ends, and in forked children when they end."""

    def __init__(self, outages: Outages, clock: Clock) -> None:
        self._ways: list[Way] = []
        self._outages = outages
        self._clock = clock
        self._begin_anew()
        when_forked(self._in_child)
        # multiprocessing forgets the parent's finalizers in a child, and runs this after that.
        multiprocessing.util.register_after_fork(self, Ending._finish_with_worker)
        if multiprocessing.parent_process() is not None:
            # This is a worker that sets itself up.
            self._finish_with_worker()
        atexit.register(self.close)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._deadline: float | None = None
        self._closers = [_Closer(way) for way in self._ways]

    def _in_child(self) -> None:
        self._outages.forget()
        self._begin_anew()

    def add(self, ways: Iterable[Way]) -> None:
        """Close these too."""
        for way in ways:
            self._ways.append(way)
            self._closers.append(_Closer(way))

    def _finish_with_worker(self) -> None:
        multiprocessing.util.Finalize(None, self.close, exitpriority=_LAST_OF_ALL)

    def close(self, timeout_s: float = END_S) -> bool:
        """Send what is left and close the providers; nothing more is sent then. Who comes later waits for who is at it.

        Args:
            timeout_s: For all signals together. What has not been taken by then is lost, and that is said once.

        Returns:
            Whether all of it was sent or given up in time.
        """
        deadline = self._clock.monotonic() + timeout_s
        with self._lock:
            begun = self._deadline
            if begun is None:
                self._deadline = deadline
        if begun is not None:
            return not self._late(min(begun, deadline))
        for closer in self._closers:
            closer.begin.set()
        for closer in self._late(deadline - timeout_s * _FOR_GIVING_UP):
            closer.sender.stop()
        late = self._late(deadline)
        for closer in late:
            self._outages.failed(closer.sender.route, f"no answer within {timeout_s:g} s at the end of the program")
        return not late

    def _late(self, deadline: float) -> list[_Closer]:
        """Wait for all, and return those that were not done in time."""
        return [each for each in self._closers if not each.done.wait(max(0.0, deadline - self._clock.monotonic()))]
