"""`LiteLLMInstrumentor`: every LiteLLM call of an application, traced, priced and held to budgets, by one line.

    import llm_otel

    llm_otel.instrument()

or without a line, under `opentelemetry-instrument`, which finds it by its entry point. LiteLLM is not loaded by it:
whether its functions are replaced now or when it is loaded makes no difference to those who call `litellm.completion`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

# Its module tells type checkers to look away.
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from llm_otel import tracing

if TYPE_CHECKING:
    from collections.abc import Collection

_logger = logging.getLogger("llm_otel")
_SUPPORTED = ("litellm!=1.106.*,!=1.108.0,!=1.108.1,!=1.108.2,!=1.108.3,<2,>=1.105.0",)
"""As in pyproject.toml; a test holds the two together."""
_NOT_TAKEN = ("meter_provider", "logger_provider")


# As above.
class LiteLLMInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Watches every call of LiteLLM's public functions, as OpenTelemetry's instrumentors do. One for a process."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the releases of LiteLLM that this works with."""
        return _SUPPORTED

    def _instrument(self, **kwargs: Any) -> None:
        """Start.

        Args:
            kwargs: `tracer_provider` is where all spans of the library go from now on, by default the global one.
                Metrics and logs go where `configure()` says: other providers are named in the log, and not used.
        """
        from llm_otel.intercept import watch_all

        for name in _NOT_TAKEN:
            if kwargs.get(name) is not None:
                _logger.warning(
                    "llm_otel.provider_not_used argument=%s: metrics and logs go to the global providers", name
                )
        tracing.use_provider(kwargs.get("tracer_provider"))
        watch_all()

    def _uninstrument(self, **_kwargs: Any) -> None:
        """Stop: calls in flight, streams too, end as they would have."""
        from llm_otel.intercept import watch_scopes_only

        watch_scopes_only()
        tracing.use_provider(None)
