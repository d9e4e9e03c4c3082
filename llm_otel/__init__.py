"""Every LLM call traced, priced and held to account: OpenTelemetry middleware over LiteLLM.

The names below are loaded when they are first used, so that `import llm_otel` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_otel.budgets.budget import Budget
    from llm_otel.budgets.reports import BudgetAlert, BudgetStatus
    from llm_otel.errors import (
        BudgetExceededError,
        CircuitOpenError,
        ConfigurationError,
        LLMOtelError,
        NoModelError,
        ProviderError,
        UnknownModelError,
        UnknownProviderError,
    )
    from llm_otel.instrumenting import instrument, uninstrument
    from llm_otel.models.entry import ModelCapability, ModelTier
    from llm_otel.models.info import ModelInfo
    from llm_otel.models.lookup import get_cheapest_model, get_model_info, list_models, register_model
    from llm_otel.models.providers import LLMProvider
    from llm_otel.recorders.tracker import UsageTracker
    from llm_otel.router import LLMRouter
    from llm_otel.router_streams import AsyncLLMStream, LLMStream
    from llm_otel.routing.decision import Candidate, RouteDecision
    from llm_otel.routing.policy import RouteRequest, RoutingPolicy
    from llm_otel.traced import Trace, carry, current_trace, record, traced_llm
    from llm_otel.types import LLMChunk, LLMConfig, LLMResponse, UsageStats
    from llm_otel.wiring import configure, metrics_registry, runtime, tracker

    __version__: str

_HOMES = {
    "budgets.budget": ("Budget",),
    "budgets.reports": ("BudgetAlert", "BudgetStatus"),
    "errors": (
        "BudgetExceededError",
        "CircuitOpenError",
        "ConfigurationError",
        "LLMOtelError",
        "NoModelError",
        "ProviderError",
        "UnknownModelError",
        "UnknownProviderError",
    ),
    "instrumenting": ("instrument", "uninstrument"),
    "models.entry": ("ModelCapability", "ModelTier"),
    "models.info": ("ModelInfo",),
    "models.lookup": ("get_cheapest_model", "get_model_info", "list_models", "register_model"),
    "models.providers": ("LLMProvider",),
    "recorders.tracker": ("UsageTracker",),
    "router": ("LLMRouter",),
    "router_streams": ("AsyncLLMStream", "LLMStream"),
    "routing.decision": ("Candidate", "RouteDecision"),
    "routing.policy": ("RouteRequest", "RoutingPolicy"),
    "traced": ("Trace", "carry", "current_trace", "record", "traced_llm"),
    "types": ("LLMChunk", "LLMConfig", "LLMResponse", "UsageStats"),
    "wiring": ("configure", "metrics_registry", "runtime", "tracker"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AsyncLLMStream",
    "Budget",
    "BudgetAlert",
    "BudgetExceededError",
    "BudgetStatus",
    "Candidate",
    "CircuitOpenError",
    "ConfigurationError",
    "LLMChunk",
    "LLMConfig",
    "LLMOtelError",
    "LLMProvider",
    "LLMResponse",
    "LLMRouter",
    "LLMStream",
    "ModelCapability",
    "ModelInfo",
    "ModelTier",
    "NoModelError",
    "ProviderError",
    "RouteDecision",
    "RouteRequest",
    "RoutingPolicy",
    "Trace",
    "UnknownModelError",
    "UnknownProviderError",
    "UsageStats",
    "UsageTracker",
    "__version__",
    "carry",
    "configure",
    "current_trace",
    "get_cheapest_model",
    "get_model_info",
    "instrument",
    "list_models",
    "metrics_registry",
    "record",
    "register_model",
    "runtime",
    "traced_llm",
    "tracker",
    "uninstrument",
]


if not TYPE_CHECKING:  # to a type checker it would make every misspelt name an Any

    def __getattr__(name: str) -> Any:
        """Load a public name from where it is at home (PEP 562)."""
        if name == "__version__":
            from llm_otel.versions import OURS, version_of

            value: Any = version_of(OURS)
        elif name in _HOME_OF:
            value = getattr(importlib.import_module(f"llm_otel.{_HOME_OF[name]}"), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
