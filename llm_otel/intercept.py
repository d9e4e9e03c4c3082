"""Plain LiteLLM calls inside a scope: the same path as everything else, and the caller notices nothing.

`litellm.completion` and `litellm.acompletion` are replaced by functions that look whether they are called inside a
`traced_llm` scope; outside, they only pass through. They are replaced when LiteLLM is loaded (already, or later), never
by loading it. `from litellm import completion` done before that keeps the original, and is not seen.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

import wrapt

from llm_otel import drive
from llm_otel.call import Answer
from llm_otel.plan import Plan
from llm_otel.providers import requests, sources
from llm_otel.providers.loading import Inside, finish_half_imports, is_inside, litellm
from llm_otel.providers.reading import answer_of
from llm_otel.scope import current_scope
from llm_otel.streams import AsyncMeteredStream, MeteredStream, StreamCourse
from llm_otel.wiring import runtime

if TYPE_CHECKING:
    from llm_otel.enforcement.offers import Offer
    from llm_otel.open_call import OpenCall
    from llm_otel.scope import Scope

_LITELLM = "litellm"
_SYNC = "completion"
_ASYNC = "acompletion"
_OPTIONS = "stream_options"

_lock = threading.Lock()
_originals: dict[str, Callable[..., Any]] = {}
_taken: set[Callable[[], None]] = set()
"""Steps of `arm` that are taken once in a process."""


def arm() -> None:
    """See to it that LiteLLM's functions are watched as soon as it is loaded. Cheap when that is done already."""
    if _originals or not runtime().settings.auto_instrument:
        return
    module = sys.modules.get(_LITELLM)
    if module is None:
        _once(_patch_on_import)
    elif getattr(module.__spec__, "_initializing", False):
        _once(_patch_after_import)
    else:
        _patch(module)


def _once(step: Callable[[], None]) -> None:
    with _lock:
        if step in _taken:
            return
        _taken.add(step)
    step()


def _patch_on_import() -> None:
    wrapt.register_post_import_hook(_patch, _LITELLM)


def _patch_after_import() -> None:
    """Wait for another thread that is loading LiteLLM, and has not defined its functions yet."""
    # Not here, where it would hold up an event loop for seconds.
    threading.Thread(target=lambda: _patch(litellm()), name="llm-otel-arm", daemon=True).start()


def disarm() -> None:
    """Give LiteLLM its own functions back. Calls in flight end as they would have."""
    module = sys.modules.get(_LITELLM)
    with _lock:
        for name, original in _originals.items():
            if module is not None and getattr(getattr(module, name), "__wrapped__", None) is original:
                setattr(module, name, original)
        _originals.clear()


def _patch(module: ModuleType) -> None:
    finish_half_imports()
    with _lock:
        if _originals:
            return
        for name, make in ((_SYNC, _watched), (_ASYNC, _awatched)):
            original = getattr(module, name)
            _originals[name] = original
            setattr(module, name, make(original))


def _watched(original: Callable[..., Any]) -> Callable[..., Any]:
    names = _positional(original)

    @functools.wraps(original)
    def completion(*args: Any, **kwargs: Any) -> Any:
        scope = _scope_to_watch()
        if scope is None:
            return original(*args, **kwargs)
        job = _PlainCall(original, names, args, kwargs, scope)
        return drive.run(runtime().instruments, job.plan, job.send, job.finish)

    return completion


def _awatched(original: Callable[..., Any]) -> Callable[..., Any]:
    names = _positional(original)

    @functools.wraps(original)
    async def acompletion(*args: Any, **kwargs: Any) -> Any:
        scope = _scope_to_watch()
        if scope is None:
            return await original(*args, **kwargs)
        job = _PlainCall(original, names, args, kwargs, scope)
        return await drive.arun(runtime().instruments, job.plan, job.asend, job.finish)

    return acompletion


def _scope_to_watch() -> Scope | None:
    scope = current_scope.get()
    if scope is None or is_inside.get() or not runtime().settings.auto_instrument:
        return None
    return scope


def _positional(function: Callable[..., Any]) -> tuple[str, ...]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(name for name, each in inspect.signature(function).parameters.items() if each.kind in kinds)


class _PlainCall:
    """One call of `litellm.completion` or `acompletion`, as its caller made it."""

    __slots__ = ("_args", "_hides_usage", "_kwargs", "_original", "plan")

    def __init__(
        self,
        original: Callable[..., Any],
        names: tuple[str, ...],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        scope: Scope,
    ) -> None:
        arguments = dict(zip(names, args, strict=False)) | kwargs
        request = requests.request_of(arguments, requests.reference_of(arguments), tags=scope.tags)
        self._original = original
        self._args = args
        self._kwargs = kwargs
        self._hides_usage = False
        if request.is_streaming:
            self._ask_for_usage(arguments)
        self.plan = Plan(request=request, arguments=arguments, scope=scope)

    def _ask_for_usage(self, arguments: dict[str, Any]) -> None:
        """Have the stream say what it used. The chunk that says it is hidden from callers who did not ask."""
        options = arguments.get(_OPTIONS)
        is_asked = isinstance(options, dict) and bool(options.get("include_usage"))
        is_ours_to_set = _OPTIONS in self._kwargs or options is None
        if not is_asked and is_ours_to_set and isinstance(options, dict | None):
            self._kwargs = {**self._kwargs, _OPTIONS: {**(options or {}), "include_usage": True}}
            self._hides_usage = True

    def send(self, call: OpenCall) -> Any:
        args, kwargs = self._for(call.offer)
        with Inside():
            return self._original(*args, **kwargs)

    async def asend(self, call: OpenCall) -> Any:
        args, kwargs = self._for(call.offer)
        with Inside():
            return await self._original(*args, **kwargs)

    def _for(self, offer: Offer | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what to call LiteLLM with: as its caller did, but for an output limit where a budget needs one."""
        if offer is None or offer.max_tokens is None:
            return self._args, self._kwargs
        # By name, all of it: a limit that was given by position must not be there twice.
        return (), requests.with_output_limit({**self.plan.arguments, **self._kwargs}, offer.max_tokens)

    def finish(self, call: OpenCall, raw: Any) -> Any:
        """Return what LiteLLM returned; a stream stays open, and ends the call when it ends."""
        if call.request.is_streaming and (hasattr(raw, "__next__") or hasattr(raw, "__anext__")):
            source = sources.LiteLLMSource(raw, is_mock=call.request.is_mock)
            return WatchedStream(raw, StreamCourse(call, source, hides_usage=self._hides_usage))
        call.succeeded(call.guarded("answer", answer_of, raw) or Answer())
        return raw


class WatchedStream(wrapt.ObjectProxy[Any]):
    """LiteLLM's stream, with its end noticed: `isinstance` and every attribute are those of the original."""

    def __init__(self, stream: Any, course: StreamCourse) -> None:
        super().__init__(stream)
        self._self_course = course
        self._self_sync: MeteredStream | None = None
        self._self_async: AsyncMeteredStream | None = None
        if hasattr(stream, "__next__"):
            self._self_sync = MeteredStream(stream, course, first=[], close=lambda: sources.close(stream))
        if hasattr(stream, "__anext__"):
            self._self_async = AsyncMeteredStream(stream, course, first=[], aclose=lambda: sources.aclose(stream))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._self_sync is None:
            raise TypeError(f"{type(self.__wrapped__).__name__!r} object is not an iterator")
        return next(self._self_sync)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._self_async is None:
            raise TypeError(f"{type(self.__wrapped__).__name__!r} object is not an async iterator")
        return await anext(self._self_async)

    def close(self) -> None:
        """Stop here: LiteLLM's own streams cannot be closed, its callers can still call it."""
        if self._self_sync is not None:
            self._self_sync.close()

    async def aclose(self) -> None:
        """Stop here, and hang up."""
        if self._self_async is not None:
            await self._self_async.aclose()
