"""What the settings and the `OTEL_*` variables ask for: which signals leave by OTLP, how and to where. Pure.

The variables mean what they mean to the SDK:
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/, both of 2026-11. What concerns an exporter alone (headers,
compression, time-outs, certificates) it reads itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from llm_otel.errors import ConfigurationError


class Signal(StrEnum):
    """What OpenTelemetry tells apart; each has a provider of its own."""

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"


class Protocol(StrEnum):
    """How OTLP is spoken; the SDK for Python has no `http/json`."""

    GRPC = "grpc"
    HTTP = "http/protobuf"


@dataclass(frozen=True, slots=True)
class Route:
    """How one signal leaves.

    Attributes:
        endpoint: As it may be shown: without credentials, query or path.
    """

    signal: Signal
    protocol: Protocol
    endpoint: str


_OTLP = "OTEL_EXPORTER_OTLP_"
_EXPORTERS = {"otlp": None, "otlp_proto_grpc": Protocol.GRPC, "otlp_proto_http": Protocol.HTTP}
"""The names of OTLP exporters in the SDK for Python, and the protocol that the name says."""
_DEFAULT_ENDPOINTS = {Protocol.GRPC: "http://localhost:4317", Protocol.HTTP: "http://localhost:4318"}


def routes_asked_for(environ: Mapping[str, str], *, otlp: bool | None) -> tuple[Route, ...]:
    """Return the signals that are to leave by OTLP.

    Args:
        environ: The variables; an empty one counts as not set.
        otlp: True asks for every signal that no variable speaks of, False for none at all, and None leaves it to the
            variables.

    Raises:
        ConfigurationError: A variable names a protocol that the SDK does not speak, or an endpoint that is no address.
    """
    if otlp is False or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    return tuple(_route(signal, environ) for signal in Signal if _is_asked_for(signal, environ, otlp=bool(otlp)))


def _is_asked_for(signal: Signal, environ: Mapping[str, str], *, otlp: bool) -> bool:
    exporters = _exporters(signal, environ)
    if exporters:
        return any(name in _EXPORTERS for name in exporters)
    return otlp or any(value.strip() and _speaks_of(signal, name) for name, value in environ.items())


def _exporters(signal: Signal, environ: Mapping[str, str]) -> list[str]:
    names = environ.get(f"OTEL_{signal.upper()}_EXPORTER", "")
    return [name.strip() for name in names.split(",") if name.strip()]


def _speaks_of(signal: Signal, variable: str) -> bool:
    """Tell whether a variable concerns the OTLP exporter of this signal: by its name, or because it names none."""
    if not variable.startswith(_OTLP):
        return False
    first_word = variable.removeprefix(_OTLP).partition("_")[0].lower()
    return first_word == signal or first_word not in set(Signal)


def _route(signal: Signal, environ: Mapping[str, str]) -> Route:
    protocol = _protocol(signal, environ)
    variable, given = _first(environ, f"{_OTLP}{signal.upper()}_ENDPOINT", f"{_OTLP}ENDPOINT")
    try:
        return Route(signal, protocol, shown(given or _DEFAULT_ENDPOINTS[protocol]))
    except ValueError:
        # Not the value: it may hold a password.
        allowed = f"an address such as {_DEFAULT_ENDPOINTS[protocol]}"
        raise ConfigurationError(variable, None, allowed) from None


def _protocol(signal: Signal, environ: Mapping[str, str]) -> Protocol:
    by_exporter = next((_EXPORTERS[name] for name in _exporters(signal, environ) if _EXPORTERS.get(name)), None)
    if by_exporter is not None:
        return by_exporter
    variable, value = _first(environ, f"{_OTLP}{signal.upper()}_PROTOCOL", f"{_OTLP}PROTOCOL")
    try:
        # gRPC is the SDK's default for Python, though the specification recommends HTTP.
        return Protocol(value or Protocol.GRPC)
    except ValueError:
        raise ConfigurationError(variable, value, f"one of {', '.join(Protocol)}") from None


def _first(environ: Mapping[str, str], *names: str) -> tuple[str, str]:
    """Return the first variable that is set, and its value; the last one and nothing if none is."""
    return next(((name, value) for name in names if (value := environ.get(name, "").strip())), (names[-1], ""))


def shown(endpoint: str) -> str:
    """Return an address as it may stand in a log: a user, a password or a token in it stays out.

    Raises:
        ValueError: It is none.
    """
    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    address = parts.netloc.rpartition("@")[2]
    if parts.scheme in ("http", "https") and not (parts.hostname and parts.port != 0):
        raise ValueError("no host, or no port")
    return f"{parts.scheme}://{address}" if parts.scheme else address
