"""Metrics over HTTP."""

from __future__ import annotations

import socket
import urllib.request
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from llm_otel.errors import LLMOtelError
from llm_otel.recorders.serving import Address, served


@pytest.fixture
def registry() -> Any:
    """A registry in which three requests were counted."""
    registry = CollectorRegistry()
    Counter("requests_total", "Requests.", registry=registry).inc(3)
    return registry


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_metrics_are_served_as_long_as_the_block_runs(registry):
    """And the port is free afterwards, even for a second server."""
    address = Address("127.0.0.1", free_port())
    for _ in range(2):
        with served(registry, address), urllib.request.urlopen(address.url) as page:
            assert "requests_total 3.0" in page.read().decode()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address.url)


def test_a_port_that_is_taken_is_named(registry):
    """With what to do about it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(LLMOtelError, match=rf"{address.port}.*--port"), served(registry, address):
            raise AssertionError("it was served")


def test_an_ipv6_address_is_written_as_in_a_browser():
    """Its colons are not the port's."""
    assert "http://[::1]:9465/metrics" == Address("::1", 9465).url
