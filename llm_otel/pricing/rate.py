"""The price of one model at one time, compiled to integers, and what a completion costs at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import mul
from typing import NamedTuple

from llm_otel.money import apportion, round_half_even, round_up
from llm_otel.pricing.quote import ALWAYS, Quote, Steps
from llm_otel.semconv import TokenType
from llm_otel.usage import Kind, Usage

PARENTS: Mapping[Kind, Kind] = {
    Kind.INPUT_IMAGE: Kind.INPUT,
    Kind.INPUT_AUDIO: Kind.INPUT,
    Kind.CACHE_READ: Kind.INPUT,
    Kind.CACHE_WRITE: Kind.INPUT,
    Kind.CACHE_WRITE_1H: Kind.CACHE_WRITE,
    Kind.REASONING: Kind.OUTPUT,
    Kind.OUTPUT_AUDIO: Kind.OUTPUT,
    Kind.OUTPUT_IMAGE: Kind.OUTPUT,
}
"""What a kind costs that no source prices: as much as the kind it is a part of. Cached audio costs what audio
costs if audio has a price, else what cached text costs. Searches have no such parent: unpriced, they make the
cost unknown."""

_TYPES = (
    TokenType.INPUT,
    TokenType.CACHE_READ,
    TokenType.CACHE_WRITE,
    TokenType.OUTPUT,
    TokenType.REASONING,
    TokenType.REQUEST,
)

_KINDS = len(Kind)
# Members of an enumeration cost ten times what plain integers do, where a call is priced.
_INPUT, _INPUT_AUDIO = int(Kind.INPUT), int(Kind.INPUT_AUDIO)
_READ, _READ_AUDIO = int(Kind.CACHE_READ), int(Kind.CACHE_READ_AUDIO)


class CostBreakdown(NamedTuple):
    """What one completion cost, exactly. A tuple: one is made for every call.

    Attributes:
        total_nano: nano-USD, rounded once (half-even).
        parts: nano-USD for each `TokenType`; they sum to `total_nano`.
        saved_by_cache_nano: What the tokens read from the prompt cache would have cost more at the input
            price. Gross: what writing to the cache cost more is in `parts`.
        price_source: Who priced it; several, joined by `+`, where one did not price every kind of token.
        price_date: The oldest day (ISO 8601) on which one of those prices was checked or came into force;
            `None`: none of them says.
    """

    total_nano: int
    parts: Mapping[TokenType, int]
    saved_by_cache_nano: int
    price_source: str
    price_date: str | None


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one kind: its steps, and the quote they come from."""

    steps: Steps
    quote: Quote


class Dearest:
    """The dearest prices of input, output and the request itself, by the length of the input. Immutable."""

    __slots__ = ("_steps",)

    def __init__(self, steps: Iterable[tuple[int, int, int, int]]) -> None:
        """Take the steps by rising threshold: over so many input tokens, atto-USD of input, output and request."""
        self._steps = tuple(steps)

    def bound(self, input_tokens: int, output_tokens: int) -> int:
        """Return a bound in nano-USD on what a request can cost that stays within these counts; rounded up.

        At the dearest length step within reach, since the input may turn out shorter than its bound.

        Args:
            input_tokens: An upper bound.
            output_tokens: An upper bound, over all choices.
        """
        most = 0
        for over, input_, output, request in self._steps:
            if over >= input_tokens and over != ALWAYS:
                break
            most = max(most, input_tokens * input_ + output_tokens * output + request)
        return round_up(most)


@dataclass(frozen=True, slots=True)
class Rate:
    """Prices of every kind that was asked for, ready to apply. Immutable; build it with `Rate.compile`.

    Attributes:
        unasked: Kinds that no source was asked about yet.
        unpriced: Kinds that were asked about, and have no price.
        by_length: For rising thresholds of the input, atto-USD per unit, indexed by `Kind` (0 where there is
            no price).
        quotes: By `Kind`, where its price comes from.
        common: Source and date, if every price has the same.
        is_unknown: Nothing has a price.
    """

    unasked: tuple[int, ...]
    unpriced: tuple[int, ...]
    by_length: tuple[tuple[int, tuple[int, ...]], ...]
    quotes: tuple[Quote | None, ...]
    common: tuple[str, str | None] | None
    is_unknown: bool

    @classmethod
    def compile(cls, prices: Mapping[Kind, Price | None]) -> Rate:
        """Build from the price of each kind that was asked about (`None`: it has none)."""
        steps = {kind: price.steps for kind, price in prices.items() if price is not None}
        thresholds = sorted({ALWAYS} | {over for each in steps.values() for over, _ in each})
        quotes = tuple(price.quote if (price := prices.get(kind)) else None for kind in Kind)
        origins = {(quote.source, quote.date) for quote in quotes if quote is not None}
        return cls(
            # A fee on the request is rare: most sources need not be asked, and there is none where none is
            # named.
            unasked=tuple(int(kind) for kind in Kind if kind not in prices and kind is not Kind.REQUEST),
            unpriced=tuple(int(kind) for kind, price in prices.items() if price is None),
            by_length=tuple((over, _at_length(steps, over)) for over in thresholds),
            quotes=quotes,
            common=next(iter(origins)) if len(origins) == 1 else None,
            is_unknown=not origins,
        )

    @property
    def asked(self) -> frozenset[Kind]:
        """The kinds that the sources were asked about."""
        return frozenset(kind for kind in Kind if kind not in self.unasked and kind is not Kind.REQUEST)

    def lacks(self, counts: tuple[int, ...]) -> bool:
        """Whether a kind that was used has not been asked about."""
        return _any_counted(counts, self.unasked)

    def price(self, usage: Usage) -> CostBreakdown | None:
        """Return what a completion costs; `None` if a kind that it used has no price."""
        counts = usage.by_kind()
        assert not self.lacks(counts), "ask the sources about every kind that is used"
        return self.cost(counts, usage.input_tokens)

    def cost(self, counts: tuple[int, ...], input_tokens: int) -> CostBreakdown | None:
        """Return what a completion costs.

        Args:
            counts: `Usage.by_kind()`; the sources were asked about every kind in it, see `lacks`.
            input_tokens: All of its input, by which the length step is chosen.

        Returns:
            `None` if a kind that was used has no price.
        """
        if self.is_unknown or (self.unpriced and _any_counted(counts, self.unpriced)):
            return None
        rates = self._at(input_tokens)
        amounts = tuple(map(mul, counts, rates))
        total = round_half_even(sum(amounts))
        saved = counts[_READ] * (rates[_INPUT] - rates[_READ])
        saved += counts[_READ_AUDIO] * (rates[_INPUT_AUDIO] - rates[_READ_AUDIO])
        source, date = self.common or self._origin(counts)
        parts = dict(zip(_TYPES, apportion(total, _by_type(amounts)), strict=True))
        return CostBreakdown(total, parts, round_half_even(saved) if saved > 0 else 0, source, date)

    def dearest(self, kinds: tuple[Kind, ...] = (), *, generates: bool = True) -> Dearest | None:
        """Return the most that tokens can cost: each at the dearest price of any that it may turn out to be.

        Args:
            kinds: What tokens may turn out to be beside plain input, output and reasoning.
            generates: Whether there is an output.

        Returns:
            `None` if one of the kinds has no price.
        """
        possible = {Kind.INPUT, *kinds} | ({Kind.OUTPUT, Kind.REASONING} if generates else set())
        if any(self.quotes[kind] is None for kind in possible):
            return None
        inputs = [kind for kind in possible if kind < Kind.OUTPUT]
        outputs = [kind for kind in possible if Kind.OUTPUT <= kind < Kind.WEB_SEARCH]
        return Dearest(
            (
                over,
                max(rates[kind] for kind in inputs),
                max((rates[kind] for kind in outputs), default=0),
                rates[Kind.REQUEST],
            )
            for over, rates in self.by_length
        )

    def _at(self, input_tokens: int) -> tuple[int, ...]:
        """Return the prices for a request with so much input."""
        rates = self.by_length[0][1]
        for over, longer in self.by_length[1:]:
            if input_tokens <= over:
                break
            rates = longer
        return rates

    def _origin(self, counts: tuple[int, ...]) -> tuple[str, str | None]:
        """Return the sources of the prices that were used, by kind, and the oldest of their days."""
        used = [quote for quote, count in zip(self.quotes, counts, strict=True) if quote is not None and count]
        named = used or [quote for quote in self.quotes if quote is not None]
        dates = [quote.date for quote in named if quote.date is not None]
        return "+".join(dict.fromkeys(quote.source for quote in named)), min(dates, default=None)


def _any_counted(counts: tuple[int, ...], kinds: tuple[int, ...]) -> bool:
    for kind in kinds:  # noqa: SIM110  # a generator costs more than all the rest of the loop
        if counts[kind]:
            return True
    return False


def _at_length(steps: Mapping[Kind, Steps], over: int) -> tuple[int, ...]:
    """Return the prices in force just above a threshold, by kind."""
    rates = [0] * _KINDS
    for kind, each in steps.items():
        for threshold, atto in each:
            if threshold <= over:
                rates[kind] = atto
    return tuple(rates)


def _by_type(amounts: tuple[int, ...]) -> tuple[int, ...]:
    """Sum amounts by kind to amounts by token type, in the order of `_TYPES`."""
    (
        text,
        audio,
        image,
        read,
        read_audio,
        write,
        write_1h,
        output,
        reasoning,
        spoken,
        drawn,
        searches,
        request,
    ) = amounts
    return (
        text + audio + image,
        read + read_audio,
        write + write_1h,
        output + spoken + drawn,
        reasoning,
        searches + request,
    )
