"""What a request of OpenAI's responses means.

Source: the OpenAI API reference for `/v1/responses`, 2025-11. A prompt is counted like one of the chat completions;
`conversations` adds what came before.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from llm_otel.demo.simulator.chat import ChatRequest, Json, Segment, Tool, Turn
from llm_otel.demo.simulator.wires import fields, openai

ID_PREFIX: Final = "resp_"

_FEWEST_OUTPUT_TOKENS = 16
"""LiteLLM 1.105.3 raises a smaller `max_output_tokens` to it by itself."""

_ECHOED: Final[Json] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Fields the answer repeats, as they are where the request leaves them out."""


def parse(path: str, body: Json) -> ChatRequest:
    """Read a request.

    Raises:
        InvalidRequestError: A required field is missing, or one has the wrong type.
    """
    tools = fields.named_tools(fields.records(body, "tools"), "parameters")
    frame = tuple(_frame_segments(body))
    return ChatRequest(
        provider=openai.PROVIDER,
        model=fields.text(body, "model"),
        segments=(*frame, *_input_segments(body), openai.turn_frame("assistant")),
        stream=body.get("stream") is True,
        max_tokens=_max_tokens(body),
        tools=tools,
        forced_tool=_forced_tool(body.get("tool_choice"), tools),
        json_schema=_json_schema(fields.record(fields.record(body, "text"), "format")),
        thinking=fields.string(fields.record(body, "reasoning"), "effort") not in (None, "none", "minimal"),
        show_thinking=False,
        service_tier=fields.string(body, "service_tier"),
        turn=Turn(_previous(body), len(frame), body.get("store") is not False),
        echoed={name: default if body.get(name) is None else body[name] for name, default in _ECHOED.items()},
    )


def _max_tokens(body: Json) -> int | None:
    limit = fields.positive(body, "max_output_tokens")
    if limit is not None and limit < _FEWEST_OUTPUT_TOKENS:
        raise fields.InvalidRequestError(
            "Invalid 'max_output_tokens': integer below minimum value. "
            f"Expected a value >= {_FEWEST_OUTPUT_TOKENS}, but got {limit} instead."
        )
    return limit


def _previous(body: Json) -> str | None:
    named = fields.string(body, "previous_response_id")
    return None if named is None else named.removeprefix(ID_PREFIX)


def _frame_segments(body: Json) -> Iterator[Segment]:
    """Yield what holds for this answer alone."""
    definitions = fields.records(body, "tools")
    if definitions:
        yield Segment(fields.compact(definitions))
    instructions = fields.string(body, "instructions")
    if instructions:
        yield openai.turn_frame("system")
        yield Segment(instructions)


def _input_segments(body: Json) -> Iterator[Segment]:
    given = body.get("input")
    if isinstance(given, str):
        yield openai.turn_frame("user")
        yield Segment(given)
        return
    for item in fields.records(body, "input", required=_previous(body) is None):
        yield from _item_segments(item)


def _item_segments(item: Json) -> Iterator[Segment]:
    match item.get("type", "message"):
        case "message":
            yield from _message_segments(item)
        case "function_call":
            yield Segment(fields.compact([item.get("name"), item.get("arguments")]))
        case "function_call_output":
            output = item.get("output")
            yield Segment(output if isinstance(output, str) else fields.compact(output))
        case _:
            # Reasoning of earlier turns is left out of the prompt; other items are not known here.
            return


def _message_segments(message: Json) -> Iterator[Segment]:
    role = fields.string(message, "role")
    if role is None:
        raise fields.InvalidRequestError("input: every message needs a role")
    yield openai.turn_frame(role)
    content = message.get("content")
    if isinstance(content, str):
        yield Segment(content)
        return
    for part in fields.records(message, "content"):
        match part.get("type"):
            case "input_image" | "input_file":
                yield fields.image(part)
            case "input_audio":
                yield fields.audio(fields.string(fields.record(part, "input_audio"), "data") or "")
            case _:
                yield Segment(fields.string(part, "text") or "")


def _forced_tool(choice: object, tools: tuple[Tool, ...]) -> str | None:
    if choice == "required":
        return tools[0].name if tools else None
    return fields.string(choice, "name") if isinstance(choice, Mapping) else None


def _json_schema(wanted: Json) -> Json | None:
    match wanted.get("type"):
        case "json_object":
            return {}
        case "json_schema":
            return fields.record(wanted, "schema")
        case _:
            return None
