"""`llm-otel budgets`: what a shared ledger says, and what is said where it cannot be asked."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import spend


def test_every_budget_is_shown_with_its_bar(run, ledger, budgets_file):
    """Spent, held and left, in 80 columns."""
    finished = run("budgets", "--ledger", ledger, "--budgets-file", str(budgets_file))

    assert (0, "") == (finished.exit_code, finished.stderr)
    page = finished.stdout.splitlines()
    assert page[1].startswith("company       █▒·")
    assert page[1].endswith("  <1%    $2.00    $0.10   $497.90")
    assert "team          2 scopes: 2 ok, 0 near, 0 exceeded" in page
    assert "user          2 scopes: 1 ok, 0 near, 1 exceeded" in page
    rows = {line.split()[0]: line.split()[2:] for line in page if line.startswith("  ")}
    assert ["75%", "$1.5000", "$0.1000", "$0.4000"] == rows["search"]
    assert ["150%", "$1.5000", "$0.0000", "-$0.5000"] == rows["ann"]
    assert page[-1].startswith(ledger)
    assert [] == [line for line in page[:-1] if len(line) > 80]


def test_the_configuration_of_the_services_is_enough(run, ledger, budgets_file, monkeypatch):
    """Variables, as the services have them."""
    monkeypatch.setenv("LLM_OTEL_LEDGER", ledger)
    monkeypatch.setenv("LLM_OTEL_BUDGETS_FILE", str(budgets_file))

    assert "company " in run("budgets").stdout


def test_a_configuration_file_may_hold_all_of_it(run, ledger, budgets_file):
    """Ledger and budgets in one place."""
    path = budgets_file.with_name("llm-otel.toml")
    path.write_text(f'ledger = "{ledger}"\n{budgets_file.read_text()}')

    assert "company " in run("budgets", "--config-file", str(path)).stdout


def test_only_so_many_scopes_are_shown(run, ledger, budgets_file):
    """The most used ones."""
    page = run("budgets", "--ledger", ledger, "--budgets-file", str(budgets_file), "--top", "1").stdout

    assert "  search " in page
    assert "  growth " not in page
    assert 2 == page.count("  and 1 more")


def test_programs_get_exact_amounts(run, ledger, budgets_file):
    """All scopes; dollars as text, times as ISO 8601."""
    finished = run("budgets", "--ledger", ledger, "--budgets-file", str(budgets_file), "--json", "--top", "1")

    told = json.loads(finished.stdout)
    company, team, _ = told["budgets"]
    assert ledger == told["ledger"]
    assert told["at"].endswith("+00:00")
    assert {
        "id": "company",
        "kind": "hard",
        "by": [],
        "window": "lifetime",
        "limit_usd": "500.000000000",
        "resets_at": None,
        "scopes": [
            {
                "scope": "",
                "spent_usd": "2.000000000",
                "held_usd": "0.100000000",
                "headroom_usd": "497.900000000",
                "state": "ok",
            }
        ],
    } == company
    assert ["search", "growth"] == [each["scope"] for each in team["scopes"]]


def test_programs_get_plain_amounts(run, ledger, budgets_file):
    """A quarter of a millionth of a dollar is no `2.5E-7`, and nothing is no `0E-9`."""
    spend(ledger, budgets_file, "tiny", "eve", 250)

    told = json.loads(run("budgets", "--ledger", ledger, "--budgets-file", str(budgets_file), "--json").stdout)

    tiny = next(each for each in told["budgets"][1]["scopes"] if each["scope"] == "tiny")
    assert ("0.000000250", "0.00", "1.999999750") == (tiny["spent_usd"], tiny["held_usd"], tiny["headroom_usd"])


def test_a_ledger_in_memory_is_nobody_elses(run, budgets_file):
    """What to use instead is said; exit code 2, as for every setting that cannot be used."""
    finished = run("budgets", "--budgets-file", str(budgets_file))

    assert (2, "") == (finished.exit_code, finished.stdout)
    (line,) = finished.stderr.splitlines()
    for told in ("lives in the process that spends", "sqlite:///", "redis://", "LLM_OTEL_LEDGER"):
        assert told in line


def test_without_budgets_it_says_how_to_declare_one(run, ledger):
    """That is no failure."""
    finished = run("budgets", "--ledger", ledger)

    assert (0, "") == (finished.exit_code, finished.stdout)
    assert "[[budgets]]" in finished.stderr
    assert "LLM_OTEL_BUDGETS_FILE" in finished.stderr


def test_a_ledger_that_is_not_there_is_not_made(run, tmp_path, budgets_file):
    """A slip of the pen would look like budgets that nobody has touched."""
    path = tmp_path / "speend.db"

    finished = run("budgets", "--ledger", f"sqlite:///{path}", "--budgets-file", str(budgets_file))

    assert (1, "") == (finished.exit_code, finished.stdout)
    assert "there is no file" in finished.stderr
    assert not path.exists()


def test_a_ledger_that_does_not_answer_is_one_line(run, budgets_file):
    """Exit code 1, and no password."""
    pytest.importorskip("redis")

    finished = run("budgets", "--ledger", "redis://:sesame@127.0.0.1:1/0", "--budgets-file", str(budgets_file))

    assert (1, "") == (finished.exit_code, finished.stdout)
    (line,) = finished.stderr.splitlines()
    assert line.startswith("llm-otel: the ledger cannot be reached: redis://127.0.0.1:1/0")
    assert "sesame" not in finished.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--ledger", "postgres://:sesame@box/db"), "ledger='postgres'"),
        (("--budgets-file", "nowhere.toml"), "nowhere.toml"),
        (("--config-file", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(run, arguments, told):
    """Exit code 2, one line, no password."""
    finished = run("budgets", *arguments)

    assert 2 == finished.exit_code
    (line,) = finished.stderr.splitlines()
    assert told in line
    assert "sesame" not in line


def test_an_error_in_the_file_is_told_with_its_line(run, ledger, budgets_file):
    """File, line and field."""
    budgets_file.write_text('[[budgets]]\nid = "a"\nwindow = "day"\nlimit_usd = "-1"\n')

    finished = run("budgets", "--ledger", ledger, "--budgets-file", str(budgets_file))

    assert 2 == finished.exit_code
    assert f"{budgets_file}:4: limit_usd" in finished.stderr
