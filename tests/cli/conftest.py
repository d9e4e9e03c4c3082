"""The command line in this process, and ledgers for it to read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llm_otel.budget_files import read_budgets
from llm_otel.budgets.ledger import Hold, Settlement
from llm_otel.budgets.matching import BudgetSet
from llm_otel.cli.app import app
from llm_otel.clock import SystemClock
from llm_otel.config import Settings
from llm_otel.stores.opening import open_store

BUDGETS = """
[[budgets]]
id = "company"
limit_usd = "500"
window = "lifetime"

[[budgets]]
id = "team"
limit_usd = "2"
window = "lifetime"
by = "team"

[[budgets]]
id = "user"
limit_usd = "1"
window = "lifetime"
by = "user"
kind = "soft"
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command line in this process, as in a terminal of 80 columns, with nothing configured."""
    monkeypatch.setenv("COLUMNS", "80")
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name in (*Settings.model_fields, "config_file"):
        monkeypatch.delenv(f"LLM_OTEL_{name.upper()}", raising=False)

    def invoke(*arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(app, list(arguments), **options)

    return invoke


@pytest.fixture
def budgets_file(tmp_path: Path) -> Path:
    """A company, its teams and its users."""
    path = tmp_path / "budgets.toml"
    path.write_text(BUDGETS)
    return path


@pytest.fixture
def ledger(tmp_path: Path, budgets_file: Path) -> str:
    """A ledger in a file, in which two teams have spent, and one of them is about to."""
    url = f"sqlite:///{tmp_path / 'spend.db'}"
    spend(url, budgets_file, "search", "ann", 1_500_000_000)
    spend(url, budgets_file, "search", "bob", 100_000_000, is_settled=False)
    spend(url, budgets_file, "growth", "bob", 500_000_000)
    return url


def spend(url: str, budgets_file: Path, team: str, user: str, nano: int, *, is_settled: bool = True) -> None:
    """Hold an amount, in nano-USD, on every budget that matches, and settle it."""
    clock = SystemClock()
    store = open_store(url, clock_ms=lambda: clock.now_ns() // 1_000_000)
    matched = BudgetSet(read_budgets(budgets_file)).match(
        {"team": team, "user": user}, provider="openai", model="gpt-4o-mini", now_s=clock.now_ns() // 10**9
    )
    store.reserve(Hold(f"{team}-{user}", nano, 0, 600_000, matched.lines))
    if is_settled:
        store.settle(Settlement(f"{team}-{user}", nano, matched.lines))
    store.close()
