"""The report on a terminal, or in a pipe. Nothing here knows where the facts come from."""

from llm_otel.demo.drawing.page import draw

__all__ = ["draw"]
