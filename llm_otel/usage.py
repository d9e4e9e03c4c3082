"""What one completion used, as the GenAI conventions count it.

Counts are **inclusive**: input tokens contain what was read from and written to the prompt cache, output
tokens contain the reasoning. Providers differ (Anthropic's input excludes its cache, OpenAI's includes it);
those differences are settled where a response is read. Here the inclusive counts are made consistent once, in
`Usage.of`, and taken apart once, in `Usage.by_kind`: into disjoint kinds, each with a price of its own, which
add up.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from llm_otel.semconv import TokenType
from llm_otel.values import value

MAX_TOKENS = 10**12
"""A count above this is garbage: no provider bills a trillion tokens at once, and costs must fit 64 bits."""


class Kind(IntEnum):
    """What can have a price of its own; the values index `Usage.by_kind()`. Disjoint."""

    INPUT = 0
    INPUT_AUDIO = 1
    INPUT_IMAGE = 2
    CACHE_READ = 3
    CACHE_READ_AUDIO = 4
    CACHE_WRITE = 5
    """Written to the cache for the usual five minutes."""
    CACHE_WRITE_1H = 6
    OUTPUT = 7
    REASONING = 8
    OUTPUT_AUDIO = 9
    OUTPUT_IMAGE = 10
    WEB_SEARCH = 11
    """Searches, not tokens."""
    REQUEST = 12
    """1 for each request, for the few models with a fee on it."""


TOKEN_TYPES: tuple[TokenType, ...] = (
    TokenType.INPUT,
    TokenType.INPUT,
    TokenType.INPUT,
    TokenType.CACHE_READ,
    TokenType.CACHE_READ,
    TokenType.CACHE_WRITE,
    TokenType.CACHE_WRITE,
    TokenType.OUTPUT,
    TokenType.REASONING,
    TokenType.OUTPUT,
    TokenType.OUTPUT,
    TokenType.REQUEST,
    TokenType.REQUEST,
)
"""The type that each `Kind` is reported under, by its value."""


@value
class Usage:
    """Inclusive counts of one completion. Build it with `Usage.of`, which takes whatever a provider sent.

    Attributes:
        input_tokens: All input: cached, audio and images included.
        output_tokens: All output: reasoning, audio and images included.
        cache_read_tokens: The part of the input that came from the prompt cache.
        cache_write_tokens: The part of the input that was written to it.
        cache_write_1h_tokens: The part of that written for an hour (Anthropic); the rest is for five minutes.
        reasoning_tokens: The part of the output that was reasoning.
        input_audio_tokens: The part of the input that was audio, cached audio included.
        cache_read_audio_tokens: The part of that which came from the cache; a part of `cache_read_tokens`
            too.
        input_image_tokens: The part of the input that was images.
        output_audio_tokens: The part of the output that was audio.
        output_image_tokens: The part of the output that was images.
        web_searches: Searches that the provider ran; billed by the search.
        is_estimated: Counted here, because the provider reported nothing.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    cache_read_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    web_searches: int = 0
    is_estimated: bool = False

    # One argument for each field.
    @classmethod
    def of(  # noqa: PLR0913
        cls,
        *,
        input_tokens: Any = None,
        output_tokens: Any = None,
        cache_read_tokens: Any = None,
        cache_write_tokens: Any = None,
        cache_write_1h_tokens: Any = None,
        reasoning_tokens: Any = None,
        input_audio_tokens: Any = None,
        cache_read_audio_tokens: Any = None,
        input_image_tokens: Any = None,
        output_audio_tokens: Any = None,
        output_image_tokens: Any = None,
        web_searches: Any = None,
        is_estimated: bool = False,
    ) -> Usage:
        """Return the counts that can be known from what a provider reported; never raises.

        `None`, text, NaN, negative and absurd numbers count as not reported. A part larger than its whole is
        cut to it; where two parts overlap beyond the whole, the one named first keeps its count.
        """
        input_ = _count(input_tokens)
        output = _count(output_tokens)
        cached = (cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, cache_read_audio_tokens)
        not_text = (input_audio_tokens, input_image_tokens, output_audio_tokens, output_image_tokens)
        parts = (*cached, reasoning_tokens, *not_text, web_searches)
        if not any(parts):
            return cls(input_tokens=input_, output_tokens=output, is_estimated=is_estimated)
        cache_read, write, write_1h, read_audio, reasoning, audio, image, spoken, drawn, searches = map(_count, parts)
        cache_read = min(cache_read, input_)
        write = min(write or write_1h, input_ - cache_read)
        reasoning = min(reasoning, output)
        audio = min(audio, input_)
        spoken = min(spoken, output - reasoning)
        return cls(
            input_tokens=input_,
            output_tokens=output,
            cache_read_tokens=cache_read,
            cache_write_tokens=write,
            cache_write_1h_tokens=min(write_1h, write),
            reasoning_tokens=reasoning,
            input_audio_tokens=audio,
            cache_read_audio_tokens=min(read_audio, audio, cache_read),
            input_image_tokens=min(image, input_ - audio),
            output_audio_tokens=spoken,
            output_image_tokens=min(drawn, output - reasoning - spoken),
            web_searches=searches,
            is_estimated=is_estimated,
        )

    @property
    def total_tokens(self) -> int:
        """Input and output."""
        return self.input_tokens + self.output_tokens

    def by_kind(self) -> tuple[int, ...]:
        """Return disjoint counts, indexed by `Kind`; those of tokens sum to `total_tokens`.

        Audio that the provider did not place in the cache or outside it counts as outside, as far as there is
        room.
        """
        fresh = self.input_tokens - self.cache_read_tokens - self.cache_write_tokens
        audio = min(self.input_audio_tokens - self.cache_read_audio_tokens, fresh)
        image = min(self.input_image_tokens, fresh - audio)
        spoken_or_drawn = self.output_audio_tokens + self.output_image_tokens
        counts = (
            fresh - audio - image,
            audio,
            image,
            self.cache_read_tokens - self.cache_read_audio_tokens,
            self.cache_read_audio_tokens,
            self.cache_write_tokens - self.cache_write_1h_tokens,
            self.cache_write_1h_tokens,
            self.output_tokens - self.reasoning_tokens - spoken_or_drawn,
            self.reasoning_tokens,
            self.output_audio_tokens,
            self.output_image_tokens,
            self.web_searches,
            1,
        )
        assert min(counts) >= 0, "a part is larger than its whole: build Usage with Usage.of"
        return counts

    def buckets(self) -> dict[TokenType, int]:
        """Return disjoint token counts, which sum to `total_tokens`."""
        return {
            TokenType.INPUT: self.input_tokens - self.cache_read_tokens - self.cache_write_tokens,
            TokenType.CACHE_READ: self.cache_read_tokens,
            TokenType.CACHE_WRITE: self.cache_write_tokens,
            TokenType.OUTPUT: self.output_tokens - self.reasoning_tokens,
            TokenType.REASONING: self.reasoning_tokens,
        }

    def __add__(self, other: Usage) -> Usage:
        """Add up two completions, for totals. A sum has no price: long-context rates go by request."""
        if not isinstance(other, Usage):
            return NotImplemented
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cache_write_1h_tokens=self.cache_write_1h_tokens + other.cache_write_1h_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            input_audio_tokens=self.input_audio_tokens + other.input_audio_tokens,
            cache_read_audio_tokens=self.cache_read_audio_tokens + other.cache_read_audio_tokens,
            input_image_tokens=self.input_image_tokens + other.input_image_tokens,
            output_audio_tokens=self.output_audio_tokens + other.output_audio_tokens,
            output_image_tokens=self.output_image_tokens + other.output_image_tokens,
            web_searches=self.web_searches + other.web_searches,
            is_estimated=self.is_estimated or other.is_estimated,
        )


def _count(value: Any) -> int:
    """Return a reported count; 0 if it is none: only JSON numbers are counts."""
    if value is None:
        return 0
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_TOKENS:
        return int(value)
    return 0
