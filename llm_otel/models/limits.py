"""How many tokens a model takes and gives, as far as anybody says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from llm_otel.models.litellm_map import litellm_map
from llm_otel.models.registry import Registry, default_registry

_USUAL_OF_TEXTS = 16
"""`max_tokens` of OpenAI's `/v1/completions` by default (its API reference, 2026-11)."""
_TAKES_USUAL = frozenset({"openai", "azure.ai.openai"})


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """Limits in tokens; `None` where they are not known.

    Attributes:
        usual_output_tokens: The output limit that the API takes where a request has none; `None` where it takes none.
    """

    context_window: int | None = None
    max_output_tokens: int | None = None
    usual_output_tokens: int | None = None


def limits_of(provider: str, model: str) -> ModelLimits:
    """Return the limits of a model at a provider (`gen_ai.provider.name`), from the registry or LiteLLM's map."""
    registry = default_registry()
    return _limits(registry, registry.version, provider, model)


@lru_cache(maxsize=1024)
def _limits(registry: Registry, _version: int, provider: str, model: str) -> ModelLimits:
    entry = registry.find(model, provider)
    if entry is not None:
        return ModelLimits(entry.context_window, entry.max_output_tokens)
    raw = litellm_map().entry(provider, model) or {}
    return ModelLimits(
        _positive(raw.get("max_input_tokens")),
        # Its `max_tokens` is an old name for this one; rarely it is the window, which is no smaller.
        _positive(raw.get("max_output_tokens")) or _positive(raw.get("max_tokens")),
        _USUAL_OF_TEXTS if raw.get("mode") == "completion" and provider in _TAKES_USUAL else None,
    )


def _positive(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and value > 0 else None
