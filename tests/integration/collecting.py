"""A real OpenTelemetry Collector for tests, on loopback, and what it was given."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARY = "otelcol"
INSTALL = "make collector (needs Go 1.25 or newer and the Go module proxy)"
START_S = 30.0
SIGNALS = ("traces", "metrics", "logs")
_SECTIONS = {"traces": "resourceSpans", "metrics": "resourceMetrics", "logs": "resourceLogs"}


def binary() -> str:
    """Return the Collector that `make collector` built, or the one on PATH; skip where there is none, but not in CI."""
    built = ROOT / ".tools" / BINARY
    found = str(built) if built.exists() else shutil.which(BINARY)
    if found is None:
        reason = f"there is no OpenTelemetry Collector: {INSTALL}"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found


class Collector:
    """One process, which writes what it is given to a file for each signal.

    What was written is read when it has ended: only then is all of it in the files.

    Args:
        directory: For its files.
        ports: For gRPC and HTTP; free ones by default.
    """

    def __init__(self, directory: Path, ports: tuple[int, int] | None = None) -> None:
        self._directory = directory
        self._log = directory / "log.txt"
        grpc, http = ports or free_ports()
        self.endpoints = {"grpc": f"http://127.0.0.1:{grpc}", "http/protobuf": f"http://127.0.0.1:{http}"}
        config = directory / "config.yaml"
        config.write_text(json.dumps(self._config(grpc, http)), encoding="utf-8")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([binary(), "--config", str(config)], stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while "Everything is ready" not in self._log.read_text(encoding="utf-8"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                pytest.fail(self._log.read_text(encoding="utf-8"), pytrace=False)
            time.sleep(0.05)

    def _config(self, grpc: int, http: int) -> dict[str, Any]:
        """Return the configuration; YAML takes JSON."""
        protocols = {"grpc": {"endpoint": f"127.0.0.1:{grpc}"}, "http": {"endpoint": f"127.0.0.1:{http}"}}
        return {
            "receivers": {"otlp": {"protocols": protocols}},
            "exporters": {f"file/{each}": {"path": str(self._file(each))} for each in SIGNALS},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {each: {"receivers": ["otlp"], "exporters": [f"file/{each}"]} for each in SIGNALS},
            },
        }

    def environ(self, protocol: str) -> dict[str, str]:
        """Return the variables that send everything of a program here, in the protocol."""
        return {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoints[protocol]}

    def close(self) -> None:
        """End it, and have it write what it holds."""
        self._process.terminate()
        self._process.wait(START_S)

    def received(self, signal: str) -> list[dict[str, Any]]:
        """Return what was sent to a closed one: `resourceSpans`, `resourceMetrics` or `resourceLogs` of OTLP JSON."""
        assert self._process.returncode == 0, self._log.read_text(encoding="utf-8")
        lines = self._file(signal).read_text(encoding="utf-8").splitlines()
        return [each for line in lines for each in json.loads(line)[_SECTIONS[signal]]]

    def _file(self, signal: str) -> Path:
        return self._directory / f"{signal}.jsonl"


@contextmanager
def collecting(directory: Path, ports: tuple[int, int] | None = None) -> Iterator[Collector]:
    """Run a Collector; what it received is read after the block."""
    collector = Collector(directory, ports)
    try:
        yield collector
    finally:
        collector.close()


def free_ports() -> tuple[int, int]:
    """Return two ports of loopback that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
