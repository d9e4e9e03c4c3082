"""OpenAI's responses, whole and as server-sent events.

Source: the OpenAI API reference for `/v1/responses` and its streaming events, 2025-11, and the types of its SDK
2.54. The output counts the reasoning, which is never shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from llm_otel.demo.simulator.chat import Answer, Finish, Json, Step
from llm_otel.demo.simulator.wires import openai, openai_responses_request
from llm_otel.demo.simulator.wires.openai_responses_request import ID_PREFIX
from llm_otel.demo.simulator.wires.spelling import Event, Failure, StreamPlace, reported, sse

PROVIDER: Final = openai.PROVIDER
STREAM_TYPE: Final = openai.STREAM_TYPE

key_of = openai.key_of
refuse_key = openai.refuse_key
headers = openai.headers
error = openai.error
parse = openai_responses_request.parse

_CUT_BY: Final = {Finish.LENGTH: "max_output_tokens", Finish.CONTENT_FILTER: "content_filter"}


def matches(path: str) -> bool:
    """Tell whether a path belongs to this format."""
    return path.endswith("/responses")


def render(answer: Answer) -> Json:
    """Spell a finished answer: complete, or cut short and saying why."""
    cut_by = _CUT_BY.get(answer.choices[0].finish)
    ended: Json = {
        "status": "incomplete" if cut_by else "completed",
        "incomplete_details": {"reason": cut_by} if cut_by else None,
        "completed_at": None if cut_by else answer.created,
        "output": _items(answer),
        **reported("usage", _usage(answer), answer.usage),
    }
    return {**_begun(answer), **ended}


def _begun(answer: Answer) -> Json:
    tier = answer.service_tier
    return {
        **answer.request.echoed,
        "id": ID_PREFIX + answer.id,
        "object": "response",
        "created_at": answer.created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": answer.model,
        "output": [],
        "service_tier": "default" if tier in (None, "auto") else tier,
        "usage": None,
    }


def _items(answer: Answer) -> list[Json]:
    """Spell the output: the reasoning, the message, the calls; each where there is one."""
    choice = answer.choices[0]
    found = [_reasoning(answer)] if answer.counts.reasoning_tokens else []
    if choice.text or not (choice.tool_calls or choice.finish is Finish.LENGTH):
        found.append(_message(answer))
    return found + [_function_call(answer, number) for number in range(len(choice.tool_calls))]


def _reasoning(answer: Answer) -> Json:
    return {"id": f"rs_{answer.id}", "type": "reasoning", "summary": []}


def _message(answer: Answer) -> Json:
    choice = answer.choices[0]
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "status": "incomplete" if choice.finish in _CUT_BY else "completed",
        "role": "assistant",
        "content": [_text_part(choice.text)],
    }


def _text_part(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _function_call(answer: Answer, number: int) -> Json:
    call = answer.choices[0].tool_calls[number]
    return {
        "id": f"fc_{answer.id}{number:02d}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{answer.id[:20]}{number:02d}",
        "name": call.name,
        "arguments": call.arguments_json,
    }


def _usage(answer: Answer) -> Json:
    """Spell the usage: inclusive on both sides, with the parts in the details."""
    counts = answer.counts
    return {
        "input_tokens": counts.input_tokens,
        "input_tokens_details": {
            "cached_tokens": counts.cached_tokens,
            "cache_write_tokens": counts.cache_write_tokens,
        },
        "output_tokens": counts.output_tokens,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning_tokens},
        "total_tokens": counts.input_tokens + counts.output_tokens,
    }


@dataclass(frozen=True, slots=True)
class _Told:
    """One event before it is numbered."""

    kind: str
    body: Json
    output_tokens: int = 0
    is_content: bool = False


def events(answer: Answer) -> Iterator[Event]:
    """Spell a stream: the answer begun, each item of the output from its start to its end, the answer ended."""
    for number, told in enumerate(_lifecycle(answer)):
        yield Event(_sse(told.kind, number, told.body), told.output_tokens, told.is_content)


def _sse(kind: str, number: int, body: Json) -> bytes:
    return sse({"type": kind, "sequence_number": number, **body}, event=kind)


def _lifecycle(answer: Answer) -> Iterator[_Told]:
    for state in ("created", "in_progress"):
        yield _Told(f"response.{state}", {"response": _begun(answer)})
    for index, item in enumerate(_items(answer)):
        match item["type"]:
            case "reasoning":
                yield from _around(index, item, item, iter(()), answer.counts.reasoning_tokens)
            case "message":
                yield from _message_events(answer, index, item)
            case _:
                yield from _call_events(answer, index, item)
    ended = render(answer)
    yield _Told(f"response.{ended['status']}", {"response": ended}, answer.counts.output_tokens)


def _around(index: int, begun: Json, done: Json, told: Iterator[_Told], reached: int) -> Iterator[_Told]:
    """Put the start and the end of an item around what is told of it; `reached` is its last output token."""
    yield _Told("response.output_item.added", {"output_index": index, "item": begun})
    yield from told
    yield _Told("response.output_item.done", {"output_index": index, "item": done}, reached)


def _message_events(answer: Answer, index: int, item: Json) -> Iterator[_Told]:
    steps = [step for step in answer.steps if step.kind == "text"]
    reached = steps[-1].output_tokens if steps else answer.counts.reasoning_tokens
    begun = {**item, "status": "in_progress", "content": []}
    yield from _around(index, begun, item, _text_events(item, index, steps, reached), reached)


def _text_events(item: Json, index: int, steps: list[Step], reached: int) -> Iterator[_Told]:
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    (part,) = item["content"]
    yield _Told("response.content_part.added", {**place, "part": _text_part("")})
    for step in steps:
        delta = {**place, "delta": step.text, "logprobs": []}
        yield _Told("response.output_text.delta", delta, step.output_tokens, is_content=True)
    yield _Told("response.output_text.done", {**place, "text": part["text"], "logprobs": []}, reached)
    yield _Told("response.content_part.done", {**place, "part": part}, reached)


def _call_events(answer: Answer, index: int, item: Json) -> Iterator[_Told]:
    (step,) = (s for s in answer.steps if s.call and _function_call(answer, s.call_index)["id"] == item["id"])
    begun = {**item, "status": "in_progress", "arguments": ""}
    yield from _around(index, begun, item, _argument_events(item, index, step), step.output_tokens)


def _argument_events(item: Json, index: int, step: Step) -> Iterator[_Told]:
    place = {"item_id": item["id"], "output_index": index}
    delta = {**place, "delta": item["arguments"]}
    yield _Told("response.function_call_arguments.delta", delta, step.output_tokens, is_content=True)
    done = {**place, "name": item["name"], "arguments": item["arguments"]}
    yield _Told("response.function_call_arguments.done", done, step.output_tokens)


def stream_error(failure: Failure, place: StreamPlace) -> bytes:
    """Spell an error amid a stream, in one of the two forms: an `error` event, or an answer that has failed."""
    spelled = error(failure)["error"]
    if place.how == "error":
        return _sse("error", place.number, {"error": spelled})
    problem = {"code": spelled["code"] or spelled["type"], "message": spelled["message"]}
    answer = {**_begun(place.answer), "status": "failed", "error": problem}
    return _sse("response.failed", place.number, {"response": answer})
