"""The models that are known by name: the catalogue, and what users register over it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from llm_otel.errors import ConfigurationError
from llm_otel.models.catalog import catalog
from llm_otel.models.providers import provider_named

if TYPE_CHECKING:
    from llm_otel.models.entry import ModelEntry


class Registry:
    """Models by name, in a fixed order. Thread-safe: readers see one whole state, writers replace it."""

    def __init__(self, entries: Iterable[ModelEntry] = ()) -> None:
        """Start with entries whose order breaks ties; of two with the same bare name the first goes by it."""
        self._lock = Lock()
        self._entries = tuple(entries)
        self._by_name = _index(self._entries)
        self.version = 0
        """How often the registry was written to: whoever caches what it read compares this."""

    def entries(self) -> tuple[ModelEntry, ...]:
        """Return every model, in order."""
        return self._entries

    def find(self, name: str, provider: str | None = None) -> ModelEntry | None:
        """Return the model with this name or alias, with or without a provider's prefix.

        Args:
            name: `gpt-4o-mini`, `openai/gpt-4o-mini`, `ollama/llama3`.
            provider: Only of this provider (`gen_ai.provider.name`).
        """
        if provider is not None:
            return self._by_name.get(f"{provider}/{name}")
        if (entry := self._by_name.get(name)) is not None:
            return entry
        prefix, slash, rest = name.partition("/")
        known = provider_named(prefix) if slash else None
        return self._by_name.get(f"{known.name}/{rest}") if known else None

    def register(self, entry: ModelEntry, *, replace: bool = False) -> None:
        """Add a model, last in order; or, on request, put it in the place of the one with the same name.

        Raises:
            ConfigurationError: The provider has a model of that name already, and `replace` was not given.
        """
        with self._lock:
            # By name alone: an alias of another model may get an entry of its own.
            same = (each for each in self._entries if (each.provider, each.name) == (entry.provider, entry.name))
            current = next(same, None)
            if current is None:
                entries = (*self._entries, entry)
            elif replace:
                entries = tuple(entry if each is current else each for each in self._entries)
            else:
                raise ConfigurationError(
                    "name", entry.name, f"{entry.provider} has it already; replace=True replaces it"
                )
            self._by_name = _index(entries)
            self._entries = entries
            self.version += 1


@cache
def default_registry() -> Registry:
    """Return the registry that the public functions read and write, the same each time."""
    return Registry(catalog())


def _index(entries: tuple[ModelEntry, ...]) -> dict[str, ModelEntry]:
    """Return the entries by bare name and by `provider/name`; names before aliases, earlier before later."""
    index: dict[str, ModelEntry] = {}
    for entry in entries:
        index.setdefault(f"{entry.provider}/{entry.name}", entry)
        index.setdefault(entry.name, entry)
    for entry in entries:
        for alias in entry.aliases:
            index.setdefault(f"{entry.provider}/{alias}", entry)
            index.setdefault(alias, entry)
    return index
