"""What is read of a conversation: what the user asked last, what it goes on with, and a system prompt that is the task.

Never raises, whatever stands in the place of a message; takes time in proportion to the number of messages and to the
length of the last one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

WINDOW = 6_000
"""Characters of the last user message that are read: of a longer one its two ends, where people put what they ask."""
_HEAD = 4_000
_ASK_HEAD, _ASK_TAIL = 700, 500
_GREETING = 20
TASK_LENGTH = 1_500
"""A system prompt of so many characters may be the task ("Classify the message as ..."); a longer one is a handbook."""
FOLLOW_UP = 240
"""Characters of a message that may go on with what was asked before; a longer one speaks for itself."""
_SYSTEM = ("system", "developer")
_SENTENCE_END = re.compile(r"[.!?\n]")
_RULES_OUT = re.compile(r"\b(?:do not|don't|never|avoid|you (?:make|give|have) no)\b")
_QUESTION_MARK = re.compile(r"[?\uff1f\u061f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What rules read, in lower case.

    Attributes:
        text: The last user message, at most `WINDOW` characters of it.
        task: The system prompt where it is short enough to be a task, else empty.
        before: What a short message goes on with: the user's message before it, and the end of the answer. Else empty.
        length: Characters of the whole last user message.
        turns: Messages in the conversation.
    """

    text: str
    task: str
    before: str
    length: int
    turns: int

    @classmethod
    def of(cls, messages: Any) -> Prompt:
        """Read a conversation; what is no list of messages has no text."""
        turns: Sequence[Any] = messages if isinstance(messages, (list, tuple)) else ()
        said, asked_before, *_ = (*_latest(turns, ("user",), count=2), "", "")
        [task] = _latest(turns, _SYSTEM, count=1) or [""]
        [answer] = _latest(turns, ("assistant",), count=1) or [""]
        before = f"{_ends(asked_before, _ASK_HEAD, _ASK_TAIL)}\n\n{answer[-_ASK_TAIL:]}" if asked_before else ""
        return cls(
            text=_ends(said, _HEAD, WINDOW - _HEAD - 1).lower()[:WINDOW],
            task=task.lower() if len(task) <= TASK_LENGTH else "",
            before=before.lower() if len(said) <= FOLLOW_UP else "",
            length=len(said),
            turns=len(turns),
        )

    @property
    def orders(self) -> str:
        """The first paragraph of the task, without sentences that rule something out ("You make no diagnosis")."""
        sentences = _SENTENCE_END.split(self.task.partition("\n\n")[0])
        return ". ".join(each for each in sentences if not _RULES_OUT.search(each))

    @property
    def ask(self) -> str:
        """What is asked: the paragraphs before the material and behind it; the whole where there is none."""
        paragraph = self.text.partition("\n\n")[0]
        if len(self.text) <= _ASK_HEAD + _ASK_TAIL and not self._has_material(paragraph):
            return self.text
        if len(paragraph) <= _ASK_HEAD:
            return f"{paragraph}\n{self.afterword}"
        return _ends(self.text, _ASK_HEAD, _ASK_TAIL)

    def _has_material(self, first: str) -> bool:
        """Return whether much follows a first paragraph that is no greeting, and ends in no question of its own."""
        is_led_in = len(first) >= _GREETING and len(self.text) >= 2 * len(first)
        return is_led_in and not _QUESTION_MARK.search(self.text.rpartition("\n\n")[2])

    @property
    def instruction(self) -> str:
        """The words before the material: the first paragraph, as far as a colon that introduces something."""
        paragraph = self.text[:_ASK_HEAD].partition("\n\n")[0]
        before, colon, after = paragraph.partition(":")
        return before + colon if colon and (after[:1].isspace() or not after) else paragraph

    @property
    def order(self) -> str:
        """What is asked where an order is given about a text: the instruction and the afterword, not the text."""
        return f"{self.instruction}\n{self.afterword}"

    @property
    def afterword(self) -> str:
        """A short last paragraph, where the real question may stand; not one that a colon announced as material."""
        first, *others = self.text.split("\n\n", 1)
        if not others:
            return ""
        before, _, last = others[0].rpartition("\n\n")
        is_material = first.rstrip().endswith(":") and not before
        return "" if is_material or len(last) > _ASK_TAIL else last


def _ends(text: str, head: int, tail: int) -> str:
    """Return a text, or of a longer one so many characters from its two ends."""
    return text if len(text) <= head + tail + 1 else f"{text[:head]}\n{text[-tail:]}"


def _latest(messages: Sequence[Any], roles: tuple[str, ...], *, count: int) -> list[str]:
    """Return the texts of so many messages in one of these roles, the last one first."""
    return list(islice(_from_the_end(messages, roles), count))


def _from_the_end(messages: Sequence[Any], roles: tuple[str, ...]) -> Iterable[str]:
    for message in reversed(messages):
        role = _field(message, "role")
        if isinstance(role, str) and role in roles:
            yield _text(_field(message, "content")).strip()


def _text(content: Any) -> str:
    """Return the text of a content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if not isinstance(content, (list, tuple)):
        return ""
    texts = (part if isinstance(part, str) else _field(part, "text") for part in content)
    return "\n".join(text for text in texts if isinstance(text, str))


def _field(source: Any, name: str) -> Any:
    """Read a field of a dictionary or an object."""
    try:
        return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
    # Somebody's own class, whose property may raise whatever it likes: then it says nothing.
    except Exception:  # noqa: BLE001
        return None
