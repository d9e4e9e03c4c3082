"""What the choice of a model is made from, gathered: configuration, environment, prices, health, budgets' headroom.

    LLMConfig ─► wanted_of ─► find ─► decide (pure) ─► Choice

A call whose model is named, and nothing else, takes the short way: nothing is gathered.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from llm_otel.errors import ConfigurationError
from llm_otel.models.providers import Provider, provider_named, unlisted_provider
from llm_otel.models.registry import Registry, default_registry
from llm_otel.models.resolve import ModelRef, resolve_model
from llm_otel.money import parse_usd
from llm_otel.providers.moving import is_of_its_provider, judged_by_litellm, untaken
from llm_otel.providers.requests import all_resolved, resolve
from llm_otel.routing.choice import Choice, decide
from llm_otel.routing.complexity import classify
from llm_otel.routing.features import Features, features_of
from llm_otel.routing.options import Option, refusal_of
from llm_otel.routing.taper import NO_TAPER, Taper
from llm_otel.routing.wanted import AUTO, OBSERVE, Wanted, need_of

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from llm_otel.budgets.matching import Matched
    from llm_otel.clock import Clock
    from llm_otel.models.entry import ModelCapability, ModelEntry
    from llm_otel.pricing.book import PriceBook
    from llm_otel.recording import Guard
    from llm_otel.routing.headroom import Headroom
    from llm_otel.routing.itinerary import Model
    from llm_otel.routing.policy import RoutingPolicy
    from llm_otel.steps import Step
    from llm_otel.types import LLMConfig

_NO_FEATURES = Features()
_NO_MODELS: frozenset[Model] = frozenset()
_NOTHING: frozenset[ModelCapability] = frozenset()
_TIER = "service_tier"
"""A field of `LLMConfig` too, which goes to whoever is chosen; from there on it is that provider's."""
POLICY = "routing_policy"
"""The part whose failures are counted where a user's policy fails."""


def none_open(now_s: float) -> frozenset[Model]:  # noqa: ARG001  # as `Health.open_models`, where there is no `Health`
    """Return no model at any time."""
    return _NO_MODELS


class Budgets(Protocol):
    """As much of an `Enforcer` as is needed here."""

    def headrooms(
        self, models: Sequence[Model], tags: Mapping[str, str], run: Matched
    ) -> Generator[Step, Any, Mapping[Model, Headroom]]:
        """Look how full the budgets of some models are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a runtime knows that bears on the choice of a model. Made once for each; all of it thread-safe.

    Attributes:
        environ: Where keys and addresses of providers are looked for, anew for each decision.
        budgets: `None`: there are none.
        open_circuits: Returns the models that are left alone at a monotonic time in seconds.
    """

    prices: PriceBook
    clock: Clock
    guard: Guard
    environ: Mapping[str, str]
    taper: Taper = NO_TAPER
    budgets: Budgets | None = None
    open_circuits: Callable[[float], AbstractSet[Model]] = none_open


# --- what the caller wants --------------------------------------------------------------------------------------------


def wanted_of(config: LLMConfig, *, has_policy: bool = False) -> Wanted:
    """Read what a configuration says about the choice of a model.

    Args:
        config: The caller's.
        has_policy: A policy of the user's can choose where the configuration says nothing.

    Raises:
        ConfigurationError: It says nothing to choose by, or contradicts itself.
        UnknownProviderError: See `resolve_model`.
    """
    is_named = config.model is not None and config.model != AUTO
    is_observed = config.routing == OBSERVE
    if not is_named:
        _check_choosable(config, has_policy=has_policy, is_observed=is_observed)
    return Wanted(
        model=resolve(config.model, config.provider) if config.model is not None and is_named else None,
        is_auto=config.model == AUTO,
        is_observed=is_observed,
        provider=None if config.provider is None or is_named else _provider_name(config.provider),
        capability=config.capability,
        tier=config.tier,
        quality_floor=config.quality_floor,
        allow=config.allow_models,
        deny=config.deny_models,
        fallbacks=None if config.fallbacks is None else all_resolved("fallbacks", config.fallbacks),
        max_cost_nano=None if config.max_cost_usd is None else parse_usd(config.max_cost_usd, field="max_cost_usd"),
    )


def _check_choosable(config: LLMConfig, *, has_policy: bool, is_observed: bool) -> None:
    if is_observed:
        raise ConfigurationError("routing", OBSERVE, "name the model that is taken: LLMConfig(model='gpt-4o-mini')")
    if config.model is None and config.capability is None and config.tier is None and not has_policy:
        allowed = "name one, such as 'gpt-4o-mini', or 'auto'; or say capability= or tier= to have one chosen"
        raise ConfigurationError("model", None, allowed)
    if config.provider is None and (bound := _bound_to_a_provider(config)) is not None:
        allowed = f"{bound} belongs to one provider: say which, LLMConfig(provider=LLMProvider.OPENAI)"
        raise ConfigurationError("provider", None, f"where the model is chosen, {allowed}")


def _bound_to_a_provider(config: LLMConfig) -> str | None:
    """Return what a configuration has that whoever is chosen must not get, unless that is the one it is meant for."""
    if config.api_base is not None:
        return "api_base"
    if config.api_key is not None:
        return "api_key"
    return next((f"extra[{name!r}]" for name in config.extra if name != _TIER and is_of_its_provider(name)), None)


def _provider_name(provider: str) -> str:
    known = provider_named(str(provider))
    return known.name if known is not None else resolve_model("any", provider).provider


# --- what there is ----------------------------------------------------------------------------------------------------


class _Known(NamedTuple):
    """A model of the registry, resolved."""

    model: Model
    ref: ModelRef
    entry: ModelEntry


def find(
    config: LLMConfig,
    arguments: Mapping[str, Any],
    around: Surroundings,
    *,
    tags: Mapping[str, str],
    run: Matched,
    policy: RoutingPolicy | None = None,
) -> Generator[Step, Any, Choice]:
    """Choose the model of a call: steps for `steps.run` or `steps.arun`, at most one of which asks a ledger.

    Args:
        config: The caller's.
        arguments: Of LiteLLM's `completion`, all but the model.
        around: What the runtime knows.
        tags: What the call is for.
        run: The budgets of the runs around it.
        policy: The user's own.

    Raises:
        ConfigurationError: See `wanted_of`.
        NoModelError: No model can serve the request.
    """
    wanted = wanted_of(config, has_policy=policy is not None)
    if wanted.is_by_name:
        return decide(wanted, _NO_FEATURES, (), headroom={}, open_circuits=_NO_MODELS, taper=NO_TAPER)
    features = _features(wanted, arguments, tags)
    options = _options(config, wanted, features, around, judged_by_litellm(arguments))
    headroom: Mapping[Model, Headroom] = {}
    if around.budgets is not None and _looks_at_budgets(wanted, around.taper, policy):
        models = [option.model for option in options if not option.missing]
        headroom = yield from around.budgets.headrooms(models, tags, run)
    choice = decide(
        wanted,
        features,
        options,
        headroom=headroom,
        open_circuits=around.open_circuits(around.clock.monotonic()),
        taper=around.taper,
        policy=policy,
    )
    if choice.policy_error is not None:
        around.guard.failed(POLICY, choice.policy_error)
    return choice


class Servers:
    """Tells which models a request could go to: their providers would not refuse it, as far as is known.

    The request is read once, when it is first asked for any model.
    """

    __slots__ = ("_arguments", "_features", "_relied_on")

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """Take the arguments of LiteLLM's `completion`."""
        self._arguments = arguments
        self._features: Features | None = None
        self._relied_on: frozenset[str] = frozenset()

    def among(self, refs: tuple[ModelRef, ...]) -> tuple[ModelRef, ...]:
        """Return those of some models; the caller named them, so nothing but the request speaks against them."""
        if not refs:
            return ()
        if self._features is None:
            self._features = features_of(self._arguments, rating=None, tags={})
            self._relied_on = judged_by_litellm(self._arguments)
        return tuple(ref for ref in refs if refusal_of(self._option(ref), self._features) is None)

    def _option(self, ref: ModelRef) -> Option:
        entry = default_registry().find(ref.model, ref.provider)
        return Option(ref=ref, entry=entry, untaken=_untaken(ref, self._relied_on))


def _features(wanted: Wanted, arguments: Mapping[str, Any], tags: Mapping[str, str]) -> Features:
    features = features_of(arguments, rating=None, tags=tags)
    if not (wanted.is_auto or wanted.is_observed):
        return features
    tools = arguments.get("tools")
    rating = classify(
        arguments.get("messages") or (),
        tools_count=len(tools) if isinstance(tools, list | tuple) else 0,
        has_images=features.needs_vision,
        wants_json=features.needs_json,
    )
    return replace(features, rating=rating)


def _looks_at_budgets(wanted: Wanted, taper: Taper, policy: RoutingPolicy | None) -> bool:
    """Tell whether anybody wants to know how full budgets are."""
    if wanted.model is not None:
        return not taper.is_off and (wanted.capability is not None or wanted.tier is not None)
    return policy is not None or not taper.is_off


def _untaken(ref: ModelRef, relied_on: frozenset[str]) -> tuple[str, ...]:
    return untaken(ref, relied_on) if relied_on else ()


def _options(
    config: LLMConfig, wanted: Wanted, features: Features, around: Surroundings, relied_on: frozenset[str]
) -> tuple[Option, ...]:
    """Return the models of the registry in its order, then those that the caller named and it has not, or not so."""
    registry = default_registry()
    known = _catalogue(registry, registry.version)
    environment = _Environment(config, around.environ)
    cost = _Costs(around, features, need_of(wanted, features.rating).main)
    own = None if wanted.model is None else (wanted.model.provider, wanted.model.model)
    found: list[Option] = []
    for each in known:
        if wanted.model is not None and each.model == own:
            # One provider may be called in several ways, and the caller has chosen one.
            found.append(Option(ref=wanted.model, entry=each.entry, estimated_nano=cost.of(each.ref, each.entry)))
        elif missing := environment.missing(each.entry):
            found.append(Option(ref=each.ref, entry=each.entry, missing=missing))
        else:
            nano = cost.of(each.ref, each.entry)
            lacks = _untaken(each.ref, relied_on)
            found.append(Option(ref=each.ref, entry=each.entry, estimated_nano=nano, untaken=lacks))
    models = {each.model for each in known}
    for ref in dict.fromkeys((*(() if wanted.model is None else (wanted.model,)), *(wanted.fallbacks or ()))):
        if (ref.provider, ref.model) not in models:
            entry = registry.find(ref.model, ref.provider)
            # A dated name of a model of the registry is nothing else to choose.
            facts = entry if entry is None or ref == wanted.model else replace(entry, capabilities=_NOTHING)
            lacks = () if ref == wanted.model else _untaken(ref, relied_on)
            found.append(Option(ref=ref, entry=facts, estimated_nano=cost.of(ref, entry), untaken=lacks))
    return tuple(found)


@lru_cache(maxsize=8)
def _catalogue(registry: Registry, _version: int) -> tuple[_Known, ...]:
    """Return every model of a registry that can be called."""
    return tuple(found for entry in registry.entries() if (found := _known(entry)) is not None)


def _known(entry: ModelEntry) -> _Known | None:
    try:
        ref = resolve_model(entry.name, entry.provider)
    except ConfigurationError:
        # Registered under a name that no call can have, such as that of another provider's model.
        return None
    return _Known((ref.provider, ref.model), ref, entry)


class _Environment:
    """Tells which providers are configured; each is looked up once."""

    __slots__ = ("_environ", "_missing")

    def __init__(self, config: LLMConfig, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._missing: dict[str, tuple[str, ...]] = {}
        if config.provider is not None and (config.api_key is not None or config.api_base is not None):
            self._missing[_provider_name(config.provider)] = ()

    def missing(self, entry: ModelEntry) -> tuple[str, ...]:
        """Return the variables one of which would configure a model's provider; none where it is configured."""
        name = entry.provider
        if name not in self._missing:
            known = provider_named(name)
            if known is None and entry.is_user_defined:
                # A handler of the user's own needs no variable: that its model was registered says enough.
                return ()
            self._missing[name] = _missing(known or unlisted_provider(name), self._environ)
        return self._missing[name]


def _missing(provider: Provider, environ: Mapping[str, str]) -> tuple[str, ...]:
    return () if provider.configured_by(environ) is not None else provider.variables


class _Costs:
    """Estimates what one request costs, by model: its length is worked out once."""

    __slots__ = ("_at", "_features", "_input", "_prices", "_work")

    def __init__(self, around: Surroundings, features: Features, work: ModelCapability | None) -> None:
        self._prices = around.prices
        self._at = around.clock.now_ns() / 1e9
        self._features = features
        self._input = features.usual_input_tokens
        self._work = work

    def of(self, ref: ModelRef, entry: ModelEntry | None) -> int | None:
        """Return nano-USD that the request is expected to cost; `None` where no price is known."""
        longest = None if entry is None else entry.max_output_tokens
        output = self._features.expected_output_tokens(self._work, longest)
        prices = self._prices.dearest(
            provider=ref.provider, model=ref.model, at=self._at, service_tier=self._features.service_tier
        )
        return None if prices is None else prices.bound(self._input, output)
