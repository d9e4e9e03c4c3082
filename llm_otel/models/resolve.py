"""Who answers for a model: its provider, given or told from the name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from llm_otel.errors import ConfigurationError, UnknownProviderError, did_you_mean
from llm_otel.models.litellm_map import LiteLLMMap, litellm_map
from llm_otel.models.providers import (
    PROVIDERS,
    LLMProvider,
    Provider,
    provider_named,
    provider_of_litellm,
    unlisted_provider,
)
from llm_otel.models.registry import Registry, default_registry

_FAMILIES: tuple[tuple[re.Pattern[str], LLMProvider], ...] = (
    # gpt-oss is no model of OpenAI's API: its weights are open and many serve it.
    (re.compile(r"(ft:)?(gpt-(?!oss)|chatgpt-|o\d+(-|$)|text-embedding-(3-|ada))"), LLMProvider.OPENAI),
    (re.compile(r"claude-[a-z\d.-]+$"), LLMProvider.ANTHROPIC),
    (re.compile(r"gemini-"), LLMProvider.GOOGLE),
)
"""Names that speak for themselves, so that a model released tomorrow still finds its provider."""

_SAY_IT = "say it with provider=LLMProvider.OPENAI or with a prefix such as 'openai/...'"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model and its provider, in every vocabulary.

    Attributes:
        model: Without LiteLLM's prefix: what metrics, spans and prices go by.
        provider: The `gen_ai.provider.name` value.
        litellm_model: What LiteLLM is given: `gemini/gemini-2.5-pro`.
        litellm_provider: LiteLLM's id of the provider.
    """

    model: str
    provider: str
    litellm_model: str
    litellm_provider: str


def resolve_model(
    model: str,
    provider: LLMProvider | str | None = None,
    *,
    registry: Registry | None = None,
    known_to_litellm: LiteLLMMap | None = None,
) -> ModelRef:
    """Tell the provider of a model and what LiteLLM calls the two.

    The first that knows decides: the provider given; a prefix of the name; the registry; the well-known
    families `gpt-`, `o1`..., `claude-`, `gemini-`; LiteLLM's map. (The families go before the map, because
    LiteLLM takes a bare `gemini-...` for Vertex AI, while this library's Google is the Gemini API; the map
    then is read only when needed.) Costs 2-3 us for a model of the registry.

    Raises:
        UnknownProviderError: The provider does not exist, or none can be told from the model.
        ConfigurationError: There is no model name, or its prefix contradicts the provider.
    """
    if not isinstance(model, str) or not model.strip():
        raise ConfigurationError("model", model, "the name of a model, such as 'gpt-4o-mini'")
    resolver = _Resolver(registry or default_registry(), known_to_litellm or litellm_map())
    name = model.strip()
    return resolver.tell(name) if provider is None else resolver.given(name, provider)


class _Resolver:
    """One lookup: the registry and the map that it reads."""

    def __init__(self, registry: Registry, known_to_litellm: LiteLLMMap) -> None:
        self._registry = registry
        self._map = known_to_litellm

    def given(self, model: str, provider: LLMProvider | str) -> ModelRef:
        """Resolve with the provider that the caller named."""
        found, litellm_id = self._provider(provider)
        prefix, slash, rest = model.partition("/")
        if not slash:
            return _ref(found, litellm_id, model)
        if prefix in found.litellm_ids:
            return _ref(found, prefix, rest)
        if prefix == found.name or prefix in found.aliases:
            return _ref(found, litellm_id, rest)
        if not found.is_marketplace and provider_named(prefix) is not None:
            raise ConfigurationError(
                "provider",
                str(provider),
                f"the model {model!r} names another; leave out one of the two, "
                f"or write {f'{litellm_id}/{model}'!r} if that is its name there",
            )
        return _ref(found, litellm_id, model)

    def tell(self, model: str) -> ModelRef:
        """Resolve from the name alone."""
        prefix, slash, rest = model.partition("/")
        if slash and rest and (prefixed := self._prefixed(prefix, rest)) is not None:
            return prefixed
        if (entry := self._registry.find(model)) is not None:
            found = provider_named(entry.provider) or unlisted_provider(entry.provider)
            return _ref(found, found.litellm, model)
        for family, provider in _FAMILIES:
            if family.match(model):
                return self.given(model, provider)
        if (litellm_id := self._map.litellm_id_of(model)) is not None:
            return _ref(provider_of_litellm(litellm_id), litellm_id, model)
        raise UnknownProviderError("model", model, f"its provider cannot be told from its name; {_SAY_IT}")

    def _prefixed(self, prefix: str, rest: str) -> ModelRef | None:
        """Resolve `prefix/rest` if the prefix is a provider: in the table, in the registry or in LiteLLM."""
        known = provider_named(prefix)
        if known is not None:
            return _ref(known, prefix if prefix in known.litellm_ids else known.litellm, rest)
        if self._is_registered(prefix) or prefix in self._map.provider_ids():
            return _ref(unlisted_provider(prefix), prefix, rest)
        return None

    def _provider(self, provider: LLMProvider | str) -> tuple[Provider, str]:
        """Return a provider by any of its names, and the id under which LiteLLM is to call it."""
        text = str(provider).strip()
        known = provider_named(text)
        if known is not None:
            lowered = text.lower()
            # A name of the conventions means the provider; only LiteLLM's own ids choose among its ways to
            # call it.
            is_own_id = lowered in known.litellm_ids and lowered != known.name
            return known, lowered if is_own_id else known.litellm
        if self._is_registered(text) or text in self._map.provider_ids():
            return unlisted_provider(text), text
        raise UnknownProviderError("provider", provider, self._nearest(text))

    def _is_registered(self, provider: str) -> bool:
        return any(entry.provider == provider for entry in self._registry.entries())

    def _nearest(self, text: str) -> str:
        """Say what would have been a provider."""
        table = {name for each in PROVIDERS for name in (each.name, *each.litellm_ids, *each.aliases)}
        hint = did_you_mean(text.lower(), sorted(table | self._map.provider_ids()), most=3, cutoff=0.8)
        return f"{hint}openai, anthropic, google, ollama, or the id of any other provider of LiteLLM"


def _ref(provider: Provider, litellm_id: str, name: str) -> ModelRef:
    """Build the reference; LiteLLM always gets the prefix, so that it need not know the model."""
    if not name:
        raise ConfigurationError("model", f"{litellm_id}/", "the name of a model after the provider's prefix")
    bare = name
    for route in provider.routes:
        bare = bare.removeprefix(route)
    return ModelRef(bare, provider.name, f"{litellm_id}/{name}", litellm_id)
