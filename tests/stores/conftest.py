"""A ledger of every kind."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.stores.kinds import STORES, Harness


@pytest.fixture(params=sorted(STORES))
def ledger(request, tmp_path):
    """A new ledger of each kind in turn, closed when the test is over."""
    with ExitStack() as closing:
        yield Harness(request.param, tmp_path, closing)
