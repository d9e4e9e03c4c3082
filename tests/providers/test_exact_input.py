"""A bound of the input that is closer than its bytes, where there is one that holds."""

from __future__ import annotations

from typing import Any

import pytest

from llm_otel.models.limits import ModelLimits
from llm_otel.providers.exact import exact_input
from tests.extents import extent_of

HELLO = [{"role": "user", "content": "Hello there, how are you today? " * 20}]


def test_it_is_closer():
    """Tokens are a few bytes each."""
    tokens = exact_input("openai", "gpt-4o-mini", {"messages": HELLO})
    by_bytes = extent_of({"messages": HELLO}, ModelLimits()).input_tokens

    assert tokens is not None
    assert by_bytes is not None
    assert 160 < tokens < by_bytes / 2


@pytest.mark.parametrize(
    ("provider", "model", "arguments"),
    [
        ("anthropic", "claude-haiku-4-5", {"messages": HELLO}),
        ("openai", "my-own", {"messages": HELLO}),
        ("openai", "gpt-4o-mini", {"input": "Hello"}),
        ("openai", "gpt-4o-mini", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
        ("openai", "gpt-4o-mini", {"messages": HELLO, "previous_response_id": "resp_1"}),
        ("openai", "gpt-4o-mini", {"messages": HELLO, "prompt_id": "p"}),
        ("openai", "gpt-4o-search-preview", {"messages": HELLO, "web_search_options": {}}),
    ],
)
def test_where_there_is_none(provider: str, model: str, arguments: dict[str, Any]):
    """Only OpenAI's tokenizers are public; and what the provider adds by itself cannot be counted here."""
    assert exact_input(provider, model, arguments) is None
