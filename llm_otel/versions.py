"""Versions of what is installed, read from metadata: importing LiteLLM to ask it takes seconds."""

from __future__ import annotations

from functools import cache

OURS = "llm-otel"


@cache
def version_of(distribution: str) -> str:
    """Return the installed version; `unknown` where the files came without metadata (some bundlers drop it)."""
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"
