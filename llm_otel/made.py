"""Calls that were made without us: by the SDK of a provider, or by anything else that brings a response with usage.

What is left to do is the end of the way: read the usage, price it, charge it to the budgets as made already, and write
it down, as one span from when it began to when it ended.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from llm_otel.call import Answer
from llm_otel.drive import is_on_event_loop
from llm_otel.errors import ConfigurationError
from llm_otel.open_call import OpenCall
from llm_otel.plan import Plan
from llm_otel.providers import foreign
from llm_otel.providers.reading import get
from llm_otel.providers.requests import reference_of, request_of, resolve
from llm_otel.scope import parse_tags
from llm_otel.semconv import Operation
from llm_otel.values import value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_otel.models.providers import LLMProvider
    from llm_otel.models.resolve import ModelRef
    from llm_otel.plan import Instruments
    from llm_otel.scope import Scope, Tags

Times = tuple[int, float]
"""When something began, wall time in nanoseconds, and how many seconds it took."""

_OPERATIONS = tuple(each.value for each in Operation if each is not Operation.INVOKE_WORKFLOW)
_YEAR_2000_S = 946_684_800
_LONGEST_S = 31 * 86_400
"""Longer than any call takes: who says more has another unit in mind."""
_MAX_AHEAD_S = 60
"""A start is wall time: this much of a step of that clock is none of our business."""


@value
class Told:
    """What the maker of a call says of it.

    Attributes:
        response: What came back; `None` where the call failed.
        model: As asked for; by default the one that answered.
        provider: By default told from the model.
        operation: The `gen_ai.operation.name` value; by default told from the response.
        started: When it was sent: a datetime with a time zone, or seconds since the epoch.
        duration_s: How long it took, to the end of a stream.
        error: What it raised.
        tags: What it was for; they go over those around.
    """

    response: object = None
    model: str | None = None
    provider: LLMProvider | str | None = None
    operation: str | None = None
    started: datetime | float | None = None
    duration_s: float | None = None
    error: BaseException | None = None
    tags: Tags | None = None


def record(
    instruments: Instruments, told: Told, *, scope: Scope | None, around: Mapping[str, str], since: Times | None
) -> None:
    """Write down a call, from what its maker says.

    Args:
        instruments: The runtime's.
        told: What its maker says.
        scope: The one that it counts in.
        around: The tags of where it was made.
        since: Taken where its maker says no time: from when its scope knows of nothing else, to now.

    Raises:
        ConfigurationError: What was said is not usable, or not enough.
        UnknownProviderError: The provider cannot be told from the model.
    """
    answer, operation = _read(told)
    ref = _reference_of(told, answer)
    clock = instruments.clock
    started_ns, duration_s = times_of(told, since=since, now_ns=clock.now_ns())
    request = request_of({"model": ref.litellm_model}, ref, tags={**around, **parse_tags(told.tags)})
    call = OpenCall(
        instruments,
        Plan(request=replace(request, operation=operation), scope=scope),
        may_block=not is_on_event_loop(),
        started=(started_ns, clock.monotonic() - duration_s),
    )
    call.made_without_leave()
    call.telemetry.content.came(told.response)
    if told.error is None:
        call.answered(answer)
    else:
        call.broken(told.error, answer, has_begun=told.response is not None)


def record_returned(
    instruments: Instruments, response: object, *, scope: Scope, started_ns: int, duration_s: float
) -> None:
    """Write down the call whose response a traced function returned. Nobody said anything of it: nothing is refused."""
    arguments: dict[str, Any] = {
        "model": get(response, "model"),
        "custom_llm_provider": get(get(response, "_hidden_params"), "custom_llm_provider"),
    }
    request = request_of(arguments, reference_of(arguments), tags=scope.tags)
    started = (started_ns, instruments.clock.monotonic() - duration_s)
    plan = Plan(request=request, scope=scope)
    call = OpenCall(instruments, plan, may_block=not is_on_event_loop(), started=started)
    call.made_without_leave()
    call.telemetry.content.came(response)
    read = call.guard.call("answer", foreign.read, response)
    call.answered(Answer() if read is None else read[0])


def _read(told: Told) -> tuple[Answer, str]:
    """Return what the response says, and the operation."""
    if told.operation is not None and told.operation not in _OPERATIONS:
        raise ConfigurationError("operation", told.operation, f"one of {', '.join(_OPERATIONS)}")
    if told.error is not None and not isinstance(told.error, BaseException):
        raise ConfigurationError("error", type(told.error).__name__, "the exception that the call raised")
    if told.response is None:
        if told.error is None:
            raise ConfigurationError("response", None, "the response of the call, or error=... where it failed")
        return Answer(), told.operation or Operation.CHAT.value
    read = foreign.read(told.response)
    if read is None:
        raise ConfigurationError(
            "response",
            # Never the value: it may be the completion itself.
            type(told.response).__name__,
            "a response with its usage, of the OpenAI, Anthropic or google-genai SDK, or a dictionary such as "
            "{'usage': {'input_tokens': 12, 'output_tokens': 3}}",
        )
    return read[0], told.operation or read[1].value


def _reference_of(told: Told, answer: Answer) -> ModelRef:
    model = told.model if told.model is not None else answer.response_model
    if model is None:
        raise ConfigurationError("model", None, "the model that was asked for: the response names none")
    if not isinstance(model, str):
        raise ConfigurationError("model", model, "the name of a model, such as 'gpt-4o-mini'")
    if told.provider is not None and not isinstance(told.provider, str):
        raise ConfigurationError("provider", told.provider, "an LLMProvider or the name of a provider")
    return resolve(model, told.provider)


def times_of(told: Told, *, since: Times | None, now_ns: int) -> Times:
    """Return the times of a call, as far as they are said; else those that are `since`.

    Raises:
        ConfigurationError: A time is none, or there is nothing to tell it from.
    """
    duration_s = None if told.duration_s is None else _duration_s(told.duration_s)
    if told.started is not None:
        started_ns = _started_ns(told.started, now_ns=now_ns)
        return started_ns, max(0, now_ns - started_ns) / 1e9 if duration_s is None else duration_s
    if duration_s is None:
        if since is None:
            raise ConfigurationError(
                "started", None, "say when the call began, or how long it took: outside of a scope nothing else does"
            )
        return since
    return now_ns - round(duration_s * 1e9), duration_s


def _duration_s(given: object) -> float:
    if not isinstance(given, (int, float)) or isinstance(given, bool) or not 0 <= given <= _LONGEST_S:
        raise ConfigurationError("duration_s", given, "a number of seconds, from 0 to a month")
    return float(given)


def _started_ns(given: object, *, now_ns: int) -> int:
    seconds: float = math.nan
    if isinstance(given, datetime) and given.tzinfo is not None:
        seconds = given.timestamp()
    elif isinstance(given, (int, float)) and not isinstance(given, bool):
        seconds = given
    if not _YEAR_2000_S <= seconds <= now_ns / 1e9 + _MAX_AHEAD_S:
        raise ConfigurationError(
            "started", given, "seconds since the epoch, as of time.time(), or a datetime with a time zone; not to come"
        )
    return round(seconds * 1e9)
