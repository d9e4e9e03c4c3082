"""Keeping quiet those underneath: instrumentations that are built on `opentelemetry-util-genai`.

What stands in the context under a key of that package is the call's outer instrumentation: an inner one, of the OpenAI
SDK say, then makes no span and counts nothing (open-telemetry/semantic-conventions-genai#475; util-genai 1.3b0). The
package is never loaded for it: where nobody has, nobody would look.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_otel.semconv import Operation

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

_MODULE = "opentelemetry.util.genai.invocation"
_INFERENCE = ("CLIENT_INFERENCE_CONTEXT_KEY", "InferenceData")
_MARKS = {Operation.EMBEDDINGS.value: ("CLIENT_EMBEDDING_CONTEXT_KEY", "EmbeddingData")}


def mark(operation: str) -> tuple[str, Any] | None:
    """Return what to put into the context around a call, key and value; `None` where nobody would look."""
    module = sys.modules.get(_MODULE)
    found = None if module is None else _names(module, operation)
    return None if found is None else (found[0], found[1]())


@lru_cache(maxsize=8)
def _names(module: ModuleType, operation: str) -> tuple[str, Callable[[], Any]] | None:
    """Return the key and the type of its value; `None` in releases that know neither."""
    key, kind = (getattr(module, name, None) for name in _MARKS.get(operation, _INFERENCE))
    return (key, kind) if isinstance(key, str) and callable(kind) else None
