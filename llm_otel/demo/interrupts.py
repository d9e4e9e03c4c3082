"""Ctrl-C, made safe for an event loop: the first ends the work in good order, one that comes later ends the process.

asyncio's own second Ctrl-C raises wherever the loop happens to be. It may lose the wake-up of a task, which is then
waited for in vain; or it lets go of threads whose next call would find the environment put back, and be a real one.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

EXIT_CODE = 130
"""128 + SIGINT, as shells report it."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ONE_PRESS_S = 1.0
"""Wrappers pass a Ctrl-C on that the terminal has sent already: two so close together are one."""


@contextmanager
def interruptible(stop: Callable[[], object], *, kill: Callable[[int], object] = os._exit) -> Iterator[None]:
    """Call `stop` at the first SIGINT or SIGTERM, and `kill` with the exit code at one that comes a second later.

    On any thread but the main one, where signals cannot be handled, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stopped_s: list[float] = []

    def handle(_signal: int, _frame: FrameType | None) -> None:
        if not stopped_s:
            stopped_s.append(monotonic())
            stop()
        elif monotonic() - stopped_s[0] > _ONE_PRESS_S:
            kill(EXIT_CODE)

    before = [signal.signal(number, handle) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)
