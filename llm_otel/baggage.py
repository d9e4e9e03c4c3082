"""Tags that cross between services, in W3C baggage: the allow-listed ones, and nothing else.

Outward, a scope puts them into the baggage of the context that its body runs in, from where the propagator of any
instrumented client sends them. Inward, a scope (and a call outside of all scopes) takes them from the baggage of the
context that it is opened in. Whoever can send a request can send baggage: a name that is not on the list is not even
looked at, and a value is taken only if it could be a tag.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeGuard
from urllib.parse import quote_plus

from llm_otel import tracing
from llm_otel.call import NO_TAGS

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from llm_otel.scope import Scope

MAX_NAMES = 32
MAX_VALUE = 256
"""Characters of a value."""
MAX_BYTES = 4_096
"""Of all that is sent, as it stands in the header. W3C Baggage (Candidate Recommendation, 2024-05) has every platform
carry 64 entries and 8,192 bytes, of all parties together; OpenTelemetry drops a header that is longer."""

_KEY = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")
"""A token of RFC 9110, as W3C Baggage has it for keys, and of a length that a tag may have."""
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, which percent-encoding smuggles through any header, and what UTF-8 cannot say."""


def check_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of tags that may cross, each once.

    Raises:
        ValueError: One cannot be the key of a baggage entry, or there are too many.
    """
    for name in names:
        if not _KEY.fullmatch(name):
            raise ValueError(f"{name!r} cannot be a key in W3C baggage: 1 to 64 of A-Z a-z 0-9 . _ - and the like")
    if len(names) > MAX_NAMES:
        raise ValueError(f"at most {MAX_NAMES} tags may cross, these are {len(names)}")
    return tuple(dict.fromkeys(names))


class Baggage:
    """The tags that may cross. Immutable; thread-safe. A runtime without any has none of these."""

    __slots__ = ("_names",)

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def received(self) -> Mapping[str, str]:
        """Return the tags that the current context brings. What does not fit a tag is as if it were not there."""
        entries = tracing.baggage()
        if not entries:
            return NO_TAGS
        tags: dict[str, str] = {}
        for name in self._names:
            value = entries.get(name)
            if _fits(value):
                tags[name] = value
        return MappingProxyType(tags)

    def sent(self, context: Context, tags: Mapping[str, str]) -> Context:
        """Return the context with these tags in its baggage, as far as they may cross.

        One that may but does not fit is taken out: what came from upstream under its name would be wrong. Names at the
        front of the list go before others.
        """
        left = MAX_BYTES
        for name in self._names:
            if name in tags:
                value = tags[name]
                size = _size(name, value) if _fits(value) else MAX_BYTES + 1
                if is_sent := size <= left:
                    left -= size
                context = tracing.with_baggage(context, name, value if is_sent else None)
        return context


def _fits(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= MAX_VALUE and not _UNFIT.search(value)


def _size(name: str, value: str) -> int:
    """Return the bytes of an entry in the header, with what stands between entries."""
    return len(quote_plus(name)) + len(quote_plus(value)) + 2


def tags_around(scope: Scope | None, baggage: Baggage | None) -> Mapping[str, str]:
    """Return the tags that a call has from where it is made: its scope's, or outside of all those it received."""
    if scope is not None:
        return scope.tags
    return NO_TAGS if baggage is None else baggage.received()
