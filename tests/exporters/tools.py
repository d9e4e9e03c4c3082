"""The real programs: those of `make tools`, of the releases that the compose file runs, and the system's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "exporters" / "prometheus"
RULES = PROMETHEUS / "rules"
ALERTMANAGER = ROOT / "exporters" / "alertmanager" / "alertmanager.yml"

PATIENCE_S = 100


def built(name: str) -> str:
    """Return a program of the release that the compose file runs; skip where there is none, fail in CI."""
    return _required(ROOT / ".tools" / name, name, "make tools (needs Go 1.26 or newer)")


def packaged(name: str) -> str:
    """Return a program that the system has: Prometheus 2.42 on Debian 12."""
    return _required(shutil.which(name), name, "apt-get install prometheus (Debian, Ubuntu)")


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; what it says comes with how it ended."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def _required(path: str | Path | None, name: str, install: str) -> str:
    if path is not None and os.access(path, os.X_OK):
        return str(path)
    reason = f"{name} is not there: {install}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
