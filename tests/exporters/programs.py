"""Prometheus and Alertmanager running on loopback, with their own configuration but for addresses and times."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tests.exporters.tools import ALERTMANAGER, PROMETHEUS, built

START_S = 30.0
T = TypeVar("T")
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Webhook:
    """Whom Alertmanager tells: the path that was posted to, and what it said."""

    port: int
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Listen as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.told.append((self.path, said))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook = Webhook(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def alertmanager(directory: Path, hook: Webhook) -> Iterator[str]:
    """Run Alertmanager as it is configured, only quicker to tell; yields its address."""
    config = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))
    config["route"]["group_wait"] = "0s"
    for route in config["route"]["routes"]:
        route["group_wait"] = "0s"
    for receiver in config["receivers"]:
        for each in receiver["webhook_configs"]:
            each["url"] = each["url"].replace("localhost:9466", f"127.0.0.1:{hook.port}")
    path = _written(directory / "alertmanager.yml", config)
    address = f"127.0.0.1:{free_port()}"
    options = (f"--storage.path={directory / 'alertmanager'}", "--cluster.listen-address=")
    command = (built("alertmanager"), f"--config.file={path}", f"--web.listen-address={address}", *options)
    with running(command, directory / "alertmanager.log", f"http://{address}/-/ready"):
        yield address


@contextmanager
def prometheus(directory: Path, *, target: str, alertmanager: str, scrape_interval: str = "1s") -> Iterator[str]:
    """Run Prometheus as it is configured, with the flags that its file asks for, but quicker; yields its address."""
    text = (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    config["global"] = {"scrape_interval": scrape_interval, "evaluation_interval": "1s"}
    config["rule_files"] = [str(PROMETHEUS / "rules" / "*.yml")]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager]
    demo = next(job for job in config["scrape_configs"] if job["job_name"] == "demo")
    demo["static_configs"][0]["targets"] = [target]
    config["scrape_configs"] = [demo]
    path = _written(directory / "prometheus.yml", config)
    address = f"127.0.0.1:{free_port()}"
    flags = [word for line in text.splitlines() if line.startswith("#   --") for word in line.removeprefix("#").split()]
    assert flags, "the flags stand at the head of the file"
    options = (f"--storage.tsdb.path={directory / 'prometheus'}", f"--web.listen-address={address}", *flags)
    with running((built("prometheus"), f"--config.file={path}", *options), path, f"http://{address}/-/ready"):
        yield address


def fetched(url: str, *, posting: Any = None) -> Any:
    """Return what a page says, read as JSON where it is."""
    body = None if posting is None else json.dumps(posting).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"} if body else {})
    with _OPENER.open(request, timeout=START_S) as page:
        text = page.read().decode()
    return json.loads(text) if text[:1] in ("{", "[") else text


def value_of(address: str, query: str) -> float | None:
    """Return the first value that a query has now; `None` where it has none."""
    result = fetched(f"http://{address}/api/v1/query?{urllib.parse.urlencode({'query': query})}")["data"]["result"]
    return float(result[0]["value"][1]) if result else None


def awaited(ask: Callable[[], T | None], what: str, *, within_s: float = START_S) -> T:
    """Ask until there is an answer."""
    deadline = time.monotonic() + within_s
    while (answer := ask()) is None:
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
        time.sleep(0.1)
    return answer


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def running(
    command: tuple[str, ...],
    beside: Path,
    ready: str,
    environ: Mapping[str, str] | None = None,
    *,
    end: signal.Signals = signal.SIGTERM,
) -> Iterator[None]:
    """Run a program until the block ends and it gets a signal; it starts when ready. Its log lies beside a file."""
    log = beside.with_suffix(".log")
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=beside.parent, env=environ)
    try:
        awaited(lambda: _is_ready(process, ready, log), f"{command[0]} is ready")
        yield
    finally:
        process.send_signal(end)
        process.wait(START_S)


def _is_ready(process: subprocess.Popen[bytes], ready: str, log: Path) -> bool | None:
    assert process.poll() is None, log.read_text(encoding="utf-8")
    try:
        fetched(ready)
    except (urllib.error.URLError, ConnectionError):
        return None
    return True


def _written(path: Path, config: Any) -> Path:
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path
