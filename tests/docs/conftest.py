"""The library as a program finds it that has just started."""

import pytest


@pytest.fixture
def fresh_library(monkeypatch):
    """No runtime yet, whatever other tests configured; afterwards theirs is back."""
    import llm_otel.wiring

    monkeypatch.setattr(llm_otel.wiring, "_runtime", None)
