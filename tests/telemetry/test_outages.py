"""One warning for an endpoint that takes nothing, one when it does again."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from llm_otel.telemetry.asked import Protocol, Route, Signal
from llm_otel.telemetry.outages import Outages

REFUSED = "Transient error StatusCode.UNAVAILABLE encountered while exporting traces to x, retrying in 1s"
SAYS_NO = [
    "Failed to export metrics to x, error code: StatusCode.UNIMPLEMENTED, error details: unknown service",
    "Failed to export metrics batch code: 404, reason: Not Found",
]
TRACES, METRICS, LOGS = (Route(signal, Protocol.GRPC, "http://collector:4317") for signal in Signal)


Take = Callable[[], list[str]]


@pytest.fixture
def take(caplog) -> Take:
    """Returns what was logged since it was last asked, up to the advice."""
    caplog.set_level(logging.INFO, "llm_otel")

    def taken() -> list[str]:
        texts = [record.getMessage().partition(";")[0] for record in caplog.records]
        caplog.clear()
        return texts

    return taken


def test_an_endpoint_that_cannot_be_reached_is_one_outage(take):
    """Whatever is sent there, however often it fails."""
    outages = Outages()
    for route in (TRACES, METRICS, TRACES, LOGS):
        outages.failed(route, REFUSED, lost=2)

    (line,) = take()
    assert line.startswith("llm_otel.otlp_undelivered endpoint=http://collector:4317 protocol=grpc signal=all reason=")
    assert REFUSED in line


def test_another_endpoint_is_another_outage(take):
    """Traces and logs may go to different places."""
    outages = Outages()
    outages.failed(TRACES, REFUSED)
    outages.failed(Route(Signal.LOGS, Protocol.HTTP, "http://loki:3100"), REFUSED)

    assert 2 == len(take())


@pytest.mark.parametrize("reason", SAYS_NO)
def test_an_endpoint_that_says_no_is_one_outage_for_each_signal(take, reason):
    """A backend for traces takes no metrics and no logs: that is two things to know, and traces go on."""
    outages = Outages()
    for _ in range(3):
        outages.failed(METRICS, reason)
        outages.failed(LOGS, reason)
        outages.succeeded(TRACES)

    assert ["signal=metrics", "signal=logs"] == [line.split()[3] for line in take()]


@pytest.mark.parametrize("reason", SAYS_NO)
def test_who_is_refused_learns_how_to_stop_sending(caplog, reason):
    """The variable of that signal."""
    Outages().failed(METRICS, reason)

    assert "OTEL_METRICS_EXPORTER=none" in caplog.text


def test_a_recovery_is_said_once_with_what_was_lost(take):
    """When everything that failed has been taken again; metrics are running totals, of which nothing is lost."""
    outages = Outages()
    outages.failed(TRACES, REFUSED, lost=512)
    outages.failed(TRACES, REFUSED, lost=8)
    outages.failed(LOGS, REFUSED, lost=3)
    take()

    outages.succeeded(TRACES)
    outages.succeeded(METRICS)
    assert [] == take()

    outages.succeeded(LOGS)
    outages.succeeded(LOGS)
    assert ["llm_otel.otlp_recovered endpoint=http://collector:4317 lost_spans=520 lost_log_records=3"] == take()


def test_an_endpoint_that_goes_down_again_is_said_again(take):
    """An outage is over when it is over."""
    outages = Outages()
    for _ in range(2):
        outages.failed(TRACES, REFUSED)
        outages.succeeded(TRACES)

    assert 4 == len(take())


def test_what_a_full_queue_drops_meanwhile_is_lost_too(take):
    """Whose signal is not down has another trouble."""
    outages = Outages()
    assert not outages.dropped(Signal.TRACES)
    outages.failed(TRACES, REFUSED, lost=2)

    assert [True, True, False] == [outages.dropped(each) for each in (Signal.TRACES, Signal.TRACES, Signal.LOGS)]
    take()
    outages.succeeded(TRACES)
    assert ["llm_otel.otlp_recovered endpoint=http://collector:4317 lost_spans=4 lost_log_records=0"] == take()


def test_credentials_stay_out_of_the_reason(take):
    """gRPC quotes the address as it was given."""
    Outages().failed(TRACES, "failed to resolve user:secret@collector:4317 and https://me:secret@collector")

    assert "secret" not in "".join(take())


@pytest.mark.parametrize(
    "reason",
    [
        "HTTPConnectionPool(host='c'): Max retries exceeded with url: /secret/v1/traces?key=secret (Caused by x)",
        "404 Client Error: Not Found for url: https://c:4318/secret/v1/traces",
        "Failed to parse: 'https://c:port/v1/traces?key=secret'",
    ],
)
def test_what_gives_access_stays_out_of_the_reason(take, reason):
    """Some backends take a token in the path or in the query; urllib3 quotes both."""
    Outages().failed(TRACES, reason)

    (line,) = take()
    assert "secret" not in line
    assert reason.partition(":")[0] in line


def test_a_forked_child_says_for_itself(take):
    """It has the parent's outages in memory, and its own log."""
    outages = Outages()
    outages.failed(TRACES, REFUSED)
    outages.forget()
    outages.failed(TRACES, REFUSED)

    assert 2 == len(take())
