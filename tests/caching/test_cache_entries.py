"""Entries: what is kept comes back as it was, and nothing else comes back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_otel.caching.entry import Entry, UnreadableEntryError, is_whole
from llm_otel.usage import Usage
from tests.caching.answers import entry


@pytest.mark.parametrize(
    "one",
    [
        entry(),
        entry("é \U0001f600 \ud83d", cost_nano=None),
        replace(entry(), usage=None, response_model=None, finish_reasons=("stop", "tool_calls")),
        replace(entry(), usage=Usage(input_tokens=4, is_estimated=True), cost_nano=0),
    ],
    ids=["plain", "unpriced", "without usage", "estimated"],
)
def test_what_is_written_is_read(one):
    """Every field, exactly."""
    assert one == Entry.of_json(one.to_json())


def changed(**fields):
    """Return the JSON of an entry with other fields."""
    return json.dumps(json.loads(entry().to_json()) | fields).encode()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"hello": "world"}',
        entry().to_json()[:-1],
        changed(version=2),
        changed(version=None),
        changed(response="{"),
        changed(response=None),
        changed(response="{}"),
        changed(response='{"choices": []}'),
        changed(response='{"choices": [{"message": null}]}'),
        changed(cost_nano=-1),
        changed(cost_nano=1.5),
        changed(cost_nano=True),
        changed(cost_nano="1"),
        changed(usage=[]),
        changed(usage={}),
        changed(usage={"input_tokens": 1, "is_estimated": False, "more": 1}),
        changed(usage={"input_tokens": 1, "cache_read_tokens": 5, "is_estimated": False}),
        changed(usage={"input_tokens": 10**13, "is_estimated": False}),
        changed(usage={"input_tokens": 1, "is_estimated": 0}),
        changed(provider=1),
        changed(model=None),
        changed(response_model=1),
        changed(finish_reasons=None),
        changed(finish_reasons=[1]),
        changed(created_at_ms=None),
        changed(created_at_ms=1.0),
    ],
)
def test_what_is_not_ours_is_not_read(text):
    """Damaged, foreign or of a newer release: one kind of error, which quotes nothing."""
    with pytest.raises(UnreadableEntryError) as caught:
        Entry.of_json(text)

    assert "Hello" not in str(caught.value)


@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 400))
def test_a_damaged_entry_is_read_as_it_was_or_not_at_all(noise, start, end):
    """Whatever is put in the place of whatever part, nothing but our own error is raised."""
    whole = entry().to_json()
    try:
        read = Entry.of_json(whole[:start] + noise + whole[end:])
    except UnreadableEntryError:
        return
    assert isinstance(read.finish_reasons, tuple)
    assert json.loads(read.response)["choices"]


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (["stop"], True),
        (["stop", "tool_calls", "function_call"], True),
        ([], False),
        (["length"], False),
        (["stop", "length"], False),
        (["content_filter"], False),
        (["stop", None], False),
        ([["stop"]], False),
    ],
)
def test_only_whole_answers_are_given_again(reasons, expected):
    """Every choice has to end by itself."""
    assert expected is is_whole(reasons)


def test_a_clock_that_is_ahead_makes_nothing_older():
    """The age of an entry is never negative."""
    one = entry(created_at_ms=5_000)

    assert (2.5, 0) == (one.age_s(7_500), one.age_s(1_000))
