"""Denials: which of several reasons is told, its numbers, and the words to the letter."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from llm_otel.budgets.budget import Budget
from llm_otel.budgets.ceiling import Ceiling
from llm_otel.budgets.denial import Denial, DenialKind, judge, refusing
from llm_otel.budgets.ledger import Balance
from llm_otel.budgets.matching import BudgetSet, Matched
from llm_otel.money import NANO_PER_USD
from llm_otel.outage import OUTAGE_S

NOW_S = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
MONTH_END_S = datetime(2026, 11, 30, 23, tzinfo=UTC).timestamp()
"""Of November in Berlin."""


def nano(dollars: str) -> int:
    """Return dollars as nano-USD."""
    return int(Decimal(dollars) * NANO_PER_USD)


def budget(id_: str = "search-team", **fields: Any) -> Budget:
    """100 dollars a month in Berlin, unless a test says otherwise."""
    return Budget(id_, **({"limit_usd": "100", "window": "month", "tz": "Europe/Berlin"} | fields))


def matched(*budgets: Budget, **tags: str) -> Matched:
    """Match a call with these tags."""
    return BudgetSet(budgets).match(tags, provider="openai", model="gpt-4o", now_s=int(NOW_S))


def judged(spent: str, held: str, amount: str, **fields: Any) -> Denial:
    """Return the refusal by one budget on which so much is spent and held."""
    found = matched(budget(**fields), team="search")
    return judge(found, (Balance(nano(spent), nano(held)),), nano(amount), now_s=NOW_S)


def denial(kind: DenialKind, **fields: Any) -> Denial:
    """A refusal that the ledger had no part in."""
    found = matched(budget(**fields), team="search")
    return Denial(kind=kind, budget=found.budgets[0], line=found.lines[0], now_s=NOW_S)


# --- which reason -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spent", "held", "amount", "kind"),
    [
        ("0", "0", "100.000000001", DenialKind.TOO_LARGE),
        ("100", "0", "101", DenialKind.TOO_LARGE),
        ("99.8", "0", "0.42", DenialKind.EXHAUSTED),
        ("99.8", "50", "0.42", DenialKind.EXHAUSTED),
        ("120", "0", "0.01", DenialKind.EXHAUSTED),
        ("0.000000001", "0", "100", DenialKind.EXHAUSTED),
        ("0", "0.000000001", "100", DenialKind.IN_FLIGHT),
        ("60", "40", "0.01", DenialKind.IN_FLIGHT),
    ],
)
def test_the_kind_says_what_has_to_happen_before_it_fits(spent: str, held: str, amount: str, kind: DenialKind) -> None:
    """Calls settle, the window resets, or never."""
    assert kind == judged(spent, held, amount).kind


def test_kinds_are_ordered_by_how_little_their_caller_can_do() -> None:
    """Of several refusals the worst is told: what lets it through would not help."""
    kinds = ["unknown_price", "store_unavailable", "too_large", "exhausted", "in_flight"]
    assert kinds == [str(kind) for kind in DenialKind]


def test_of_several_budgets_that_refuse_the_worst_reason_is_told() -> None:
    """Of equal ones, that of the budget declared first."""
    found = matched(budget("a"), budget("b"), budget("c", limit_usd="0.1"), budget("d"))
    balances = (Balance(0, nano("100")), Balance(nano("100"), 0), Balance(0, 0), Balance(nano("100"), 0))
    assert ("c", DenialKind.TOO_LARGE) == (
        (worst := judge(found, balances, nano("0.5"), now_s=NOW_S)).budget.id,
        worst.kind,
    )
    assert "b" == judge(found, balances, nano("0.05"), now_s=NOW_S).budget.id


def test_only_hard_budgets_that_are_too_full_refuse() -> None:
    """A soft one counts, one that the amount just fits into does not refuse, and neither does nothing at all."""
    found = matched(budget("full"), budget("soft", kind="soft"), budget("fits"), budget("over"))
    balances = (
        Balance(nano("100"), 0),
        Balance(nano("500"), 0),
        Balance(nano("90"), nano("9")),
        Balance(nano("90"), nano("9") + 1),
    )
    assert ["full", "over"] == [each.id for each, _, _ in refusing(found, balances, nano("1"))]
    # What costs nothing still does not fit into what was overrun.
    assert [] == list(refusing(found, balances, 0))


def test_a_refusal_keeps_the_ledgers_numbers() -> None:
    """The line and the balance that it was judged by."""
    refused = judged("99.8", "0.1", "0.42", by="team")
    assert ("search", nano("100")) == (refused.line.scope, refused.line.limit)
    assert (nano("0.42"), Balance(nano("99.8"), nano("0.1"))) == (refused.requested, refused.balance)


# --- when again -------------------------------------------------------------------------------------------------------


def test_a_window_resets_at_midnight_in_the_budgets_own_zone() -> None:
    """That is how people will read it."""
    refused = judged("99.8", "0", "0.42")
    assert refused.resets_at is not None
    assert "2026-12-01T00:00:00+01:00" == refused.resets_at.isoformat()


@pytest.mark.parametrize(
    ("refused", "seconds"),
    [
        (judged("100", "0", "1"), MONTH_END_S - NOW_S),
        (judged("0", "100", "1"), 1.0),
        (judged("0", "0", "101"), None),
        (denial(DenialKind.UNKNOWN_PRICE), None),
        (denial(DenialKind.STORE_UNAVAILABLE), OUTAGE_S),
        (judged("100", "0", "1", window="lifetime"), None),
    ],
    ids=["exhausted", "in_flight", "too_large", "unknown_price", "store_unavailable", "lifetime"],
)
def test_it_says_when_to_try_again(refused: Denial, seconds: float | None) -> None:
    """`None` where waiting does not help."""
    assert seconds == refused.retry_after_s


def test_a_fraction_of_a_second_is_not_waited_too_short() -> None:
    """Whoever comes back at that time finds the window turned."""
    found = matched(budget(window="minute"))
    refused = judge(found, (Balance(nano("100"), 0),), nano("1"), now_s=NOW_S + 59.75)
    assert 0.25 == refused.retry_after_s


# --- the error --------------------------------------------------------------------------------------------------------

MONTH = "Budget 'search-team' (month 2026-11, Europe/Berlin)"
SEARCH = "Budget 'search-team' for 'search' (lifetime)"
USED = "99.80 of 100.00 USD are spent, 0.10 held for calls in flight"
LESS = "raise the limit, or lower max_tokens"
RAISE = "lower max_tokens, or raise the limit"
WAIT = "for calls in flight; try again when they have settled, or set on_exceeded='wait'"
PRICE_IT = "register_model(...) prices it, on_unknown_price='allow' passes"
PRICE_IT_OR_ELSE = "register_model(...) prices it, without max_cost_usd it passes"
UNBOUNDED = (
    "nothing bounds what its input may cost (images, audio, files or text kept elsewhere, and a model whose context "
    "window is not known)"
)
CALL = "Budget 'max_cost_usd' (this call)"
CHEAPER = "take a cheaper model, lower max_tokens, or raise max_cost_usd"
OUTAGE = "on_store_error='allow' lets calls pass meanwhile"


@pytest.mark.parametrize(
    ("refused", "text"),
    [
        (
            judged("99.8", "0.1", "0.42"),
            f"{MONTH} refused a call of up to 0.42 USD: {USED}; resets 2026-12-01T00:00+01:00; {LESS}",
        ),
        (
            judged("99.8", "0.1", "0.42", by="team", window="lifetime"),
            f"{SEARCH} refused a call of up to 0.42 USD: {USED}; never resets; {LESS}",
        ),
        (
            judged("60", "39.9999999", "0.0000057"),
            f"{MONTH} refused a call of up to 0.0000057 USD: 60.00 of 100.00 USD are spent, 39.9999999 held {WAIT}",
        ),
        (
            judged("0", "0", "1234.5"),
            f"{MONTH} refused a call of up to 1234.50 USD: that is more than the whole limit of 100.00 USD; {RAISE}",
        ),
        (
            denial(DenialKind.UNKNOWN_PRICE),
            f"{MONTH} refused a call: the price of its model is not known; {PRICE_IT}",
        ),
        (
            denial(DenialKind.STORE_UNAVAILABLE, window="lifetime", by="team"),
            f"{SEARCH} refused a call: its ledger cannot be reached; {OUTAGE}",
        ),
    ],
    ids=["exhausted", "lifetime", "in_flight", "too_large", "unknown_price", "store_unavailable"],
)
def test_the_error_says_what_was_refused_the_numbers_and_what_to_do(refused: Denial, text: str) -> None:
    """To the letter: people search for it."""
    assert text == str(refused.error())


@pytest.mark.parametrize(
    ("refused", "text"),
    [
        (
            Ceiling(nano("0.02")).denial(nano("0.0400975"), is_unbounded=False, now_s=NOW_S),
            f"{CALL} refused a call of up to 0.0400975 USD: the limit is 0.02 USD; {CHEAPER}",
        ),
        (
            Ceiling(nano("0.02"), nano("0.0150")).denial(nano("0.01"), is_unbounded=False, now_s=NOW_S),
            f"{CALL} refused a call of up to 0.01 USD: 0.015 of 0.02 USD are spent by earlier attempts; {CHEAPER}",
        ),
        (
            Ceiling(nano("0.02")).denial(None, is_unbounded=False, now_s=NOW_S),
            f"{CALL} refused a call: the price of its model is not known; {PRICE_IT_OR_ELSE}",
        ),
        (
            Ceiling(nano("0.02")).denial(None, is_unbounded=True, now_s=NOW_S),
            f"{CALL} refused a call: {UNBOUNDED}; without max_cost_usd it passes",
        ),
    ],
    ids=["too_large", "after_others", "unknown_price", "unbounded"],
)
def test_a_refusal_by_the_calls_own_limit_names_its_field(refused: Denial, text: str) -> None:
    """There is no budget to look for."""
    assert text == str(refused.error())


def test_the_errors_values_are_fields() -> None:
    """Nobody parses text."""
    refused = judged("99.8", "0.1", "0.42", by="team")
    assert {
        "kind": "exhausted",
        "budget": "search-team",
        "scope": "search",
        "window": "month 2026-11, Europe/Berlin",
        "limit_usd": Decimal(100),
        "spent_usd": Decimal("99.8"),
        "held_usd": Decimal("0.1"),
        "requested_usd": Decimal("0.42"),
        "resets_at": refused.resets_at,
        "retry_after_s": MONTH_END_S - NOW_S,
    } == vars(refused.error())


def test_what_is_not_known_is_none() -> None:
    """Without the ledger nobody knows what is spent; without a price, what is asked."""
    error = denial(DenialKind.UNKNOWN_PRICE).error()
    assert (None, None, None) == (error.spent_usd, error.held_usd, error.requested_usd)
    assert Decimal(100) == error.limit_usd
