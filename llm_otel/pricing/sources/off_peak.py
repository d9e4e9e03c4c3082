"""Hours at which a provider charges less, as LiteLLM's map writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo


def is_off_peak(rules: Mapping[str, Any], at: datetime) -> bool:
    """Whether a moment lies in one of the windows of a map entry's `off_peak_pricing`.

    `hours_utc` holds spans such as `16:30-00:30` for every day; `windows` holds rules with spans and
    `weekdays` (1 is Monday) of their own. The start of a span is in it, its end is not; equal ends make a
    whole day. Weekdays are those of `weekday_timezone`, UTC by default. Raises `ValueError` or `LookupError`
    on what it cannot read.
    """
    moment = at.astimezone(UTC)
    weekday = at.astimezone(ZoneInfo(rules.get("weekday_timezone") or "UTC")).isoweekday()
    windows = [{"hours_utc": rules.get("hours_utc") or ()}, *(rules.get("windows") or ())]
    return any(
        _covers(span, moment.time())
        for window in windows
        if weekday in window.get("weekdays", range(1, 8))
        for span in _spans(window.get("hours_utc"))
    )


def _spans(hours: Any) -> Iterable[str]:
    return (hours,) if isinstance(hours, str) else hours or ()


def _covers(span: str, moment: time) -> bool:
    start, end = (time.fromisoformat(bound.strip()) for bound in span.split("-"))
    if start < end:
        return start <= moment < end
    return moment >= start or moment < end
