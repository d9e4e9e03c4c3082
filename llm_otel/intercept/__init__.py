"""Plain LiteLLM calls: the same path as everything else, and their callers notice nothing.

LiteLLM's public functions (`operations.OPERATIONS` names them) are replaced by functions that look whether anybody
wants to know of the call: a `traced_llm` scope around it, or the instrumentor, which wants to know of all; otherwise
they only pass through. They are replaced when LiteLLM is loaded (already, or later), never by loading it.
`from litellm import completion` done before that keeps the original, and is not seen.
"""

from llm_otel.intercept.patches import arm, disarm, watch_all, watch_scopes_only

__all__ = ["arm", "disarm", "watch_all", "watch_scopes_only"]
