"""Serving metrics over HTTP, for programs that have no server of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, start_http_server

from llm_otel.errors import LLMOtelError
from llm_otel.recorders.registries import ProcessFacts

if TYPE_CHECKING:
    from llm_otel.recorders.budgets import BudgetGauges


@dataclass(frozen=True, slots=True)
class Address:
    """Where `/metrics` is served."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The page that a Prometheus reads."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/metrics"


@contextmanager
def served(registry: CollectorRegistry, address: Address) -> Iterator[None]:
    """Serve a registry as long as the block runs.

    Raises:
        LLMOtelError: The address cannot be used.
    """
    try:
        server, thread = start_http_server(address.port, address.host, registry)
    except (OSError, UnicodeError) as exc:
        raise LLMOtelError(
            f"{address.url} cannot be served: {getattr(exc, 'strerror', None) or exc}; choose another --port or address"
        ) from exc
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def registry_of(gauges: BudgetGauges) -> CollectorRegistry:
    """Return a registry with the budgets of a ledger and our version, and nothing of this process."""
    registry = CollectorRegistry()
    registry.register(ProcessFacts())
    registry.register(gauges)
    return registry
