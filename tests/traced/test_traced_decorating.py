"""What can be decorated, and what it still is afterwards."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from llm_otel.errors import ConfigurationError
from llm_otel.traced import TracedScope, traced_llm


def plain(question: str, *, limit: int = 3) -> str:
    """Say something."""
    return question * limit


async def coroutine(question: str, *, limit: int = 3) -> str:
    """Say something later."""
    return question * limit


def generator(question: str, *, limit: int = 3) -> Iterator[str]:
    """Say something bit by bit."""
    for _ in range(limit):
        yield question


async def async_generator(question: str, *, limit: int = 3) -> AsyncIterator[str]:
    """Say something bit by bit, later."""
    for _ in range(limit):
        yield question


EVERY_KIND = [plain, coroutine, generator, async_generator]


def outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Run a callable of any kind to its end."""
    value = function(*args, **kwargs)
    if inspect.iscoroutine(value):
        return str(asyncio.run(value))
    if inspect.isasyncgen(value):

        async def collect() -> str:
            return "".join([item async for item in value])

        return asyncio.run(collect())
    return value if isinstance(value, str) else "".join(value)


@traced_llm
def pickled(text: str) -> str:
    """Be found by name."""
    return text


class TestForms:
    """Every way to write it."""

    @pytest.mark.parametrize("kind", EVERY_KIND)
    @pytest.mark.parametrize(
        ("decorate", "name"),
        [
            (traced_llm, None),
            (traced_llm(), None),
            (traced_llm("named"), "named"),
            (traced_llm(name="named"), "named"),
            (traced_llm(tags={"team": "search"}), None),
        ],
    )
    def test_with_and_without_parentheses(
        self, spans: Any, kind: Callable[..., Any], decorate: Callable[..., Any], name: str | None
    ) -> None:
        """Every way to write it, on every kind of function."""
        assert "aa" == outcome(decorate(kind), "a", limit=2)
        assert f"invoke_workflow {name or kind.__name__}" == spans.only.name

    def test_one_object_decorates_many(self, spans: Any) -> None:
        """Options are given once, for as many functions as wanted."""
        decorate = traced_llm(tags={"team": "search"})
        for kind in EVERY_KIND:
            outcome(decorate(kind), "a")

        assert [f"invoke_workflow {kind.__name__}" for kind in EVERY_KIND] == spans.names
        assert {"search"} == {span.attributes["llm_otel.tag.team"] for span in spans.ended}

    def test_options_give_an_object(self) -> None:
        """A `TracedScope`, public for annotations."""
        assert isinstance(traced_llm("named"), TracedScope)

    def test_tags_are_read_once(self, spans: Any) -> None:
        """What is done to the dictionary afterwards changes nothing."""
        tags = {"team": "search"}
        traced = traced_llm(tags=tags)(plain)
        tags["team"] = "growth"
        traced("a")

        assert "search" == spans.only.attributes["llm_otel.tag.team"]

    def test_runs_do_not_share_state(self, spans: Any, make_call: Callable[..., None]) -> None:
        """State is made for each run, never for each decoration."""

        @traced_llm
        def work(depth: int) -> None:
            make_call()
            if depth:
                work(depth - 1)

        work(2)
        work(0)

        assert [1, 2, 3, 1] == [span.attributes["llm_otel.total.calls"] for span in spans.ended]


class TestIdentity:
    """The decorated callable is what it was."""

    # Some frameworks still ask asyncio, which Python 3.14 deprecates.
    @pytest.mark.filterwarnings("ignore:'asyncio.iscoroutinefunction' is deprecated:DeprecationWarning")
    @pytest.mark.parametrize("kind", EVERY_KIND)
    def test_inspect_sees_no_difference(self, kind: Callable[..., Any]) -> None:
        """Frameworks decide by these how a function is to be run."""
        traced = traced_llm(kind)

        for predicate in (
            inspect.isfunction,
            inspect.iscoroutinefunction,
            inspect.isgeneratorfunction,
            inspect.isasyncgenfunction,
            asyncio.iscoroutinefunction,
        ):
            assert predicate(kind) == predicate(traced)
        assert inspect.signature(kind) == inspect.signature(traced)
        assert kind is traced.__wrapped__  # type: ignore[attr-defined]
        assert (kind.__name__, kind.__qualname__, kind.__doc__, kind.__module__) == (
            traced.__name__,
            traced.__qualname__,
            traced.__doc__,
            traced.__module__,
        )
        assert kind.__annotations__ == traced.__annotations__

    def test_generator_objects_have_the_functions_name(self) -> None:
        """As warnings and debuggers show it."""
        made: Any = traced_llm(generator)("a")

        assert "generator" == made.__name__
        assert inspect.isgenerator(made)

    def test_attributes_of_the_function_are_kept(self) -> None:
        """Frameworks mark functions that way."""

        def marked() -> None:
            pass

        marked.route = "/answer"  # type: ignore[attr-defined]
        assert "/answer" == traced_llm(marked).route  # type: ignore[attr-defined]

    def test_decorated_function_can_be_pickled(self) -> None:
        """Process pools send functions by name."""
        assert pickled is pickle.loads(pickle.dumps(pickled))

    def test_wrong_arguments_fail_as_ever(self, spans: Any) -> None:
        """At the call; in a generator function with its first step, where its body begins."""
        with pytest.raises(TypeError, match=r"plain\(\) got an unexpected keyword argument 'nonsense'"):
            traced_llm(plain)("a", nonsense=1)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"generator\(\) got an unexpected keyword argument 'nonsense'"):
            next(traced_llm(generator)("a", nonsense=1))  # type: ignore[call-arg]

        assert ["TypeError"] * 2 == [span.attributes["error.type"] for span in spans.ended]


class Search:
    """Methods of every kind, decorated in every order."""

    prefix = "found "

    @traced_llm
    def method(self, text: str) -> str:
        return self.prefix + text

    @traced_llm(tags={"team": "search"})
    async def async_method(self, text: str) -> str:
        return self.prefix + text

    @traced_llm
    def generate(self, text: str) -> Iterator[str]:
        yield self.prefix
        yield text

    @traced_llm
    async def agenerate(self, text: str) -> AsyncIterator[str]:
        yield self.prefix
        yield text

    @classmethod
    @traced_llm
    def class_inside(cls, text: str) -> str:
        return cls.prefix + text

    @traced_llm
    @classmethod
    def class_outside(cls, text: str) -> str:
        return cls.prefix + text

    @staticmethod
    @traced_llm
    def static_inside(text: str) -> str:
        return "found " + text

    @traced_llm("static_outside")
    @staticmethod
    def static_outside(text: str) -> str:
        return "found " + text

    @property
    @traced_llm
    def getter(self) -> str:
        return self.prefix

    @traced_llm
    def __call__(self, text: str) -> str:
        return self.prefix + text


class TestMethods:
    """Methods of every kind."""

    @pytest.mark.parametrize("name", ["method", "async_method", "generate", "agenerate"])
    def test_instance_methods(self, spans: Any, name: str) -> None:
        """Bound as methods are."""
        assert "found it" == outcome(getattr(Search(), name), "it")
        assert f"invoke_workflow Search.{name}" == spans.only.name

    @pytest.mark.parametrize("name", ["class_inside", "class_outside", "static_inside", "static_outside"])
    @pytest.mark.parametrize("owner", [Search, Search()])
    def test_class_and_static_methods(self, spans: Any, name: str, owner: Any) -> None:
        """In either order of the decorators, through the class and through an instance."""
        assert "found it" == getattr(owner, name)("it")
        assert spans.only.name.endswith(name)

    def test_class_methods_see_the_subclass(self, spans: Any) -> None:
        """The class that was asked, not the one that was decorated."""

        class Deep(Search):
            prefix = "deep "

        assert ["deep it", "deep it"] == [Deep.class_inside("it"), Deep.class_outside("it")]

    def test_property_and_call(self, spans: Any) -> None:
        """Special methods and getters are functions too."""
        assert "found " == Search().getter
        assert "found it" == Search()("it")

    def test_abstract_methods_stay_abstract(self) -> None:
        """A class that does not implement them cannot be made."""

        class Base(ABC):
            @traced_llm
            @abstractmethod
            def answer(self) -> str: ...

        with pytest.raises(TypeError, match="abstract"):
            Base()  # type: ignore[abstract]


class Answer:
    """A callable object with state."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def __call__(self, text: str) -> str:
        return self.prefix + text


class LateAnswer(Answer):
    """One whose `__call__` is a coroutine function."""

    async def __call__(self, text: str) -> str:  # type: ignore[override]
        return self.prefix + text


class StreamedAnswer(Answer):
    """One whose `__call__` is a generator function."""

    def __call__(self, text: str) -> Iterator[str]:  # type: ignore[override]
        yield self.prefix
        yield text


class TestOtherCallables:
    """What is neither function nor method."""

    @pytest.mark.parametrize("kind", [Answer, LateAnswer, StreamedAnswer])
    def test_callable_objects(self, spans: Any, kind: type[Answer]) -> None:
        """Named by their class; what they are is what their `__call__` is."""
        answer = kind("found ")
        traced: Any = traced_llm(answer)
        answer.prefix = "changed "

        assert "changed it" == outcome(traced, "it")
        assert f"invoke_workflow {kind.__name__}" == spans.only.name
        assert kind.__name__ == traced.__name__
        assert not hasattr(traced, "prefix")
        assert (kind is LateAnswer, kind is StreamedAnswer) == (
            inspect.iscoroutinefunction(traced),
            inspect.isgeneratorfunction(traced),
        )
        assert ["text"] == list(inspect.signature(traced).parameters)

    @pytest.mark.parametrize("kind", EVERY_KIND)
    def test_partials(self, spans: Any, kind: Callable[..., Any]) -> None:
        """Named as what they are partials of, and of the same kind."""
        traced: Any = traced_llm(functools.partial(functools.partial(kind, limit=2), "a"))

        assert "aa" == outcome(traced)
        assert f"invoke_workflow {kind.__name__}" == spans.only.name
        assert kind.__name__ == traced.__name__

    def test_partial_of_an_object(self, spans: Any) -> None:
        """Both at once."""
        assert "found it" == outcome(traced_llm(functools.partial(LateAnswer("found "), "it")))

    def test_bound_methods_builtins_and_lambdas(self, spans: Any) -> None:
        """Whatever else can be called."""
        assert "found it" == traced_llm(Answer("found ").__call__)("it")
        assert 2 == traced_llm(len)("it")
        assert "it" == traced_llm(lambda text: text)("it")
        assert ["Answer.__call__", "len", "<lambda>"] == [name.split()[-1] for name in spans.names]

    def test_cached_function(self, spans: Any) -> None:
        """A descriptor made by another decorator."""
        cached = traced_llm(functools.cache(plain))

        assert "aaa" == cached("a") == cached("a")
        assert ["invoke_workflow plain"] * 2 == spans.names


class TestBadInput:
    """Errors that name the argument."""

    @pytest.mark.parametrize("name", [5, b"name", "", "  ", ["name"], True])
    def test_bad_names(self, name: Any) -> None:
        """Refused where they are written, not where the function runs."""
        with pytest.raises(ConfigurationError) as caught:
            traced_llm(name)

        assert "name" == caught.value.field
        assert name == caught.value.value

    @pytest.mark.parametrize("tags", ["team:search", 5, {"team": 5}, {"": "search"}, [5], [":x"], {5: "x"}])
    def test_bad_tags(self, tags: Any) -> None:
        """Strings to strings; a lone string is a mistake for a list of one."""
        with pytest.raises(ConfigurationError) as caught:
            traced_llm("work", tags=tags)

        assert "tags" == caught.value.field

    @pytest.mark.parametrize("decorate", [traced_llm, traced_llm("named")])
    def test_classes(self, decorate: Any) -> None:
        """What would be traced is not clear; the message says what to do."""
        with pytest.raises(ConfigurationError, match="decorate its methods") as caught:
            decorate(Search)

        assert "function" == caught.value.field

    @pytest.mark.parametrize("target", [5, None, property(lambda self: 1), functools.partialmethod(plain)])
    def test_what_cannot_be_called(self, target: Any) -> None:
        """Refused where it is decorated."""
        with pytest.raises(ConfigurationError) as caught:
            traced_llm("named")(target)

        assert "function" == caught.value.field
