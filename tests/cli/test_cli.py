"""The command line: what it prints, how it refuses, how it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("litellm", "pydantic", "opentelemetry", "prometheus_client", "genai_prices")


def test_the_version_is_shown(run, monkeypatch):
    """With the name, for bug reports."""
    monkeypatch.setattr("llm_otel.__version__", "1.2.3", raising=False)

    assert "llm-otel 1.2.3\n" == run("--version").stdout


def test_help_names_every_command(run):
    """And nothing that does not exist yet."""
    page = run("--help").stdout
    commands = [line.split()[0] for line in page.partition("Commands:")[2].splitlines() if line]

    assert ["demo", "budgets", "exporter", "check", "models", "price", "route", "dashboards", "rules"] == commands


@pytest.mark.parametrize("group", [(), ("dashboards",), ("rules",)])
def test_the_list_of_commands_says_what_each_does_in_whole_sentences(run, group):
    """A line that is cut off tells nobody anything."""
    lines = run(*group, "--help").stdout.partition("Commands:")[2].split("\n")

    assert [] == [line for line in lines if line.strip() and not (line.endswith(".") and "..." not in line)]


def test_help_and_version_load_nothing_heavy():
    """Who only asks what there is waits for Python and typer."""
    program = (
        "import sys\n"
        "from llm_otel.cli import main\n"
        "sys.argv = ['llm-otel', '--help']\n"
        "try:\n    main()\n"
        f"finally:\n    print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)\n"
    )

    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "Usage:" in finished.stdout
    assert "[]" == finished.stderr.strip()


def test_a_reader_that_leaves_is_no_error():
    """`llm-otel models | head -1`: no traceback, no complaint at exit."""
    pipeline = f"{sys.executable} -m llm_otel models | head -1"

    finished = subprocess.run(["bash", "-c", pipeline], capture_output=True, text=True, check=True)

    assert finished.stdout.startswith("model ")
    assert "" == finished.stderr


# --- models -----------------------------------------------------------------------------------------------


def test_clients_that_nobody_closed_are_not_told_of_at_the_end():
    """LiteLLM leaves some; while the interpreter goes, asyncio's log would have a traceback for each."""
    program = (
        "import logging\n"
        "from llm_otel.cli import app\n"
        "class Left:\n"
        "    def __del__(self):\n"
        "        logging.getLogger('asyncio').error('Unclosed client session')\n"
        "app.app, app.left = lambda: None, Left()\n"
        "app.run()\n"
    )

    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "" == finished.stderr


def test_models_are_listed_with_their_prices(run):
    """US dollars for a million tokens, in 80 columns."""
    page = run("models", "--provider", "openai").stdout
    rows = {line.split()[0]: line.split() for line in page.splitlines() if line}

    assert ["gpt-4o-mini", "openai", "0.15", "0.6", "0.075", "128K", "economy"] == rows["gpt-4o-mini"]
    assert "claude-haiku-4-5" not in rows
    assert max(map(len, page.splitlines())) <= 80


def test_models_are_filtered_by_capability(run, monkeypatch):
    """Where there is room, what they are good for is shown."""
    monkeypatch.setenv("COLUMNS", "120")
    page = run("models", "--capability", "research").stdout

    assert "simple moderate complex coding research" in page
    assert "gpt-4o-mini" not in page


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("models", "--capability", "magic"), "'simple', 'moderate', 'complex', 'coding', 'research'"),
        (("models", "--provider", "opnai"), "did you mean 'openai'"),
        (("price", "gpt-4o-mni", "--input", "1"), "did you mean 'gpt-4o-mini'"),
        (("price", "openai/no-such-model", "--input", "1"), "no-such-model"),
        (("price", "gpt-4o", "--input", "10", "--cached", "11"), "--cached=11"),
        (("price", "gpt-4o", "--output", "10", "--reasoning", "11"), "--reasoning=11"),
        (("price", "gpt-4o", "--input", "1", "--tier", "gold"), "--tier='gold'"),
        (("price", "gpt-4o"), "--input"),
        (("demo", "--calls", "3"), "--calls=3"),
        (("demo", "--calls", "1000000"), "--calls=1000000"),
        (("demo", "--model", "gpt-4o"), "--provider"),
        (("demo", "--provider", "openai"), "OPENAI_API_KEY"),
        (("demo", "--provider", "anthropic"), "ANTHROPIC_API_KEY"),
        (("demo", "--provider", "google"), "GEMINI_API_KEY"),
    ],
)
def test_an_error_is_one_line_that_helps(run, monkeypatch, arguments, told):
    """On standard error, with exit code 2 and no traceback."""
    for name in ("OPENAI", "ANTHROPIC", "GEMINI", "GOOGLE"):
        for end in ("API_KEY", "AUTH_TOKEN", "API_BASE", "BASE_URL"):
            monkeypatch.delenv(f"{name}_{end}", raising=False)

    finished = run(*arguments)

    assert 2 == finished.exit_code
    assert "" == finished.stdout
    (line,) = finished.stderr.splitlines()
    assert line.startswith("llm-otel: ")
    assert told in line


# --- price ------------------------------------------------------------------------------------------------


def test_a_call_is_priced_exactly(run):
    """18 and 5 tokens of gpt-4o-mini, to the last digit, with who says so."""
    page = run("price", "gpt-4o-mini", "--input", "18", "--output", "5").stdout.splitlines()

    assert [
        "gpt-4o-mini (openai)",
        "  input   18 tokens  $0.0000027",
        "  output   5 tokens   $0.000003",
        "  total   23 tokens  $0.0000057",
    ] == page[:4]
    assert page[4].startswith("  price: catalog, checked 20")


def test_every_kind_of_token_has_its_price(run):
    """What is cached or reasoned is a part of the whole, and what the cache saved is told."""
    page = run(
        *("price", "claude-haiku-4-5", "--input", "10000", "--cached", "8000", "--cache-write", "1000"),
        *("--output", "500", "--reasoning", "200"),
    ).stdout
    amounts = {" ".join(line.split()[:-3]): line.split()[-1] for line in page.splitlines() if "tokens" in line}

    assert {
        "input": "$0.001",
        "cache read": "$0.0008",
        "cache write": "$0.00125",
        "output": "$0.0015",
        "reasoning": "$0.001",
        "total": "$0.00555",
    } == amounts
    assert "$0.0072" in page


@pytest.mark.parametrize(("day", "expected"), [("2026-11-30", "$0.002"), ("2026-12-01", "$0.004")])
def test_a_price_is_that_of_the_day(run, day, expected):
    """Google has announced dearer prices of this model from December on."""
    page = run("price", "gemini-4-argon", "--input", "1000", "--on", day).stdout

    assert f"  total  1,000 tokens  {expected}" in page.splitlines()


def test_a_service_tier_has_its_price(run):
    """Half price for who can wait."""
    page = run("price", "gpt-5", "--input", "1000000", "--tier", "flex").stdout

    assert "  total  1,000,000 tokens  $0.625" in page.splitlines()


# --- demo, as far as it goes without a call -----------------------------------------------------------------


def test_nothing_is_spent_without_consent(run, monkeypatch):
    """Where nobody can be asked, the price is told and `--yes` wanted."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret")

    finished = run("demo", "--provider", "openai")

    assert 2 == finished.exit_code
    # 20 × (2,000 × 150 + 256 × 600) nano-dollars
    assert "20 calls of gpt-4o-mini at openai cost $0.0091 at most" in finished.stderr
    assert "--yes" in finished.stderr
    assert "secret" not in finished.output
