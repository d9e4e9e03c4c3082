"""What a traced body finds in its context: the current scope, the current span and the baggage.

All live in context variables, and a generator shares those of whoever asks it for the next item. So they are
put in place each time the body goes on, and taken away each time it stops.
"""

from __future__ import annotations

from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING

from llm_otel import tracing
from llm_otel.scope import Scope, current_scope

if TYPE_CHECKING:
    from opentelemetry.context import Context


class CarriedContext:
    """A context manager to be entered for each stretch that the body runs; not reentrant.

    What the body itself makes current (an inner span around a `yield`) is kept for its next stretch, and is
    seen by the consumer as little as the scope is. Stretches may run in different threads and tasks.
    """

    __slots__ = ("_otel", "_otel_token", "_outer_otel", "_scope", "_scope_token")

    _scope_token: Token[Scope | None]
    _otel_token: Token[Context]
    _outer_otel: Context

    def __init__(self, scope: Scope, otel: Context) -> None:
        self._scope: Scope | None = scope
        self._otel = otel

    def __enter__(self) -> None:
        self._outer_otel = tracing.current_context()
        self._scope_token = current_scope.set(self._scope)
        self._otel_token = tracing.attach(self._otel)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        scope, otel = current_scope.get(), tracing.current_context()
        try:
            current_scope.reset(self._scope_token)
        except ValueError:
            self._leave_elsewhere(scope, otel)
        else:
            tracing.detach(self._otel_token)
            self._scope, self._otel = scope, otel

    def _leave_elsewhere(self, scope: Scope | None, otel: Context) -> None:
        """Clean up a context other than the one entered: a copy of it, or one that never saw the scope.

        An event loop finalises async generators in a task of its own, and a fixture may be left in another
        task than it was entered in. Tokens are of no use there (`detach` would log an error), so what is ours
        is replaced.
        """
        if scope is self._scope:
            outer = self._scope_token.old_value
            current_scope.set(None if outer is Token.MISSING else outer)
        if otel is self._otel:
            tracing.attach(self._outer_otel)
