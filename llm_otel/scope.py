"""What calls are for: tags and totals of the scope they are made in.

A scope is opened by `traced_llm`. It is carried by a context variable, so it follows `await` and tasks, and threads
that run in a copied context (`llm_otel.carry`). Tags merge inward (an inner scope wins), totals sum outward.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

from llm_otel.budgets.matching import NOTHING
from llm_otel.call import NO_TAGS
from llm_otel.errors import ConfigurationError
from llm_otel.money import usd

if TYPE_CHECKING:
    from llm_otel.budgets.matching import Matched
    from llm_otel.call import CallRecord

Tags = Mapping[str, str] | Iterable[str]
"""`{"user": "john"}`, or strings: `"user:john"` is the same, `"research"` is `{"research": ""}`."""


def parse_tags(tags: Tags | None) -> Mapping[str, str]:
    """Read tags in either form.

    Raises:
        ConfigurationError: A key or value is not a string, a key is empty, or a bare string was given for the list.
    """
    if not tags:
        return NO_TAGS
    parsed: dict[str, str] = {}
    for key, value in _pairs(tags):
        if not isinstance(key, str) or not isinstance(value, str) or not key:
            raise ConfigurationError("tags", {key: value}, "names and values are strings, and a name is not empty")
        parsed[key] = value
    return MappingProxyType(parsed)


def _pairs(tags: Tags) -> Iterable[tuple[object, object]]:
    if isinstance(tags, (dict, Mapping)):
        return tags.items()
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        example = [tags] if isinstance(tags, str) else ["team:search"]
        raise ConfigurationError("tags", tags, f"a mapping such as {{'team': 'search'}}, or a list such as {example!r}")
    return (_split(tag) for tag in tags)


def _split(tag: object) -> tuple[str, str]:
    if not isinstance(tag, str):
        raise ConfigurationError("tags", tag, "each tag is a string such as 'team:search'")
    name, _, value = tag.partition(":")
    return name.strip(), value.strip()


@dataclass(frozen=True, slots=True)
class Totals:
    """What the calls inside a scope came to. `cost_nano` is the known part: see `unpriced_calls`."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano: int = 0
    unpriced_calls: int = 0


_NOTHING = Totals()


class Scope:
    """One run of a traced function or block. Thread-safe; readable while it runs and after it ended."""

    __slots__ = ("_lock", "_totals", "conversation_id", "name", "parent", "run_budgets", "tags")

    def __init__(
        self,
        name: str,
        tags: Mapping[str, str] = NO_TAGS,
        parent: Scope | None = None,
        *,
        received: Mapping[str, str] = NO_TAGS,
        conversation_id: str | None = None,
        budget: Matched | None = None,
    ) -> None:
        """Open a scope.

        Args:
            name: What it is called.
            tags: Its own; they go over those of its parent.
            parent: The scope around it.
            received: Tags that another service sent; all that are said in this process go over them.
            conversation_id: The conversation that calls inside belong to; by default that of the parent.
            budget: One for this run alone, beside those of the runs around it.
        """
        self.name = name
        around = NOTHING if parent is None else parent.run_budgets
        self.run_budgets: Matched = around if budget is None else around.joined(budget)
        self.parent = parent
        self.tags: Mapping[str, str] = tags
        if received or parent is not None:
            inherited = NO_TAGS if parent is None else parent.tags
            self.tags = MappingProxyType({**received, **inherited, **tags})
        self.conversation_id: str | None = conversation_id
        if conversation_id is None and parent is not None:
            self.conversation_id = parent.conversation_id
        self._totals = _NOTHING
        self._lock = threading.Lock()

    def add(self, record: CallRecord) -> None:
        """Count an ended call, here and in every scope around."""
        usage = record.usage
        with self._lock:
            before = self._totals
            self._totals = Totals(
                calls=before.calls + 1,
                input_tokens=before.input_tokens + (usage.input_tokens if usage else 0),
                output_tokens=before.output_tokens + (usage.output_tokens if usage else 0),
                cost_nano=before.cost_nano + record.known_cost_nano,
                unpriced_calls=before.unpriced_calls + record.is_unpriced,
            )
        if self.parent is not None:
            self.parent.add(record)

    @property
    def totals(self) -> Totals:
        """A consistent snapshot."""
        return self._totals

    @property
    def calls(self) -> int:
        """How many completions ended inside, refused and failed ones included."""
        return self._totals.calls

    @property
    def tokens(self) -> int:
        """Input and output tokens of all calls inside."""
        totals = self._totals
        return totals.input_tokens + totals.output_tokens

    @property
    def cost_usd(self) -> Decimal:
        """Spend inside, exact; calls whose cost is not known are in `totals.unpriced_calls`, not here."""
        return usd(self._totals.cost_nano)

    def __repr__(self) -> str:
        return f"<Scope {self.name!r} calls={self.calls} tokens={self.tokens} cost_usd={self.cost_usd:f}>"


current_scope: ContextVar[Scope | None] = ContextVar("llm_otel_scope", default=None)
"""The innermost scope; `None` outside of all."""
