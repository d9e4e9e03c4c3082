"""Reliability and latency: what fails, what is slow, and what that costs."""

from __future__ import annotations

from grafana.src import units, variables
from grafana.src.board import Row, Shelf, board
from grafana.src.looks import ANY_IS_BAD, ANY_IS_WORTH_A_LOOK, GREEN, RED, STACK, YELLOW, Column, Json, Levels, colored
from grafana.src.panels import Query, bars, graph, heatmap, labelled, stat, table
from grafana.src.queries import reliability as ask
from llm_otel import semconv
from llm_otel.call import Outcome

_NONE = "No calls in this range"
_NO_STREAMS = "No streams in this range"
_FAILING = Levels(GREEN, ((0.01, YELLOW), (0.05, RED)))
_COLORS = (
    (Outcome.SUCCESS, GREEN),
    (Outcome.CACHED, "blue"),
    (Outcome.ERROR, RED),
    (Outcome.DENIED, "orange"),
    (Outcome.CANCELLED, "purple"),
    (Outcome.ABANDONED, YELLOW),
)
_BY_OUTCOME = tuple(colored(outcome.value, color) for outcome, color in _COLORS)
_SHARES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
_DOT = "A dot is a call: click it to open its trace."


def dashboard() -> Json:
    """Return the dashboard."""
    return board(
        uid="llm-otel-reliability",
        title="LLM / Reliability and latency",
        about="What fails, what is slow, and what that costs.",
        time_from="now-6h",
        variables=variables.of_calls(),
        contents=(
            Shelf(
                4,
                (
                    (4, _error_ratio()),
                    (3, _p95()),
                    (4, _first_chunk()),
                    (3, _retries()),
                    (3, _fallbacks()),
                    (3, _open_circuits()),
                    (4, _wasted()),
                ),
            ),
            Shelf(9, ((12, _incomplete()), (12, _latency()))),
            Shelf(9, ((12, _errors_by_model()), (12, _time_to_first_chunk()))),
            Shelf(9, ((12, _outcomes()), (12, _durations()))),
            Row("Attempts, and the money they cost"),
            Shelf(8, ((6, _again()), (6, _failed_attempts()), (6, _in_flight()), (6, _wasted_over_time()))),
            Shelf(7, ((12, _open_by_model()), (12, _not_made()))),
            Row("In detail"),
            Shelf(10, ((24, _detail()),)),
        ),
    )


def _error_ratio() -> Json:
    return stat(
        "Failed calls",
        Query(ask.ERROR_RATIO),
        unit=units.RATIO,
        about="Completions that ended in an error after every retry, of all. Refusals by a budget are none of these.",
        empty=_NONE,
        levels=_FAILING,
        decimals=2,
    )


def _p95() -> Json:
    return stat(
        "Latency, p95",
        Query(ask.P95),
        unit=units.SECONDS,
        about="Nineteen of twenty callers waited no longer, retries, pauses and the whole of a stream included.",
        empty=_NONE,
    )


def _first_chunk() -> Json:
    return stat(
        "Time to first chunk, p95",
        Query(ask.FIRST_CHUNK_P95),
        unit=units.SECONDS,
        about="How long people look at nothing: from the call to the first content of a stream.",
        empty=_NO_STREAMS,
    )


def _retries() -> Json:
    return stat(
        "Retries",
        Query(ask.RETRIES),
        unit=units.COUNT,
        about="Requests that were sent again to the same model. They cost time, and money where the first was billed.",
        empty=_NONE,
        levels=ANY_IS_WORTH_A_LOOK,
        decimals=0,
    )


def _fallbacks() -> Json:
    return stat(
        "Fallbacks",
        Query(ask.FALLBACKS),
        unit=units.COUNT,
        about="Requests that went to another model because the first choice failed.",
        empty=_NONE,
        levels=ANY_IS_WORTH_A_LOOK,
        decimals=0,
    )


def _open_circuits() -> Json:
    return stat(
        "Open circuits",
        Query(ask.OPEN_CIRCUITS),
        unit=units.COUNT,
        about="Models that are left alone now, in one process or more, because too many calls of them failed.",
        empty="No breaker tells",
        levels=ANY_IS_BAD,
        decimals=0,
    )


def _wasted() -> Json:
    return stat(
        "Wasted money",
        Query(ask.WASTED),
        unit=units.USD,
        about="The part of the spend that bought no complete answer: failed, retried, cancelled and abandoned calls.",
        empty=_NONE,
        levels=ANY_IS_WORTH_A_LOOK,
    )


def _incomplete() -> Json:
    return graph(
        "Calls without a complete answer, by kind",
        Query(ask.RATIO_BY_OUTCOME, labelled(ask.OUTCOME), has_exemplars=True),
        unit=units.RATIO,
        about=f"Of all calls. error: the provider failed. denied: a budget refused. cancelled: the caller gave up. "
        f"abandoned: a stream was left early. {_DOT}",
        empty=_NONE,
        lines=STACK,
        overrides=_BY_OUTCOME,
    )


def _latency() -> Json:
    return graph(
        "Latency",
        *(Query(ask.latency(share, semconv.REQUEST_DURATION), name, has_exemplars=True) for share, name in _SHARES),
        unit=units.SECONDS,
        about="What callers waited for providers, retries, pauses and the whole of a stream included; answers from a "
        f"cache are not among them. {_DOT}",
        empty=_NONE,
    )


def _errors_by_model() -> Json:
    return bars(
        "Failed calls, by model",
        Query(ask.ERROR_RATIO_BY_MODEL, labelled(ask.MODEL)),
        unit=units.RATIO,
        about="Of all calls of the model. One model alone: its provider; all of them: look nearer home.",
        empty="No call failed in this range",
        levels=_FAILING,
    )


def _time_to_first_chunk() -> Json:
    return graph(
        "Time to first chunk",
        *(Query(ask.latency(share, semconv.TIME_TO_FIRST_CHUNK), name, has_exemplars=True) for share, name in _SHARES),
        unit=units.SECONDS,
        about=f"From the call to the first content of a stream. {_DOT}",
        empty=_NO_STREAMS,
    )


def _outcomes() -> Json:
    return graph(
        "Calls a second, by outcome",
        Query(ask.REQUESTS_PER_SECOND, labelled(ask.OUTCOME)),
        unit=units.PER_SECOND,
        about="Every call ends in exactly one of these.",
        empty=_NONE,
        lines=STACK,
        overrides=_BY_OUTCOME,
    )


def _durations() -> Json:
    return heatmap(
        "How latency is spread",
        ask.DURATIONS,
        unit=units.SECONDS,
        about="Calls by how long they took. Two bands are two kinds of work: choose one by feature or model.",
        empty=_NONE,
    )


def _again() -> Json:
    return graph(
        "Retries and fallbacks",
        Query(ask.ATTEMPTS_AGAIN, labelled(ask.PROVIDER, ask.REASON, joined=": ")),
        unit=units.PER_SECOND,
        about="Requests beyond the first of a call. Many of one provider: it is busy, or your limit with it is low.",
        empty="Every first attempt was the last",
        lines=STACK,
    )


def _failed_attempts() -> Json:
    return bars(
        "Failed attempts, by provider",
        Query(ask.FAILED_ATTEMPTS, labelled(ask.PROVIDER)),
        unit=units.RATIO,
        about="What the provider did, before retries and fallbacks hid it from callers.",
        empty="No attempt failed in this range",
        levels=_FAILING,
    )


def _in_flight() -> Json:
    return graph(
        "Calls in flight, by provider",
        Query(ask.IN_FLIGHT, labelled(ask.PROVIDER)),
        unit=units.WHOLE,
        about="That have not ended. A line that climbs and stays: the provider hangs, or streams are left open.",
        empty="No process tells",
        lines=STACK,
    )


def _wasted_over_time() -> Json:
    return graph(
        "Wasted US dollars an hour, by reason",
        Query(ask.WASTED_PER_HOUR, labelled(ask.REASON)),
        unit=units.USD,
        about="Part of the spend, not beside it.",
        empty=_NONE,
        lines=STACK,
    )


def _open_by_model() -> Json:
    return graph(
        "Open circuits, by model",
        Query(ask.OPEN_CIRCUITS_BY_MODEL, labelled(ask.PROVIDER, ask.MODEL, joined=": ")),
        unit=units.WHOLE,
        about="Processes that leave a model alone because too many of its calls failed. Each finds out by itself, with "
        "one call after each pause, whether it is well again.",
        empty="Every circuit was closed in this range",
        lines=STACK,
    )


def _not_made() -> Json:
    return graph(
        "Attempts not made, by model",
        Query(ask.NOT_MADE, labelled(ask.PROVIDER, ask.MODEL, joined=": ")),
        unit=units.PER_SECOND,
        about="What open circuits kept from being sent: calls that went elsewhere, or failed at once instead of late.",
        empty="No circuit refused an attempt",
        lines=STACK,
    )


def _detail() -> Json:
    return table(
        "Providers and models",
        ((ask.PROVIDER, "Provider"), (ask.MODEL, "Model")),
        (
            Column("Calls", ask.TABLE_REQUESTS, units.COUNT),
            Column("Failed", ask.TABLE_ERROR_RATIO, units.RATIO, levels=_FAILING),
            Column("Retries", ask.TABLE_RETRIES, units.COUNT),
            Column("Latency, p50", ask.TABLE_P50, units.SECONDS),
            Column("Latency, p95", ask.TABLE_P95, units.SECONDS),
            Column("First chunk, p95", ask.TABLE_FIRST_CHUNK, units.SECONDS),
            Column("Circuit opened", ask.TABLE_OPENINGS, units.COUNT),
            Column("Wasted", ask.TABLE_WASTED, units.USD),
        ),
        about="One row a model. Empty under 'First chunk': it had no streams. 'Circuit opened': how often it was left "
        "alone because too many of its calls failed; each probe that fails counts.",
        empty=_NONE,
        sort="Calls",
    )
