"""Spend: who spends most, on what, and where that leads."""

from __future__ import annotations

from grafana.src import units, variables
from grafana.src.board import Row, Shelf, board
from grafana.src.looks import GREEN, PLAIN, RED, YELLOW, Column, Json, Levels, Lines, dashed
from grafana.src.panels import Query, bars, graph, labelled, over, stat, table
from grafana.src.queries import spend as ask
from grafana.src.queries.promql import FEATURE, TEAM
from llm_otel import semconv

_NONE = "No calls in this range"
_ESTIMATE = "At list or contracted prices, not what is billed."
_LAST_WEEK = "The week before"


def dashboard() -> Json:
    """Return the dashboard."""
    return board(
        uid="llm-otel-spend",
        title="LLM / Spend",
        about="Who spends most, on what, and where that leads.",
        time_from="now-24h",
        variables=variables.of_calls(),
        contents=(
            Shelf(
                4, ((4, _total()), (4, _last_hour()), (4, _against()), (4, _month()), (4, _month_end()), (4, _calls()))
            ),
            Shelf(11, ((14, _who()), (10, _by("team", TEAM)))),
            Shelf(9, ((14, _over_time("team", TEAM)), (10, _week_before()))),
            Row("By what it was spent on"),
            Shelf(
                11,
                (
                    (8, _by("model", semconv.LABEL_MODEL)),
                    (8, _by("feature", FEATURE)),
                    (8, _by("provider", semconv.LABEL_PROVIDER)),
                ),
            ),
            Shelf(9, ((24, _over_time("model", semconv.LABEL_MODEL)),)),
            Row("In detail"),
            Shelf(12, ((24, _detail()),)),
        ),
    )


def _total() -> Json:
    return stat(
        "Spend",
        Query(ask.TOTAL),
        unit=units.USD,
        about=f"All spend of the time range. {_ESTIMATE} Calls without a price are not in it: see Telemetry health.",
        empty=_NONE,
    )


def _last_hour() -> Json:
    return stat(
        "Spend of the last hour",
        Query(ask.LAST_HOUR),
        unit=units.USD,
        about="The hour before the end of the time range.",
        empty="No calls in this hour",
    )


def _against() -> Json:
    return stat(
        "Against the week before",
        Query(ask.AGAINST_WEEK_BEFORE),
        unit=units.RATIO,
        about="Spend of the time range, against the same time a week earlier: +100 % is twice as much.",
        empty="No spend a week ago",
        levels=Levels(GREEN, ((0.25, YELLOW), (1.0, RED))),
        decimals=0,
    )


def _month() -> Json:
    panel = stat(
        "Spend of this month",
        Query(ask.MONTH),
        unit=units.USD,
        about="Since the first of the month, as far back as Prometheus remembers. For relative time ranges.",
        empty="Choose a time range that ends now",
    )
    return over(panel, "now/M")


def _month_end() -> Json:
    panel = stat(
        "Projected month end",
        Query(ask.MONTH_END),
        unit=units.USD,
        about="The month so far, and the rest of it (UTC) at the pace of the last day. For relative time ranges.",
        empty="Choose a time range that ends now",
    )
    return over(panel, "now/M")


def _calls() -> Json:
    return stat("Calls", Query(ask.REQUESTS), unit=units.COUNT, about="Completions, however they ended.", empty=_NONE)


def _who() -> Json:
    return bars(
        "Who spends most on what",
        Query(
            ask.by(TEAM, FEATURE, semconv.LABEL_MODEL),
            labelled(TEAM, FEATURE, semconv.LABEL_MODEL, joined=" · "),
        ),
        unit=units.USD,
        about="Team, feature and model of the eight most expensive, the first on top. Start to save at the top.",
        empty=_NONE,
    )


def _by(name: str, label: str) -> Json:
    return bars(
        f"Spend by {name}",
        Query(ask.by(label), labelled(label)),
        unit=units.USD,
        about=f"The eight most expensive values of {name}.",
        empty=_NONE,
    )


def _over_time(name: str, label: str) -> Json:
    return graph(
        f"US dollars an hour, by {name}",
        Query(ask.per_hour(label), labelled(label), has_exemplars=True),
        unit=units.USD,
        about="How fast money is spent. A dot is a call: click it to open its trace.",
        empty=_NONE,
        lines=Lines(stacking="normal", calcs=("mean", "max")),
    )


def _week_before() -> Json:
    return graph(
        "US dollars an hour, against the week before",
        Query(ask.per_hour(), "Now"),
        Query(ask.PER_HOUR_WEEK_BEFORE, _LAST_WEEK),
        unit=units.USD,
        about="All spend, and that of the same time a week earlier as a dashed line: a spike of one only is news.",
        empty=_NONE,
        overrides=(dashed(_LAST_WEEK),),
    )


def _detail() -> Json:
    return table(
        "Spend by team, feature and model",
        ((TEAM, "Team"), (FEATURE, "Feature"), (semconv.LABEL_MODEL, "Model")),
        (
            Column("Cost", ask.TABLE_COST, units.USD),
            Column("Share of all", ask.TABLE_SHARE, units.RATIO, levels=PLAIN, bar_to=1, decimals=0),
            Column("Requests", ask.TABLE_REQUESTS, units.COUNT),
            Column("$ / request", ask.TABLE_PER_REQUEST, units.USD),
            Column("$ / 1k tokens", ask.TABLE_PER_1K_TOKENS, units.USD),
            Column("Input from cache", ask.TABLE_CACHE_HIT, units.RATIO),
            Column("Answers from cache", ask.TABLE_ANSWERED_FROM_CACHE, units.RATIO),
        ),
        about="What each paid, for how much work; a request that was refused costs none. Input from cache: the part "
        "of the input that the provider had in its prompt cache, at a lower price. Answers from cache: the part of the "
        "requests that a response cache answered, for nothing.",
        empty=_NONE,
        sort="Cost",
    )
