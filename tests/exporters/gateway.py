"""The Collector with the configuration that we ship, between a program and what keeps telemetry."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.exporters.programs import fetched, free_port, running
from tests.exporters.tools import ROOT, built

CONFIG = ROOT / "exporters" / "collector" / "config.yaml"
_DECIDED = "otelcol_processor_tail_sampling_global_count_traces_sampled"


def config() -> dict[str, Any]:
    """Return the configuration, read."""
    return yaml.safe_load(CONFIG.read_text(encoding="utf-8"))


class Gateway:
    """Where it listens."""

    def __init__(self) -> None:
        self._grpc, self._http, self._health, self._metrics = (free_port() for _ in range(4))
        self.grpc = f"http://127.0.0.1:{self._grpc}"
        self.http = f"http://127.0.0.1:{self._http}"
        self.health = f"http://127.0.0.1:{self._health}"
        self.metrics = f"http://127.0.0.1:{self._metrics}/metrics"

    def places(self) -> str:
        """Return what is laid over the configuration; YAML takes JSON."""
        protocols = {"grpc": {"endpoint": self.grpc[7:]}, "http": {"endpoint": self.http[7:]}}
        exporter = {"prometheus": {"host": "127.0.0.1", "port": self._metrics}}
        over = {
            "receivers": {"otlp": {"protocols": protocols}},
            "extensions": {"health_check": {"endpoint": self.health[7:]}},
            "service": {"telemetry": {"metrics": {"readers": [{"pull": {"exporter": exporter}}]}}},
        }
        return json.dumps(over)

    def decided(self) -> int:
        """Return for how many traces it has been decided whether they are kept."""
        lines = fetched(self.metrics).splitlines()
        return round(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(_DECIDED)))


@contextmanager
def gateway(directory: Path, **settings: str) -> Iterator[Gateway]:
    """Run it as it is configured, with these variables and ports of its own; what it holds is sent on at the end."""
    place = Gateway()
    over = directory / "gateway.json"
    over.write_text(place.places(), encoding="utf-8")
    command = (built("otelcol"), f"--config={CONFIG}", f"--config={over}")
    with running(command, over, place.health, {**os.environ, **settings}):
        yield place
