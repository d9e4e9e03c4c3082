"""Usage: what is made of what providers report."""

from __future__ import annotations

from typing import Any

import pytest

from llm_otel.semconv import TokenType
from llm_otel.usage import MAX_TOKENS, TOKEN_TYPES, Kind, Usage


def test_counts_are_inclusive_and_come_apart_into_disjoint_buckets() -> None:
    """An Anthropic answer: 100 fresh, 2,000 written, 3,000 read; 50 out, 20 of them reasoning."""
    usage = Usage.of(
        input_tokens=5_100,
        output_tokens=50,
        cache_read_tokens=3_000,
        cache_write_tokens=2_000,
        reasoning_tokens=20,
    )
    assert {
        TokenType.INPUT: 100,
        TokenType.CACHE_READ: 3_000,
        TokenType.CACHE_WRITE: 2_000,
        TokenType.OUTPUT: 30,
        TokenType.REASONING: 20,
    } == usage.buckets()
    assert 5_150 == usage.total_tokens


@pytest.mark.parametrize(
    "garbage",
    [
        None, "12", "", b"12", [12], {}, float("nan"), float("inf"), -1, -0.5, True, False, MAX_TOKENS + 1,
        10**40, object(),
    ],
)  # fmt: skip
def test_what_is_no_count_counts_as_not_reported(garbage: Any) -> None:
    """A malformed response is recorded with what is known, and never raises."""
    usage = Usage.of(input_tokens=garbage, output_tokens=7, cache_read_tokens=garbage)
    assert Usage(output_tokens=7) == usage


def test_json_floats_are_counts() -> None:
    """Some servers write 12.0."""
    assert Usage(input_tokens=12, output_tokens=3) == Usage.of(input_tokens=12.0, output_tokens=3.9)


def test_a_part_is_cut_to_its_whole() -> None:
    """A cache that read more than there was input is not believed."""
    usage = Usage.of(
        input_tokens=10,
        output_tokens=5,
        cache_read_tokens=8,
        cache_write_tokens=8,
        cache_write_1h_tokens=8,
        reasoning_tokens=9,
        input_audio_tokens=99,
        cache_read_audio_tokens=99,
        input_image_tokens=99,
        output_audio_tokens=99,
        output_image_tokens=99,
    )
    assert (
        Usage(
            input_tokens=10,
            output_tokens=5,
            cache_read_tokens=8,
            cache_write_tokens=2,
            cache_write_1h_tokens=2,
            reasoning_tokens=5,
            input_audio_tokens=10,
            cache_read_audio_tokens=8,
        )
        == usage
    )


def test_hour_long_writes_alone_are_the_writes() -> None:
    """A provider that reports only the split still wrote that much."""
    usage = Usage.of(input_tokens=100, cache_write_1h_tokens=40)
    assert (40, 40) == (usage.cache_write_tokens, usage.cache_write_1h_tokens)


def test_every_kind_gets_its_own_count() -> None:
    """The finest partition, in the order of `Kind`."""
    usage = Usage.of(
        input_tokens=1_000,
        output_tokens=100,
        cache_read_tokens=300,
        cache_read_audio_tokens=100,
        cache_write_tokens=200,
        cache_write_1h_tokens=50,
        input_audio_tokens=150,
        input_image_tokens=60,
        reasoning_tokens=40,
        output_audio_tokens=20,
        output_image_tokens=10,
        web_searches=2,
    )
    counts = dict(zip(Kind, usage.by_kind(), strict=True))
    assert {
        Kind.INPUT: 390,
        Kind.INPUT_AUDIO: 50,
        Kind.INPUT_IMAGE: 60,
        Kind.CACHE_READ: 200,
        Kind.CACHE_READ_AUDIO: 100,
        Kind.CACHE_WRITE: 150,
        Kind.CACHE_WRITE_1H: 50,
        Kind.OUTPUT: 30,
        Kind.REASONING: 40,
        Kind.OUTPUT_AUDIO: 20,
        Kind.OUTPUT_IMAGE: 10,
        Kind.WEB_SEARCH: 2,
        Kind.REQUEST: 1,
    } == counts


def test_audio_that_is_not_placed_fills_the_input_outside_the_cache_first() -> None:
    """OpenAI's realtime API does not say how much of the cached input was audio."""
    usage = Usage.of(input_tokens=1_000, cache_read_tokens=500, input_audio_tokens=800)
    counts = usage.by_kind()
    assert (0, 500, 500) == (counts[Kind.INPUT], counts[Kind.INPUT_AUDIO], counts[Kind.CACHE_READ])


def test_every_kind_has_a_token_type() -> None:
    """What is priced is reported somewhere, and what is no token as a request."""
    assert len(Kind) == len(TOKEN_TYPES)
    assert {Kind.WEB_SEARCH, Kind.REQUEST} == {kind for kind in Kind if TOKEN_TYPES[kind] is TokenType.REQUEST}


def test_totals_add_up_and_stay_estimated() -> None:
    """A sum with one estimated part is an estimate."""
    measured = Usage.of(input_tokens=10, output_tokens=5, cache_read_tokens=4)
    estimated = Usage.of(input_tokens=3, output_tokens=1, is_estimated=True)
    assert Usage(input_tokens=13, output_tokens=6, cache_read_tokens=4, is_estimated=True) == measured + estimated
    assert measured == sum([measured], Usage())


def test_only_usage_adds_to_usage() -> None:
    """A number is no usage."""
    with pytest.raises(TypeError):
        Usage() + 1  # type: ignore[operator]


def test_an_impossible_usage_built_by_hand_is_caught_where_it_is_taken_apart() -> None:
    """`Usage(...)` trusts its caller; `by_kind` holds it to that."""
    with pytest.raises(AssertionError, match=r"Usage\.of"):
        Usage(input_tokens=1, cache_read_tokens=2).by_kind()
