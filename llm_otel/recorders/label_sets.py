"""Which values the labels of a call get: allow-listed tags, each with a cap, and a cap on their combinations.

Prometheus keeps every combination of label values as a series of its own, for good. What would be one too
many is counted all the same, under `semconv.OVERFLOW_LABEL`: sums stay right, only the split gets coarser.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from llm_otel import semconv
from llm_otel.errors import ConfigurationError

DEFAULT_TAG_LABELS = ("team", "feature")
MAX_TAG_VALUES = 50
MAX_MODELS = 100
MAX_LABEL_SETS = 2_000
"""A set is about 130 lines of text and 5 KB of memory, so this many fit into Prometheus' scrape time-out of
10 s. The caps on single labels alone would allow 250,000."""
MAX_VALUE_LENGTH = 200
"""Characters. A longer value names nothing: it is a text that went astray, and would stand in every line."""

TagLabels = Sequence[str] | Mapping[str, Sequence[str] | int]
"""Names of tags, or name -> the values it can have, or name -> how many distinct values to keep."""

_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
"""https://prometheus.io/docs/concepts/data_model/, read 2026-11: two leading underscores are Prometheus' own.
Newer versions take any UTF-8, but such names have to be quoted in every query."""
_OF_A_CALL = (semconv.LABEL_PROVIDER, semconv.LABEL_MODEL, semconv.LABEL_OPERATION)
_OF_HISTOGRAMS = frozenset({"le", "quantile"})
_TAKEN = _OF_HISTOGRAMS.union(_OF_A_CALL, *(spec.labels for spec in semconv.METRICS))

LabelSet = tuple[str, ...]
"""Values of provider, model, operation and the tags, in the order of `LabelSets.names`."""


@dataclass(frozen=True, slots=True)
class TagLabel:
    """A tag that is a label.

    Attributes:
        declared: Values that are known beforehand; always kept.
        max_values: How many distinct values are kept, declared ones included.
    """

    name: str
    declared: tuple[str, ...] = ()
    max_values: int = MAX_TAG_VALUES


def parse_tag_labels(tag_labels: TagLabels) -> tuple[TagLabel, ...]:
    """Read the allow-list, sorted by name: the order in which a user writes tags means nothing.

    Raises:
        ConfigurationError: A name is no label name, stands twice or is one of ours; a cap is not a positive
            integer; declared values are no strings that can be label values.
    """
    if isinstance(tag_labels, str):
        raise ConfigurationError("tag_labels", tag_labels, f"give a list of names, as [{tag_labels!r}]")
    if isinstance(tag_labels, Mapping):
        labels = [_tag_label(name, values) for name, values in tag_labels.items()]
    else:
        labels = [_tag_label(name, MAX_TAG_VALUES) for name in tag_labels]
    labels.sort(key=lambda label: label.name)
    for label, following in pairwise(labels):
        if label.name == following.name:
            raise ConfigurationError("tag_labels", label.name, "each tag stands in it once")
    return tuple(labels)


def _tag_label(name: object, values: Sequence[str] | int) -> TagLabel:
    if not isinstance(name, str) or not _LABEL_NAME.fullmatch(name):
        allowed = "a label name is letters, digits and _, not a digit first, and not two _ first"
        raise ConfigurationError("tag_labels", name, allowed)
    if name in _TAKEN:
        taken = ", ".join(sorted(_TAKEN))
        raise ConfigurationError("tag_labels", name, f"the metrics have this label already (as they have {taken})")
    field = f"tag_labels[{name!r}]"
    if isinstance(values, int):
        if isinstance(values, bool) or values < 1:
            raise ConfigurationError(field, values, "the number of distinct values to keep is a positive integer")
        return TagLabel(name, max_values=values)
    return _declared_label(name, values, field)


def _declared_label(name: str, values: Sequence[str], field: str) -> TagLabel:
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise ConfigurationError(field, values, "a list of the values that the tag can have, or how many to keep")
    for value in values:
        if not isinstance(value, str) or not _fits(value):
            allowed = f"values are strings of UTF-8 with at most {MAX_VALUE_LENGTH} characters"
            raise ConfigurationError(field, value, allowed)
    declared = tuple(dict.fromkeys(values))
    return TagLabel(name, declared, max(MAX_TAG_VALUES, len(declared)))


def _fits(value: str) -> bool:
    """Say whether a text can be a label value: a lone surrogate would break every scrape from then on."""
    if len(value) > MAX_VALUE_LENGTH:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


class CappedValues:
    """The distinct values of one label: first come, first kept; the rest share `semconv.OVERFLOW_LABEL`.

    Thread-safe. What was kept stays kept, and what was not kept never is: the cap does not shrink.
    """

    __slots__ = ("_declared", "_kept", "_lock", "_room")

    def __init__(self, max_values: int, declared: Iterable[str] = ()) -> None:
        declared = frozenset(declared)
        self._room = max_values - len(declared)
        self._declared = declared | {semconv.MISSING_TAG_LABEL}
        self._kept = {semconv.OVERFLOW_LABEL, *self._declared}
        # Re-entrant: the garbage collector may end a call in the middle of `_keep`, on the same thread.
        self._lock = threading.RLock()

    def __contains__(self, value: str) -> bool:
        """Whether the value was kept, and stands for itself."""
        return value in self._kept

    def label(self, value: str) -> str:
        """Return the label value that stands for `value`."""
        return value if value in self._kept else self._keep(value)

    def is_declared(self, value: str) -> bool:
        """Whether the value was known beforehand; the absence of one always is."""
        return value in self._declared

    def _keep(self, value: str) -> str:
        if self._room <= 0 or not _fits(value):
            return semconv.OVERFLOW_LABEL
        with self._lock:
            if value not in self._kept:
                if self._room <= 0:
                    return semconv.OVERFLOW_LABEL
                self._room -= 1
                self._kept.add(value)
        return value


class LabelSets:
    """The label sets of calls, within all caps. Thread-safe; a call gets the same set at its start and end.

    Args:
        tags: The allow-list.
        declared_models: (provider, model) pairs that are known beforehand; always kept.
        max_models: Distinct models to keep, declared ones included.
        max_label_sets: Beyond so many sets every tag value that is not declared is `semconv.OVERFLOW_LABEL`.
    """

    __slots__ = (
        "_admitted",
        "_lock",
        "_max_label_sets",
        "_missing",
        "_models",
        "_tag_names",
        "_tags",
        "declared",
        "names",
    )

    def __init__(
        self,
        tags: Sequence[TagLabel],
        *,
        declared_models: Iterable[tuple[str, str]] = (),
        max_models: int = MAX_MODELS,
        max_label_sets: int = MAX_LABEL_SETS,
    ) -> None:
        declared_models = tuple(declared_models)
        models = {model for _, model in declared_models}
        self.names: tuple[str, ...] = (*_OF_A_CALL, *(tag.name for tag in tags))
        self._models = CappedValues(max(max_models, len(models)), models)
        # Of equal length, to be walked through together.
        self._tag_names = tuple(tag.name for tag in tags)
        self._missing = (semconv.MISSING_TAG_LABEL,) * len(self._tag_names)
        self._tags = tuple((tag.name, CappedValues(tag.max_values, tag.declared)) for tag in tags)
        self._max_label_sets = max_label_sets
        self.declared: tuple[LabelSet, ...] = tuple(_declared_sets(tags, declared_models))
        self._admitted = set(self.declared)
        self._lock = threading.RLock()

    def keep(self, seen: Iterable[Mapping[str, str]]) -> None:
        """Take over sets that are exported already, as far as the caps allow."""
        provider, model, operation = _OF_A_CALL
        for labels in seen:
            self.of(labels[operation], labels[provider], labels[model], labels)

    def of(self, operation: str, provider: str, model: str, tags: Mapping[str, str]) -> LabelSet:
        """Return the set that a call is counted under."""
        asked = (provider, model, operation, *map(tags.get, self._tag_names, self._missing))
        # Every value of a set that was admitted was kept, and stands for itself.
        return asked if asked in self._admitted else self._admit(asked)

    def model(self, model: tuple[str, str]) -> tuple[str, str]:
        """Return provider and model as they are in the labels of calls."""
        provider, name = model
        return provider, self._models.label(name)

    def _admit(self, asked: LabelSet) -> LabelSet:
        provider, model, operation, *tags = asked
        kept = (values.label(tag) for tag, (_, values) in zip(tags, self._tags, strict=True))
        wanted: LabelSet = (provider, self._models.label(model), operation, *kept)
        with self._lock:
            if wanted not in self._admitted and len(self._admitted) >= self._max_label_sets:
                wanted = self._known_beforehand(wanted)
            self._admitted.add(wanted)
        return wanted

    def _known_beforehand(self, wanted: LabelSet) -> LabelSet:
        call, tags = wanted[: len(_OF_A_CALL)], wanted[len(_OF_A_CALL) :]
        kept = (
            value if values.is_declared(value) else semconv.OVERFLOW_LABEL
            for value, (_, values) in zip(tags, self._tags, strict=True)
        )
        return (*call, *kept)


def _declared_sets(tags: Sequence[TagLabel], models: Iterable[tuple[str, str]]) -> Iterator[LabelSet]:
    """Yield declared models × declared tag values; a tag without declared values is absent in them."""
    values = [tag.declared or (semconv.MISSING_TAG_LABEL,) for tag in tags]
    for provider, model in models:
        for tag_values in product(*values):
            yield (provider, model, semconv.Operation.CHAT.value, *tag_values)
