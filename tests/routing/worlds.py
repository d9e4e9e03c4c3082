"""Small worlds to choose in: models whose names say what they are, and requests."""

from __future__ import annotations

from datetime import date
from typing import Any

from llm_otel.models.entry import ModelCapability, ModelEntry, ModelTier
from llm_otel.models.resolve import ModelRef
from llm_otel.routing.choice import Choice, decide
from llm_otel.routing.complexity import Rating
from llm_otel.routing.features import Features
from llm_otel.routing.options import Option
from llm_otel.routing.taper import NO_TAPER
from llm_otel.routing.wanted import Wanted

BASIC = frozenset({ModelCapability.SIMPLE, ModelCapability.MODERATE})
STRONG = BASIC | {ModelCapability.COMPLEX, ModelCapability.CODING}


def ref(name: str, provider: str = "openai") -> ModelRef:
    """Return what a model is called."""
    return ModelRef(name, provider, f"{provider}/{name}", provider)


def option(name: str, nano: int | None = 100, *, provider: str = "openai", **facts: Any) -> Option:
    """Return a model that is configured and takes everything, unless said otherwise."""
    missing = facts.pop("missing", ())
    entry = ModelEntry(
        **{
            "name": name,
            "provider": provider,
            "tier": ModelTier.STANDARD,
            "capabilities": BASIC,
            "context_window": 100_000,
            "max_output_tokens": 10_000,
            "periods": (),
            "price_source": "test",
            "price_date": date(2026, 11, 22),
        }
        | facts
    )
    return Option(ref=ref(name, provider), entry=entry, estimated_nano=nano, missing=missing)


def rating(capability: str, level: str | None = None, score: float = 0.5, signals: tuple[str, ...] = ()) -> Rating:
    """Return what a request was found to need."""
    return Rating(
        capability=ModelCapability(capability),
        level=ModelCapability(level or capability),
        score=score,
        signals=signals,
    )


def choose(wanted: Wanted, *options: Option, features: Features | None = None, **around: Any) -> Choice:
    """Decide, with no budgets, no trouble and no policy unless said otherwise."""
    defaults: dict[str, Any] = {"headroom": {}, "open_circuits": frozenset(), "taper": NO_TAPER}
    return decide(wanted, features or Features(), options, **(defaults | around))


def names(choice: Choice) -> list[str]:
    """Return the models that the call goes to, in order."""
    return [target.model for target in choice.targets]
