"""What a check found: how it stands, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a thing stands. Only `FAILED` fails the command."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warn"
    FAILED = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        about: What was looked at, in a word or two.
        said: What was seen, with its numbers.
        to_do: What to do about it; empty where there is nothing to do.
    """

    state: State
    about: str
    said: str
    to_do: str = ""
