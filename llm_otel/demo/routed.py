"""From what the library recorded to what the router and the response cache did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llm_otel import semconv
from llm_otel.call import AttemptReason, Outcome
from llm_otel.demo import metrics
from llm_otel.demo.readings import attributes_of
from llm_otel.demo.report import Circuit, Routing
from llm_otel.money import NANO_PER_USD
from llm_otel.routing.decision import EXPLICIT
from llm_otel.routing.reasons import SIGNAL, explain

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from prometheus_client import CollectorRegistry

_FELL_BACK = {semconv.LABEL_REASON: AttemptReason.FALLBACK, semconv.LABEL_OUTCOME: Outcome.SUCCESS}
_FROM_CACHE = {semconv.LABEL_OUTCOME: Outcome.CACHED}


def routing(calls: Sequence[ReadableSpan], registry: CollectorRegistry) -> Routing:
    """Return what the router and the response cache did, from the spans of calls and the metrics."""
    chosen = [each for each in map(attributes_of, calls) if each.get(semconv.ROUTE_POLICY, EXPLICIT) != EXPLICIT]
    saved = metrics.total_by(registry, semconv.SAVED, semconv.LABEL_REASON)
    cached = metrics.total_by(registry, semconv.REQUESTS, semconv.LABEL_OUTCOME, _FROM_CACHE)
    return Routing(
        chosen=dict(Counter(str(each[semconv.GEN_AI_REQUEST_MODEL]) for each in chosen).most_common()),
        explained=_explained(max(chosen, key=_weight)) if chosen else None,
        fallbacks=_counts(metrics.total_by(registry, semconv.ATTEMPTS, semconv.LABEL_MODEL, _FELL_BACK)),
        circuits=_circuits(registry),
        cached=round(sum(cached.values())),
        saved_nano=round(saved.get(semconv.SAVED_BY_RESPONSE_CACHE, 0) * NANO_PER_USD),
    )


def _weight(chosen: Mapping[str, Any]) -> tuple[float, str]:
    """Rank a choice: that for the most demanding request says most; of equals always the same one."""
    return chosen.get(semconv.ROUTE_SCORE, 0.0), str(chosen[semconv.ROUTE_REASON_CODES])


def _explained(chosen: Mapping[str, Any]) -> str:
    codes: Sequence[str] = chosen[semconv.ROUTE_REASON_CODES]
    reasons = [explain(code) for code in codes if not code.startswith(SIGNAL)]
    # The decisive one stands first; read as a story, what was asked for comes before it.
    return " ".join((f"{chosen[semconv.GEN_AI_REQUEST_MODEL]}.", *reversed(reasons)))


def _circuits(registry: CollectorRegistry) -> tuple[Circuit, ...]:
    not_sent = metrics.total_by(registry, semconv.CIRCUIT_REFUSALS, semconv.LABEL_MODEL)
    still_open = metrics.total_by(registry, semconv.CIRCUIT_OPEN, semconv.LABEL_MODEL)
    opened = metrics.total_by(registry, semconv.CIRCUIT_OPENED, semconv.LABEL_MODEL)
    return tuple(
        Circuit(model=model, opened=count, not_sent=round(not_sent.get(model, 0)), is_closed=model not in still_open)
        for model, count in _counts(opened).items()
    )


def _counts(sums: Mapping[str, float]) -> dict[str, int]:
    """Return whole numbers, the largest first."""
    return {name: round(value) for name, value in sorted(sums.items(), key=lambda each: (-each[1], each[0]))}
