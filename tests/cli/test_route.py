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


def test_a_provider_can_be_said(route):
    """As with `LLMConfig(provider=...)`: only its models are compared, and a name is asked of it."""
    assert (
        "claude-haiku-5-5 (anthropic), " in route(QUESTION, "--capability", "simple", "--provider", "anthropic").stdout
    )
    assert "gpt-4o (openrouter): " in route(QUESTION, "--model", "gpt-4o", "--provider", "openrouter").stdout


def test_a_request_is_more_than_its_text(route):
    """Tools, images and JSON rule models out, and images are read too."""
    taken = json.loads(
        route(QUESTION, "--tools", "2", "--images", "1", "--json-mode", "--model", "auto", "--json").stdout
    )
    why_not = {each["model"]: each["why_not"] for each in taken["candidates"]}
    bare = json.loads(route(QUESTION, "--model", taken["model"], "--capability", "simple", "--json").stdout)

    assert "it takes no images, and the request has 1" == why_not["gpt-3.5-turbo"]
    assert "it takes no tools, and the request brings some" == why_not["llama3"]
    assert float(bare["candidates"][0]["estimated_cost_usd"]) < float(taken["candidates"][0]["estimated_cost_usd"])


def test_a_service_tier_has_prices_of_its_own(route):
    """Flex costs half."""
    usual, flex = (
        json.loads(route(QUESTION, "--capability", "complex", "--allow", "o4-mini", *more, "--json").stdout)
        for more in ((), ("--service-tier", "flex"))
    )
    half = float(usual["candidates"][0]["estimated_cost_usd"]) / 2

    assert half == pytest.approx(float(flex["candidates"][0]["estimated_cost_usd"]))


def test_what_auto_would_do_can_be_observed(route):
    """As with `LLMConfig(routing="observe")`."""
    assert "gpt-4o (openai), about $0.00" in route(QUESTION, "--model", "gpt-4o", "--observe").stdout
    assert "observed:gpt-5-nano" in route(QUESTION, "--model", "gpt-4o", "--observe").stdout


def test_amounts_are_plain_in_json(route):
    """Local models cost nothing, which Python would write as `0E-9`."""
    decision = json.loads(route(QUESTION, "--capability", "simple", "--all-providers", "--json").stdout)

    assert "0.00" == decision["candidates"][0]["estimated_cost_usd"]


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
        ((QUESTION, "--capability", "magic"), " --capability='magic'"),
        ((QUESTION, "--tier", "gold"), " --tier='gold'"),
        ((QUESTION, "--floor", "coding"), " --floor='coding'"),
        ((QUESTION, "--capability", "simple", "--allow", "google"), "set GEMINI_API_KEY"),
        ((QUESTION, "--allow", ""), " --allow="),
        ((QUESTION, "--max-cost-usd", "much"), " --max-cost-usd='much'"),
        ((QUESTION, "--provider", "opnai"), " --provider='opnai'"),
        ((QUESTION, "--provider", "google"), "set GEMINI_API_KEY"),
        ((QUESTION, "--service-tier", "gold"), " --service-tier='gold'"),
        ((QUESTION, "--observe"), " --model=None"),
        ((QUESTION, "--observe", "--model", "auto"), " --model='auto'"),
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
    assert 2 == route(QUESTION, "--images", "-1").exit_code
