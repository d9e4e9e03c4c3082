"""The one variable that holds the runtime, and what is asked of it.

It is looked up when a call is made, never when something is decorated or constructed: so `configure()` may come later,
and a second one swaps it. Calls in flight end on the runtime they began with. What a runtime is made of is imported
when the first one is made: not part of importing the router.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_otel.forks import when_forked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import CollectorRegistry

    from llm_otel.assembly import Runtime
    from llm_otel.budgets.budget import Budget
    from llm_otel.budgets.reports import BudgetAlert
    from llm_otel.recorders.tracker import UsageTracker

_PARTS = ("budgets", "on_budget_alert", "redact", "registry")
"""What `configure()` takes beside settings."""
_LONGEST_WARM_UP_S = 60.0
"""How long a fork waits for it at most: LiteLLM takes seconds of CPU, of which there may be little."""
_lock = threading.Lock()
_runtime: Runtime | None = None


def runtime() -> Runtime:
    """Return the runtime; one with default settings is made if `configure()` was never called."""
    found = _runtime
    return found if found is not None else _make_default()


def _make_default() -> Runtime:
    global _runtime  # noqa: PLW0603  # the one variable of the library
    with _lock:
        if _runtime is None:
            _runtime = _make({})
        return _runtime


def _make(given: dict[str, Any], *, sets_up_otlp: bool = False) -> Runtime:
    """Make a runtime from what `configure()` was given: settings, and parts that no variable could name."""
    from llm_otel.assembly import Runtime
    from llm_otel.config import Settings, budget_paths, load_settings

    config_file = given.get("config_file")
    settings = load_settings({name: given.get(name) for name in Settings.model_fields}, config_file)
    parts = {name: given[name] for name in _PARTS if name in given}
    if sets_up_otlp:
        from llm_otel.telemetry import set_up

        set_up(service_name=settings.service_name, environment=settings.environment, otlp=settings.otlp)
    return Runtime(settings, budget_paths=budget_paths(settings, config_file), **parts)


def configure(  # noqa: PLR0913  # every argument is a setting with a default
    *,
    service_name: str | None = None,
    environment: str | None = None,
    budgets: Iterable[Budget] = (),
    ledger: str | None = None,
    journal: str | Path | None = None,
    response_cache: str | None = None,
    cache_tenant_tags: Iterable[str] | None = None,
    budgets_file: str | Path | None = None,
    default_max_tokens: int | None = None,
    on_budget_alert: Callable[[BudgetAlert], None] | None = None,
    tag_labels: Any = None,
    baggage_tags: Iterable[str] | None = None,
    redact: Callable[[str], str] | None = None,
    content_max_length: int | None = None,
    registry: CollectorRegistry | None = None,
    metrics_export: str | None = None,
    genai_metrics: str | None = None,
    otlp: bool | None = None,
    auto_instrument: bool | None = None,
    warm_up: bool | None = None,
    circuit_breaker: bool | None = None,
    circuit_failure_ratio: float | None = None,
    circuit_min_calls: int | None = None,
    circuit_window_s: float | None = None,
    circuit_open_s: float | None = None,
    prefer_cheaper_at: float | None = None,
    prefer_cheapest_at: float | None = None,
    strict: bool | None = None,
    config_file: str | Path | None = None,
) -> Runtime:
    """Set the library up. Everything has a default, so this may never be called; a second call starts afresh.

    What is not given here is read from `LLM_OTEL_*` variables, then from the TOML file. What each setting means stands
    at its field of `llm_otel.config.Settings`, and in docs/configuration.md. Beside the settings there are:

    - `budgets`: limits on spend, beside those of `[[budgets]]` tables in the TOML files.
    - `on_budget_alert`: called once when spend first reaches a threshold, in whichever thread notices.
    - `redact`: returns what of a text may be recorded, where the content of calls is; see docs/content.md.
    - `registry`: the Prometheus registry to record into; prometheus_client's default one by default.
    - `config_file`: a TOML file with these names; `LLM_OTEL_CONFIG_FILE` names one too.

    Raises:
        ConfigurationError: A value cannot be used; it names the value and where it came from.
    """
    return _put_in_force(_make(locals(), sets_up_otlp=True))


def _put_in_force(made: Runtime) -> Runtime:
    global _runtime  # noqa: PLW0603  # the one variable of the library
    with _lock:
        _runtime = made
    if made.settings.warm_up:
        _WarmUp(made.warm_up).start()
    return made


class _WarmUp:
    """Loads in the background what the first calls would wait for. A fork meanwhile waits for it.

    The locks of half-imported modules would be copied with nobody left to release them: the first call in the child
    (a worker of gunicorn's `--preload`, of Celery) would wait for ever.
    """

    def __init__(self, load: Callable[[], None]) -> None:
        # Its own hooks for forks are to be there before ours: half of them would run after a fork that waited for it.
        import concurrent.futures.thread  # noqa: F401

        self._load = load
        # The thread keeps this alive, and so what waits for it, until it is done.
        self._thread = threading.Thread(target=self._run, name="llm-otel-warm-up", daemon=True)
        when_forked(before=self._finish)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _run(self) -> None:
        self._load()

    def _finish(self) -> None:
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_LONGEST_WARM_UP_S)


def tracker() -> UsageTracker:
    """Return the tracker that is fed by every call of this process since `configure()`."""
    return runtime().tracker


def metrics_registry() -> CollectorRegistry:
    """Return the Prometheus registry to serve, as with `prometheus_client.make_asgi_app(metrics_registry())`."""
    return runtime().metrics_registry()
