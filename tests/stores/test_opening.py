"""From an address to a store: what is refused, and what is not shown of it."""

from __future__ import annotations

import pytest

from llm_otel.errors import ConfigurationError
from llm_otel.stores.opening import open_store


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("memory", "memory"),
        ("spend.db", "spend.db"),
        ("sqlite:///", "sqlite"),
        ("postgres://user:secret@host/db", "postgres"),
        ("redis:/:secret@host:6379", None),
        ("redis//:secret@host", None),
        (":secret@host:6379", None),
        ("host:6379?password=secret", None),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(url: str, shown: str | None) -> None:
    """A slip of the pen in an address must not put a password into a log."""
    with pytest.raises(ConfigurationError) as caught:
        open_store(url, clock_ms=lambda: 0)
    assert ("ledger", shown) == (caught.value.field, caught.value.value)
    assert "secret" not in str(caught.value)
