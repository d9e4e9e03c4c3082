"""The FastAPI example, over real HTTP: scopes to the end of a stream, and a trace through two services."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import httpx
import pytest
import uvicorn
from opentelemetry import propagate, trace

from llm_otel.demo.simulator import Hang, Reply, Simulator

pytestmark = pytest.mark.wire

PATIENCE_S = 60
QUESTION = {"text": "Why is the sky blue?"}


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an app on loopback; yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    listening = server.config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        listening.close()


@pytest.fixture
def example(load: Callable[[str], ModuleType]) -> ModuleType:
    """The example."""
    return load("fastapi_service")


@pytest.fixture
def service(example: ModuleType) -> Iterator[str]:
    """Its address."""
    with served(example.app) as address:
        yield address


@pytest.fixture
def ended(spans: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`ended(2)` waits until two scopes have ended: a client has its answer a moment before."""
    one_more = threading.Semaphore(0)
    on_end = spans.on_end

    def noticed(span: Any) -> None:
        on_end(span)
        if span.name.startswith("invoke_workflow"):
            one_more.release()

    monkeypatch.setattr(spans, "on_end", noticed)

    def wait(count: int) -> None:
        assert all(one_more.acquire(timeout=PATIENCE_S) for _ in range(count))

    return wait


def post(address: str, path: str, **headers: str) -> httpx.Response:
    """Ask the service."""
    return httpx.post(f"{address}{path}", json=QUESTION, headers=headers, timeout=PATIENCE_S).raise_for_status()


def tags_of(span: Any) -> dict[str, str]:
    """Return the tags on a span."""
    return {
        name.removeprefix("llm_otel.tag."): value
        for name, value in span.attributes.items()
        if name.startswith("llm_otel.tag.")
    }


@pytest.mark.parametrize("path", ["/answer", "/stream"])
def test_a_request_is_a_scope(path: str, service: str, spans: Any, ended: Callable[[int], None]) -> None:
    """With tags from the request and from its baggage, and its calls inside: in a thread, or in a stream."""
    response = post(service, path, **{"x-user": "john", "baggage": "team=search,secret=1"})
    ended(1)

    request, call = spans.named("invoke_workflow request"), spans.named("chat gpt-4o-mini")
    assert response.text
    assert {"user": "john", "team": "search"} == tags_of(request) == tags_of(call)
    assert request.get_span_context().span_id == call.parent.span_id
    assert (1, call.attributes["gen_ai.usage.output_tokens"]) == (
        request.attributes["llm_otel.total.calls"],
        request.attributes["llm_otel.total.output_tokens"],
    )
    assert request.start_time <= call.start_time <= call.end_time <= request.end_time


def test_a_client_that_hangs_up_ends_the_stream(
    service: str, providers: Simulator, spans: Any, ended: Callable[[int], None]
) -> None:
    """The call is closed inside its scope, and what was received by then is booked."""
    providers.script(Hang(after_chunks=1, reply=Reply("word " * 40)))
    with httpx.stream("POST", f"{service}/stream", json=QUESTION, timeout=PATIENCE_S) as response:
        next(response.iter_text())
    ended(1)

    request, call = spans.named("invoke_workflow request"), spans.named("chat gpt-4o-mini")
    assert call.attributes["llm_otel.outcome"] in {"cancelled", "abandoned"}
    assert request.get_span_context().span_id == call.parent.span_id
    assert 1 == request.attributes["llm_otel.total.calls"]
    assert 0 < call.attributes["gen_ai.usage.output_tokens"] == request.attributes["llm_otel.total.output_tokens"]


def test_a_trace_and_its_tags_go_through_two_services(
    example: ModuleType, service: str, monkeypatch: pytest.MonkeyPatch, spans: Any, ended: Callable[[int], None]
) -> None:
    """By the headers of W3C alone: what the first service says of its calls is true of those of the second."""
    with served(example.app) as other:
        monkeypatch.setenv("ANSWERS_URL", other)
        with trace.get_tracer("client").start_as_current_span("click"):
            headers: dict[str, str] = {"baggage": "team=search"}
            propagate.inject(headers)
            post(service, "/relay", **headers, **{"x-user": "john"})
        ended(3)

    click, relay, call = spans.named("click"), spans.named("invoke_workflow relay"), spans.named("chat gpt-4o-mini")
    first, second = sorted(
        (span for span in spans.ended if span.name == "invoke_workflow request"), key=lambda span: span.start_time
    )
    parents = [span.parent.span_id for span in (first, relay, second, call)]
    assert [span.get_span_context().span_id for span in (click, first, relay, second)] == parents
    assert {"team": "search", "user": "john"} == tags_of(first)
    assert {"team": "search", "feature": "relay", "user": "anonymous"} == tags_of(second) == tags_of(call)
