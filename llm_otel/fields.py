"""Types of fields that pydantic models have in common. Needs pydantic."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import PlainSerializer


def _plain(amount: Decimal) -> str:
    return f"{amount:f}"


in_plain_digits = PlainSerializer(_plain, return_type=str, when_used="json-unless-none")
"""Amounts in JSON: exact, as text, and never `2.5E-7`, which Python makes of a small one."""

ExactUSD = Annotated[Decimal, in_plain_digits]
"""US dollars."""
