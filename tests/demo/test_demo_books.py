"""The price of the simulator's bill, worked out by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from llm_otel.demo.books import price_bill, subtract
from llm_otel.demo.report import Account, Books
from llm_otel.demo.simulator import Bill, BillLine
from llm_otel.drawing.figures import nano_of


def priced(provider: str, model: str, **counts: int) -> Account:
    """Price a bill of one line."""
    return price_bill(Bill({(provider, model): BillLine(requests=1, **counts)}))


@pytest.mark.parametrize(
    ("provider", "model", "counts", "expected_nano"),
    [
        # 18 × 150 + 5 × 600
        ("openai", "gpt-4o-mini", {"input_tokens": 18, "output_tokens": 5}, 5_700),
        # 1,000 × 2,500 + 1,024 × 1,250: what is cached is a part of the input
        ("openai", "gpt-4o", {"input_tokens": 2_024, "cached_tokens": 1_024}, 3_780_000),
        # 10 × 1,000 + 100 × 100 + 30 × 1,250 + 20 × 2,000
        (
            "anthropic",
            "claude-haiku-4-5",
            {
                "input_tokens": 160,
                "cached_tokens": 100,
                "cache_write_tokens": 50,
                "cache_write_1h_tokens": 20,
            },
            97_500,
        ),
        # 70 × 10,000: reasoning costs what output costs
        ("gemini", "gemini-2.5-pro", {"output_tokens": 70, "reasoning_tokens": 30}, 700_000),
        ("ollama", "mistral", {"input_tokens": 1_000_000, "output_tokens": 1_000_000}, 0),
        ("openai", "a-model-without-a-price", {"input_tokens": 7}, 0),
    ],
)
def test_a_line_costs_its_tokens_at_list_price(provider, model, counts, expected_nano):
    """By the prices that providers print, kind by kind."""
    assert expected_nano == priced(provider, model, **counts).cost_nano


def test_lines_add_up():
    """Tokens of a model without a price count, its cost does not."""
    bill = Bill(
        {
            ("openai", "gpt-4o-mini"): BillLine(input_tokens=10, output_tokens=1),
            ("openai", "a-model-without-a-price"): BillLine(input_tokens=5),
        }
    )

    assert Account(tokens=16, cost_nano=2_100) == price_bill(bill)


def test_what_came_between_is_the_difference():
    """Tokens and money alike."""
    assert Account(tokens=3, cost_nano=4) == subtract(Account(tokens=10, cost_nano=20), Account(tokens=7, cost_nano=16))


def test_an_amount_finer_than_a_nano_dollar_is_no_amount_of_ours():
    """Rounding it away would prove nothing."""
    assert 5_700 == nano_of(Decimal("0.000005700"))
    with pytest.raises(AssertionError):
        nano_of(Decimal("0.0000000001"))


ACCOUNT = Account(tokens=10, cost_nano=2_000)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"spans_nano": None}, True),
        ({"ledger_nano": 2_000}, True),
        ({"ledger_nano": 2_001}, False),
        ({"recorded": None, "billed": None}, True),
        ({"metrics_nano": 2_001}, False),
        ({"spans_nano": 1_999}, False),
        ({"billed": Account(tokens=10, cost_nano=2_001)}, False),
        ({"billed": Account(tokens=11, cost_nano=2_000)}, False),
    ],
)
def test_books_are_right_only_if_all_that_can_be_compared_is_equal(changes, expected):
    """One nano-dollar, or one token, is a difference."""
    right = {
        "tracker_nano": 2_000,
        "spans_nano": 2_000,
        "metrics_nano": 2_000,
        "estimated_calls": 0,
        "recorded": ACCOUNT,
        "billed": ACCOUNT,
    }

    assert expected == Books(**{**right, **changes}).are_right
