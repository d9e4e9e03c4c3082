"""What becomes of every text of a conversation before it is recorded: redacted first, then cut.

In this order, since a text that is cut first may end in the middle of what would have been found in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

Redact = Callable[[str], str]
"""Takes a text and returns what of it may be recorded. Called on the thread of the call, by many at once."""

MAX_DEPTH = 16
"""How deep a structure may be that is recorded as one. Protobuf refuses messages nested deeper than 100, each level of
ours is three of its own, and a log record has some 20 around it."""
_INT64 = 2**63
_TOO_LARGE = 10**100
"""Python refuses to write down integers of more than 4,300 digits."""
_BEGINS_AS_JSON = re.compile(r"""\s*[{\[]\s*["'{\[]""")
"""Or as Python writes a dictionary, which many tools answer with. A line of a log may begin with a bracket too."""
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}

dumped = json.JSONEncoder(ensure_ascii=False).encode
"""Writes JSON with characters as they are: an escape would hide them from a redaction."""


class ContentError(Exception):
    """Content cannot be recorded. Its text is fit for a log: it quotes neither the content nor another exception."""

    @classmethod
    def about(cls, what: str, error: Exception) -> ContentError:
        """Say which exception was raised, and where."""
        return cls(f"{what} raised {type(error).__name__}{_place(error.__traceback__)}")


def _place(traceback: TracebackType | None) -> str:
    if traceback is None:
        return ""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return f" ({Path(traceback.tb_frame.f_code.co_filename).name}, line {traceback.tb_lineno})"


class Texts:
    """Makes the texts of one call fit to be recorded. Not thread-safe.

    Attributes:
        truncated: How many were cut.
    """

    __slots__ = ("_max_length", "_redact", "truncated")

    def __init__(self, *, redact: Redact | None, max_length: int) -> None:
        """Keep `max_length` characters of each text, of what `redact` leaves of it."""
        self._redact = redact
        self._max_length = max_length
        self.truncated = 0

    def text(self, value: str) -> str:
        """Return what is recorded of a text; one that is JSON, as structured outputs are, is redacted like JSON.

        Raises:
            ContentError: The redaction failed.
        """
        if self._redact is not None and "\\" in value and _BEGINS_AS_JSON.match(value):
            parsed = _parsed(value)
            value = dumped(self._each(parsed)) if _is_structure(parsed) else _unescaped(value)
        return self._fit(value)

    def structured(self, value: Any) -> Any:
        """Return what is recorded of a structure, or of JSON: arguments and results of tools, schemas.

        It is redacted string by string (names of fields included), and once more as a whole, since a number may have to
        go too. It stays a structure where it still is one that every exporter can carry; else it is recorded as text.

        Raises:
            ContentError: The redaction failed.
        """
        parsed = _parsed(value) if isinstance(value, str) else _plain(value)
        if _is_structure(parsed):
            text = self._fit(dumped(self._each(parsed)))
            found = _parsed(text)
            return found if isinstance(found, (dict, list)) and _is_portable(found) else text
        if not isinstance(value, str):
            return self._fit(dumped(parsed))
        return self._fit(_unescaped(value) if isinstance(parsed, str) or _BEGINS_AS_JSON.match(value) else value)

    def _fit(self, value: str) -> str:
        return self._cut(_encodable(self._redacted(value)))

    def _each(self, value: Any) -> Any:
        if isinstance(value, str):
            return _encodable(self._redacted(value))
        if isinstance(value, dict):
            return {self._each(name): self._each(each) for name, each in value.items()}
        return [self._each(each) for each in value] if isinstance(value, list) else value

    def _redacted(self, value: str) -> str:
        if self._redact is None:
            return value
        try:
            redacted = self._redact(value)
        # Whatever it is, its text may quote what was to be redacted.
        except Exception as exc:  # noqa: BLE001
            raise ContentError.about("redact()", exc) from None
        if not isinstance(redacted, str):
            raise ContentError(f"redact() returned a {type(redacted).__name__}, not a string")
        return redacted

    def _cut(self, value: str) -> str:
        more = len(value) - self._max_length
        if more <= 0:
            return value
        self.truncated += 1
        return f"{value[: self._max_length]}… [{more} more characters]"


def _encodable(value: str) -> str:
    """Replace half surrogates: no exporter can encode them, and the whole attribute would be lost."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def _unescaped(text: str) -> str:
    """Return a JSON string, or JSON that is none, such as the arguments of a stream that was cut off, as one reads it.

    A redaction would not find what stands right behind an escape: to it, the `n` of a newline is part of the word.
    """
    return _ESCAPE.sub(_unescape, text)


def _unescape(found: re.Match[str]) -> str:
    code, letter = found.groups()
    return chr(int(code, 16)) if code else _ESCAPED.get(letter, letter)


def _parsed(text: str) -> Any:
    """Read JSON; `None` where it is none, or nobody could carry what it says."""
    try:
        return json.loads(text, parse_constant=_refuse)
    # What is nested without end; JSONDecodeError and integers of thousands of digits are ValueErrors.
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a value in JSON's types; what has no place in JSON is named by its type."""
    if value is None or isinstance(value, (str, float)) or (isinstance(value, int) and abs(value) < _TOO_LARGE):
        return value
    if depth >= MAX_DEPTH:
        return f"<{type(value).__name__}>"
    dump = getattr(value, "model_dump", None)
    if isinstance(value, Mapping):
        return {_name(name): _plain(each, depth + 1) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each, depth + 1) for each in value]
    if callable(dump) and not isinstance(value, type):
        return _plain(dump(), depth + 1)
    return f"<{type(value).__name__}>"


def _name(name: Any) -> str:
    return name if isinstance(name, str) else dumped(_plain(name, MAX_DEPTH))


def _is_structure(parsed: Any) -> bool:
    return isinstance(parsed, (dict, list)) and _is_shallow(parsed)


def _is_shallow(value: Any, depth: int = 0) -> bool:
    if isinstance(value, (dict, list)):
        within = value.values() if isinstance(value, dict) else value
        return depth < MAX_DEPTH and all(_is_shallow(each, depth + 1) for each in within)
    return True


def _is_portable(value: Any) -> bool:
    """Tell whether every exporter can carry a structure: no huge integers, and each list of one type.

    OpenTelemetry's SDK 1.41 drops a list whose items differ in type.
    """
    if isinstance(value, dict):
        return all(map(_is_portable, value.values()))
    if isinstance(value, list):
        return len({type(each) for each in value}) <= 1 and all(map(_is_portable, value))
    return not isinstance(value, int) or -_INT64 <= value < _INT64
