"""One call of one of LiteLLM's functions, as its caller made it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from llm_otel.baggage import tags_around
from llm_otel.call import Answer
from llm_otel.drive import is_on_event_loop
from llm_otel.intercept.watched import watched
from llm_otel.plan import Plan
from llm_otel.providers import requests
from llm_otel.providers.loading import Inside
from llm_otel.streams import StreamCourse
from llm_otel.wiring import runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_otel.enforcement.offers import Offer
    from llm_otel.open_call import OpenCall
    from llm_otel.providers.operations import Operation
    from llm_otel.scope import Scope

_OPTIONS = "stream_options"
_FALLBACKS = "fallbacks"


class PlainCall:
    """What is to be done for one call, and how it is handed on to LiteLLM."""

    __slots__ = ("_args", "_hides_usage", "_kwargs", "_operation", "_original", "plan")

    def __init__(
        self,
        operation: Operation,
        original: Callable[..., Any],
        names: tuple[str, ...],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        scope: Scope | None,
    ) -> None:
        """Read a call: `names` are those of the function's positional parameters."""
        arguments = dict(zip(names, args, strict=False)) | kwargs
        request = requests.request_of(
            arguments,
            requests.reference_of(arguments),
            tags=tags_around(scope, runtime().baggage),
            operation=operation,
        )
        self._operation = operation
        self._original = original
        self._args = args
        self._kwargs = kwargs
        self._hides_usage = False
        if request.is_streaming and operation.has_usage_option:
            self._ask_for_usage(arguments)
        self.plan = Plan(request=request, arguments=arguments, shape=operation.shape, scope=scope)

    def _ask_for_usage(self, arguments: dict[str, Any]) -> None:
        """Have the stream say what it used. The chunk that says it is hidden from callers who did not ask."""
        options = arguments.get(_OPTIONS)
        is_asked = isinstance(options, dict) and bool(options.get("include_usage"))
        is_ours_to_set = _OPTIONS in self._kwargs or options is None
        if not is_asked and is_ours_to_set and isinstance(options, dict | None):
            self._kwargs = {**self._kwargs, _OPTIONS: {**(options or {}), "include_usage": True}}
            self._hides_usage = True

    def send(self, call: OpenCall) -> Any:
        """Call LiteLLM."""
        args, kwargs = self._for(call.money.offer)
        with Inside():
            if kwargs.get(_FALLBACKS) and is_on_event_loop():
                return _in_thread(self._original, args, kwargs)
            return self._original(*args, **kwargs)

    async def asend(self, call: OpenCall) -> Any:
        """Call LiteLLM."""
        args, kwargs = self._for(call.money.offer)
        with Inside():
            return await self._original(*args, **kwargs)

    def _for(self, offer: Offer | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what to call LiteLLM with: as its caller did, but for an output limit where a budget needs one."""
        if offer is None or offer.max_tokens is None:
            return self._args, self._kwargs
        # By name, all of it: a limit that was given by position must not be there twice.
        return (), self.plan.shape.limited_to({**self.plan.arguments, **self._kwargs}, offer.max_tokens)

    def finish(self, call: OpenCall, raw: Any) -> Any:
        """Return what LiteLLM returned; a stream stays open, and ends the call when it ends."""
        operation = self._operation
        if self.plan.arguments.get(_FALLBACKS):
            call.guard.call("answer", self._note_fallback, call, raw)
        # Not `hasattr`: pydantic's models, which answers are, raise and format an error for what they have not.
        if operation.reader is not None and isinstance(raw, (Iterator, AsyncIterator)):
            reader = operation.reader(raw)
            source = operation.source(raw, reader, call.request.is_mock)
            course = StreamCourse(call, source, hides_usage=self._hides_usage, reader=reader)
            return watched(raw, course, source)
        call.telemetry.content.came(raw)
        call.answered(call.guard.call("answer", operation.answer_of, raw) or Answer())
        return raw

    def _note_fallback(self, call: OpenCall, raw: Any) -> None:
        """Have the price be that of the model of LiteLLM's `fallbacks` that answered, if one did."""
        taken = requests.fallback_of(self.plan.arguments[_FALLBACKS], raw)
        if taken is not None:
            ref = requests.reference_of(taken)
            call.served_by(ref.provider, ref.model)


def _in_thread(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a sync function for which LiteLLM would start a thread: in one that knows that it is inside a call.

    On a thread with an event loop LiteLLM tries its fallbacks on a thread of their own, without this context, and waits
    for it. So does this, and LiteLLM then stays where it is.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="llm-otel-fallbacks") as pool:
        return pool.submit(copy_context().run, lambda: function(*args, **kwargs)).result()
