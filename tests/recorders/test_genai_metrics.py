"""The metrics of the GenAI conventions, from records of calls to what a reader of the SDK is given."""

from __future__ import annotations

import gc
import os
import threading
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics._internal import aggregation
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.trace import SpanContext, TraceFlags

from llm_otel import semconv
from llm_otel.call import Answer, Failure, Outcome
from llm_otel.recorders.backlog import ENOUGH, backlog
from llm_otel.recorders.genai_metrics import EndedWorkflow, GenAIMetrics, Generation
from llm_otel.usage import Usage
from tests.contract import conventions
from tests.contract.checker import check_genai_metrics

DURATION = "gen_ai.client.inference.duration"
USAGE = "gen_ai.client.inference.usage"
SIZES = "gen_ai.client.inference.operation"
SHARED = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}


def on_error(_where: str, error: Exception) -> None:
    """Nothing may fail, unless a test says so."""
    raise error


@pytest.fixture
def recorder() -> GenAIMetrics:
    """The names of today."""
    return GenAIMetrics(Generation.LATEST, on_error)


@pytest.fixture
def legacy() -> GenAIMetrics:
    """The names of yesterday."""
    return GenAIMetrics(Generation.LEGACY, on_error)


@pytest.fixture(autouse=True)
def _conformant(metering):
    """Whatever a test has recorded follows the conventions."""
    yield
    assert [] == [str(finding) for finding in check_genai_metrics(metering.collect())]


def end(recorder: GenAIMetrics, record: Any) -> None:
    """Take a record through the recorder as a call does."""
    recorder.opened(record.request)
    recorder.closed(record)


def labels(more: dict[str, Any] | None = None) -> frozenset[tuple[str, Any]]:
    """Return the attributes that a call of `facts` has, and further ones."""
    return frozenset((SHARED | (more or {})).items())


# --- what a call records ----------------------------------------------------------------------------------------------


def test_an_answered_call(metering, recorder, facts):
    """Its duration, its tokens in sums without a guess at their modality, and their sizes."""
    end(recorder, facts.record(duration_s=0.5))

    found = metering.metrics
    assert {
        DURATION,
        f"{USAGE}.input_tokens",
        f"{USAGE}.output_tokens",
        f"{SIZES}.input_tokens",
        f"{SIZES}.output_tokens",
    } == set(found)
    assert (1, 0.5) == (metering.only(DURATION).count, metering.only(DURATION).sum)
    assert {labels({"gen_ai.token.modality": "unknown"}): 18} == metering.values(f"{USAGE}.input_tokens")
    assert {labels({"gen_ai.token.modality": "unknown"}): 5} == metering.values(f"{USAGE}.output_tokens")
    assert {labels()} == set(metering.points(f"{SIZES}.input_tokens"))
    assert 5 == metering.only(f"{SIZES}.output_tokens").sum


def test_who_answered_and_where(metering, recorder, facts):
    """The attributes are those of the span that tell series apart; tags, ids and parameters are not among them."""
    request = facts.request(server_address="api.openai.com", server_port=443, parameters={"gen_ai.request.seed": 1})
    end(recorder, facts.record(request=request, answer=Answer(response_model="gpt-4o-mini-2024", response_id="id")))

    expected = SHARED | {
        "gen_ai.response.model": "gpt-4o-mini-2024",
        "server.address": "api.openai.com",
        "server.port": 443,
    }
    assert expected == dict(metering.only(DURATION).attributes)


def test_parts_of_the_usage(metering, recorder, facts):
    """Cached and reasoning tokens are parts of the whole; what is audio or an image is told apart in each."""
    usage = Usage.of(
        input_tokens=100,
        output_tokens=50,
        cache_read_tokens=40,
        cache_write_tokens=10,
        reasoning_tokens=20,
        input_audio_tokens=30,
        cache_read_audio_tokens=15,
        input_image_tokens=5,
        output_audio_tokens=8,
    )
    end(recorder, facts.record(facts.attempt(usage=usage)))

    def counts(name: str) -> dict[str, int]:
        values = metering.values(f"{USAGE}.{name}")
        return {dict(each)["gen_ai.token.modality"]: value for each, value in values.items()}

    assert {"unknown": 65, "audio": 30, "image": 5} == counts("input_tokens")
    assert {"unknown": 42, "audio": 8} == counts("output_tokens")
    assert {"unknown": 25, "audio": 15} == counts("cache_read.input_tokens")
    assert {"unknown": 10} == counts("cache_write.input_tokens")
    assert {"unknown": 20} == counts("reasoning.output_tokens")
    assert 100 == metering.only(f"{SIZES}.input_tokens").sum


def test_a_count_that_is_all_of_one_modality(metering, recorder, facts):
    """There is no remainder to be unknown."""
    usage = Usage.of(input_tokens=30, output_tokens=5, input_audio_tokens=30)
    end(recorder, facts.record(facts.attempt(usage=usage)))

    assert {labels({"gen_ai.token.modality": "audio"}): 30} == metering.values(f"{USAGE}.input_tokens")


def test_a_failed_call(metering, recorder, facts):
    """It took time, under the error that the span names. It counts 0 tokens, and is in no percentile of them."""
    end(recorder, facts.record(facts.failed_attempt()))

    assert {labels({"error.type": "RateLimitError"})} == set(metering.points(DURATION))
    assert {labels({"gen_ai.token.modality": "unknown"}): 0} == metering.values(f"{USAGE}.input_tokens")
    assert {labels({"gen_ai.token.modality": "unknown"}): 0} == metering.values(f"{USAGE}.output_tokens")
    assert {} == metering.points(f"{SIZES}.input_tokens") | metering.points(f"{SIZES}.output_tokens")


def test_a_cancelled_call(metering, recorder, facts):
    """Its error is the cancel; without one that has a name, the outcome."""
    cancel = Failure(error_type="CancelledError")
    end(recorder, facts.record(facts.attempt(outcome=Outcome.CANCELLED, failure=cancel, usage=None, cost=None)))
    end(recorder, facts.record(facts.attempt(outcome=Outcome.CANCELLED, usage=None, cost=None)))

    errors = ("CancelledError", "cancelled")
    assert {labels({"error.type": each}) for each in errors} == set(metering.points(DURATION))


def test_an_abandoned_stream(metering, recorder, facts):
    """Whoever breaks off has made no error."""
    end(recorder, facts.record(facts.attempt(outcome=Outcome.ABANDONED)))

    assert {labels()} == set(metering.points(DURATION))


def test_a_cached_answer(metering, recorder, facts):
    """No provider was waited for: its quickness would flatter the provider's. Its tokens are those of its span."""
    chunks = {"time_to_first_chunk_s": 0.001, "later_chunks_s": (0.002, 0.003)}
    end(recorder, facts.record(facts.attempt(outcome=Outcome.CACHED), **chunks))

    assert [] == [name for name in metering.metrics if "duration" in name or "chunk" in name]
    assert 18 == metering.only(f"{USAGE}.input_tokens").value


def test_a_refused_call(metering, recorder, facts):
    """Nothing was sent: there was no inference."""
    refusal = Failure(error_type="budget_exceeded")
    end(recorder, facts.record(outcome=Outcome.DENIED, failure=refusal, attempts=(), usage=None))

    assert {} == metering.metrics


def test_a_call_that_is_refused_another_attempt(metering, recorder, facts):
    """What the attempts before have used counts; how long it took to be refused is no latency."""
    attempt = facts.attempt(outcome=Outcome.ERROR)
    end(recorder, facts.record(attempt, outcome=Outcome.DENIED, failure=Failure(error_type="budget_exceeded")))

    assert {} == metering.points(DURATION)
    assert 18 == metering.only(f"{USAGE}.input_tokens").value


def test_usage_that_nobody_reported(metering, recorder, facts):
    """The conventions forbid to report what was not reported; what earlier attempts have reported stays."""
    ours = facts.attempt(usage=Usage.of(input_tokens=100, output_tokens=1, is_estimated=True))
    end(recorder, facts.record(ours))

    assert 0 == metering.only(f"{USAGE}.input_tokens").value
    assert {} == metering.points(f"{SIZES}.input_tokens")

    end(recorder, facts.record(facts.attempt(), facts.attempt(number=2), ours))

    assert 36 == metering.only(f"{USAGE}.input_tokens").value
    assert 10 == metering.only(f"{SIZES}.output_tokens").sum


def test_zero_tokens_that_were_reported(metering, recorder, facts):
    """A provider that says 0 has said something."""
    end(recorder, facts.record(facts.attempt(usage=Usage.of(input_tokens=18, output_tokens=0))))

    assert (1, 0) == (metering.only(f"{SIZES}.output_tokens").count, metering.only(f"{SIZES}.output_tokens").sum)


def test_a_stream(metering, recorder, facts):
    """The time to the first chunk, and from each to the next."""
    request = facts.request(is_streaming=True)
    record = facts.record(request=request, time_to_first_chunk_s=0.25, later_chunks_s=(0.5, 0.5, 1.0))
    end(recorder, record)

    first = metering.only("gen_ai.client.inference.time_to_first_chunk")
    later = metering.only("gen_ai.client.inference.time_per_output_chunk")
    assert (1, 0.25) == (first.count, first.sum)
    assert (3, 0.75, 0.0, 0.5) == (later.count, later.sum, later.min, later.max)


def test_embeddings(metering, recorder, facts):
    """They are no inference: they have the duration of other operations, and no metric of tokens."""
    end(recorder, facts.record(request=facts.request(operation="embeddings")))

    assert {"gen_ai.client.operation.duration"} == set(metering.metrics)


def test_text_completions(metering, recorder, facts):
    """They are inferences."""
    end(recorder, facts.record(request=facts.request(operation="text_completion")))

    assert DURATION in metering.metrics


def test_a_scope(metering, recorder, facts):
    """The duration of a workflow, by its name, with its error."""
    recorder.workflow_ended(EndedWorkflow("digest", 3.0, None, facts.trace))
    recorder.workflow_ended(EndedWorkflow("digest", 1.0, "ValueError", facts.trace))

    points = metering.points("gen_ai.invoke_workflow.duration")
    good = frozenset({("gen_ai.workflow.name", "digest")})
    assert {good: 3.0, good | {("error.type", "ValueError")}: 1.0} == {
        each: point.sum for each, point in points.items()
    }


# --- the other generation ---------------------------------------------------------------------------------------------


def test_the_older_names(metering, legacy, facts):
    """One duration for all operations, and one histogram for tokens of both types."""
    request = facts.request(is_streaming=True)
    end(legacy, facts.record(request=request, time_to_first_chunk_s=0.25, later_chunks_s=(0.5,)))

    assert {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.operation.time_per_output_chunk",
    } == set(metering.metrics)
    tokens = metering.points("gen_ai.client.token.usage")
    assert {labels({"gen_ai.token.type": "input"}): 18, labels({"gen_ai.token.type": "output"}): 5} == {
        each: point.sum for each, point in tokens.items()
    }


def test_the_older_names_of_a_call_without_usage(metering, legacy, facts):
    """There is nothing to observe."""
    end(legacy, facts.record(facts.failed_attempt()))

    assert {"gen_ai.client.operation.duration"} == set(metering.metrics)


def test_the_older_names_of_embeddings(metering, legacy, facts):
    """They have input and no output."""
    end(legacy, facts.record(request=facts.request(operation="embeddings")))

    assert {"input"} == {dict(each)["gen_ai.token.type"] for each in metering.points("gen_ai.client.token.usage")}


def test_the_older_names_know_no_workflows(metering, legacy, facts):
    """v1.41 had no metric for them."""
    legacy.workflow_ended(EndedWorkflow("digest", 3.0, None, facts.trace))

    assert {} == metering.metrics


@pytest.mark.parametrize("operation", ["chat", "embeddings"])
def test_both_generations(metering, facts, operation):
    """Each metric once, the one that both have too."""
    record = facts.record(request=facts.request(operation=operation))
    names: set[str] = set()
    for generation in (Generation.LATEST, Generation.LEGACY):
        end(GenAIMetrics(generation, on_error), record)
        names |= set(metering.metrics)
    end(GenAIMetrics(Generation.BOTH, on_error), record)

    assert names == set(metering.metrics)
    assert {"chat": 2, "embeddings": 3}[operation] == metering.only("gen_ai.client.operation.duration").count


@pytest.mark.parametrize("spec", semconv.LEGACY_GENAI_METRICS, ids=lambda spec: spec.name)
def test_the_older_names_are_those_of_the_installed_conventions(spec):
    """The package still has them: name, unit and description."""
    made: dict[str, dict[str, Any]] = {}

    class Meter:
        def create_histogram(self, *, name: str, **given: Any) -> None:
            made[name] = given

    for name, create in vars(gen_ai_metrics).items():
        if name.startswith("create_"):
            create(Meter())
    if spec.name not in made:
        pytest.skip("the installed conventions are older than this metric")

    assert {"unit": spec.unit, "description": spec.description} == made[spec.name]


# --- exemplars --------------------------------------------------------------------------------------------------------


def test_exemplars_lead_to_the_span_of_the_call(metering, recorder, facts):
    """It is not the current span any more when the metrics are written, on another thread perhaps."""
    end(recorder, facts.record(trace=facts.trace))
    recorder.workflow_ended(EndedWorkflow("digest", 3.0, None, facts.trace))

    for name, metric in metering.metrics.items():
        (point,) = metric.data.data_points
        seen = [(each.trace_id, each.span_id) for each in point.exemplars]
        assert [(facts.trace.trace_id, facts.trace.span_id)] == seen, name


def test_a_stream_is_an_exemplar_once(metering, recorder, facts):
    """Its longest silence is what one wants to look at; a span for each chunk would be the same span."""
    record = facts.record(time_to_first_chunk_s=0.0, later_chunks_s=(0.1, 5.1, 5.2), trace=facts.trace)
    end(recorder, record)

    exemplars = metering.only("gen_ai.client.inference.time_per_output_chunk").exemplars
    assert [(5.0, facts.trace.span_id)] == [(each.value, each.span_id) for each in exemplars]


@pytest.mark.parametrize("flags", [TraceFlags.DEFAULT, None])
def test_a_span_that_is_not_kept_is_no_exemplar(metering, recorder, facts, spans, flags):
    """Nor is the one that happens to be current."""
    ref = None if flags is None else SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(flags))
    with trace.get_tracer("test").start_as_current_span("somebody else's"):
        end(recorder, facts.record(trace=ref))
        assert [] == list(metering.only(DURATION).exemplars)


# --- providers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", [metrics._internal._ProxyMeterProvider(), NoOpMeterProvider()])
def test_without_a_provider_nothing_is_kept(metering, recorder, facts, provider):
    """Not even until one is set: there is no end to that."""
    metering.set(provider)
    end(recorder, facts.record())
    recorder.workflow_ended(EndedWorkflow("digest", 3.0, None, facts.trace))

    assert (False, 0) == (recorder.is_recording, len(backlog))


def test_a_provider_that_is_switched_off(metering, recorder, facts, monkeypatch):
    """`OTEL_SDK_DISABLED`: its meters record nothing, and the backlog does not grow."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    metering.set(MeterProvider())
    for _ in range(3 * ENOUGH):
        end(recorder, facts.record())

    assert len(backlog) <= ENOUGH


def test_a_provider_that_is_set_later(metering, recorder, facts):
    """It sees the calls from then on."""
    here = metrics.get_meter_provider()
    metering.set(NoOpMeterProvider())
    end(recorder, facts.record())
    metering.set(here)
    end(recorder, facts.record())

    assert 1 == metering.only(DURATION).count


def test_a_second_recorder_goes_on_with_the_same_instruments(metering, facts):
    """Of a second `configure()`: nothing is counted twice or forgotten, and the SDK has nothing to complain about."""
    for _ in range(2):
        end(GenAIMetrics(Generation.LATEST, on_error), facts.record())

    assert 2 == metering.only(DURATION).count
    assert 36 == metering.only(f"{USAGE}.input_tokens").value


# --- when it is written -----------------------------------------------------------------------------------------------


def test_the_end_of_a_call_touches_no_instrument(metering, recorder, facts):
    """The garbage collector may end one while a reader collects, on its thread, with its locks held."""
    for _ in range(3 * ENOUGH):
        recorder.closed(facts.record())

    assert 3 * ENOUGH == len(backlog)
    recorder.opened(facts.request())
    assert 0 == len(backlog)
    assert 3 * ENOUGH == metering.only(DURATION).count


def test_a_few_calls_are_left_to_the_reader(metering, recorder, facts):
    """Together they cost less; a long stream is enough by itself."""
    end(recorder, facts.record())
    recorder.opened(facts.request())
    assert 1 == len(backlog)

    end(recorder, facts.record(time_to_first_chunk_s=0.1, later_chunks_s=tuple(map(float, range(1, 400)))))
    recorder.opened(facts.request())
    assert 0 == len(backlog)


def test_a_stream_that_is_dropped_while_a_reader_collects(metering, recorder, facts, monkeypatch):
    """Deadlocks are told from slowness by the thread that is stuck."""
    end(recorder, facts.record())

    class Dropped:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            recorder.closed(facts.record())

    real = aggregation._ExplicitBucketHistogramAggregation.collect

    def collect(self: Any, *args: Any) -> Any:
        Dropped()
        with self._lock:
            gc.collect()
        return real(self, *args)

    monkeypatch.setattr(aggregation._ExplicitBucketHistogramAggregation, "collect", collect)
    reader = threading.Thread(target=metering.collect, daemon=True)
    reader.start()
    reader.join(timeout=30)
    monkeypatch.undo()

    assert not reader.is_alive()


def test_threads_lose_nothing(metering, recorder, facts):
    """Calls that end while others write down and a reader asks."""

    def calls() -> None:
        for _ in range(100):
            end(recorder, facts.record())

    threads = [threading.Thread(target=calls) for _ in range(4)]
    for each in threads:
        each.start()
    metering.collect()
    for each in threads:
        each.join()

    assert 400 == metering.only(DURATION).count
    assert 400 * 18 == metering.only(f"{USAGE}.input_tokens").value


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_child_leaves_to_its_parent_what_is_its_parents(metering, recorder, facts):
    """Else it would be counted by both."""
    recorder.closed(facts.record())
    # Threads of other tests may be alive: the child does nothing but look.
    child = os.fork()
    if child == 0:
        os._exit(len(backlog))

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert 1 == len(backlog)


def test_a_failure_to_write_is_reported(metering, facts, monkeypatch):
    """And the calls after it are written."""
    seen: list[tuple[str, Exception]] = []
    recorder = GenAIMetrics(Generation.LATEST, lambda where, error: seen.append((where, error)))
    broken = facts.record(duration_s="no number")
    end(recorder, broken)
    recorder.workflow_ended(EndedWorkflow("digest", "no number", None, None))
    end(recorder, facts.record())

    assert 1 == metering.only(DURATION).count
    assert [("genai_metrics", TypeError)] * 2 == [(where, type(error)) for where, error in seen]


def test_the_metrics_are_those_of_the_tables():
    """No more, no fewer, in each generation."""
    latest = {spec.name for spec in semconv.LATEST_GENAI_METRICS}
    legacy = {spec.name for spec in semconv.LEGACY_GENAI_METRICS}

    assert set(conventions.LATEST_GENAI_METRICS) == latest
    assert set(conventions.LEGACY_GENAI_METRICS) == legacy
