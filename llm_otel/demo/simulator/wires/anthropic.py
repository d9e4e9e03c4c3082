"""Anthropic's messages, plain and as server-sent events.

Source: the Anthropic API reference for `/v1/messages`, its streaming and its prompt-caching guide, 2025-11.
The `input_tokens` leave out what was read from or written to the cache; the output includes the thinking.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from llm_otel.demo.simulator.chat import (
    Answer,
    ChatRequest,
    Finish,
    Json,
    Provider,
    Segment,
    Step,
    Tool,
    ToolCall,
)
from llm_otel.demo.simulator.wires import fields
from llm_otel.demo.simulator.wires.spelling import Event, Failure, Refusal, StreamPlace, bearer, reported, sse

PROVIDER: Final = Provider.ANTHROPIC
STREAM_TYPE: Final = "text/event-stream; charset=utf-8"

_FRAME_TOKENS = 4

_STOP_REASONS: Final = {
    Finish.STOP: "end_turn",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL_CALLS: "tool_use",
    Finish.CONTENT_FILTER: "refusal",
}

_ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("invalid_request_error", "Invalid request."),
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "The requested resource could not be found."),
    408: ("timeout_error", "Request timed out."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: (
        "rate_limit_error",
        "This request would exceed your organization's rate limit. Please try again later.",
    ),
    500: ("api_error", "Internal server error"),
    503: ("api_error", "Service unavailable"),
    504: ("timeout_error", "Request timed out."),
    529: ("overloaded_error", "Overloaded"),
}


def matches(path: str) -> bool:
    """Tell whether a path belongs to this format."""
    return path.endswith("/v1/messages")


def key_of(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """Return the key a request carries."""
    return headers.get("x-api-key") or bearer(headers)


def refuse_key(key: str | None) -> Refusal:
    """Say what is wrong with a key."""
    message = "x-api-key header is required" if key is None else "invalid x-api-key"
    return Refusal(401, message, "authentication_error")


def parse(path: str, body: Json) -> ChatRequest:
    """Read a request.

    Raises:
        InvalidRequestError: A required field is missing, or one has the wrong type.
    """
    max_tokens = fields.positive(body, "max_tokens")
    if max_tokens is None:
        raise fields.InvalidRequestError("max_tokens: Field required")
    tools = fields.named_tools(fields.records(body, "tools"), "input_schema")
    return ChatRequest(
        provider=PROVIDER,
        model=fields.text(body, "model"),
        segments=tuple(_segments(body)),
        stream=body.get("stream") is True,
        max_tokens=max_tokens,
        tools=tools,
        forced_tool=_forced_tool(fields.record(body, "tool_choice"), tools),
        json_schema=_json_schema(body),
        thinking=fields.record(body, "thinking").get("type") in ("enabled", "adaptive"),
        # `service_tier` of the request only says which may be used; the one it gets is `Reply.service_tier`.
    )


def _segments(body: Json) -> Iterator[Segment]:
    """Yield the prompt in the order in which it is cached: tools, system, messages."""
    for tool in fields.records(body, "tools"):
        definition = {name: value for name, value in tool.items() if name != "cache_control"}
        yield Segment(fields.compact(definition), cache_ttl=_ttl(tool))
    yield from _content(body, "system")
    for message in fields.records(body, "messages", required=True):
        role = fields.string(message, "role")
        if role not in ("user", "assistant"):
            raise fields.InvalidRequestError("messages: roles must be 'user' or 'assistant'")
        yield Segment(filler=role, filler_tokens=_FRAME_TOKENS)
        yield from _content(message, "content")


def _content(owner: Json, name: str) -> Iterator[Segment]:
    content = owner.get(name)
    if isinstance(content, str):
        yield Segment(content)
        return
    for block in fields.records(owner, name):
        match block.get("type"):
            case "image" | "document":
                frame = fields.image(block.get("source"))
                yield Segment(filler=frame.filler, filler_tokens=frame.filler_tokens, cache_ttl=_ttl(block))
            case "tool_use":
                yield Segment(fields.compact([block.get("name"), block.get("input")]), cache_ttl=_ttl(block))
            case "tool_result":
                result = block.get("content")
                text = result if isinstance(result, str) else fields.compact(result)
                yield Segment(text, cache_ttl=_ttl(block))
            case _:
                text = fields.string(block, "text") or fields.string(block, "thinking") or ""
                yield Segment(text, cache_ttl=_ttl(block))


def _ttl(block: Json) -> Literal["5m", "1h"] | None:
    control = block.get("cache_control")
    if not isinstance(control, Mapping):
        return None
    return "1h" if control.get("ttl") == "1h" else "5m"


def _forced_tool(choice: Json, tools: tuple[Tool, ...]) -> str | None:
    match choice.get("type"):
        case "any":
            return tools[0].name if tools else None
        case "tool":
            return fields.string(choice, "name")
        case _:
            return None


def _json_schema(body: Json) -> Json | None:
    wanted = fields.record(body, "output_format") or fields.record(fields.record(body, "output_config"), "format")
    return fields.record(wanted, "schema") if wanted.get("type") == "json_schema" else None


def headers(answer: Answer) -> dict[str, str]:
    """Return the headers of a good answer."""
    return {"request-id": f"req_{answer.id}", "anthropic-organization-id": "simulator"}


def render(answer: Answer) -> Json:
    """Spell an answer that is not streamed."""
    choice = answer.choices[0]
    content: list[Json] = []
    if answer.thinking:
        content.append({"type": "thinking", "thinking": answer.thinking, "signature": _signature(answer)})
    if choice.text or not choice.tool_calls:
        content.append({"type": "text", "text": choice.text})
    content += [
        {**_tool_use(answer, number, call), "input": call.arguments} for number, call in enumerate(choice.tool_calls)
    ]
    message = {**_frame(answer), "content": content, "stop_reason": _STOP_REASONS[choice.finish]}
    return {**message, **reported("usage", _usage(answer, answer.counts.output_tokens), answer.usage)}


def _frame(answer: Answer) -> Json:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _tool_use(answer: Answer, number: int, call: ToolCall) -> Json:
    return {"type": "tool_use", "id": f"toolu_{answer.id[:20]}{number:02d}", "name": call.name, "input": {}}


def _signature(answer: Answer) -> str:
    return f"signature-{answer.id}"


def _usage(answer: Answer, output_tokens: int) -> Json:
    """Spell the usage: the input without the cache, the writes split by the time they are kept."""
    counts = answer.counts
    usage = {
        "input_tokens": counts.input_tokens - counts.cached_tokens - counts.cache_write_tokens,
        "cache_creation_input_tokens": counts.cache_write_tokens,
        "cache_read_input_tokens": counts.cached_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": counts.cache_write_tokens - counts.cache_write_1h_tokens,
            "ephemeral_1h_input_tokens": counts.cache_write_1h_tokens,
        },
        "output_tokens": output_tokens,
        "service_tier": answer.service_tier or "standard",
    }
    if counts.reasoning_tokens:
        thought = min(counts.reasoning_tokens, output_tokens)
        usage["output_tokens_details"] = {"thinking_tokens": thought}
    return usage


def events(answer: Answer) -> Iterator[Event]:
    """Spell a stream: the message's start, its content blocks, its end with the usage."""
    counts = answer.counts
    begun = reported("usage", _usage(answer, min(1, counts.output_tokens)), answer.usage)
    yield _event("message_start", {"message": {**_frame(answer), **begun}})
    yield _event("ping", {})
    yield from _blocks(answer)
    total = counts.output_tokens
    delta = {"stop_reason": _STOP_REASONS[answer.choices[0].finish], "stop_sequence": None}
    used = reported("usage", _usage(answer, total), answer.usage)
    yield _event("message_delta", {"delta": delta, **used}, total)
    yield _event("message_stop", {}, total)


def _blocks(answer: Answer) -> Iterator[Event]:
    index = -1
    open_kind: str | None = None
    for step in answer.steps:
        if step.kind != open_kind or step.kind == "tool_call":
            yield from _close(answer, index, open_kind)
            index += 1
            open_kind = step.kind
            yield _event("content_block_start", {"index": index, "content_block": _block(answer, step)})
        delta = {"index": index, "delta": _delta(step)}
        yield _event("content_block_delta", delta, step.output_tokens, is_content=True)
    if open_kind is None:
        index, open_kind = 0, "text"
        yield _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
    yield from _close(answer, index, open_kind)


def _block(answer: Answer, step: Step) -> Json:
    if step.call is not None:
        return _tool_use(answer, step.call_index, step.call)
    if step.kind == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}
    return {"type": "text", "text": ""}


def _delta(step: Step) -> Json:
    if step.call is not None:
        return {"type": "input_json_delta", "partial_json": step.call.arguments_json}
    if step.kind == "thinking":
        return {"type": "thinking_delta", "thinking": step.text}
    return {"type": "text_delta", "text": step.text}


def _close(answer: Answer, index: int, kind: str | None) -> Iterator[Event]:
    if kind == "thinking":
        signature = {"type": "signature_delta", "signature": _signature(answer)}
        yield _event("content_block_delta", {"index": index, "delta": signature})
    if kind is not None:
        yield _event("content_block_stop", {"index": index})


def _event(kind: str, body: Json, output_tokens: int = 0, *, is_content: bool = False) -> Event:
    return Event(sse({"type": kind, **body}, event=kind), output_tokens, is_content)


def error(failure: Failure) -> Json:
    """Spell an error."""
    kind, message = _ERRORS.get(failure.status, _ERRORS[500])
    return {
        "type": "error",
        "error": {"type": failure.code or kind, "message": failure.message or message},
        "request_id": f"req_{failure.request_id}",
    }


def stream_error(failure: Failure, place: StreamPlace) -> bytes:
    """Spell an error amid a stream."""
    return sse(error(failure), event="error")
