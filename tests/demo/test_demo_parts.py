"""The small parts of the demo: metrics read, spans kept, the environment, progress, figures."""

from __future__ import annotations

import io
import logging
import os
import warnings
from typing import Any

import pytest
from prometheus_client import Counter
from rich.console import Console

from llm_otel import semconv
from llm_otel.demo import metrics
from llm_otel.demo.progress import LiveProgress, PlainProgress, progress_on
from llm_otel.demo.quiet import environment, quiet, without_proxy
from llm_otel.demo.readings import percentile
from llm_otel.demo.spans import SpanLog, watch_spans
from llm_otel.drawing.figures import bar, plural
from llm_otel.recorders.tracker import UsageTracker
from llm_otel.tracing import start_span


@pytest.fixture
def registry() -> Any:
    """A registry in which three requests were counted."""
    registry = metrics.new_registry()
    counter = Counter(semconv.REQUESTS.prometheus_name, "Requests.", (semconv.LABEL_OUTCOME,), registry=registry)
    counter.labels("success").inc(2)
    counter.labels("error").inc()
    counter.labels("denied")
    return registry


def test_a_counter_is_read_by_its_labels(registry):
    """Zeros say nothing, and are left out."""
    assert 3 == metrics.total(registry, semconv.REQUESTS)
    assert {"success": 2, "error": 1} == metrics.total_by(registry, semconv.REQUESTS, semconv.LABEL_OUTCOME)
    assert 0 == metrics.total(registry, semconv.COST)


def test_spans_are_kept_until_the_log_is_closed(spans):
    """A provider that is set already is listened to, not replaced."""
    log = watch_spans()
    start_span("kept", {}, is_client=False).end()
    log.close()
    start_span("not kept", {}, is_client=False).end()

    assert ["kept"] == [span.name for span in log.ended]
    assert ["kept", "not kept"] == spans.names


def test_only_so_many_spans_are_kept(spans):
    """The oldest make room."""
    log = SpanLog(max_spans=2)
    for name in ("first", "second", "third"):
        start_span(name, {}, is_client=False).end()
        log.on_end(spans.named(name))

    assert ["second", "third"] == [span.name for span in log.ended]


def test_the_environment_is_put_back(monkeypatch):
    """What was set is as before, what was not is gone, also when the block fails."""
    monkeypatch.setenv("LLM_OTEL_TEST_OLD", "old")
    with pytest.raises(KeyError), environment({"LLM_OTEL_TEST_OLD": "new", "LLM_OTEL_TEST_NEW": "new"}):
        assert ("new", "new") == (os.environ["LLM_OTEL_TEST_OLD"], os.environ["LLM_OTEL_TEST_NEW"])
        raise KeyError

    assert "old" == os.environ["LLM_OTEL_TEST_OLD"]
    assert "LLM_OTEL_TEST_NEW" not in os.environ


def test_calls_to_this_machine_take_no_proxy():
    """Behind a proxy of a company the simulator would not be found; its exceptions stay."""
    assert {
        "NO_PROXY": "intranet,127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    } == without_proxy({"NO_PROXY": "intranet", "HTTPS_PROXY": "http://proxy:3128"})


def test_the_noise_of_others_is_kept_away_for_a_while(caplog):
    """Log lines and warnings; afterwards they are heard again."""
    logger = logging.getLogger("LiteLLM")
    level = logger.level
    with quiet():
        logger.critical("a traceback of sixty lines")
        warnings.warn("unclosed session", ResourceWarning, stackless := 1)
    assert 1 == stackless
    assert [] == caplog.records
    assert level == logger.level


def test_in_a_pipe_progress_is_a_line_for_each_step():
    """No control characters, and nothing that is drawn again."""
    console = Console(file=io.StringIO(), width=80)
    progress = progress_on(console)
    with progress.waiting("Loading"), progress.calling(UsageTracker(), None):
        progress.tell("Budget alert: [all] of it")

    assert isinstance(progress, PlainProgress)
    assert "Loading ...\n  Budget alert: [all] of it\n" == console.file.getvalue()


def test_on_a_terminal_progress_moves_and_is_gone_afterwards():
    """It counts what the tracker has counted."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    progress = progress_on(console)
    with progress.calling(UsageTracker(), 300):
        progress.tell("Budget alert")
    with progress.waiting("Loading"):
        pass

    assert isinstance(progress, LiveProgress)
    written = console.file.getvalue()
    assert "0 of 300 calls" in written
    assert "Budget alert" in written
    assert "Loading" in written
    assert written.endswith("\x1b[2K"), "the line is erased"


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, None),
        ([1.0], 95, 1.0),
        ([1.0, 2.0], 50, 1.0),
        ([1.0, 2.0, 3.0, 4.0], 95, 4.0),
        ([1.0, 2.0, 3.0, 4.0], 50, 2.0),
    ],
)
def test_percentiles_are_values_that_were_measured(values, percent, expected):
    """Nearest rank."""
    assert expected == percentile(values, percent)


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, ""), (0.0001, "▏"), (0.5, "██"), (1.0, "████"), (1.7, "████"), (0.28, "█▏")],
)
def test_a_bar_is_as_long_as_the_share(share, expected):
    """In eighths of a column; the least that is not nothing shows."""
    assert expected == bar(share, 4, is_ascii=False)


@pytest.mark.parametrize(("share", "expected"), [(0.0, ""), (0.01, "#"), (0.5, "##"), (1.0, "####")])
def test_a_bar_in_ascii(share, expected):
    """In whole columns."""
    assert expected == bar(share, 4, is_ascii=True)


def test_one_is_singular():
    """Nobody makes 1 calls."""
    assert ["1 call", "1,200 calls"] == [plural(1, "call"), plural(1_200, "call")]
