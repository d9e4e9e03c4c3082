"""LiteLLM's public functions, replaced by watched ones, and put back."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import wrapt

from llm_otel import drive
from llm_otel.intercept.neighbours import warn_once
from llm_otel.intercept.plain import PlainCall
from llm_otel.providers.loading import as_it_is, finish_half_imports, is_inside
from llm_otel.providers.operations import OPERATIONS, Operation
from llm_otel.scope import Scope, current_scope
from llm_otel.wiring import runtime

if TYPE_CHECKING:
    from types import ModuleType

_LITELLM = "litellm"
_OWN = frozenset({operation.async_function for operation in OPERATIONS})
"""Set in the arguments of a sync function where LiteLLM calls it for its own async one: it returns a coroutine."""

Function = Callable[..., Any]


class _Interception:
    """What is replaced, and for whom. One for a process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.originals: dict[str, tuple[Function, Function]] = {}
        """LiteLLM's own, and what stands in its place."""
        self.steps: set[Callable[[], None]] = set()
        """Those that are taken once in a process."""
        self.is_for_all = False
        """The instrumentor wants to know of every call."""
        self.is_for_scopes = False
        """A scope has been opened that wants to know of those inside."""
        self.has_looked_around = False

    @property
    def is_wanted(self) -> bool:
        return self.is_for_all or self.is_for_scopes


_state = _Interception()


# --- who wants to know ------------------------------------------------------------------------------------------------


def arm() -> None:
    """See to it that the calls inside scopes are watched, unless the settings say no. Cheap when that is done."""
    if _state.is_for_scopes and _state.originals:
        return
    if runtime().settings.auto_instrument:
        _state.is_for_scopes = True
        _replace_soon()


def watch_all() -> None:
    """Watch every call, as soon as LiteLLM is loaded."""
    _state.is_for_all = True
    _state.has_looked_around = False
    _replace_soon()


def watch_scopes_only() -> None:
    """Watch no more than the scopes that were opened want; LiteLLM has its own functions back if there was none.

    Calls in flight end as they would have.
    """
    _state.is_for_all = False
    if not _state.is_wanted:
        disarm()


def disarm() -> None:
    """Give LiteLLM its own functions back, whoever wanted to know. Calls in flight end as they would have.

    Who wrapped one of ours keeps it underneath, as a `litellm.Router` keeps those that it took: they only pass through.
    """
    _state.is_for_all = _state.is_for_scopes = False
    module = sys.modules.get(_LITELLM)
    with _state.lock:
        for name, (original, watched) in _state.originals.items():
            if getattr(module, name, None) is watched:
                setattr(module, name, original)
        _state.originals.clear()


# --- when -------------------------------------------------------------------------------------------------------------


def _replace_soon() -> None:
    if _state.originals:
        return
    module = sys.modules.get(_LITELLM)
    if module is None:
        _once(_replace_on_import)
    elif getattr(getattr(module, "__spec__", None), "_initializing", False):
        _once(_replace_after_import)
    else:
        _replace(module)


def _once(step: Callable[[], None]) -> None:
    with _state.lock:
        if step in _state.steps:
            return
        _state.steps.add(step)
    step()


def _replace_on_import() -> None:
    wrapt.register_post_import_hook(_replace, _LITELLM)


def _replace_after_import() -> None:
    """Wait for another thread that is loading LiteLLM, and has not defined its functions yet."""
    # Not here, where it would hold up an event loop for seconds.
    threading.Thread(target=lambda: _replace(as_it_is()), name="llm-otel-arm", daemon=True).start()


def _replace(module: ModuleType) -> None:
    finish_half_imports()
    with _state.lock:
        if _state.originals or not _state.is_wanted:
            return
        for operation in OPERATIONS:
            _replace_both(module, operation)
    warn_once(module)
    _state.has_looked_around = False


def _replace_both(module: ModuleType, operation: Operation) -> None:
    names: tuple[str, ...] = ()
    # Tests of applications have a module of their own in LiteLLM's place, with what the application calls.
    if (function := getattr(module, operation.function, None)) is not None:
        names = _positional(function)
        _put(module, operation.function, function, _watched(operation, function, names))
    if (function := getattr(module, operation.async_function, None)) is not None:
        # Some of the async ones only pass on what they are given.
        names = _positional(function) or names
        _put(module, operation.async_function, function, _awatched(operation, function, names))


def _put(module: ModuleType, name: str, original: Function, watched: Function) -> None:
    # A function is pickled by its name: it is found where it stands now, and is LiteLLM's own where nobody watches.
    watched.__module__ = _LITELLM
    _state.originals[name] = original, watched
    setattr(module, name, watched)


def _positional(function: Function) -> tuple[str, ...]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(name for name, each in inspect.signature(function).parameters.items() if each.kind in kinds)


# --- what stands in their place ---------------------------------------------------------------------------------------


def _watched(operation: Operation, original: Function, names: tuple[str, ...]) -> Function:
    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        scope = current_scope.get()
        if not _is_watched(scope) or not _OWN.isdisjoint(kwargs):
            return original(*args, **kwargs)
        job = PlainCall(operation, original, names, args, kwargs, scope)
        return drive.run(runtime().instruments, job.plan, job.send, job.finish)

    return watched


def _awatched(operation: Operation, original: Function, names: tuple[str, ...]) -> Function:
    @functools.wraps(original)
    async def watched(*args: Any, **kwargs: Any) -> Any:
        scope = current_scope.get()
        if not _is_watched(scope):
            return await original(*args, **kwargs)
        job = PlainCall(operation, original, names, args, kwargs, scope)
        return await drive.arun(runtime().instruments, job.plan, job.asend, job.finish)

    return watched


def _is_watched(scope: Scope | None) -> bool:
    if is_inside():
        return False
    is_wanted = _state.is_for_all or (scope is not None and runtime().settings.auto_instrument)
    if is_wanted and not _state.has_looked_around:
        # Once, and now: an application sets LiteLLM's callbacks after it has loaded it.
        _state.has_looked_around = True
        warn_once(sys.modules[_LITELLM])
    return is_wanted
