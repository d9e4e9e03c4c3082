"""Bounds of a request for one model, as the tests ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_otel.budgets.estimate import Extent, size_of
from llm_otel.budgets.shapes import CHAT, Shape
from llm_otel.models.limits import ModelLimits


def extent_of(arguments: Mapping[str, Any], limits: ModelLimits, shape: Shape = CHAT) -> Extent:
    """Bound a request, given the keyword arguments of LiteLLM's function."""
    return size_of(arguments, shape).within(limits)
