"""`traced_llm` keeps the types of what it decorates, and its block gives a `Trace`; `carry` keeps them too."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from datetime import UTC, datetime
from typing import TypeVar, assert_type

from llm_otel import Trace, carry, current_trace, record, traced_llm
from llm_otel.traced import TracedScope

T = TypeVar("T")


@traced_llm
def plain(question: str, *, limit: int = 3) -> str:
    """Bare."""
    return question * limit


@traced_llm()
def called(question: str, *, limit: int = 3) -> str:
    """With empty parentheses."""
    return question * limit


@traced_llm("named", tags={"team": "search"})
async def coroutine(question: str) -> str:
    """With options."""
    return question


@traced_llm(tags=["team:search", "research"])
def generator(count: int) -> Generator[int, str, bool]:
    """Items, sent values and return value have types of their own."""
    sent = yield count
    return bool(sent)


@traced_llm
async def async_generator(count: int) -> AsyncIterator[int]:
    """An async iterator stays one."""
    yield count


@traced_llm
def generic(value: T) -> list[T]:
    """Type variables are solved at the call."""
    return [value]


assert_type(plain("a", limit=2), str)
assert_type(called("a"), str)
assert_type(generator(1), Generator[int, str, bool])
assert_type(async_generator(1), AsyncIterator[int])
assert_type(generic(1), list[int])
plain(1)  # type: ignore[arg-type]
plain("a", nonsense=1)  # type: ignore[call-arg]


class Search:
    """Methods of every kind."""

    @traced_llm
    def method(self, text: str) -> str:
        """Bind `self`."""
        return text

    @traced_llm(tags={"team": "search"})
    async def async_method(self, text: str) -> int:
        """Bind `self`, later."""
        return len(text)

    @classmethod
    @traced_llm
    def class_inside(cls, text: str) -> str:
        """Under `classmethod`."""
        return text

    @traced_llm
    @classmethod
    def class_outside(cls, text: str) -> str:
        """Over `classmethod`."""
        return text

    @staticmethod
    @traced_llm("static")
    def static_inside(text: str) -> str:
        """Under `staticmethod`."""
        return text

    @traced_llm("static")
    @staticmethod
    def static_outside(text: str) -> str:
        """Over `staticmethod`."""
        return text

    def __call__(self, text: str) -> bool:
        """Be callable."""
        return bool(text)


search = Search()
assert_type(search.method("a"), str)
assert_type(Search.class_inside("a"), str)
assert_type(Search.class_outside("a"), str)
assert_type(search.class_outside("a"), str)
assert_type(Search.static_inside("a"), str)
assert_type(Search.static_outside("a"), str)
search.method(1)  # type: ignore[arg-type]
Search.class_outside(1)  # type: ignore[arg-type]

assert_type(traced_llm(search)("a"), bool)
assert_type(traced_llm(functools.partial(len, "a"))(), int)
assert_type(traced_llm("named"), TracedScope)
assert_type(traced_llm(name="named", tags=None), TracedScope)


def decorated_later(call: Callable[[str], Awaitable[int]]) -> None:
    """Hand a function on."""
    assert_type(traced_llm("named")(call)("a"), Awaitable[int])


def block() -> int:
    """Return from a block: it swallows no exception, so nothing is to be returned after it."""
    with traced_llm("nightly-digest", tags={"team": "growth"}) as trace:
        assert_type(trace, Trace)
        return trace.calls


async def async_block() -> int:
    """Return from an async block, and await what is traced."""
    async with traced_llm("nightly-digest") as trace:
        assert_type(trace, Trace)
        assert_type(await coroutine("a"), str)
        assert_type(await search.async_method("a"), int)
        return trace.calls


traced_llm(5)  # type: ignore[call-overload]
traced_llm("named", tags=5)  # type: ignore[call-overload]
traced_llm("named", colour="red")  # type: ignore[call-overload]
traced_llm("named", conversation_id=5)  # type: ignore[call-overload]


assert_type(carry(plain)("a", limit=2), str)
carry(plain)(1)  # type: ignore[arg-type]
carry(plain("a"))  # type: ignore[arg-type]
assert_type(current_trace(), Trace | None)
record({"usage": {}}, duration_s=1.5, started=datetime.now(UTC), error=ValueError())
record({"usage": {}}, duration="1.5")  # type: ignore[call-arg]
