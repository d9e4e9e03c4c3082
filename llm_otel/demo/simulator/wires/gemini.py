"""Gemini's `generateContent` and `streamGenerateContent?alt=sse`.

Source: the Gemini API reference (`v1beta`), 2025-11. Both spellings of a field are read (`maxOutputTokens`,
`max_output_tokens`), as protobuf's JSON does. The prompt's count includes what was cached; thoughts are
counted beside the candidates, not in them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from llm_otel.demo.simulator.chat import (
    Answer,
    ChatRequest,
    Choice,
    Finish,
    Json,
    Provider,
    Segment,
    Tool,
    ToolCall,
)
from llm_otel.demo.simulator.wires import fields
from llm_otel.demo.simulator.wires.spelling import Event, Failure, Refusal, StreamPlace, reported, sse

PROVIDER: Final = Provider.GEMINI
STREAM_TYPE: Final = "text/event-stream"

_PATH = re.compile(r"/models/(?P<model>[^/]+):(?P<method>generateContent|streamGenerateContent)$")

_FINISH_REASONS: Final = {
    Finish.STOP: "STOP",
    Finish.LENGTH: "MAX_TOKENS",
    Finish.TOOL_CALLS: "STOP",
    Finish.CONTENT_FILTER: "SAFETY",
}

_ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: (
        "NOT_FOUND",
        "The model is not found for API version v1beta, or is not supported for generateContent.",
    ),
    408: ("DEADLINE_EXCEEDED", "The request timed out. Please try again."),
    429: (
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    500: ("INTERNAL", "An internal error has occurred. Please retry."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}


def matches(path: str) -> bool:
    """Tell whether a path belongs to this format."""
    return _PATH.search(path) is not None


def key_of(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """Return the key a request carries."""
    return headers.get("x-goog-api-key") or query.get("key")


def refuse_key(key: str | None) -> Refusal:
    """Say what is wrong with a key; Gemini has no 401 for that."""
    if key is None:
        message = "Method doesn't allow unregistered callers (callers without established identity)."
        return Refusal(403, message, "PERMISSION_DENIED")
    return Refusal(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT")


def parse(path: str, body: Json) -> ChatRequest:
    """Read a request.

    Raises:
        InvalidRequestError: A required field is missing, or one has the wrong type.
    """
    found = _PATH.search(path)
    assert found is not None, "only paths that match are parsed"
    settings = _object(body, "generationConfig")
    thoughts = _object(settings, "thinkingConfig")
    tools = _tools(body)
    return ChatRequest(
        provider=PROVIDER,
        model=unquote(found["model"]),
        segments=tuple(_segments(body)),
        stream=found["method"] == "streamGenerateContent",
        max_tokens=positive(settings, "maxOutputTokens"),
        choices=positive(settings, "candidateCount") or 1,
        tools=tools,
        forced_tool=_forced_tool(body, tools),
        json_schema=_json_schema(settings),
        thinking=bool(_field(thoughts, "thinkingBudget") or _field(thoughts, "thinkingLevel")),
        show_thinking=_field(thoughts, "includeThoughts") is True,
        service_tier=fields.string(body, "serviceTier") or fields.string(body, "service_tier"),
    )


def _snake(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def _field(owner: Mapping[str, Any], name: str) -> Any:
    return owner[name] if name in owner else owner.get(_snake(name))


def _object(owner: Mapping[str, Any], name: str) -> Json:
    return fields.record(owner, name) or fields.record(owner, _snake(name))


def positive(owner: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number of 1 or more under either spelling of its name, or None where it is absent."""
    return fields.positive(owner, name if name in owner else _snake(name))


def _segments(body: Json) -> Iterator[Segment]:
    definitions = fields.records(body, "tools")
    if definitions:
        yield Segment(fields.compact(definitions))
    yield from segments_of(_object(body, "systemInstruction"))
    for content in fields.records(body, "contents", required=True):
        yield Segment(filler=fields.string(content, "role") or "user", filler_tokens=1)
        yield from segments_of(content)


def segments_of(content: Json) -> Iterator[Segment]:
    """Yield what the parts of a content cost."""
    for part in fields.records(content, "parts"):
        media = _object(part, "inlineData") or _object(part, "fileData")
        exchange = _object(part, "functionCall") or _object(part, "functionResponse")
        if media:
            kind = str(_field(media, "mimeType"))
            data = fields.string(media, "data") or ""
            yield fields.audio(data) if kind.startswith("audio/") else fields.image(media)
        elif exchange:
            yield Segment(fields.compact(exchange))
        else:
            yield Segment(fields.string(part, "text") or "")


def _tools(body: Json) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for tool in fields.records(body, "tools"):
        for name in ("functionDeclarations", "function_declarations"):
            declared = fields.records(tool, name)
            tools += fields.named_tools(declared, "parameters")
    return tuple(tools)


def _forced_tool(body: Json, tools: tuple[Tool, ...]) -> str | None:
    calling = _object(_object(body, "toolConfig"), "functionCallingConfig")
    if _field(calling, "mode") != "ANY":
        return None
    allowed = _field(calling, "allowedFunctionNames")
    names = [name for name in allowed if isinstance(name, str)] if isinstance(allowed, list) else []
    return next(iter([*names, *(tool.name for tool in tools)]), None)


def _json_schema(settings: Json) -> Json | None:
    if _field(settings, "responseMimeType") != "application/json":
        return None
    return _object(settings, "responseJsonSchema") or _object(settings, "responseSchema")


def headers(answer: Answer) -> dict[str, str]:
    """Return the headers of a good answer: the service tier is told here, not in the body."""
    return {"x-gemini-service-tier": answer.service_tier} if answer.service_tier else {}


def render(answer: Answer) -> Json:
    """Spell an answer that is not streamed."""
    candidates = [_candidate(choice.index, _all_parts(answer, choice), choice.finish) for choice in answer.choices]
    return _frame(answer, candidates, answer.counts.output_tokens)


def _all_parts(answer: Answer, choice: Choice) -> list[Json]:
    parts: list[Json] = []
    if answer.thinking and answer.request.show_thinking and choice.index == 0:
        parts.append({"text": answer.thinking, "thought": True})
    if choice.text or not choice.tool_calls:
        parts.append({"text": choice.text})
    return parts + [_call_part(call) for call in choice.tool_calls]


def _call_part(call: ToolCall) -> Json:
    return {"functionCall": {"name": call.name, "args": call.arguments}}


def _candidate(index: int, parts: list[Json], finish: Finish | None = None) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": index}
    if finish is not None:
        candidate["finishReason"] = _FINISH_REASONS[finish]
    return candidate


def _frame(answer: Answer, candidates: list[Json], output_tokens: int) -> Json:
    return {
        "candidates": candidates,
        **reported("usageMetadata", _usage(answer, output_tokens), answer.usage),
        "modelVersion": answer.model,
        "responseId": answer.id,
    }


def _usage(answer: Answer, output_tokens: int) -> Json:
    """Spell the usage so far: the prompt with what was cached, the candidates without the thoughts."""
    counts = answer.counts
    thoughts = min(counts.reasoning_tokens, output_tokens)
    audio = counts.audio_output_tokens if output_tokens == counts.output_tokens else 0
    candidates = output_tokens - thoughts
    usage = {
        "promptTokenCount": counts.input_tokens,
        "candidatesTokenCount": candidates,
        "totalTokenCount": counts.input_tokens + output_tokens,
        "promptTokensDetails": _by_modality(counts.input_tokens, counts.audio_input_tokens),
        "candidatesTokensDetails": _by_modality(candidates, audio),
    }
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    if counts.cached_tokens:
        usage["cachedContentTokenCount"] = counts.cached_tokens
    return usage


def _by_modality(total: int, audio: int) -> list[Json]:
    counted = (("TEXT", total - audio), ("AUDIO", audio))
    return [{"modality": modality, "tokenCount": count} for modality, count in counted if count > 0]


def events(answer: Answer) -> Iterator[Event]:
    """Spell a stream: a response for each piece with the usage so far, then one with the finish reasons."""
    for step in answer.steps:
        if step.kind == "thinking" and not answer.request.show_thinking:
            continue
        thought = {"thought": True} if step.kind == "thinking" else {}
        part = {"text": step.text, **thought} if step.call is None else _call_part(step.call)
        body = _frame(answer, [_candidate(step.choice, [part])], step.output_tokens)
        yield Event(_sse(body), step.output_tokens, is_content=True)
    total = answer.counts.output_tokens
    ends = [_candidate(choice.index, [{"text": ""}], choice.finish) for choice in answer.choices]
    yield Event(_sse(_frame(answer, ends, total)), total)


def _sse(body: Json) -> bytes:
    return sse(body, end="\r\n")


def error(failure: Failure) -> Json:
    """Spell an error."""
    status, message = _ERRORS.get(failure.status, _ERRORS[500])
    details: list[Json] = []
    if failure.retry_after_s is not None:
        kind = "type.googleapis.com/google.rpc.RetryInfo"
        details.append({"@type": kind, "retryDelay": f"{failure.retry_after_s:g}s"})
    body: Json = {
        "code": failure.status,
        "message": failure.message or message,
        "status": failure.code or status,
    }
    return {"error": {**body, "details": details} if details else body}


def stream_error(failure: Failure, place: StreamPlace) -> bytes:
    """Spell an error amid a stream."""
    return _sse(error(failure))
