"""A Redis server for the length of a benchmark, where one is installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

BINARY = "redis-server"
_OPTIONS = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec")
"""As docs/budgets.md recommends it."""


@contextmanager
def redis_server() -> Iterator[str | None]:
    """Run a server on loopback and yield its address; `None` where none is installed."""
    if shutil.which(BINARY) is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="llm-otel-redis-") as directory:
        port = _free_port()
        # A program by its name, on a port of our own.
        command = [BINARY, "--port", str(port), "--dir", directory, *_OPTIONS]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
            try:
                assert server.stdout is not None
                if not any("Ready to accept connections" in line for line in server.stdout):
                    raise RuntimeError(f"{BINARY} did not start on port {port}")
                yield f"redis://127.0.0.1:{port}/0"
            finally:
                server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
