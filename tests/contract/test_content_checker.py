"""The checker of content and of log records checks: each rule has a violation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

from tests.contract import content
from tests.contract.content import CONTENT, check_logs, check_span_content, content_errors
from tests.contract.conventions import SCHEMA_URL

SCOPE = InstrumentationScope("llm_otel", "1.0", SCHEMA_URL)
SPAN = set_span_in_context(NonRecordingSpan(SpanContext(1, 2, is_remote=False)))
HELLO = [{"role": "user", "parts": [{"type": "text", "content": "Hello!"}]}]
EXCEPTION = {
    "exception.type": "RateLimitError",
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "http.response.status_code": 429,
}
DETAILS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.input.messages": HELLO,
    "error.type": "CancelledError",
    "llm_otel.outcome": "cancelled",
}


def log(attributes: Any = None, scope: InstrumentationScope = SCOPE, **changes: Any) -> ReadableLogRecord:
    """Return a log record: a good exception, but for these changes."""
    given = {
        "event_name": "gen_ai.client.operation.exception",
        "severity_number": SeverityNumber.WARN,
        "severity_text": "WARN",
        "context": SPAN,
        "attributes": EXCEPTION if attributes is None else attributes,
    }
    return ReadableLogRecord(LogRecord(**(given | changes)), Resource.get_empty(), scope)


def details(**changes: Any) -> ReadableLogRecord:
    """Return the event of a cancelled call, but for these changes."""
    return log(
        DETAILS | changes,
        event_name="gen_ai.client.inference.operation.details",
        severity_number=SeverityNumber.DEBUG,
        severity_text="DEBUG",
    )


def test_good_log_records_pass():
    """And those of others are left alone."""
    foreign = log(scope=InstrumentationScope("other"), event_name="theirs")

    assert [] == check_logs([log(), details(), foreign], with_content=True)


BAD_LOGS = [
    ("unknown_event", log(event_name="gen_ai.choice")),
    ("schema_url", log(scope=InstrumentationScope("llm_otel", "1.0"))),
    ("severity", log(severity_number=SeverityNumber.INFO, severity_text="INFO")),
    ("body", log(body="RateLimitError")),
    ("context", log(context=set_span_in_context(NonRecordingSpan(SpanContext(0, 0, is_remote=False))))),
    ("required", log({name: EXCEPTION[name] for name in EXCEPTION if name != "exception.type"})),
    ("unknown_attribute", log(EXCEPTION | {"exception.message": "no"})),
    ("value", log(EXCEPTION | {"exception.type": "It said: no"})),
    ("content", log(EXCEPTION | {"gen_ai.input.messages": HELLO})),
    ("content_structure", details(**{"gen_ai.input.messages": json.dumps(HELLO)})),
    ("content_schema", details(**{"gen_ai.input.messages": [{"role": "user"}]})),
]


@pytest.mark.parametrize(("rule", "bad"), BAD_LOGS)
def test_a_bad_log_record_is_found(rule, bad):
    """One rule after the other."""
    assert [rule] == [finding.rule for finding in check_logs([bad], with_content=True)]


def test_content_is_found_where_nobody_asked_for_it():
    """In events as on spans."""
    assert ["content"] == [finding.rule for finding in check_logs([details()])]


def test_every_rule_has_a_violation_here():
    """A rule that nothing breaks may check nothing."""
    source = Path(content.__file__).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:say|Finding)\(\s*\"(\w+)\"", source))

    assert set() == named - {rule for rule, _ in BAD_LOGS}


def message(*parts: Any, **changes: Any) -> list[dict[str, Any]]:
    """Return one message."""
    return [{"role": "user", "parts": list(parts)} | changes]


TEXT = {"type": "text", "content": "Hello!"}


@pytest.mark.parametrize(
    "bad",
    [
        [],
        {},
        "no JSON",
        message({"type": "text"}),
        message({"type": "text", "content": 3}),
        message({"content": "Hello!"}),
        message(TEXT | {"more": 1}),
        message({"type": "tool_call", "arguments": {}}),
        message({"type": "tool_call_response", "result": "x"}),
        message({"type": "blob", "modality": "image", "content": "iVBORw0KGgo="}),
        message({"type": "blob", "modality": "smell", "content": ""}),
        message({"type": "uri", "modality": "image", "uri": "data:image/png;base64,AAAA"}),
        message(TEXT, role=None),
        message(TEXT, finish_reason="stop"),
    ],
    ids=repr,
)
def test_bad_messages_are_found(bad):
    """Both ways, and on spans as JSON."""
    name = "gen_ai.input.messages"
    span = ReadableSpan("chat", attributes={name: bad if isinstance(bad, str) else json.dumps(bad)})

    assert content_errors(name, bad)
    assert content_errors("gen_ai.output.messages", bad)
    assert {"content_schema"} == {finding.rule for finding in check_span_content([span])}


def test_bad_instructions_and_tools_are_found():
    """They have schemas of their own."""
    assert {"gen_ai.input.messages", "gen_ai.output.messages"} < CONTENT
    assert content_errors("gen_ai.system_instructions", HELLO)
    assert content_errors("gen_ai.tool.definitions", [{"type": "function"}])
