"""How much a prompt asks of a model, by local rules: no model, no network, linear time, the same answer every time.

Rules look at words and shapes, and so they guess. They err to the careful side: "simple" needs evidence that the task
is simple and none against it; what shows nothing is moderate. How often they are right, and where not, is measured:
docs/routing-quality.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from llm_otel.models.entry import ModelCapability
from llm_otel.routing.evidence import Evidence, seen
from llm_otel.routing.kinds import ASK_CODE, ASK_RESEARCH, CODE, IDENTIFIERS, SOURCES
from llm_otel.routing.prompt import Prompt
from llm_otel.routing.signals import (
    ASKS,
    BULK,
    COMPOSITION,
    DELIBERATION,
    DEMANDS,
    PLAN_WANTED,
    PLANNING,
    PLEASANTRY,
    QUANTITY,
    QUESTION,
    RELATION,
    SHORT_ANSWER,
    SHORT_CODE,
    SHORT_LOOKUP,
    STRONG,
    TEXT_TASKS,
    THANKS,
    WEAK,
)

EASY_BASE, BASE = 10, 35
"""Hundredths of the score from which difficulty counts up: of a task that shows itself to be easy, and of any other."""
SIMPLE_BELOW, COMPLEX_FROM = 30, 60
"""Between these two a task is moderate."""
DECISIVE = 2
"""Points that make a task one of coding, or of research."""
SLIGHT = 5
"""Hundredths of difficulty that a few characters of code may have and still be simple."""
SHORT = 160
"""Characters of a question that may be a mere look-up; pleasantries are not counted."""
READ_FOR_EASE = 600
"""Characters of a message that may be small talk, or padded with it."""
PUZZLE = 900
"""Characters of a text that may be a puzzle."""
LONG = 4_000
"""Characters of the last message from which its length counts."""
MANY_TURNS = 10
MANY_TOOLS = 5

RELATIONS, PARTS = 3, 5
"""So many relations, and with the quantities so many parts, and a question: a puzzle."""
SITUATION, FACTS = 180, 4
"""Characters and quantities of a question that has a situation of its own."""
CLAUSES = 4
"""Clauses of one that asks what to do."""

_TELLS_FIRST = re.compile(r"[.!?]\s|,\s(?:how|what|who|which|where|when|is|are|does|i|i'?ve|we|my|but)\b")
_CLAUSE_END = re.compile(r"[.,;:!?]\s|\s(?:but|and|because|although|while|so)\s")
_ASKED = (*ASK_CODE, *ASK_RESEARCH, *STRONG, *WEAK, *BULK)
_DEMANDS = (*ASK_CODE, *ASK_RESEARCH, *DEMANDS)
_PUZZLE = Evidence(name="quantity_puzzle", difficulty=25)
_TOLD = Evidence(name="told_situation", difficulty=15)
_SITUATION = Evidence(name="situation", difficulty=10)
_SMALL_TALK = Evidence(name="small_talk")
_LONG_MESSAGE = Evidence(name="long_message", difficulty=5, forbids_simple=False)
_LONG_CONVERSATION = Evidence(name="long_conversation", difficulty=5, forbids_simple=False)
_MANY_TOOLS = Evidence(name="many_tools", difficulty=10)
_IMAGES = Evidence(name="images", difficulty=5)
_STRUCTURED_OUTPUT = Evidence(name="structured_output", difficulty=5, forbids_simple=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What a prompt was found to need.

    Attributes:
        capability: What the model must be good enough for: `coding` or `research` where the prompt shows that, else
            the level.
        level: How hard it is: simple, moderate or complex, whatever the capability.
        score: The same from 0 to 1. More evidence of difficulty never lowers it.
        signals: Names of the evidence, what counts most first. Constants; nothing of the prompt's text.
    """

    capability: ModelCapability
    level: ModelCapability
    score: float
    signals: tuple[str, ...] = ()


def classify(messages: Any, *, tools_count: int = 0, has_images: bool = False, wants_json: bool = False) -> Rating:
    """Rate what a conversation asks for now. Never raises, whatever the messages are.

    The last user message is read, at most 6,000 characters of it, both ends kept; the system prompt where it is short
    enough to be the task itself ("Label the ticket: refund, delivery or other"); and what a short message goes on with.

    Example:
        >>> classify([{"role": "user", "content": "Translate into French: Good night."}]).capability.value
        'simple'
    """
    prompt = Prompt.of(messages)
    circumstances = _circumstances(prompt, tools_count=tools_count, has_images=has_images, wants_json=wants_json)
    given = seen(_DEMANDS, prompt.orders)
    ordered = seen(TEXT_TASKS, prompt.task)
    if ordered:
        # The message is the text that the system prompt's order is about, whatever it says.
        return rate(ease=ordered, evidence=[*given, *seen(CODE, prompt.text), *circumstances])
    orders = seen(TEXT_TASKS, prompt.instruction)
    if orders:
        evidence = [*given, *seen(_ASKED, prompt.order), *seen(CODE, prompt.text), *circumstances]
        return rate(ease=[*orders, *_other_ease(prompt)], evidence=evidence)
    ease = _other_ease(prompt)
    evidence = [*given, *_asked(prompt), *seen((*CODE, IDENTIFIERS, SOURCES), prompt.text), *circumstances]
    if _SMALL_TALK not in ease:
        evidence += _goes_on_with(prompt, known=evidence)
    return rate(ease=ease, evidence=evidence)


def _asked(prompt: Prompt) -> list[Evidence]:
    """Return what a message asks for, where it gives no order about a text."""
    asked = prompt.ask
    if DELIBERATION.seen_in(asked):
        # What to do depends on all that is told.
        asked = prompt.text
    is_material = bool(seen((COMPOSITION,), prompt.orders))
    return [*seen(_ASKED, asked), *([] if is_material else _shape(asked))]


def rate(*, ease: Iterable[Evidence], evidence: Iterable[Evidence]) -> Rating:
    """Weigh what was seen. Further evidence never lowers the score; further ease may.

    Args:
        ease: What makes a task simple, where nothing speaks against that.
        evidence: Of difficulty, of coding and of research.
    """
    ease, evidence = list(ease), list(evidence)
    coding, research = sum(each.coding for each in evidence), sum(each.research for each in evidence)
    difficulty = sum(each.difficulty for each in evidence)
    # To write, compare or explain is no small thing in prose; of a line of code it says little.
    is_small_code = SHORT_CODE.shows in ease and difficulty <= SLIGHT
    is_easy = is_small_code or bool(ease and coding < DECISIVE and not any(map(_speaks_against, evidence)))
    score = min(100, (EASY_BASE if is_easy else BASE) + difficulty)
    level = _level(score)
    ranked = sorted(evidence, key=_weight, reverse=True)
    return Rating(
        capability=_capability(level, coding=coding, research=research),
        level=level,
        score=score / 100,
        signals=tuple(dict.fromkeys(each.name for each in ((*ease, *ranked) if is_easy else (*ranked, *ease)))),
    )


def _level(score: int) -> ModelCapability:
    if score < SIMPLE_BELOW:
        return ModelCapability.SIMPLE
    return ModelCapability.MODERATE if score < COMPLEX_FROM else ModelCapability.COMPLEX


def _capability(level: ModelCapability, *, coding: int, research: int) -> ModelCapability:
    if coding >= DECISIVE and coding >= research:
        return ModelCapability.CODING
    return ModelCapability.RESEARCH if research >= DECISIVE else level


def _speaks_against(evidence: Evidence) -> bool:
    return evidence.forbids_simple and not evidence.coding


def _weight(evidence: Evidence) -> int:
    return evidence.difficulty + 100 * (evidence.coding + evidence.research)


def _other_ease(prompt: Prompt) -> list[Evidence]:
    """Return what else shows that a task is easy: the system prompt, or a message that is short."""
    ease = seen((SHORT_ANSWER,), prompt.task) + seen((SHORT_ANSWER,), prompt.ask)
    if prompt.text and len(prompt.text) <= READ_FOR_EASE:
        rest = PLEASANTRY.sub("", prompt.text).strip()
        if not rest or (len(rest) <= SHORT and not ASKS.search(rest) and THANKS.search(rest)):
            return [*ease, _SMALL_TALK]
        if len(rest) <= SHORT:
            # A question behind facts of its own ("I have three, and she takes two. How many ...?") is no look-up.
            ease += seen((SHORT_CODE,) if _TELLS_FIRST.search(rest) else (SHORT_CODE, SHORT_LOOKUP), rest)
    return ease


def _shape(asked: str) -> list[Evidence]:
    """Return what the quantities in a question say of it, whatever its words."""
    if not QUESTION.search(asked):
        return []
    quantities, relations = _different(QUANTITY, asked), _different(RELATION, asked)
    clauses = sum(1 for _ in _CLAUSE_END.finditer(asked))
    is_told = clauses >= CLAUSES and bool(seen((DELIBERATION, PLAN_WANTED, PLANNING), asked))
    found = {
        _PUZZLE: len(asked) <= PUZZLE and quantities and relations >= RELATIONS and quantities + relations >= PARTS,
        _TOLD: is_told,
        _SITUATION: not is_told and len(asked) >= SITUATION and quantities >= FACTS,
    }
    return [evidence for evidence, is_so in found.items() if is_so]


def _different(pattern: re.Pattern[str], text: str) -> int:
    return len({match.group() for match in pattern.finditer(text)})


def _goes_on_with(prompt: Prompt, *, known: list[Evidence]) -> list[Evidence]:
    """Return what was asked before, where a short message goes on with it and does not say the same again."""
    names = {each.name for each in known}
    before = seen((*ASK_CODE, *ASK_RESEARCH, *STRONG, *WEAK, *CODE), prompt.before)
    return [each for each in (*before, *_shape(prompt.before)) if each.name not in names]


def _circumstances(prompt: Prompt, *, tools_count: int, has_images: bool, wants_json: bool) -> list[Evidence]:
    """Return what counts a little whatever is asked."""
    found = {
        _LONG_MESSAGE: prompt.length >= LONG,
        _LONG_CONVERSATION: prompt.turns >= MANY_TURNS,
        _MANY_TOOLS: tools_count >= MANY_TOOLS,
        _IMAGES: has_images,
        _STRUCTURED_OUTPUT: wants_json,
    }
    return [evidence for evidence, is_so in found.items() if is_so]
