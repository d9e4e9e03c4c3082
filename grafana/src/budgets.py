"""Budgets: which one runs out first, and when."""

from __future__ import annotations

from grafana.src import units, variables
from grafana.src.board import Row, Shelf, alert_annotation, board
from grafana.src.looks import (
    ANY_IS_BAD,
    ANY_IS_WORTH_A_LOOK,
    GREEN,
    OF_LIMIT,
    RED,
    STACK,
    YELLOW,
    Column,
    Json,
    Levels,
    Lines,
    colored,
)
from grafana.src.panels import Query, graph, labelled, stat, table
from grafana.src.queries import budgets as ask
from grafana.src.queries.promql import ENVIRONMENT
from llm_otel import semconv
from llm_otel.budgets.reports import State

_NONE = "No budgets"
_LEGEND = labelled(semconv.LABEL_BUDGET, semconv.LABEL_SCOPE, ENVIRONMENT)
_USED_UP = ((0.0, "used up"),)
_STANDING = (*_USED_UP, (float(ask.LASTS_S), "lasts"), (float(ask.NO_LIMIT_S), "per scope"))
_BURN = Levels(GREEN, ((1.0, YELLOW), (2.0, RED)))
_SOON = Levels(RED, ((3600, YELLOW), (86_400, GREEN)))
_COLORS = ((State.OK, GREEN), (State.NEAR, YELLOW), (State.EXCEEDED, RED))
_ALERTS = f'ALERTS{{alertname=~"LLMBudget.*", alertstate="firing", {semconv.LABEL_BUDGET}=~"$budget"}}'


def dashboard() -> Json:
    """Return the dashboard."""
    return board(
        uid="llm-otel-budgets",
        title="LLM / Budgets",
        about="Which budget runs out next, and when.",
        time_from="now-24h",
        variables=variables.of_services(variables.budget(), variables.pace()),
        annotations=(alert_annotation(_ALERTS),),
        contents=(
            Shelf(5, ((8, _next()), (4, _exceeded()), (4, _denied()), (4, _downgraded()), (4, _held()))),
            Shelf(11, ((24, _standings()),)),
            Shelf(9, ((12, _used()), (12, _burn_rate()))),
            Row("What budgets did"),
            Shelf(8, ((12, _denied_over_time()), (12, _downgraded_over_time()))),
            Shelf(8, ((8, _charged()), (8, _held_over_time()), (8, _scopes()))),
        ),
    )


def _next() -> Json:
    return stat(
        "Runs out next",
        Query(ask.labelled_apart(ask.RUNS_OUT_NEXT), _LEGEND),
        unit=units.SECONDS,
        about="The budget whose headroom is gone soonest at the chosen pace, if that is before its reset; where there "
        "is none, one that is used up already.",
        empty="All last until their reset",
        levels=_SOON,
        decimals=1,
        texts=_USED_UP,
    )


def _exceeded() -> Json:
    return stat(
        "Used up",
        Query(ask.USED_UP),
        unit=units.WHOLE,
        about="Budgets (and scopes of split ones) that have spent all of their limit, or so much of it that they "
        "refused calls in the last hour.",
        empty=_NONE,
        levels=ANY_IS_BAD,
    )


def _denied() -> Json:
    return stat(
        "Refused calls",
        Query(ask.DENIED),
        unit=units.COUNT,
        about="Completions that a budget refused in the time range, before anything was sent or spent.",
        empty=_NONE,
        levels=ANY_IS_BAD,
        decimals=0,
    )


def _downgraded() -> Json:
    return stat(
        "Downgraded calls",
        Query(ask.DOWNGRADED),
        unit=units.COUNT,
        about="Requests of the time range that went to a cheaper model because the one asked for did not fit a budget.",
        empty=_NONE,
        levels=ANY_IS_WORTH_A_LOOK,
        decimals=0,
    )


def _held() -> Json:
    return stat(
        "Held for calls in flight",
        Query(ask.HELD_NOW),
        unit=units.USD,
        about="Set aside for calls that have not ended. A call counts in each budget that matches it.",
        empty="No budgets, or the ledger is out",
    )


def _standings() -> Json:
    return table(
        "Budgets, soonest to run out first",
        ((semconv.LABEL_BUDGET, "Budget"), (semconv.LABEL_SCOPE, "Scope"), (ENVIRONMENT, "Environment")),
        (
            Column("Runs out in", ask.RUNS_OUT_IN_OR_NOT, units.SECONDS, _SOON, decimals=1, width=105, texts=_STANDING),
            Column("Resets in", ask.RESETS_IN, units.SECONDS, decimals=1, width=95, empty="never"),
            Column("Used", ask.USED, units.RATIO, OF_LIMIT, bar_to=1, width=130),
            Column("At reset, of limit", ask.AT_RESET_OF_LIMIT, units.RATIO, OF_LIMIT, width=125),
            Column("Spent", ask.SPENT, units.USD, width=85),
            Column("Held", ask.HELD, units.USD, width=95),
            Column("Headroom", ask.HEADROOM, units.USD, width=95),
            Column("Limit", ask.LIMIT, units.USD, width=80),
            Column("$ / hour", ask.TABLE_PACE, units.USD, width=85),
            Column("Refused", ask.TABLE_DENIED, units.COUNT, width=75),
        ),
        about="It lasts if the chosen pace brings it to its reset. Headroom is limit - spent - held. 'At reset' goes "
        "on at the chosen pace. Used up is also what refused calls in the last hour with little left. A scope "
        "__all__ stands for all values that are no label: each has a limit of its own, see the last panel.",
        empty=_NONE,
        sort="Runs out in",
        is_descending=False,
    )


def _used() -> Json:
    return graph(
        "Used",
        Query(ask.labelled_apart(ask.USED), _LEGEND),
        unit=units.RATIO,
        about="Spent of the limit, from the ledger. Falls to 0 at each reset.",
        empty=_NONE,
        lines=Lines(most=1, levels=OF_LIMIT),
    )


def _burn_rate() -> Json:
    return graph(
        "Burn rate",
        Query(ask.labelled_apart(ask.BURN_RATE_DRAWN), _LEGEND),
        unit=units.TIMES,
        about="How many times faster than a limit that lasts exactly one window. Above 1 for long, it will not last. "
        "10 stands for more, too.",
        empty="No budget with a window",
        lines=Lines(most=2, levels=_BURN),
    )


def _denied_over_time() -> Json:
    return graph(
        "Refused calls, by budget and reason",
        Query(ask.DENIED_BY_REASON, labelled(semconv.LABEL_BUDGET, semconv.LABEL_REASON, joined=": ")),
        unit=units.COUNT,
        about="exhausted: the limit is spent. in_flight: held for other calls, try again. too_large: never fits. "
        "unknown_price: the model has no price. store_unavailable: the ledger is out.",
        empty="Nothing was refused",
        lines=STACK,
    )


def _downgraded_over_time() -> Json:
    return graph(
        "Downgraded calls, by budget",
        Query(ask.DOWNGRADED_BY_BUDGET, labelled(semconv.LABEL_BUDGET)),
        unit=units.COUNT,
        about="Requests that went to a cheaper model. What that saved is on Unit economics.",
        empty="Nothing was downgraded",
        lines=STACK,
    )


def _charged() -> Json:
    return graph(
        "US dollars an hour, by budget",
        Query(ask.labelled_apart(ask.PACE_PER_HOUR), _LEGEND),
        unit=units.USD,
        about="The pace of projections. A call counts in each budget that matches it, so these do not add up.",
        empty=_NONE,
    )


def _held_over_time() -> Json:
    return graph(
        "Held",
        Query(ask.labelled_apart(ask.HELD), _LEGEND),
        unit=units.USD,
        about="Set aside for calls in flight. What stays held after calls ended belongs to a process that died; it is "
        "booked when its lease ends.",
        empty="No budgets, or the ledger is out",
    )


def _scopes() -> Json:
    return graph(
        "Scopes that are no labels, by state",
        Query(ask.SCOPES, f"{labelled(semconv.LABEL_BUDGET, ENVIRONMENT)}: {labelled(semconv.LABEL_STATE)}"),
        unit=units.WHOLE,
        about="Of budgets that are split by user or the like: how many are ok, near their limit (80 %) or beyond it. "
        "`llm-otel budgets` says which.",
        empty="No budget is split by what is no label",
        overrides=tuple(colored(f"/: {state.value}$/", color) for state, color in _COLORS),
    )
