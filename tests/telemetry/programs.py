"""Programs that set OTLP up and end, each run by a Python of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60.0
SET_UP = """
import os, sys, time
from opentelemetry import _logs, metrics, trace
from llm_otel import telemetry

telemetry.set_up(service_name="shop", environment="test", otlp=True)

def record(name):
    with trace.get_tracer("test").start_as_current_span(name):
        metrics.get_meter("test").create_counter("records").add(1, {"name": name})
        _logs.get_logger("test").emit(_logs.LogRecord(body=name))
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program said."""

    stdout: str
    stderr: str


@contextmanager
def running(program: str, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Start a program that begins with `SET_UP`, with these variables and no others of OpenTelemetry's.

    However the test goes on, the program does not outlive the block.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LLM_OTEL_"))}
    with subprocess.Popen(
        [sys.executable, "-c", SET_UP + program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**kept, **environ},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a program, which has to be a good one."""
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, stderr
    return Ended(stdout, stderr)


def run(program: str, environ: dict[str, str]) -> Ended:
    """Run such a program to its end."""
    with running(program, environ) as process:
        return ended(process)
