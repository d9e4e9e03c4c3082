"""The arguments of a call for another model than the one they were made for, and which models take them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_otel.providers import loading
from llm_otel.providers.requests import add_placeholder_key

if TYPE_CHECKING:
    from llm_otel.models.resolve import ModelRef

_RELIED_ON = frozenset(
    {
        "audio",
        "function_call",
        "functions",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "modalities",
        "n",
        "prediction",
        "response_format",
        "stop",
        "tool_choice",
        "tools",
        "top_logprobs",
        "web_search_options",
    }
)
"""What changes what an answer is. All else shapes it (`seed`, `frequency_penalty`, `service_tier`): a hint."""
_JUDGED_HERE = frozenset(
    {
        "function_call",
        "functions",
        "max_completion_tokens",
        "max_tokens",
        "response_format",
        "tool_choice",
        "tools",
    }
)
"""Those of them that the registry knows of each model, or that every model takes."""
_OF_ITS_PROVIDER = frozenset(
    {
        "api_base",
        "api_key",
        "api_version",
        "base_model",
        "base_url",
        "client",
        "client_id",
        "custom_llm_provider",
        "default_headers",
        "deployment_id",
        "extra_body",
        "extra_headers",
        "extra_query",
        "headers",
        "model_info",
        "organization",
        "project",
        "region_name",
        "service_tier",
        "ssl_verify",
        "tenant_id",
    }
)
"""What no other provider may get, or would understand: LiteLLM makes Gemini's "priority" of OpenAI's "auto"."""
_PREFIXES_OF_PROVIDERS = ("aws_", "azure_", "oci_", "sagemaker_", "vertex_", "watsonx_")
_SECRET = frozenset({"apikey", "credential", "credentials", "key", "password", "secret", "token"})
"""Words in the names of what opens a provider's door. LiteLLM (1.105) writes what it does not know into the request to
whoever speaks like OpenAI."""
_OPENS_NOTHING = frozenset({"prompt_cache_key"})


def for_target(first: ModelRef, arguments: Mapping[str, Any], ref: ModelRef) -> dict[str, Any]:
    """Return the arguments of a call, made for the model `first`, for one that the caller did not name first.

    As `moved` otherwise. Hints that the model does not take are left out, rather than have LiteLLM refuse the request;
    not where it does not take what the caller relies on.
    """
    return {"drop_params": _takes_all_relied_on(ref, arguments), **moved(first, arguments, ref)}


def moved(first: ModelRef, arguments: Mapping[str, Any], ref: ModelRef) -> dict[str, Any]:
    """Return the arguments of a call, made for the model `first`, as another may get them.

    What is meant for one provider stays with it: another must not see its key, nor be sought at its address.
    """
    changed = {**arguments, "model": ref.litellm_model}
    if ref.litellm_provider != first.litellm_provider:
        changed = {name: value for name, value in changed.items() if not is_of_its_provider(name)}
    add_placeholder_key(changed, ref)
    return changed


def is_of_its_provider(name: str) -> bool:
    """Tell whether an argument of LiteLLM's `completion` is meant for one provider, by its name."""
    if name in _OF_ITS_PROVIDER or name.startswith(_PREFIXES_OF_PROVIDERS):
        return True
    return name not in _OPENS_NOTHING and not _SECRET.isdisjoint(name.split("_"))


def judged_by_litellm(arguments: Mapping[str, Any]) -> frozenset[str]:
    """Return what the caller relies on that only LiteLLM knows of which models take it: mostly nothing."""
    return _RELIED_ON.intersection(arguments) - _JUDGED_HERE


def untaken(ref: ModelRef, names: frozenset[str]) -> tuple[str, ...]:
    """Return those of some parameters that a model does not take, in order; none where LiteLLM does not know it.

    Loads LiteLLM.
    """
    taken = _taken_by(ref)
    return tuple(sorted(names - taken)) if taken else ()


def _takes_all_relied_on(ref: ModelRef, arguments: Mapping[str, Any]) -> bool:
    relied_on = _RELIED_ON & arguments.keys()
    return not relied_on or relied_on <= _taken_by(ref)


@lru_cache(maxsize=256)
def _taken_by(ref: ModelRef) -> frozenset[str]:
    """Return the names of the parameters that LiteLLM passes on to a model; none where it does not know."""
    try:
        return frozenset(loading.litellm().get_supported_openai_params(ref.litellm_model, ref.litellm_provider) or ())
    # It asks the code of a hundred providers, each of which may fail in its own way.
    except Exception:  # noqa: BLE001
        return frozenset()
