"""`llm-otel exporter` as a program of its own, scraped over HTTP."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ANSWER_S = 60


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Exporter:
    """A process that serves a ledger's budgets."""

    def __init__(self, *arguments: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "llm_otel", "exporter", "--port", str(self.port), *arguments]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("LLM_OTEL_")}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ)
        self.said = [self.line()]

    def line(self) -> str:
        """Wait for the next line that it says."""
        return str(self.process.stderr.readline()).rstrip()

    def scrape(self) -> dict[str, float]:
        """Return every series of ours."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}/metrics", timeout=ANSWER_S) as page:
            text = page.read().decode()
        return {name: float(value) for name, value in re.findall(r"^llm_otel_(\S+) (\S+)$", text, re.MULTILINE)}

    def stop(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=ANSWER_S)
        self.said += rest.splitlines()
        return self.process.returncode


@pytest.fixture
def exporter(ledger: str, budgets_file: Path) -> Iterator[Exporter]:
    """An exporter of the ledger, up and serving."""
    started = Exporter("--ledger", ledger, "--budgets-file", str(budgets_file))
    yield started
    started.process.kill()
    started.process.wait()
    started.process.stderr.close()


def test_a_fleet_is_scraped_in_one_place(exporter, ledger, budgets_file):
    """What this process has written to the ledger, that one serves; and it ends in good order."""
    series = exporter.scrape()

    assert series.pop(next(name for name in series if name.startswith("build_info"))) == 1
    assert {
        "ledger_up": 1,
        'budget_limit_usd{budget="company",scope=""}': 500,
        'budget_limit_usd{budget="team",scope="search"}': 2,
        'budget_limit_usd{budget="team",scope="growth"}': 2,
        'budget_spent_usd{budget="company",scope=""}': 2,
        'budget_spent_usd{budget="team",scope="search"}': 1.5,
        'budget_spent_usd{budget="team",scope="growth"}': 0.5,
        'budget_spent_usd{budget="user",scope="__all__"}': 2,
        'budget_held_usd{budget="company",scope=""}': pytest.approx(0.1),
        'budget_held_usd{budget="team",scope="search"}': pytest.approx(0.1),
        'budget_held_usd{budget="team",scope="growth"}': 0,
        'budget_held_usd{budget="user",scope="__all__"}': pytest.approx(0.1),
        'budget_scopes{budget="user",state="ok"}': 1,
        'budget_scopes{budget="user",state="near"}': 0,
        'budget_scopes{budget="user",state="exceeded"}': 1,
    } == series
    assert 0 == exporter.stop(signal.SIGTERM)
    url = f"http://127.0.0.1:{exporter.port}/metrics"
    assert [f"Serving {url} from {ledger}; Ctrl-C ends it.", "Stopped."] == exporter.said


def test_ctrl_c_ends_it_too(exporter):
    """As it says."""
    assert 0 == exporter.stop(signal.SIGINT)
    assert "Stopped." == exporter.said[-1]


def test_while_the_ledger_is_out_its_budgets_are_absent(budgets_file):
    """Never 0, never old: and who watches is told, once."""
    pytest.importorskip("redis")
    address = f"redis://:sesame@127.0.0.1:{free_port()}/0"
    exporter = Exporter("--ledger", address, "--budgets-file", str(budgets_file))
    try:
        first, second = exporter.scrape(), exporter.scrape()
        exporter.stop(signal.SIGTERM)
    finally:
        exporter.process.kill()
        exporter.process.communicate()

    assert first == second
    assert {"ledger_up": 0} == {name: value for name, value in first.items() if not name.startswith("build_info")}
    assert 1 == sum("the ledger cannot be reached" in line for line in exporter.said)
    assert [] == [line for line in exporter.said if "sesame" in line]


def test_a_ledger_in_memory_is_refused(run, budgets_file):
    """There is nothing to see in it from here."""
    finished = run("exporter", "--budgets-file", str(budgets_file))

    assert 2 == finished.exit_code
    assert "lives in the process that spends" in finished.stderr


def test_a_port_that_is_taken_is_named(run, ledger, budgets_file):
    """With what to do about it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        finished = run("exporter", "--ledger", ledger, "--budgets-file", str(budgets_file), "--port", port)

    assert 2 == finished.exit_code
    assert f"127.0.0.1:{port}/metrics cannot be served" in finished.stderr
