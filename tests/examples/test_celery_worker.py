"""The Celery example: a task runs in the trace and with the tags of its sender, in a real worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from celery.contrib.testing.worker import start_worker

from llm_otel import traced_llm

pytestmark = pytest.mark.wire


@pytest.fixture
def root_logger() -> Iterator[None]:
    """What Celery does to it in a worker is undone."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def worker(root_logger: None, load: Callable[[str], ModuleType]) -> Iterator[ModuleType]:
    """The example, with a worker that takes its tasks from a broker in memory."""
    example = load("celery_worker")
    with start_worker(example.app, pool="solo", perform_ping_check=False, shutdown_timeout=60):
        yield example


def test_a_task_runs_where_its_sender_stands(worker: ModuleType, spans: Any) -> None:
    """Its scope is under the sender's span, with the tags that may cross, and no other."""
    with traced_llm("nightly-digest", tags={"team": "growth", "user": "john"}) as sender:
        result = worker.summarize.delay("A long story.")
        assert isinstance(result.get(timeout=60), str)

    scope, call = spans.named("invoke_workflow summarize"), spans.named("chat gpt-4o-mini")
    assert spans.named("invoke_workflow nightly-digest").get_span_context().span_id == scope.parent.span_id
    assert scope.get_span_context().span_id == call.parent.span_id
    assert {"llm_otel.tag.team": "growth"} == {
        name: value for name, value in call.attributes.items() if name.startswith("llm_otel.tag.")
    }
    assert (0, 1) == (sender.calls, scope.attributes["llm_otel.total.calls"])


def test_a_task_without_a_sender_has_a_trace_of_its_own(worker: ModuleType, spans: Any) -> None:
    """As from a schedule; headers of the caller's own stay."""
    worker.summarize.apply_async(("A long story.",), headers={"tenant": "t1"}).get(timeout=60)

    scope = spans.named("invoke_workflow summarize")
    assert scope.parent is None
    assert "llm_otel.tag.team" not in scope.attributes
