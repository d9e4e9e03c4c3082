"""OpenTelemetry's SDK with OTLP, for applications that have not set it up themselves.

Nothing of the SDK is imported until it is asked for. What an application has set is never replaced: OpenTelemetry
takes the first provider of a process and keeps it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llm_otel import semconv
from llm_otel.clock import SystemClock
from llm_otel.telemetry.asked import Signal, routes_asked_for
from llm_otel.telemetry.outages import Outages

if TYPE_CHECKING:
    from llm_otel.telemetry.ending import Ending

_logger = logging.getLogger("llm_otel")
_lock = threading.Lock()
# Providers are the process's, not a runtime's: so is what was set up.
_ending: Ending | None = None
_outages = Outages()
_told: set[tuple[str, str]] = set()


def set_up(
    *, service_name: str | None, environment: str | None, otlp: bool | None, environ: Mapping[str, str] | None = None
) -> None:
    """Set providers for the signals that have none and that are to leave by OTLP. A second time sets nothing twice.

    Args:
        service_name: `service.name`; goes before `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
        environment: `deployment.environment.name`; goes before `OTEL_RESOURCE_ATTRIBUTES`.
        otlp: See `routes_asked_for`.
        environ: The variables; the process's by default.

    Raises:
        ConfigurationError: A variable cannot be used.
    """
    given = {semconv.SERVICE_NAME: service_name, semconv.DEPLOYMENT_ENVIRONMENT_NAME: environment}
    named = {name: value for name, value in given.items() if value}
    with _lock:
        asked = routes_asked_for(os.environ if environ is None else environ, otlp=otlp)
        routes = [route for route in asked if not _is_set(provider_of(route.signal))]
        if routes:
            from llm_otel.telemetry.providers import install

            ways = install(routes, named, _outages)
            _end().add(ways)
        _tell_what_does_not_apply(named)


def shutdown(timeout_s: float = 5.0) -> bool:
    """Send what is left now, within `timeout_s`, and close the providers that `configure()` set up.

    The end of a program does so by itself. Call it where a process is ended otherwise: `os._exit`, a signal, a worker
    pool that knows no `atexit`. What is recorded afterwards goes nowhere.

    Returns:
        Whether everything was sent or given up in time.
    """
    return _ending is None or _ending.close(timeout_s)


def _end() -> Ending:
    global _ending  # noqa: PLW0603  # there is one end
    if _ending is None:
        from llm_otel.telemetry.ending import Ending

        _ending = Ending(_outages, SystemClock())
    return _ending


def provider_of(signal: Signal) -> object:
    """Return the provider of this process; the API's own stand-in where none is set."""
    from opentelemetry import _logs, metrics, trace

    if signal is Signal.TRACES:
        return trace.get_tracer_provider()
    return metrics.get_meter_provider() if signal is Signal.METRICS else _logs.get_logger_provider()


def _is_set(provider: object) -> bool:
    """Tell a provider that somebody set from the stand-in that the API gives before (`_Proxy...` for metrics)."""
    return not type(provider).__name__.lstrip("_").startswith("Proxy")


def _tell_what_does_not_apply(named: Mapping[str, str]) -> None:
    """Say once that a name came too late: the resource of a provider is fixed when it is made."""
    resource: Any = getattr(provider_of(Signal.TRACES), "resource", None)
    if resource is None:
        return
    for name, value in named.items():
        said = resource.attributes.get(name)
        if said != value and (name, value) not in _told:
            _told.add((name, value))
            _logger.warning(
                "llm_otel.resource_not_applied attribute=%s value=%r in_force=%r; a TracerProvider was set before, and "
                "its resource stands: give it the name there, or call configure() first",
                name,
                value,
                said,
            )
