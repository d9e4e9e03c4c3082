"""A small tokenizer of its own, so that every count follows the text and nothing is downloaded.

A token is the longest match, left to right, of: up to six Latin letters with at most one space before them;
up to three digits likewise; one ASCII punctuation mark likewise; a run of white space; any other single
character. English comes to about four characters a token. Nothing is lost: the tokens of a text join to that
text, there are never more tokens than UTF-8 bytes, and a text cut between two tokens splits into exactly the
tokens before the cut.
"""

import re
from collections.abc import Iterator

_TOKEN = re.compile(r" ?[A-Za-z\u00C0-\u024F]{1,6}| ?[0-9]{1,3}| ?[!-/:-@\[-`{-~]|\s+|.", re.DOTALL)


def split(text: str) -> list[str]:
    """Cut a text into its tokens; `"".join(split(text)) == text`."""
    return _TOKEN.findall(text)


def count(text: str) -> int:
    """Count the tokens of a text; 0 for an empty one."""
    return len(split(text))


def first(text: str, limit: int) -> str:
    """Return the first `limit` tokens of a text, or all of it where it has no more."""
    return "".join(split(text)[:limit])


def chunks(text: str, size: int) -> Iterator[tuple[str, int]]:
    """Yield a text in pieces of `size` tokens, each with its number of tokens; the last may be shorter."""
    tokens = split(text)
    for start in range(0, len(tokens), size):
        piece = tokens[start : start + size]
        yield "".join(piece), len(piece)
