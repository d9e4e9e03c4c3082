"""Holds content and log records against the conventions.

The JSON of content is held against schemas of our own hand (`schemas/`). They are stricter than those of the
conventions: what we never write is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.trace import ReadableSpan

from tests.contract import conventions
from tests.contract.checker import Finding, check_attribute, check_missing
from tests.contract.conventions import Attributes, SpanConvention

_SCHEMAS = Path(__file__).parent / "schemas"
_FILES = {
    "gen_ai.input.messages": "input-messages.json",
    "gen_ai.output.messages": "output-messages.json",
    "gen_ai.system_instructions": "system-instructions.json",
    "gen_ai.tool.definitions": "tool-definitions.json",
}
CONTENT = frozenset(_FILES)
"""The attributes that hold what was said."""


def _validator(file: str) -> Draft202012Validator:
    schema = json.loads((_SCHEMAS / file).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


_VALIDATORS = {attribute: _validator(file) for attribute, file in _FILES.items()}


def content_errors(attribute: str, value: Any) -> list[str]:
    """Say what is wrong with what an attribute says; a string is the JSON of it, as on spans."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as exc:
            return [f"{attribute} is no JSON: {exc}"]
    # The SDK makes tuples of lists and mappings of dictionaries.
    found = json.loads(json.dumps(value, default=dict))
    return [f"{attribute}: {error.json_path}: {error.message}" for error in _VALIDATORS[attribute].iter_errors(found)]


def check_span_content(spans: Iterable[ReadableSpan]) -> list[Finding]:
    """Check what stands on spans of those who asked for it."""
    return [
        Finding("content_schema", span.name, error)
        for span in spans
        for name in CONTENT & (span.attributes or {}).keys()
        for error in content_errors(name, (span.attributes or {})[name])
    ]


def check_logs(logs: Iterable[ReadableLogRecord], *, with_content: bool = False) -> list[Finding]:
    """Check every log record of ours: its name, its severity, and what stands in its attributes."""
    return [
        finding
        for log in logs
        if log.instrumentation_scope is not None and log.instrumentation_scope.name == conventions.SCOPE_NAME
        for finding in _check_log(log, with_content=with_content)
    ]


def _check_log(log: ReadableLogRecord, *, with_content: bool) -> Iterator[Finding]:
    record = log.log_record
    name = record.event_name or "(no name)"

    def say(rule: str, message: str) -> Finding:
        return Finding(rule, name, message)

    known = conventions.LOG_EVENTS.get(name)
    if known is None:
        yield say("unknown_event", "it is in no registry")
        return
    assert log.instrumentation_scope is not None
    if log.instrumentation_scope.schema_url != conventions.SCHEMA_URL:
        yield say("schema_url", f"the scope does not say {conventions.SCHEMA_URL}")
    number = None if record.severity_number is None else record.severity_number.value
    if (record.severity_text, number) != (known.severity, known.number):
        yield say("severity", f"{record.severity_text} ({number}) should be {known.severity} ({known.number})")
    if record.body is not None:
        yield say("body", "everything stands in attributes")
    if not record.trace_id or not record.span_id:
        yield say("context", "it belongs to no span")
    attributes: Attributes = record.attributes or {}
    yield from _check_content(attributes, with_content=with_content, name=name)
    convention = SpanConvention((), "CLIENT", known.attributes, known.templates)
    for attribute, value in attributes.items():
        if attribute not in CONTENT:
            yield from check_attribute(attribute, value, attributes, convention, say)
    yield from check_missing(attributes, convention, say)


def _check_content(attributes: Attributes, *, with_content: bool, name: str) -> Iterator[Finding]:
    for attribute in CONTENT & attributes.keys():
        value = attributes[attribute]
        if not with_content or attribute not in conventions.LOG_EVENTS[name].attributes:
            yield Finding("content", name, f"{attribute} is recorded only by those who ask for it")
        elif isinstance(value, str):
            yield Finding("content_structure", name, f"{attribute} is a string: events have structures")
        else:
            yield from (Finding("content_schema", name, error) for error in content_errors(attribute, value))
