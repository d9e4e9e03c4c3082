"""LiteLLM's own telemetry, which would tell of the same calls once more."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

_logger = logging.getLogger("llm_otel")
_LISTS = (
    "callbacks",
    "input_callback",
    "success_callback",
    "failure_callback",
    "_async_success_callback",
    "_async_failure_callback",
)
_OF_CLASS = {"OpenTelemetry": "otel", "OpenTelemetryV2": "otel", "PrometheusLogger": "prometheus"}
_BY_NAME = frozenset(_OF_CLASS.values())
_told: set[str] = set()


def warn_once(litellm: ModuleType) -> None:
    """Warn of callbacks that count and trace what is counted and traced here, each once in a process."""
    for name in sorted(_callbacks(litellm) - _told):
        _told.add(name)
        _logger.warning(
            "llm_otel.litellm_callback callback=%s: LiteLLM reports the same calls; take it out of litellm.callbacks "
            "or expect them twice",
            name,
        )


def _callbacks(litellm: ModuleType) -> set[str]:
    listed = [each for name in _LISTS for each in getattr(litellm, name, None) or ()]
    return {name for each in listed if (name := _name(each)) is not None}


def _name(callback: Any) -> str | None:
    if isinstance(callback, str):
        return callback if callback in _BY_NAME else None
    # By name, the base classes too: to import them is to load LiteLLM's integrations.
    classes = type(callback).__mro__
    return next((_OF_CLASS[each.__name__] for each in classes if each.__name__ in _OF_CLASS), None)
