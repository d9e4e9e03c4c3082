"""What rules look for in a prompt, and what it counts for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Something that was seen.

    Attributes:
        name: What reason codes call it; never a text of the prompt.
        difficulty: Hundredths of the score.
        coding: Points for the capability `coding`.
        research: The same for `research`.
        forbids_simple: Whether it speaks against an easy task. What only measures bulk does not: a long text is
            translated like a short one.
    """

    name: str
    difficulty: int = 0
    coding: int = 0
    research: int = 0
    forbids_simple: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What to look for in a text.

    Attributes:
        shows: What one find is evidence of.
        pattern: Finds it in lower-case text. It repeats nothing without a bound, so that a search takes time in
            proportion to the text, whatever that is.
        least: So many different finds before it is seen at all.
        most: Further different finds count no more.
    """

    shows: Evidence
    pattern: re.Pattern[str]
    least: int = 1
    most: int = 1

    def seen_in(self, text: str) -> Evidence | None:
        """Return what the text shows, more of it with each different find."""
        found: set[str | int] = set()
        for match in self.pattern.finditer(text):
            # What matches between two characters is counted by its place.
            found.add(match.group() or match.start())
            if len(found) >= self.most:
                break
        times, one = len(found) - self.least + 1, self.shows
        if times < 1:
            return None
        return replace(one, difficulty=times * one.difficulty, coding=times * one.coding, research=times * one.research)


def seen(signals: Iterable[Signal], text: str) -> list[Evidence]:
    """Return what a text shows of these."""
    return [evidence for signal in signals if (evidence := signal.seen_in(text)) is not None]


def any_of(*forms: str, stems: str = "") -> re.Pattern[str]:
    """Find one of these words or phrases, whole. Each form is a regular expression; a string may hold many.

    Stems are found inside words as well: for languages that bend their words, or do not part them.
    """
    return re.compile(rf"\b(?:{'|'.join(forms)})\b" + (f"|{stems}" if stems else ""))


_ORDER = (
    r"(?:^|[.!?:;,]\s)\s{0,2}"
    r"(?:(?:please|kindly|could you|can you|would you|your (?:task|job) is to|i need you to|you)\s)?(?:please\s)?"
)


def order_to(*forms: str, stems: str = "") -> re.Pattern[str]:
    """Find an order or a question that begins with one of these: at a sentence, behind what politeness puts first.

    "You" is for system prompts, which say "You label tickets". Stems are found anywhere.
    """
    return re.compile(rf"{_ORDER}(?:{'|'.join(forms)})\b" + (f"|{stems}" if stems else ""), re.MULTILINE)
