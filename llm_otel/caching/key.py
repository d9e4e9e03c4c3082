"""Which requests are the same: a digest of everything that shapes an answer. Pure.

Two requests that differ in anything but patience and bookkeeping have different keys, and so have two tenants. What
cannot be written down without doubt has no key, and is not cached: a miss costs money, a wrong hit costs trust.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

LAYOUT = 1
"""The version of what a digest is made of; another one finds nothing of this one's."""

TENANT_TAGS = ("tenant", "customer", "user")
"""The tags that keep tenants apart where nobody says which."""

SHAPES_NOTHING = frozenset(
    {
        # patience
        "max_retries",
        "num_retries",
        "request_timeout",
        "stream_timeout",
        "timeout",
        # how the answer is handed over
        "stream",
        "stream_options",
        # bookkeeping
        "litellm_call_id",
        "litellm_logging_obj",
        "litellm_metadata",
        "litellm_session_id",
        "litellm_trace_id",
        "logger_fn",
        "metadata",
        "verbose",
        # how it is sent
        "shared_session",
    }
)
"""Arguments of `litellm.completion` (1.105, read 2026-11-22) that leave the answer as it is. All others are part of the
key, also those that nobody knows yet."""

_SAID_OTHERWISE = frozenset({"api_key", "model"})
"""What is part of the key in another form."""


class _UnwritableError(ValueError):
    """A value that has no one way to be written down."""


def key_of(
    arguments: Mapping[str, Any],
    *,
    model: str,
    tenant: Mapping[str, str | None],
    server: tuple[str | None, int | None] = (None, None),
) -> str | None:
    """Return the key of a request, 64 hexadecimal digits; `None` where it cannot be cached. Never raises.

    Types count: `1`, `1.0`, `True` and `"1"` are four values. The order of a dictionary's keys does not, and a tuple
    is a list. A pydantic class stands for its name and JSON schema, an object of one for its class and content. The
    provider's key goes in as a digest.

    Args:
        arguments: Those of `litellm.completion`, as the caller means them: before a budget changes anything.
        model: LiteLLM's name, prefix and all.
        tenant: See `tenant_of`.
        server: Host and port that the request goes to, where `arguments` do not say it.
    """
    try:
        shaping = {
            name: _plain(value)
            for name, value in arguments.items()
            if value is not None and name not in SHAPES_NOTHING and name not in _SAID_OTHERWISE
        }
        said = [LAYOUT, model, list(server), dict(tenant), _secret(arguments.get("api_key")), shaping]
        return hashlib.sha256(_written(said)).hexdigest()
    # Iterating over what a caller passed runs the caller's code, and dumping a model runs pydantic's.
    except Exception:  # noqa: BLE001
        return None


def tenant_of(tags: Mapping[str, str], names: Iterable[str]) -> dict[str, str | None]:
    """Return whom a call is for: the values of the tags that keep tenants apart; `None` for one that it has not."""
    return {name: tags.get(name) for name in names}


def _secret(value: Any) -> str | None:
    return None if value is None else hashlib.sha256(_written(_plain(value))).hexdigest()


def _written(value: Any) -> bytes:
    # Not escaped: two halves of a character, side by side, would be written like the character.
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _plain(value: Any) -> Any:
    """Return a value as JSON can write it, so that no two are written alike.

    Lists begin with what they stand for: a dictionary that looks like what was made of something else is still told
    apart.

    Raises:
        _UnwritableError: It cannot be.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return ["list", *(_plain(each) for each in value)]
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if isinstance(value, bytes | bytearray):
        return ["bytes", value.hex()]
    if isinstance(value, type):
        return ["class", value.__qualname__, _plain(_schema(value))]
    dump = getattr(value, "model_dump", None)
    if not callable(dump):
        raise _UnwritableError(type(value).__name__)
    return ["object", type(value).__qualname__, _plain(dump(warnings=False))]


def _plain_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    # JSON would write the key 1 like the key "1".
    if not all(isinstance(name, str) for name in value):
        raise _UnwritableError("a key that is no text")
    return {name: _plain(each) for name, each in value.items()}


def _schema(kind: type) -> Any:
    schema = getattr(kind, "model_json_schema", None)
    if not callable(schema):
        raise _UnwritableError(kind.__name__)
    return schema()
