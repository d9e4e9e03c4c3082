"""OpenAI's chat completions, plain and as server-sent events.

Source: the OpenAI API reference for `/v1/chat/completions`, 2025-11. A prompt is counted as the OpenAI
cookbook counts it: three tokens around each message and three before the answer. The input includes cached
tokens.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from llm_otel.demo.simulator.chat import (
    Answer,
    ChatRequest,
    Choice,
    Json,
    Provider,
    Segment,
    Step,
    Tool,
    ToolCall,
)
from llm_otel.demo.simulator.wires import fields
from llm_otel.demo.simulator.wires.spelling import Event, Failure, Refusal, StreamPlace, bearer, reported, sse

PROVIDER: Final = Provider.OPENAI
STREAM_TYPE: Final = "text/event-stream; charset=utf-8"

_FRAME_TOKENS = 3

_ERRORS: Final[Mapping[int, tuple[str, str | None, str]]] = {
    400: ("invalid_request_error", None, "Invalid request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: (
        "request_forbidden",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    408: ("timeout", None, "Request timed out."),
    429: (
        "tokens",
        "rate_limit_exceeded",
        "Rate limit reached on tokens per min (TPM). Please try again later.",
    ),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
}


def matches(path: str) -> bool:
    """Tell whether a path belongs to this format."""
    return path.endswith("/chat/completions")


def key_of(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """Return the key a request carries."""
    return bearer(headers)


def refuse_key(key: str | None) -> Refusal:
    """Say what is wrong with a key."""
    if key is None:
        return Refusal(401, "You didn't provide an API key.", "missing_api_key")
    return Refusal(401, "Incorrect API key provided.", "invalid_api_key")


def parse(path: str, body: Json) -> ChatRequest:
    """Read a request.

    Raises:
        InvalidRequestError: A required field is missing, or one has the wrong type.
    """
    tools = _tools(body)
    effort = fields.string(body, "reasoning_effort")
    return ChatRequest(
        provider=PROVIDER,
        model=fields.text(body, "model"),
        segments=tuple(_segments(body)),
        stream=body.get("stream") is True,
        include_usage=fields.record(body, "stream_options").get("include_usage") is True,
        max_tokens=fields.positive(body, "max_completion_tokens") or fields.positive(body, "max_tokens"),
        choices=fields.positive(body, "n") or 1,
        tools=tools,
        forced_tool=_forced_tool(body.get("tool_choice"), tools),
        json_schema=_json_schema(fields.record(body, "response_format")),
        thinking=effort not in (None, "none", "minimal"),
        show_thinking=False,
        service_tier=fields.string(body, "service_tier"),
    )


def _segments(body: Json) -> Iterator[Segment]:
    definitions = [*fields.records(body, "tools"), *fields.records(body, "functions")]
    if definitions:
        yield Segment(fields.compact(definitions))
    for message in fields.records(body, "messages", required=True):
        role = fields.string(message, "role")
        if role is None:
            raise fields.InvalidRequestError("messages: every message needs a role")
        yield turn_frame(role)
        content = message.get("content")
        if isinstance(content, str):
            yield Segment(content)
        for part in fields.records(message, "content") if isinstance(content, list) else ():
            yield _part(part)
        calls = fields.records(message, "tool_calls")
        if calls:
            yield Segment(fields.compact([call.get("function") for call in calls]))
    yield turn_frame("assistant")


def turn_frame(role: str) -> Segment:
    """Return what a message costs beside its content."""
    return Segment(filler=role, filler_tokens=_FRAME_TOKENS)


def _part(part: Json) -> Segment:
    match part.get("type"):
        case "image_url":
            return fields.image(part.get("image_url"))
        case "input_audio":
            return fields.audio(fields.string(fields.record(part, "input_audio"), "data") or "")
        case "file":
            return fields.image(part.get("file"))
        case _:
            return Segment(fields.string(part, "text") or "")


def _tools(body: Json) -> tuple[Tool, ...]:
    wrapped = [fields.record(tool, "function") for tool in fields.records(body, "tools")]
    return fields.named_tools([*wrapped, *fields.records(body, "functions")], "parameters")


def _forced_tool(choice: object, tools: tuple[Tool, ...]) -> str | None:
    """Return the tool that an OpenAI-style `tool_choice` insists on."""
    if choice == "required":
        return tools[0].name if tools else None
    function = choice.get("function") if isinstance(choice, Mapping) else None
    return fields.string(function, "name") if isinstance(function, Mapping) else None


def _json_schema(wanted: Json) -> Json | None:
    match wanted.get("type"):
        case "json_object":
            return {}
        case "json_schema":
            return fields.record(fields.record(wanted, "json_schema"), "schema")
        case _:
            return None


def headers(answer: Answer) -> dict[str, str]:
    """Return the headers of a good answer."""
    return {"x-request-id": f"req_{answer.id}", "openai-version": "2020-10-01"}


def render(answer: Answer) -> Json:
    """Spell an answer that is not streamed."""
    choices = [_choice(answer, choice) for choice in answer.choices]
    return {**_frame(answer, "chat.completion", choices), **reported("usage", usage(answer), answer.usage)}


def _frame(answer: Answer, kind: str, choices: list[Json]) -> Json:
    tier = answer.service_tier
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": kind,
        "created": answer.created,
        "model": answer.model,
        "service_tier": "default" if tier in (None, "auto") else tier,
        "system_fingerprint": "fp_simulator",
        "choices": choices,
    }


def _choice(answer: Answer, choice: Choice) -> Json:
    message: Json = {"role": "assistant", "content": choice.text, "refusal": None, "annotations": []}
    if choice.tool_calls:
        message["content"] = choice.text or None
        message["tool_calls"] = [
            {"id": _call_id(answer, choice.index, number), "type": "function", "function": _function(call)}
            for number, call in enumerate(choice.tool_calls)
        ]
    return {"index": choice.index, "message": message, "logprobs": None, "finish_reason": str(choice.finish)}


def _call_id(answer: Answer, choice: int, number: int) -> str:
    return f"call_{answer.id[:16]}{choice:02d}{number:02d}"


def _function(call: ToolCall) -> Json:
    return {"name": call.name, "arguments": call.arguments_json}


def usage(answer: Answer) -> Json:
    """Spell the usage: inclusive on both sides, with the parts in the details."""
    counts = answer.counts
    prompt = {"cached_tokens": counts.cached_tokens, "audio_tokens": counts.audio_input_tokens}
    if counts.cache_write_tokens:
        prompt["cache_write_tokens"] = counts.cache_write_tokens
    return {
        "prompt_tokens": counts.input_tokens,
        "completion_tokens": counts.output_tokens,
        "total_tokens": counts.input_tokens + counts.output_tokens,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning_tokens,
            "audio_tokens": counts.audio_output_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def events(answer: Answer) -> Iterator[Event]:
    """Spell a stream: each choice begun, the pieces, each choice ended, usage if asked for, `[DONE]`."""
    for choice in answer.choices:
        yield Event(_delta(answer, choice.index, {"role": "assistant", "content": "", "refusal": None}), 0)
    for step in answer.steps:
        for delta in _pieces(answer, step):
            yield Event(_delta(answer, step.choice, delta), step.output_tokens, is_content=True)
    total = answer.counts.output_tokens
    for choice in answer.choices:
        yield Event(_delta(answer, choice.index, {}, finish=str(choice.finish)), total)
    last = reported("usage", usage(answer), answer.usage)
    if answer.request.include_usage and last:
        yield Event(sse({**_frame(answer, "chat.completion.chunk", []), **last}), total)
    yield Event(b"data: [DONE]\n\n", total)


def _pieces(answer: Answer, step: Step) -> Iterator[Json]:
    """Yield the deltas of a step: a tool call is named before its arguments come; thoughts stay hidden."""
    if step.kind == "text":
        yield {"content": step.text}
    if step.call is not None:
        call_id = _call_id(answer, step.choice, step.call_index)
        named = {"id": call_id, "type": "function", "function": {"name": step.call.name, "arguments": ""}}
        yield {"tool_calls": [{"index": step.call_index, **named}]}
        yield {"tool_calls": [{"index": step.call_index, "function": {"arguments": step.call.arguments_json}}]}


def _delta(answer: Answer, index: int, delta: Json, *, finish: str | None = None) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    frame = _frame(answer, "chat.completion.chunk", [choice])
    if answer.request.include_usage:
        frame["usage"] = None
    return sse(frame)


def error(failure: Failure) -> Json:
    """Spell an error."""
    kind, code, message = _ERRORS.get(failure.status, _ERRORS[500])
    return {
        "error": {
            "message": failure.message or message,
            "type": kind,
            "param": None,
            "code": failure.code or code,
        }
    }


def stream_error(failure: Failure, place: StreamPlace) -> bytes:
    """Spell an error amid a stream."""
    return sse(error(failure))
