"""`traced_llm`: one name that traces functions, coroutines, generators, methods and blocks.

Importing it loads no more than the OpenTelemetry API; the runtime is looked up when a traced body runs.
"""

from llm_otel.traced.decorator import TracedScope, traced_llm
from llm_otel.traced.threads import carry
from llm_otel.traced.trace import Trace, current_trace, record

__all__ = ["Trace", "TracedScope", "carry", "current_trace", "record", "traced_llm"]
