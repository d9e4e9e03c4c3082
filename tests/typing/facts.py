"""The facts of a call never change: recorders on other threads read them at leisure, and mypy holds whoever writes."""
# Nobody calls this function, so that there is nothing to say of it.
# ruff: noqa: D103

from llm_otel.call import CallRecord
from llm_otel.usage import Usage


def overwrite(record: CallRecord, usage: Usage) -> None:
    record.cost_nano = 0  # type: ignore[misc]
    record.answer.text = ""  # type: ignore[misc]
    record.request.model = ""  # type: ignore[misc]
    record.attempts[0].cost = None  # type: ignore[misc]
    usage.input_tokens = 0  # type: ignore[misc]
