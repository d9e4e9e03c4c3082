"""The plan of the demo: exact in number, the same for the same seed."""

from __future__ import annotations

import pytest

from llm_otel.demo import prompts, scenario
from llm_otel.demo.simulator import tokens
from llm_otel.demo.target import MAX_INPUT_TOKENS, MAX_OUTPUT_TOKENS


@pytest.mark.parametrize("calls", [scenario.MIN_CALLS, scenario.MIN_CALLS + 1, 300])
@pytest.mark.parametrize("seed", [0, 7])
def test_a_plan_makes_as_many_calls_as_asked_for(calls, seed):
    """An errand may make several calls; their sum is exact all the same."""
    assert calls == scenario.plan(calls, seed).calls
    assert calls == scenario.plan(calls, seed, special=()).calls
    assert calls == scenario.real_plan(calls, seed).calls


def test_the_same_seed_plans_the_same():
    """Texts, order and mishaps follow from the seed alone."""
    assert scenario.plan(120, 5) == scenario.plan(120, 5)
    assert scenario.plan(120, 5) != scenario.plan(120, 6)


def test_no_text_is_part_of_another():
    """A mishap finds its request by the text. What is asked at the help page is asked again, and meets none."""
    plan = scenario.plan(400, 1)
    texts = [errand.text for errand in (*plan.whole, *plan.broken) if errand.line is not scenario.HELP]
    helped = [errand for errand in plan.whole if errand.line is scenario.HELP]

    assert [] == [(a, b) for a in texts for b in texts if a is not b and a in b]
    assert {()} == {errand.mishaps for errand in helped}
    assert set(prompts.HELP_QUESTIONS) == {errand.text for errand in helped}


def test_every_usual_line_is_in_the_shortest_plan():
    """However short the run, every feature has a row."""
    plan = scenario.plan(scenario.MIN_CALLS, 0)

    assert set() == {line.run for line in scenario.USUAL} - {errand.line.run for errand in plan.whole}


def test_only_the_pilot_belongs_to_the_labs():
    """Their budget refuses calls: which ones must not depend on what runs beside them."""
    with_pilot, without = (scenario.plan(120, 5, special=each) for each in ((scenario.PILOT,), ()))

    assert scenario.PILOT == with_pilot.whole[0].line
    assert scenario.PILOT not in {errand.line for errand in (*with_pilot.whole[1:], *without.whole)}
    assert () == with_pilot.whole[0].mishaps


@pytest.mark.parametrize("seed", range(5))
def test_the_shortest_plan_asks_something_again(seed):
    """Else there would be nothing for the response cache to do."""
    plan = scenario.plan(scenario.MIN_CALLS, seed)
    asked = [errand.text for errand in plan.whole if errand.line is scenario.HELP]

    assert len(asked) > len(set(asked))


def test_the_outage_is_of_one_model_and_one_morning():
    """Two batches, of which the first opens the circuit; whoever stands in meets no outage, nor does the evening."""
    plan = scenario.plan(scenario.MIN_CALLS, 0)
    (errand,) = (each for each in plan.whole if each.line is scenario.NOTICES)
    morning, later = (part.splitlines() for part in errand.text.split("\n\n"))

    assert (prompts.MORNING_NOTICES, prompts.LATER_NOTICES) == (len(morning), len(later))
    assert scenario.NOTICES.calls == len(morning) + len(later)
    assert not any(prompts.MORNING in each.text for each in plan.whole if each is not errand)
    assert all(prompts.MORNING in notice for notice in morning)
    assert not any(prompts.MORNING in notice for notice in later)


def test_some_shoppers_ask_more_than_others():
    """All have a name, and it follows from the session."""
    names = [prompts.shopper(f"How far? (session {number})") for number in range(1_000, 1_100)]

    assert 8 < len(set(names)) <= 10
    assert max(map(names.count, names)) > 2 * min(map(names.count, names))


def test_against_a_real_provider_nothing_goes_wrong_on_purpose():
    """There is nobody to script, and the first call stands alone."""
    plan = scenario.real_plan(60, 2)

    assert () == plan.mishaps
    assert 1 == plan.whole[0].line.calls


def test_no_prompt_is_longer_than_the_ceiling_assumes():
    """What a real provider may cost at most is told by it: instructions, text, and what an earlier call wrote."""
    plan = scenario.real_plan(400, 3)
    longest = max(tokens.count(errand.text) for errand in (*plan.whole, *plan.broken))
    handbook = tokens.count(prompts.handbook())

    assert longest + max(handbook, MAX_OUTPUT_TOKENS) + 100 <= MAX_INPUT_TOKENS
