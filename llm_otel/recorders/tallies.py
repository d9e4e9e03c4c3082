"""Sums over calls: in total, and for each model and tag that the number of groups has room for.

Money is nano-USD and time nanoseconds, both integers: a sum is exact, in whatever order threads add to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from llm_otel import semconv
from llm_otel.recorders.label_sets import CappedValues

Key = TypeVar("Key")

MAX_PROVIDERS = 100
MAX_MODELS = 100
MAX_TAG_NAMES = 20
MAX_TAG_VALUES = 1_000
"""For each name. There is room for the users of a service here, where Prometheus has none."""

_NO_TAG = (semconv.OVERFLOW_LABEL, "")
"""The group of tags whose name has no place."""


class TrackedCall(NamedTuple):
    """What statistics need of one call. A tuple: a frozen dataclass costs each call 2 us more.

    Attributes:
        ended_ns: Wall time, nanoseconds since the epoch.
        cost_nano: The part of the cost that is known.
        latency_ns: `None` for a call that was refused, or answered from a cache: no provider was waited for.
    """

    ended_ns: int
    provider: str
    model: str
    tags: Mapping[str, str]
    tokens: int
    cost_nano: int
    is_unpriced: bool
    latency_ns: int | None


class Tally:
    """Sums over some calls."""

    __slots__ = ("calls", "cost_nano", "latency_ns", "timed_calls", "tokens", "unpriced_calls")

    def __init__(self) -> None:
        self.calls = 0
        self.tokens = 0
        self.cost_nano = 0
        self.unpriced_calls = 0
        self.timed_calls = 0
        self.latency_ns = 0

    def add(self, call: TrackedCall) -> None:
        """Count one call."""
        self.calls += 1
        self.tokens += call.tokens
        self.cost_nano += call.cost_nano
        if call.is_unpriced:
            self.unpriced_calls += 1
        if call.latency_ns is not None:
            self.timed_calls += 1
            self.latency_ns += call.latency_ns

    def merge(self, other: Tally) -> None:
        """Count the calls of another tally."""
        self.calls += other.calls
        self.tokens += other.tokens
        self.cost_nano += other.cost_nano
        self.unpriced_calls += other.unpriced_calls
        self.timed_calls += other.timed_calls
        self.latency_ns += other.latency_ns

    @property
    def avg_latency_ms(self) -> float | None:
        """The mean; `None` without a call that took time."""
        return self.latency_ns / (self.timed_calls * 1_000_000) if self.timed_calls else None


@dataclass(frozen=True, slots=True)
class Group:
    """The calls of one model, and of one tag if `tag` is given."""

    provider: str
    model: str
    tag: tuple[str, str] | None
    tally: Tally


class GroupNames:
    """Which values get a group of their own: first come, first kept; the rest share the overflow value."""

    def __init__(self) -> None:
        self._providers = CappedValues(MAX_PROVIDERS)
        self._models = CappedValues(MAX_MODELS)
        self._tag_names = CappedValues(MAX_TAG_NAMES)
        self._tag_values: dict[str, CappedValues] = {}

    def model(self, call: TrackedCall) -> tuple[str, str]:
        """Return provider and model of the call's group."""
        return self._providers.label(call.provider), self._models.label(call.model)

    def tags(self, call: TrackedCall) -> Iterable[tuple[str, str]]:
        """Return the tags of the call's groups, each once."""
        return {self._tag(name, value) for name, value in call.tags.items()}

    def _tag(self, name: str, value: str) -> tuple[str, str]:
        if self._tag_names.label(name) != name:
            return _NO_TAG
        values = self._tag_values.get(name)
        if values is None:
            values = self._tag_values[name] = CappedValues(MAX_TAG_VALUES)
        return name, values.label(value)

    def has_model(self, provider: str | None, model: str | None) -> bool:
        """Whether these have groups of their own; `None` stands for all."""
        return (provider is None or provider in self._providers) and (model is None or model in self._models)

    def has_tag(self, name: str, value: str | None) -> bool:
        """Whether the tag has groups of its own; `None` stands for all values."""
        values = self._tag_values.get(name)
        return values is not None and (value is None or value in values)


class Totals:
    """Sums for each model, and for each tag of each model. Not thread-safe."""

    def __init__(self, names: GroupNames) -> None:
        self._names = names
        self._models: dict[tuple[str, str], Tally] = {}
        self._tags: dict[tuple[str, str, str, str], Tally] = {}

    def add(self, call: TrackedCall) -> None:
        """Count one call in all its groups."""
        provider, model = self._names.model(call)
        _tally(self._models, (provider, model)).add(call)
        for name, value in self._names.tags(call):
            _tally(self._tags, (provider, model, name, value)).add(call)

    def by_model(self) -> Iterator[Group]:
        """Yield a group for each model: together every call, once."""
        for (provider, model), tally in self._models.items():
            yield Group(provider, model, None, tally)

    def by_tag(self) -> Iterator[Group]:
        """Yield a group for each tag of each model: a call is in as many as it has tags."""
        for (provider, model, name, value), tally in self._tags.items():
            yield Group(provider, model, (name, value), tally)


def _tally(tallies: dict[Key, Tally], key: Key) -> Tally:
    tally = tallies.get(key)
    if tally is None:
        tally = tallies[key] = Tally()
    return tally
