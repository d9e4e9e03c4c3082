"""One trace as a tree: which one is worth showing, and what its spans say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm_otel import semconv
from llm_otel.demo.readings import attributes_of
from llm_otel.demo.report import TracedStep

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    Children = dict[int, list[ReadableSpan]]

_NS = 1e9


def most_telling(spans: Sequence[ReadableSpan]) -> TracedStep | None:
    """Return the trace with the most kinds of things in it, then the most spans; `None` without any."""
    traces: defaultdict[int, list[ReadableSpan]] = defaultdict(list)
    for span in spans:
        traces[span.context.trace_id].append(span)
    whole = [trace for trace in traces.values() if _root(trace) is not None]
    if not whole:
        return None
    trace = max(whole, key=lambda each: (_variety(each), len(each)))
    children: Children = defaultdict(list)
    for span in sorted(trace, key=_start_ns):
        if span.parent is not None:
            children[span.parent.span_id].append(span)
    root = _root(trace)
    assert root is not None, "traces without a root were left out"
    return _step(root, children, origin_ns=_start_ns(root))


def _root(trace: Sequence[ReadableSpan]) -> ReadableSpan | None:
    """Return the one span without a parent; a trace whose root was pushed out of memory has none."""
    return next((span for span in trace if span.parent is None), None)


def _variety(trace: Sequence[ReadableSpan]) -> int:
    """Count what can be seen in a trace: nested scopes, attempts, streams, reasoning, several models."""
    attributes = [attributes_of(span) for span in trace]
    models = {each.get(semconv.GEN_AI_REQUEST_MODEL) for each in attributes} - {None}
    return sum(
        (
            sum(semconv.GEN_AI_WORKFLOW_NAME in each for each in attributes) > 1,
            any(semconv.ATTEMPT_NUMBER in each for each in attributes),
            any(semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK in each for each in attributes),
            any(semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS in each for each in attributes),
            len(models) > 1,
            not any(semconv.ERROR_TYPE in each for each in attributes if semconv.ATTEMPT_NUMBER not in each),
        )
    )


def _step(span: ReadableSpan, children: Children, *, origin_ns: int) -> TracedStep:
    attributes = attributes_of(span)
    steps = tuple(_step(child, children, origin_ns=origin_ns) for child in children[span.context.span_id])
    return TracedStep(
        name=span.name,
        start_s=(_start_ns(span) - origin_ns) / _NS,
        duration_s=((span.end_time or 0) - _start_ns(span)) / _NS,
        tokens=_tokens(span),
        cost_nano=_first(span, semconv.COST_NANO_USD, semconv.TOTAL_COST_NANO_USD, semconv.ATTEMPT_COST_NANO_USD),
        is_attempt=semconv.ATTEMPT_NUMBER in attributes,
        is_failed=semconv.ERROR_TYPE in attributes,
        remarks=tuple(_remarks(span)),
        steps=steps,
    )


def _tokens(span: ReadableSpan) -> int | None:
    inputs = _first(span, semconv.GEN_AI_USAGE_INPUT_TOKENS, semconv.TOTAL_INPUT_TOKENS, semconv.ATTEMPT_INPUT_TOKENS)
    outputs = _first(
        span, semconv.GEN_AI_USAGE_OUTPUT_TOKENS, semconv.TOTAL_OUTPUT_TOKENS, semconv.ATTEMPT_OUTPUT_TOKENS
    )
    return None if inputs is None and outputs is None else (inputs or 0) + (outputs or 0)


def _first(span: ReadableSpan, *names: str) -> int | None:
    attributes = attributes_of(span)
    return next((int(attributes[name]) for name in names if name in attributes), None)


def _remarks(span: ReadableSpan) -> list[str]:
    attributes = attributes_of(span)
    remarks = []
    if semconv.ERROR_TYPE in attributes:
        status = attributes.get(semconv.HTTP_RESPONSE_STATUS_CODE)
        remarks.append(f"{attributes[semconv.ERROR_TYPE]}{f' {status}' if status else ''}")
    if semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK in attributes:
        remarks.append(f"first chunk {attributes[semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK]:.2f} s")
    if semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS in attributes:
        remarks.append(f"reasoning {attributes[semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS]:,}")
    return remarks


def _start_ns(span: ReadableSpan) -> int:
    return span.start_time or 0
