"""Several worker processes: what one scrape says of all of them. Each test runs a service of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from llm_otel.recorders.registries import serving_registry

SERVICE = Path(__file__).with_name("multiprocess_service.py")


def run(way: str, directory: Path | str | None) -> subprocess.CompletedProcess[str]:
    """Start the service and wait for it."""
    environment = {name: value for name, value in os.environ.items() if name.lower() != "prometheus_multiproc_dir"}
    environment["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    if directory is not None:
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    command = [sys.executable, str(SERVICE), way]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def scrape(way: str, directory: Path) -> dict[str, float]:
    """Return name -> sum over the label sets, of what the service shows."""
    done = run(way, directory)
    assert (0, "") == (done.returncode, done.stderr)
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(done.stdout):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return sums


def counted(sums: dict[str, float]) -> tuple[float, ...]:
    """Return what adds up: requests, tokens, cost, durations, and the calls in flight."""
    names = (
        "llm_otel_requests_total",
        "llm_otel_tokens_total",
        "llm_otel_cost_usd_total",
        "llm_otel_request_duration_seconds_count",
        "llm_otel_request_duration_seconds_sum",
        "llm_otel_requests_in_flight",
    )
    return tuple(sums[name] for name in names)


class TestWorkers:
    """Sums over processes are exact."""

    def test_forked_workers_add_up(self, tmp_path: Path) -> None:
        """Series from before the fork go on in the child, from 0; the dead have no calls in flight."""
        calls, open_calls = 4 + 1 + 2 + 3, 3
        expected = (calls, calls * 5, calls * 0.5, calls, calls * 0.5, open_calls)
        assert expected == counted(scrape("fork", tmp_path))

    def test_spawned_workers_add_up(self, tmp_path: Path) -> None:
        """Served by a process that made no recorder."""
        calls, open_calls = 5 + 6 + 7, 3
        expected = (calls, calls * 5, calls * 0.5, calls, calls * 0.5, open_calls)
        assert expected == counted(scrape("spawn", tmp_path))

    def test_recorders_of_one_process_share_their_sums(self, tmp_path: Path) -> None:
        """Each with sums of its own in the same file would write over the others."""
        assert (9, 45, 4.5, 9, 4.5, 0) == counted(scrape("registries", tmp_path))


class TestCircuits:
    """A circuit is of one process, a scrape of all."""

    @pytest.mark.parametrize(
        ("way", "expected"), [("open_circuit", (1, 3)), ("closed_circuits", (0, 3))], ids=["open", "closed"]
    )
    def test_a_circuit_is_open_if_any_live_process_has_it_open(
        self, way: str, expected: tuple[float, float], tmp_path: Path
    ) -> None:
        """Openings add up, also those of processes that are no more."""
        sums = scrape(way, tmp_path)
        assert expected == (sums["llm_otel_circuit_open"], sums["llm_otel_circuit_opened_total"])


class TestServing:
    """What stands beside the sums."""

    def test_process_facts_are_served(self, tmp_path: Path) -> None:
        """Once, by the process that answers, although this mode has no `Info` and no callbacks."""
        sums = scrape("fork", tmp_path)
        assert (1, 90) == (sums["llm_otel_build_info"], sums["llm_otel_price_age_seconds"])

    def test_there_are_no_exemplars(self, tmp_path: Path) -> None:
        """prometheus_client has none in this mode; the format is sound all the same."""
        shown = run("openmetrics", tmp_path).stdout
        assert "llm_otel_requests_total" in shown
        assert " # {" not in shown

    def test_one_process_serves_the_registry_itself(self) -> None:
        """Without the mode there is nothing to collect."""
        registry = CollectorRegistry()
        assert registry is serving_registry(registry)


class TestRefusals:
    """A set-up that would count wrong is refused."""

    @pytest.mark.parametrize(
        ("way", "directory", "says"),
        [
            ("construct", "/nowhere/at/all", "an existing directory"),
            ("construct", "", "an existing directory"),
            ("late", None, "before the process starts"),
            ("serve_late", None, "before the process starts"),
        ],
    )
    def test_a_directory_that_cannot_be_used(self, way: str, directory: str | None, says: str) -> None:
        """Not there, or named too late: each worker would count alone, and a scrape would show one."""
        done = run(way, directory)
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("llm_otel.errors.ConfigurationError: PROMETHEUS_MULTIPROC_DIR=")
        assert says in last
