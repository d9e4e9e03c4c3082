"""An application that knows nothing of us, under `opentelemetry-instrument`, against a provider that counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llm_otel import semconv
from llm_otel.demo.simulator import Bill, Fail, Hang, RecordedRequest, Reply, Simulator
from tests.integration.otlp_receiver import ReceivedSpan, Receiver

# Each run of the application imports LiteLLM anew, and the first test waits for two of them.
pytestmark = pytest.mark.timeout(300)

APP = Path(__file__).with_name("plain_app.py")
INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")

PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "gemini": "gcp.gemini", "ollama": "ollama"}
LEFT = "gpt-4.1-nano"
"""The model whose stream the application leaves early: nobody tells its usage."""

LIST_PRICES = {
    "gpt-4o-mini": (150, 600),
    "gpt-4.1-nano": (100, 400),
    "claude-3-haiku-20240307": (250, 1250),
    "gemini-2.5-flash": (300, 2500),
    "text-embedding-3-small": (20, 0),
    "gpt-3.5-turbo-instruct": (1500, 2000),
    "llama3": (0, 0),
    "nomic-embed-text": (0, 0),
}
"""Nano-USD for an input and an output token, by the providers' price pages of 2026-11."""

BUDGET = """
[[budgets]]
id = "company"
limit_usd = "0.003"
window = "day"
"""
"""Enough for 4,096 tokens of the cheapest model that is asked, and for no other."""


@dataclass(frozen=True)
class Run:
    """One run of the application: what it told, what the provider saw, what was exported."""

    told: dict[str, dict[str, Any]]
    """By the name that the application has for a call, in turn."""
    requests: tuple[RecordedRequest, ...]
    bill: Bill
    spans: list[ReceivedSpan]
    exported_to: list[str]
    errors: str


@contextmanager
def provider() -> Iterator[Simulator]:
    """A provider that has trouble with two models, and whose long stories take for ever."""
    with Simulator() as simulator:
        simulator.script(Fail(503), when=lambda request: request.model == "gpt-4o", repeat=True)
        simulator.script(Fail(429), when=lambda request: request.model == "gpt-4-turbo", repeat=True)
        story = Hang(1, reply=Reply("Once upon a time there was a token."))
        simulator.script(story, when=lambda request: "story" in request.prompt, repeat=True)
        yield simulator


def run(home: Path, *arguments: str, is_instrumented: bool = True, **settings: str) -> Run:
    """Run the application, with an empty home directory and no variables but those it needs."""
    with provider() as simulator, Receiver() as receiver:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "NO_PROXY": "127.0.0.1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
            "OTEL_SERVICE_NAME": "plain-app",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            **simulator.env(with_keys=True),
            **settings,
        }
        command = [*([str(INSTRUMENT)] if is_instrumented else []), sys.executable, str(APP), *arguments]
        ended = subprocess.run(command, env=environ, cwd=home, capture_output=True, text=True, timeout=120, check=False)
        assert 0 == ended.returncode, ended.stderr
        told = [json.loads(line) for line in ended.stdout.splitlines()]
        simulator.wait_until_idle()
        return Run(
            {each["call"]: each for each in told},
            simulator.requests,
            simulator.bill,
            receiver.spans,
            receiver.paths,
            ended.stderr,
        )


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The application as it is."""
    return run(tmp_path_factory.mktemp("bare"), is_instrumented=False)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same under `opentelemetry-instrument`."""
    return run(tmp_path_factory.mktemp("watched"))


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Its blocking calls, with a budget that allows some of them."""
    home = tmp_path_factory.mktemp("limited")
    (home / "budgets.toml").write_text(BUDGET, encoding="utf-8")
    return run(home, "--blocking-only", LLM_OTEL_BUDGETS_FILE=str(home / "budgets.toml"))


def model_of(span: ReceivedSpan) -> tuple[str, str]:
    """Return the provider and model a span is about."""
    return span.attributes[semconv.GEN_AI_PROVIDER_NAME], span.attributes[semconv.GEN_AI_REQUEST_MODEL]


def tokens_of(span: ReceivedSpan) -> tuple[int, int]:
    """Return the input and output tokens of a span."""
    inputs = span.attributes.get(semconv.GEN_AI_USAGE_INPUT_TOKENS, 0)
    return inputs, span.attributes.get(semconv.GEN_AI_USAGE_OUTPUT_TOKENS, 0)


def price_of(model: str, input_tokens: int, output_tokens: int) -> int:
    """Return the list price in nano-USD."""
    for_input, for_output = LIST_PRICES[model]
    return for_input * input_tokens + for_output * output_tokens


class TestWithoutACodeChange:
    """Every call is seen, and nobody notices."""

    def test_the_application_gets_what_it_would_have_got(self, bare, watched):
        """LiteLLM's own types, texts, tokens and errors, chunk for chunk."""
        assert bare.told == watched.told
        assert {None, "litellm.exceptions.RateLimitError"} == {told["error"] for told in bare.told.values()}

    def test_the_provider_gets_what_it_would_have_got(self, bare, watched):
        """But for the wish for usage at the end of a stream."""

        def sent(requests):
            bodies = [{name: value for name, value in r.body.items() if name != "stream_options"} for r in requests]
            return [(request.path, body) for request, body in zip(requests, bodies, strict=True)]

        assert sent(bare.requests) == sent(watched.requests)

    def test_every_request_is_one_span(self, watched):
        """Each attempt of a router is a call of its own; what LiteLLM calls within itself is none."""
        asked = [(PROVIDERS[request.provider], request.model) for request in watched.requests]

        assert asked == [model_of(span) for span in watched.spans]
        assert len(asked) == len({span.span_id for span in watched.spans})
        assert {"CLIENT"} == {span.kind for span in watched.spans}
        assert {""} == {span.parent_id for span in watched.spans}

    def test_spans_are_named_by_what_was_called(self, watched):
        """A response is a chat, by the conventions."""
        operations = Counter(span.name.partition(" ")[0] for span in watched.spans)

        assert {"chat": 17, "embeddings": 3, "text_completion": 1} == operations

    def test_tokens_are_those_of_the_bill(self, watched):
        """By provider and model; but for the stream that was left."""
        inputs: Counter[tuple[str, str]] = Counter()
        outputs: Counter[tuple[str, str]] = Counter()
        for span in watched.spans:
            inputs[model_of(span)] += tokens_of(span)[0]
            outputs[model_of(span)] += tokens_of(span)[1]

        counted = {key: (inputs[key], outputs[key]) for key in inputs if inputs[key] and key[1] != LEFT}
        assert {
            (PROVIDERS[provider], model): (line.input_tokens, line.output_tokens)
            for (provider, model), line in watched.bill.lines.items()
            if model != LEFT
        } == counted
        assert not any(semconv.USAGE_ESTIMATED in span.attributes for span in watched.spans if LEFT not in span.name)

    def test_costs_are_the_list_prices(self, watched):
        """Of each span, exactly; a router's failed attempts cost nothing."""
        expected = [
            0 if span.status == "ERROR" else price_of(model_of(span)[1], *tokens_of(span)) for span in watched.spans
        ]

        assert expected == [span.attributes[semconv.COST_NANO_USD] for span in watched.spans]
        assert 0 < sum(expected)

    def test_a_router_is_a_failure_and_its_fallback(self, watched):
        """Three times; and the call that just failed."""
        failed = [index for index, span in enumerate(watched.spans) if span.status == "ERROR"]

        endings = [(model_of(watched.spans[index])[1], watched.spans[index].attributes) for index in failed]
        assert [
            ("gpt-4-turbo", "RateLimitError", 429),
            *[("gpt-4o", "ServiceUnavailableError", 503)] * 3,
        ] == [(model, of[semconv.ERROR_TYPE], of[semconv.HTTP_RESPONSE_STATUS_CODE]) for model, of in endings]
        fallbacks = [model_of(watched.spans[index + 1])[1] for index in failed[1:]]
        assert ["claude-3-haiku-20240307"] * 3 == fallbacks

    def test_a_stream_that_is_left_is_told_as_such(self, watched):
        """With what was received."""
        (left,) = (span for span in watched.spans if span.attributes[semconv.OUTCOME] == "abandoned")

        assert LEFT == model_of(left)[1]
        assert (True, 3) == (left.attributes[semconv.USAGE_ESTIMATED], tokens_of(left)[1])

    def test_spans_say_where_they_come_from(self, watched):
        """The application's name, by OpenTelemetry's own variable; nothing is lost at the end of the program."""
        assert {"plain-app"} == {span.resource["service.name"] for span in watched.spans}
        assert {"llm_otel"} == {span.scope for span in watched.spans}
        assert "/v1/metrics" in watched.exported_to


class TestBudget:
    """A file named by a variable is enough to hold the application to a budget."""

    REFUSED = (
        "completion stream",
        "completion refused",
        "router",
        "router stream",
        "responses of anthropic",
    )

    def test_what_does_not_fit_is_refused(self, bare, limited):
        """By our own error, from a router too; the others get what they would have got."""
        errors = {call: told["error"] for call, told in limited.told.items() if told != bare.told[call]}

        assert dict.fromkeys(self.REFUSED, "llm_otel.errors.BudgetExceededError") == errors

    def test_nothing_is_sent_of_it(self, limited):
        """No request for a model that is too dear, and no more spent than there was."""
        models = {request.model for request in limited.requests}

        cheap = {"gpt-4o-mini", LEFT, "claude-3-haiku-20240307", "text-embedding-3-small", "gpt-3.5-turbo-instruct"}
        assert cheap == models
        lines = limited.bill.lines.items()
        spent = sum(price_of(model, line.input_tokens, line.output_tokens) for (_, model), line in lines)
        assert 0 < spent <= 3_000_000

    def test_refusals_are_spans_too(self, limited):
        """One for each attempt, without tokens, beside those of the calls that were made."""
        denied = [span for span in limited.spans if span.attributes[semconv.OUTCOME] == "denied"]

        assert {"budget_exceeded"} == {span.attributes[semconv.ERROR_TYPE] for span in denied}
        assert {("company",)} == {(span.attributes[semconv.BUDGET_DENIED_BY],) for span in denied}
        assert {(0, 0)} == {tokens_of(span) for span in denied}
        assert len(limited.requests) == len(limited.spans) - len(denied)
