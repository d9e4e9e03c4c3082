"""What becomes of a text before it is recorded: redacted, cut, and fit for every exporter."""

from __future__ import annotations

import re

import pytest

from llm_otel.providers.texts import MAX_DEPTH, ContentError, Texts


def texts(redact=None, *, max_length=1_000):
    """Return the texts of a call."""
    return Texts(redact=redact, max_length=max_length)


def masked(*words):
    """Return a redaction of words."""
    return lambda text: re.sub(rf"\b(?:{'|'.join(words)})\b", "***", text)


def test_a_text_is_cut_and_says_so():
    """At the limit it is whole; one more is marked, and counted."""
    own = texts(max_length=5)

    assert ["12345", "12345… [1 more characters]"] == [own.text("12345"), own.text("123456")]
    assert 1 == own.truncated


def test_redaction_comes_before_the_cut():
    """Cut first, the number would end in its middle, where nothing finds it."""
    assert "call ***… [4 more characters]" == texts(masked("555-0100"), max_length=8).text("call 555-0100 now")


def test_half_a_surrogate_is_replaced():
    """No exporter can encode it: the whole attribute would be lost."""
    assert ["a?b", "ü 🎉"] == [texts().text("a\ud800b"), texts().text("ü 🎉")]


def test_a_redaction_may_not_bring_half_surrogates_back():
    """What it returns is looked at too."""
    assert "?" == texts(lambda _: "\udfff").text("x")


@pytest.mark.parametrize("found", [None, b"bytes", 3], ids=repr)
def test_a_redaction_that_returns_no_text_fails(found):
    """A function that forgot its `return` must not have the original recorded."""
    with pytest.raises(ContentError, match=rf"redact\(\) returned a {type(found).__name__}, not a string"):
        texts(lambda _: found).text("secret")


def test_a_failing_redaction_quotes_nothing():
    """The text of its exception may be what was to be redacted: type and place are enough to find it."""

    def redact(text):
        raise KeyError(text)

    with pytest.raises(ContentError) as raised:
        texts(redact).text("secret")

    assert re.fullmatch(r"redact\(\) raised KeyError \(test_texts\.py, line \d+\)", str(raised.value))
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('{"city": "Paris", "days": 3}', {"city": "Paris", "days": 3}),
        ({"city": "Paris", "near": None}, {"city": "Paris", "near": None}),
        ("[1, 2]", [1, 2]),
        ("sunny", "sunny"),
        ("", ""),
        ("3", "3"),
        (3, "3"),
        (True, "true"),
        ({"a": {1, 2}}, {"a": "<set>"}),
        ({1: "x", None: "y"}, {"1": "x", "null": "y"}),
        ({"x": float("nan")}, '{"x": NaN}'),
        ({"x": 10**200}, {"x": "<int>"}),
        ({"x": 2**63}, '{"x": 9223372036854775808}'),
        ({"x": [1, "a"]}, '{"x": [1, "a"]}'),
        ('{"a": 1e999}', '{"a": Infinity}'),
        ('{"a": NaN}', '{"a": NaN}'),
        ("{" * 3_000, "{" * 1_000 + "… [2000 more characters]"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_structure_stays_one_where_every_exporter_can_carry_it(value, expected):
    """Else it is a text: mixed lists (dropped by SDK 1.41), integers beyond int64, what is no JSON, what is cut."""
    assert expected == texts().structured(value)


def test_what_is_nested_deeply_is_a_text():
    """Protobuf refuses messages nested deeper than 100."""
    shallow = '{"a": ' * MAX_DEPTH + "1" + "}" * MAX_DEPTH
    deep = '{"a": ' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1)
    without_end = "[" * 900 + "]" * 900

    assert dict is type(texts().structured(shallow))
    assert [deep, without_end] == [texts().structured(deep), texts(max_length=2_000).structured(without_end)]


def test_a_structure_that_holds_itself_ends():
    """Whatever a caller hands in."""
    endless: dict[str, object] = {}
    endless["again"] = endless

    assert "<dict>" in str(texts().structured(endless))


@pytest.mark.parametrize(
    "value",
    [
        '{"to": "ann", "cc": ["bob"]}',
        {"ann": "bob"},
        '{"note": "call\\nann"}',
        '{"note": "call\\nann',
        '{"note": "\\u0061nn"}',
        '{"note": "\\u0061nn',
        "ann",
        '["ann"]',
        '"call\\nann"',
    ],
    ids=repr,
)
def test_redaction_finds_names_values_and_what_an_escape_hides(value):
    """To a regular expression the `n` of an escaped newline is part of the word."""
    assert not re.search("ann|bob", str(texts(masked("ann", "bob")).structured(value)))


@pytest.mark.parametrize(
    "value",
    ['{"note": "call\\nann"}', ' {"note": "call\\nann', '[{"cc": "\\u0061nn"}]', "{'note': 'call\\nann'}"],
    ids=repr,
)
def test_redaction_finds_what_an_escape_hides_in_a_text_that_is_json(value):
    """Structured outputs are texts, and so are results of tools that come as parts."""
    assert "***" in texts(masked("ann")).text(value)


@pytest.mark.parametrize("value", ['{"path": "C:\\\\new"}', "[INFO] C:\\new", "a\\nann", '{ "a" :1 }'], ids=repr)
def test_a_text_in_which_nothing_is_found_stays_as_it_is(value):
    """To the letter where nothing is escaped; JSON otherwise means the same."""
    assert value == texts(masked("bob")).text(value)


def test_numbers_are_redacted_as_a_part_of_the_whole():
    """A card number may come as an integer; what is no JSON any more is recorded as text."""
    assert '{"card": ***}' == texts(masked("4111111111111111")).structured({"card": 4111111111111111})
