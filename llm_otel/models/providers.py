"""The one table of providers, and what each party calls them.

Three vocabularies meet here: LiteLLM's provider ids (which are also the prefixes of its model names), the
values of `gen_ai.provider.name` (semantic-conventions-genai, 2026-10-09; a provider without a well-known
value keeps LiteLLM's id), and the ids of genai-prices. Environment variables and addresses are those that
LiteLLM 1.105.3 reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class LLMProvider(StrEnum):
    """The providers with a name of their own; the value is what `gen_ai.provider.name` says.

    Any other provider that LiteLLM has is given by its LiteLLM id, as text.
    """

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "gcp.gemini"
    OLLAMA = "ollama"

    @classmethod
    def _missing_(cls, value: object) -> LLMProvider | None:
        """Accept what people and LiteLLM call them: `LLMProvider("google")`, `LLMProvider("gemini")`."""
        found = provider_named(value) if isinstance(value, str) else None
        return next((member for member in cls if found is not None and member.value == found.name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider.

    Attributes:
        name: The `gen_ai.provider.name` value.
        litellm: LiteLLM's id, which it also takes as a prefix: `gemini/gemini-2.5-pro`.
        other_litellm: LiteLLM's other ids for the same provider.
        aliases: What else people call it.
        genai_prices: Its id in genai-prices; `None`: not there.
        key_env: Variables that hold a credential; one of them is enough.
        address_env: Variables that hold the address of the server.
        host: The usual server; `None` where there is no usual one.
        port: The usual port.
        is_local: Runs on the user's own machine, so that no token is billed.
        is_marketplace: Serves the models of others, under names such as `openai/gpt-4o`.
        routes: Segments before the model name that only choose one of LiteLLM's ways to call it.
    """

    name: str
    litellm: str
    other_litellm: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    genai_prices: str | None = None
    key_env: tuple[str, ...] = ()
    address_env: tuple[str, ...] = ()
    host: str | None = None
    port: int = 443
    is_local: bool = False
    is_marketplace: bool = False
    routes: tuple[str, ...] = ()

    @property
    def litellm_ids(self) -> tuple[str, ...]:
        """Every id that LiteLLM has for it, the preferred one first."""
        return (self.litellm, *self.other_litellm)

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables of which one configures it, first the one to set: a server of one's own is found by address."""
        if self.is_local:
            return (*self.address_env, *self.key_env)
        return (*self.key_env, *self.address_env)

    def configured_by(self, environ: Mapping[str, str]) -> str | None:
        """Return the first variable that gives a credential or an address for it; `None`: there is none."""
        return next((name for name in (*self.key_env, *self.address_env) if environ.get(name)), None)


_AZURE_KEYS = ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_AD_TOKEN", "AZURE_CLIENT_ID")
_AWS_KEYS = ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ROLE_ARN")
_GCP_KEYS = ("GOOGLE_APPLICATION_CREDENTIALS", "VERTEXAI_CREDENTIALS", "VERTEXAI_PROJECT", "VERTEX_PROJECT")

PROVIDERS: tuple[Provider, ...] = (
    Provider(
        name="openai", litellm="openai", other_litellm=("text-completion-openai",), genai_prices="openai",
        key_env=("OPENAI_API_KEY",), address_env=("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        host="api.openai.com", routes=("responses/",),
    ),
    Provider(
        name="anthropic", litellm="anthropic", other_litellm=("anthropic_text",), aliases=("claude",),
        genai_prices="anthropic", key_env=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
        address_env=("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"), host="api.anthropic.com",
    ),
    Provider(
        name="gcp.gemini", litellm="gemini", aliases=("google", "google_ai_studio"), genai_prices="google",
        key_env=("GEMINI_API_KEY", "GOOGLE_API_KEY"), address_env=("GEMINI_API_BASE",),
        host="generativelanguage.googleapis.com",
    ),
    Provider(
        name="ollama", litellm="ollama_chat", other_litellm=("ollama",), key_env=("OLLAMA_API_KEY",),
        address_env=("OLLAMA_API_BASE",), host="localhost", port=11434, is_local=True,
    ),
    Provider(
        name="azure.ai.openai", litellm="azure", other_litellm=("azure_text",), aliases=("azure_openai",),
        genai_prices="azure", key_env=_AZURE_KEYS, address_env=("AZURE_API_BASE",),
        routes=("responses/", "o_series/"),
    ),
    Provider(
        name="azure.ai.inference", litellm="azure_ai", genai_prices="azure", key_env=("AZURE_AI_API_KEY",),
        address_env=("AZURE_AI_API_BASE",), is_marketplace=True,
    ),
    Provider(
        name="aws.bedrock", litellm="bedrock", other_litellm=("bedrock_converse",), aliases=("aws",),
        genai_prices="aws", key_env=_AWS_KEYS, is_marketplace=True, routes=("converse/", "invoke/"),
    ),
    Provider(
        name="gcp.vertex_ai", litellm="vertex_ai", other_litellm=("vertex_ai_beta",), aliases=("vertex",),
        genai_prices="google", key_env=_GCP_KEYS, is_marketplace=True,
    ),
    Provider(
        name="mistral_ai", litellm="mistral", genai_prices="mistral", key_env=("MISTRAL_API_KEY",),
        address_env=("MISTRAL_API_BASE",), host="api.mistral.ai",
    ),
    Provider(
        name="deepseek", litellm="deepseek", genai_prices="deepseek", key_env=("DEEPSEEK_API_KEY",),
        address_env=("DEEPSEEK_API_BASE",), host="api.deepseek.com",
    ),
    Provider(
        name="groq", litellm="groq", genai_prices="groq", key_env=("GROQ_API_KEY",),
        address_env=("GROQ_API_BASE",), host="api.groq.com", is_marketplace=True,
    ),
    Provider(
        name="x_ai", litellm="xai", aliases=("x-ai", "grok"), genai_prices="x-ai", key_env=("XAI_API_KEY",),
        address_env=("XAI_API_BASE",), host="api.x.ai",
    ),
    Provider(
        name="cohere", litellm="cohere", other_litellm=("cohere_chat",), genai_prices="cohere",
        key_env=("COHERE_API_KEY", "CO_API_KEY"), address_env=("COHERE_API_BASE",), host="api.cohere.com",
    ),
    Provider(
        name="perplexity", litellm="perplexity", genai_prices="perplexity",
        key_env=("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"), address_env=("PERPLEXITY_API_BASE",),
        host="api.perplexity.ai", is_marketplace=True,
    ),
    Provider(
        name="moonshot_ai", litellm="moonshot", genai_prices="moonshotai", key_env=("MOONSHOT_API_KEY",),
        address_env=("MOONSHOT_API_BASE",), host="api.moonshot.ai",
    ),
    Provider(
        name="ibm.watsonx.ai", litellm="watsonx", other_litellm=("watsonx_text",),
        key_env=("WATSONX_API_KEY", "WATSONX_APIKEY", "WATSONX_TOKEN", "WX_API_KEY"),
        address_env=("WATSONX_URL", "WATSONX_API_BASE", "WX_URL", "WML_URL"), is_marketplace=True,
    ),
    Provider(
        name="openrouter", litellm="openrouter", genai_prices="openrouter",
        key_env=("OPENROUTER_API_KEY", "OR_API_KEY"), address_env=("OPENROUTER_API_BASE",),
        host="openrouter.ai", is_marketplace=True,
    ),
    Provider(
        name="together_ai", litellm="together_ai", aliases=("together",), genai_prices="together",
        key_env=("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"),
        address_env=("TOGETHER_AI_API_BASE",), host="api.together.ai", is_marketplace=True,
    ),
    Provider(
        name="fireworks_ai", litellm="fireworks_ai", aliases=("fireworks",), genai_prices="fireworks",
        key_env=("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
        address_env=("FIREWORKS_API_BASE",), host="api.fireworks.ai", is_marketplace=True,
    ),
    Provider(
        name="cerebras", litellm="cerebras", genai_prices="cerebras", key_env=("CEREBRAS_API_KEY",),
        address_env=("CEREBRAS_API_BASE",), host="api.cerebras.ai", is_marketplace=True,
    ),
    Provider(
        name="novita", litellm="novita", genai_prices="novita", key_env=("NOVITA_API_KEY",),
        is_marketplace=True,
    ),
    Provider(
        name="databricks", litellm="databricks", genai_prices="databricks", key_env=("DATABRICKS_API_KEY",),
        address_env=("DATABRICKS_API_BASE",), is_marketplace=True,
    ),
    Provider(
        name="cloudflare", litellm="cloudflare", genai_prices="cloudflare", key_env=("CLOUDFLARE_API_KEY",),
        is_marketplace=True,
    ),
    Provider(name="minimax", litellm="minimax", genai_prices="minimax", key_env=("MINIMAX_API_KEY",)),
    Provider(name="zai", litellm="zai", genai_prices="zai", key_env=("ZAI_API_KEY",)),
    Provider(name="voyage", litellm="voyage", genai_prices="voyageai", key_env=("VOYAGE_API_KEY",)),
    Provider(
        name="lm_studio", litellm="lm_studio", key_env=("LM_STUDIO_API_KEY",),
        address_env=("LM_STUDIO_API_BASE",), is_local=True, is_marketplace=True,
    ),
    Provider(
        name="llamafile", litellm="llamafile", key_env=("LLAMAFILE_API_KEY",),
        address_env=("LLAMAFILE_API_BASE",), is_local=True, is_marketplace=True,
    ),
)  # fmt: skip


def provider_named(text: str) -> Provider | None:
    """Return the provider of the table that goes by a name in any of the vocabularies, or by an alias."""
    return _by_any_name().get(text.strip().lower())


def provider_of_litellm(litellm_id: str) -> Provider:
    """Return the provider behind one of LiteLLM's ids; one that is not in the table keeps the id as its name.

    LiteLLM's map splits some providers into families, such as `vertex_ai-anthropic_models`.
    """
    by_id = _by_litellm_id()
    known = by_id.get(litellm_id) or by_id.get(litellm_id.split("-", 1)[0])
    return known or unlisted_provider(litellm_id)


def unlisted_provider(litellm_id: str) -> Provider:
    """Return a provider that the table says nothing of: many exist, and most host the models of others.

    LiteLLM's convention for their variables: `{ID}_API_KEY`, `{ID}_API_BASE`.
    """
    variable = litellm_id.upper().replace("-", "_")
    return Provider(
        name=litellm_id,
        litellm=litellm_id,
        key_env=(f"{variable}_API_KEY",),
        address_env=(f"{variable}_API_BASE",),
        is_marketplace=True,
    )


@cache
def _by_litellm_id() -> dict[str, Provider]:
    return {litellm_id: provider for provider in PROVIDERS for litellm_id in provider.litellm_ids}


@cache
def _by_any_name() -> dict[str, Provider]:
    names = {alias: provider for provider in PROVIDERS for alias in provider.aliases}
    return names | _by_litellm_id() | {provider.name: provider for provider in PROVIDERS}
