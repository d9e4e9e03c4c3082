"""The one object that holds everything a call needs: settings, clock, prices and recorders, joined."""

from __future__ import annotations

import logging
import os
import random
import threading
from functools import partial
from typing import TYPE_CHECKING

from llm_otel import made, route_finding
from llm_otel.baggage import Baggage, tags_around
from llm_otel.budget_files import BudgetFiles
from llm_otel.caching.cache import ResponseCache
from llm_otel.clock import Clock, SystemClock, to_datetime
from llm_otel.config import OTLP, Settings
from llm_otel.content import ContentCapture, Wishes
from llm_otel.enforcement.enforcer import Enforcer, Means
from llm_otel.enforcement.ids import HoldIds
from llm_otel.enforcement.journal import Journal
from llm_otel.errors import ConfigurationError
from llm_otel.models.resolve import resolve_model
from llm_otel.money import format_usd
from llm_otel.plan import Instruments
from llm_otel.pricing.book import PriceBook
from llm_otel.providers.exact import exact_input
from llm_otel.providers.reader import LiteLLMReader
from llm_otel.recorders import circuits, registries
from llm_otel.recorders.events import EventRecorder
from llm_otel.recorders.genai_metrics import EndedWorkflow, GenAIMetrics, Generation
from llm_otel.recorders.prometheus import PrometheusRecorder
from llm_otel.recorders.tracker import UsageTracker
from llm_otel.recording import Guard, record_now
from llm_otel.route_finding import Surroundings
from llm_otel.routing.health import BreakerRules, Health
from llm_otel.routing.taper import Taper
from llm_otel.stores.opening import MEMORY, open_shelf, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from llm_otel.budgets.budget import Budget
    from llm_otel.budgets.ledger import Store
    from llm_otel.budgets.reports import BudgetAlert
    from llm_otel.call import TraceRef
    from llm_otel.made import Times, Told
    from llm_otel.providers.texts import Redact
    from llm_otel.recorders.base import Recorder
    from llm_otel.routing.health import CircuitEvent, Model
    from llm_otel.scope import Scope

_logger = logging.getLogger("llm_otel")
_PARTS = (
    "answer",
    "budgets",
    "cache",
    circuits.NAME,
    "content",
    "events",
    "genai_metrics",
    "ledger",
    "on_budget_alert",
    "price",
    route_finding.POLICY,
    "scope",
    "span",
    "stream",
    "tracker",
    "usage",
)
"""Parts whose failures are counted, beside the metrics' own."""


class Runtime:
    """Settings, instruments and recorders, joined. Immutable once made; thread-safe."""

    def __init__(
        self,
        settings: Settings,
        *,
        budgets: Iterable[Budget] = (),
        budget_paths: Iterable[Path] = (),
        on_budget_alert: Callable[[BudgetAlert], None] | None = None,
        redact: Redact | None = None,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Join the parts.

        Raises:
            ConfigurationError: The registry cannot take the metrics, a tag cannot be a label, the ledger cannot be
                used, or a budget cannot be kept there.
        """
        self.settings = settings
        self._wishes = Wishes.of(os.environ)
        self.baggage = Baggage(settings.baggage_tags) if settings.baggage_tags else None
        self._registry = registry
        self._logged: set[tuple[str, str]] = set()
        clock = clock or SystemClock()
        prices = PriceBook()
        guard = Guard(self.internal_error)
        self._prometheus = self._metrics(prices, clock)
        self.health = self._circuits(guard, clock)
        self.enforcer = self._enforcer(guard, prices, clock, budgets, budget_paths, on_budget_alert)
        self.surroundings = self._surroundings(guard, prices, clock)
        self.tracker = UsageTracker(ledger=self.enforcer.statuses)
        self._genai_metrics = GenAIMetrics(Generation(settings.genai_metrics), self.internal_error)
        recorders: tuple[Recorder, ...] = (self._prometheus, self._genai_metrics, self.tracker)
        if self.enforcer.budgets or budget_paths:
            of_budgets = self._prometheus.for_budgets(lambda: self.enforcer.budgets.budgets, self.enforcer.statuses)
            recorders = (*recorders, of_budgets)
        self.instruments = Instruments(
            clock=clock,
            prices=prices,
            reader=LiteLLMReader(),
            recorders=recorders,
            guard=guard,
            chance=random.random,
            enforcer=self.enforcer,
            times_every_chunk=lambda: self._genai_metrics.is_recording,
            content=self._content(redact),
            events=EventRecorder(emits_details=self._wishes.emits_details) if self._wishes.emits_exceptions else None,
        )
        self._making_cache = threading.Lock()
        # One that others share is looked at now: a bad address is bad news for later.
        self._response_cache = None if settings.response_cache == MEMORY else self._make_cache()

    @property
    def response_cache(self) -> ResponseCache:
        """Answers that may be given again, for calls that ask for it; made for the first of them."""
        made = self._response_cache
        if made is not None:
            # Without the lock: in a forked child, a thread of the parent's may hold it.
            return made
        with self._making_cache:
            if self._response_cache is None:
                self._response_cache = self._make_cache()
            return self._response_cache

    def _make_cache(self) -> ResponseCache:
        made = self.instruments
        return ResponseCache(made.clock, made.guard, open_shelf(self.settings.response_cache))

    def _content(self, redact: Redact | None) -> ContentCapture | None:
        if redact is not None and not callable(redact):
            raise ConfigurationError("redact", redact, "a function that takes a text and returns what may be recorded")
        if not (self._wishes.on_spans or self._wishes.on_events):
            return None
        return ContentCapture(
            self._wishes,
            redact=redact,
            max_length=self.settings.content_max_length,
            has_listener=EventRecorder.has_listener,
        )

    def _metrics(self, prices: PriceBook, clock: Clock) -> PrometheusRecorder:
        is_pushed = self.settings.metrics_export == OTLP
        if is_pushed and self._registry is not None:
            allowed = f"none: with metrics_export={OTLP!r} the metrics stand in no registry"
            raise ConfigurationError("registry", self._registry, allowed)
        return PrometheusRecorder(
            registry=self._registry,
            is_pushed=is_pushed,
            tag_labels=self.settings.tag_labels,
            recorders=_PARTS,
            price_age_s=lambda: prices.price_age(to_datetime(clock.now_ns())),
        )

    def _circuits(self, guard: Guard, clock: Clock) -> Health | None:
        """Make the circuit breakers and show them; `None` where they were turned off."""
        settings = self.settings
        if not settings.circuit_breaker:
            return None

        def tell(model: Model, event: CircuitEvent) -> None:
            record_now(partial(guard.call, circuits.NAME, recorder.noticed, model, event))

        rules = BreakerRules(
            failure_ratio=settings.circuit_failure_ratio,
            min_calls=settings.circuit_min_calls,
            window_s=settings.circuit_window_s,
            open_s=settings.circuit_open_s,
        )
        health = Health(rules, tell=tell)
        recorder = self._prometheus.for_circuits(lambda: health.not_closed(clock.monotonic()))
        return health

    def _surroundings(self, guard: Guard, prices: PriceBook, clock: Clock) -> Surroundings:
        """Return what bears on the choice of a model."""
        settings, health = self.settings, self.health
        return Surroundings(
            prices=prices,
            clock=clock,
            guard=guard,
            environ=os.environ,
            taper=Taper(cheaper_at=settings.prefer_cheaper_at, cheapest_at=settings.prefer_cheapest_at),
            budgets=self.enforcer,
            open_circuits=route_finding.none_open if health is None else health.open_models,
        )

    def _enforcer(
        self,
        guard: Guard,
        prices: PriceBook,
        clock: Clock,
        budgets: Iterable[Budget],
        budget_paths: Iterable[Path],
        on_alert: Callable[[BudgetAlert], None] | None,
    ) -> Enforcer:
        if on_alert is not None and not callable(on_alert):
            raise ConfigurationError("on_budget_alert", on_alert, "a function that takes a BudgetAlert")
        settings = self.settings
        store = open_store(settings.ledger, clock_ms=lambda: clock.now_ns() // 1_000_000)
        files = BudgetFiles(budgets, budget_paths, check=lambda budget: check_kept(budget, store), clock=clock)
        return Enforcer(
            Means(
                budgets=files.current,
                store=store,
                journal=Journal(store.name, settings.journal),
                prices=prices,
                clock=clock,
                guard=guard,
                new_id=HoldIds(),
                chance=random.random,
                count=lambda asked: exact_input(asked.provider, asked.priced_as, asked.arguments),
                default_max_tokens=settings.default_max_tokens,
                on_alert=on_alert,
            )
        )

    def warm_up(self) -> None:
        """Load what the first calls would wait for: LiteLLM (seconds of CPU) and all price sources."""
        from llm_otel.providers.loading import litellm

        litellm()
        self.instruments.prices.warm_up(to_datetime(self.instruments.clock.now_ns()))

    def metrics_registry(self) -> CollectorRegistry:
        """Return the registry to serve to Prometheus; under several worker processes, one that adds them up.

        Raises:
            ConfigurationError: The metrics leave over OTLP: there is nothing to serve.
        """
        if self.settings.metrics_export == OTLP:
            allowed = "'prometheus', to have something to serve: the metrics leave by OpenTelemetry's MeterProvider"
            raise ConfigurationError("metrics_export", OTLP, allowed)
        return registries.serving_registry(self._registry)

    def scope_ended(self, name: str, duration_s: float, error_type: str | None, trace: TraceRef) -> None:
        """Take note of the end of a scope, for the metrics of the conventions."""
        self._genai_metrics.workflow_ended(EndedWorkflow(name, duration_s, error_type, trace))

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
        made.record_returned(self.instruments, response, scope=scope, started_ns=started_ns, duration_s=duration_s)

    def record_made(self, told: Told, *, scope: Scope | None, since: Times | None) -> None:
        """Record a call that was made without us, from what its maker says of it.

        Raises:
            ConfigurationError: What was said is not usable, or not enough.
        """
        made.record(self.instruments, told, scope=scope, around=tags_around(scope, self.baggage), since=since)


def check_kept(budget: Budget, store: Store) -> None:
    """Refuse a budget that a store cannot hold calls to.

    Raises:
        ConfigurationError: Its limit is beyond what the store compares exactly, other processes would not see it, or a
            model to downgrade to cannot be sent anywhere.
    """
    for name in budget.downgrade_to:
        try:
            resolve_model(name)
        except ConfigurationError as exc:
            raise ConfigurationError(f"Budget({budget.id!r}).downgrade_to", name, exc.allowed) from exc
    if budget.limit_nano > store.max_limit:
        raise ConfigurationError(
            f"Budget({budget.id!r}).limit_usd",
            str(budget.limit_usd),
            f"at most {format_usd(store.max_limit)} in {store.name}, whose numbers are exact up to there",
        )
    if budget.is_hard and not store.is_shared and os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        raise ConfigurationError(
            "ledger",
            store.name,
            f"with several worker processes (PROMETHEUS_MULTIPROC_DIR) the hard budget {budget.id!r} needs one that "
            "they share: 'sqlite:///spend.db' on one machine, 'redis://host:6379/0' for a fleet",
        )
