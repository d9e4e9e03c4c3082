"""A service with several worker processes, run by `test_prometheus_multiprocess.py` in processes of its own.

prometheus_client decides for files or memory when it is imported, so nothing of this can run inside the test
process. Every way to start workers prints what a scrape then says; costs are halves of a dollar, so that sums
are exact.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
from multiprocessing.synchronize import Barrier
from typing import Any

from opentelemetry.trace import SpanContext, TraceFlags
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import mark_process_dead
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from llm_otel.call import Answer, AttemptReason, AttemptRecord, CallRecord, CallRequest, Outcome
from llm_otel.pricing.rate import CostBreakdown
from llm_otel.recorders.prometheus import PrometheusRecorder
from llm_otel.recorders.registries import serving_registry
from llm_otel.routing.health import BreakerRules, Health
from llm_otel.semconv import TokenType
from llm_otel.usage import Usage

REQUEST = CallRequest(operation="chat", provider="openai", model="m", litellm_model="m", tags={"team": "search"})


def record() -> CallRecord:
    """A call of 3 tokens in and 2 out for half a dollar, in a sampled trace."""
    usage = Usage.of(input_tokens=3, output_tokens=2)
    cost = CostBreakdown(500_000_000, {TokenType.OUTPUT: 500_000_000}, 0, "registry", None)
    attempt = AttemptRecord(
        number=1,
        reason=AttemptReason.FIRST,
        provider="openai",
        model="m",
        outcome=Outcome.SUCCESS,
        started_s=0,
        duration_s=0.5,
        usage=usage,
        cost=cost,
    )
    return CallRecord(
        request=REQUEST,
        outcome=Outcome.SUCCESS,
        started_ns=0,
        duration_s=0.5,
        time_to_first_chunk_s=None,
        attempts=(attempt,),
        answer=Answer(),
        failure=None,
        usage=usage,
        cost_nano=cost.total_nano,
        trace=SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)),
    )


def new_recorder(registry: CollectorRegistry | None = None) -> PrometheusRecorder:
    """A recorder as `configure()` makes it."""
    return PrometheusRecorder(registry=registry, tag_labels=("team",), price_age_s=lambda: 90.0)


def serve(recorder: PrometheusRecorder, calls: int) -> None:
    """Make calls, and leave one open."""
    for _ in range(calls):
        recorder.opened(REQUEST)
        recorder.closed(record())
    recorder.opened(REQUEST)


def show(registry: CollectorRegistry | None = None) -> None:
    """Print a scrape."""
    sys.stdout.write(generate_latest(serving_registry(registry)).decode())


def fork() -> None:
    """The recorder is made before the workers (a preloaded application), and the parent uses it first.

    Three children with 1, 2 and 3 calls, the parent with 4; the first child is then marked dead.
    """
    recorder = new_recorder()
    serve(recorder, 4)
    children = []
    for calls in (1, 2, 3):
        child = os.fork()
        if child == 0:
            serve(recorder, calls)
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    mark_process_dead(children[0])
    show()


def _call_until(state: str) -> None:
    """Open a circuit of this process; close it again if that is the state."""
    model = ("openai", "m")
    health = Health(BreakerRules(min_calls=1), tell=lambda *event: recorder.noticed(*event))
    recorder = new_recorder().for_circuits(lambda: health.not_closed(0))
    for now_s, failed in ((0, True), (30, False))[: 1 if state == "open" else 2]:
        admitted = health.admits(model, now_s)
        assert admitted is not None
        health.noted(admitted, now_s, failed=failed)


def _circuits(*states: str) -> None:
    """Show the circuits of processes: `closed`, `open`, or `dead`, which was open."""
    logging.getLogger("llm_otel").setLevel(logging.ERROR)  # that they open is told as well
    for state in states:
        child = os.fork()
        if child == 0:
            _call_until("closed" if state == "closed" else "open")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        if state == "dead":
            mark_process_dead(child)
    show()


def open_circuit() -> None:
    """One of three is open."""
    _circuits("open", "closed", "dead")


def closed_circuits() -> None:
    """None is, but for a process that is no more."""
    _circuits("closed", "dead", "closed")


def _worker(calls: int, barrier: Barrier) -> None:
    recorder = new_recorder()
    barrier.wait()
    serve(recorder, calls)
    barrier.wait()


def spawn() -> None:
    """Three workers of 5, 6 and 7 calls at once, each with its own recorder; the parent only serves."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    workers = [context.Process(target=_worker, args=(calls, barrier)) for calls in (5, 6, 7)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    show()


def registries() -> None:
    """One process that is configured three times, with three registries: calls in turn through all."""
    recorders = [new_recorder(registry) for registry in (None, CollectorRegistry(), CollectorRegistry())]
    for recorder in recorders * 3:
        recorder.opened(REQUEST)
        recorder.closed(record())
    show()


def openmetrics() -> None:
    """The format that would have exemplars."""
    serve(new_recorder(), 1)
    sys.stdout.write(generate_openmetrics(serving_registry()).decode())


def construct() -> None:
    """Only make a recorder."""
    new_recorder()


def late() -> None:
    """The directory is named after prometheus_client was imported."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = "."
    new_recorder()


def serve_late() -> None:
    """The same, for a process that only serves."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = "."
    serving_registry()


WAYS: dict[str, Any] = {
    way.__name__: way
    for way in (fork, spawn, registries, openmetrics, open_circuit, closed_circuits, construct, late, serve_late)
}

if __name__ == "__main__":
    WAYS[sys.argv[1]]()
