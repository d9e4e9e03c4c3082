"""Usage, whatever a provider sends."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm_otel.usage import TOKEN_TYPES, Kind, Usage

FIELDS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "reasoning_tokens", "input_audio_tokens", "cache_read_audio_tokens", "input_image_tokens",
    "output_audio_tokens", "output_image_tokens", "web_searches",
)  # fmt: skip

reported = st.one_of(
    st.integers(0, 2_000_000),
    st.integers(),
    st.floats(),
    st.none(),
    st.booleans(),
    st.text(max_size=3),
)
reports = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, reported))
usages = reports.map(lambda report: Usage.of(**report))


@given(reports)
def test_nothing_that_is_reported_raises_or_breaks_the_counts(report: dict[str, Any]) -> None:
    """Every count is a non-negative int, and every part lies within its whole."""
    usage = Usage.of(**report)
    assert all(type(getattr(usage, name)) is int and getattr(usage, name) >= 0 for name in FIELDS)
    assert usage.cache_read_tokens + usage.cache_write_tokens <= usage.input_tokens
    assert usage.cache_write_1h_tokens <= usage.cache_write_tokens
    assert usage.input_audio_tokens + usage.input_image_tokens <= usage.input_tokens
    assert usage.cache_read_audio_tokens <= min(usage.input_audio_tokens, usage.cache_read_tokens)
    assert usage.reasoning_tokens + usage.output_audio_tokens + usage.output_image_tokens <= usage.output_tokens


@given(usages)
def test_buckets_are_disjoint_and_add_up(usage: Usage) -> None:
    """So that a sum over token types counts every token once."""
    assert all(count >= 0 for count in usage.buckets().values())
    assert usage.input_tokens + usage.output_tokens == sum(usage.buckets().values())


@given(usages)
def test_kinds_are_a_finer_split_of_the_buckets(usage: Usage) -> None:
    """What is priced apart is reported together, with nothing lost."""
    by_type: Counter[Any] = Counter()
    for kind, count in zip(Kind, usage.by_kind(), strict=True):
        if kind < Kind.WEB_SEARCH:
            by_type[TOKEN_TYPES[kind]] += count
    assert usage.buckets() == dict(by_type)


@given(usages)
def test_normalising_twice_changes_nothing(usage: Usage) -> None:
    """A consistent report is taken as it is."""
    assert usage == Usage.of(**{name: getattr(usage, name) for name in FIELDS})


@given(st.lists(usages, max_size=5))
def test_a_sum_is_a_usage_like_any_other(several: list[Usage]) -> None:
    """Totals keep every invariant, in any order."""
    total = sum(several, Usage())
    assert total == sum(reversed(several), Usage())
    assert sum(usage.total_tokens for usage in several) == total.total_tokens
    assert total.total_tokens == sum(total.by_kind()[: Kind.WEB_SEARCH])
