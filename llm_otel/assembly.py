"""The one object that holds everything a call needs: settings, clock, prices and recorders, joined."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any

from llm_otel.call import NO_TAGS, Answer
from llm_otel.clock import Clock, SystemClock, to_datetime
from llm_otel.open_call import Instruments, OpenCall, Plan
from llm_otel.pricing.book import PriceBook
from llm_otel.providers.reader import LiteLLMReader
from llm_otel.providers.reading import answer_of, get
from llm_otel.providers.requests import reference_of, request_of
from llm_otel.recorders import registries
from llm_otel.recorders.prometheus import PrometheusRecorder
from llm_otel.recorders.tracker import UsageTracker
from llm_otel.recording import Guard

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from llm_otel.config import Settings
    from llm_otel.scope import Scope

_logger = logging.getLogger("llm_otel")
_PARTS = ("answer", "price", "scope", "span", "stream", "tracker", "usage")
"""Parts whose failures are counted, beside the metrics' own."""


class Runtime:
    """Settings, instruments and recorders, joined. Immutable once made; thread-safe."""

    def __init__(
        self, settings: Settings, *, registry: CollectorRegistry | None = None, clock: Clock | None = None
    ) -> None:
        """Join the parts.

        Raises:
            ConfigurationError: The registry cannot take the metrics, or a tag cannot be a label.
        """
        self.settings = settings
        self.tracker = UsageTracker()
        self._registry = registry
        self._logged: set[tuple[str, str]] = set()
        clock = clock or SystemClock()
        prices = PriceBook()
        self._prometheus = PrometheusRecorder(
            registry=registry,
            tag_labels=settings.tag_labels,
            recorders=_PARTS,
            price_age_s=lambda: prices.price_age(to_datetime(clock.now_ns())),
        )
        self.instruments = Instruments(
            clock=clock,
            prices=prices,
            reader=LiteLLMReader(),
            recorders=(self._prometheus, self.tracker),
            guard=Guard(self.internal_error),
            chance=random.random,
        )

    def warm_up(self) -> None:
        """Load what the first calls would wait for: LiteLLM (seconds of CPU) and all price sources."""
        from llm_otel.providers.loading import litellm

        litellm()
        self.instruments.prices.warm_up(to_datetime(self.instruments.clock.now_ns()))

    def metrics_registry(self) -> CollectorRegistry:
        """Return the registry to serve to Prometheus; under several worker processes, one that adds them up."""
        return registries.serving_registry(self._registry)

    def internal_error(self, where: str, error: Exception) -> None:
        """Count and log a failure of the library itself, once for each kind; raise it in strict mode."""
        if self.settings.strict:
            raise error
        self._prometheus.internal_error(where)
        kind = (where, type(error).__name__)
        if kind not in self._logged:
            self._logged.add(kind)
            _logger.warning("llm_otel.internal_error recorder=%s error=%s", *kind, exc_info=error)

    def record_response(self, response: object, *, scope: Scope, started_ns: int, duration_s: float) -> None:
        """Record a completion that was made without us, from the response that a traced function returned."""
        hidden = get(response, "_hidden_params")
        arguments: dict[str, Any] = {
            "model": get(response, "model"),
            "custom_llm_provider": get(hidden, "custom_llm_provider"),
        }
        ref = reference_of(arguments)
        now_s = self.instruments.clock.monotonic()
        call = OpenCall(
            self.instruments,
            Plan(request=request_of(arguments, ref, tags=scope.tags or NO_TAGS), scope=scope),
            started=(started_ns, now_s - duration_s),
        )
        call.begin_attempt()
        call.succeeded(call.guarded("answer", answer_of, response) or Answer())
