"""What a model was asked, in the JSON of the GenAI conventions: messages, instructions, definitions of tools.

Reads chat messages, prompts of text completions and input items of responses, as dictionaries or as objects of LiteLLM
and OpenAI. What is malformed is kept as far as it can be read; nothing here raises for it.

Source: open-telemetry/semantic-conventions-genai, model/gen-ai/gen-ai-{input-messages,system-instructions,
tool-definitions}.json, main as of 2026-10-09.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llm_otel.providers.parts import (
    Part,
    content_parts,
    field,
    listed,
    media_part,
    reasoning_part,
    server_tool_part,
    text_part,
    tool_call_part,
    tool_response_part,
)

if TYPE_CHECKING:
    from llm_otel.providers.fitting import Entry, Room
    from llm_otel.providers.texts import Texts

_USER, _ASSISTANT, _TOOL = "user", "assistant", "tool"
_INSTRUCTING = frozenset({"system", "developer"})
_ROLES = frozenset({_USER, _ASSISTANT, _TOOL, "function"}) | _INSTRUCTING
"""Roles that are recorded as they are; any other is a text like others."""
_ANSWERING = frozenset({_TOOL, "function"})


def input_messages(asked: Any, texts: Texts, room: Room) -> list[Entry]:
    """Return the conversation as it was sent: `messages`, `prompt` or `input`.

    First to be kept is the newest message, then the instructions at the start, then the others, back from the newest.
    Token ids say nothing to a reader and are left out.
    """
    items = [asked] if isinstance(asked, str) else listed(asked)
    last = len(items) - 1
    leading = 0
    while leading < last and _is_instructing(items[leading]):
        leading += 1
    order = [last, *range(leading), *range(last - 1, leading - 1, -1)] if items else []
    return room.fill(order, lambda position: _asked_message(items[position], texts))


def system_instructions(instructions: Any, texts: Texts, room: Room) -> list[Part]:
    """Return what an API takes apart from the conversation: `instructions` of responses, a text or input items."""
    if isinstance(instructions, str):
        parts = [text_part(instructions, texts)] if instructions else []
    else:
        messages = (_asked_message(item, texts) for item in listed(instructions))
        parts = [part for message in messages if message for part in message["parts"]]
    return room.fill(range(len(parts)), parts.__getitem__)


def tool_definitions(tools: Any, texts: Texts, room: Room) -> list[Entry]:
    """Return the tools that a model may call; of those that run at the provider, which they are and nothing more."""
    items = listed(tools)
    return room.fill(range(len(items)), lambda position: _definition(items[position], texts))


def message_of(message: Any, texts: Texts, *, role: str) -> Entry:
    """Return one message of a chat: reasoning, content, and the tools that it calls or answers for.

    It is `role`'s where it does not say.
    """
    said = field(message, "role")
    role = said if isinstance(said, str) and said else role
    if role in _ANSWERING:
        parts = [tool_response_part(field(message, "tool_call_id"), field(message, "content"), texts)]
    else:
        parts = _spoken_parts(message, texts)
    entry: Entry = {"role": role if role in _ROLES else texts.text(role), "parts": parts}
    name = field(message, "name")
    return entry | {"name": texts.text(name)} if isinstance(name, str) and name else entry


def output_item_parts(item: Any, texts: Texts) -> list[Part]:
    """Return the parts of an output item of a response; what it is called is its `type`."""
    kind = field(item, "type")
    if not isinstance(kind, str):
        return content_parts(field(item, "content"), texts)
    read = _ITEMS.get(kind)
    if read is not None:
        return read(item, texts)
    return [server_tool_part(item, kind, texts)] if kind.endswith("_call") else []


def _is_instructing(item: Any) -> bool:
    role = field(item, "role")
    return isinstance(role, str) and role in _INSTRUCTING


def _asked_message(item: Any, texts: Texts) -> Entry | None:
    if isinstance(item, str):
        return {"role": _USER, "parts": [text_part(item, texts)]}
    kind = field(item, "type")
    if field(item, "role") is None and isinstance(kind, str):
        if kind in _RESULTS:
            part = tool_response_part(field(item, "call_id"), field(item, "output"), texts)
            return {"role": _TOOL, "parts": [part]}
        if parts := output_item_parts(item, texts):
            return {"role": _ASSISTANT, "parts": parts}
        parts = content_parts([item], texts)
        return {"role": _USER, "parts": parts} if parts else None
    if field(item, "role") is None and field(item, "content") is None:
        return None
    return message_of(item, texts, role=_USER)


def _spoken_parts(message: Any, texts: Texts) -> list[Part]:
    parts = [reasoning_part(thought, texts) for thought in _thoughts(message)]
    parts += content_parts(field(message, "content"), texts)
    refusal = field(message, "refusal")
    if isinstance(refusal, str) and refusal:
        parts.append(text_part(refusal, texts))
    calls = [*listed(field(message, "tool_calls")), *([old] if (old := field(message, "function_call")) else [])]
    parts += [tool_call_part(call, texts) for call in calls]
    return parts + _made_media(message, texts)


def _thoughts(message: Any) -> list[str]:
    """Return what was thought aloud: LiteLLM's text of it, or else Anthropic's blocks."""
    whole = field(message, "reasoning_content")
    blocks = [field(block, "thinking") for block in listed(field(message, "thinking_blocks"))]
    return [thought for thought in ([whole] if whole else blocks) if isinstance(thought, str) and thought]


def _made_media(message: Any, texts: Texts) -> list[Part]:
    """Return images and speech that the model made, speech with what it says."""
    parts = content_parts([image for image in listed(field(message, "images")) if field(image, "image_url")], texts)
    audio = field(message, "audio")
    if audio is not None and not isinstance(audio, str):
        parts.append(media_part("audio", texts))
        transcript = field(audio, "transcript")
        if isinstance(transcript, str) and transcript:
            parts.append(text_part(transcript, texts))
    return parts


def _definition(tool: Any, texts: Texts) -> Entry | None:
    kind = field(tool, "type")
    kind = kind if isinstance(kind, str) and kind else "function"
    function = field(tool, "function") or tool
    name = field(function, "name") or field(function, "server_label")
    if not isinstance(name, str) and kind == "function":
        return None
    entry: Entry = {"type": texts.text(kind), "name": texts.text(name if isinstance(name, str) else kind)}
    description = field(function, "description")
    if isinstance(description, str) and description:
        entry["description"] = texts.text(description)
    parameters = field(function, "parameters") or field(function, "input_schema")
    return entry if parameters is None else entry | {"parameters": texts.structured(parameters)}


# --- items of responses -----------------------------------------------------------------------------------------------

_RESULTS = frozenset({"function_call_output", "custom_tool_call_output"})


def _message_item(item: Any, texts: Texts) -> list[Part]:
    return content_parts(field(item, "content"), texts)


def _call_item(item: Any, texts: Texts) -> list[Part]:
    return [tool_call_part(item, texts)]


def _reasoning_item(item: Any, texts: Texts) -> list[Part]:
    thoughts = [field(each, "text") for name in ("summary", "content") for each in listed(field(item, name))]
    return [reasoning_part(thought, texts) for thought in thoughts if isinstance(thought, str) and thought]


def _image_item(item: Any, texts: Texts) -> list[Part]:
    image_format = field(item, "output_format")
    return [media_part("image", texts, mime_type=f"image/{image_format}" if isinstance(image_format, str) else None)]


_ITEMS: dict[str, Callable[[Any, Texts], list[Part]]] = {
    "message": _message_item,
    "function_call": _call_item,
    "custom_tool_call": _call_item,
    "reasoning": _reasoning_item,
    "image_generation_call": _image_item,
}
