"""Every reason code has a sentence that a person understands."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_otel.routing import reasons
from llm_otel.routing.reasons import CODES, coded, explain

CONSTANTS = {name: value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)}


def test_every_code_is_explained():
    """The constants of the module are all there are."""
    assert set(CODES) == set(CONSTANTS.values())


@pytest.mark.parametrize("code", CODES)
def test_an_explanation_is_one_sentence(code):
    """With the detail in it, where there is one."""
    sentence = explain(coded(code, "detail"))

    assert sentence.endswith(".")
    assert "{" not in sentence
    assert "\n" not in sentence


def test_a_name_that_a_user_gave_is_quoted():
    """Whatever stands in it."""
    assert explain("budget_near:team: a {b}").startswith("The budget 'team: a {b}' is nearly used up")


def test_a_signal_is_told_in_words():
    """Its name is what it says."""
    assert "What the rating went by: asks for code." == explain("signal:asks_for_code")


def test_a_code_of_another_version_is_told_as_it_is():
    """Decisions may be kept longer than a version is."""
    assert "The reason 'moon:full' is not one of this version's." == explain("moon:full")


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_in_the_documentation(code):
    """Where somebody looks who saw one on a span."""
    page = (Path(__file__).parents[2] / "docs/routing.md").read_text()
    _, _, table = page.partition("## What the reasons mean")

    assert f"`{code}`" in table or f"`{code}:" in table
