"""`llm_otel.instrument()` and `uninstrument()`: light to import, whatever they load when they are called."""

from __future__ import annotations


def instrument() -> None:
    """Watch every LiteLLM call of this process from now on; again has no effect.

    It goes over `configure(auto_instrument=False)`, which speaks of the calls inside `traced_llm` alone.
    """
    from llm_otel.instrumentor import LiteLLMInstrumentor

    instrumentor = LiteLLMInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        # What is installed beside us is our own package's requirement: pip has seen to it.
        instrumentor.instrument(skip_dep_check=True)


def uninstrument() -> None:
    """Watch no more than the calls inside `traced_llm`, as before `instrument()`; without it there is no effect."""
    from llm_otel.instrumentor import LiteLLMInstrumentor

    instrumentor = LiteLLMInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
