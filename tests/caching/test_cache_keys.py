"""Keys: the same request has the same one, any other another, and two tenants never the same."""

from __future__ import annotations

import enum
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from llm_otel.caching.key import SHAPES_NOTHING, key_of, tenant_of

MESSAGES = [{"role": "user", "content": "Hello!"}]
TENANT = tenant_of({"tenant": "acme"}, ("tenant", "user"))


def key(tenant=TENANT, model="openai/gpt-4o-mini", server=(None, None), **arguments):
    """Return the key of a request."""
    return key_of({"messages": MESSAGES, **arguments}, model=model, tenant=tenant, server=server)


class City(BaseModel):
    """Where."""

    name: str


class Town(BaseModel):
    """Where."""

    name: str


class Colour(enum.Enum):
    RED = 1


# --- same and not the same --------------------------------------------------------------------------------------------


def test_a_key_is_a_digest():
    """64 hexadecimal digits: nothing of a prompt or a secret can be read from it."""
    found = key(api_key="sk-secret")

    assert 64 == len(found)
    assert set(found) <= set("0123456789abcdef")


@pytest.mark.parametrize("name", sorted(SHAPES_NOTHING))
def test_patience_and_bookkeeping_do_not_count(name):
    """A stream finds what a plain call has kept. Even a value that cannot be written does not matter here."""
    assert key() == key(**{name: object()})


def test_what_is_not_given_is_not_there():
    """LiteLLM takes `None` for that."""
    assert key() == key(temperature=None, api_key=None)


def test_a_client_of_the_callers_is_not_cached_for():
    """It has an address and a key of its own, which nobody can see."""
    assert None is key(client=object())


@pytest.mark.parametrize(
    "same",
    [
        ({"stop": ["a", "b"]}, {"stop": ("a", "b")}),
        ({"x": {"a": 1, "b": 2}}, {"x": {"b": 2, "a": 1}}),
        ({"x": {"a": 1}}, {"x": MappingProxyType({"a": 1})}),
        ({"x": b"a"}, {"x": bytearray(b"a")}),
        ({"x": float("nan")}, {"x": float("nan")}),
        ({"response_format": City}, {"response_format": City}),
        ({"x": City(name="Rome")}, {"x": City(name="Rome")}),
        ({"x": "\ud83d"}, {"x": "\ud83d"}),
    ],
    ids=str,
)
def test_the_same(same):
    """What is sent alike has one key."""
    first, second = (key(**each) for each in same)

    assert first is not None
    assert first == second


VALUES = [
    *(1, 1.0, True, "1", 2, 0, 0.0, -0.0, False, "", "True", "true", "null", "1.0"),
    *(float("nan"), float("inf"), float("-inf"), "NaN", "Infinity"),
    *([], {}, [1], ["1"], [[1]], [1, 1], {"1": 1}, {"1": "1"}, ["list", 1], ["list"], "[1]"),
    *(b"", b"1", ["bytes", "31"], {"bytes": "31"}, "31"),
    *("\U0001f600", "\ud83d\ude00", "\ud83d", "\ude00", "\\ud83d", "\u00e9", "e\u0301"),
    *(City, Town, City(name="Rome"), Town(name="Rome"), City(name="Oslo"), {"name": "Rome"}),
    ["class", "City", City.model_json_schema()],
    ["object", "City", {"name": "Rome"}],
]


def test_no_two_values_share_a_key():
    """Types count, and what was made of something else never looks like it."""
    keys = [key(x=value) for value in VALUES]

    assert None not in keys
    assert len(VALUES) == len(set(keys))


@pytest.mark.parametrize(
    "other",
    [
        {"model": "openai/gpt-4o"},
        {"server": ("localhost", 8080)},
        {"api_base": "http://localhost/v1"},
        {"api_key": "sk-one"},
        {"api_key": "sk-two"},
        {"messages": [{"role": "system", "content": "Hello!"}]},
        {"messages": []},
        {"temperature": 0},
        {"temperature": 0.0},
        {"seed": 0},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"max_tokens": 5},
        {"max_completion_tokens": 5},
        {"user": "ann"},
        {"mock_response": "Hi"},
        {"something_new": 1},
    ],
    ids=str,
)
def test_whatever_shapes_an_answer_counts(other):
    """Also what nobody knows yet."""
    assert None is not key(**other)
    assert key() != key(**other)


@pytest.mark.parametrize(
    "value",
    [object(), print, lambda: 1, {1, 2}, {1: "a"}, {None: "a"}, Colour.RED, 1j, iter([1]), int, Colour, [[object()]]],
    ids=repr,
)
def test_what_cannot_be_written_is_not_cached(value):
    """Better no key than one that something else may have."""
    assert None is key(x=value)


def test_what_contains_itself_is_not_cached():
    """Nor is what is nested without end."""
    circle: list = []
    circle.append(circle)

    assert None is key(x=circle)


def test_what_fails_is_not_cached():
    """A key is never an error of the call."""

    class Broken(BaseModel):
        def model_dump(self, **_options):
            raise OSError

    assert None is key(x=Broken())
    assert None is key(api_key=lambda: "sk-secret")


def test_what_is_read_once_is_left_alone():
    """An iterator is not used up by looking at it."""
    words = iter(["a", "b"])

    assert None is key(x=words)
    assert ["a", "b"] == list(words)


# --- properties -------------------------------------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=12,
)


def written(value):
    """Write a value so that whatever differs is written differently: the slow way."""
    if isinstance(value, dict):
        return ("dict", *sorted((name, written(each)) for name, each in value.items()))
    if isinstance(value, list):
        return ("list", *map(written, value))
    return type(value).__name__, repr(value)


@given(values, values)
def test_keys_are_equal_if_and_only_if_requests_are(one, other):
    """For whatever JSON has, and bytes; at the top `None` is as if not given."""
    assert (written(one) == written(other)) == (key(x=one) == key(x=other))


@given(values)
def test_a_request_keeps_its_key(value):
    """A copy of it, in another order, has the same."""

    def turned(part):
        if isinstance(part, dict):
            return {name: turned(each) for name, each in reversed(part.items())}
        return tuple(map(turned, part)) if isinstance(part, list) else part

    assert key(x=value) == key(x=turned(value))


tags = st.dictionaries(st.sampled_from(["tenant", "customer", "user", "team"]), st.text(max_size=3))


@given(tags, tags)
def test_tenants_never_share(one, other):
    """Two calls have one key only where all the tags that keep tenants apart are the same, or the same are missing."""
    names = ("tenant", "customer", "user")
    are_same = all(one.get(name) == other.get(name) for name in names)

    assert are_same == (key(tenant_of(one, names)) == key(tenant_of(other, names)))


def test_services_that_tell_tenants_apart_otherwise_do_not_share():
    """One that looks at users must not get what another gave to everybody of a tenant."""
    tags_of_both = {"tenant": "acme"}

    assert key(tenant_of(tags_of_both, ("tenant",))) != key(tenant_of(tags_of_both, ("tenant", "user")))
