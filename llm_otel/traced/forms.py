"""One wrapper for each form of callable. It is of that form itself, so that `inspect` sees no difference.

Bodies start as late as they would by themselves: the scope of a coroutine or generator opens with its first
step.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, ParamSpec, TypeVar, cast

from llm_otel.traced.opened import OpenScope

P = ParamSpec("P")
R = TypeVar("R")

OpenNew = Callable[[], OpenScope]


def wrap(function: Callable[P, R], open_new: OpenNew) -> Callable[P, R]:
    """Put a scope around each run of `function`, which may be anything that can be called, except a class."""
    traced = _form_of(function)(function, open_new)
    # The state of a callable object is not copied: the copy would go stale.
    updated = functools.WRAPPER_UPDATES if inspect.isroutine(function) else ()
    functools.update_wrapper(traced, function, updated=updated)
    if not hasattr(function, "__name__"):
        traced.__name__ = traced.__qualname__ = name_of(function)
    return cast("Callable[P, R]", traced)


def name_of(function: Callable[..., object]) -> str:
    """Name a callable as its author would: `answer`, `Search.answer`, the class of a callable object."""
    target = _unwrap_partial(function)
    name: str = getattr(target, "__qualname__", type(target).__qualname__)
    return name.rpartition("<locals>.")[2]


def _unwrap_partial(function: Callable[..., object]) -> Callable[..., object]:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _form_of(function: Callable[..., object]) -> Callable[[Callable[..., Any], OpenNew], Callable[..., Any]]:
    target = _unwrap_partial(function)
    called = target if inspect.isroutine(target) else type(target).__call__
    if inspect.iscoroutinefunction(called):
        return _coroutine_function
    if inspect.isgeneratorfunction(called):
        return _generator_function
    if inspect.isasyncgenfunction(called):
        return _async_generator_function
    return _plain_function


def _plain_function(function: Callable[..., R], open_new: OpenNew) -> Callable[..., R]:
    def traced(*args: Any, **kwargs: Any) -> R:
        with open_new() as opened, opened.running:
            return opened.returned(function(*args, **kwargs))

    return traced


def _coroutine_function(function: Callable[..., Awaitable[R]], open_new: OpenNew) -> Callable[..., Awaitable[R]]:
    async def traced(*args: Any, **kwargs: Any) -> R:
        with open_new() as opened, opened.running:
            return opened.returned(await function(*args, **kwargs))

    return traced


def _generator_function(
    function: Callable[..., Generator[Any, Any, R]], open_new: OpenNew
) -> Callable[..., Generator[Any, Any, R]]:
    def traced(*args: Any, **kwargs: Any) -> Generator[Any, Any, R]:
        with open_new() as opened:
            body = function(*args, **kwargs)
            step: Callable[[Any], Any] = body.send
            sent: Any = None
            while True:
                try:
                    with opened.running:
                        item = step(sent)
                except StopIteration as stop:
                    return cast("R", stop.value)
                except GeneratorExit as closed:
                    opened.end_closed(closed)
                    raise
                finally:
                    # A thrown exception would keep itself alive through this frame.
                    sent = None
                try:
                    sent = yield item
                    step = body.send
                # GeneratorExit too: what it means to be closed is for the body to say.
                except BaseException as thrown:  # noqa: BLE001
                    step, sent = body.throw, thrown

    return traced


def _async_generator_function(
    function: Callable[..., AsyncGenerator[Any, Any]], open_new: OpenNew
) -> Callable[..., AsyncGenerator[Any, Any]]:
    async def traced(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with open_new() as opened:
            body = function(*args, **kwargs)
            step = _first_step(body)
            while True:
                try:
                    with opened.running:
                        item = await step
                except StopAsyncIteration:
                    return
                except GeneratorExit as closed:
                    opened.end_closed(closed)
                    raise
                finally:
                    # A thrown exception would keep itself alive through this frame.
                    del step
                try:
                    step = body.asend((yield item))
                # GeneratorExit too: what it means to be closed is for the body to say.
                except BaseException as thrown:  # noqa: BLE001
                    step = body.athrow(thrown)

    return traced


def _first_step(body: AsyncGenerator[Any, Any]) -> Awaitable[Any]:
    """Start `body` unknown to the event loop, which at its shutdown closes all that it knows, at once.

    It knows the wrapper, and closing that closes the body: a second closer would run into the first.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=None, finalizer=None)
    try:
        return body.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)
