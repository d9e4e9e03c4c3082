"""LiteLLM's map of models and its list of providers, read as data.

Importing LiteLLM costs seconds and 180 MB; the JSON files it ships cost 40 ms and 9 MB, once, and only for a
model or a provider that the tables of this library do not have. Nothing is fetched: the map is that of the
installed version.
"""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from llm_otel.models.providers import provider_named, provider_of_litellm

_logger = logging.getLogger("llm_otel")

_MAP = "model_prices_and_context_window_backup.json"
_PROVIDER_LISTS = ("provider_endpoints_support_backup.json", "llms/openai_like/providers.json")
_NOT_MODELS = frozenset({"sample_spec", "fallback_generalizations"})
_UNLISTED = ("modelscope", "nadir", "sagemaker_nova", "aiohttp_openai")
"""Providers of LiteLLM 1.105.3 that stand in none of its data files."""

Entry = Mapping[str, Any]


class LiteLLMMap:
    """The data of one installed LiteLLM; empty, with one log line, where it is missing or cannot be read.

    Loads on first use, once. Thread-safe.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """Read from a directory laid out like LiteLLM's package; by default from that package."""
        self._directory = directory
        self._lock = Lock()
        self._models: dict[str, Entry] | None = None
        self._provider_ids: frozenset[str] | None = None

    def entry(self, provider: str, model: str) -> Entry | None:
        """Return what the map says of a model at a provider (`gen_ai.provider.name`), `None` if nothing."""
        models = self._load_models()
        known = provider_named(provider)
        preferred, *others = known.litellm_ids if known else (provider,)
        if found := models.get(f"{preferred}/{model}"):
            return found
        bare = models.get(model)
        if bare is not None and _provider_name(bare) == provider:
            return bare
        # Last, since another way to call a provider may have other prices (Bedrock's regional endpoints do).
        return next((found for id_ in others if (found := models.get(f"{id_}/{model}"))), None)

    def litellm_id_of(self, model: str) -> str | None:
        """Return LiteLLM's provider id of a model named without prefix, `None` if it knows none."""
        entry = self._load_models().get(model)
        litellm_id = entry.get("litellm_provider") if entry else None
        return provider_of_litellm(litellm_id).litellm if isinstance(litellm_id, str) else None

    def provider_ids(self) -> frozenset[str]:
        """Return every provider id that LiteLLM's data mentions."""
        if self._provider_ids is None:
            ids = {entry.get("litellm_provider") for entry in self._load_models().values()}
            with self._lock:
                for name in _PROVIDER_LISTS:
                    listed = self._read(name)
                    ids.update(listed.get("providers", listed))
            named = (id_ for id_ in (*ids, *_UNLISTED) if isinstance(id_, str) and id_)
            # Families such as `vertex_ai-anthropic_models` count as their provider.
            self._provider_ids = frozenset(provider_of_litellm(id_).litellm for id_ in named)
        return self._provider_ids

    def _load_models(self) -> dict[str, Entry]:
        if self._models is None:
            with self._lock:
                if self._models is None:
                    raw = self._read(_MAP)
                    self._models = {
                        name: entry
                        for name, entry in raw.items()
                        if isinstance(entry, dict) and name not in _NOT_MODELS
                    }
        return self._models

    def _read(self, name: str) -> dict[str, Any]:
        """Return one JSON object of the package, empty if it cannot be had."""
        try:
            directory = self._directory or _package_directory()
            content: dict[str, Any] = dict(json.loads((directory / name).read_bytes()))
        except (OSError, TypeError, ValueError, ImportError) as exc:
            _logger.warning("llm_otel.litellm_data_unreadable file=%s error=%s: %s", name, type(exc).__name__, exc)
            return {}
        return content


def has_prices(entry: Entry) -> bool:
    """Whether an entry prices its tokens.

    LiteLLM writes 0 for input and output both for what is free and for what nobody looked up (Vertex AI's
    Llama, Fireworks' default, SageMaker): such a pair says nothing. What really is free, a local server, is
    known without it.
    """
    if isinstance(entry.get("tiered_pricing"), list):
        return True
    prices = (entry.get("input_cost_per_token"), entry.get("output_cost_per_token"))
    return any(isinstance(price, (int, float)) and price > 0 for price in prices)


@cache
def litellm_map() -> LiteLLMMap:
    """Return the map of the installed LiteLLM, the same each time."""
    return LiteLLMMap()


def _package_directory() -> Path:
    """Return where LiteLLM is installed, without importing it."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("litellm is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def _provider_name(entry: Entry) -> str | None:
    litellm_id = entry.get("litellm_provider")
    return provider_of_litellm(litellm_id).name if isinstance(litellm_id, str) else None
