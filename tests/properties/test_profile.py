"""How hypothesis runs here, whatever the command line says."""

from __future__ import annotations

from hypothesis import settings


def test_no_example_has_a_deadline():
    """The first one may pay for an import, and a busy machine stalls any: a time-out would say nothing."""
    assert settings().deadline is None
