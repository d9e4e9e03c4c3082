"""The metrics of the GenAI conventions, on whatever MeterProvider the application has set.

They are written from the same record as the span, and carry what it says: the whole of an operation as its caller saw
it, under the model that was asked for. Where no provider is set, a call pays a look at that.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from llm_otel import semconv
from llm_otel.call import UNASKED, Outcome
from llm_otel.recorders import meters
from llm_otel.recorders.backlog import backlog
from llm_otel.semconv import LegacyTokenType, Modality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.context import Context
    from opentelemetry.metrics import Counter, Histogram, Meter

    from llm_otel.call import CallRecord, CallRequest, TraceRef
    from llm_otel.semconv import InstrumentSpec
    from llm_otel.usage import Usage

NAME = "genai_metrics"
_CHUNKS_PER_WORK = 8
"""So many chunks take as long to write down as the rest of a call does."""
_FAILED = (Outcome.ERROR, Outcome.CANCELLED)

Attributes = dict[str, str | int]


class Generation(StrEnum):
    """Which names are written: those of the conventions as they are now, those of v1.41, or both."""

    LATEST = "latest"
    LEGACY = "legacy"
    BOTH = "both"

    @property
    def has_latest(self) -> bool:
        """Whether the newest names are among them."""
        return self is not Generation.LEGACY

    @property
    def has_legacy(self) -> bool:
        """Whether the names of v1.41 are among them."""
        return self is not Generation.LATEST


class EndedOperation(NamedTuple):
    """What the metrics need of one call: no messages and no answer.

    Attributes:
        error_type: As on the span; `None` where that is no failure.
        duration_s: `None`, as are the times of chunks, where it was no provider's.
        later_chunks_s: Times of the chunks after the first, since the start of the call.
        usage: As reported by the provider; `None` where nothing was.
    """

    operation: str
    provider: str
    model: str
    response_model: str | None
    server_address: str | None
    server_port: int | None
    error_type: str | None
    duration_s: float | None
    time_to_first_chunk_s: float | None
    later_chunks_s: tuple[float, ...]
    usage: Usage | None
    trace: TraceRef | None

    @classmethod
    def of(cls, record: CallRecord) -> EndedOperation:
        """Read them off a record."""
        request, is_timed = record.request, record.outcome not in UNASKED
        return cls(
            request.operation,
            request.provider,
            request.model,
            record.answer.response_model,
            request.server_address,
            request.server_port,
            _error_type(record),
            record.duration_s if is_timed else None,
            record.time_to_first_chunk_s if is_timed else None,
            record.later_chunks_s if is_timed else (),
            _reported(record),
            record.trace,
        )

    @property
    def is_inference(self) -> bool:
        """Whether the names of inferences are for it."""
        return self.operation in semconv.INFERENCE_OPERATIONS

    def attributes(self) -> Attributes:
        """Return those that all metrics of a call share."""
        shared: Attributes = {
            semconv.GEN_AI_OPERATION_NAME: self.operation,
            semconv.GEN_AI_PROVIDER_NAME: self.provider,
        }
        if self.model:
            shared[semconv.GEN_AI_REQUEST_MODEL] = self.model
        if self.response_model:
            shared[semconv.GEN_AI_RESPONSE_MODEL] = self.response_model
        if self.server_address:
            shared[semconv.SERVER_ADDRESS] = self.server_address
            if self.server_port:
                shared[semconv.SERVER_PORT] = self.server_port
        return shared

    def chunk_gaps_s(self) -> Iterator[float]:
        """Yield the time from each chunk to the next."""
        before = self.time_to_first_chunk_s
        if before is None:
            return
        for each in self.later_chunks_s:
            yield each - before
            before = each


class EndedWorkflow(NamedTuple):
    """What the metrics need of one scope."""

    name: str
    duration_s: float
    error_type: str | None
    trace: TraceRef | None


class GenAIMetrics:
    """Writes every call to the metrics of the conventions. Thread-safe.

    Args:
        generation: Which names.
        on_error: Takes a failure to write, which happens when the call is long over.
    """

    name = NAME

    def __init__(self, generation: Generation, on_error: Callable[[str, Exception], None]) -> None:
        self._generation = generation
        self._on_error = on_error
        # A program may open scopes and never a call. One that sets its provider later is seen at its first call.
        self._is_heard = meters.watch()

    @property
    def is_recording(self) -> bool:
        """Whether anybody sees what is written now."""
        return meters.is_recording()

    def opened(self, request: CallRequest) -> None:  # noqa: ARG002  # there is no metric of calls in flight
        """Write down what earlier calls have left, if it is enough; and see to it that a reader asks for the rest."""
        self._is_heard = meters.watch()
        backlog.ease()

    def closed(self, record: CallRecord) -> None:
        """Leave the facts of a call to be written down."""
        # Asked once for a call: while no provider is set, the API looks for a variable each time.
        if not self._is_heard or not _was_sent(record):
            return
        operation = EndedOperation.of(record)
        backlog.leave(self._write, operation, 1 + len(operation.later_chunks_s) // _CHUNKS_PER_WORK)

    def workflow_ended(self, ended: EndedWorkflow) -> None:
        """Leave the facts of a scope to be written down."""
        if self._is_heard and self._generation.has_latest:
            backlog.leave(self._write_workflow, ended)

    def _write(self, operation: EndedOperation) -> None:
        meter = meters.meter()
        if meter is None:
            return
        try:
            _instruments_of(meter, self._generation).write(operation)
        # It is some reader that it is written for, or some other call.
        except Exception as exc:  # noqa: BLE001
            self._on_error(self.name, exc)

    def _write_workflow(self, ended: EndedWorkflow) -> None:
        meter = meters.meter()
        if meter is None:
            return
        attributes = {semconv.GEN_AI_WORKFLOW_NAME: ended.name}
        if ended.error_type is not None:
            attributes[semconv.ERROR_TYPE] = ended.error_type
        try:
            _workflows_of(meter).record(ended.duration_s, attributes, context=meters.context_of(ended.trace))
        # As above.
        except Exception as exc:  # noqa: BLE001
            self._on_error(self.name, exc)


class _Instruments:
    """The instruments of one meter."""

    def __init__(self, meter: Meter, generation: Generation) -> None:
        def histograms(latest: InstrumentSpec, legacy: InstrumentSpec) -> tuple[Histogram, ...]:
            asked = ((latest, generation.has_latest), (legacy, generation.has_legacy))
            # One that both generations have is written once.
            return tuple(meters.histogram(meter, spec) for spec in dict.fromkeys(s for s, is_on in asked if is_on))

        duration = semconv.CLIENT_OPERATION_DURATION
        self._inferences = histograms(semconv.INFERENCE_DURATION, duration)
        self._others = histograms(duration, duration)
        self._first_chunks = histograms(semconv.INFERENCE_TIME_TO_FIRST_CHUNK, semconv.LEGACY_TIME_TO_FIRST_CHUNK)
        self._chunks = histograms(semconv.INFERENCE_TIME_PER_OUTPUT_CHUNK, semconv.LEGACY_TIME_PER_OUTPUT_CHUNK)
        self._tokens = _Tokens(meter) if generation.has_latest else None
        self._legacy_tokens = meters.histogram(meter, semconv.LEGACY_TOKEN_USAGE) if generation.has_legacy else None

    def write(self, operation: EndedOperation) -> None:
        """Write down a call."""
        attributes, context = operation.attributes(), meters.context_of(operation.trace)
        self._write_times(operation, attributes, context)
        if self._tokens is not None and operation.is_inference:
            self._tokens.write(operation, attributes, context)
        usage = operation.usage
        if self._legacy_tokens is not None and usage is not None:
            counts = {LegacyTokenType.INPUT: usage.input_tokens}
            if operation.is_inference:
                counts[LegacyTokenType.OUTPUT] = usage.output_tokens
            for token_type, tokens in counts.items():
                typed = attributes | {semconv.GEN_AI_TOKEN_TYPE: token_type.value}
                self._legacy_tokens.record(tokens, typed, context=context)

    def _write_times(self, operation: EndedOperation, attributes: Attributes, context: Context) -> None:
        if operation.duration_s is not None:
            outcome = attributes
            if operation.error_type is not None:
                outcome = attributes | {semconv.ERROR_TYPE: operation.error_type}
            for duration in self._inferences if operation.is_inference else self._others:
                duration.record(operation.duration_s, outcome, context=context)
        if operation.time_to_first_chunk_s is None or not operation.is_inference:
            return
        for first_chunk in self._first_chunks:
            first_chunk.record(operation.time_to_first_chunk_s, attributes, context=context)
        gaps_s = tuple(operation.chunk_gaps_s())
        longest_s = max(gaps_s, default=0.0)
        for gap_s in gaps_s:
            # One exemplar for a stream, on its longest silence: they cost a quarter of a record, and are all one span.
            around = context if gap_s == longest_s else meters.NOWHERE
            for chunk in self._chunks:
                chunk.record(gap_s, attributes, context=around)


class _Tokens:
    """The instruments for tokens, as the conventions have them now: counters for sums, histograms for percentiles."""

    def __init__(self, meter: Meter) -> None:
        def counter(spec: InstrumentSpec) -> Counter:
            return meter.create_counter(spec.name, spec.unit, spec.description)

        self._input = counter(semconv.USAGE_INPUT_TOKENS)
        self._output = counter(semconv.USAGE_OUTPUT_TOKENS)
        self._cache_read = counter(semconv.USAGE_CACHE_READ_TOKENS)
        self._cache_write = counter(semconv.USAGE_CACHE_WRITE_TOKENS)
        self._reasoning = counter(semconv.USAGE_REASONING_TOKENS)
        self._input_sizes = meters.histogram(meter, semconv.OPERATION_INPUT_TOKENS)
        self._output_sizes = meters.histogram(meter, semconv.OPERATION_OUTPUT_TOKENS)

    def write(self, operation: EndedOperation, attributes: Attributes, context: Context) -> None:
        """Count the tokens of a call. One without usage counts as 0, and is in no percentile."""
        usage = operation.usage
        for counter, parts in self._counts(usage):
            for modality, tokens in parts:
                by_modality = attributes | {semconv.GEN_AI_TOKEN_MODALITY: modality.value}
                counter.add(tokens, by_modality, context=context)
        if usage is not None:
            self._input_sizes.record(usage.input_tokens, attributes, context=context)
            self._output_sizes.record(usage.output_tokens, attributes, context=context)

    def _counts(self, usage: Usage | None) -> Iterator[tuple[Counter, Iterable[tuple[Modality, int]]]]:
        if usage is None:
            # So that the series is there before the first token is: `increase()` does not see what one is born with.
            yield self._input, _by_modality(0)
            yield self._output, _by_modality(0)
            return
        yield self._input, _by_modality(usage.input_tokens, usage.input_audio_tokens, usage.input_image_tokens)
        yield self._output, _by_modality(usage.output_tokens, usage.output_audio_tokens, usage.output_image_tokens)
        if usage.cache_read_tokens:
            yield self._cache_read, _by_modality(usage.cache_read_tokens, usage.cache_read_audio_tokens)
        if usage.cache_write_tokens:
            yield self._cache_write, _by_modality(usage.cache_write_tokens)
        if usage.reasoning_tokens:
            yield self._reasoning, _by_modality(usage.reasoning_tokens)


@lru_cache(maxsize=8)
def _instruments_of(meter: Meter, generation: Generation) -> _Instruments:
    return _Instruments(meter, generation)


@lru_cache(maxsize=8)
def _workflows_of(meter: Meter) -> Histogram:
    return meters.histogram(meter, semconv.INVOKE_WORKFLOW_DURATION)


def _by_modality(whole: int, audio: int = 0, image: int = 0) -> Iterator[tuple[Modality, int]]:
    """Yield the parts of a count. What no provider has named is unknown: it need not all be text."""
    rest = whole - audio - image
    if rest or not whole:
        yield Modality.UNKNOWN, rest
    if audio:
        yield Modality.AUDIO, audio
    if image:
        yield Modality.IMAGE, image


def _was_sent(record: CallRecord) -> bool:
    return record.outcome is not Outcome.DENIED or bool(record.attempts)


def _reported(record: CallRecord) -> Usage | None:
    """Return what the providers have reported, summed over the attempts: the conventions forbid our own counts."""
    usage = record.usage
    if usage is None or not usage.is_estimated:
        return usage
    reported = [each.usage for each in record.attempts if each.usage is not None and not each.usage.is_estimated]
    return sum(reported[1:], reported[0]) if reported else None


def _error_type(record: CallRecord) -> str | None:
    """Return what the span says."""
    if record.outcome not in _FAILED:
        return None
    return record.outcome.value if record.failure is None else record.failure.error_type
