"""The proof: the simulator's count of tokens, priced apart from the library, against what was recorded."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from llm_otel.demo.report import Account
from llm_otel.drawing.figures import nano_of
from llm_otel.errors import UnknownModelError
from llm_otel.models.lookup import get_model_info
from llm_otel.money import NANO_PER_USD

if TYPE_CHECKING:
    from llm_otel.demo.simulator import Bill, BillLine
    from llm_otel.models.info import ModelInfo
    from llm_otel.recorders.tracker import UsageTracker


def price_bill(bill: Bill) -> Account:
    """Price what the simulator counted, with decimals and each model's published prices, and nothing else.

    The sum is exact where a token costs a whole number of nano-dollars, as for every model of the scenario;
    else the library's rounding of each call would show. A model without a price counts with its tokens alone.
    """
    cost = sum((_cost_usd(key, line) for key, line in bill.lines.items()), Decimal(0))
    total = bill.total
    return Account(tokens=total.input_tokens + total.output_tokens, cost_nano=round(cost * NANO_PER_USD))


def _cost_usd(key: tuple[str, str], line: BillLine) -> Decimal:
    provider, model = key
    try:
        info = get_model_info(f"{provider}/{model}")
    except UnknownModelError:
        return Decimal(0)
    fresh = line.input_tokens - line.cached_tokens - line.cache_write_tokens
    spoken = line.output_tokens - line.reasoning_tokens
    short_writes = line.cache_write_tokens - line.cache_write_1h_tokens
    per_1k = (
        fresh * _price(info, "input")
        + line.cached_tokens * _price(info, "cache_read", "input")
        + short_writes * _price(info, "cache_write", "input")
        + line.cache_write_1h_tokens * _price(info, "cache_write_1h", "cache_write", "input")
        + spoken * _price(info, "output")
        + line.reasoning_tokens * _price(info, "reasoning", "output")
    )
    return per_1k / 1000


def _price(info: ModelInfo, *kinds: str) -> Decimal:
    """Return the first of these prices that the model has, in USD for 1,000 tokens; 0 if it has none."""
    prices = (getattr(info, f"{kind}_cost_per_1k") for kind in kinds)
    return next((price for price in prices if price is not None), Decimal(0))


def subtract(after: Account, before: Account) -> Account:
    """Return what came between two moments."""
    return Account(tokens=after.tokens - before.tokens, cost_nano=after.cost_nano - before.cost_nano)


def recorded_by(tracker: UsageTracker) -> Account:
    """Return what the tracker has counted so far."""
    stats = tracker.get_stats()
    return Account(tokens=stats["total_tokens"], cost_nano=nano_of(stats["total_cost_usd"]))
