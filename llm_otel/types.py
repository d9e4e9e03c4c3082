"""What users send and get back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
)

from llm_otel.errors import HIDDEN, ConfigurationError, did_you_mean
from llm_otel.fields import ExactUSD, in_plain_digits
from llm_otel.models.entry import ModelCapability, ModelTier
from llm_otel.models.providers import LLMProvider
from llm_otel.money import parse_usd, usd
from llm_otel.routing.decision import RouteDecision
from llm_otel.routing.wanted import LEVELS
from llm_otel.semconv import TokenType
from llm_otel.usage import Usage

if TYPE_CHECKING:
    from llm_otel.call import CallRecord

_NO_USAGE = Usage()
_INPUT_TYPES = (TokenType.INPUT, TokenType.CACHE_READ, TokenType.CACHE_WRITE)
_OUTPUT_TYPES = (TokenType.OUTPUT, TokenType.REASONING)
_OURS = frozenset({"model", "messages", "stream", "timeout", "max_retries", "num_retries", "fallbacks"})
"""What `extra` cannot set: it has a field or a meaning here."""
_MAY_HOLD_SECRETS = frozenset({"api_base", "api_key", "extra", "tools"})
_YEAR_S = 366 * 86_400
"""The longest that an answer may be kept."""


def _as_given(value: Any) -> LLMProvider | str | None:
    """Take the provider as it is: what it means, and whether it exists, is told together with the model."""
    if value is None or isinstance(value, str):
        return value
    raise ValueError("an LLMProvider, the id of a LiteLLM provider, or None to tell it from the model")


class _Options(Mapping[str, Any]):
    """Options that stay as they are: what a configuration sends is worked out once, and a change would be lost."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Any] | None = None) -> None:
        self._items = dict(items or {})

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


def _as_options(value: Any) -> _Options:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError("a dictionary, each of whose keys is a string")
    return _Options(value)


def _as_address(value: str) -> str:
    address = urlsplit(value)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError("an address that begins with http:// or https://, such as 'http://localhost:8080/v1'")
    return value


class _Checked(BaseModel):
    """A model whose bad input is a `ConfigurationError` that names one field, its value and what is allowed."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    if not TYPE_CHECKING:

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as exc:
                raise _configuration_error(exc, values, type(self)) from None
            self._check()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a variant, checked like a new one: pydantic itself would take any value."""
        copied = super().model_copy(deep=deep)
        values = {name: getattr(copied, name) for name in copied.model_fields_set}
        return type(self)(**values | dict(update or {}))

    def _check(self) -> None:
        """Refuse what no single field can: subclasses raise a `ConfigurationError`."""


def _configuration_error(
    error: ValidationError, values: Mapping[str, Any], model: type[BaseModel]
) -> ConfigurationError:
    first = error.errors()[0]
    field = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        hint = did_you_mean(field, model.model_fields)
        return ConfigurationError(
            field, HIDDEN, f"no such field; {hint}what LiteLLM takes besides goes into extra={{}}"
        )
    value = HIDDEN if field in _MAY_HOLD_SECRETS else values.get(field)
    return ConfigurationError(field, value, first["msg"].removeprefix("Value error, "))


def _as_usd(value: Any) -> Decimal | None:
    try:
        return None if value is None else usd(parse_usd(value, field="max_cost_usd"))
    except ConfigurationError as exc:
        # Pydantic wants the reason alone: the field and its value are said by us.
        raise ValueError(exc.allowed) from None


def _as_level(value: ModelCapability) -> ModelCapability:
    if value not in LEVELS:
        raise ValueError(f"a level, {', '.join(LEVELS[:-1])} or {LEVELS[-1]}: {value} is a kind of work")
    return value


def _as_names(value: Any) -> Any:
    # What pydantic says of a bare string, "a valid tuple", helps nobody.
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
        raise ValueError("a list of names, such as ['gpt-4o'], none of them empty")
    return tuple(value)


_Names = Annotated[tuple[str, ...], BeforeValidator(_as_names)]


class LLMConfig(_Checked):
    """How one completion is to be made. Immutable; `config.model_copy(update={...})` makes a variant.

    Fields that are `None` are not sent: the provider's defaults hold.
    """

    model: str | None = Field(default=None, min_length=1)
    """With or without LiteLLM's prefix: `gpt-4o-mini`, `anthropic/claude-3-haiku-20240307`. `"auto"` has the router
    rate the request and choose; `None` leaves the choice to `capability` or `tier`."""
    provider: Annotated[LLMProvider | str | None, PlainValidator(_as_given)] = None
    """An `LLMProvider` or the id of any provider of LiteLLM; `None`: told from the model."""
    temperature: float | None = Field(default=None, strict=True, ge=0, le=2)
    top_p: float | None = Field(default=None, strict=True, ge=0, le=1)
    max_tokens: int | None = Field(default=None, strict=True, gt=0)
    stop: str | list[str] | None = None
    seed: int | None = Field(default=None, strict=True)
    n: int | None = Field(default=None, strict=True, gt=0)
    frequency_penalty: float | None = Field(default=None, strict=True, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, strict=True, ge=-2, le=2)
    response_format: Any = None
    """`{"type": "json_object"}`, a JSON schema, or a pydantic model, as LiteLLM takes them."""
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    reasoning_effort: str | None = None
    service_tier: str | None = None
    api_base: Annotated[str, AfterValidator(_as_address)] | None = None
    """The address of the server, instead of the provider's usual one or the environment's."""
    api_key: str | None = Field(default=None, repr=False)
    timeout_s: float = Field(default=120.0, strict=True, gt=0, allow_inf_nan=False)
    """One deadline in seconds for all attempts and pauses, up to the answer, or up to the first chunk of a stream."""
    stream_idle_timeout_s: float = Field(default=60.0, strict=True, gt=0, allow_inf_nan=False)
    """The longest silence of a stream in seconds, the one before its first chunk included."""
    max_retries: int = Field(default=2, strict=True, ge=0)
    """Requests beyond the first, made only where one may help. LiteLLM's and the SDKs' own retries are off."""
    extra: Annotated[Mapping[str, Any], PlainValidator(_as_options), PlainSerializer(dict)] = Field(
        default_factory=_Options, repr=False
    )
    """Anything else that `litellm.completion` takes; copied, and read-only."""

    capability: ModelCapability | None = None
    """What the model must be good enough for: the cheapest such model is taken. Beside a `model` it says what a cheaper
    one must be good enough for, should a budget be nearly used up."""
    tier: ModelTier | None = None
    """The price class to choose from."""
    quality_floor: Annotated[ModelCapability, AfterValidator(_as_level)] | None = None
    """`simple`, `moderate` or `complex`: no choice of the router's goes below."""
    allow_models: _Names = ()
    """Models, or whole providers, that alone may be chosen; empty for all. A model that you name is not held to it."""
    deny_models: _Names = ()
    """Models, or whole providers, that are never chosen."""
    routing: Literal["enforce", "observe"] = "enforce"
    """`observe`: `model` is taken, and what `"auto"` would have chosen is only said."""
    fallbacks: _Names | None = None
    """Models to try in turn where one fails and another may do better. `None`: none where you name the model, else the
    next best candidates; empty: none at all."""
    context_window_fallbacks: _Names = ()
    """Models to try where the provider says that the request is too long for one."""
    content_policy_fallbacks: _Names = ()
    """Models to try where the provider refuses the request for its content."""
    max_cost_usd: Annotated[Decimal | None, PlainValidator(_as_usd), in_plain_digits] = None
    """The most that one completion may cost, all its attempts together: what could cost more is refused, not sent."""
    cache_ttl_s: float | None = Field(default=None, strict=True, gt=0, le=_YEAR_S, allow_inf_nan=False)
    """For how many seconds an answer may be given again to the very same request; `None`: never."""

    if TYPE_CHECKING:

        def __init__(  # noqa: PLR0913  # every field is an argument
            self,
            *,
            model: str | None = None,
            provider: LLMProvider | str | None = None,
            temperature: float | None = None,
            top_p: float | None = None,
            max_tokens: int | None = None,
            stop: str | list[str] | None = None,
            seed: int | None = None,
            n: int | None = None,
            frequency_penalty: float | None = None,
            presence_penalty: float | None = None,
            response_format: Any = None,
            tools: list[dict[str, Any]] | None = None,
            tool_choice: str | dict[str, Any] | None = None,
            reasoning_effort: str | None = None,
            service_tier: str | None = None,
            api_base: str | None = None,
            api_key: str | None = None,
            timeout_s: float = 120.0,
            stream_idle_timeout_s: float = 60.0,
            max_retries: int = 2,
            extra: Mapping[str, Any] = ...,
            capability: ModelCapability | str | None = None,
            tier: ModelTier | str | None = None,
            quality_floor: ModelCapability | str | None = None,
            allow_models: list[str] | tuple[str, ...] = (),
            deny_models: list[str] | tuple[str, ...] = (),
            routing: Literal["enforce", "observe"] = "enforce",
            fallbacks: list[str] | tuple[str, ...] | None = None,
            context_window_fallbacks: list[str] | tuple[str, ...] = (),
            content_policy_fallbacks: list[str] | tuple[str, ...] = (),
            max_cost_usd: Decimal | str | float | None = None,
            cache_ttl_s: float | None = None,
        ) -> None:
            """Take what the fields are made from, which is more than what they hold: names, lists, dollars as text."""

    def _check(self) -> None:
        for name in sorted(_OURS & self.extra.keys()):
            raise ConfigurationError(f"extra[{name!r}]", HIDDEN, "LLMConfig or the router decides it")


class UsageStats(BaseModel):
    """What one completion used and cost, all of its attempts included."""

    model_config = ConfigDict(frozen=True)

    input_tokens: int = 0
    """All input, cached included."""
    output_tokens: int = 0
    """All output, reasoning included."""
    total_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    input_cost_usd: ExactUSD | None = None
    output_cost_usd: ExactUSD | None = None
    total_cost_usd: ExactUSD | None = None
    """Exact; `None` when no price is known, which is not the same as 0."""
    estimated: bool = False
    """Whether the tokens were counted here because the provider reported none."""

    @classmethod
    def of(cls, record: CallRecord) -> UsageStats:
        """Take the numbers of an ended call."""
        usage = record.usage or _NO_USAGE
        is_known = record.cost_nano is not None
        return cls(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            total_tokens=usage.input_tokens + usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            input_cost_usd=_cost_of(record, _INPUT_TYPES) if is_known else None,
            output_cost_usd=_cost_of(record, _OUTPUT_TYPES) if is_known else None,
            total_cost_usd=usd(record.cost_nano) if record.cost_nano is not None else None,
            estimated=usage.is_estimated,
        )


def _cost_of(record: CallRecord, kinds: tuple[TokenType, ...]) -> Decimal:
    nano = 0
    for attempt in record.attempts:
        if attempt.cost is not None:
            for kind in kinds:
                nano += attempt.cost.parts.get(kind, 0)
    return usd(nano)


class LLMResponse(BaseModel):
    """A completion."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    content: str
    """The text of the first choice; empty where the model answered with tool calls only."""
    provider: str
    """The `gen_ai.provider.name` value, as on spans and metrics; equal to the `LLMProvider` where there is one."""
    model: str
    """The model that answered, as the provider names it."""
    usage: UsageStats
    latency_ms: float
    """What the caller waited, retries and pauses included."""
    finish_reason: str | None = None
    tool_calls: tuple[Any, ...] = ()
    decision: RouteDecision
    """Which model was chosen, and why."""
    is_cached: bool = False
    """Whether the answer was given before, and nothing was asked or spent this time."""
    saved_usd: ExactUSD = usd(0)
    """What it cost then."""
    raw: Any = Field(default=None, repr=False)
    """LiteLLM's own response; of a stream, what LiteLLM makes of the chunks that were received."""


@dataclass(slots=True)
class LLMChunk:
    """A piece of a streamed completion."""

    content: str
    """New text of the first choice; empty in chunks that carry something else."""
    finish_reason: str | None
    raw: Any
    """LiteLLM's own chunk."""
