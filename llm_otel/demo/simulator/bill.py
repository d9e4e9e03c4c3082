"""The simulator's own ledger: the tokens it would charge for, by provider and model.

It counts what was generated, whatever a scripted usage claims: the input once an answer has begun, the output
as it is sent. A stream that breaks off is charged up to its last chunk, an error nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from threading import Lock

from llm_otel.demo.simulator.chat import TokenCounts


@dataclass(frozen=True, slots=True)
class BillLine(TokenCounts):
    """What one model is charged for."""

    requests: int = 0
    """Answers begun."""


@dataclass(frozen=True, slots=True)
class Bill:
    """A snapshot of the ledger: `bill["openai", "gpt-4o-mini"].output_tokens`, `bill.total.requests`."""

    lines: Mapping[tuple[str, str], BillLine]
    """By provider and requested model."""

    def __getitem__(self, key: tuple[str, str]) -> BillLine:
        """Return the line of a provider and model; an empty one where nothing was charged."""
        return self.lines.get(key, BillLine())

    @property
    def total(self) -> BillLine:
        """The sum of all lines."""
        total: Counter[str] = Counter()
        for line in self.lines.values():
            total.update(_amounts(line))
        return BillLine(**total)


class Ledger:
    """Keeps the lines; safe for use by several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lines: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def add(self, key: tuple[str, str], amounts: Mapping[str, int]) -> None:
        """Add amounts, by the names of the fields, to the line of a provider and model."""
        with self._lock:
            self._lines[key].update(amounts)

    def meter(self, provider: str, model: str, counts: TokenCounts) -> "Meter":
        """Begin to charge for one answer."""
        return Meter(self, (provider, model), counts)

    def snapshot(self) -> Bill:
        """Return the lines as they stand."""
        with self._lock:
            return Bill({key: BillLine(**amounts) for key, amounts in self._lines.items()})

    def clear(self) -> None:
        """Forget every line."""
        with self._lock:
            self._lines.clear()


class Meter:
    """Charges for one answer as it is sent: its input at once, its output bit by bit."""

    def __init__(self, ledger: Ledger, key: tuple[str, str], counts: TokenCounts) -> None:
        self._ledger = ledger
        self._key = key
        self._counts = counts
        self._sent = 0
        begun = replace(counts, output_tokens=0, reasoning_tokens=0, audio_output_tokens=0)
        ledger.add(key, _amounts(begun) | {"requests": 1})

    def reach(self, output_tokens: int) -> None:
        """Charge for the output up to this many tokens; reasoning is generated first, audio last."""
        before, self._sent = self._sent, max(self._sent, min(output_tokens, self._counts.output_tokens))
        if self._sent == before:
            return
        reasoning = self._counts.reasoning_tokens
        silent = self._counts.output_tokens - self._counts.audio_output_tokens
        amounts = {
            "output_tokens": self._sent - before,
            "reasoning_tokens": min(self._sent, reasoning) - min(before, reasoning),
            "audio_output_tokens": max(self._sent - silent, 0) - max(before - silent, 0),
        }
        self._ledger.add(self._key, amounts)


def _amounts(counts: TokenCounts) -> dict[str, int]:
    return {each.name: getattr(counts, each.name) for each in fields(counts)}
