"""A LiteLLM made of a few files, and a registry that forgets what a test registered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_otel.models.litellm_map import LiteLLMMap

MAP_FILE = "model_prices_and_context_window_backup.json"

ENTRIES: dict[str, Any] = {
    "sample_spec": {"litellm_provider": "one of https://docs.litellm.ai/docs/providers"},
    "fallback_generalizations": {"rules": []},
    "gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
    "anthropic.claude-9-v1:0": {"litellm_provider": "bedrock_converse", "input_cost_per_token": 1e-06},
    "claude-on-vertex": {"litellm_provider": "vertex_ai-anthropic_models", "input_cost_per_token": 1e-06},
    "gemini/gemini-x": {"litellm_provider": "gemini", "input_cost_per_token": 3e-06},
    "gemini-x": {"litellm_provider": "vertex_ai-language-models", "input_cost_per_token": 4e-06},
    "ollama/some": {"litellm_provider": "ollama", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
    "hosting_inc/openai/gpt-x": {"litellm_provider": "hosting_inc", "input_cost_per_token": 5e-06},
    "not-a-model": "text",
}

LiteLLMFiles = Callable[..., LiteLLMMap]


@pytest.fixture
def litellm_files(tmp_path: Path) -> LiteLLMFiles:
    """Write files as LiteLLM's package has them, and read them."""

    def write(entries: Any = ENTRIES, **files: Any) -> LiteLLMMap:
        for name, content in {
            MAP_FILE: entries,
            "provider_endpoints_support_backup.json": {"providers": {"listed_only": {}}},
            "llms/openai_like/providers.json": {"like_openai": {"base_url": "https://example.org"}},
            **files,
        }.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return LiteLLMMap(tmp_path)

    return write
