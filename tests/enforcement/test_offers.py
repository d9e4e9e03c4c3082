"""Offers: what a request may cost at most, and the ways to make that less."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_otel.budgets.estimate import Extent
from llm_otel.budgets.shapes import EMBEDDINGS, RESPONSES
from llm_otel.enforcement.offers import Appraiser, Asked, Offer, same_or_better
from llm_otel.models.entry import ModelCapability, ModelEntry, PricePeriod, TokenPrices
from llm_otel.models.limits import limits_of
from llm_otel.models.registry import default_registry
from llm_otel.pricing.book import PriceBook
from llm_otel.usage import Usage
from tests.pricing.prices import NOW

BOOK = PriceBook()
APPRAISER = Appraiser(BOOK, default_max_tokens=4_096)
CATALOG = tuple((entry.provider, entry.name) for entry in default_registry().entries())
PRICED = tuple(name for name in CATALOG if name[0] != "ollama")
WRITES_UNASKED = {"openai"}

models = st.sampled_from(CATALOG)
priced_models = st.sampled_from(PRICED)
limits = st.none() | st.integers(1, 200_000)
counts = st.integers(0, 10_000_000)


def asked(provider: str = "openai", model: str = "gpt-4o", *, content: Any = "Hello!", **arguments: Any) -> Asked:
    """A question to a model."""
    messages = [{"role": "user", "content": content}]
    return Asked(provider, model, {"messages": messages, **arguments}, service_tier=None, at=NOW)


def offer(request: Asked, *, is_bound: bool = True, by: Appraiser = APPRAISER) -> Offer:
    """The offer for a request whose price is known."""
    made = by.offer(request, is_bound=is_bound)
    assert made.amount is not None
    return made


def amount(made: Offer) -> int:
    """What an offer costs at most."""
    assert made.amount is not None
    return made.amount


@pytest.fixture
def own_models(fresh_registry: None) -> Any:
    """Register models for one test."""

    def register(provider: str, name: str, **facts: Any) -> None:
        known = {
            "tier": None,
            "capabilities": frozenset(),
            "context_window": None,
            "max_output_tokens": None,
            "periods": (),
            "price_source": "test",
            "price_date": None,
            "is_user_defined": True,
        }
        default_registry().register(ModelEntry(name=name, provider=provider, **{**known, **facts}))

    return register


def fresh_appraiser() -> Appraiser:
    """One that knows what this test registered."""
    return Appraiser(PriceBook(), default_max_tokens=4_096)


def prices(input_: str, output: str) -> tuple[PricePeriod, ...]:
    """Dollars for a million tokens."""
    return (PricePeriod(base=TokenPrices(input=Decimal(input_), output=Decimal(output))),)


# --- the amount -------------------------------------------------------------------------------------------------------


@given(models, st.text(max_size=2_000), limits, st.sampled_from([None, 1, 3]), st.booleans(), st.data())
def test_no_usage_within_the_bounds_costs_more_than_the_amount(
    name: tuple[str, str], content: str, max_tokens: int | None, n: int | None, marks: bool, data: st.DataObject
) -> None:
    """At the prices of the same moment, for every model of the catalogue: what was cached, written or thought too."""
    part = {"type": "text", "text": content} | ({"cache_control": {"type": "ephemeral"}} if marks else {})
    made = offer(asked(*name, content=[part], max_tokens=max_tokens, n=n))
    assert made.extent.input_tokens is not None
    assert made.extent.output_tokens is not None
    input_tokens = data.draw(st.integers(0, made.extent.input_tokens))
    output_tokens = data.draw(st.integers(0, made.extent.output_tokens))
    usage = Usage.of(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=data.draw(st.integers(0, input_tokens)),
        cache_write_tokens=data.draw(counts) if marks or name[0] in WRITES_UNASKED else 0,
        cache_write_1h_tokens=data.draw(counts) if marks else 0,
        reasoning_tokens=data.draw(st.integers(0, output_tokens)),
    )
    cost = BOOK.price(usage, provider=name[0], model=name[1], at=NOW)
    assert cost is not None
    assert cost.total_nano <= amount(made)
    if not output_tokens:
        assert cost.total_nano <= made.floor


@given(models, st.text(max_size=200), limits)
def test_the_floor_is_no_more_than_the_amount(name: tuple[str, str], content: str, max_tokens: int | None) -> None:
    """It is booked when nobody says what came of the request: having read it is paid for."""
    made = offer(asked(*name, content=content, max_tokens=max_tokens))
    assert 0 <= made.floor <= amount(made)
    assert made.is_free == (amount(made) == 0) == (name[0] == "ollama")


@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-6-astra"])
def test_a_provider_that_caches_unasked_may_bill_the_writing(model: str) -> None:
    """OpenAI does from GPT-5.6 on, at 1.25 times the price of input."""
    made = offer(asked(model=model, max_tokens=1))
    assert made.extent.input_tokens is not None
    usage = Usage.of(input_tokens=made.extent.input_tokens, cache_write_tokens=made.extent.input_tokens)
    cost = BOOK.price(usage, provider="openai", model=model, at=NOW)
    assert cost is not None
    assert cost.total_nano <= made.floor


def test_a_provider_that_is_to_be_asked_for_caching_is_not_held_for_it() -> None:
    """A write to Anthropic's costs a quarter more than input, one for an hour twice as much."""
    plain = offer(asked("anthropic", "claude-haiku-4-5", content="x" * 1_000, max_tokens=1))
    part = {"type": "text", "text": "x" * 1_000, "cache_control": {"type": "ephemeral"}}
    marked = offer(asked("anthropic", "claude-haiku-4-5", content=[part], max_tokens=1))
    assert plain.floor * 1.9 < marked.floor


def test_a_model_without_a_price_has_no_amount() -> None:
    """Unknown is unknown, and nothing is known of its floor."""
    made = APPRAISER.offer(asked("openai", "gpt-unheard-of"), is_bound=True)
    assert (None, 0, False) == (made.amount, made.floor, made.is_free)


def test_what_nothing_bounds_has_no_amount(own_models: Any) -> None:
    """An image, for a model whose window nobody knows."""
    own_models("openai", "mine", periods=prices("1", "2"))
    image = [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    appraiser = fresh_appraiser()
    assert amount(offer(asked(model="mine"), by=appraiser)) > 0
    assert appraiser.offer(asked(model="mine", content=image), is_bound=True).amount is None
    assert offer(asked(model="gpt-4o", content=image)).extent.input_tokens == 128_000


# --- the output limit -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "is_bound", "expected"),
    [
        (("openai", "gpt-4o"), {}, True, (4_096, True)),
        (("openai", "gpt-4o"), {}, False, (None, False)),
        (("openai", "gpt-4o"), {"max_tokens": 100}, True, (None, False)),
        (("openai", "gpt-4o"), {"max_completion_tokens": 100}, True, (None, False)),
        # A limit that is none does not hold.
        (("openai", "gpt-4o"), {"max_tokens": True}, True, (4_096, True)),
        # What costs nothing needs no bound.
        (("ollama", "llama3"), {}, True, (None, False)),
        # What nobody can price is bounded, should it be let through.
        (("openai", "gpt-unheard-of"), {}, True, (4_096, True)),
    ],
)
def test_a_default_is_sent_only_where_the_bound_has_to_hold(
    name: tuple[str, str], arguments: dict[str, Any], is_bound: bool, expected: tuple[int | None, bool]
) -> None:
    """Otherwise the request is untouched."""
    made = APPRAISER.offer(asked(*name, **arguments), is_bound=is_bound)
    assert expected == (made.max_tokens, made.is_defaulted)


def test_a_default_counts_for_each_answer_and_never_passes_the_models_own_limit(own_models: Any) -> None:
    """A model that gives less is asked for less."""
    own_models("openai", "terse", periods=prices("1", "2"), max_output_tokens=100)
    made = offer(asked(model="terse", n=3), by=fresh_appraiser())
    assert (100, 300) == (made.max_tokens, made.extent.output_tokens)
    assert 3 * 4_096 == offer(asked(n=3)).extent.output_tokens


def test_a_soft_estimate_counts_the_default_without_sending_it() -> None:
    """Somebody has to guess."""
    assert amount(offer(asked(), is_bound=True)) == amount(offer(asked(), is_bound=False))


@given(priced_models, st.integers(1, 100_000), st.sampled_from([1, 2, 5]), st.integers(1, 64), st.floats(0, 1.2))
def test_a_clip_is_the_highest_limit_that_fits(
    name: tuple[str, str], max_tokens: int, n: int, least: int, share: float
) -> None:
    """One token more does not fit, or is more than was asked for; and never below the least."""
    made = offer(asked(*name, max_tokens=max_tokens, n=n))
    assert made.extent.output_tokens is not None
    most = made.extent.output_tokens // n
    available = int(amount(made) * share)
    clipped = APPRAISER.clipped(made, available=available, least=least)

    def at(limit: int) -> int:
        return amount(offer(asked(*name, max_tokens=limit, n=n)))

    if clipped is None:
        assert least > most or at(least) > available
        return
    assert clipped.max_tokens is not None
    assert least <= clipped.max_tokens <= most
    assert at(clipped.max_tokens) == clipped.amount
    assert amount(clipped) <= available
    assert clipped.max_tokens == most or at(clipped.max_tokens + 1) > available
    assert clipped.max_tokens * n == clipped.extent.output_tokens
    assert (made.floor, True, False) == (clipped.floor, clipped.is_clipped, clipped.is_defaulted)


def test_a_limit_that_is_raised_is_not_set() -> None:
    """LiteLLM sends 16 for less where the answer is a response: what 5 tokens cost would not be a bound."""
    asks = Asked("openai", "gpt-4o", {"input": "Hi", "max_output_tokens": 100}, None, NOW, RESPONSES)
    made = offer(asks)
    of_16, of_15 = (
        amount(offer(replace(asks, arguments={**asks.arguments, "max_output_tokens": n}))) - (16 - n) * 10_000
        for n in (16, 15)
    )
    clipped = APPRAISER.clipped(made, available=of_16, least=1)
    assert clipped is not None
    assert (16, of_16) == (clipped.max_tokens, clipped.amount)
    assert APPRAISER.clipped(made, available=of_15, least=1) is None
    assert 16 == Appraiser(BOOK, default_max_tokens=5).offer(replace(asks, arguments={}), is_bound=True).max_tokens


def test_a_default_can_be_clipped() -> None:
    """Then it is no default any more."""
    made = offer(asked())
    clipped = APPRAISER.clipped(made, available=amount(made) // 2, least=16)
    assert clipped is not None
    assert (True, False) == (made.is_defaulted, clipped.is_defaulted)
    assert clipped.max_tokens is not None
    assert clipped.max_tokens < 4_096


@pytest.mark.parametrize("model", ["gpt-unheard-of", "gpt-4o"])
def test_what_has_no_price_or_no_money_cannot_be_clipped(model: str) -> None:
    """Nothing fits into nothing."""
    assert APPRAISER.clipped(APPRAISER.offer(asked(model=model), is_bound=True), available=0, least=1) is None


# --- a closer bound ---------------------------------------------------------------------------------------------------


@given(priced_models, st.text(min_size=1, max_size=500), st.integers(0, 10_000))
def test_a_closer_bound_of_the_input_lowers_the_amount(name: tuple[str, str], content: str, tokens: int) -> None:
    """And never raises it: of two bounds the lower holds."""
    made = offer(asked(*name, content=content))
    assert made.extent.input_tokens is not None
    closer = APPRAISER.with_input(made, tokens)
    assert min(tokens, made.extent.input_tokens) == closer.extent.input_tokens
    assert amount(closer) <= amount(made)
    assert closer.floor <= made.floor
    assert closer == replace(made, extent=closer.extent, amount=closer.amount, floor=closer.floor)


def test_a_count_bounds_what_nothing_else_did() -> None:
    """Then the amount is known."""
    unbounded = Offer(asked=asked(), extent=Extent(None, 100), amount=None, floor=0)
    assert APPRAISER.with_input(unbounded, 1_000).amount == amount(
        replace(
            unbounded,
            amount=BOOK.dearest(provider="openai", model="gpt-4o", at=NOW).bound(1_000, 100),
        )
    )


# --- other models -----------------------------------------------------------------------------------------------------


@given(st.sampled_from(sorted({provider for provider, _ in PRICED})), st.text(max_size=100), st.integers(1, 1_000))
def test_the_highest_price_is_that_of_the_providers_dearest_model(provider: str, content: str, max_tokens: int) -> None:
    """A model that we do not know may be its dearest."""
    unknown = APPRAISER.offer(asked(provider, "unheard-of", content=content, max_tokens=max_tokens), is_bound=True)
    highest = APPRAISER.highest(unknown)
    assert highest is not None
    # What is known of their windows and output limits may only lower the amounts of those that we know.
    known = [asked(*name, content=content, max_tokens=max_tokens) for name in PRICED if name[0] == provider]
    assert highest >= max(amount(offer(each)) for each in known)


def test_a_provider_without_known_models_has_no_highest_price() -> None:
    """Nobody can say."""
    assert APPRAISER.highest(APPRAISER.offer(asked("nowhere", "unheard-of"), is_bound=True)) is None


@given(priced_models, st.text(max_size=100), st.sampled_from([None, 100, 4_000]))
def test_cheaper_models_cost_less_and_are_marked(name: tuple[str, str], content: str, max_tokens: int | None) -> None:
    """In the order in which they were named; those that cost as much or more are left out."""
    made = offer(asked(*name, content=content, max_tokens=max_tokens))
    offers = list(APPRAISER.cheaper(made, CATALOG))
    names = [(each.asked.provider, each.asked.model) for each in offers]
    assert all(each.is_downgraded and amount(each) < amount(made) for each in offers)
    assert name not in names
    assert sorted(names, key=CATALOG.index) == names
    assert ("ollama", "llama3") in names


def test_a_model_without_a_price_is_never_cheaper() -> None:
    """Nor is any model cheaper than one without."""
    unknown = APPRAISER.offer(asked(model="gpt-unheard-of"), is_bound=True)
    assert [] == list(APPRAISER.cheaper(unknown, CATALOG))
    assert [] == list(APPRAISER.cheaper(offer(asked()), (("openai", "gpt-unheard-of"),)))


@pytest.mark.parametrize(
    ("window", "size", "max_tokens", "has_room"),
    [
        (10_000, 5_000, 100, True),
        (10_000, 5_000, 6_000, False),
        (10_000, 20_000, 100, False),
        # The default that would be sent is part of the answer too.
        (10_000, 8_000, None, False),
        (None, 20_000, 100, True),
    ],
)
def test_a_cheaper_model_has_to_have_room(
    own_models: Any, window: int | None, size: int, max_tokens: int | None, has_room: bool
) -> None:
    """For the request and for the answer; a provider would refuse what is too long."""
    own_models("openai", "small", periods=prices("0.001", "0.001"), context_window=window)
    appraiser = fresh_appraiser()
    made = offer(asked(content="x" * size, max_tokens=max_tokens), by=appraiser)
    assert has_room == bool(list(appraiser.cheaper(made, (("openai", "small"),))))


def test_a_downgrade_has_a_limit_that_holds() -> None:
    """It is taken for a hard budget's sake."""
    (cheaper,) = APPRAISER.cheaper(offer(asked()), (("openai", "gpt-4o-mini"),))
    assert (4_096, True, True) == (cheaper.max_tokens, cheaper.is_defaulted, cheaper.is_downgraded)


@given(models)
def test_what_is_the_same_or_better_can_do_all_that_a_model_can(name: tuple[str, str]) -> None:
    """At the same provider, and it is another model."""
    registry = default_registry()
    known = registry.find(name[1], name[0])
    assert known is not None
    found = same_or_better(*name, {})
    assert name not in found
    for provider, model in found:
        entry = registry.find(model, provider)
        assert entry is not None
        assert (name[0], True) == (entry.provider, entry.capabilities >= known.capabilities)


def test_what_a_request_needs_a_model_has_to_have(own_models: Any) -> None:
    """Tools, JSON and pictures; and nothing where it is not needed."""
    simple = frozenset({ModelCapability.SIMPLE})
    own_models("p", "asked", capabilities=simple)
    own_models("p", "no-tools", capabilities=simple, supports_tools=False)
    own_models("p", "no-json", capabilities=simple, supports_json=False)
    own_models("p", "no-vision", capabilities=simple, supports_vision=False)
    own_models("p", "too-simple", capabilities=frozenset())
    own_models("q", "elsewhere", capabilities=simple)

    def names(**arguments: Any) -> list[str]:
        return [model for _, model in same_or_better("p", "asked", arguments)]

    assert ["no-tools", "no-json"] == names()
    assert ["no-json"] == names(tools=[{}])
    assert ["no-tools"] == names(response_format={"type": "json_object"})
    assert [("p", "asked"), ("p", "no-tools"), ("p", "no-json")] == list(same_or_better("p", "no-vision", {}))


def test_nothing_is_known_to_be_as_good_as_an_unjudged_model(own_models: Any) -> None:
    """One that is in no registry, or of which nobody said what it can do."""
    own_models("openai", "unjudged")
    assert () == same_or_better("openai", "unjudged", {}) == same_or_better("openai", "gpt-unheard-of", {})
    assert () == same_or_better("nowhere", "gpt-4o", {})


def test_of_two_models_with_one_name_that_of_the_provider_counts(own_models: Any) -> None:
    """Azure's `gpt-4o` is not OpenAI's."""
    simple = frozenset({ModelCapability.SIMPLE})
    own_models("azure.ai.openai", "gpt-4o", capabilities=simple)
    own_models("azure.ai.openai", "gpt-4o-mini", capabilities=simple)
    assert (("azure.ai.openai", "gpt-4o-mini"),) == same_or_better("azure.ai.openai", "gpt-4o", {})


def test_a_service_tier_is_priced_as_asked() -> None:
    """What is dearer for priority is held for at that price."""
    standard = asked(max_tokens=1_000)
    assert amount(offer(replace(standard, service_tier="priority"))) > amount(offer(standard))


# --- many models for one request --------------------------------------------------------------------------------------


@given(name=models, content=st.text(), max_tokens=limits, is_bound=st.booleans(), base=st.none() | st.just("gpt-4.1"))
def test_many_offers_are_those_of_each_model(
    name: tuple[str, str], content: str, max_tokens: int | None, *, is_bound: bool, base: str | None
) -> None:
    """To the last field, in their order; what the request's own model is a deployment of holds for that one alone."""
    request = replace(asked(*name, content=content, max_tokens=max_tokens), base_model=base)

    made = list(APPRAISER.offers(request, CATALOG, is_bound=is_bound))

    each = [replace(request, provider=p, model=m, base_model=base if (p, m) == name else None) for p, m in CATALOG]
    assert [APPRAISER.offer(one, is_bound=is_bound) for one in each] == made


def test_a_request_is_walked_through_once_for_all_models() -> None:
    """However many there are: a long conversation takes a while."""
    walked = []

    class Messages(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            walked.append(1)
            return super().__iter__()

    request = replace(asked(), arguments={"messages": Messages([{"role": "user", "content": "Hello!"}])})

    assert len(CATALOG) == len(list(APPRAISER.offers(request, CATALOG)))
    assert 1 == len(walked)


@given(name=models, expected=st.integers(0, 300_000), answers=st.integers(1, 3))
def test_an_expected_output_takes_the_limits_place(name: tuple[str, str], expected: int, answers: int) -> None:
    """For each answer, and no more than the model gives; no default is sent then."""
    request = asked(max_tokens=7, n=answers)

    (made,) = APPRAISER.offers(request, [name], output_tokens=expected)

    most = limits_of(*name).max_output_tokens
    assert answers * (expected if most is None else min(expected, most)) == made.extent.output_tokens
    assert (None, False) == (made.max_tokens, made.is_defaulted)


def test_embeddings_have_no_output_to_expect() -> None:
    """They are priced by their input."""
    request = replace(asked("openai", "text-embedding-3-small"), arguments={"input": "Hello!"}, shape=EMBEDDINGS)

    (made,) = APPRAISER.offers(request, [("openai", "text-embedding-3-small")], output_tokens=100)

    assert 0 == made.extent.output_tokens
