"""Whole programs: run by `opentelemetry-instrument`, ending right after the last call, importing in any order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

AUTO = str(Path(sys.executable).with_name("opentelemetry-instrument"))
with_distro = pytest.mark.skipif(find_spec("opentelemetry.distro") is None, reason="opentelemetry-distro is not there")
"""It is what sets the SDK up for `opentelemetry-instrument`."""
HEAD = """
import warnings; warnings.simplefilter("ignore")
"""
COLLECT = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
"""
ASK = """
import litellm
ask = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "mock_response": "Hello there!"}
"""
COUNT = """
import json
print(json.dumps([span.name for span in spans.get_finished_spans()]))
"""


def run(*parts, argv=(), **environment):
    """Run a program in a fresh interpreter; return its standard output."""
    program = HEAD + "".join(map(textwrap.dedent, parts))
    command = [*argv, sys.executable, "-c", program]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LLM_OTEL_"))}
    done = subprocess.run(
        command,
        env=kept | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"} | environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def names(*parts, **more):
    """Return the names of the spans that a program ends with printing."""
    return json.loads(run(*parts, **more).strip().splitlines()[-1])


def test_a_thousand_calls_and_the_end():
    """`asyncio.run` ends right after the last one: 1,000 of 1,000 are there, whole and streamed."""
    ended = names(
        COLLECT,
        "import asyncio, llm_otel\nllm_otel.instrument()\n",
        ASK,
        """
        litellm.disable_streaming_logging = True

        async def stream():
            async for _ in await litellm.acompletion(**ask, stream=True):
                pass

        async def main():
            for _ in range(20):
                await asyncio.gather(*(litellm.acompletion(**ask) for _ in range(45)), *(stream() for _ in range(5)))

        asyncio.run(main())
        """,
        COUNT,
    )
    assert ["chat gpt-4o-mini"] * 1_000 == ended


@pytest.mark.parametrize("order", ["before", "after", "from before", "from after"])
def test_the_order_of_imports(order):
    """Only a name that was taken before is not caught."""
    instrument = "import llm_otel\nllm_otel.instrument()\n"
    taken = "from litellm import completion\n"
    before, after = {
        "before": ("import litellm\n", ""),
        "after": ("", "import litellm\n"),
        "from before": (taken, ""),
        "from after": ("", taken),
    }[order]
    call = "completion(**ask)\n" if "from" in order else "litellm.completion(**ask)\n"
    # ASK imports LiteLLM: not before `instrument()`, unless that is the point.
    ended = names(COLLECT, before, instrument, after, ASK, call, COUNT)

    assert ([] if order == "from before" else ["chat gpt-4o-mini"]) == ended


def test_another_thread_is_importing():
    """Instrumenting does not wait for it, and its module is watched when it is done."""
    ended = names(
        COLLECT,
        """
        import importlib, sys, threading, time
        import llm_otel
        thread = threading.Thread(target=importlib.import_module, args=("litellm",))
        thread.start()
        while "litellm" not in sys.modules:
            time.sleep(0.001)
        llm_otel.instrument()
        thread.join()
        for each in threading.enumerate():
            if each.name == "llm-otel-arm":
                each.join()
        """,
        ASK,
        "litellm.completion(**ask)\n",
        COUNT,
    )
    assert ["chat gpt-4o-mini"] == ended


@with_distro
def test_without_a_line_of_code():
    """`opentelemetry-instrument python app.py`, with LiteLLM not yet imported."""
    told = run(
        ASK,
        """
        litellm.completion(**ask)
        import sys
        print("callers get", type(litellm.completion(**ask)).__name__)
        """,
        argv=(AUTO,),
        OTEL_TRACES_EXPORTER="console",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
        OTEL_SERVICE_NAME="search-api",
    )
    assert 2 == told.count('"name": "chat gpt-4o-mini"')
    assert "search-api" in told
    assert "callers get ModelResponse" in told


@with_distro
def test_left_out_by_its_name():
    """As every instrumentor."""
    told = run(
        ASK,
        "litellm.completion(**ask)\n",
        argv=(AUTO,),
        OTEL_TRACES_EXPORTER="console",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="llm_otel",
    )
    assert "chat gpt-4o-mini" not in told
