"""`Trace`: a scope as its user sees it, with a way to record what others made inside."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from llm_otel import tracing
from llm_otel.scope import Scope, current_scope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from opentelemetry.trace import Span

    from llm_otel.budgets.matching import Matched
    from llm_otel.clock import Clock
    from llm_otel.models.providers import LLMProvider
    from llm_otel.scope import Tags


class Trace(Scope):
    """One run of a traced function or block: what it came to so far, and a way to record a call of another SDK.

    `calls`, `tokens`, `cost_usd` and `totals` are those of all calls inside, inner scopes included. Thread-safe;
    readable while it runs and after it ended.
    """

    __slots__ = ("_clock", "_since", "_span")

    def __init__(
        self,
        name: str,
        tags: Mapping[str, str],
        parent: Scope | None,
        *,
        received: Mapping[str, str],
        conversation_id: str | None,
        budget: Matched | None,
        clock: Clock,
        started: tuple[int, float],
    ) -> None:
        """Open one that began at `started`: wall time in nanoseconds, and monotonic seconds."""
        super().__init__(name, tags, parent, received=received, conversation_id=conversation_id, budget=budget)
        self._clock = clock
        self._since = started
        self._span: Span | None = None

    @property
    def since(self) -> tuple[int, float]:
        """When it began, or when a call was last recorded by hand, in wall nanoseconds; and how many seconds ago."""
        started_ns, started_s = self._since
        return started_ns, self._clock.monotonic() - started_s

    def shown_by(self, span: Span | None) -> None:
        """Take the span that stands for this run."""
        self._span = span

    def record(
        self,
        response: object = None,
        *,
        model: str | None = None,
        provider: LLMProvider | str | None = None,
        operation: str | None = None,
        started: datetime | float | None = None,
        duration_s: float | None = None,
        error: BaseException | None = None,
        tags: Tags | None = None,
    ) -> None:
        """Record a call that was made without LiteLLM: a span, its cost, the totals, and what budgets have spent.

            response = anthropic.messages.create(model="claude-haiku-4-5", ...)
            trace.record(response)

        The call is made already, so no budget refuses it. Every `record` is one call: a response that is recorded
        twice counts twice, and one of LiteLLM is recorded already.

        Args:
            response: Of the OpenAI, Anthropic or google-genai SDK, or a dictionary in the shape of one, with its usage
                (for a stream: its last chunk, or what the SDK has put together). Without usage the output is counted.
            model: As asked for; by default the one that the response names.
            provider: By default told from the model.
            operation: `chat`, `embeddings` or `text_completion`; by default told from the response.
            started: When it was sent: seconds since the epoch, as of `time.time()`, or a datetime with a time zone.
            duration_s: How long it took, in seconds, to the end of a stream. Without both the call is taken to have
                begun with this run, or when a call was last recorded here: fine for calls one after the other.
            error: What the call raised; `response` is then what came before, if anything did.
            tags: What the call was for; they go over those of this run.

        Raises:
            ConfigurationError: Something given is not usable; or there is no response, usage or model.
            UnknownProviderError: The provider cannot be told from the model: name it.
        """
        with self._as_current():
            _record(
                self, self.since,
                response=response, model=model, provider=provider, operation=operation,
                started=started, duration_s=duration_s, error=error, tags=tags,
            )  # fmt: skip
        self._since = (self._clock.now_ns(), self._clock.monotonic())

    def _as_current(self) -> AbstractContextManager[None]:
        """Have the call's span under ours, in whatever thread this is; further in, where the body is further in."""
        scope = current_scope.get()
        while scope is not None and scope is not self:
            scope = scope.parent
        return nullcontext() if scope is self or self._span is None else tracing.Current(self._span)


def current_trace() -> Trace | None:
    """Return the run of the innermost `traced_llm` around; `None` outside of all."""
    scope = current_scope.get()
    return scope if isinstance(scope, Trace) else None


def record(
    response: object = None,
    *,
    model: str | None = None,
    provider: LLMProvider | str | None = None,
    operation: str | None = None,
    started: datetime | float | None = None,
    duration_s: float | None = None,
    error: BaseException | None = None,
    tags: Tags | None = None,
) -> None:
    """Record a call that was made without LiteLLM, in the scope around: `Trace.record` of `current_trace()`.

    Outside of all scopes it is recorded by itself, and `started` or `duration_s` has to be given.

    Args:
        response: As for `Trace.record`, like all that follows.
        model: As asked for.
        provider: By default told from the model.
        operation: What it was.
        started: When it was sent.
        duration_s: How long it took, in seconds.
        error: What the call raised.
        tags: What the call was for.

    Raises:
        ConfigurationError: Something given is not usable, or not enough.
        UnknownProviderError: The provider cannot be told from the model: name it.
    """
    trace = current_trace()
    if trace is not None:
        trace.record(
            response, model=model, provider=provider, operation=operation,
            started=started, duration_s=duration_s, error=error, tags=tags,
        )  # fmt: skip
        return
    _record(
        None, None,
        response=response, model=model, provider=provider, operation=operation,
        started=started, duration_s=duration_s, error=error, tags=tags,
    )  # fmt: skip


def _record(trace: Trace | None, since: tuple[int, float] | None, **facts: Any) -> None:
    # What a runtime is made of is not loaded by importing the decorator.
    from llm_otel.made import Told
    from llm_otel.wiring import runtime

    runtime().record_made(Told(**facts), scope=trace, since=since)
