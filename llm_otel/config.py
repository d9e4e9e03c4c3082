"""Settings: from arguments, then `LLM_OTEL_*` variables, then a TOML file.

Every source says the same names; a value that cannot be used names the source it came from.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from llm_otel.baggage import check_names
from llm_otel.budget_files import TABLE
from llm_otel.caching.key import TENANT_TAGS
from llm_otel.content import MAX_LENGTH as CONTENT_MAX_LENGTH
from llm_otel.enforcement.enforcer import DEFAULT_MAX_TOKENS
from llm_otel.errors import HIDDEN, ConfigurationError, did_you_mean
from llm_otel.routing.health import BreakerRules
from llm_otel.routing.taper import Taper
from llm_otel.stores.opening import MEMORY

ENV_PREFIX = "LLM_OTEL_"
CONFIG_FILE_ENV = f"{ENV_PREFIX}CONFIG_FILE"
DEFAULT_TAG_LABELS = ("team", "feature")

OTLP = "otlp"
"""The value of `metrics_export` by which our metrics are pushed."""

_BREAKER = BreakerRules()
_TAPER = Taper()

TagLabels = tuple[str, ...] | dict[str, tuple[str, ...] | int]


class Settings(BaseSettings):
    """What `configure()` takes, checked. Immutable."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    tag_labels: Annotated[TagLabels, NoDecode] = DEFAULT_TAG_LABELS
    """Tags that become labels of the metrics: names, or a table of name to declared values or to a cap on their number.

    In the environment: names with commas between.
    """
    baggage_tags: Annotated[tuple[str, ...], NoDecode] = ()
    """Tags that cross to other services and back, in W3C baggage. In the environment: names with commas between."""
    ledger: str = Field(default=MEMORY, repr=False)
    """Where budgets are kept: `memory://`, `sqlite:///spend.db`, `redis://host:6379/0`. It may hold a password."""
    journal: Path | None = None
    """The directory for settles that the ledger has not taken yet; the user's state directory by default."""
    response_cache: str = Field(default=MEMORY, repr=False)
    """Where answers are kept for calls that ask for it: `memory://`, `redis://host:6379/0`. It may hold a password."""
    cache_tenant_tags: Annotated[tuple[str, ...], NoDecode] = TENANT_TAGS
    """Tags that keep tenants apart: two calls never share an answer where one of them differs.

    In the environment: names with commas between.
    """
    budgets_file: Path | None = None
    """A TOML file with `[[budgets]]`, read again when it changes."""
    default_max_tokens: int = Field(default=DEFAULT_MAX_TOKENS, ge=1, le=1_000_000)
    """The output limit that is sent where a hard budget needs one and the caller gave none."""
    auto_instrument: bool = True
    """Whether plain `litellm.completion` calls inside a `traced_llm` scope are traced too."""
    metrics_export: Literal["prometheus", "otlp"] = "prometheus"
    """The one route by which the library's own metrics leave: scraped by Prometheus, or pushed by OpenTelemetry."""
    genai_metrics: Literal["latest", "legacy", "both"] = "latest"
    """The names under which the metrics of the GenAI conventions are recorded: today's, those of v1.41, or both."""
    content_max_length: int = Field(default=CONTENT_MAX_LENGTH, ge=1, le=1_000_000)
    """Characters of one text that are recorded where the content of calls is; of a whole attribute, 8 times as many."""
    warm_up: bool = False
    """Whether LiteLLM is imported ahead of the first call, in the background."""
    service_name: str | None = None
    """`service.name` of the providers that are set up here; `OTEL_SERVICE_NAME` says it too."""
    environment: str | None = None
    """`deployment.environment.name` of them, as `production`."""
    otlp: bool | None = None
    """Whether to set up OTLP for signals that have no provider; by the `OTEL_*` variables if it is not said."""
    circuit_breaker: bool = True
    """Whether a model of which too many calls fail is left alone for a while. The four below say when."""
    circuit_failure_ratio: float = Field(default=_BREAKER.failure_ratio, gt=0, le=1)
    """The part of the last calls that has to fail."""
    circuit_min_calls: int = Field(default=_BREAKER.min_calls, ge=1, le=1_000)
    """Calls that are needed to judge by."""
    circuit_window_s: float = Field(default=_BREAKER.window_s, gt=0, le=86_400)
    """How long a call is judged by, in seconds."""
    circuit_open_s: float = Field(default=_BREAKER.open_s, gt=0, le=86_400)
    """How long a model is left alone before one call is let through, in seconds."""
    prefer_cheaper_at: float = Field(default=_TAPER.cheaper_at, ge=0, le=1)
    """From which part of a budget's limit on the router takes the next cheaper model; 1: never."""
    prefer_cheapest_at: float = Field(default=_TAPER.cheapest_at, ge=0, le=1)
    """From which part of a budget's limit on it takes the cheapest that is good enough; 1: never."""
    strict: bool = False
    """Whether failures of the library's own recorders are raised instead of counted: for tests."""

    @field_validator("tag_labels", "baggage_tags", "cache_tenant_tags", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("baggage_tags")
    @classmethod
    def _keys(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return check_names(names)

    @field_validator("cache_tenant_tags")
    @classmethod
    def _tenants(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not all(names):
            raise ValueError(f"{_NAMES}, none of them empty")
        # A list as JSON, in the environment, would be one name that no tag has, and keep nobody apart.
        if any(_IN_NO_NAME & set(name) for name in names):
            raise ValueError(f"{_NAMES}; in the environment with commas between, and neither brackets nor quotes")
        return names

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read no `.env` and no secrets directory: what is not asked for is not read."""
        return init_settings, env_settings


def load_settings(arguments: dict[str, Any], config_file: str | Path | None = None) -> Settings:
    """Join the sources.

    Args:
        arguments: What `configure()` was given; `None` means not given.
        config_file: A TOML file; `LLM_OTEL_CONFIG_FILE` by default, none without it.

    Raises:
        ConfigurationError: A value cannot be used, or the file cannot be read.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    path = config_file or os.environ.get(CONFIG_FILE_ENV)
    in_file = _read(path) if path else {}
    in_file.pop(TABLE, None)
    in_environment = {name for name in Settings.model_fields if os.environ.get(f"{ENV_PREFIX}{name.upper()}")}
    below = {name: value for name, value in in_file.items() if name not in in_environment}
    try:
        return Settings(**(below | given))
    except ValidationError as exc:
        raise _named(exc, given, in_environment, path) from None


def budget_paths(settings: Settings, config_file: str | Path | None = None) -> tuple[Path, ...]:
    """Return the files that hold budgets: the configuration itself where it does, and the one for budgets alone."""
    path = config_file or os.environ.get(CONFIG_FILE_ENV)
    in_config = (Path(path),) if path and TABLE in _read(path) else ()
    return in_config if settings.budgets_file is None else (*in_config, settings.budgets_file)


def _read(path: str | Path) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except TypeError:
        raise ConfigurationError("config_file", path, "the path of a TOML file") from None
    except OSError as exc:
        raise ConfigurationError("config_file", str(path), f"a TOML file that can be read ({exc.strerror})") from exc
    # No TOML, no text, no path at all, or tables within tables without end.
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError("config_file", str(path), f"TOML that can be read: {exc}") from exc


_ADDRESSES = frozenset({"ledger", "response_cache"})
_IN_NO_NAME = frozenset("[]{}'\"")
_NAMES = "names of tags, such as ['team', 'feature']"
_TAGS = {
    "tag_labels": f"{_NAMES}, or a table of name to declared values or to a cap on their number",
    "baggage_tags": _NAMES,
    "cache_tenant_tags": _NAMES,
}


def _named(
    error: ValidationError, given: dict[str, Any], in_environment: set[str], path: str | Path | None
) -> ConfigurationError:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    if name in given:
        where = name
    elif name in in_environment:
        where = f"{ENV_PREFIX}{name.upper()}"
    else:
        where = f"{name} (in {path})"
    is_unknown = first["type"] == "extra_forbidden"
    allowed = first["msg"].removeprefix("Value error, ")
    if is_unknown:
        hint = did_you_mean(name, Settings.model_fields)
        allowed = f"no such setting; {hint}there are {', '.join(Settings.model_fields)}, and [[{TABLE}]]"
    elif first["type"] != "value_error":
        # What pydantic says of a union is about its first member alone.
        allowed = _TAGS.get(name, allowed)
    # An address may hold a password, and what nobody knows may be one misspelt.
    return ConfigurationError(where, HIDDEN if is_unknown or name in _ADDRESSES else first["input"], allowed)
