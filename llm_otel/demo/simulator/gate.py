"""A gate that opens once: opened from any thread, waited for on the simulator's event loop."""

import asyncio
from threading import Lock


class Gate:
    """Closed until `open()` is called, open for ever after."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_open = False
        self._waiting: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}

    def open(self) -> None:
        """Let all who wait go on, and all who come; opening twice changes nothing. From any thread."""
        with self._lock:
            self._is_open = True
            waiting, self._waiting = self._waiting, {}
        for future, loop in waiting.items():
            try:
                loop.call_soon_threadsafe(_wake, future)
            except RuntimeError:
                # The simulator closed meanwhile, and its loop with it: nobody waits there any more.
                continue

    async def passed(self) -> None:
        """Wait until the gate is open."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._lock:
            if self._is_open:
                return
            self._waiting[future] = loop
        try:
            await future
        finally:
            with self._lock:
                self._waiting.pop(future, None)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
