"""Ollama's `/api/chat`, plain and as lines of JSON, and what a client asks about its models.

Source: Ollama's `docs/api.md`, 2025-11. A request streams unless it says otherwise. Nothing is cached or
priced; the count of the answer includes its thinking.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from llm_otel.demo.simulator.chat import Answer, ChatRequest, Json, Provider, Segment, Step, ToolCall
from llm_otel.demo.simulator.wires import fields
from llm_otel.demo.simulator.wires.spelling import Event, Failure, Refusal, StreamPlace, bearer, ndjson, reported_flat

PROVIDER: Final = Provider.OLLAMA
STREAM_TYPE: Final = "application/x-ndjson"

_FRAME_TOKENS = 4

_ERRORS: Final[Mapping[int, str]] = {
    400: "invalid request",
    401: "unauthorized",
    403: "forbidden",
    404: "model not found, try pulling it first",
    408: "request timed out",
    429: "too many requests",
    500: "llama runner process has terminated: exit status 2",
    503: "server busy, please try again. maximum pending requests exceeded",
}

_CONTEXT_LENGTH = 8192


def matches(path: str) -> bool:
    """Tell whether a path belongs to this format."""
    return path.endswith("/api/chat")


def key_of(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """Return the key a request carries; a local Ollama asks for none, one behind a proxy may."""
    return bearer(headers)


def refuse_key(key: str | None) -> Refusal:
    """Say what is wrong with a key."""
    return Refusal(401, "unauthorized", "unauthorized")


def parse(path: str, body: Json) -> ChatRequest:
    """Read a request.

    Raises:
        InvalidRequestError: A required field is missing, or one has the wrong type.
    """
    wrapped = [fields.record(tool, "function") for tool in fields.records(body, "tools")]
    return ChatRequest(
        provider=PROVIDER,
        model=fields.text(body, "model"),
        segments=tuple(_segments(body)),
        stream=body.get("stream") is not False,
        max_tokens=max_tokens(body),
        tools=fields.named_tools(wrapped, "parameters"),
        json_schema=json_schema(body),
        thinking=bool(body.get("think")),
    )


def max_tokens(body: Json) -> int | None:
    """Return `num_predict`, of which -1 and -2 mean no limit."""
    wanted = fields.record(body, "options").get("num_predict")
    return wanted if isinstance(wanted, int) and wanted > 0 else None


def json_schema(body: Json) -> Json | None:
    """Return the schema that `format` asks for; an empty one asks for any JSON."""
    wanted = body.get("format")
    return wanted if isinstance(wanted, dict) else {} if wanted == "json" else None


def _segments(body: Json) -> Iterator[Segment]:
    definitions = fields.records(body, "tools")
    if definitions:
        yield Segment(fields.compact(definitions))
    for message in fields.records(body, "messages", required=True):
        role = fields.string(message, "role")
        if role is None:
            raise fields.InvalidRequestError("messages: every message needs a role")
        yield Segment(fields.string(message, "content") or "", filler=role, filler_tokens=_FRAME_TOKENS)
        yield from images(message)
        calls = fields.records(message, "tool_calls")
        if calls:
            yield Segment(fields.compact(calls))


def images(owner: Json) -> Iterator[Segment]:
    """Yield what the images of a message or a prompt cost."""
    given = owner.get("images")
    yield from (fields.image(source) for source in given) if isinstance(given, list) else ()


def headers(answer: Answer) -> dict[str, str]:
    """Return the headers of a good answer: Ollama has none of its own."""
    return {}


def render(answer: Answer) -> Json:
    """Spell an answer that is not streamed."""
    choice = answer.choices[0]
    message: Json = {"role": "assistant", "content": choice.text}
    if answer.thinking:
        message["thinking"] = answer.thinking
    if choice.tool_calls:
        message["tool_calls"] = [_call(call) for call in choice.tool_calls]
    return end(answer, {"message": message})


def events(answer: Answer) -> Iterator[Event]:
    """Spell a stream: a line for each piece, then one with the counts."""
    for step in answer.steps:
        message = {"role": "assistant", "content": "", **_piece(step)}
        line = ndjson({**frame(answer), "message": message, "done": False})
        yield Event(line, step.output_tokens, is_content=True)
    last = {"message": {"role": "assistant", "content": ""}}
    yield Event(ndjson(end(answer, last)), answer.counts.output_tokens)


def _piece(step: Step) -> Json:
    if step.call is not None:
        return {"tool_calls": [_call(step.call)]}
    return {"thinking": step.text} if step.kind == "thinking" else {"content": step.text}


def _call(call: ToolCall) -> Json:
    return {"function": {"name": call.name, "arguments": call.arguments}}


def frame(answer: Answer) -> Json:
    """Spell what every part of an answer begins with."""
    return {"model": answer.model, "created_at": _timestamp(answer.created)}


def _timestamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def end(answer: Answer, said: Json) -> Json:
    """Spell the last part of an answer, or the only one, with its counts."""
    finish = answer.choices[0].finish
    counted = {"prompt_eval_count": answer.counts.input_tokens, "eval_count": answer.counts.output_tokens}
    return {
        **frame(answer),
        **said,
        "done": True,
        "done_reason": "length" if finish == "length" else "stop",
        "total_duration": 1_000_000,
        "load_duration": 100_000,
        "prompt_eval_duration": 300_000,
        "eval_duration": 600_000,
        **reported_flat(counted, answer.usage),
    }


def error(failure: Failure) -> Json:
    """Spell an error."""
    return {"error": failure.message or _ERRORS.get(failure.status, _ERRORS[500])}


def stream_error(failure: Failure, place: StreamPlace) -> bytes:
    """Spell an error amid a stream."""
    return ndjson(error(failure))


def look_up(path: str, models: Sequence[str]) -> Json | None:
    """Answer `/api/tags`, `/api/show` and `/api/version`; None for anything else."""
    match path:
        case "/api/tags":
            return {"models": [_tag(name) for name in models]}
        case "/api/show":
            return _show()
        case "/api/version":
            return {"version": "0.13.0"}
        case _:
            return None


def _tag(name: str) -> Json:
    full = name if ":" in name else f"{name}:latest"
    return {"name": full, "model": full, "size": 0, "digest": "", "details": _details()}


def _details() -> Json:
    return {"format": "gguf", "family": "llama", "parameter_size": "8B", "quantization_level": "Q4_0"}


def _show() -> Json:
    return {
        "template": "{{ if .Tools }}{{ .Tools }}{{ end }}{{ .Prompt }}",
        "details": _details(),
        "model_info": {"general.architecture": "llama", "llama.context_length": _CONTEXT_LENGTH},
        "capabilities": ["completion", "tools"],
    }
