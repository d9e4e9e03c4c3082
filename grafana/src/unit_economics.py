"""Unit economics and savings: what one unit of work costs, and what was saved on it."""

from __future__ import annotations

from grafana.src import units, variables
from grafana.src.board import Row, Shelf, board
from grafana.src.looks import GREEN, SHARES, STACK, Column, Json, Levels, Lines
from grafana.src.panels import Query, bars, graph, heatmap, labelled, stat, table
from grafana.src.queries import unit_economics as ask
from grafana.src.queries.promql import FEATURE, TEAM
from llm_otel import semconv

_NONE = "No calls in this range"
_GOOD = Levels(GREEN)


def dashboard() -> Json:
    """Return the dashboard."""
    return board(
        uid="llm-otel-unit-economics",
        title="LLM / Unit economics and savings",
        about="What one unit of work costs, and what was saved on it.",
        time_from="now-24h",
        variables=variables.of_calls(),
        contents=(
            Shelf(
                4,
                (
                    (5, _per_request()),
                    (5, _per_success()),
                    (5, _per_1k_tokens()),
                    (5, _output_per_input()),
                    (4, _cache_hit()),
                ),
            ),
            Shelf(11, ((12, _success_by_feature()), (12, _success_by_model()))),
            Shelf(9, ((12, _request_by_feature()), (12, _spread()))),
            Row("What the tokens are"),
            Shelf(8, ((8, _mix()), (8, _cost_mix()), (8, _cache_hit_by_model()))),
            Row("What was saved"),
            Shelf(
                4,
                (
                    (5, _saved()),
                    (5, _saved_share()),
                    (5, _saved_by_prompt_cache()),
                    (5, _saved_by_response_cache()),
                    (4, _saved_by_downgrade()),
                ),
            ),
            Shelf(11, ((14, _saved_over_time()), (10, _saved_by_model()))),
            Row("In detail"),
            Shelf(10, ((24, _detail()),)),
        ),
    )


def _per_request() -> Json:
    return stat(
        "Cost of a request",
        Query(ask.PER_REQUEST),
        unit=units.USD,
        about="All spend, divided by the requests that no budget refused; those that a response cache answered count.",
        empty=_NONE,
    )


def _per_success() -> Json:
    return stat(
        "Cost of a successful request",
        Query(ask.PER_SUCCESS),
        unit=units.USD,
        about="All spend, wasted money included, divided by the requests that brought a complete answer.",
        empty="No success in this range",
    )


def _per_1k_tokens() -> Json:
    return stat(
        "Cost of 1,000 tokens",
        Query(ask.PER_1K_TOKENS),
        unit=units.USD,
        about="Over all kinds of tokens: falls with smaller models, with caching and with less output.",
        empty="No tokens in this range",
    )


def _output_per_input() -> Json:
    return stat(
        "Output for a token of input",
        Query(ask.OUTPUT_PER_INPUT),
        unit=units.WHOLE,
        about="Tokens of output, reasoning included, for each of input. Output costs several times as much.",
        empty="No tokens in this range",
        decimals=2,
    )


def _cache_hit() -> Json:
    return stat(
        "Input from cache",
        Query(ask.CACHE_HIT),
        unit=units.RATIO,
        about="The part of the input that the provider had in its prompt cache. Put what repeats first in a prompt.",
        empty="No tokens in this range",
        decimals=1,
    )


def _success_by_feature() -> Json:
    return bars(
        "Cost of a successful request, by feature",
        Query(ask.PER_SUCCESS_BY_FEATURE, labelled(FEATURE)),
        unit=units.USD,
        about="What one good answer costs where it is used. The eight most expensive.",
        empty="No success in this range",
    )


def _success_by_model() -> Json:
    return bars(
        "Cost of a successful request, by model",
        Query(ask.PER_SUCCESS_BY_MODEL, labelled(ask.MODEL)),
        unit=units.USD,
        about="Models do different work: compare within one feature, chosen above. The eight most expensive.",
        empty="No success in this range",
    )


def _request_by_feature() -> Json:
    return graph(
        "Cost of a request over time, by feature",
        Query(ask.per_request_over_time(FEATURE), labelled(FEATURE)),
        unit=units.USD,
        about="A step is a release, a new prompt or another model.",
        empty=_NONE,
        lines=Lines(calcs=("mean", "max")),
    )


def _spread() -> Json:
    return heatmap(
        "How the cost of a request is spread",
        ask.REQUEST_COSTS,
        unit=units.USD,
        about="Requests by what they cost. A thin band far up is few requests that cost most of the money.",
        empty=_NONE,
    )


def _mix() -> Json:
    return graph(
        "Tokens a second, by kind",
        Query(ask.TOKENS_BY_TYPE, labelled(ask.TOKEN_TYPE)),
        unit=units.TOKENS_PER_SECOND,
        about="The kinds are disjoint and add up: cached input is none of `input`, reasoning none of `output`.",
        empty=_NONE,
        lines=STACK,
    )


def _cost_mix() -> Json:
    return graph(
        "Share of the cost, by kind of token",
        Query(ask.COST_BY_TYPE, labelled(ask.TOKEN_TYPE)),
        unit=units.USD,
        about="Where shortening pays: prompts where input is most, answers where output is. `request` is what is not "
        "priced by the token.",
        empty=_NONE,
        lines=SHARES,
    )


def _cache_hit_by_model() -> Json:
    return graph(
        "Input from cache, by model",
        Query(ask.CACHE_HIT_BY_MODEL, labelled(ask.MODEL)),
        unit=units.RATIO,
        about="A fall after a release: something that changes has moved to the front of the prompt.",
        empty="No input came from a cache",
        lines=Lines(most=1),
    )


def _saved() -> Json:
    return stat(
        "Saved",
        Query(ask.SAVED),
        unit=units.USD,
        about="What the same calls would have cost more without caches and downgrades.",
        empty=_NONE,
        levels=_GOOD,
    )


def _saved_share() -> Json:
    return stat(
        "Saved, of what it would have cost",
        Query(ask.SAVED_SHARE),
        unit=units.RATIO,
        about="Saved, of saved and spent together.",
        empty=_NONE,
        levels=_GOOD,
        decimals=1,
    )


def _saved_by_prompt_cache() -> Json:
    return stat(
        "Saved by prompt caches",
        Query(ask.saved_by(semconv.SAVED_BY_PROMPT_CACHE)),
        unit=units.USD,
        about="What tokens read from the prompt cache would have cost more as plain input.",
        empty=_NONE,
        levels=_GOOD,
    )


def _saved_by_response_cache() -> Json:
    return stat(
        "Saved by the response cache",
        Query(ask.saved_by(semconv.SAVED_BY_RESPONSE_CACHE)),
        unit=units.USD,
        about="What answers cost when they were made, for each time that they were given again without a request.",
        empty=_NONE,
        levels=_GOOD,
    )


def _saved_by_downgrade() -> Json:
    return stat(
        "Saved by downgrades",
        Query(ask.saved_by(semconv.SAVED_BY_DOWNGRADE)),
        unit=units.USD,
        about="The same tokens at the price of the model asked for, less what the cheaper one cost.",
        empty=_NONE,
        levels=_GOOD,
    )


def _saved_over_time() -> Json:
    return graph(
        "Saved US dollars an hour, by what saved them",
        Query(ask.SAVED_PER_HOUR, labelled(ask.REASON)),
        unit=units.USD,
        about="Beside the spend, not part of it.",
        empty=_NONE,
        lines=STACK,
    )


def _saved_by_model() -> Json:
    return bars(
        "Saved, by model",
        Query(ask.SAVED_BY_MODEL, labelled(ask.MODEL)),
        unit=units.USD,
        about="The eight models on which most was saved.",
        empty="Nothing was saved in this range",
        levels=_GOOD,
    )


def _detail() -> Json:
    return table(
        "Teams and features",
        ((TEAM, "Team"), (FEATURE, "Feature")),
        (
            Column("Cost", ask.TABLE_COST, units.USD),
            Column("Requests", ask.TABLE_REQUESTS, units.COUNT),
            Column("$ / request", ask.TABLE_PER_REQUEST, units.USD),
            Column("$ / success", ask.TABLE_PER_SUCCESS, units.USD),
            Column("$ / request, p95", ask.TABLE_P95, units.USD),
            Column("Tokens / request", ask.TABLE_TOKENS, units.COUNT),
            Column("Input from cache", ask.TABLE_CACHE_HIT, units.RATIO),
            Column("Saved", ask.TABLE_SAVED, units.USD),
        ),
        about="One row a feature of a team.",
        empty=_NONE,
        sort="Cost",
    )
