"""The time-outs that LiteLLM is told: few, and hardly longer than what they stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_otel.providers.adapter import _rounded_up


@pytest.mark.parametrize(
    ("left_s", "told_s"),
    [(119.997, 120), (120, 120), (19.2, 20), (9.96, 10), (7.998, 8), (0.2994, 0.3), (0.0503, 0.0503), (0.001, 0.001)],
)
def test_what_is_left_of_a_deadline_is_rounded_up(left_s, told_s):
    """To whole seconds, tenths, hundredths; what is shorter stays as it is."""
    assert told_s == _rounded_up(left_s)


@given(st.floats(0.001, 86_400))
def test_nobody_waits_much_longer(left_s):
    """A tenth at most, and never more than a second; never less than what is left."""
    assert left_s - 1e-9 <= _rounded_up(left_s) <= min(left_s * 1.1, left_s + 1) + 0.001
