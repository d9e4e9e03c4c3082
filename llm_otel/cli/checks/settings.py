"""Whether the configuration can be read, and where it comes from."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from llm_otel.cli.checks.finding import Finding, State
from llm_otel.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_otel.budgets.budget import Budget
    from llm_otel.clock import Clock
    from llm_otel.config import Settings

_ABOUT = "settings"


def look_at_settings(
    arguments: dict[str, object], config_file: Path | None, clock: Clock
) -> tuple[Finding, Settings | None, tuple[Budget, ...]]:
    """Read the configuration as services do; return what there is of it too."""
    from llm_otel.budget_files import BudgetFiles
    from llm_otel.config import CONFIG_FILE_ENV, ENV_PREFIX, Settings, budget_paths, load_settings
    from llm_otel.content import Wishes
    from llm_otel.recorders.label_sets import parse_tag_labels

    try:
        settings = load_settings(arguments, config_file)
        # What is read later in a service, and refused there.
        parse_tag_labels(settings.tag_labels)
        Wishes.of(os.environ)
        files = BudgetFiles((), budget_paths(settings, config_file), check=lambda _: None, clock=clock)
    except ConfigurationError as exc:
        return Finding(State.FAILED, _ABOUT, str(exc), "mend it: a service with it does not start"), None, ()
    path = config_file or os.environ.get(CONFIG_FILE_ENV)
    known = {CONFIG_FILE_ENV, *(f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields)}
    named = sorted(name for name in os.environ if name.startswith(ENV_PREFIX) and os.environ[name])
    options = (f"--{name.replace('_', '-')}" for name, value in arguments.items() if value is not None)
    sources = [*([str(path)] if path else []), *(name for name in named if name in known), *options]
    said = f"can be used; set by {', '.join(sources)}" if sources else "can be used; all are the defaults"
    return _found(said, [name for name in named if name not in known], known), settings, files.current().budgets


def _found(said: str, strays: list[str], known: Collection[str]) -> Finding:
    """Return the finding for settings that can be used, beside variables that look like settings and are none."""
    if not strays:
        return Finding(State.OK, _ABOUT, said)
    near = {found for name in strays for found in difflib.get_close_matches(name, known, n=1, cutoff=0.8)}
    to_do = f"did you mean {' and '.join(sorted(near))}?" if near else "see docs/configuration.md for those that are"
    return Finding(State.WARNING, _ABOUT, f"{said}; nothing reads {', '.join(strays)}", to_do)
