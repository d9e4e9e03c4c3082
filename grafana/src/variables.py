"""What a viewer can choose. "All" is `.*`: it matches series without the label too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana.src.panels import DATASOURCE
from grafana.src.queries.promql import ENVIRONMENT, FEATURE, JOB, TEAM
from llm_otel import semconv

if TYPE_CHECKING:
    from grafana.src.looks import Json
    from llm_otel.semconv import MetricSpec

_ON_TIME_RANGE_CHANGE = 2
_SORTED_BY_NAME = 1
_SHOWN, _HIDDEN = 0, 2
_ALL = ".*"

_SCOPE = f'{JOB}=~"$service", {ENVIRONMENT}=~"$environment"'


def of_calls() -> list[Json]:
    """Return the variables of dashboards about calls."""
    return [_datasource(), *_of_services(semconv.BUILD_INFO), *_of_calls()]


def of_services(*others: Json) -> list[Json]:
    """Return the variables of dashboards about whole processes.

    What else was chosen on the way here is kept, hidden, for the way back.
    """
    return [
        _datasource(),
        *_of_services(semconv.BUILD_INFO),
        *others,
        *(each | {"hide": _HIDDEN} for each in _of_calls()),
    ]


def budget() -> Json:
    """Return the choice of budgets."""
    return _values("budget", semconv.BUDGET_SPEND, semconv.LABEL_BUDGET, _SCOPE)


def pace() -> Json:
    """Return the choice of the time whose spend is taken for the pace."""
    lengths = ("15m", "1h", "6h", "1d", "7d")
    options = [{"text": each, "value": each, "selected": each == "1h"} for each in lengths]
    return {
        "type": "custom",
        "name": "pace",
        "label": "Pace of the last",
        "description": "Projections go on at the pace of this long.",
        "query": ",".join(lengths),
        "options": options,
        "current": {"text": "1h", "value": "1h"},
        "includeAll": False,
        "multi": False,
        "hide": _SHOWN,
    }


def _datasource() -> Json:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "regex": "",
        "current": {},
        "options": [],
        "includeAll": False,
        "multi": False,
        "refresh": 1,
        "hide": _SHOWN,
    }


def _of_services(spec: MetricSpec) -> list[Json]:
    return [
        _values("service", spec, JOB, ""),
        _values("environment", spec, ENVIRONMENT, f'{JOB}=~"$service"'),
    ]


def _of_calls() -> list[Json]:
    labels = (TEAM, FEATURE, semconv.LABEL_PROVIDER, semconv.LABEL_MODEL)
    return [_values(label, semconv.REQUESTS, label, _SCOPE) for label in labels]


def _values(name: str, spec: MetricSpec, label: str, matchers: str) -> Json:
    query = f"label_values({spec.prometheus_name}{{{matchers}}}, {label})"
    return {
        "type": "query",
        "name": name,
        "label": name.capitalize(),
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": f"variable-{name}", "qryType": 1},
        "regex": "",
        "sort": _SORTED_BY_NAME,
        "refresh": _ON_TIME_RANGE_CHANGE,
        "includeAll": True,
        "allValue": _ALL,
        "multi": True,
        "current": {"text": ["All"], "value": ["$__all"]},
        "options": [],
        "hide": _SHOWN,
    }
