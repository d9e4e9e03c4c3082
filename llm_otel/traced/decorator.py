"""The public face: `traced_llm` tells its forms apart, `TracedScope` is what the forms with options give."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from llm_otel.budgets.matching import run_budget
from llm_otel.errors import ConfigurationError
from llm_otel.scope import Tags, parse_tags
from llm_otel.traced.entries import Block, Entries, block_of_caller
from llm_otel.traced.forms import name_of, wrap
from llm_otel.traced.opened import OpenScope

if TYPE_CHECKING:
    from decimal import Decimal

    from llm_otel.budgets.budget import Budget
    from llm_otel.traced.trace import Trace

    Usd = Decimal | str | int | float
T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


class TracedScope:
    """A name and tags, with which scopes are opened: by decorating a callable, or by `with` and `async with`.

    It holds no state of a run: one object may decorate many functions, and be entered again, nested, and from
    several threads and tasks at once.
    """

    __slots__ = ("_budget_usd", "_conversation_id", "_entries", "_name", "_tags")

    def __init__(
        self,
        name: str | None = None,
        tags: Tags | None = None,
        budget_usd: Usd | None = None,
        conversation_id: str | None = None,
    ) -> None:
        self._name = _checked_name(name)
        self._tags = parse_tags(_checked_tags(tags))
        self._conversation_id = _checked_conversation(conversation_id)
        self._budget_usd = budget_usd
        self._budget_for("run")
        self._entries = Entries()

    @overload
    def __call__(self, function: classmethod[T, P, R], /) -> classmethod[T, P, R]: ...
    @overload
    def __call__(self, function: staticmethod[P, R], /) -> staticmethod[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]: ...
    def __call__(self, function: Any, /) -> Any:
        """Decorate a callable, without a name of its own under the callable's."""
        if isinstance(function, (classmethod, staticmethod)):
            return type(function)(self(function.__func__))
        if inspect.isclass(function):
            raise ConfigurationError("function", function, "a class is not traced: decorate its methods")
        if not callable(function):
            raise ConfigurationError("function", function, "decorate what can be called; of a property, its getter")
        name = self._name or name_of(function)
        return wrap(function, self._opening(name))

    def __enter__(self) -> Trace:
        return self._enter(block_of_caller())

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exit(block_of_caller(), exc)

    async def __aenter__(self) -> Trace:
        return self._enter(block_of_caller())

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exit(block_of_caller(), exc)

    def _enter(self, block: Block) -> Trace:
        if self._name is None:
            raise ConfigurationError("name", None, "name the block: with traced_llm('nightly-digest')")
        opened = self._opening(self._name)()
        opened.running.__enter__()
        self._entries.add(block, opened)
        return opened.scope

    def _opening(self, name: str) -> Callable[[], OpenScope]:
        return functools.partial(OpenScope, name, self._tags, self._budget_for(name), self._conversation_id)

    def _budget_for(self, name: str) -> Budget | None:
        return None if self._budget_usd is None else run_budget(name, self._budget_usd)

    def _exit(self, block: Block, exc: BaseException | None) -> None:
        opened = self._entries.take(block)
        opened.running.__exit__(None, None, None)
        opened.end(exc)


def _checked_name(name: object) -> str | None:
    if name is None:
        return None
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError("name", name, "give a name that is not empty, or the function to trace")
    return name


def _checked_conversation(conversation_id: object) -> str | None:
    if conversation_id is not None and (not isinstance(conversation_id, str) or not conversation_id):
        raise ConfigurationError("conversation_id", conversation_id, "a string that is not empty, or None")
    return conversation_id


def _checked_tags(tags: Any) -> Tags | None:
    if tags is not None and not isinstance(tags, Iterable):
        raise ConfigurationError("tags", tags, "give a mapping or a list of strings such as 'team:search'")
    return tags


@overload
def traced_llm(
    function: classmethod[T, P, R],
    /,
    *,
    tags: Tags | None = None,
    budget_usd: Usd | None = None,
    conversation_id: str | None = None,
) -> classmethod[T, P, R]: ...
@overload
def traced_llm(
    function: staticmethod[P, R],
    /,
    *,
    tags: Tags | None = None,
    budget_usd: Usd | None = None,
    conversation_id: str | None = None,
) -> staticmethod[P, R]: ...
@overload
def traced_llm(
    function: Callable[P, R],
    /,
    *,
    tags: Tags | None = None,
    budget_usd: Usd | None = None,
    conversation_id: str | None = None,
) -> Callable[P, R]: ...
@overload
def traced_llm(
    name: str | None = None,
    *,
    tags: Tags | None = None,
    budget_usd: Usd | None = None,
    conversation_id: str | None = None,
) -> TracedScope: ...
def traced_llm(
    name: Any = None,
    *,
    tags: Tags | None = None,
    budget_usd: Usd | None = None,
    conversation_id: str | None = None,
) -> Any:
    """Trace what runs inside and sum up its completions: calls, tokens and cost.

    A decorator, with or without parentheses, and a context manager:

        @traced_llm
        def summarize(text: str) -> str: ...

        @traced_llm("answer", tags={"team": "search"})
        async def answer(question: str) -> str: ...

        with traced_llm("nightly-digest", tags=["team:growth"]) as trace:
            ...
        print(trace.calls, trace.tokens, trace.cost_usd)

    Functions, coroutine functions, generators, async generators, methods, class and static methods (in either
    order), callable objects and partials stay what they are. The span opens when the body starts to run: for
    coroutines and generators with the first step (and wrong arguments to a generator function fail there
    too). In a generator, scope and span are current only while its body runs. A block inside a generator that
    is not itself decorated is current in the consumer as well, like every context variable: decorate the
    generator.

    An exception passes through unchanged; the span says ERROR and its class. Breaking off a generator,
    `StopIteration` and `sys.exit(0)` are no errors. If nothing was recorded inside and a function or
    coroutine returned a LiteLLM- or OpenAI-style response, that is recorded as the completion.

    Args:
        name: What the workflow is called, low in cardinality; by default as the function. A block needs one.
        tags: Who and what the calls inside are for; inner scopes win over outer ones.
        budget_usd: A hard limit in US dollars for each single run: a call inside that may cost more than what is left
            is refused with `BudgetExceededError` before it is sent. Runs inside share it, whatever their own.
        conversation_id: Your own id of the conversation that the calls inside belong to, for their spans: usually of a
            block, as it is another one each time. Inner scopes inherit it.

    Raises:
        ConfigurationError: The name is empty or no string, the tags are malformed, the budget is no amount of money,
            the conversation is no text, or a class is decorated.
    """
    if callable(name) or isinstance(name, (classmethod, staticmethod)):
        return TracedScope(None, tags, budget_usd, conversation_id)(name)
    return TracedScope(name, tags, budget_usd, conversation_id)
