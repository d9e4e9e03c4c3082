"""Windows: they tile the line of time, whatever a calendar and its clocks do."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_otel.budgets.windows import MAX_ROLLING_S, MIN_ROLLING_S, Span, Window, parse_window
from llm_otel.errors import ConfigurationError

CALENDAR = ("minute", "hour", "day", "week", "month", "quarter", "year")
DAY_S = 86_400

# From 1972, when the last offset that was no whole minute went out of use, to 2069.
moments = st.integers(63_072_000, 3_124_224_000)
zones = st.sampled_from(sorted(available_timezones()))
rolling_lengths = st.integers(MIN_ROLLING_S, MAX_ROLLING_S)


def at(text: str, tz: str = "UTC") -> int:
    """Return the seconds since the epoch at a time on some zone's clocks."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz)).timestamp())


def utc(seconds: int | None) -> str:
    """Return a moment as UTC, for comparisons that people can read."""
    assert seconds is not None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M")


def span_of(window: str, moment: str, tz: str = "UTC") -> Span:
    """Return the window around a time on the zone's clocks."""
    return parse_window(window, tz).span(at(moment, tz))


# --- all windows ------------------------------------------------------------------------------------------------------


@given(st.sampled_from(CALENDAR), zones, moments)
# Its clocks skip midnight, and a whole day.
@example("day", "America/Sao_Paulo", at("2018-11-04T03:00"))
@example("day", "Africa/Cairo", at("2024-04-25T22:00"))
@example("day", "Asia/Beirut", at("2024-03-30T22:00"))
@example("day", "Pacific/Apia", at("2011-12-30T10:00"))
@example("day", "Pacific/Kwajalein", at("1993-08-21T12:00"))
# They skip half an hour on either side of midnight: the last time was in 1919, and a law can do it again.
@example("day", "America/Toronto", at("1919-03-31T04:40"))
# Midnight comes twice.
@example("day", "America/Havana", at("2024-11-03T04:30"))
def test_windows_tile_the_line_of_time(kind: str, tz: str, moment: int) -> None:
    """A moment is in its window; the next one starts where that ends, and the one before ends where it starts."""
    window = parse_window(kind, tz)
    span = window.span(moment)
    assert span.end is not None
    assert span.start <= moment < span.end
    assert (span.start,) == span.starts
    assert span.end == span.resets_at
    assert span == window.span(span.start) == window.span(span.end - 1)
    assert span.end == window.span(span.end).start
    assert span.start == window.span(span.start - 1).end


@given(st.sampled_from(("day", "week", "month", "quarter", "year")), zones, moments)
def test_a_moment_is_in_the_window_that_the_calendar_on_the_wall_shows(kind: str, tz: str, moment: int) -> None:
    """Its title names the date that the zone's clocks show, but for days that begin where clocks skip midnight."""
    window = parse_window(kind, tz)
    span = window.span(moment)
    shown = datetime.fromtimestamp(moment, ZoneInfo(tz))
    started = datetime.fromtimestamp(span.start, ZoneInfo(tz))
    assert (started.year, started.month, started.day) <= (shown.year, shown.month, shown.day)
    period = {
        "day": lambda local: local.date(),
        "week": lambda local: local.isocalendar()[:2],
        "month": lambda local: (local.year, local.month),
        "quarter": lambda local: (local.year, (local.month - 1) // 3),
        "year": lambda local: local.year,
    }[kind]
    # A change of clocks across midnight may leave an hour with its neighbour; no more than that.
    hour_later = datetime.fromtimestamp(moment + 3600, ZoneInfo(tz))
    hour_before = datetime.fromtimestamp(moment - 3600, ZoneInfo(tz))
    assert period(started) in {period(shown), period(hour_later), period(hour_before)}


@given(rolling_lengths, moments)
@example(MIN_ROLLING_S, 1_000_000_000)
@example(MIN_ROLLING_S + 1, 1_000_000_001)
@example(MAX_ROLLING_S, 1_000_000_001)
def test_no_stretch_of_a_rolling_windows_length_is_counted_in_part(length: int, moment: int) -> None:
    """Whatever was spent within the length, ending at any moment of the bucket, is in the rows that count."""
    window = parse_window(f"rolling:{length}s", "UTC")
    span = window.span(moment)
    assert span.end is not None
    bucket = span.end - span.start
    assert span.start <= moment < span.end
    assert tuple(range(span.starts[0], span.end, bucket)) == span.starts
    assert span.start == span.starts[-1]
    assert span.starts[0] <= moment - length
    # Nor is much more counted than that: two steps of sixty.
    assert span.starts[0] > moment - length - 2 * bucket
    assert bucket <= length / 60 + 1
    assert window.span(span.end).starts[:-1] == span.starts[1:]


@given(rolling_lengths, moments)
def test_a_rolling_window_resets_when_nothing_of_now_counts_any_more(length: int, moment: int) -> None:
    """At that moment the newest bucket of now has just left the count."""
    window = parse_window(f"rolling:{length}s", "UTC")
    span = window.span(moment)
    assert span.resets_at is not None
    assert span.start in window.span(span.resets_at - 1).starts
    assert span.start not in window.span(span.resets_at).starts


def test_a_lifetime_never_ends() -> None:
    """One row for all time."""
    assert Span(0, None, (0,), None) == parse_window("lifetime", "Europe/Berlin").span(1_800_000_000)


# --- calendars --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "start", "end"),
    [
        ("2026-03-01T00:00", "2026-02-28T23:00", "2026-03-31T22:00"),
        ("2026-03-31T23:59", "2026-02-28T23:00", "2026-03-31T22:00"),
        ("2026-04-01T00:00", "2026-03-31T22:00", "2026-04-30T22:00"),
        ("2026-10-25T02:30", "2026-09-30T22:00", "2026-10-31T23:00"),
        ("2026-11-01T00:00", "2026-10-31T23:00", "2026-11-30T23:00"),
        ("2026-12-31T23:59", "2026-11-30T23:00", "2026-12-31T23:00"),
    ],
)
def test_months_in_berlin_begin_at_its_own_midnight(moment: str, start: str, end: str) -> None:
    """Across both changes of the clocks, to the second."""
    span = span_of("month", moment, "Europe/Berlin")
    assert (start, end) == (utc(span.start), utc(span.end))


@pytest.mark.parametrize(
    ("moment", "tz", "hours"),
    [
        ("2026-03-29T12:00", "Europe/Berlin", 23),
        ("2026-10-25T12:00", "Europe/Berlin", 25),
        ("2026-06-01T12:00", "Europe/Berlin", 24),
        # Thirty minutes of summer time, and a midnight that is skipped.
        ("2026-10-04T12:00", "Australia/Lord_Howe", 23.5),
        ("2018-11-04T12:00", "America/Sao_Paulo", 23),
        ("2024-04-26T12:00", "Africa/Cairo", 23),
        ("2024-03-31T12:00", "Asia/Beirut", 23),
    ],
)
def test_a_day_is_as_long_as_its_clocks_make_it(moment: str, tz: str, hours: float) -> None:
    """A budget for a day is for a day on the wall, not for 86,400 seconds."""
    span = span_of("day", moment, tz)
    assert span.end is not None
    assert hours * 3600 == span.end - span.start


@pytest.mark.parametrize(
    ("tz", "change", "first"),
    [
        ("America/Sao_Paulo", "2018-11-04T03:00", "2018-11-04T01:00"),
        ("Africa/Cairo", "2024-04-25T22:00", "2024-04-26T01:00"),
        ("Asia/Beirut", "2024-03-30T22:00", "2024-03-31T01:00"),
    ],
)
def test_a_day_without_midnight_begins_with_its_first_moment(tz: str, change: str, first: str) -> None:
    """The clocks went from the last second of one day to one o'clock of the next."""
    window = parse_window("day", tz)
    assert at(change) == window.span(at(change)).start == window.span(at(change) - 1).end
    assert first == datetime.fromtimestamp(at(change), ZoneInfo(tz)).strftime("%Y-%m-%dT%H:%M")


def test_a_day_that_a_country_skipped_has_no_window() -> None:
    """Samoa went from 29 to 31 December 2011 when it crossed the date line."""
    window = parse_window("day", "Pacific/Apia")
    before = window.span(at("2011-12-29T12:00", "Pacific/Apia"))
    after = window.span(at("2011-12-31T12:00", "Pacific/Apia"))
    assert before.end == after.start
    assert ["day 2011-12-29, Pacific/Apia", "day 2011-12-31, Pacific/Apia"] == [
        window.title(before),
        window.title(after),
    ]


@pytest.mark.parametrize(
    ("window", "moment", "start", "end"),
    [
        ("month", "2028-02-29T12:00", "2028-02-01T00:00", "2028-03-01T00:00"),
        ("month", "2100-02-28T12:00", "2100-02-01T00:00", "2100-03-01T00:00"),
        ("day", "2028-02-29T12:00", "2028-02-29T00:00", "2028-03-01T00:00"),
        ("month", "2026-12-15T00:00", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("quarter", "2026-01-01T00:00", "2026-01-01T00:00", "2026-04-01T00:00"),
        ("quarter", "2026-03-31T23:59", "2026-01-01T00:00", "2026-04-01T00:00"),
        ("quarter", "2026-04-01T00:00", "2026-04-01T00:00", "2026-07-01T00:00"),
        ("quarter", "2026-12-31T23:59", "2026-10-01T00:00", "2027-01-01T00:00"),
        ("year", "2026-12-31T23:59", "2026-01-01T00:00", "2027-01-01T00:00"),
        ("year", "2027-01-01T00:00", "2027-01-01T00:00", "2028-01-01T00:00"),
        ("week", "2026-11-22T23:59", "2026-11-16T00:00", "2026-11-23T00:00"),
        ("week", "2026-11-23T00:00", "2026-11-23T00:00", "2026-11-30T00:00"),
        ("minute", "2026-11-22T12:34", "2026-11-22T12:34", "2026-11-22T12:35"),
    ],
)
def test_calendar_windows_begin_and_end_where_the_calendar_says(window: str, moment: str, start: str, end: str) -> None:
    """Leap years, the ends of months, quarters and years; weeks begin on Monday."""
    span = span_of(window, moment)
    assert (start, end) == (utc(span.start), utc(span.end))


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns"])
def test_an_hour_begins_when_the_zones_clocks_strike(tz: str) -> None:
    """Also where they strike half an hour, or a quarter, beside those of the world; and it has 3,600 seconds."""
    span = span_of("hour", "2026-07-01T12:34", tz)
    assert (at("2026-07-01T12:00", tz), at("2026-07-01T13:00", tz)) == (span.start, span.end)


def test_an_hour_stays_an_hour_where_the_clocks_change() -> None:
    """Two o'clock comes twice in Berlin's autumn: two windows."""
    window = parse_window("hour", "Europe/Berlin")
    first = window.span(at("2026-10-25T00:30"))
    second = window.span(at("2026-10-25T01:30"))
    assert ("2026-10-25T00:00", "2026-10-25T01:00") == (utc(first.start), utc(first.end))
    assert ("2026-10-25T01:00", "2026-10-25T02:00") == (utc(second.start), utc(second.end))


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "tz", "title"),
    [
        ("minute", "UTC", "minute 2026-11-22T12:34, UTC"),
        ("hour", "Asia/Kathmandu", "hour 2026-11-22T12:00, Asia/Kathmandu"),
        ("day", "Europe/Berlin", "day 2026-11-22, Europe/Berlin"),
        ("week", "UTC", "week 2026-W47, UTC"),
        ("month", "Europe/Berlin", "month 2026-11, Europe/Berlin"),
        ("quarter", "UTC", "quarter 2026-Q4, UTC"),
        ("year", "UTC", "year 2026, UTC"),
        ("rolling:3600s", "UTC", "rolling 3600 s"),
        ("lifetime", "UTC", "lifetime"),
    ],
)
def test_a_window_is_named_for_people(window: str, tz: str, title: str) -> None:
    """Its kind, which one, and by whose calendar."""
    parsed = parse_window(window, tz)
    assert title == parsed.title(parsed.span(at("2026-11-22T12:34", tz)))


def test_a_week_goes_by_the_year_that_it_belongs_to() -> None:
    """ISO 8601: Thursday decides; the last days of 2024 are in the first week of 2025."""
    window = parse_window("week", "UTC")
    assert "week 2025-W01, UTC" == window.title(window.span(at("2024-12-31T00:00")))


@pytest.mark.parametrize(("window", "seconds"), [("rolling:3600s", 3600), ("day", None), ("lifetime", None)])
def test_only_a_rolling_window_has_a_length_of_its_own(window: str, seconds: int | None) -> None:
    """A day has the length of that day."""
    assert seconds == parse_window(window, "UTC").rolling_s


def test_equal_windows_are_equal() -> None:
    """So that budgets that hold them are."""
    assert parse_window("day", "Europe/Berlin") == parse_window("day", "Europe/Berlin")
    assert Window("day", ZoneInfo("UTC")) != parse_window("day", "Europe/Berlin")


@pytest.mark.parametrize(
    "window",
    [
        "",
        "days",
        "Day",
        " day",
        "day\n",
        "fortnight",
        "rolling",
        "rolling:3600",
        "rolling:0s",
        "rolling:59s",
        "rolling:-60s",
        "rolling:060s",
        "rolling:60.5s",
        # Digits, but not ours.
        "rolling:\u0666\u0666\u0666s",
        f"rolling:{MAX_ROLLING_S + 1}s",
        # More digits than Python turns into a number.
        f"rolling:{'9' * 5000}s",
        None,
        3600,
        ["day"],
    ],
)
def test_a_window_that_does_not_exist_is_refused(window: object) -> None:
    """With the value, and all that would do."""
    with pytest.raises(ConfigurationError) as caught:
        parse_window(window, "UTC")  # type: ignore[arg-type]
    assert ("window", window) == (caught.value.field, caught.value.value)
    assert (
        "one of 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year', 'lifetime', or 'rolling:<seconds>s' from "
        "60 to 31622400 seconds, such as 'rolling:3600s'" == caught.value.allowed
    )


@pytest.mark.parametrize("window", [f"rolling:{MIN_ROLLING_S}s", f"rolling:{MAX_ROLLING_S}s"])
def test_the_bounds_of_a_rolling_window_are_allowed(window: str) -> None:
    """A minute, and the longest year."""
    assert window == parse_window(window, "UTC").text


@pytest.mark.parametrize(
    "tz",
    ["", "Mars/Olympus", "../UTC", "/etc/passwd", "Europe", "UTC\0", "\ud800", "CEST+99", None, 1, b"UTC", ["UTC"]],
)
def test_a_time_zone_that_does_not_exist_is_refused(tz: object) -> None:
    """Whatever odd names make the file system say."""
    with pytest.raises(ConfigurationError) as caught:
        parse_window("day", tz)  # type: ignore[arg-type]
    assert ("tz", tz) == (caught.value.field, caught.value.value)
    assert "a time zone of the IANA database, such as 'Europe/Berlin'" == caught.value.allowed
