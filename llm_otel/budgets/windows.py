"""The stretches of time that a limit is for: by the calendar of a time zone, rolling, or a lifetime.

Windows tile the line of time: `start <= t < end` for the window of every t, and the next one starts where it ends, also
where the clocks change. A day is 23 or 25 hours long then; an hour always has 3,600 seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from llm_otel.errors import ConfigurationError

ROLLING_BUCKETS = 60
"""Spend leaves a rolling window in so many steps. One bucket more is counted, so that no stretch of the window's length
ever holds more than the limit."""

MIN_ROLLING_S = 60
MAX_ROLLING_S = 366 * 86_400

_ROLLING = re.compile(r"rolling:([1-9][0-9]{0,8})s")
_ALLOWED = (
    "one of 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year', 'lifetime', "
    f"or 'rolling:<seconds>s' from {MIN_ROLLING_S} to {MAX_ROLLING_S} seconds, such as 'rolling:3600s'"
)
_OFFSETS_OF = datetime(2025, 1, 1, tzinfo=UTC)
"""When the minutes of a zone's offset are looked up, for its hours: one moment for all, so that hours tile."""

Step = Callable[[datetime, int], datetime]
"""From a local time and a number: the start of its period, so many periods on. Local times have no zone."""


@dataclass(frozen=True, slots=True)
class Span:
    """One window, in seconds since the epoch.

    Attributes:
        start: When the row that is charged begins: the window, or the newest bucket of a rolling one.
        end: When that row is over (exclusive); `None` for a lifetime.
        starts: The rows that count against the limit, ascending; the last is `start`.
        resets_at: When nothing that is spent now counts any more; `None` for never.
    """

    start: int
    end: int | None
    starts: tuple[int, ...]
    resets_at: int | None


LIFETIME = Span(0, None, (0,), None)


@dataclass(frozen=True, slots=True)
class Window:
    """A kind of window in a time zone, such as months in Europe/Berlin."""

    text: str
    zone: ZoneInfo

    def span(self, at_s: int) -> Span:
        """Return the window that a moment falls into, given in seconds since the epoch."""
        if self.text == "lifetime":
            return LIFETIME
        if self.text in _STEPS:
            return self._calendar(_STEPS[self.text], at_s)
        if self.text == "minute":
            return _single(at_s - at_s % 60, 60)
        if self.text == "hour":
            return _single(at_s - (at_s + self._offset_s()) % 3600, 3600)
        return _rolling(at_s, self.rolling_s or 0)

    @property
    def rolling_s(self) -> int | None:
        """The length of a rolling window in seconds; `None` for the others."""
        found = _ROLLING.fullmatch(self.text)
        return int(found[1]) if found else None

    def title(self, span: Span) -> str:
        """Name one window for people: `month 2026-11, Europe/Berlin`."""
        if span.end is None:
            return "lifetime"
        if self.rolling_s is not None:
            return f"rolling {self.rolling_s} s"
        started = datetime.fromtimestamp(span.start, self.zone)
        return f"{self.text} {_TITLES[self.text](started)}, {self.zone.key}"

    def _offset_s(self) -> int:
        offset = _OFFSETS_OF.astimezone(self.zone).utcoffset()
        return int(offset.total_seconds()) if offset else 0

    def _calendar(self, step: Step, at_s: int) -> Span:
        """Find the period by local time, then correct it by the instants: a start may fall into a clock change."""
        local = datetime.fromtimestamp(at_s, self.zone).replace(tzinfo=None)
        shift = 0
        start, end = self._instant(step(local, 0)), self._instant(step(local, 1))
        while at_s < start:
            shift -= 1
            start, end = self._instant(step(local, shift)), start
        while at_s >= end:
            shift += 1
            start, end = end, self._instant(step(local, shift + 1))
        return Span(start, end, (start,), end)

    def _instant(self, local: datetime) -> int:
        """Return when a local time is first reached; one that the clocks skip, by the offset before the change."""
        return int(local.replace(tzinfo=self.zone, fold=0).timestamp())


def parse_window(text: str, tz: str) -> Window:
    """Read a window and its time zone.

    Raises:
        ConfigurationError: There is no such window, or no such time zone.
    """
    window = Window(text, _zone(tz)) if isinstance(text, str) else None
    if window is None or (text not in (*_STEPS, "minute", "hour", "lifetime") and not _is_in_range(window.rolling_s)):
        raise ConfigurationError("window", text, _ALLOWED)
    return window


def _is_in_range(rolling_s: int | None) -> bool:
    return rolling_s is not None and MIN_ROLLING_S <= rolling_s <= MAX_ROLLING_S


def _zone(tz: str) -> ZoneInfo:
    try:
        return ZoneInfo(tz)
    # It raises whatever an odd key makes the file system raise.
    except (KeyError, ValueError, OSError, TypeError, AttributeError) as exc:
        raise ConfigurationError("tz", tz, "a time zone of the IANA database, such as 'Europe/Berlin'") from exc


def _single(start: int, length: int) -> Span:
    return Span(start, start + length, (start,), start + length)


def _rolling(at_s: int, length: int) -> Span:
    bucket = -(-length // ROLLING_BUCKETS)
    start = at_s - at_s % bucket
    count = -(-length // bucket) + 1
    starts = tuple(range(start - (count - 1) * bucket, start + 1, bucket))
    return Span(start, start + bucket, starts, start + count * bucket)


def _midnight(local: datetime) -> datetime:
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def _month(year: int, month: int) -> datetime:
    """Return the start of a month; months may be counted on past December, and back past January."""
    return datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)  # noqa: DTZ001  # a local time


_STEPS: dict[str, Step] = {
    "day": lambda local, n: _midnight(local) + timedelta(days=n),
    "week": lambda local, n: _midnight(local) + timedelta(days=7 * n - local.weekday()),
    "month": lambda local, n: _month(local.year, local.month + n),
    "quarter": lambda local, n: _month(local.year, local.month - (local.month - 1) % 3 + 3 * n),
    "year": lambda local, n: _month(local.year + n, 1),
}
_TITLES: dict[str, Callable[[datetime], str]] = {
    "minute": lambda started: f"{started:%Y-%m-%dT%H:%M}",
    "hour": lambda started: f"{started:%Y-%m-%dT%H:%M}",
    "day": lambda started: f"{started:%Y-%m-%d}",
    "week": lambda started: f"{started:%G-W%V}",
    "month": lambda started: f"{started:%Y-%m}",
    "quarter": lambda started: f"{started.year}-Q{(started.month + 2) // 3}",
    "year": lambda started: f"{started:%Y}",
}
