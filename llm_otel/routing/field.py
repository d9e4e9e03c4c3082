"""All that could be taken for one request, looked at with the eyes of that request."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from llm_otel.errors import NoModelError
from llm_otel.routing.options import (
    Obstacle,
    Option,
    ban_on,
    doubt_about,
    obstacle_to,
    told_together,
    wish_against,
)
from llm_otel.routing.policy import RouteRequest
from llm_otel.routing.wanted import AUTO, Wanted, need_of

if TYPE_CHECKING:
    from llm_otel.routing.features import Features
    from llm_otel.routing.headroom import Headroom
    from llm_otel.routing.itinerary import Model


class Field:
    """All options, before the wishes and the filters of one request."""

    def __init__(
        self, wanted: Wanted, features: Features, options: tuple[Option, ...], open_circuits: Collection[Model]
    ) -> None:
        self.wanted = wanted
        self.features = features
        self.need = need_of(wanted, None if wanted.is_observed else features.rating)
        self.options = options
        self.open_circuits = open_circuits

    def obstacle(self, option: Option) -> Obstacle | None:
        """Return what keeps an option from serving the request, whatever it is good for."""
        wanted = self.wanted
        return ban_on(option, wanted) or obstacle_to(option, wanted, self.features, self.open_circuits)

    def against(self, option: Option) -> Obstacle | None:
        """Return what there is against choosing an option."""
        return wish_against(option, self.wanted, self.need.wanted) or self.obstacle(option)

    def ranked(self, options: list[Option]) -> list[Option]:
        """Return options in the order of preference: surely long enough, with a known price, cheapest, earliest."""
        return sorted(options, key=self._rank)

    def _rank(self, option: Option) -> tuple[bool, bool, int]:
        estimated = option.estimated_nano
        return self.is_in_doubt(option), estimated is None, estimated or 0

    def is_in_doubt(self, option: Option) -> bool:
        """Tell whether the request may turn out too long for an option."""
        return doubt_about(option, self.features)

    def pool(self) -> Iterator[Option]:
        """Yield what a budget may have taken instead of the choice.

        Of another tier too, unless it was said beside a name: a tier is a wish about the price, and near a limit that
        is the first to give way.
        """
        tier = self.wanted.tier if self.wanted.model is not None else None
        for option in self.options:
            is_of_tier = option.entry is not None and tier in {None, option.entry.tier}
            if is_of_tier and not self.is_in_doubt(option) and self.obstacle(option) is None:
                yield option

    def request(self, headroom: Mapping[Model, Headroom]) -> RouteRequest:
        """Return what a policy is told."""
        features, work = self.features, self.need.main
        return RouteRequest(
            input_tokens=features.usual_input_tokens,
            output_tokens=features.expected_output_tokens(work, None),
            needs_tools=features.needs_tools,
            needs_vision=features.needs_vision,
            needs_json=features.needs_json,
            capability=work,
            tier=self.wanted.tier,
            score=None if features.rating is None else features.rating.score,
            tags=features.tags,
            headroom=headroom,
        )


def no_model(wanted: Wanted, against: list[tuple[Option, Obstacle]]) -> NoModelError:
    """Make the error of a request that no option can serve: it names what was asked, as the caller wrote it."""
    if wanted.is_auto:
        name, value = "model", AUTO
    elif wanted.capability is not None:
        name, value = "capability", wanted.capability.value
    elif wanted.tier is not None:
        name, value = "tier", wanted.tier.value
    else:
        name, value = "model", None
    why_not = {f"{option.ref.provider}/{option.ref.model}": obstacle.why_not for option, obstacle in against}
    return NoModelError(name, value, told_together(against, wanted.allow), why_not=why_not)
