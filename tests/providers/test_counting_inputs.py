"""What was sent is counted where nobody reports it, whatever kind of request it was."""

from __future__ import annotations

from typing import Any

import pytest

from llm_otel.call import CallRequest
from llm_otel.providers.counting import count

ITEMS = [
    {"role": "user", "content": [{"type": "input_text", "text": "Hello there"}]},
    {"type": "function_call_output", "call_id": "1", "output": "Sunny and warm"},
]


def counted(sent: Any, **more: Any) -> tuple[int, int]:
    """Count a request that brought two words: (input, output)."""
    asked = CallRequest(operation="chat", provider="openai", model="gpt-4o-mini", litellm_model="gpt-4o-mini")
    usage = count(
        CallRequest(
            operation=asked.operation,
            provider=asked.provider,
            model=asked.model,
            litellm_model=asked.litellm_model,
            messages=sent,
            **more,
        ),
        "Hi there",
    )
    assert usage.is_estimated
    return usage.input_tokens, usage.output_tokens


@pytest.mark.parametrize(
    ("sent", "tokens"),
    [
        ("Hello there", 2),
        (["Hello there", "Hello there"], 5),
        ([1, 2, 3], 3),
        ([[1, 2], [3]], 3),
        ([{"role": "user", "content": "Hello there"}], 9),
        (ITEMS, 6),
        (None, 0),
        ([], 0),
        ([None, object()], 0),
    ],
    ids=["text", "texts", "tokens", "lists of tokens", "messages", "items", "nothing", "empty", "odd"],
)
def test_every_kind_of_input(sent, tokens):
    """By LiteLLM's tokenizer; what was sent as tokens is its own count."""
    assert (tokens, 2) == counted(sent)


def test_instructions_count_too():
    """They were sent."""
    assert (4, 2) == counted("Hello there", instructions="Hello there")
