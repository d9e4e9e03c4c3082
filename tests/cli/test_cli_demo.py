"""`llm-otel demo` as a program of its own: from the first line to Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

pytestmark = pytest.mark.wire

CALLS = 60


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def read_report(process: subprocess.Popen[str]) -> dict:
    """Read the JSON document that the program prints before it goes on."""
    text = ""
    while True:
        line = process.stdout.readline()
        assert line, f"it ended early: {process.stderr.read()}"
        text += line
        if line.rstrip() == "}":
            return json.loads(text)


def test_the_demo_reports_serves_and_ends_cleanly():
    """Exact books on standard output, live metrics on the port, nothing but progress on standard error."""
    port = free_port()
    command = [sys.executable, "-m", "llm_otel", "demo", "--json", "--calls", str(CALLS)]
    process = subprocess.Popen(
        [*command, "--serve", "--port", str(port), "--grafana-url", "http://grafana.test:3000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENAI_API_KEY": "a real one", "HTTP_PROXY": "http://127.0.0.1:9"},
    )
    try:
        report = read_report(process)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{port}/metrics"
        ) as page:
            metrics = page.read().decode()
        process.send_signal(signal.SIGINT)
        _, progress = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()

    assert report["books"]["billed"] == report["books"]["recorded"]
    assert CALLS == report["total"]["calls"]
    assert ["company", "team", "shopper", "labs"] == [each["id"] for each in report["budgets"]["standings"]]
    assert 'llm_otel_budget_limit_usd{budget="labs",scope=""} 0.0075' in metrics
    assert 'llm_otel_requests_total{feature="answer",model="gpt-4o-mini"' in metrics
    assert 0 == process.returncode
    assert ["Loading LiteLLM (some seconds, once) ...", "Opening connections ..."] == progress.splitlines()[:2]
    assert "  Budget labs is used up: its calls are refused from now on" in progress.splitlines()
    assert f"Serving http://127.0.0.1:{port}/metrics; Ctrl-C ends it." in progress
    assert ["The dashboards are at http://grafana.test:3000", "Stopped."] == progress.splitlines()[-2:]
    assert "Traceback" not in progress
