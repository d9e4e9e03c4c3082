"""`llm-otel check`: what it finds of a deployment, and what it says to do."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from llm_otel.budgets.ledger import Settlement
from llm_otel.budgets.matching import BudgetSet
from llm_otel.cli.checks.finding import State
from llm_otel.cli.checks.packages import look_at_litellm, look_at_prices
from llm_otel.enforcement.journal import Journal
from llm_otel.telemetry.trial import SPAN_NAME
from tests.integration.otlp_receiver import Receiver
from tests.stores.redis_server import answering

DAY_S = 86_400
NOBODY = "redis://127.0.0.1:1/0"
SERVED = 'llm_otel_requests_total{outcome="success"} 3.0\nllm_otel_build_info{version="1"} 1.0\n'


@pytest.fixture
def found(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, dict[str, str]]]:
    """`found(*options)` returns what was said of each thing that was looked at; no journal is anybody's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def found(*options: str, exit_code: int = 0) -> dict[str, dict[str, str]]:
        finished = run("check", "--json", *options)
        assert (exit_code, "") == (finished.exit_code, finished.stderr)
        return {each["about"]: each for each in json.loads(finished.stdout)}

    return found


@pytest.fixture
def serve() -> Iterator[Callable[[str], str]]:
    """`serve(page)` returns an address where it is served."""
    servers: list[HTTPServer] = []

    def serve(page: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name that http.server calls
                self.send_response(200)
                self.end_headers()
                self.wfile.write(page.encode())

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/metrics"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_deployment_that_is_fit_passes(found, ledger, budgets_file, serve):
    """Every part is looked at, and nothing is to be done."""
    findings = found("--ledger", ledger, "--budgets-file", str(budgets_file), "--metrics-url", serve(SERVED))

    assert {"settings", "budgets", "ledger", "journal", "metrics", "litellm", "prices"} <= findings.keys()
    assert [] == [each for each in findings.values() if each["state"] not in (State.OK, State.NOTE)]
    assert "3 in force, 2 of them hard: company, team, user" == findings["budgets"]["said"]
    assert findings["ledger"]["said"].startswith(f"{ledger} answered in ")


def test_a_terminal_gets_a_line_for_each_part_and_one_for_what_to_do(run, ledger, budgets_file):
    """As wide as it is: paths and addresses are for copying."""
    lines = run("check", "--ledger", ledger, "--budgets-file", str(budgets_file)).stdout.splitlines()

    assert "ok    budgets   3 in force, 2 of them hard: company, team, user" in lines
    assert "note  metrics   not asked for" in lines
    assert "                → --metrics-url http://host:port/metrics scrapes a service" in lines


def test_settings_that_cannot_be_used_fail(found, monkeypatch):
    """With the name of the variable; what needs no settings is looked at all the same."""
    monkeypatch.setenv("LLM_OTEL_STRICT", "perhaps")

    findings = found(exit_code=1)

    assert State.FAILED == findings["settings"]["state"]
    assert findings["settings"]["said"].startswith("LLM_OTEL_STRICT='perhaps'")
    assert "ledger" not in findings
    assert State.OK == findings["litellm"]["state"]


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "yes", "EVENT_ONLY"),
        ("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", "perhaps", "true or false"),
        ("LLM_OTEL_TAG_LABELS", "team,model", "tag_labels"),
    ],
)
def test_what_a_service_stumbles_over_later_fails_here(found, monkeypatch, variable, value, named):
    """Settings that are read, and refused when a runtime is made of them."""
    monkeypatch.setenv(variable, value)

    finding = found(exit_code=1)["settings"]

    assert State.FAILED == finding["state"]
    assert named in finding["said"]


def test_it_says_where_settings_come_from(found, monkeypatch, tmp_path):
    """Files and variables, by name; no values, which may be secret."""
    path = tmp_path / "llm-otel.toml"
    path.write_text('tag_labels = ["team"]\n')
    monkeypatch.setenv("LLM_OTEL_DEFAULT_MAX_TOKENS", "100")

    said = found("--config-file", str(path))["settings"]["said"]

    assert f"can be used; set by {path}, LLM_OTEL_DEFAULT_MAX_TOKENS" == said


def test_options_are_named_among_what_sets_them(found, ledger):
    """What was asked for on the command line is no default."""
    assert "can be used; set by --ledger" == found("--ledger", ledger)["settings"]["said"]


@pytest.mark.parametrize(
    ("variable", "to_do"),
    [
        ("LLM_OTEL_LEDGRE", "did you mean LLM_OTEL_LEDGER?"),
        ("LLM_OTEL_COLOUR_OF_THE_SKY", "see docs/configuration.md for those that are"),
    ],
)
def test_a_variable_that_is_no_setting_is_a_warning(found, monkeypatch, variable, to_do):
    """Nothing reads it, and a service says nothing of it: spend would go uncounted for a slip of the pen."""
    monkeypatch.setenv(variable, "redis://:secret@ledger:6379/0")

    finding = found()["settings"]

    assert (State.WARNING, to_do) == (finding["state"], finding["to_do"])
    assert f"can be used; all are the defaults; nothing reads {variable}" == finding["said"]


def test_two_budgets_of_one_id_fail(found, budgets_file, tmp_path):
    """Over all files, as in a service."""
    config = tmp_path / "config.toml"
    config.write_text(budgets_file.read_text())

    findings = found("--config-file", str(config), "--budgets-file", str(budgets_file), exit_code=1)

    assert "'company'" in findings["settings"]["said"]


def test_budgets_in_memory_hold_one_process(found, budgets_file):
    """A fleet would spend a multiple of them."""
    finding = found("--budgets-file", str(budgets_file))["budgets"]

    assert State.WARNING == finding["state"]
    assert "redis://" in finding["to_do"]


def test_a_budget_that_a_service_would_refuse_fails(found, ledger, tmp_path):
    """Here, and not when the service starts."""
    path = tmp_path / "one.toml"
    path.write_text('[[budgets]]\nid = "a"\nlimit_usd = "1"\nwindow = "day"\ndowngrade_to = ["no-such-model"]\n')

    finding = found("--ledger", ledger, "--budgets-file", str(path), exit_code=1)["budgets"]

    assert "no-such-model" in finding["said"]


def test_a_ledger_that_nobody_answers_for_fails(found):
    """It is said what happens meanwhile, and no password is shown."""
    finding = found("--ledger", NOBODY.replace("//", "//:hush@"), exit_code=1)["ledger"]

    assert State.FAILED == finding["state"]
    assert "hush" not in finding["said"]
    assert "hard budgets deny" in finding["to_do"]


def test_a_response_cache_that_nobody_answers_for_is_a_warning(found, ledger, monkeypatch):
    """Calls go on without it. No password is shown."""
    monkeypatch.setenv("LLM_OTEL_RESPONSE_CACHE", NOBODY.replace("//", "//:hush@"))

    finding = found("--ledger", ledger)["cache"]

    assert State.WARNING == finding["state"]
    assert "hush" not in finding["said"]
    assert "in its own memory" in finding["to_do"]


def test_a_response_cache_that_answers_is_said_so(found, ledger, monkeypatch):
    """One in the process's own memory needs no look."""
    assert "cache" not in found("--ledger", ledger)
    with answering(b"$-1\r\n") as port:
        address = f"redis://127.0.0.1:{port}/0"
        monkeypatch.setenv("LLM_OTEL_RESPONSE_CACHE", address)
        finding = found("--ledger", ledger)["cache"]

    assert State.OK == finding["state"]
    assert finding["said"].startswith(f"{address} answered in ")


def test_a_response_cache_at_no_address_fails(found, ledger, monkeypatch):
    """A service with it does not start."""
    monkeypatch.setenv("LLM_OTEL_RESPONSE_CACHE", "sqlite:///answers.db")

    assert State.FAILED == found("--ledger", ledger, exit_code=1)["cache"]["state"]


def test_an_address_that_is_none_fails(found):
    """With those that are."""
    assert "sqlite:///" in found("--ledger", "mysql://db", exit_code=1)["ledger"]["said"]


def test_looking_makes_no_ledger(found, tmp_path):
    """A file of a name misspelt would pass for a budget that nobody has touched."""
    path = tmp_path / "spend.db"

    finding = found("--ledger", f"sqlite:///{path}")["ledger"]

    assert State.NOTE == finding["state"]
    assert not path.exists()


def test_a_ledger_that_cannot_be_made_fails(found, tmp_path, monkeypatch):
    """Before a service finds out that it may not write there."""
    monkeypatch.setattr(os, "access", lambda *_: False)

    assert State.FAILED == found("--ledger", f"sqlite:///{tmp_path}/spend.db", exit_code=1)["ledger"]["state"]


def test_a_ledger_in_no_directory_fails(found, tmp_path):
    """It is not made on the way either."""
    finding = found("--ledger", f"sqlite:///{tmp_path}/none/spend.db", exit_code=1)["ledger"]

    assert "make the directory" in finding["to_do"].split(",")[0]


def test_settles_that_wait_are_counted(found, tmp_path, budgets_file):
    """Of every ledger: one of them may never come back under that name."""
    from llm_otel.budget_files import read_budgets

    lines = BudgetSet(read_budgets(budgets_file)).match({}, provider="openai", model="m", now_s=0).lines
    journal = Journal(NOBODY, tmp_path / "state" / "llm_otel")
    settlement = Settlement("a", 1, lines)
    journal.add(settlement)
    journal.add(replace(settlement, id="b"))

    finding = found()["journal"]
    journal.forget()

    assert State.WARNING == finding["state"]
    assert finding["said"].startswith("2 settles in ")


@pytest.mark.parametrize(
    ("page", "state"),
    [(SERVED, State.OK), ("llm_otel_build_info 1.0\n", State.NOTE), ("python_info 1.0\n", State.FAILED)],
)
def test_a_service_is_scraped(found, serve, page, state):
    """One that has made no call yet is told from one that serves another registry."""
    finding = found("--metrics-url", serve(page), exit_code=int(state is State.FAILED))["metrics"]

    assert state == finding["state"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/metrics",
        "localhost:9464/metrics",
        "file:///etc/passwd",
        "http://127.0.0.1:port/metrics",
        "http://[::1/metrics",
    ],
)
def test_what_cannot_be_scraped_fails(found, url):
    """And no file is read."""
    finding = found("--metrics-url", url, exit_code=1)["metrics"]

    assert State.FAILED == finding["state"]
    assert url in finding["said"]


def test_a_port_that_speaks_something_else_fails(found):
    """Such as that of gRPC, or of a database."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"-ERR unknown command\r\n")

        threading.Thread(target=answer).start()
        finding = found("--metrics-url", f"http://127.0.0.1:{server.getsockname()[1]}/metrics", exit_code=1)["metrics"]

    assert State.FAILED == finding["state"]


@pytest.mark.parametrize(
    ("version", "state", "said"),
    [
        ("1.105.3", State.OK, "1.105.3, with llm-otel"),
        ("1.82.7", State.FAILED, "compromised"),
        ("1.84.0", State.FAILED, "not among the releases"),
        ("1.106.2", State.FAILED, "not among the releases"),
        ("unknown", State.WARNING, "cannot be read"),
    ],
)
def test_litellms_release_is_judged(version, state, said):
    """By what the tests ran on; one that steals credentials is called that."""
    finding = look_at_litellm(version)

    assert state == finding.state
    assert said in finding.said


@pytest.mark.parametrize(
    ("age_s", "state"), [(None, State.WARNING), (3.5 * DAY_S, State.OK), (61 * DAY_S, State.WARNING)]
)
def test_prices_grow_stale(age_s, state):
    """After two months a bill and these figures part."""
    assert state == look_at_prices(age_s).state


def test_nothing_is_sent_where_nobody_asked(found):
    """It says how to."""
    finding = found()["otlp"]

    assert State.NOTE == finding["state"]
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in finding["to_do"]


def test_an_endpoint_that_takes_a_span_passes(found, monkeypatch):
    """It got one, whose name says whose it is."""
    with Receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        finding = found()["otlp"]

    assert State.OK == finding["state"]
    assert [SPAN_NAME] == [span.name for span in receiver.spans]


def test_the_test_span_is_sent_however_little_is_sampled(found, monkeypatch):
    """It is the endpoint that is looked at."""
    with Receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
        finding = found()["otlp"]

    assert State.OK == finding["state"]
    assert [SPAN_NAME] == [span.name for span in receiver.spans]


def test_a_limit_that_the_sdk_refuses_fails(found, monkeypatch):
    """With the SDK's words, which name the variable."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1")

    assert "OTEL_SPAN_EVENT_COUNT_LIMIT" in found(exit_code=1)["otlp"]["said"]


def test_signals_that_are_sent_without_traces_are_named(found, monkeypatch):
    """Nothing is tried, and it is not said that nothing is sent."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:1")

    finding = found()["otlp"]

    assert State.NOTE == finding["state"]
    assert finding["said"].startswith("no spans are sent; metrics ")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_an_endpoint_that_nobody_listens_on_fails(found, monkeypatch, protocol):
    """In seconds, with the reason, and without the password in its address."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hush@127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")

    finding = found(exit_code=1)["otlp"]

    assert State.FAILED == finding["state"]
    assert finding["said"].startswith(f"http://127.0.0.1:1 ({protocol}) took no span: ")
    assert "hush" not in finding["said"]


def test_a_protocol_that_is_none_fails(found, monkeypatch):
    """With those that are."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")

    assert "http/protobuf" in found(exit_code=1)["otlp"]["said"]


def test_metrics_that_are_pushed_are_not_scraped(found, monkeypatch):
    """There is no page then."""
    monkeypatch.setenv("LLM_OTEL_METRICS_EXPORT", "otlp")

    assert State.OK == found()["metrics"]["state"]
