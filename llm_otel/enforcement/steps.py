"""What a call asks the ledger on its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_otel.budgets.ledger import Hold, Line
    from llm_otel.enforcement.gate import Answer, Gate, Standing


@dataclass(frozen=True, slots=True)
class Reserve:
    """Ask the ledger for money."""

    gate: Gate
    hold: Hold

    def run(self) -> Answer:
        """Ask the store."""
        return self.gate.reserve(self.hold)

    async def arun(self) -> Answer:
        """Ask the store."""
        return await self.gate.areserve(self.hold)


@dataclass(frozen=True, slots=True)
class Look:
    """Ask the ledger how lines stand."""

    gate: Gate
    lines: tuple[Line, ...]

    def run(self) -> Standing:
        """Ask the store."""
        return self.gate.balances(self.lines)

    async def arun(self) -> Standing:
        """Ask the store."""
        return await self.gate.abalances(self.lines)
