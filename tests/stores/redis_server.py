"""Real Redis servers for tests, on loopback, and answers of servers that are not well."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

BINARY = "redis-server"
INSTALL = "apt-get install redis-server (Debian, Ubuntu), brew install redis (macOS)"
START_S = 20.0
SHARED_URL = "LLM_OTEL_TEST_REDIS_URL"


def require_redis_server() -> None:
    """Skip what needs a server where there is none; in CI there has to be one."""
    if shutil.which(BINARY) is None:
        reason = f"{BINARY} is not installed: {INSTALL}"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


class RedisServer:
    """One server process. It writes nothing to disk, unless an option says so.

    Args:
        options: Of the command line.
    """

    def __init__(self, *options: str) -> None:
        require_redis_server()
        self._options = options
        self._directory = tempfile.mkdtemp(prefix="llm-otel-redis-")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    @property
    def admin(self) -> redis.Redis:
        """A client that is not ours."""
        return redis.Redis(port=self.port, socket_timeout=START_S)

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [BINARY, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._directory, "--save", ""]
        self._process = subprocess.Popen([*command, *self._options], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        log = []
        for line in self._process.stdout:
            log.append(line)
            if "Ready to accept connections" in line:
                return
        self.stop()
        pytest.fail("".join(log), pytrace=False)

    def stop(self) -> None:
        """End the process at once, as a crash would."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self._directory)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it hang: connections stand, and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def become_cluster(self) -> None:
        """Take all slots; needs `--cluster-enabled yes`. (A master waits 2 s after its start before it serves them.)"""
        self.admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        deadline = time.monotonic() + START_S
        while b"cluster_state:ok" not in _as_bytes(self.admin.execute_command("CLUSTER", "INFO")):
            assert time.monotonic() < deadline, "the cluster does not come up"
            time.sleep(0.05)


def shared_url() -> str:
    """Return the address of the server that all ledgers of this test run may share, each in its own namespace.

    It is started when it is first asked for, ends with this process, and is the same in processes that this one starts.
    """
    url = os.environ.get(SHARED_URL)
    if url is None:
        server = RedisServer()
        atexit.register(server.close)
        url = os.environ[SHARED_URL] = server.url
    return url


def namespace_of(directory: Path) -> str:
    """Return a namespace for the ledger of a directory."""
    return f"test_{hashlib.sha256(bytes(directory)).hexdigest()[:16]}"


@contextmanager
def running(*options: str) -> Iterator[RedisServer]:
    """Run a server of one's own."""
    server = RedisServer(*options)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def answering(answer: bytes | bytearray | None) -> Iterator[int]:
    """Run a server that says the same to whatever it is asked, or nothing at all; yields its port.

    A `bytearray` may be changed while it runs.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while self.request.recv(65536):
                if answer is not None:
                    self.request.sendall(bytes(answer))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """Return a port of loopback that nobody listens on. (A node of a cluster listens 10,000 above it too.)"""
    port = 65_535
    while port > 55_535:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    return port


def make_certificate(directory: Path) -> tuple[str, str]:
    """Return the paths of a new certificate for loopback and of its key."""
    certificate, key = str(directory / "certificate.pem"), str(directory / "key.pem")
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *name]
    subprocess.run([*new, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=30)
    return certificate, key


def _as_bytes(answer: Any) -> bytes:
    return answer if isinstance(answer, bytes) else str(answer).replace("'", "").replace(": ", ":").encode()
