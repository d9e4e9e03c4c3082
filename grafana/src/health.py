"""Telemetry health: whether the other dashboards can be believed."""

from __future__ import annotations

from grafana.src import units, variables
from grafana.src.board import Row, Shelf, board
from grafana.src.looks import ANY_IS_BAD, GREEN, RED, STACK, YELLOW, Column, Json, Levels
from grafana.src.panels import Query, graph, labelled, stat, table, timeline
from grafana.src.queries import health as ask
from grafana.src.queries.promql import FEATURE, JOB, TEAM
from llm_otel import semconv

_NONE = "No calls in this range"
_NO_SCRAPE = "Not scraped: metrics are pushed"
_DAY_S = 86_400
_SOME = Levels(GREEN, ((1e-9, YELLOW), (0.05, RED)))
_UP = ((0.0, "down", RED), (1.0, "up", GREEN))


def dashboard() -> Json:
    """Return the dashboard."""
    return board(
        uid="llm-otel-health",
        title="LLM / Telemetry health",
        about="Whether the other dashboards can be believed.",
        time_from="now-6h",
        variables=variables.of_calls(),
        contents=(
            Shelf(
                4,
                (
                    (4, _processes()),
                    (4, _scrapes()),
                    (4, _ledger()),
                    (4, _unpriced()),
                    (4, _internal_errors()),
                    (4, _price_age()),
                ),
            ),
            Shelf(5, ((12, _targets()), (12, _ledgers()))),
            Row("What the numbers leave out"),
            Shelf(6, ((12, _unpriced_models()), (12, _estimated_models()))),
            Shelf(
                4,
                (
                    (4, _estimated()),
                    *((4, _overflow(label)) for label in ask.OVERFLOWING),
                    (4, _without(TEAM)),
                    (4, _without(FEATURE)),
                ),
            ),
            Row("Metrics against the ledger"),
            Shelf(7, ((14, _books()), (10, _errors_over_time()))),
            Row("What runs"),
            Shelf(6, ((12, _versions()), (12, _price_ages()))),
        ),
    )


def _processes() -> Json:
    return stat(
        "Processes",
        Query(ask.PROCESSES),
        unit=units.WHOLE,
        about="That show metrics of the library now.",
        empty="None: is anything running?",
    )


def _scrapes() -> Json:
    return stat(
        "Targets down",
        Query(ask.SCRAPES_FAILED),
        unit=units.WHOLE,
        about="Targets that Prometheus cannot scrape now: their calls are missing everywhere until it can.",
        empty=_NO_SCRAPE,
        levels=ANY_IS_BAD,
    )


def _ledger() -> Json:
    return stat(
        "Ledger",
        Query(ask.LEDGER_UP),
        unit=units.WHOLE,
        about="Whether the ledger of the budgets answered the last scrape of every process. While it does not, hard "
        "budgets refuse calls and gauges of budgets are absent.",
        empty="No budgets",
        levels=Levels(RED, ((1, GREEN),)),
        texts=((0, "down"), (1, "up")),
    )


def _unpriced() -> Json:
    return stat(
        "Calls without a price",
        Query(ask.UNPRICED_SHARE),
        unit=units.RATIO,
        about="Of all calls. What they cost is in no panel: register a price for the models below.",
        empty=_NONE,
        levels=_SOME,
        decimals=2,
    )


def _internal_errors() -> Json:
    return stat(
        "Internal errors",
        Query(ask.INTERNAL_ERRORS),
        unit=units.COUNT,
        about="Failures inside the library that were kept from callers. Each cause is logged once.",
        empty="None",
        levels=ANY_IS_BAD,
        decimals=0,
    )


def _price_age() -> Json:
    return stat(
        "Age of prices",
        Query(ask.PRICE_AGE),
        unit=units.SECONDS,
        about="Since the newest price in use was checked against its source, in the process where that is longest ago. "
        "Newer ones come with newer releases of the library and of genai-prices.",
        empty="No process tells",
        levels=Levels(GREEN, ((90 * _DAY_S, YELLOW), (180 * _DAY_S, RED))),
        decimals=0,
    )


def _targets() -> Json:
    return timeline(
        "Scrapes",
        Query(ask.UP_BY_TARGET, labelled(JOB, "instance")),
        states=_UP,
        about="Each target of a service that shows metrics of the library. A gap: Prometheus itself was not there.",
        empty=_NO_SCRAPE,
    )


def _ledgers() -> Json:
    return timeline(
        "Ledgers",
        Query(ask.LEDGER_BY_JOB, labelled(JOB)),
        states=_UP,
        about="Down where one process of the service, or more, could not reach its ledger.",
        empty="No budgets",
    )


def _unpriced_models() -> Json:
    return table(
        "Models without a price",
        ((semconv.LABEL_PROVIDER, "Provider"), (semconv.LABEL_MODEL, "Model")),
        (Column("Calls", ask.UNPRICED_BY_MODEL, units.COUNT),),
        about="Give them one with register_model; `llm-otel price MODEL` says what is known.",
        empty="Every call has a price",
        sort="Calls",
    )


def _estimated_models() -> Json:
    return table(
        "Models with estimated usage",
        ((semconv.LABEL_PROVIDER, "Provider"), (semconv.LABEL_MODEL, "Model")),
        (Column("Calls", ask.ESTIMATED_BY_MODEL, units.COUNT),),
        about="Calls whose tokens were counted here because the provider reported none: broken streams, mostly.",
        empty="Every provider reported its usage",
        sort="Calls",
    )


def _estimated() -> Json:
    return stat(
        "Calls with estimated usage",
        Query(ask.ESTIMATED_SHARE),
        unit=units.RATIO,
        about="Of all calls. Their tokens and cost were counted here, and may differ from the bill.",
        empty=_NONE,
        levels=_SOME,
        decimals=2,
    )


def _overflow(label: str) -> Json:
    return stat(
        f"Calls in {label} {semconv.OVERFLOW_LABEL}",
        Query(ask.overflow(label)),
        unit=units.RATIO,
        about=f"Of all calls. More values of {label} came than its cap allows: these share one. Sums stay right.",
        empty=_NONE,
        levels=_SOME,
        decimals=2,
    )


def _without(label: str) -> Json:
    return stat(
        f"Calls without a {label}",
        Query(ask.unlabelled(label)),
        unit=units.RATIO,
        about=f"Of all calls. Nobody answers for what they cost: give them the tag {label}.",
        empty=_NONE,
        levels=_SOME,
        decimals=2,
    )


def _books() -> Json:
    return table(
        "Charged to budgets: metrics and ledger",
        ((ask.BUDGET, "Budget"),),
        (
            Column("By the metrics", ask.COUNTED, units.USD),
            Column("By the ledger", ask.LEDGER, units.USD),
            Column("Difference", ask.DIFFERENCE, units.RATIO, decimals=2),
        ),
        about="Two ways to one number; the ledger is exact. Metrics that stay behind: a process is not scraped, or "
        "Prometheus runs without created-timestamp-zero-ingestion. Over short ranges ends count.",
        empty="No budgets",
        sort="By the ledger",
    )


def _errors_over_time() -> Json:
    return graph(
        "Internal errors, by part",
        Query(ask.INTERNAL_ERRORS_BY_RECORDER, labelled(semconv.LABEL_RECORDER)),
        unit=units.COUNT,
        about="Which part of the library failed.",
        empty="None in this range",
        lines=STACK,
    )


def _versions() -> Json:
    return table(
        "Versions",
        (
            (JOB, "Service"),
            (semconv.LABEL_VERSION, "llm-otel"),
            (semconv.LABEL_LITELLM_VERSION, "LiteLLM"),
        ),
        (Column("Processes", ask.VERSIONS, units.WHOLE),),
        about="What is running now.",
        empty="None: is anything running?",
        sort="Service",
        is_descending=False,
    )


def _price_ages() -> Json:
    return graph(
        "Age of prices, by service",
        Query(ask.PRICE_AGE_BY_JOB, labelled(JOB)),
        unit=units.SECONDS,
        about="Falls with each update.",
        empty="No process tells",
    )
