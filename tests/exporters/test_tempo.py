"""exporters/tempo/tempo.yaml, run by the real Tempo: what Grafana's links to traces ask for is there."""

from __future__ import annotations

import signal
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import format_trace_id

from llm_otel import semconv
from tests.exporters.programs import awaited, fetched, free_port, running
from tests.exporters.tools import ROOT, built, run

CONFIG = ROOT / "exporters" / "tempo" / "tempo.yaml"
SERVICE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["tempo"]
VOLUME = "/var/tempo"
LONGEST_CONTENT = "€" * 65_536
"""Of the most characters that an attribute can have (docs/content.md), three bytes each."""


def config() -> dict[str, Any]:
    """Return the configuration, read."""
    return yaml.safe_load(CONFIG.read_text(encoding="utf-8"))


def options(path: Path) -> list[str]:
    """Return what the compose file starts it with, for a configuration that lies elsewhere."""
    return [option.replace("/etc/tempo.yaml", str(path)) for option in SERVICE["command"]]


def test_the_configuration_is_sound():
    """By Tempo's own judgement, which also fails on what it merely warns of."""
    done = run(built("tempo"), *options(CONFIG), "-config.verify=true")

    assert (0, "") == (done.returncode, done.stdout)


def test_a_misspelt_setting_is_refused(tmp_path):
    """Not passed over: the test above would say nothing."""
    path = tmp_path / "tempo.yaml"
    misspelt = CONFIG.read_text(encoding="utf-8").replace("max_attribute_bytes", "max_attribute_byte")
    path.write_text(misspelt, encoding="utf-8")

    done = run(built("tempo"), *options(path), "-config.verify=true")

    assert done.returncode != 0
    assert "field max_attribute_byte not found" in done.stdout


# --- Running ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tempo:
    """Where it listens: `host:port` for what is sent and for what is asked."""

    sent: str
    asked: str

    def found(self, path: str, **query: str) -> Any:
        """Return what its API says."""
        return fetched(f"http://{self.asked}{path}?{urllib.parse.urlencode(query)}")


@pytest.fixture(scope="module")
def tempo(tmp_path_factory) -> Iterator[Tempo]:
    """It runs as it is configured, but for ports and where its files lie."""
    volume = tmp_path_factory.mktemp("tempo")
    place = Tempo(f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    path = volume / "tempo.yaml"
    path.write_text(yaml.safe_dump(moved(config(), place, volume)), encoding="utf-8")
    # It takes more than half a minute to stop, for nothing that is looked at here.
    with running((built("tempo"), *options(path)), path, f"http://{place.asked}/ready", end=signal.SIGKILL):
        yield place


def moved(settings: dict[str, Any], place: Tempo, volume: Path) -> dict[str, Any]:
    """Return the configuration with other ports, and with the defaults of the places of files named."""
    server = {"http_listen_address": "127.0.0.1", "http_listen_port": int(place.asked.rpartition(":")[2])}
    settings["server"] |= server | {"grpc_listen_address": "127.0.0.1", "grpc_listen_port": free_port()}
    settings["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] = place.sent
    storage = settings["storage"]["trace"]
    for part in (storage["local"], storage["wal"]):
        part["path"] = part["path"].replace(VOLUME, str(volume))
    settings["backend_scheduler"]["local_work_path"] = str(volume)
    # What has arrived can be searched when its trace has been quiet for a while: here a short one.
    soon = {"max_trace_idle": "1s", "flush_check_period": "1s"}
    live = {"wal": {"path": str(volume / "live")}, "shutdown_marker_dir": str(volume / "marker")}
    return settings | {"live_store": live | soon}


@pytest.fixture(scope="module")
def trace_id(tempo) -> str:
    """The id of a trace that was sent: a run, and a call in it with as much content as can be recorded."""
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"http://{tempo.sent}")))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("run") as run_span:
        attributes = {semconv.OUTCOME: "denied", semconv.GEN_AI_OUTPUT_MESSAGES: LONGEST_CONTENT}
        tracer.start_span("call", attributes=attributes).end()
    provider.shutdown()
    return format_trace_id(run_span.get_span_context().trace_id)


def test_a_trace_is_found_by_its_id(tempo, trace_id):
    """What a dot on a graph links to: every span of it, with content whole."""
    found = awaited(lambda: trace_of(tempo, trace_id), "the trace is there")

    spans = [span for group in found["resourceSpans"] for scope in group["scopeSpans"] for span in scope["spans"]]
    attributes = {each["key"]: each["value"]["stringValue"] for span in spans for each in span.get("attributes", ())}
    assert {"run", "call"} == {span["name"] for span in spans}
    assert {semconv.OUTCOME: "denied", semconv.GEN_AI_OUTPUT_MESSAGES: LONGEST_CONTENT} == attributes


def trace_of(tempo: Tempo, trace_id: str) -> dict[str, Any] | None:
    """Return a trace; `None` while it is not there."""
    return tempo.found(f"/api/v2/traces/{trace_id}").get("trace")


def test_a_trace_is_found_by_what_its_spans_say(tempo, trace_id):
    """By TraceQL, as one looks for calls that a budget refused."""
    query = f'{{ resource.service.name = "shop" && span.{semconv.OUTCOME} = "denied" }}'

    (found,) = awaited(lambda: tempo.found("/api/search", q=query)["traces"] or None, "the trace is found")

    assert (trace_id, "shop", "run") == (found["traceID"].zfill(32), found["rootServiceName"], found["rootTraceName"])


def test_it_can_be_asked_whether_it_is_well(tempo):
    """With the command of the compose file's health check, which asks where Tempo listens by default."""
    program, *arguments = SERVICE["healthcheck"]["test"][1:]

    assert "/tempo" == program
    assert 0 == run(built("tempo"), *arguments, f"-health.url=http://{tempo.asked}/ready").returncode
    assert 1 == run(built("tempo"), *arguments, f"-health.url=http://127.0.0.1:{free_port()}/ready").returncode
