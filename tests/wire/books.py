"""What the library wrote down about calls, in all the places that it writes to, held against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind
from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

from llm_otel import semconv
from llm_otel.assembly import Runtime
from llm_otel.semconv import MetricSpec, TokenType


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How one call ended, by its span. `None`: the span does not say."""

    outcome: str
    status: str = "UNSET"
    error_type: str | None = None
    status_code: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano: int | None = None
    is_estimated: bool = False
    attempts: int = 1

    @classmethod
    def of(cls, span: ReadableSpan) -> Ending:
        """Read it off an inference span."""
        said = dict(span.attributes or {})
        return cls(
            outcome=said[semconv.OUTCOME],
            status=span.status.status_code.name,
            error_type=said.get(semconv.ERROR_TYPE),
            status_code=said.get(semconv.HTTP_RESPONSE_STATUS_CODE),
            input_tokens=said.get(semconv.GEN_AI_USAGE_INPUT_TOKENS),
            output_tokens=said.get(semconv.GEN_AI_USAGE_OUTPUT_TOKENS),
            cost_nano=said.get(semconv.COST_NANO_USD),
            is_estimated=said.get(semconv.USAGE_ESTIMATED, False),
            attempts=said.get(semconv.ATTEMPT_COUNT, 1),
        )


def success(input_tokens: int, output_tokens: int, cost_nano: int | None, **changes: Any) -> Ending:
    """Return the ending of a call that was answered."""
    counts = {"input_tokens": input_tokens, "output_tokens": output_tokens, "cost_nano": cost_nano}
    return Ending(**({"outcome": "success"} | counts | changes))


def refused(error_type: str, status_code: int | None = None, **changes: Any) -> Ending:
    """Return the ending of a call that failed before anything could be billed."""
    nothing = {"outcome": "error", "status": "ERROR", "cost_nano": 0}
    return Ending(**(nothing | {"error_type": error_type, "status_code": status_code} | changes))


def billed(outcome: str, error_type: str | None, usage: tuple[int, int], cost_nano: int, **changes: Any) -> Ending:
    """Return the ending of a call that broke off after the provider had begun, with our count of its tokens."""
    counts = {"input_tokens": usage[0], "output_tokens": usage[1], "cost_nano": cost_nano, "is_estimated": True}
    status = "UNSET" if error_type is None else "ERROR"
    return Ending(**({"outcome": outcome, "status": status, "error_type": error_type} | counts | changes))


@dataclass(frozen=True)
class Sums:
    """What all calls came to."""

    calls: int
    outcomes: dict[str, int]
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_nano: int
    unpriced: int


class Books:
    """Spans, metrics and tracker of one test."""

    def __init__(self, spans: Any, registry: CollectorRegistry, runtimes: list[Runtime]) -> None:
        """Take the books of all runtimes that the test makes, one after the other, on one registry."""
        self.spans = spans
        self.registry = registry
        self._runtimes = runtimes

    # --- spans --------------------------------------------------------------------------------------------

    @property
    def calls(self) -> list[ReadableSpan]:
        """The ended inference spans."""
        return [span for span in self.spans.ended if span.kind is SpanKind.CLIENT]

    @property
    def call(self) -> ReadableSpan:
        """The one inference span."""
        (span,) = self.calls
        return span

    @property
    def only(self) -> Ending:
        """How the one call ended."""
        return Ending.of(self.call)

    @property
    def endings(self) -> list[Ending]:
        """How the calls ended, in that order."""
        return [Ending.of(span) for span in self.calls]

    def said(self, name: str) -> Any:
        """Return an attribute of the one inference span."""
        return (self.call.attributes or {}).get(name)

    def children(self, parent: ReadableSpan) -> list[ReadableSpan]:
        """Return the spans right under another one, in the order of their ends."""
        return [span for span in self.spans.ended if span.parent and span.parent.span_id == parent.context.span_id]

    # --- metrics ------------------------------------------------------------------------------------------

    def metric(self, spec: MetricSpec, **labels: str) -> float:
        """Sum the series of a metric that have these labels."""
        return _sum(self._samples(), spec.prometheus_name, labels)

    def sample(self, name: str) -> float:
        """Sum the samples of this name, for the parts of histograms."""
        return _sum(self._samples(), name, {})

    def exemplars(self, spec: MetricSpec) -> list[dict[str, str]]:
        """Return the labels of a metric's exemplars."""
        return [
            dict(each.exemplar.labels)
            for each in self._samples()
            if each.name in (spec.prometheus_name, f"{spec.prometheus_name}_bucket") and each.exemplar is not None
        ]

    def _samples(self) -> list[Sample]:
        return [sample for metric in self.registry.collect() for sample in metric.samples]

    # --- the sums -----------------------------------------------------------------------------------------

    def by_spans(self) -> Sums:
        """Add up the inference spans."""
        endings = self.endings
        return Sums(
            calls=len(endings),
            outcomes=dict(Counter(ending.outcome for ending in endings)),
            attempts=sum(ending.attempts for ending in endings),
            input_tokens=sum(ending.input_tokens or 0 for ending in endings),
            output_tokens=sum(ending.output_tokens or 0 for ending in endings),
            cost_nano=sum(ending.cost_nano or 0 for ending in endings),
            unpriced=sum(ending.cost_nano is None and ending.attempts > 0 for ending in endings),
        )

    def by_metrics(self) -> Sums:
        """Read the counters."""
        samples = self._samples()
        outcomes: Counter[str] = Counter()
        for sample in samples:
            if sample.name == semconv.REQUESTS.prometheus_name:
                outcomes[sample.labels[semconv.LABEL_OUTCOME]] += int(sample.value)

        def total(spec: MetricSpec, **labels: str) -> float:
            return _sum(samples, spec.prometheus_name, labels)

        tokens = {kind: int(total(semconv.TOKENS, token_type=kind)) for kind in TokenType}
        output = tokens[TokenType.OUTPUT] + tokens[TokenType.REASONING]
        return Sums(
            calls=outcomes.total(),
            outcomes=dict(+outcomes),
            attempts=int(total(semconv.ATTEMPTS)),
            input_tokens=sum(tokens.values()) - output,
            output_tokens=output,
            cost_nano=round(total(semconv.COST) * 1e9),
            unpriced=int(total(semconv.UNPRICED_REQUESTS)),
        )

    def check(self) -> None:
        """Hold all that was written against each other: one set of numbers, nothing left open."""
        spans = self.by_spans()
        assert spans == self.by_metrics(), "spans == metrics"
        assert 0 == self.metric(semconv.REQUESTS_IN_FLIGHT), "calls in flight"
        stats = [runtime.tracker.get_stats() for runtime in self._runtimes]
        assert spans.calls == sum(each["total_calls"] for each in stats)
        assert spans.input_tokens + spans.output_tokens == sum(each["total_tokens"] for each in stats)
        assert Decimal(spans.cost_nano).scaleb(-9) == sum(each["total_cost_usd"] for each in stats)
        assert spans.unpriced == sum(each["unpriced_calls"] for each in stats)
        self._check_ledger(spans)
        for span in self.calls:
            self._check_attempts(span)
        for span in self.spans.ended:
            if semconv.GEN_AI_WORKFLOW_NAME in (span.attributes or {}):
                self._check_totals(span)

    def _check_ledger(self, spans: Sums) -> None:
        """Nothing stays held, and what every call is charged to has spent what all calls cost, where that is known."""
        assert all(runtime.enforcer.flush(5) for runtime in self._runtimes)
        statuses = [status for runtime in self._runtimes for status in runtime.enforcer.statuses()]
        assert [] == [status.budget.id for status in statuses if status.held_usd]
        counted = [status.spent_usd for status in statuses if status.budget.id == "everything"]
        if len(counted) == len(self._runtimes) and not spans.unpriced:
            assert spans.cost_nano == sum(counted) * 10**9, "spans == ledger"

    def _check_attempts(self, call: ReadableSpan) -> None:
        """An attempt has a span of its own only beside others or as a fallback, and no usage that would count twice."""
        attempts, ending = self.children(call), Ending.of(call)
        assert dict(call.attributes or {}).get(semconv.ATTEMPT_COUNT, 0) == len(attempts)
        assert all(span.kind is SpanKind.INTERNAL for span in attempts)
        said = [dict(span.attributes or {}) for span in attempts]
        assert not [name for each in said for name in each if name.startswith("gen_ai.usage.")]
        if attempts and ending.cost_nano is not None:
            assert ending.cost_nano == sum(each.get(semconv.ATTEMPT_COST_NANO_USD, 0) for each in said)

    def _check_totals(self, workflow: ReadableSpan) -> None:
        """The totals of a scope's span are the sum of the calls under it."""
        inside = [Ending.of(span) for span in self._calls_under(workflow)]
        said = dict(workflow.attributes or {})
        assert len(inside) == said[semconv.TOTAL_CALLS]
        assert sum(each.input_tokens or 0 for each in inside) == said[semconv.TOTAL_INPUT_TOKENS]
        assert sum(each.output_tokens or 0 for each in inside) == said[semconv.TOTAL_OUTPUT_TOKENS]
        assert sum(each.cost_nano or 0 for each in inside) == said[semconv.TOTAL_COST_NANO_USD]

    def _calls_under(self, workflow: ReadableSpan) -> list[ReadableSpan]:
        found = []
        for child in self.children(workflow):
            found += [child] if child.kind is SpanKind.CLIENT else self._calls_under(child)
        return found


def _sum(samples: Iterable[Sample], name: str, labels: Mapping[str, str]) -> float:
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())
