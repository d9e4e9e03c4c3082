"""Programs whose OTLP endpoint is down: they are not slower, end in time, and say it once."""

from __future__ import annotations

import time

import pytest

from llm_otel.telemetry.ending import END_S
from tests.contract.otlp_json import spans_of
from tests.integration.collecting import collecting, free_ports
from tests.stores.redis_server import answering, free_port
from tests.telemetry.programs import ended, run, running

A_BUSY_MACHINE_S = 3.0
THREE_CALLS = """
began = time.monotonic()
for name in "abc":
    record(name)
print(time.monotonic() - began, time.time())
"""

both_protocols = pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])


def one_warning(protocol: str, port: int) -> str:
    """Run a program of three calls against an endpoint; return the one thing that it says."""
    endpoint = f"http://user:secret@127.0.0.1:{port}" if protocol == "http/protobuf" else f"http://127.0.0.1:{port}"
    end = run(THREE_CALLS, {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
    calls_s, finished_at = map(float, end.stdout.split())

    assert calls_s < A_BUSY_MACHINE_S, "the caller waited for the endpoint"
    assert time.time() - finished_at < END_S + A_BUSY_MACHINE_S
    (line,) = end.stderr.splitlines()
    assert line.startswith(f"llm_otel.otlp_undelivered endpoint=http://127.0.0.1:{port} protocol={protocol} signal=all")
    assert "secret" not in line
    return line


@both_protocols
def test_a_refused_connection_is_said_once(protocol):
    """All three signals fail, each several times; why, what is lost and what to do is one line."""
    line = one_warning(protocol, free_port())

    assert "Connection refused" in line or "UNAVAILABLE" in line
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in line


@both_protocols
def test_an_endpoint_that_never_answers_does_not_hold_the_program(protocol):
    """It takes the connection and is silent: the worst case for who waits."""
    with answering(None) as port:
        one_warning(protocol, port)


UNTIL_IT_IS_BACK = """
def record_and_send():
    record("a")
    trace.get_tracer_provider().force_flush()

record_and_send()
record_and_send()
print("it is down", flush=True)
sys.stdin.readline()
recorded = 2
while telemetry._outages._outages:  # gRPC waits a second or two before it tries a connection again
    record_and_send()
    recorded += 1
print(recorded)
"""


@both_protocols
def test_an_endpoint_that_comes_back_is_used_and_said_once(tmp_path, protocol):
    """By the same connection settings, with nothing to restart; what was lost meanwhile is said."""
    ports = free_ports()
    endpoint = f"http://127.0.0.1:{ports[protocol != 'grpc']}"
    environ = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    with running(UNTIL_IT_IS_BACK, environ) as program:
        assert "it is down\n" == program.stdout.readline()
        with collecting(tmp_path, ports) as collector:
            end = ended(program)

    down, back = end.stderr.splitlines()
    assert down.startswith("llm_otel.otlp_undelivered ")
    arrived = len(spans_of(collector.received("traces")))
    lost = int(end.stdout) - arrived
    assert f"llm_otel.otlp_recovered endpoint={endpoint} lost_spans={lost} lost_log_records=0" == back
