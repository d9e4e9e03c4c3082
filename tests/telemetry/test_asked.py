"""What the settings and the `OTEL_*` variables ask for."""

from __future__ import annotations

import pytest

from llm_otel.errors import ConfigurationError
from llm_otel.telemetry.asked import Protocol, Route, Signal, routes_asked_for, shown

ALL = list(Signal)
EVERY_SIGNAL = [
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"},
    {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret"},
    {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
]


def signals(environ: dict[str, str], *, otlp: bool | None = None) -> list[Signal]:
    """Return the signals that leave by OTLP."""
    return [route.signal for route in routes_asked_for(environ, otlp=otlp)]


@pytest.mark.parametrize(
    ("environ", "otlp", "expected"),
    [
        ({}, None, []),
        ({}, True, ALL),
        ({}, False, []),
        *[(environ, None, ALL) for environ in EVERY_SIGNAL],
        *[(environ, False, []) for environ in EVERY_SIGNAL],
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, None, []),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://tempo:4317"}, None, [Signal.TRACES]),
        ({"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}, None, [Signal.METRICS]),
        ({"OTEL_LOGS_EXPORTER": "otlp"}, None, [Signal.LOGS]),
        ({"OTEL_LOGS_EXPORTER": "otlp"}, True, ALL),
        ({"OTEL_LOGS_EXPORTER": "none"}, True, [Signal.TRACES, Signal.METRICS]),
        ({"OTEL_TRACES_EXPORTER": "console, otlp_proto_http"}, None, [Signal.TRACES]),
        ({"OTEL_TRACES_EXPORTER": "console", **EVERY_SIGNAL[0]}, None, [Signal.METRICS, Signal.LOGS]),
        ({"OTEL_SDK_DISABLED": "True", **EVERY_SIGNAL[0]}, True, []),
        ({"OTEL_SDK_DISABLED": "false"}, True, ALL),
        ({"OTEL_SERVICE_NAME": "shop", "OTEL_TRACES_SAMPLER": "always_on"}, None, []),
    ],
)
def test_a_signal_leaves_by_otlp_where_it_is_asked_for(environ, otlp, expected):
    """A variable that names an exporter decides for its signal; without one, `otlp` or any OTLP variable asks."""
    assert expected == signals(environ, otlp=otlp)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Protocol.GRPC),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, Protocol.HTTP),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": " http/protobuf ", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            Protocol.HTTP,
        ),
        ({"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf"}, Protocol.GRPC),
        ({"OTEL_TRACES_EXPORTER": "otlp_proto_http", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, Protocol.HTTP),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, Protocol.HTTP),
    ],
)
def test_the_protocol_is_the_signals_own_or_the_common_one(environ, expected):
    """gRPC is the SDK's default; an exporter's name may say it too."""
    assert expected == routes_asked_for(environ, otlp=True)[0].protocol


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"])
def test_a_protocol_that_the_sdk_does_not_speak_is_refused_by_name(variable):
    """Falling back to another one would send to a port that does not understand it."""
    with pytest.raises(ConfigurationError, match=rf"{variable}='http/json' .*grpc, http/protobuf"):
        routes_asked_for({variable: "http/json"}, otlp=None)


def test_each_signal_has_its_own_endpoint_or_the_common_one():
    """And the SDK's default for its protocol without either."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://loki:3100/otlp/v1/logs",
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf",
    }

    assert (
        Route(Signal.TRACES, Protocol.GRPC, "https://collector"),
        Route(Signal.METRICS, Protocol.GRPC, "https://collector"),
        Route(Signal.LOGS, Protocol.HTTP, "http://loki:3100"),
    ) == routes_asked_for(environ, otlp=None)
    assert ["http://localhost:4317"] * 3 == [each.endpoint for each in routes_asked_for({}, otlp=True)]
    http = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    assert ["http://localhost:4318"] * 3 == [each.endpoint for each in routes_asked_for(http, otlp=True)]


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://localhost:4317", "http://localhost:4317"),
        ("https://user:pass@host:4318/v1/traces?token=abc#x", "https://host:4318"),
        ("host:4317", "host:4317"),
        ("user:pass@host:4317", "host:4317"),
        ("http://[::1]:4317/", "http://[::1]:4317"),
        # Names that gRPC knows and the web does not.
        ("unix:///run/otel.sock", "unix://"),
        ("dns:collector:4317", "dns:collector:4317"),
    ],
)
def test_an_endpoint_is_shown_without_what_may_be_secret(endpoint, expected):
    """Users, passwords and tokens stay out of the log."""
    assert expected == shown(endpoint)


@pytest.mark.parametrize("endpoint", ["http://user:hush@[::1", "https://hush@collector:port", "http:///v1/traces"])
def test_an_endpoint_that_is_no_address_is_refused_by_name(endpoint):
    """Before anything is set; without the address, which may hold a password."""
    variable = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
    with pytest.raises(ConfigurationError, match=rf"{variable}=None .*http://localhost:4317") as raised:
        routes_asked_for({variable: endpoint}, otlp=None)
    assert "hush" not in str(raised.value)
