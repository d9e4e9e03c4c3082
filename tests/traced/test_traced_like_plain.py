"""Whatever is done to a traced generator, it answers as the plain one would, and its span ends once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any, Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_otel.traced import traced_llm

Reaction = Literal["swallow", "reraise", "return", "raise"]
Step = tuple[str, Any]


class BodyError(Exception):
    """What bodies raise."""


class ThrownError(Exception):
    """What consumers throw."""


reactions = st.lists(st.sampled_from(["swallow", "reraise", "return", "raise"]), max_size=4)
steps = st.lists(
    st.one_of(
        st.just(("next", None)),
        st.tuples(st.just("send"), st.sampled_from([None, 1])),
        st.tuples(st.just("throw"), st.sampled_from([ThrownError, GeneratorExit, StopIteration, StopAsyncIteration])),
        st.just(("close", None)),
    ),
    max_size=6,
)
CLOSE: Step = ("close", None)
every_case = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _react(reaction: Reaction, error: BaseException) -> bool:
    """Tell whether to return."""
    if reaction == "reraise":
        raise error
    if reaction == "raise":
        raise BodyError("on " + type(error).__name__)
    return reaction == "return"


def body(plan: list[Reaction], seen: list[object]) -> Generator[int, object, str]:
    """Note what is received; react to what is thrown as planned."""
    for number, reaction in enumerate(plan):
        try:
            seen.append((yield number))
        except BaseException as error:
            seen.append(type(error))
            if _react(reaction, error):
                return "early"
    return "done"


async def async_body(plan: list[Reaction], seen: list[object]) -> AsyncGenerator[int, object]:
    """Do the same, with waits; but return when closed (Python loses one that goes on)."""
    for number, reaction in enumerate(plan):
        await asyncio.sleep(0)
        try:
            seen.append((yield number))
        except BaseException as error:
            await asyncio.sleep(0)
            seen.append(type(error))
            if _react(reaction, error) or isinstance(error, GeneratorExit):
                return


def _answer(error: BaseException) -> tuple[str, object]:
    """Describe what came out instead of an item."""
    return type(error).__name__, error.args


def transcript(generator: Any, script: list[Step]) -> list[object]:
    """Do what the script says and write down every answer."""
    answers: list[object] = []
    for step, argument in script:
        act = getattr(generator, {"next": "__next__"}.get(step, step))
        try:
            answers.append(act() if step in ("next", "close") else act(argument))
        except BaseException as error:
            answers.append(_answer(error))
    return answers


async def async_transcript(generator: Any, script: list[Step]) -> list[object]:
    """Do the same to an async generator."""
    answers: list[object] = []
    for step, argument in script:
        act = getattr(generator, {"next": "__anext__"}.get(step, f"a{step}"))
        try:
            answers.append(await (act() if step in ("next", "close") else act(argument)))
        except BaseException as error:
            answers.append(_answer(error))
    return answers


def _is_started(script: list[Step]) -> bool:
    """Tell whether the body ran: a `next` or `send(None)` came before what ends an unstarted one."""
    for step, argument in script:
        if step == "next" or (step == "send" and argument is None):
            return True
        if step in ("throw", "close"):
            return False
    return False


@given(plan=reactions, script=steps)
@every_case
def test_generator(spans: Any, plan: list[Reaction], script: list[Step]) -> None:
    """`next`, `send`, `throw` and `close` in any order, on a body that reacts in any way."""
    spans.clear()
    script = script + [CLOSE] * (len(plan) + 1)
    expected_seen: list[object] = []
    seen: list[object] = []

    expected = transcript(body(plan, expected_seen), script)
    actual = transcript(traced_llm(body)(plan, seen), script)

    assert expected == actual
    assert expected_seen == seen
    assert int(_is_started(script)) == len(spans.ended)


@given(plan=reactions, script=steps)
@every_case
def test_async_generator(spans: Any, plan: list[Reaction], script: list[Step]) -> None:
    """`anext`, `asend`, `athrow` and `aclose` in any order, on a body that reacts in any lawful way."""
    spans.clear()
    script = [*script, CLOSE]
    expected_seen: list[object] = []
    seen: list[object] = []

    async def main() -> tuple[list[object], list[object]]:
        expected = await async_transcript(async_body(plan, expected_seen), script)
        return expected, await async_transcript(traced_llm(async_body)(plan, seen), script)

    expected, actual = asyncio.run(main())

    assert expected == actual
    assert expected_seen == seen
    assert int(_is_started(script)) == len(spans.ended)
