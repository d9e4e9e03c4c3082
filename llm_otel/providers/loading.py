"""LiteLLM, loaded when it is first needed: importing it takes seconds of CPU."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import threading
from contextlib import suppress
from contextvars import ContextVar
from functools import cache
from typing import Any

_lock = threading.Lock()


@cache
def litellm() -> Any:
    """Return the module `litellm`, for calls of our own. Thread-safe.

    It does not print its banners ("Give Feedback", "Provider List") into the service's standard output.
    """
    module = as_it_is()
    module.suppress_debug_info = True
    return module


@cache
def as_it_is() -> Any:
    """Return the module `litellm`, for those who only look on: whoever has set it up is left alone. Thread-safe.

    Where this loads it, its price map is not downloaded: prices that change in the middle of a process, and a start
    that waits for the network, are worse than bundled ones. Who has set the variable already is left alone.
    """
    with _lock:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        import litellm

        finish_half_imports()
        return litellm


def finish_half_imports() -> None:
    """Import httpx2 before the first call: no call may meet it half imported.

    It comes with genai-prices, which a thread imports when it meets the first model that is not pinned; meanwhile the
    OpenAI SDK (2.54) takes `sys.modules["httpx2"]` as it finds it in each call: "partially initialized module".
    """
    with suppress(ImportError):
        importlib.import_module("httpx2")


async def aload() -> None:
    """Load LiteLLM without holding up the event loop; before the call begins, so that it is no part of its time."""
    if "litellm" not in sys.modules:
        await asyncio.to_thread(litellm)


class Inside:
    """Marks this context, so that the interception lets LiteLLM's own nested calls pass.

    A class, since it is entered for every call: a generator's context manager costs three times as much.
    """

    __slots__ = ("_token", "is_over")

    def __enter__(self) -> None:
        self.is_over = False
        self._token = _inside.set(self)

    def __exit__(self, *_exc_info: object) -> None:
        # LiteLLM runs callbacks later, in copies of this context: what they ask for is no part of the call.
        self.is_over = True
        _inside.reset(self._token)


_inside: ContextVar[Inside | None] = ContextVar("llm_otel_inside_litellm", default=None)


def is_inside() -> bool:
    """Tell whether this context is inside a call that is being traced: LiteLLM's nested calls are part of it."""
    found = _inside.get()
    return found is not None and not found.is_over
