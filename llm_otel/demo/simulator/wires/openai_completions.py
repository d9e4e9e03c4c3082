"""OpenAI's older completions: text in, text out, plain and as server-sent events.

Source: the OpenAI API reference for `/v1/completions`, 2025-11. A prompt has no frame; without `max_tokens` the
answer ends after 16. Several prompts get `n` choices each, numbered on.
"""

from collections.abc import Iterator
from typing import Final

from llm_otel.demo.simulator.chat import Answer, ChatRequest, Finish, Json
from llm_otel.demo.simulator.wires import fields, openai
from llm_otel.demo.simulator.wires.spelling import Event, reported, sse

PROVIDER: Final = openai.PROVIDER
STREAM_TYPE: Final = openai.STREAM_TYPE

key_of = openai.key_of
refuse_key = openai.refuse_key
headers = openai.headers
error = openai.error
stream_error = openai.stream_error

_DEFAULT_MAX_TOKENS = 16


def matches(path: str) -> bool:
    """Tell whether a path belongs to this format."""
    return path.endswith("/completions") and not openai.matches(path)


def parse(path: str, body: Json) -> ChatRequest:
    """Read a request.

    Raises:
        InvalidRequestError: A required field is missing, or one has the wrong type.
    """
    prompts = fields.inputs(body, "prompt")
    return ChatRequest(
        provider=PROVIDER,
        model=fields.text(body, "model"),
        segments=tuple(prompts),
        stream=body.get("stream") is True,
        include_usage=fields.record(body, "stream_options").get("include_usage") is True,
        max_tokens=fields.positive(body, "max_tokens") or _DEFAULT_MAX_TOKENS,
        choices=len(prompts) * (fields.positive(body, "n") or 1),
    )


def render(answer: Answer) -> Json:
    """Spell an answer that is not streamed."""
    choices = [_choice(choice.index, choice.text, choice.finish) for choice in answer.choices]
    return {**_frame(answer, choices), **reported("usage", openai.usage(answer), answer.usage)}


def _frame(answer: Answer, choices: list[Json]) -> Json:
    return {
        "id": f"cmpl-{answer.id}",
        "object": "text_completion",
        "created": answer.created,
        "model": answer.model,
        "system_fingerprint": "fp_simulator",
        "choices": choices,
    }


def _choice(index: int, text: str, finish: Finish | None = None) -> Json:
    # There are no tools here: whatever a script says, the text just stops.
    word = Finish.STOP if finish is Finish.TOOL_CALLS else finish
    return {"text": text, "index": index, "logprobs": None, "finish_reason": word and str(word)}


def events(answer: Answer) -> Iterator[Event]:
    """Spell a stream: the pieces, each choice ended, usage if asked for, `[DONE]`."""
    for step in answer.steps:
        if step.kind == "text":
            yield Event(_chunk(answer, _choice(step.choice, step.text)), step.output_tokens, is_content=True)
    total = answer.counts.output_tokens
    for choice in answer.choices:
        yield Event(_chunk(answer, _choice(choice.index, "", choice.finish)), total)
    last = reported("usage", openai.usage(answer), answer.usage)
    if answer.request.include_usage and last:
        yield Event(sse({**_frame(answer, []), **last}), total)
    yield Event(b"data: [DONE]\n\n", total)


def _chunk(answer: Answer, choice: Json) -> bytes:
    frame = _frame(answer, [choice])
    return sse({**frame, "usage": None} if answer.request.include_usage else frame)
