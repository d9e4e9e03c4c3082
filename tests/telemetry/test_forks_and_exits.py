"""What arrives at a Collector from programs that end at once and from processes that fork."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys

import pytest

from tests.contract.otlp_json import families_of, logs_of, metrics_of, resource_of, spans_of
from tests.integration.collecting import Collector, collecting
from tests.integration.otlp_receiver import Receiver
from tests.telemetry.programs import ROOT, TIMEOUT_S, run

both_protocols = pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])

FORKS = """
import multiprocessing, warnings

# What Python 3.12 and later say of a fork beside threads, which OpenTelemetry has.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
record("sent before the fork")
trace.get_tracer_provider().force_flush()
record("pending at the fork")
child = os.fork()
if child == 0:
    record("in a child")
    sys.exit()
os.waitpid(child, 0)
worker = multiprocessing.get_context("fork").Process(target=record, args=["in a worker"])
worker.start()
worker.join()
record("after the fork")
"""

WORKER = """
import multiprocessing, sys

def work():
    from opentelemetry import trace
    from llm_otel import telemetry

    telemetry.set_up(service_name="shop", environment="test", otlp=True)
    trace.get_tracer("test").start_span("in a worker").end()

if __name__ == "__main__":
    worker = multiprocessing.get_context(sys.argv[1]).Process(target=work)
    worker.start()
    worker.join()
"""


def instances(collector: Collector) -> dict[str, str]:
    """Return which instance of the service each span says it is from."""
    return {
        span.name: str(span.resource.attributes["service.instance.id"])
        for span in spans_of(collector.received("traces"))
    }


def bodies(collector: Collector) -> list[object]:
    """Return what the log records say."""
    return [each.log_record.body for each in logs_of(collector.received("logs"))]


@both_protocols
def test_a_program_that_ends_at_once_loses_nothing(tmp_path, protocol):
    """Spans, metrics and logs of a short job are sent before it is gone, under the names that it was given."""
    with collecting(tmp_path) as collector:
        end = run("record('first')\nrecord('second')", collector.environ(protocol))

    assert "" == end.stderr
    assert ["first", "second"] == [span.name for span in spans_of(collector.received("traces"))]
    assert ["first", "second"] == bodies(collector)
    (family,) = [each for each in families_of(metrics_of(collector.received("metrics"))) if each.name == "records"]
    assert {("first", 1.0), ("second", 1.0)} == {(each.labels["name"], each.value) for each in family.samples}
    for signal in ("traces", "metrics", "logs"):
        (sent,) = collector.received(signal)
        said = resource_of(sent).attributes
        assert ("shop", "test") == (said["service.name"], said["deployment.environment.name"])
        assert {"service.instance.id", "telemetry.sdk.name", "telemetry.sdk.version"} <= said.keys()


@both_protocols
def test_a_forked_child_sends_its_own_and_nothing_of_its_parent(tmp_path, protocol):
    """Each span arrives once, from the process that made it, and no two processes pass for one."""
    with collecting(tmp_path) as collector:
        end = run(FORKS, collector.environ(protocol))

    assert "" == end.stderr
    of_parent = ["sent before the fork", "pending at the fork", "after the fork"]
    names = [span.name for span in spans_of(collector.received("traces"))]
    assert sorted([*of_parent, "in a child", "in a worker"]) == sorted(names)
    assert sorted(names) == sorted(bodies(collector))
    found = instances(collector)
    assert 1 == len({found[name] for name in of_parent})
    assert 3 == len(set(found.values()))
    counted = {
        (sent.resource.attributes["service.instance.id"], point.attributes["name"])
        for sent in metrics_of(collector.received("metrics")).resource_metrics
        for scope in sent.scope_metrics
        for metric in scope.metrics
        if metric.name == "records"
        for point in metric.data.data_points
    }
    assert {(found[name], name) for name in names} <= counted
    assert (found["after the fork"], "in a child") not in counted


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_worker_that_sets_itself_up_sends_what_is_left(tmp_path, method):
    """As in the `initializer` of a pool: unless it was spawned, it ends without `atexit`."""
    path = tmp_path / "worker.py"
    path.write_text(WORKER)
    with Receiver() as receiver:
        sending = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        environ = {**os.environ, "PYTHONPATH": str(ROOT), **sending}
        subprocess.run([sys.executable, path, method], env=environ, timeout=TIMEOUT_S, check=True)

    assert ["in a worker"] == [span.name for span in receiver.spans]
