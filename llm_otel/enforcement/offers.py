"""What a request may cost at most, with one model and one output limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llm_otel.budgets.estimate import Extent, size_of
from llm_otel.budgets.shapes import CHAT, Shape
from llm_otel.models.limits import ModelLimits, limits_of
from llm_otel.models.registry import default_registry
from llm_otel.values import value

if TYPE_CHECKING:
    from datetime import datetime

    from llm_otel.budgets.estimate import Size
    from llm_otel.pricing.book import PriceBook
    from llm_otel.pricing.rate import Dearest

_CACHES_UNASKED = frozenset({"openai", "azure.ai.openai"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is to be paid for.

    Attributes:
        arguments: Those of LiteLLM's function.
        at: When it is made.
        shape: Where the arguments say what the request may use.
        base_model: See `CallRequest`.
    """

    provider: str
    model: str
    arguments: Mapping[str, Any]
    service_tier: str | None
    at: datetime
    shape: Shape = CHAT
    base_model: str | None = None

    @property
    def priced_as(self) -> str:
        """The model whose prices and limits hold: `model` may be the name of a deployment."""
        return self.base_model or self.model

    @property
    def answers(self) -> int:
        """How many answers are asked for."""
        return self.shape.answers_to(self.arguments)


@value
class Offer:
    """One way to serve a request.

    Attributes:
        amount: nano-USD that it costs at most; `None` where that is not known.
        floor: nano-USD that having read the request costs at most.
        max_tokens: The output limit that has to be sent for that, for each choice; `None` to leave it as it is.
        is_defaulted: The limit is ours, because the caller gave none.
        is_clipped: The limit is ours, because more was not affordable.
        is_downgraded: The model is not the one that was asked for.
    """

    asked: Asked
    extent: Extent
    amount: int | None
    floor: int
    max_tokens: int | None = None
    is_defaulted: bool = False
    is_clipped: bool = False
    is_downgraded: bool = False

    @property
    def is_free(self) -> bool:
        """Whether it is known to cost nothing."""
        return self.amount == 0


class Appraiser:
    """Bounds what requests cost. Stateless but for the prices that it reads."""

    __slots__ = ("_default_max_tokens", "_prices")

    def __init__(self, prices: PriceBook, *, default_max_tokens: int) -> None:
        self._prices = prices
        self._default_max_tokens = default_max_tokens

    def offer(self, asked: Asked, *, is_bound: bool) -> Offer:
        """Return the offer for a request as it is; where `is_bound`, with an output limit that holds."""
        return self._offer(asked, size_of(asked.arguments, asked.shape), is_bound=is_bound)

    def offers(
        self,
        asked: Asked,
        models: Iterable[tuple[str, str]],
        *,
        is_bound: bool = False,
        output_tokens: int | None = None,
    ) -> Iterator[Offer]:
        """Yield what a request would cost at most with each of some models, in their order. It is walked through once.

        Args:
            asked: The request. The model that it names may be among them.
            models: (provider, name) each.
            is_bound: As of `offer`.
            output_tokens: How much each answer is thought to have, instead of the most that it may.
        """
        size = size_of(asked.arguments, asked.shape)
        if output_tokens is not None and asked.shape.generates:
            size = replace(size, output_limit=output_tokens)
        own, at = (asked.provider, asked.model), asked.at
        for provider, name in models:
            base = asked.base_model if (provider, name) == own else None
            each = Asked(provider, name, asked.arguments, asked.service_tier, at, asked.shape, base)
            yield self._offer(each, size, is_bound=is_bound)

    def _offer(self, asked: Asked, size: Size, *, is_bound: bool) -> Offer:
        limits = limits_of(asked.provider, asked.priced_as)
        extent = size.within(limits)
        if extent.output_tokens is not None:
            return self._priced(asked, extent)
        default = self._default(limits, asked.shape)
        extent = Extent(extent.input_tokens, default * size.answers, extent.may_write_cache)
        offer = self._priced(asked, extent)
        if not is_bound or offer.is_free:
            return offer
        return replace(offer, max_tokens=default, is_defaulted=True)

    def with_input(self, offer: Offer, input_tokens: int) -> Offer:
        """Return the offer with a closer bound of its input."""
        extent = offer.extent
        closer = min(input_tokens, extent.input_tokens or input_tokens)
        priced = self._priced(offer.asked, replace(extent, input_tokens=closer))
        return replace(offer, extent=priced.extent, amount=priced.amount, floor=priced.floor)

    def clipped(self, offer: Offer, *, available: int, least: int) -> Offer | None:
        """Return the offer with the highest output limit that fits into an amount; `None` if that is below `least`."""
        count = offer.asked.answers
        least = max(least, offer.asked.shape.least)
        most = (offer.extent.output_tokens or 0) // count
        if least > most or not self._fits(offer, least * count, available):
            return None
        low, high = least, most
        while low < high:
            middle = (low + high + 1) // 2
            if self._fits(offer, middle * count, available):
                low = middle
            else:
                high = middle - 1
        priced = self._priced(offer.asked, replace(offer.extent, output_tokens=low * count))
        return replace(
            offer, extent=priced.extent, amount=priced.amount, max_tokens=low, is_defaulted=False, is_clipped=True
        )

    def highest(self, offer: Offer) -> int | None:
        """Return the amount at the prices of the provider's dearest model; `None` if none of its models is known."""
        asked = offer.asked
        names = (entry.name for entry in default_registry().entries() if entry.provider == asked.provider)
        amounts = (self._priced(replace(asked, model=name, base_model=None), offer.extent).amount for name in names)
        return max((amount for amount in amounts if amount is not None), default=None)

    def cheaper(self, offer: Offer, models: tuple[tuple[str, str], ...]) -> Iterator[Offer]:
        """Yield the offers of other models, (provider, name), that cost less at most."""
        for other in self.offers(offer.asked, models, is_bound=True):
            if other.amount is not None and other.amount < (offer.amount or 0) and _has_room(other):
                yield replace(other, is_downgraded=True)

    def _fits(self, offer: Offer, output_tokens: int, available: int) -> bool:
        amount = self._priced(offer.asked, replace(offer.extent, output_tokens=output_tokens)).amount
        return amount is not None and amount <= available

    def _default(self, limits: ModelLimits, shape: Shape) -> int:
        most = (self._default_max_tokens, limits.max_output_tokens, limits.usual_output_tokens)
        return max(shape.least, min(each for each in most if each is not None))

    def _priced(self, asked: Asked, extent: Extent) -> Offer:
        dearest = None if extent.input_tokens is None else self._dearest(asked, extent)
        if dearest is None:
            return Offer(asked=asked, extent=extent, amount=None, floor=0)
        tokens = extent.input_tokens or 0
        amount = dearest.bound(tokens, extent.output_tokens or 0)
        return Offer(asked=asked, extent=extent, amount=amount, floor=dearest.bound(tokens, 0))

    def _dearest(self, asked: Asked, extent: Extent) -> Dearest | None:
        model, generates = asked.priced_as, asked.shape.generates
        return self._prices.dearest(
            provider=asked.provider,
            model=model,
            at=asked.at,
            service_tier=asked.service_tier,
            generates=generates,
            may_write_cache=generates and (extent.may_write_cache or _caches_unasked(asked.provider, model)),
        )


def same_or_better(provider: str, model: str, arguments: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the provider's other models that can do whatever a model can, (provider, name), in the registry's order.

    A model of which nobody said what it can do has none.
    """
    known = default_registry().find(model, provider)
    if known is None or not known.capabilities:
        return ()
    return tuple(
        (entry.provider, entry.name)
        for entry in default_registry().entries()
        if entry.provider == provider
        and entry.name != known.name
        and entry.capabilities >= known.capabilities
        and (entry.supports_tools or not arguments.get("tools"))
        and (entry.supports_json or not arguments.get("response_format"))
        and (entry.supports_vision or not known.supports_vision)
    )


def _has_room(offer: Offer) -> bool:
    """Tell whether the model's context window surely takes the request."""
    window = limits_of(offer.asked.provider, offer.asked.priced_as).context_window
    tokens = offer.extent.input_tokens
    answer = (offer.extent.output_tokens or 0) // offer.asked.answers
    # A bound that was cut to the window says that it may not.
    return window is None or tokens is None or tokens + answer < window


def _caches_unasked(provider: str, model: str) -> bool:
    """Tell whether a provider may write to its cache, at a price of its own, though the request does not ask for it.

    OpenAI does, from GPT-5.6 on (its guide on prompt caching, 2026-11).
    """
    if provider not in _CACHES_UNASKED:
        return False
    entry = default_registry().find(model, provider)
    # Of the others only the price sources know, which are asked for all their prices anyway.
    return entry is None or any(period.base.cache_write is not None for period in entry.periods)
