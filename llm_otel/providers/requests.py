"""From what a user asks to what LiteLLM is given, and from what LiteLLM was given to the facts of a call."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llm_otel import semconv
from llm_otel.call import NO_PARAMETERS, CallRequest, FailureKind, Parameters
from llm_otel.errors import ConfigurationError
from llm_otel.models.litellm_map import litellm_map
from llm_otel.models.providers import Provider, provider_of_litellm
from llm_otel.models.registry import default_registry
from llm_otel.models.resolve import ModelRef, resolve_model
from llm_otel.money import parse_usd
from llm_otel.providers.operations import CHAT, Operation
from llm_otel.providers.parameters import parameters_of
from llm_otel.providers.reading import get, hidden_of
from llm_otel.routing.retry import RetryPolicy
from llm_otel.routing.wanted import AUTO, OBSERVE, decides_all

if TYPE_CHECKING:
    from llm_otel.models.providers import LLMProvider
    from llm_otel.types import LLMConfig

UNKNOWN_PROVIDER = "unknown"
"""`gen_ai.provider.name` of a plain call whose model tells nothing: LiteLLM will refuse it."""
_NO_KEY = "no-key-configured"
"""Sent where a server's address is configured and no key: SDKs insist on one, local servers do not look at it."""

_SENT_AS_GIVEN = (
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "seed",
    "n",
    "frequency_penalty",
    "presence_penalty",
    "response_format",
    "tools",
    "tool_choice",
    "reasoning_effort",
    "service_tier",
    "api_base",
    "api_key",
)
_MOCKS = frozenset({"mock_response", "mock_tool_calls", "mock_timeout"})


def resolve(model: str, provider: LLMProvider | str | None) -> ModelRef:
    """Resolve a model, remembering the answer until the registry changes.

    Raises:
        UnknownProviderError: See `resolve_model`.
    """
    return _resolved(model, provider, default_registry().version)


@lru_cache(maxsize=1024)
def _resolved(model: str, provider: LLMProvider | str | None, _registry_version: int) -> ModelRef:
    return resolve_model(model, provider)


def check_messages(messages: Any) -> None:
    """Refuse a conversation that no provider would take.

    Raises:
        ConfigurationError: Not a list of mappings with a role, or an empty one. The text itself is never quoted.
    """
    if not isinstance(messages, list) and (isinstance(messages, str | bytes) or not isinstance(messages, Sequence)):
        raise ConfigurationError("messages", type(messages).__name__, "a list of {'role': ..., 'content': ...}")
    if not messages:
        raise ConfigurationError("messages", [], "at least one message: {'role': 'user', 'content': ...}")
    for index, message in enumerate(messages):
        role = get(message, "role")
        if not isinstance(role, str) or not role:
            raise ConfigurationError(
                f"messages[{index}]",
                type(message).__name__,
                "a mapping with a 'role' and, usually, a 'content'",
            )


@dataclass(frozen=True, slots=True)
class Template:
    """What every call with one configuration has in common, worked out once.

    Attributes:
        config: The configuration, kept so that its identity cannot be reused while the template is.
        ref: The model that it names, in every vocabulary; `None` where the model is to be chosen.
        fallbacks: Where to go when it fails.
        detours: Where to go when it fails in a certain way.
        arguments: For `litellm.completion`: all but the model, the messages, the key and what a stream needs.
        parameters: What stands on the span.
        retry: How often a request may be sent.
        max_cost_nano: nano-USD that a call may cost; `None` for any amount.
        is_by_name: Whether the name decides all: nothing is compared with it.
    """

    config: LLMConfig
    registry_version: int
    ref: ModelRef | None
    fallbacks: tuple[ModelRef, ...]
    detours: Mapping[FailureKind, tuple[ModelRef, ...]]
    arguments: Mapping[str, Any]
    parameters: Parameters
    retry: RetryPolicy
    max_cost_nano: int | None
    is_by_name: bool


_templates: dict[int, Template] = {}
_MAX_TEMPLATES = 256


def template_of(config: LLMConfig) -> Template:
    """Return the template of a configuration. Thread-safe: at worst one is made twice.

    Raises:
        UnknownProviderError: See `resolve_model`.
    """
    found = _templates.get(id(config))
    if found is not None and found.config is config and found.registry_version == default_registry().version:
        return found
    if len(_templates) >= _MAX_TEMPLATES:
        _templates.clear()
    made = _templates[id(config)] = _make_template(config)
    return made


def _make_template(config: LLMConfig) -> Template:
    version = default_registry().version
    is_named = config.model is not None and config.model != AUTO
    detours = {
        FailureKind.CONTEXT_WINDOW: all_resolved("context_window_fallbacks", config.context_window_fallbacks),
        FailureKind.CONTENT_POLICY: all_resolved("content_policy_fallbacks", config.content_policy_fallbacks),
    }
    arguments: dict[str, Any] = {name: v for name in _SENT_AS_GIVEN if (v := getattr(config, name)) is not None}
    arguments.update(config.extra, max_retries=0, num_retries=0)
    most = config.max_cost_usd
    return Template(
        config=config,
        registry_version=version,
        ref=resolve(config.model, config.provider) if config.model is not None and is_named else None,
        fallbacks=all_resolved("fallbacks", config.fallbacks or ()),
        detours={kind: refs for kind, refs in detours.items() if refs},
        arguments=arguments,
        parameters=parameters_of(arguments),
        retry=RetryPolicy(max_attempts=1 + config.max_retries),
        max_cost_nano=None if most is None else parse_usd(most, field="max_cost_usd"),
        is_by_name=is_named and decides_all(config.capability, config.tier, is_observed=config.routing == OBSERVE),
    )


def all_resolved(field: str, names: tuple[str, ...]) -> tuple[ModelRef, ...]:
    """Resolve the models in a field of a configuration.

    Raises:
        ConfigurationError: The provider of one cannot be told; the error names its place.
    """
    found: list[ModelRef] = []
    for index, name in enumerate(names):
        try:
            found.append(resolve(name, None))
        except ConfigurationError as exc:
            raise type(exc)(f"{field}[{index}]", name, exc.allowed) from None
    return tuple(found)


def arguments_for(template: Template, ref: ModelRef, messages: Any, *, is_streaming: bool) -> dict[str, Any]:
    """Return the keyword arguments of `litellm.completion` for a model; the time-out is added for each attempt."""
    arguments = {**template.arguments, "model": ref.litellm_model, "messages": messages}
    if is_streaming:
        arguments["stream"] = True
        arguments["stream_options"] = {**_stream_options(arguments), "include_usage": True}
    add_placeholder_key(arguments, ref)
    return arguments


def add_placeholder_key(arguments: dict[str, Any], ref: ModelRef) -> None:
    """Write a key into the arguments of a call where a server's address is configured, and no key."""
    if "api_key" not in arguments and _needs_placeholder_key(provider_of_litellm(ref.litellm_provider), arguments):
        arguments["api_key"] = _NO_KEY


def _stream_options(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    options = arguments.get("stream_options")
    if options is not None and not isinstance(options, Mapping):
        raise ConfigurationError(
            "extra['stream_options']", options, "a mapping, such as {'include_obfuscation': False}"
        )
    return options or {}


def _needs_placeholder_key(provider: Provider, arguments: Mapping[str, Any]) -> bool:
    """Tell a server of one's own, named without a key; the environment may have changed since the last call."""
    if "api_base" not in arguments and _from_environment(provider.address_env) is None:
        return False
    return bool(provider.key_env) and _from_environment(provider.key_env) is None


def _from_environment(names: tuple[str, ...]) -> str | None:
    """Return what the first of some variables says that says something."""
    for name in names:
        if value := os.environ.get(name):
            return value
    return None


def request_of(
    arguments: Mapping[str, Any],
    ref: ModelRef,
    *,
    tags: Mapping[str, str],
    operation: Operation = CHAT,
    parameters: Parameters | None = None,
    route: Parameters | None = None,
) -> CallRequest:
    """Read the facts of a call off the keyword arguments of LiteLLM's function."""
    address, port = _server(arguments, provider_of_litellm(ref.litellm_provider))
    if parameters is None:
        parameters = parameters_of(arguments, operation.parameters)
        if operation.openai_api is not None and ref.provider in semconv.OPENAI_PROVIDERS:
            parameters = {**parameters, semconv.OPENAI_API_TYPE: operation.openai_api}
    return CallRequest(
        operation=operation.name,
        provider=ref.provider,
        model=ref.model,
        litellm_model=ref.litellm_model,
        is_streaming=operation.streams and bool(arguments.get("stream")),
        is_mock=_is_mock(arguments),
        parameters=parameters,
        route=route or NO_PARAMETERS,
        base_model=_base_model(arguments, ref),
        service_tier=_string(arguments.get("service_tier")),
        tags=tags,
        server_address=address,
        server_port=port,
        messages=arguments.get(operation.shape.input),
        instructions=arguments.get("instructions"),
        tools=arguments.get("tools"),
    )


def _base_model(arguments: Mapping[str, Any], ref: ModelRef) -> str | None:
    """Return the model behind a deployment: said in the call, or in a Router's `model_info`."""
    if "base_model" not in arguments and "model_info" not in arguments:
        return None
    told = _string(arguments.get("base_model")) or _string(get(arguments.get("model_info"), "base_model"))
    return told.removeprefix(f"{ref.litellm_provider}/") if told else None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _is_mock(arguments: Mapping[str, Any]) -> bool:
    # The first half is the quick one; LiteLLM takes what is empty for what is not given.
    return not _MOCKS.isdisjoint(arguments) and any(map(arguments.get, _MOCKS))


def reference_of(arguments: Mapping[str, Any]) -> ModelRef:
    """Tell model and provider of a plain LiteLLM call, as LiteLLM will; what it cannot tell is its own to refuse."""
    # Text completions have another name for it.
    model, provider = arguments.get("model") or arguments.get("engine"), arguments.get("custom_llm_provider")
    if not isinstance(model, str) or not (provider is None or isinstance(provider, str)):
        return _unresolved(str(model or ""))
    return _plain_reference(model, provider, default_registry().version)


def fallback_of(fallbacks: Any, response: Any) -> Mapping[str, Any] | None:
    """Return what LiteLLM asked last of its `fallbacks`, for `reference_of`; `None` where it took none."""
    number = get(get(hidden_of(response), "additional_headers"), semconv.HEADER_ATTEMPTED_FALLBACKS)
    if not isinstance(number, int) or not 0 < number <= len(fallbacks):
        return None
    taken = fallbacks[number - 1]
    return {"model": taken} if isinstance(taken, str) else taken


@lru_cache(maxsize=1024)
def _plain_reference(model: str, provider: str | None, _registry_version: int) -> ModelRef:
    if provider is None and "/" not in model:
        # LiteLLM's own map comes first here: it sends a bare `gemini-...` to Vertex AI, the router to the Gemini API.
        provider = litellm_map().litellm_id_of(model)
    try:
        return resolve_model(model, provider)
    except ConfigurationError:
        return _unresolved(model)


def _unresolved(model: str) -> ModelRef:
    return ModelRef(model=model, provider=UNKNOWN_PROVIDER, litellm_model=model, litellm_provider=UNKNOWN_PROVIDER)


def _server(arguments: Mapping[str, Any], provider: Provider) -> tuple[str | None, int | None]:
    address = arguments.get("api_base") or arguments.get("base_url") or _from_environment(provider.address_env)
    if not isinstance(address, str):
        return provider.host, provider.port if provider.host else None
    return _split(address)


@lru_cache(maxsize=256)
def _split(address: str) -> tuple[str | None, int | None]:
    """Return host and port of an address; a key or a password in it stays behind."""
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        return parts.hostname, parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError:
        return None, None
