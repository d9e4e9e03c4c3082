"""A real provider to run the demo against: whether it can be reached, and what that may cost at most."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from llm_otel.errors import LLMOtelError
from llm_otel.models.providers import LLMProvider, Provider, provider_named
from llm_otel.models.resolve import resolve_model
from llm_otel.pricing.book import PriceBook

MAX_OUTPUT_TOKENS = 256
"""What every request asks for at most, reasoning included."""
MAX_INPUT_TOKENS = 2_000
"""More than any prompt of the scenario has; a test holds the scenario to it."""

_DEFAULT_MODELS = {
    LLMProvider.OPENAI: "gpt-4o-mini",
    LLMProvider.ANTHROPIC: "claude-haiku-4-5",
    LLMProvider.GOOGLE: "gemini-2.5-flash-lite",
}
_OLLAMA_TIMEOUT_S = 2.0

FetchModels = Callable[[str], tuple[str, ...]]
"""Takes Ollama's address; returns the models that are installed. Raises `OSError` if nobody answers."""


@dataclass(frozen=True, slots=True)
class Target:
    """One model of one provider, which takes every call of the demo."""

    provider: LLMProvider
    model: str
    litellm_model: str
    """As plain LiteLLM takes it, prefix and all."""

    @property
    def is_free(self) -> bool:
        """Whether it runs on the user's own machine."""
        return self.provider is LLMProvider.OLLAMA

    def ceiling_nano(self, calls: int, *, at: datetime) -> int | None:
        """Return what so many calls cost at most, in nano-USD; `None` if the price is not known."""
        dearest = PriceBook().dearest(provider=self.provider.value, model=self.model, at=at, may_write_cache=True)
        return None if dearest is None else calls * dearest.bound(MAX_INPUT_TOKENS, MAX_OUTPUT_TOKENS)


def installed_in_ollama(address: str) -> tuple[str, ...]:
    """Ask an Ollama server which models it has.

    Raises:
        OSError: Nobody answers there.
    """
    # The address is the user's own setting; what it opens is for the user to say.
    with urllib.request.urlopen(f"{address.rstrip('/')}/api/tags", timeout=_OLLAMA_TIMEOUT_S) as answer:  # noqa: S310
        return tuple(model["name"].removesuffix(":latest") for model in json.load(answer)["models"])


def find_target(
    provider: LLMProvider,
    model: str | None,
    *,
    environ: Mapping[str, str],
    installed: FetchModels = installed_in_ollama,
) -> Target:
    """Check that a provider can be called from here, and choose its model.

    Args:
        provider: Who is to be called.
        model: Which of its models; a small one by default, for Ollama the first that is installed.
        environ: Where keys and addresses are looked for.
        installed: Lists the models of an Ollama server.

    Raises:
        LLMOtelError: There is no key, or Ollama does not answer, or it does not have the model.
    """
    known = provider_named(provider.value)
    assert known is not None, "LLMProvider has no member that the table lacks"
    if provider is LLMProvider.OLLAMA:
        model = _model_of_ollama(known, model, environ, installed)
    elif known.configured_by(environ) is None:
        raise LLMOtelError(
            f"{' or '.join(known.key_env)} is not set: export your key, "
            "or leave out --provider and run on the simulator, for nothing"
        )
    ref = resolve_model(model or _DEFAULT_MODELS[provider], provider)
    return Target(provider, ref.model, ref.litellm_model)


def _model_of_ollama(known: Provider, model: str | None, environ: Mapping[str, str], installed: FetchModels) -> str:
    configured = (environ.get(name) for name in known.address_env)
    address = next((value for value in configured if value), f"http://{known.host}:{known.port}")
    try:
        models = installed(address)
    except (OSError, ValueError, KeyError) as exc:
        raise LLMOtelError(
            f"Ollama does not answer at {address}: start it (`ollama serve`), or say where it is in OLLAMA_API_BASE"
        ) from exc
    if not models:
        raise LLMOtelError(f"Ollama at {address} has no model yet: `ollama pull llama3` gets one")
    if model is None:
        return models[0]
    if model.removesuffix(":latest") not in models:
        raise LLMOtelError(
            f"Ollama at {address} does not have {model!r}: `ollama pull {model}` gets it; it has {', '.join(models)}"
        )
    return model
