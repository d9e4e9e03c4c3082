"""Taking a scope along to where context variables do not go by themselves: threads and their pools."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from llm_otel.errors import ConfigurationError

P = ParamSpec("P")
R = TypeVar("R")


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that runs in the context of this moment, in whatever thread it is called.

        pool.submit(llm_otel.carry(answer), question)
        threading.Thread(target=llm_otel.carry(answer), args=(question,)).start()
        await loop.run_in_executor(None, llm_otel.carry(answer), question)

    Calls inside have the scope around `carry` with its tags, its conversation and its budgets, count in its totals, and
    stand in its trace; every other context variable comes along too. It may be called any number of times, also at
    once: each call has a copy of the context to itself. Tasks and `asyncio.to_thread` need none of this.

    Raises:
        ConfigurationError: It cannot be called, or its body does not run when it is: a coroutine function (hand over
            one that runs it: `carry(lambda: asyncio.run(main()))`) or a generator function.
    """
    if not callable(function):
        raise ConfigurationError("function", function, "a function, not its result: carry(answer), not carry(answer())")
    _check_runs_when_called(function)
    context = copy_context()

    @functools.wraps(function, updated=())
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        # A context can be entered once at a time; a copy costs no more than a reference.
        return context.copy().run(function, *args, **kwargs)

    return carried


def _check_runs_when_called(function: Callable[..., object]) -> None:
    is_routine = inspect.isroutine(function) or isinstance(function, functools.partial)
    called = function if is_routine else type(function).__call__
    if inspect.iscoroutinefunction(called):
        allowed = "a function that runs it: lambda: asyncio.run(main()); tasks carry their context by themselves"
        raise ConfigurationError("function", function, allowed)
    if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        raise ConfigurationError("function", function, "a function that consumes it: its body does not run when called")
