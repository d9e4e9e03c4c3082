"""Others who would count the same calls: kept quiet where they look, named in the log where they do not."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from llm_otel import LLMConfig, LLMRouter, instrument, traced_llm, uninstrument
from llm_otel.intercept import disarm, neighbours
from tests.wire.asking import KINDS, Asker
from tests.wire.callers import HELLO

CHAT = Asker(KINDS["chat"])


# --- instrumentations that are built on opentelemetry-util-genai ------------------------------------------------------


class Underneath:
    """The instrumentation of an SDK: `TelemetryHandler` around what LiteLLM calls."""

    def __init__(self, original, operation):
        self.original = original
        self.operation = operation
        self.seen = []
        self.reader = InMemoryMetricReader()
        genai = pytest.importorskip("opentelemetry.util.genai.handler", reason="its newest OpenTelemetry is needed")
        self.handler = genai.TelemetryHandler(meter_provider=MeterProvider([self.reader]))

    def __call__(self, *args, **kwargs):
        with getattr(self.handler, self.operation)("openai", request_model="gpt-4o-mini") as invocation:
            self.seen.append(type(invocation).__name__)
            return self.original(*args, **kwargs)

    @property
    def metrics(self):
        """What it has counted."""
        data = self.reader.get_metrics_data()
        return [] if data is None else data.resource_metrics


@pytest.fixture
def underneath(monkeypatch, litellm):
    """`underneath(operation)` puts one around the HTTP of the OpenAI SDK."""
    import httpx

    def put(operation):
        found = Underneath(httpx.Client.send, operation)
        monkeypatch.setattr(httpx.Client, "send", lambda *args, **kwargs: found(*args, **kwargs))
        return found

    return put


@pytest.mark.parametrize("name", KINDS)
def test_no_second_span_for_one_call(name, instrumented, underneath, simulator, books, spans):
    """What is underneath finds the mark of the call, and neither traces nor counts."""
    operation = "embedding" if name == "embeddings" else "inference"
    inner = underneath(operation)
    Asker(KINDS[name]).ask()

    assert [f"Suppressed{operation.title()}Invocation"] == inner.seen
    assert [KINDS[name].span] == [span.name for span in spans.ended]
    assert [] == inner.metrics


def test_the_router_marks_its_calls_too(underneath, simulator, books, spans):
    """Every entrance goes the same way."""
    inner = underneath("inference")
    LLMRouter().complete(HELLO, LLMConfig(model="gpt-4o-mini"))

    assert ["SuppressedInferenceInvocation"] == inner.seen


def test_without_us_it_is_heard(underneath, litellm, simulator, spans):
    """The mark is gone after the call, and was never there without one."""
    disarm()
    inner = underneath("inference")
    instrument()
    CHAT.ask()
    uninstrument()
    CHAT.ask()

    assert ["SuppressedInferenceInvocation", "InferenceInvocation"] == inner.seen
    spans.ended[:] = [span for span in spans.ended if span.instrumentation_scope.name == "llm_otel"]


def test_the_package_is_not_loaded_for_it():
    """Where nobody has loaded it, nobody looks."""
    program = (
        "import sys, llm_otel, warnings; warnings.simplefilter('ignore'); llm_otel.instrument(); import litellm;"
        "litellm.completion('gpt-4o-mini', [{'role': 'user', 'content': 'Hi'}], mock_response='Hi');"
        "print([name for name in sys.modules if name.startswith('opentelemetry.util.genai')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": ""},
    )
    assert "[]" == done.stdout.strip().splitlines()[-1]


# --- LiteLLM's own callbacks ------------------------------------------------------------------------------------------


class OpenTelemetry:
    """As LiteLLM's class is called."""


class Ours(OpenTelemetry):
    """Of somebody who has made one of his own of it."""


def answer(model, messages, **options):
    """Stand in for `litellm.completion`."""
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    choices = [{"finish_reason": "stop", "message": {"content": "Hi"}}]
    return {"id": "1", "model": "gpt-4o-mini", "choices": choices, "usage": usage}


@pytest.fixture
def callbacks(litellm, monkeypatch):
    """LiteLLM's lists of callbacks, of this test alone; nothing told yet; and nobody who would call them."""
    disarm()
    monkeypatch.setattr(neighbours, "_told", set())
    monkeypatch.setattr(litellm, "completion", answer)
    for name in ("callbacks", "success_callback"):
        monkeypatch.setattr(litellm, name, [])
    yield litellm
    uninstrument()
    disarm()


def told(caplog):
    """Return the callbacks that were named."""
    return [each.split()[1] for each in caplog.messages if each.startswith("llm_otel.litellm_callback ")]


@pytest.mark.parametrize("entrance", ["instrument", "scope"])
@pytest.mark.parametrize(
    ("where", "callback", "name"),
    [
        ("callbacks", "otel", "otel"),
        ("success_callback", "prometheus", "prometheus"),
        ("callbacks", OpenTelemetry(), "otel"),
        ("callbacks", Ours(), "otel"),
    ],
    ids=["otel", "prometheus", "object", "subclass"],
)
def test_a_callback_that_reports_the_same(entrance, where, callback, name, callbacks, caplog, simulator, books):
    """It is named once, when it is there at the first call; LiteLLM's lists stay as they are."""
    getattr(callbacks, where).append(callback)
    with caplog.at_level(logging.WARNING, logger="llm_otel"):
        if entrance == "instrument":
            instrument()
        for _ in range(2):
            with traced_llm("work"):
                CHAT.ask()

    assert [f"callback={name}:"] == told(caplog)
    assert callback in getattr(callbacks, where)


def test_a_callback_that_is_set_later(callbacks, caplog, simulator, books):
    """Applications set them after they have imported LiteLLM: who looks at the first call sees it."""
    instrument()
    callbacks.callbacks.append("otel")
    with caplog.at_level(logging.WARNING, logger="llm_otel"):
        CHAT.ask()

    assert ["callback=otel:"] == told(caplog)


def test_other_callbacks(callbacks, caplog, simulator, books):
    """They are nobody's business."""
    callbacks.callbacks.append(lambda *args: None)
    callbacks.success_callback.append("langfuse_is_not_loaded_by_its_name_alone")
    instrument()
    callbacks.success_callback.clear()
    CHAT.ask()

    assert [] == told(caplog)
