"""A ledger in a file, shared by the processes and threads of one machine: `sqlite:///path`."""

from llm_otel.stores.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
