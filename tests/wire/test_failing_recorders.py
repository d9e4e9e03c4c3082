"""Telemetry that fails: the caller does not notice, the operator does."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from llm_otel import semconv
from llm_otel.demo.simulator import Fail, Reply
from llm_otel.recorders import span as span_recorder
from tests.wire.books import success
from tests.wire.callers import LITELLM_ROUTER, PLAIN, ROUTER, asked_by

ANSWER = Reply("Hello there!", input_tokens=18, output_tokens=3)


class Bug(Exception):
    pass


class Failing:
    """A recorder that fails where it is told to."""

    name = "failing"

    def __init__(self, *places):
        self._places = places

    def opened(self, _request):
        self._fail("opened")

    def closed(self, _record):
        self._fail("closed")

    def _fail(self, place):
        if place in self._places:
            raise Bug(place)


def add(runtime, recorder):
    """Add a recorder to the runtime of this test, after its own."""
    runtime.instruments = dataclasses.replace(runtime.instruments, recorders=(*runtime.instruments.recorders, recorder))


@pytest.fixture
def lenient(use, registry, books):
    """A runtime as services have it."""
    return use(registry, strict=False)


@asked_by(providers=("openai",), entrances=(ROUTER, PLAIN, LITELLM_ROUTER))
def test_a_recorder_that_fails(caller, lenient, simulator, books, caplog):
    """The answer is unharmed, the others have recorded, each failure is counted, and one of a kind is logged."""
    add(lenient, Failing("opened", "closed"))
    simulator.script(ANSWER, ANSWER)

    with caplog.at_level(logging.WARNING, "llm_otel"):
        got = [caller.ask(), caller.ask()]

    assert ["Hello there!"] * 2 == [each.text for each in got]
    assert [success(18, 3, caller.model.cost(18, 3))] * 2 == books.endings
    assert 4 == books.metric(semconv.INTERNAL_ERRORS, recorder="failing")
    assert 1 == len([record for record in caplog.records if "llm_otel.internal_error" in record.message])


@asked_by(providers=("openai",), entrances=(ROUTER, PLAIN))
def test_a_recorder_that_fails_over_a_failed_call(caller, lenient, simulator, books):
    """The caller sees the provider's error, not ours."""
    add(lenient, Failing("closed"))
    simulator.script(Fail(429))

    got = caller.ask()

    assert "RateLimitError" == type(caller.cause_of(got.error)).__name__
    assert 1 == books.metric(semconv.INTERNAL_ERRORS, recorder="failing")


@asked_by(providers=("openai",), entrances=(ROUTER, PLAIN))
@pytest.mark.parametrize("place", ["_response_attributes", "_add_cost", "_add_usage"])
def test_a_span_that_cannot_be_written(caller, place, lenient, simulator, monkeypatch, spans, books):
    """It ends all the same, without what failed."""

    def fail(*_args, **_kwargs):
        raise Bug(place)

    monkeypatch.setattr(span_recorder, place, fail)
    simulator.script(ANSWER)

    got = caller.ask()

    assert "Hello there!" == got.text
    assert ({}, 1) == (spans.open, len(books.calls))
    assert 1 == books.metric(semconv.INTERNAL_ERRORS, recorder="span")
    assert 1 == books.metric(semconv.REQUESTS, outcome="success")
    spans.ended.clear()  # what is left of it follows no convention
    books.check = lambda: None


@asked_by(providers=("openai",), entrances=(ROUTER, PLAIN))
def test_a_mark_that_cannot_be_made(caller, lenient, simulator, monkeypatch, books):
    """Another package's type stands in the context, and may want to be called otherwise some day."""

    def fail(*_args, **_kwargs):
        raise Bug

    monkeypatch.setattr("llm_otel.genai_util.mark", fail)
    simulator.script(ANSWER)

    got = caller.ask()

    assert "Hello there!" == got.text
    assert success(18, 3, caller.model.cost(18, 3)) == books.only
    assert 1 == books.metric(semconv.INTERNAL_ERRORS, recorder="span")


@asked_by(providers=("openai",), entrances=(ROUTER, PLAIN))
def test_prices_that_fail(caller, lenient, simulator, monkeypatch, books):
    """The cost is unknown then, and said to be."""

    def fail(*_args, **_kwargs):
        raise Bug

    monkeypatch.setattr(type(lenient.instruments.prices), "price", fail)
    simulator.script(ANSWER)

    got = caller.ask()

    assert "Hello there!" == got.text
    assert success(18, 3, None) == books.only
    assert 1 == books.metric(semconv.INTERNAL_ERRORS, recorder="price")


@asked_by(providers=("openai",), entrances=(ROUTER, PLAIN))
def test_strict(caller, runtime, simulator, books):
    """In our own tests a failure of ours is raised, so that none is overlooked."""
    add(runtime, Failing("closed"))

    got = caller.ask()

    assert isinstance(got.error, Bug) or isinstance(got.error.__cause__, Bug)
