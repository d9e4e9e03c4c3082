"""What the driver has to know of LiteLLM's answers and errors, in one hand."""

from __future__ import annotations

from llm_otel.providers.counting import count
from llm_otel.providers.failures import failure_of


class LiteLLMReader:
    """The driver's `ProviderReader`, for LiteLLM."""

    __slots__ = ()

    failure_of = staticmethod(failure_of)
    count = staticmethod(count)
