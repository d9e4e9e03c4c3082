"""A response that a function returns is recorded as its completion, where none was recorded inside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from llm_otel.scope import Scope
from llm_otel.traced import traced_llm
from llm_otel.traced.opened import OpenScope
from llm_otel.traced.response import is_response

CHAT = SimpleNamespace(
    model="gpt-4o-mini", choices=[object()], usage=SimpleNamespace(prompt_tokens=18, completion_tokens=5)
)
CHAT_DICT = {"model": "gpt-4o-mini", "choices": [{}], "usage": {"prompt_tokens": 18, "completion_tokens": 5}}
RESPONSES_API = SimpleNamespace(
    model="gpt-4o-mini", output=[object()], usage=SimpleNamespace(input_tokens=18, output_tokens=5)
)


class MovedClock:
    """Moves by half a second each time it is read."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now_ns(self) -> int:
        """Return a wall time."""
        return 1_700_000_000_000_000_000

    def monotonic(self) -> float:
        """Return the next half second."""
        self.seconds += 0.5
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Not used here."""
        raise NotImplementedError

    async def asleep(self, seconds: float) -> None:
        """Not used here."""
        raise NotImplementedError


class TestIsResponse:
    """What counts as a response."""

    @pytest.mark.parametrize("value", [CHAT, CHAT_DICT, RESPONSES_API])
    def test_completions(self, value: object) -> None:
        """Objects and dictionaries with an output and counted input."""
        assert is_response(value)

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "text",
            {},
            {"usage": {"prompt_tokens": 5}},
            {"choices": [], "usage": None},
            {"choices": [], "usage": {"prompt_tokens": "5"}},
            {"choices": [], "usage": {"prompt_tokens": True}},
            SimpleNamespace(data=[[0.5]], usage=SimpleNamespace(prompt_tokens=5)),
            MagicMock(),
        ],
    )
    def test_other_values(self, value: object) -> None:
        """Embeddings, mocks, broken and unrelated values are none."""
        assert not is_response(value)


class TestRecording:
    """Recording it, once."""

    @pytest.mark.parametrize("response", [CHAT, CHAT_DICT, RESPONSES_API])
    @pytest.mark.parametrize("is_async", [False, True])
    def test_returned_response_is_the_call(
        self, spans: Any, fake_runtime: Any, response: object, is_async: bool
    ) -> None:
        """And is returned as it came."""

        @traced_llm("work")
        def work() -> object:
            return response

        @traced_llm("work")
        async def work_async() -> object:
            return response

        assert response is (asyncio.run(work_async()) if is_async else work())
        (recorded,) = fake_runtime.responses
        assert response is recorded["response"]
        assert "work" == recorded["scope"].name
        assert 1 == spans.only.attributes["llm_otel.total.calls"]

    def test_is_recorded_inside_of_the_scope(
        self, spans: Any, monkeypatch: pytest.MonkeyPatch, fake_runtime: Any
    ) -> None:
        """So that the completion's span is a child of the scope's."""
        open_spans: list[list[str]] = []
        recorded_in: list[Scope | None] = []

        def record(*_: object, scope: Scope, **__: object) -> None:
            open_spans.append([span.name for span in spans.open.values()])
            recorded_in.append(scope)

        monkeypatch.setattr(fake_runtime, "record_response", record)
        traced_llm("work")(lambda: CHAT)()

        assert [["invoke_workflow work"]] == open_spans

    def test_duration_is_that_of_the_body(self, spans: Any, fake_runtime: Any) -> None:
        """From the start of the scope, by the clock that only runs forward."""
        opened = OpenScope("work", {}, clock=MovedClock())
        with opened, opened.running:
            opened.returned(CHAT)

        (recorded,) = fake_runtime.responses
        assert 1_700_000_000_000_000_000 == recorded["ns"]
        assert 0.5 == recorded["s"]

    def test_nothing_is_recorded_twice(self, spans: Any, fake_runtime: Any, make_call: Callable[..., None]) -> None:
        """A call that was caught inside is not counted again when its response is returned."""

        @traced_llm("inner")
        def inner() -> object:
            make_call()
            return CHAT

        @traced_llm("outer")
        def outer() -> object:
            return inner()

        outer()
        assert [] == fake_runtime.responses

    def test_inner_function_records_for_the_outer(self, spans: Any, fake_runtime: Any) -> None:
        """Two that pass on one response record it once."""
        inner = traced_llm("inner")(lambda: CHAT)
        traced_llm("outer")(lambda: inner())()

        (recorded,) = fake_runtime.responses
        assert "inner" == recorded["scope"].name
        assert [1, 1] == [span.attributes["llm_otel.total.calls"] for span in spans.ended]

    def test_other_values_are_left_alone(self, spans: Any, fake_runtime: Any) -> None:
        """The runtime does not even hear of them."""
        traced_llm("work")(lambda: {"usage": 5})()

        assert [] == fake_runtime.responses
