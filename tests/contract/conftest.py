"""The fixtures of this directory."""

from tests.contract.fixtures import conformant_spans, world

__all__ = ["conformant_spans", "world"]
