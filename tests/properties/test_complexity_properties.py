"""Ratings, whatever is sent: they never fail, never waver, and more difficulty never makes a task easier."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from llm_otel.models.entry import ModelCapability
from llm_otel.routing.complexity import classify, rate
from llm_otel.routing.evidence import Evidence
from llm_otel.routing.signals import STRONG, WEAK

LEVELS = (ModelCapability.SIMPLE, ModelCapability.MODERATE, ModelCapability.COMPLEX)

# One sentence for each signal of difficulty.
HARD = {
    "proof": "Prove it.",
    "steps_shown": "Think carefully.",
    "mathematics": "Use the theorem.",
    "puzzle": "How many ways are there?",
    "diagnosis": "Find the root cause.",
    "reasoning_verb": "Evaluate it.",
    "weighing_words": "Name the risks.",
    "planning": "Design the whole.",
    "expert_field": "Mind the statute.",
    "hard_engineering": "Mind the deadlock.",
    "conditions": "It must be short.",
    "comparison": "Which one is better?",
    "explanation": "Say why.",
    "composition": "Write it down.",
    "deliberation": "What would you do?",
    "plan_wanted": "It is for a savings plan.",
    "long_answer": "It fills 3 pages.",
}
PIECES = [
    *HARD.values(),
    "Translate into French: good night.",
    "What is the capital of Peru?",
    "Answer yes or no.",
    "Thanks!",
    "Hello,",
    "def f(x):",
    "Fix the query in main.py.",
    "Cite published studies.",
    "Mein Akku lädt nicht.",
    "请帮我写一封信。",
    "1, 2, 3 and 4.5",
    "?",
]

odd_text = st.text(st.characters(codec=None), max_size=40) | st.sampled_from(PIECES)
odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=4) | odd_text,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "text", "type", "x"]), inner, max_size=3)
        | st.builds(lambda role, content: SimpleNamespace(role=role, content=content), inner, inner)
    ),
    max_leaves=8,
)
roles = st.sampled_from(["user", "system", "developer", "assistant", "tool"])
messages = st.lists(st.fixed_dictionaries({"role": roles | odd, "content": odd_text | odd}) | odd, max_size=5)
paragraphs = st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join)

evidence = st.builds(
    Evidence,
    name=st.sampled_from(["a", "b", "c"]),
    difficulty=st.integers(0, 60),
    coding=st.integers(0, 2),
    research=st.integers(0, 3),
    forbids_simple=st.booleans(),
)
evidences = st.lists(evidence, max_size=6)


@given(messages | odd, st.integers(-1, 1_000), st.booleans(), st.booleans())
def test_nothing_that_is_sent_raises_and_the_answer_stays(sent, tools_count, has_images, wants_json):
    """A level is a level, a score lies between 0 and 1, and the same input gives the same rating."""
    ratings = [classify(sent, tools_count=tools_count, has_images=has_images, wants_json=wants_json) for _ in range(2)]

    assert ratings[0] == ratings[1]
    assert ratings[0].level in LEVELS
    assert 0 <= ratings[0].score <= 1
    assert ratings[0].capability in {ratings[0].level, ModelCapability.CODING, ModelCapability.RESEARCH}


@given(evidences, evidences, evidence)
def test_further_evidence_never_lowers_the_score(ease, known, further):
    """Nor the level: whatever is known already."""
    before, after = rate(ease=ease, evidence=known), rate(ease=ease, evidence=[*known, further])

    assert before.score <= after.score
    assert LEVELS.index(before.level) <= LEVELS.index(after.level)


@given(evidences, evidences)
def test_the_level_follows_the_score(ease, known):
    """There is no level that the score does not show."""
    rating = rate(ease=ease, evidence=known)

    expected = LEVELS[0] if rating.score < 0.3 else LEVELS[1] if rating.score < 0.6 else LEVELS[2]
    assert expected == rating.level


@given(evidences)
def test_simple_needs_evidence_of_ease(known):
    """However little there is of anything else."""
    assert ModelCapability.SIMPLE != rate(ease=(), evidence=known).level


@given(paragraphs, st.sampled_from(sorted(HARD.values())))
def test_a_sentence_that_asks_for_more_never_makes_a_task_easier(text, sentence):
    """In a message of one paragraph; what stands in pasted material is another matter."""
    before, after = (classify([{"role": "user", "content": each}]) for each in (text, f"{text}. {sentence}"))

    assert before.score <= after.score
    assert LEVELS.index(before.level) <= LEVELS.index(after.level)


@given(st.sampled_from(sorted(HARD.items())))
def test_each_signal_of_difficulty_is_found_and_forbids_simple(example):
    """Even in a message that shows an easy task as well."""
    name, sentence = example

    rating = classify([{"role": "user", "content": f"Answer yes or no. {sentence}"}])

    assert name in rating.signals
    assert ModelCapability.SIMPLE != rating.level


def test_each_signal_of_difficulty_has_an_example():
    """So that none escapes the rules above."""
    assert {signal.shows.name for signal in (*STRONG, *WEAK)} == HARD.keys()
