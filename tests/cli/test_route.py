"""`llm-otel route`: which model a prompt would go to, and why."""

from __future__ import annotations

import json

import pytest

from llm_otel.models.providers import PROVIDERS

QUESTION = "What is the capital of France?"


@pytest.fixture
def route(run, monkeypatch):
    """Runs the command with keys for OpenAI and Anthropic alone."""
    for provider in PROVIDERS:
        for name in (*provider.key_env, *provider.address_env):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-nobody-else")
    return lambda *arguments, **options: run("route", *arguments, **options)


def test_one_line_says_model_cost_and_why(route):
    """Enough to be read at a glance."""
    finished = route(QUESTION, "--capability", "simple")

    assert "gpt-5-nano (openai), about $0.00010295: cheapest, capability:simple\n" == finished.stdout
    assert "" == finished.stderr


def test_a_model_that_is_named_is_not_said_to_have_no_price(route):
    """It is compared with nothing, so its cost is not asked."""
    assert "gpt-4o (openai): explicit_model\n" == route(QUESTION, "--model", "gpt-4o").stdout


def test_without_a_word_the_prompt_is_rated(route):
    """As with `model="auto"`."""
    alone, said = route(QUESTION), route(QUESTION, "--model", "auto")

    assert alone.stdout == said.stdout
    assert ", rated:simple" in alone.stdout


def test_the_prompt_may_come_from_a_pipe(route):
    """Prompts are often longer than a shell likes."""
    assert route(QUESTION).stdout == route("-", input=QUESTION).stdout


def test_an_explanation_is_sentences_and_every_model(route):
    """In 80 columns: what fits with its cost, the rest with what is in the way."""
    page = route(QUESTION, "--capability", "complex", "--deny", "gpt-4o", "--explain").stdout
    lines = page.splitlines()
    rows = {line.split()[0]: line for line in lines[lines.index("") + 2 :]}

    assert lines[0].startswith("o4-mini (openai), about $0.00")
    assert "- The caller asked for a model that is good enough for complex work." in lines
    assert rows["o4-mini"].endswith("taken")
    assert rows["claude-opus-5-5"].split()[2].startswith("$0.0")
    assert "deny_models has 'gpt-4o'" in rows["gpt-4o"]
    assert 46 == len([line for line in lines if " openai " in line or " anthropic " in line or " ollama " in line
                      or " gcp.gemini " in line])  # fmt: skip
    assert max(map(len, page.splitlines())) <= 80


def test_programs_read_json(route):
    """The decision as it stands in the response."""
    decision = json.loads(route(QUESTION, "--tier", "premium", "--json").stdout)

    assert ("tier", ["cheapest", "tier:premium"]) == (decision["policy"], decision["reason_codes"])
    assert 46 == len(decision["candidates"])


def test_limits_bear_on_the_choice(route):
    """An answer of 20,000 tokens is too long for many, and a cost can be ruled out."""
    page = route(QUESTION, "--capability", "simple", "--max-tokens", "20000", "--explain").stdout

    assert "its answers have" in page
    assert 2 == route(QUESTION, "--capability", "simple", "--max-cost-usd", "0").exit_code


def test_where_no_provider_is_configured_all_are_compared(route, monkeypatch):
    """On a laptop the command is useful, and says what a call would need."""
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("ANTHROPIC_API_KEY")

    finished = route(QUESTION, "--capability", "coding", "--deny", "ollama")

    assert 0 == finished.exit_code
    assert "No provider is configured here, so all are taken to be." in finished.stderr
    assert "OPENAI_API_KEY" in finished.stderr


def test_every_provider_can_be_compared(route):
    """A local model is free, if there is a server."""
    assert "(openai)" in route(QUESTION, "--capability", "simple").stdout
    assert "llama3 (ollama), about $0.00: " in route(QUESTION, "--capability", "simple", "--all-providers").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("", "--capability", "simple"), "prompt=''"),
        ((QUESTION, "--capability", "magic"), "capability='magic'"),
        ((QUESTION, "--tier", "gold"), "tier='gold'"),
        ((QUESTION, "--capability", "simple", "--allow", "google"), "set GEMINI_API_KEY"),
        ((QUESTION, "--max-cost-usd", "much"), "max_cost_usd='much'"),
    ],
)
def test_an_error_is_one_line_that_says_what_helps(route, arguments, told):
    """With exit code 2 and no traceback."""
    finished = route(*arguments)

    assert 2 == finished.exit_code
    (line,) = finished.stderr.splitlines()
    assert told in line


def test_an_unknown_option_is_told(route):
    """By typer, like everywhere."""
    assert 2 == route(QUESTION, "--max-tokens", "0").exit_code
