"""The one variable that holds the runtime, and what is asked of it.

It is looked up when a call is made, never when something is decorated or constructed: so `configure()` may come later,
and a second one swaps it. Calls in flight end on the runtime they began with. What a runtime is made of is imported
when the first one is made: not part of importing the router.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import CollectorRegistry

    from llm_otel.assembly import Runtime
    from llm_otel.budgets.budget import Budget
    from llm_otel.budgets.reports import BudgetAlert
    from llm_otel.recorders.tracker import UsageTracker

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


def _make(arguments: dict[str, Any], *, config_file: str | Path | None = None, **parts: Any) -> Runtime:
    from llm_otel.assembly import Runtime
    from llm_otel.config import budget_paths, load_settings

    settings = load_settings(arguments, config_file)
    return Runtime(settings, budget_paths=budget_paths(settings, config_file), **parts)


def configure(  # noqa: PLR0913  # every argument is a setting with a default
    *,
    budgets: Iterable[Budget] = (),
    ledger: str | None = None,
    journal: str | Path | None = None,
    budgets_file: str | Path | None = None,
    default_max_tokens: int | None = None,
    on_budget_alert: Callable[[BudgetAlert], None] | None = None,
    tag_labels: Any = None,
    registry: CollectorRegistry | None = None,
    auto_instrument: bool | None = None,
    warm_up: bool | None = None,
    strict: bool | None = None,
    config_file: str | Path | None = None,
) -> Runtime:
    """Set the library up. Everything has a default, so this may never be called; a second call starts afresh.

    What is not given here is read from `LLM_OTEL_*` variables, then from the TOML file.

    Args:
        budgets: Limits on spend; those of `[[budgets]]` tables in the TOML files are in force beside them.
        ledger: Where spend and holds are kept: `memory://` (this process; the default), `sqlite:///spend.db` (the
            processes of this machine) or `redis://host:6379/0` (a fleet).
        journal: The directory for bills that the ledger has not taken yet; the user's state directory by default.
        budgets_file: A TOML file with `[[budgets]]`; a change to it is in force within a second or two.
        default_max_tokens: The output limit that is sent where a hard budget needs one and the caller gave none.
        on_budget_alert: Called once when spend first reaches a threshold of a budget, in whichever thread notices.
        tag_labels: Tags that become metric labels, by default `team` and `feature`: names, or a mapping of name to
            declared values (their series exist from the start) or to a cap on distinct values (50 by default).
        registry: The Prometheus registry to record into; prometheus_client's default one by default.
        auto_instrument: Whether plain `litellm.completion` calls inside a `traced_llm` scope are traced; on by default.
        warm_up: Load LiteLLM, which takes seconds, and the price sources in the background now.
        strict: Raise what goes wrong in the library's own recorders, instead of counting and logging it. For tests.
        config_file: A TOML file with these names; `LLM_OTEL_CONFIG_FILE` names one too.

    Raises:
        ConfigurationError: A value cannot be used; it names the value and where it came from.
    """
    global _runtime  # noqa: PLW0603  # the one variable of the library
    given = {
        "ledger": ledger, "journal": journal, "budgets_file": budgets_file, "default_max_tokens": default_max_tokens,
        "tag_labels": tag_labels, "auto_instrument": auto_instrument, "warm_up": warm_up, "strict": strict,
    }  # fmt: skip
    made = _make(given, config_file=config_file, registry=registry, budgets=budgets, on_budget_alert=on_budget_alert)
    with _lock:
        _runtime = made
    if made.settings.warm_up:
        threading.Thread(target=made.warm_up, name="llm-otel-warm-up", daemon=True).start()
    return made


def tracker() -> UsageTracker:
    """Return the tracker that is fed by every call of this process since `configure()`."""
    return runtime().tracker


def metrics_registry() -> CollectorRegistry:
    """Return the Prometheus registry to serve, as with `prometheus_client.make_asgi_app(metrics_registry())`."""
    return runtime().metrics_registry()
