"""The labelled prompts, what the rules make of them, and the page that says so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.routing_prompts import BLIND, SPLITS, THIRD, labelled
from benchmarks.routing_quality import LengthOnly, rated, tables
from llm_otel.models.entry import ModelCapability
from llm_otel.routing import kinds, signals
from llm_otel.routing.evidence import Signal

PAGE = Path(__file__).parents[2] / "docs/routing-quality.md"
LEVELS = (ModelCapability.SIMPLE, ModelCapability.MODERATE, ModelCapability.COMPLEX)


def share(prompts, is_right):
    """Return how many of the prompts are right, from 0 to 1."""
    return sum(map(is_right, prompts)) / len(prompts)


def by_class(prompt):
    """Return whether the rules find the class of a prompt."""
    return rated(prompt).capability == prompt.capability


@pytest.fixture(scope="module")
def tune():
    """The half that rules may be chosen on."""
    return labelled("tune")


@pytest.fixture(scope="module")
def held_out():
    """The half whose errors are not to be tuned on."""
    return labelled("held_out")


@pytest.fixture(scope="module")
def blind():
    """What a second author wrote; rules were changed for its errors since."""
    return labelled(BLIND)


@pytest.fixture(scope="module")
def third():
    """What a third author wrote; no rule was changed for it."""
    return labelled(THIRD)


@pytest.mark.parametrize(
    ("split", "of_each"), [("tune", {25}), ("held_out", {25}), (BLIND, {20}), (THIRD, {23, 24, 25})]
)
def test_the_set_is_balanced(split, of_each):
    """As many prompts of each class, or nearly, in each split; the level of a level is itself."""
    prompts = labelled(split)

    counts = Counter(each.capability for each in prompts)
    assert (set(ModelCapability), of_each) == (set(counts), set(counts.values()))
    assert all(each.level in LEVELS for each in prompts)
    assert all(each.level == each.capability for each in prompts if each.capability in LEVELS)


def test_no_prompt_stands_in_two_splits(tune, held_out, blind, third):
    """What was tuned on would not be held out, nor blind."""
    texts = [each.messages[-1]["content"] for each in (*tune, *held_out, *blind, *third)]

    assert len(texts) == len(set(texts))


@pytest.mark.parametrize(
    ("split", "measured", "by_level_measured"), [(THIRD, 67.5, 57.5), (BLIND, 83.0, 77.0), ("held_out", 90.4, 90.4)]
)
def test_rules_are_right_as_often_as_they_were(split, measured, by_level_measured):
    """In percent (2026-11-23), by class and by level. A change that loses more than two points has to be meant."""
    prompts = labelled(split)

    assert 100 * share(prompts, by_class) >= measured - 2
    assert 100 * share(prompts, lambda prompt: rated(prompt).level == prompt.level) >= by_level_measured - 2


def test_earlier_turns_are_read_whichever_author_wrote_them():
    """Each has a way of its own to note them; a follow-up without them is another prompt."""
    roles = {split: [{turn["role"] for turn in each.messages} for each in labelled(split)] for split in SPLITS}
    counts = {split: sum("assistant" in each for each in conversations) for split, conversations in roles.items()}

    assert {"tune": 2, "held_out": 3, BLIND: 6, THIRD: 14} == counts


@pytest.mark.parametrize(("split", "lead"), [("held_out", 0.58), (BLIND, 0.55), (THIRD, 0.43)])
def test_rules_beat_both_baselines(tune, split, lead):
    """Otherwise their pages of words would not be worth reading."""
    length, prompts = LengthOnly.fitted(tune), labelled(split)
    best = max(
        share(prompts, lambda prompt: length(prompt) == prompt.capability),
        share(prompts, lambda prompt: prompt.capability == ModelCapability.MODERATE),
    )

    assert share(prompts, by_class) >= best + lead


@pytest.mark.parametrize("split", SPLITS)
def test_nothing_hard_is_called_simple(split):
    """The one mistake that must not happen: neither complex tasks nor code nor research that is not simple."""
    wrong = [each.messages for each in labelled(split) if "simple" == rated(each).level != each.level]

    assert [] == wrong


def test_the_page_has_the_numbers_that_are_measured():
    """Otherwise: paste what `python -m benchmarks.routing_quality` prints."""
    page = PAGE.read_text(encoding="utf-8")

    assert [] == [title for title, table in tables().items() if table not in page]


def test_no_signal_is_for_nothing(tune, held_out, blind):
    """Each is seen in a prompt that rules were chosen on, or in one by their author."""
    values = [value for module in (signals, kinds) for value in vars(module).values()]
    groups = [value if isinstance(value, tuple) else (value,) for value in values]
    names = {each.shows.name for group in groups for each in group if isinstance(each, Signal)}

    assert names <= {name for prompt in (*tune, *held_out, *blind) for name in rated(prompt).signals}


@pytest.mark.parametrize("split", [THIRD])
def test_the_examples_of_the_page_are_prompts_that_go_wrong_so(split):
    """Each row of its tables of errors begins with a prompt of that split, rated as the row says."""
    title = f"| prompt ({split.replace('_', '-')}) |"
    table = PAGE.read_text(encoding="utf-8").partition(title)[2].partition("\n\n")[0]
    rows = [row.strip("| ").split(" | ") for row in table.splitlines()[2:]]
    assert rows

    for text, actual, chosen, _ in rows:
        start = text.partition(" (")[0].partition(" ...")[0].rstrip("?")
        [found] = [each for each in labelled(split) if each.messages[-1]["content"].startswith(start)]
        assert actual != chosen
        assert (actual, chosen) == (found.capability, rated(found).capability)
