"""Queries of dashboards, asked of a running Prometheus as Grafana asks them."""

from __future__ import annotations

import math
import urllib.parse
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.exporters.programs import fetched
from tests.grafana.asked import Asked, filled

MONTH_SO_FAR = "now/M"
"""Grafana's way to say it, where a panel has a time range of its own."""


@dataclass(frozen=True)
class Screen:
    """A dashboard on somebody's screen.

    Attributes:
        address: Of Prometheus.
        end_s: What the dashboard calls now.
        range_s: How far it looks back from there.
        step_s: Between two points of a graph.
        scrape_s: `timeInterval` of the data source.
    """

    address: str
    end_s: float
    range_s: int
    step_s: int
    scrape_s: int = 1

    def answer(self, asked: Asked, **variables: str) -> list[dict[str, Any]]:
        """Return the series of a panel's query. Whatever Prometheus remarks on it fails the test."""
        range_s = self._month_s() if asked.panel.get("timeFrom") == MONTH_SO_FAR else self.range_s
        query = filled(asked.expr, range_s=range_s, step_s=self.step_s, scrape_s=self.scrape_s, **variables)
        return self.ask(query, is_instant=asked.is_instant)

    def ask(self, query: str, *, is_instant: bool) -> list[dict[str, Any]]:
        """Ask once, for the end, or for each step of the range."""
        if is_instant:
            return self._get("query", query=query, time=self.end_s)["result"]
        start_s = self.end_s - self.range_s
        return self._get("query_range", query=query, start=start_s, end=self.end_s, step=self.step_s)["result"]

    def value(self, query: str) -> float:
        """Return the one value that a query has now."""
        (series,) = self.ask(query, is_instant=True)
        return float(series["value"][1])

    def exemplars(self, query: str) -> list[dict[str, Any]]:
        """Return the exemplars that a graph would show."""
        return self._get("query_exemplars", query=query, start=self.end_s - self.range_s, end=self.end_s)

    def label_values(self, label: str, selector: str) -> list[str]:
        """Return what a variable of a dashboard offers."""
        return self._get(f"label/{label}/values", **{"match[]": selector})

    def _get(self, page: str, **parameters: Any) -> Any:
        answer = fetched(f"http://{self.address}/api/v1/{page}?{urllib.parse.urlencode(parameters)}")
        remarks = {kind: answer[kind] for kind in ("warnings", "infos") if kind in answer}
        assert {} == remarks, parameters
        return answer["data"]

    def _month_s(self) -> int:
        now = datetime.fromtimestamp(self.end_s, UTC)
        begun = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return max(round((now - begun).total_seconds()), 1)


def numbers(series: dict[str, Any]) -> list[float]:
    """Return the values of a series that are numbers."""
    points = [series["value"]] if "value" in series else series["values"]
    return [number for _, text in points if math.isfinite(number := float(text))]
