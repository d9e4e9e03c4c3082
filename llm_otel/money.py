"""Money as integers: nano-USD for amounts, atto-USD for prices.

An amount (a cost, a limit, a hold) is a whole number of **nano-USD** (1e-9 USD): exact sums in any order, and
64 bits hold 9.2 billion USD. A price of one token is finer, a whole number of **atto-USD** (1e-18 USD): of
LiteLLM's 14,463 prices per token all but 60 noisy ones are exact at 1e-15. A call is summed in atto-USD and
rounded once, at its total: up for a hold, half-even for a settle. `Decimal` is for users, `float` only for
exporters.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

from llm_otel.errors import ConfigurationError

NANO_PER_USD = 10**9
ATTO_PER_USD = 10**18
ATTO_PER_NANO = ATTO_PER_USD // NANO_PER_USD

MAX_NANO = 2**63 - 1
"""The largest amount, 9,223,372,036.85 USD: what a signed 64-bit column holds."""

_ALLOWED = "a finite amount of US dollars from 0 to 9223372036.85, as str, int, float or Decimal"

_MAX_USD = Decimal(f"{MAX_NANO}e-9")
_NOTHING = Decimal("0.00")

_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""Wide enough for every amount in range at 1e-18; the caller's own decimal context never matters."""


def parse_usd(value: str | int | float | Decimal, *, field: str) -> int:
    """Return an amount of US dollars as nano-USD, the nearest one (half-even) if the amount is finer.

    A float means what it shows: 0.1 is a tenth of a dollar, not the binary fraction beside it.

    Args:
        value: US dollars, from 0 to `MAX_NANO`.
        field: What the caller calls this value, for the error.

    Raises:
        ConfigurationError: The value is no number, NaN, infinite, negative, too large or a bool.
    """
    return _scaled(_to_decimal(value, field), NANO_PER_USD)


def parse_atto(value: str | int | float | Decimal, *, field: str, per: int = 1) -> int:
    """Return the price of one unit in atto-USD, given the US dollars that `per` units cost.

    Raises:
        ConfigurationError: As in `parse_usd`.
    """
    return _scaled(_to_decimal(value, field), ATTO_PER_USD // per)


def usd(nano: int) -> Decimal:
    """Return nano-USD as US dollars, exactly: with nine decimal places, and nothing as `0.00`, not as `0E-9`."""
    return Decimal(f"{nano}e-9") if nano else _NOTHING


def format_usd(nano: int, *, decimals: int | None = None) -> str:
    """Return nano-USD for people to read: `$12.30`, `$0.0000057`, `-$1,234.50`.

    Args:
        nano: The amount; it may be negative (headroom after an overrun).
        decimals: Round to so many places, half-even. `None`: all that count, and at least the cents.
    """
    if decimals is None:
        return format_amount(usd(nano))
    text = f"{usd(abs(nano)).quantize(Decimal(1).scaleb(-decimals), context=_EXACT):,f}"
    return f"{'-' if nano < 0 else ''}${text}"


def format_amount(amount: Decimal) -> str:
    """Return US dollars for people to read, as `format_usd`; finer ones than nano-USD are rounded, half-even."""
    whole, _, fraction = f"{abs(amount):,.9f}".partition(".")
    return f"{'-' if amount < 0 else ''}${whole}.{fraction.rstrip('0').ljust(2, '0')}"


def round_up(atto: int) -> int:
    """Return the least nano-USD that covers `atto`: for holds."""
    return -(-atto // ATTO_PER_NANO)


def round_half_even(atto: int) -> int:
    """Return the nearest nano-USD, the even one of two equally near: for settles."""
    nano, rest = divmod(atto, ATTO_PER_NANO)
    if not rest:
        return nano
    twice = 2 * rest
    return nano + (twice > ATTO_PER_NANO or (twice == ATTO_PER_NANO and nano % 2 == 1))


def apportion(total: int, parts: Sequence[int]) -> list[int]:
    """Split a rounded total over its parts, so that they sum to it exactly.

    The largest remainders are rounded up; of equal ones, the first.

    Args:
        total: nano-USD; `sum(parts)` rounded up or to the nearest.
        parts: atto-USD, none negative. A part of 0 stays 0.
    """
    shares = [part // ATTO_PER_NANO for part in parts]
    missing = total - sum(shares)
    if missing:
        by_remainder = sorted(range(len(parts)), key=lambda index: -(parts[index] % ATTO_PER_NANO))
        for index in by_remainder[:missing]:
            shares[index] += 1
    return shares


def _to_decimal(value: str | int | float | Decimal, field: str) -> Decimal:
    """Return the value as written, refusing what is not an amount."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ConfigurationError(field, value, _ALLOWED)
    try:
        # float.__repr__: a subclass (numpy's) writes its own name around the number.
        amount = Decimal(float.__repr__(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation as exc:
        raise ConfigurationError(field, value, _ALLOWED) from exc
    if not amount.is_finite() or amount < 0 or amount > _MAX_USD:
        raise ConfigurationError(field, value, _ALLOWED)
    return amount


def _scaled(amount: Decimal, units: int) -> int:
    """Return `amount * units`, rounded half-even to a whole number."""
    return int(_EXACT.multiply(amount, Decimal(units)).to_integral_value(rounding=ROUND_HALF_EVEN))
