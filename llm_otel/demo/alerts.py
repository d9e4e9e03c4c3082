"""A receiver for Alertmanager's webhooks that prints them: `python -m llm_otel.demo.alerts`.

It stands in docker-compose.yml for the receiver that everybody has of their own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT = 9466
_MAX_BYTES = 1_000_000


def lines_of(told: Any) -> Iterator[str]:
    """Read what Alertmanager posted (its webhook format, version 4): a line for each alert."""
    for alert in told["alerts"]:
        labels, notes = alert["labels"], alert["annotations"]
        said = (notes.get("summary"), notes.get("description"))
        about = " ".join(filter(None, said)) or labels.get("alertname", "an alert without a name")
        yield f"{alert['status']:<8} {labels.get('severity', '-'):<8} {about}"


class Receiver(BaseHTTPRequestHandler):
    """Takes what Alertmanager posts; the path is the name of its receiver."""

    def do_POST(self) -> None:
        """Print the alerts; what is none is refused, which Alertmanager reports."""
        try:
            length = min(max(int(self.headers.get("Content-Length", 0)), 0), _MAX_BYTES)
            lines = list(lines_of(json.loads(self.rfile.read(length))))
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            self.send_error(400, f"not a webhook of Alertmanager: {type(exc).__name__}")
            return
        for line in lines:
            sys.stdout.write(f"{self.path.strip('/'):<8} {line}\n")
        sys.stdout.flush()
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is http.server's
        """Say nothing of the requests themselves."""


def main() -> None:
    """Receive until the program is stopped."""
    with ThreadingHTTPServer(("127.0.0.1", PORT), Receiver) as server:
        sys.stdout.write(f"Waiting for alerts on http://127.0.0.1:{PORT}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
