"""The rules, read: what they measure, by which labels, and what they call things."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

from llm_otel import semconv
from llm_otel.budgets.denial import DenialKind
from llm_otel.budgets.reports import State
from llm_otel.call import AttemptReason, Outcome
from llm_otel.recorders.postings import COUNTERS
from llm_otel.semconv import MetricSpec
from tests.exporters.tools import RULES

TARGET_LABELS = frozenset({"environment", "job", "instance"})
"""What Prometheus puts on every series."""
_OF_HISTOGRAMS = ("_bucket", "_count", "_sum")
_NAME = re.compile(r"(?<![\w:])(?:\w+:)?llm_otel_\w+(?::\w+)?")
_SELECTOR = re.compile(r"((?:\w+:)?llm_otel_\w+(?::\w+)?)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)")


@dataclass(frozen=True)
class Rule:
    """One rule of a file."""

    file: str
    group: str
    fields: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.fields.get("alert") or self.fields["record"])

    @property
    def is_alert(self) -> bool:
        return "alert" in self.fields

    @cached_property
    def expr(self) -> str:
        return re.sub(r"#.*", "", self.fields["expr"])

    @property
    def annotations(self) -> dict[str, str]:
        return dict(self.fields.get("annotations", {}))

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.fields.get("labels", {}))


def rules() -> list[Rule]:
    """Return every rule, in order."""
    return [
        Rule(path.name, group["name"], fields)
        for path in sorted(RULES.glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for fields in group["rules"]
    ]


def names_in(text: str) -> list[str]:
    """Return the metrics of ours that an expression or a template names, recorded ones included."""
    return _NAME.findall(text)


def series_of(spec: MetricSpec) -> list[str]:
    """Return the names that a metric has in Prometheus."""
    return [spec.prometheus_name + end for end in (_OF_HISTOGRAMS if spec.buckets else ("",))]


SPECS = {name: spec for spec in semconv.METRICS for name in series_of(spec)}


def unknown_names(text: str, recorded: Iterable[str]) -> list[str]:
    """Return the names in an expression that are neither a metric of ours nor recorded."""
    known = SPECS.keys() | set(recorded)
    return [name for name in names_in(text) if name not in known]


def labels_of(spec: MetricSpec) -> frozenset[str]:
    """Return the labels that a metric has, without the allow-listed tags, which an installation may not have."""
    of_model = (semconv.LABEL_PROVIDER, semconv.LABEL_MODEL, semconv.LABEL_OPERATION) if spec.is_per_model else ()
    le = ("le",) if spec.buckets else ()
    return frozenset({*spec.labels, *of_model, *le, *TARGET_LABELS})


def unknown_labels(expr: str) -> list[str]:
    """Return the labels in an expression that its metrics do not have."""
    metrics = [SPECS[name] for name in names_in(expr) if name in SPECS]
    of_expr = frozenset[str]().union(*(labels_of(spec) for spec in metrics))
    grouped = (label.strip() for labels in _GROUPING.findall(expr) for label in labels.split(","))
    # What is recorded has labels of its own; there a grouping is among what any metric has.
    allowed = of_expr or frozenset[str]().union(*(labels_of(spec) for spec in semconv.METRICS))
    unknown = [label for label in grouped if label and label not in allowed]
    for name, selector in _SELECTOR.findall(expr):
        has = labels_of(SPECS[name]) if name in SPECS else allowed
        unknown += [label for label, _, _ in _MATCHER.findall(selector) if label not in has]
    return unknown


def unknown_values(expr: str) -> list[str]:
    """Return the label values that an expression asks for and no series ever has."""
    return [
        value
        for name, selector in _SELECTOR.findall(expr)
        for label, operator, text in _MATCHER.findall(selector)
        for value in (text.split("|") if "~" in operator else [text])
        if (allowed := _values(name, label)) is not None and value not in allowed
    ]


def _values(name: str, label: str) -> set[str] | None:
    """Return the closed set that a label is of; `None` where it has none."""
    if "denials" in name:
        return {*DenialKind} if label == semconv.LABEL_REASON else None
    spec = SPECS.get(name)
    own = COUNTERS.get(spec) if spec else None
    if own is not None and label in spec.labels:
        return {str(values[spec.labels.index(label)]) for values in own}
    closed: dict[str, set[str]] = {
        semconv.LABEL_OUTCOME: {*Outcome},
        semconv.LABEL_STATE: {*State},
        semconv.LABEL_REASON: {*AttemptReason},
    }
    return closed.get(label)


def alerts() -> Iterator[Rule]:
    """Yield the alerts; one name may stand for several."""
    return (rule for rule in rules() if rule.is_alert)
