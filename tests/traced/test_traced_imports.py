"""What importing the decorator loads, and what happens to open scopes when the interpreter exits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_nothing_heavy_is_imported() -> None:
    """Users decorate functions in modules that never make a call."""
    program = """
import sys
import llm_otel.traced
heavy = ("litellm", "opentelemetry.sdk", "pydantic", "prometheus_client", "genai_prices", "redis", "typer")
print(sorted(name for name in heavy if name in sys.modules))
"""
    done = run_python(program)

    assert ("[]\n", "") == (done.stdout, done.stderr)


def test_scopes_that_are_open_at_exit_do_not_complain() -> None:
    """The interpreter drops what is left, in any order."""
    program = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from llm_otel.traced import traced_llm

trace.set_tracer_provider(TracerProvider())

@traced_llm
def work():
    yield 1

left = work()
next(left)
block = traced_llm("left open")
print(block.__enter__().name)
"""
    done = run_python(program)

    assert ("left open\n", "", 0) == (done.stdout, done.stderr, done.returncode)
