"""What a model answered, in the JSON of the GenAI conventions: one message for each choice.

Reads chat completions, text completions and responses, whole or put together from a stream; and what Anthropic's and
Google's own SDKs return.

Source: open-telemetry/semantic-conventions-genai, model/gen-ai/gen-ai-output-messages.json, main as of 2026-10-09. The
deprecated `finish_reason` of a message is left out: the reasons stand in `gen_ai.response.finish_reasons`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_otel.providers.messages import message_of, output_item_parts
from llm_otel.providers.parts import Part, content_parts, field, listed, reasoning_part, text_part, tool_call_part

if TYPE_CHECKING:
    from llm_otel.providers.fitting import Entry, Room
    from llm_otel.providers.texts import Texts

_ASSISTANT = "assistant"


def output_messages(response: Any, texts: Texts, room: Room) -> list[Entry]:
    """Return what came, choice by choice; a response has one choice, whose parts are its output items."""
    choices = listed(field(response, "choices")) or listed(field(response, "candidates"))
    if choices:
        return room.fill(range(len(choices)), lambda position: _choice(choices[position], texts))
    parts = [part for item in listed(field(response, "output")) for part in output_item_parts(item, texts)]
    parts += content_parts(field(response, "content"), texts)
    return room.fill([0] if parts else [], lambda _: {"role": _ASSISTANT, "parts": parts})


def _choice(choice: Any, texts: Texts) -> Entry | None:
    message = field(choice, "message")
    if message is not None:
        return message_of(message, texts, role=_ASSISTANT)
    text = field(choice, "text")
    if isinstance(text, str):
        return {"role": _ASSISTANT, "parts": [text_part(text, texts)]}
    parts = [_google_part(each, texts) for each in listed(field(field(choice, "content"), "parts"))]
    return {"role": _ASSISTANT, "parts": [part for part in parts if part]} if parts else None


def _google_part(part: Any, texts: Texts) -> Part | None:
    text = field(part, "text")
    if isinstance(text, str) and text:
        return reasoning_part(text, texts) if field(part, "thought") is True else text_part(text, texts)
    call = field(part, "function_call") or field(part, "functionCall")
    if call is None:
        return None
    called = {"id": field(call, "id"), "function": {"name": field(call, "name"), "arguments": field(call, "args")}}
    return tool_call_part(called, texts)
