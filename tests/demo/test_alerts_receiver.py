"""The webhook of the compose file: what Alertmanager posts is a line that a person can read."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

from llm_otel.demo.alerts import Receiver, lines_of

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
FIRING = {
    "status": "firing",
    "labels": {"alertname": "LLMBudgetExceeded", "severity": "critical", "budget": "company"},
    "annotations": {"summary": "A budget is spent.", "description": "Budget company has spent $5 of $4."},
}


@pytest.fixture
def post():
    """Post to a running receiver; returns the status of the answer."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()

        def posted(body: bytes, **headers: str) -> int:
            url = f"http://127.0.0.1:{server.server_address[1]}/page"
            try:
                with OPENER.open(urllib.request.Request(url, body, headers), timeout=10) as answer:
                    return answer.status
            except urllib.error.HTTPError as refusal:
                with refusal:
                    return refusal.code

        yield posted
        server.shutdown()
        thread.join()


def test_alerts_are_printed_with_whom_they_are_for(post, capsys):
    """One line for each: receiver, state, severity, and what is the matter, with its numbers."""
    told = json.dumps({"version": "4", "alerts": [FIRING, FIRING | {"status": "resolved"}]})

    assert 204 == post(told.encode())

    said = "critical A budget is spent. Budget company has spent $5 of $4."
    assert f"page     firing   {said}\npage     resolved {said}\n" == capsys.readouterr().out


@pytest.mark.parametrize("body", [b"", b"hello", b"[]", b'{"alerts": 1}', b'{"alerts": [{"status": "firing"}]}'])
def test_what_is_no_alert_is_refused(post, capsys, body):
    """Alertmanager tries again, and says so in its log."""
    assert 400 == post(body)
    assert "" == capsys.readouterr().out


@pytest.mark.parametrize("length", ["many", "-1"])
def test_a_length_that_is_none_is_refused(post, length):
    """It waits for no bytes that do not come."""
    assert 400 == post(b"{}", **{"Content-Length": length})


def test_an_alert_without_words_is_called_by_its_name():
    """Somebody else's rules may have no annotations."""
    alert: dict[str, Any] = {"status": "firing", "labels": {"alertname": "DiskFull"}, "annotations": {}}

    assert ["firing   -        DiskFull"] == list(lines_of({"alerts": [alert]}))
