"""Scopes and W3C baggage: what they take from other services, and what they hand on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import baggage, context, propagate

from llm_otel.baggage import Baggage
from llm_otel.scope import current_scope
from llm_otel.traced import traced_llm

Run = Callable[..., None]


@pytest.fixture
def crossing(fake_runtime: Any) -> None:
    """`team` and `feature` may cross."""
    fake_runtime.baggage = Baggage(("team", "feature"))


@contextmanager
def sent_by(**entries: str) -> Iterator[None]:
    """Run a block in the context of a request with this baggage."""
    made = context.get_current()
    for name, value in entries.items():
        made = baggage.set_baggage(name, value, made)
    token = context.attach(made)
    yield
    context.detach(token)


@pytest.mark.usefixtures("crossing")
class TestInward:
    """Tags that came with a request."""

    def test_a_scope_takes_what_is_allowed(self, run: Run, spans: Any) -> None:
        """In every form; on its span too."""
        seen: list[Any] = []
        with sent_by(team="search", user="john"):
            run(lambda: seen.append(dict(current_scope.get().tags)), tags={"own": "1"})

        assert [{"team": "search", "own": "1"}] == seen
        assert "search" == spans.only.attributes["llm_otel.tag.team"]
        assert "llm_otel.tag.user" not in spans.only.attributes

    def test_what_is_said_here_goes_over_it(self, spans: Any) -> None:
        """The scope's own word first, then that of the scopes around, then the wire."""
        with traced_llm("outer", tags={"team": "outer"}), sent_by(team="wire", feature="wire"):
            with traced_llm("inner") as inherited:
                pass
            with traced_llm("inner", tags={"team": "own"}) as own:
                pass

        assert {"team": "outer", "feature": "wire"} == dict(inherited.tags)
        assert {"team": "own", "feature": "wire"} == dict(own.tags)


@pytest.mark.usefixtures("crossing")
class TestOutward:
    """Tags that go with the requests of a body."""

    def test_the_body_sends_them(self, run: Run, spans: Any) -> None:
        """Any instrumented client takes them from its context; nothing else is in it."""
        headers: dict[str, str] = {}
        run(lambda: propagate.inject(headers), tags={"team": "search", "user": "john"})

        assert "team=search" == headers["baggage"]
        assert spans.only.get_span_context().trace_id == int(headers["traceparent"].split("-")[1], 16)

    def test_an_inner_scope_sends_its_own(self, spans: Any) -> None:
        """And after it the outer one's are back."""
        seen = []
        with traced_llm("outer", tags={"team": "outer", "feature": "f"}):
            with traced_llm("inner", tags={"team": "inner"}):
                seen.append(dict(baggage.get_all()))
            seen.append(dict(baggage.get_all()))

        assert [{"team": "inner", "feature": "f"}, {"team": "outer", "feature": "f"}] == seen

    def test_nothing_stays_behind(self, run: Run, spans: Any) -> None:
        """The caller's context is as it was."""
        run(lambda: None, tags={"team": "search"})

        assert {} == dict(baggage.get_all())

    def test_the_consumer_of_a_generator_does_not_send_them(self, spans: Any) -> None:
        """They are current while the body runs."""

        @traced_llm("work", tags={"team": "search"})
        def work() -> Iterator[dict[str, object]]:
            yield dict(baggage.get_all())
            yield dict(baggage.get_all())

        @traced_llm("work", tags={"team": "search"})
        async def awork() -> AsyncIterator[dict[str, object]]:
            yield dict(baggage.get_all())

        async def consume() -> list[Any]:
            return [(item, dict(baggage.get_all())) async for item in awork()]

        assert [({"team": "search"}, {})] * 2 == [(item, dict(baggage.get_all())) for item in work()]
        assert [({"team": "search"}, {})] == asyncio.run(consume())


class TestOff:
    """By default nothing crosses."""

    def test_no_baggage_is_read_or_written(self, run: Run, spans: Any) -> None:
        """Whatever comes."""
        seen: list[Any] = []
        with sent_by(team="wire"):
            run(lambda: seen.append((dict(current_scope.get().tags), dict(baggage.get_all()))), tags={"feature": "f"})

        assert [({"feature": "f"}, {"team": "wire"})] == seen
        assert "llm_otel.tag.team" not in spans.only.attributes
