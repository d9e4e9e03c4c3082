"""The models that a request could go to, and what keeps one of them from serving it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from llm_otel.models.providers import provider_named
from llm_otel.money import format_usd
from llm_otel.values import value

if TYPE_CHECKING:
    from llm_otel.models.entry import ModelCapability, ModelEntry
    from llm_otel.models.resolve import ModelRef
    from llm_otel.routing.features import Features
    from llm_otel.routing.itinerary import Model
    from llm_otel.routing.wanted import Wanted

_MOST_VARIABLES = 6
"""So many are named in one error; setting one of them is enough."""


@value
class Option:
    """A model that a request could go to.

    Attributes:
        ref: What to call it.
        entry: Its facts; `None` for a model that the caller named and the registry does not have.
        estimated_nano: nano-USD that this request is expected to cost there; `None` where no price is known, or its
            provider is not configured.
        missing: Environment variables of which one would configure its provider; empty: it is configured.
        untaken: Names of parameters of this request that it does not take, and that change what the answer is.
    """

    ref: ModelRef
    entry: ModelEntry | None
    estimated_nano: int | None = None
    missing: tuple[str, ...] = ()
    untaken: tuple[str, ...] = ()

    @property
    def model(self) -> Model:
        """Provider and name."""
        return self.ref.provider, self.ref.model

    def is_good_for(self, work: AbstractSet[ModelCapability]) -> bool:
        """Tell whether it was judged good enough for all of this; a model that nobody judged is for nothing.

        So a model that only makes embeddings, say, is never chosen for a completion.
        """
        return self.entry is not None and bool(self.entry.capabilities) and work <= self.entry.capabilities


class Bar(StrEnum):
    """The kinds of obstacles, in the order in which they are looked for: first what no key in the environment mends."""

    CAPABILITY = "capability"
    TIER = "tier"
    OTHER_PROVIDER = "other_provider"
    DENIED = "denied"
    NOT_ALLOWED = "not_allowed"
    NO_TOOLS = "no_tools"
    NO_VISION = "no_vision"
    NO_JSON = "no_json"
    NO_PARAMETER = "no_parameter"
    OUTPUT_LIMIT = "output_limit"
    CONTEXT_WINDOW = "context_window"
    NOT_CONFIGURED = "not_configured"
    PRICE_UNKNOWN = "price_unknown"
    TOO_DEAR = "too_dear"
    CIRCUIT_OPEN = "circuit_open"


_TOLD: Mapping[Bar, tuple[str, str]] = {
    Bar.CAPABILITY: ("is not judged good enough", "are not judged good enough"),
    Bar.TIER: ("is of another tier", "are of another tier"),
    Bar.OTHER_PROVIDER: ("is of another provider than the one named", "are of other providers than the one named"),
    Bar.DENIED: ("is in deny_models", "are in deny_models"),
    Bar.NOT_ALLOWED: ("is not in allow_models", "are not in allow_models"),
    Bar.NO_TOOLS: ("takes no tools", "take no tools"),
    Bar.NO_VISION: ("takes no images", "take no images"),
    Bar.NO_JSON: ("has no JSON mode", "have no JSON mode"),
    Bar.NO_PARAMETER: ("does not take all parameters of the request", "do not take all parameters of the request"),
    Bar.OUTPUT_LIMIT: ("gives no answer as long as max_tokens", "give no answer as long as max_tokens"),
    Bar.CONTEXT_WINDOW: ("has too small a context window", "have too small a context window"),
    Bar.PRICE_UNKNOWN: ("has no known price", "have no known price"),
    Bar.TOO_DEAR: ("is estimated above max_cost_usd", "are estimated above max_cost_usd"),
    Bar.NOT_CONFIGURED: ("belongs to a provider that is not configured", "belong to providers that are not configured"),
    Bar.CIRCUIT_OPEN: ("has failed too often of late", "have failed too often of late"),
}


class Obstacle(NamedTuple):
    """What keeps a model from serving a request: its kind, and in words."""

    bar: Bar
    why_not: str


def wish_against(option: Option, wanted: Wanted, work: AbstractSet[ModelCapability]) -> Obstacle | None:
    """Return what the caller's wishes have against a model that the caller did not name."""
    if not option.is_good_for(work):
        asked = " and ".join(sorted(work)) or "any"
        return Obstacle(Bar.CAPABILITY, f"it is not judged good enough for {asked} work")
    assert option.entry is not None, "what is good for something has an entry"
    if wanted.tier is not None and option.entry.tier != wanted.tier:
        return Obstacle(Bar.TIER, f"its tier is {option.entry.tier or 'not known'}, {wanted.tier} is asked for")
    return None


def ban_on(option: Option, wanted: Wanted) -> Obstacle | None:
    """Return what the caller's lists have against a model."""
    if wanted.provider is not None and option.ref.provider != wanted.provider:
        return Obstacle(Bar.OTHER_PROVIDER, f"it is not of {wanted.provider}")
    if wanted.deny and (name := listed(option, wanted.deny)) is not None:
        return Obstacle(Bar.DENIED, f"deny_models has {name!r}")
    if wanted.allow and listed(option, wanted.allow) is None:
        return Obstacle(Bar.NOT_ALLOWED, "it is not in allow_models")
    return None


def listed(option: Option, names: Iterable[str]) -> str | None:
    """Return the first of some names that means the model, or its provider."""
    ref, aliases = option.ref, option.entry.aliases if option.entry is not None else ()
    own = {ref.model, *aliases, ref.litellm_model}
    for name in names:
        if name in own:
            return name
        known = provider_named(name)
        if (known.name if known is not None else name) == ref.provider:
            return name
        prefix, slash, rest = name.partition("/")
        if slash and rest in own and (of := provider_named(prefix)) is not None and of.name == ref.provider:
            return name
    return None


def obstacle_to(
    option: Option, wanted: Wanted, features: Features, open_circuits: Collection[Model]
) -> Obstacle | None:
    """Return the first thing that keeps a model from serving a request; `None`: it can."""
    return (
        refusal_of(option, features)
        or _configuration_of(option)
        or _cost_of(option, wanted.max_cost_nano)
        or _circuit_of(option, open_circuits)
    )


def refusal_of(option: Option, features: Features) -> Obstacle | None:
    """Return why a provider would refuse a request; what is not known of a model is not held against it."""
    entry = option.entry
    if option.untaken:
        return Obstacle(Bar.NO_PARAMETER, f"it does not take {' and '.join(option.untaken)}")
    if entry is None:
        return None
    if features.needs_tools and not entry.supports_tools:
        return Obstacle(Bar.NO_TOOLS, "it takes no tools, and the request brings some")
    if features.needs_vision and not entry.supports_vision:
        return Obstacle(Bar.NO_VISION, f"it takes no images, and the request has {features.images}")
    if features.needs_json and not entry.supports_json:
        return Obstacle(Bar.NO_JSON, "it has no JSON mode, and response_format asks for it")
    return _limits_of(entry, features)


def _limits_of(entry: ModelEntry, features: Features) -> Obstacle | None:
    asked, longest, window = features.max_tokens, entry.max_output_tokens, entry.context_window
    if asked is not None and longest is not None and asked > longest:
        return Obstacle(Bar.OUTPUT_LIMIT, f"its answers have {longest:,} tokens at most, max_tokens is {asked:,}")
    if window is None:
        return None
    if asked is not None and asked > window:
        return Obstacle(Bar.OUTPUT_LIMIT, f"its context window is {window:,} tokens, max_tokens is {asked:,}")
    if (tokens := features.least_input_tokens) > window:
        why_not = f"its context window is {window:,} tokens, the request has more than {tokens:,}"
        return Obstacle(Bar.CONTEXT_WINDOW, why_not)
    return None


def doubt_about(option: Option, features: Features) -> bool:
    """Tell whether a request may turn out too long for a model: answer included, as most windows hold both."""
    window = option.entry.context_window if option.entry is not None else None
    return window is not None and features.most_input_tokens + (features.max_tokens or 0) > window


def _cost_of(option: Option, most_nano: int | None) -> Obstacle | None:
    if most_nano is None:
        return None
    if option.estimated_nano is None:
        return Obstacle(Bar.PRICE_UNKNOWN, "its price is not known, and max_cost_usd is set")
    if option.estimated_nano > most_nano:
        estimated, most = format_usd(option.estimated_nano), format_usd(most_nano)
        return Obstacle(Bar.TOO_DEAR, f"it is estimated at {estimated}, max_cost_usd is {most}")
    return None


def _configuration_of(option: Option) -> Obstacle | None:
    if not option.missing:
        return None
    return Obstacle(Bar.NOT_CONFIGURED, f"{option.ref.provider} is not configured: set {option.missing[0]}")


def _circuit_of(option: Option, open_circuits: Collection[Model]) -> Obstacle | None:
    if not open_circuits or option.model not in open_circuits:
        return None
    return Obstacle(Bar.CIRCUIT_OPEN, "it has failed too often of late and is left alone for a while")


def told_together(found: Iterable[tuple[Option, Obstacle]], allowed: Iterable[str] = ()) -> str:
    """Return what keeps all of some models from serving a request, grouped, with what would mend it.

    Args:
        found: The models, each with its obstacle.
        allowed: The caller's `allow_models`: a slip of the pen there means no model, and is told.
    """
    pairs = list(found)
    counts = Counter(obstacle.bar for _, obstacle in pairs)
    if not counts:
        return "no model is known at all; register_model(...) adds one"
    groups = [_group(bar, counts[bar], pairs) for bar in Bar if bar in counts]
    slips = [repr(name) for name in allowed if all(listed(option, (name,)) is None for option, _ in pairs)]
    hint = f"; allow_models has {' and '.join(slips)}, which no known model or provider is called" if slips else ""
    return f"no model is left: of {len(pairs)}, {', '.join(groups)}{hint}"


def _group(bar: Bar, count: int, pairs: list[tuple[Option, Obstacle]]) -> str:
    one, many = _TOLD[bar]
    told = f"{count} {one if count == 1 else many}"
    if bar is not Bar.NOT_CONFIGURED:
        return told
    variables = dict.fromkeys(option.missing[0] for option, obstacle in pairs if obstacle.bar is bar)
    named = list(variables)[:_MOST_VARIABLES]
    return f"{told} (set {' or '.join(named)})"
