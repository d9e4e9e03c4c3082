"""What users send and get back: every bad value is named, keys stay hidden, and the sums are right."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle
import textwrap
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from llm_otel.call import Answer, AttemptReason, AttemptRecord, CallRecord, CallRequest, Outcome
from llm_otel.errors import ConfigurationError, LLMOtelError
from llm_otel.models.providers import LLMProvider
from llm_otel.pricing.rate import CostBreakdown
from llm_otel.routing.decision import explicit
from llm_otel.semconv import TokenType
from llm_otel.types import LLMConfig, LLMResponse, UsageStats
from llm_otel.usage import Usage

SECRET = "sk-very-secret"

# Field, value, and a word that the message has to say of what is allowed.
BAD = [
    ("model", "", "at least 1 character"),
    ("model", 7, "string"),
    ("provider", 7, "LLMProvider"),
    ("provider", ["openai"], "LLMProvider"),
    ("temperature", -0.1, "greater than or equal to 0"),
    ("temperature", 2.1, "less than or equal to 2"),
    ("temperature", float("nan"), "than or equal to"),
    ("temperature", "hot", "number"),
    ("temperature", "0.7", "number"),
    ("temperature", True, "number"),
    ("top_p", 1.5, "less than or equal to 1"),
    ("top_p", -1, "greater than or equal to 0"),
    ("max_tokens", 0, "greater than 0"),
    ("max_tokens", -5, "greater than 0"),
    ("max_tokens", 1.5, "integer"),
    ("max_tokens", "many", "integer"),
    ("max_tokens", "10", "integer"),
    ("max_tokens", 10.0, "integer"),
    ("max_tokens", True, "integer"),
    ("stop", 7, "string"),
    ("stop", [7], "string"),
    ("seed", 1.5, "integer"),
    ("seed", True, "integer"),
    ("n", 0, "greater than 0"),
    ("n", True, "integer"),
    ("frequency_penalty", 3, "less than or equal to 2"),
    ("frequency_penalty", True, "number"),
    ("presence_penalty", -3, "greater than or equal to -2"),
    ("presence_penalty", "1", "number"),
    ("tools", "search", "list"),
    ("tools", ["search"], "dictionary"),
    ("tool_choice", 7, "string"),
    ("reasoning_effort", 7, "string"),
    ("service_tier", 7, "string"),
    ("api_base", 7, "string"),
    ("api_base", "", "http://"),
    ("api_base", "localhost:8080", "http://"),
    ("api_base", "ftp://localhost", "http://"),
    ("api_base", "http:///v1", "http://"),
    ("api_base", "http://[broken", "IPv6"),
    ("api_key", 7, "string"),
    ("timeout_s", 0, "greater than 0"),
    ("timeout_s", -1, "greater than 0"),
    ("timeout_s", float("inf"), "finite"),
    ("timeout_s", float("nan"), "finite"),
    ("timeout_s", None, "number"),
    ("timeout_s", True, "number"),
    ("timeout_s", "60", "number"),
    ("stream_idle_timeout_s", 0, "greater than 0"),
    ("max_retries", -1, "greater than or equal to 0"),
    ("max_retries", 1.5, "integer"),
    ("max_retries", True, "integer"),
    ("extra", [], "dictionary"),
    ("extra", {1: 2}, "string"),
    ("capability", "genius", "simple"),
    ("fallbacks", "gpt-4o", "a list of names"),
    ("fallbacks", [""], "none of them empty"),
    ("context_window_fallbacks", "gpt-4o", "a list of names"),
    ("content_policy_fallbacks", [7], "a list of names"),
    ("allow_models", "openai", "a list of names"),
    ("deny_models", {"openai": True}, "a list of names"),
    ("cache_ttl_s", 0, "greater than 0"),
    ("cache_ttl_s", -1, "greater than 0"),
    ("cache_ttl_s", float("nan"), "finite"),
    ("cache_ttl_s", float("inf"), "finite"),
    ("cache_ttl_s", 1e300, "less than or equal to 31622400"),
    ("cache_ttl_s", True, "number"),
    ("cache_ttl_s", "60", "number"),
    ("max_cost_usd", -1, "0"),
    ("max_cost_usd", float("nan"), ""),
    ("max_cost_usd", True, ""),
]


@pytest.mark.parametrize(("field", "value", "allowed"), BAD)
def test_a_bad_value_is_named(field, value, allowed):
    """The error says which field, which value and what is allowed: as text, and as fields of its own."""
    with pytest.raises(ConfigurationError) as caught:
        LLMConfig(**{"model": "gpt-4o-mini"} | {field: value})

    assert field == caught.value.field
    assert allowed in caught.value.allowed
    assert str(caught.value).startswith(f"{field}=")
    assert isinstance(caught.value, ValueError | LLMOtelError)


@pytest.mark.parametrize(("field", "value", "allowed"), BAD)
def test_a_bad_value_is_named_in_a_variant_too(field, value, allowed):
    """A copy with changes is checked like any other: it would be sent."""
    with pytest.raises(ConfigurationError) as caught:
        LLMConfig(model="gpt-4o-mini").model_copy(update={field: value})

    assert field == caught.value.field


def test_the_value_is_shown():
    """So that nobody has to look for it."""
    with pytest.raises(ConfigurationError, match=r"^max_tokens=-5 is not usable: .*greater than 0") as caught:
        LLMConfig(max_tokens=-5)

    assert -5 == caught.value.value


def test_a_typing_error_is_explained():
    """With the nearest field, and the place for what is LiteLLM's; the value may be a key, and is not shown."""
    with pytest.raises(ConfigurationError, match=r"max_token='…' .*did you mean 'max_tokens'\?.*extra"):
        LLMConfig(max_token=5)


@pytest.mark.parametrize("name", ["model", "messages", "stream", "timeout", "max_retries", "num_retries", "fallbacks"])
def test_extra_cannot_set_what_is_ours(name):
    """Two values for one thing, and one of them would win silently."""
    with pytest.raises(ConfigurationError) as caught:
        LLMConfig(model="gpt-4o-mini", extra={name: 1})

    assert f"extra['{name}']" == caught.value.field


@pytest.mark.parametrize(
    "fields",
    [
        {"api_key": 7, "extra": {"api_key": SECRET}},
        {"api_key": [SECRET]},
        {"api_key": {"key": SECRET}},
        {"apikey": SECRET},
        {"api_keys": SECRET},
        {"openai_api_key": SECRET},
        {"aws_secret_access_key": SECRET},
        {"token": SECRET},
        {"password": SECRET},
        {"extra": [SECRET]},
        {"extra": {"messages": SECRET}},
        {"tools": [SECRET]},
        {"extra_headers": {"Authorization": SECRET}},
    ],
)
def test_no_error_shows_a_secret(fields):
    """Not the message, not its fields, not the chain of exceptions: they end up in logs."""
    with pytest.raises(ConfigurationError) as caught:
        LLMConfig(model="gpt-4o-mini", **fields)

    error: BaseException | None = caught.value
    shown = [str(caught.value), repr(caught.value), repr(vars(caught.value))]
    while (error := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        shown.append(repr(error))
    assert SECRET not in "".join(shown)


def test_no_representation_shows_a_secret():
    """Configurations are printed and logged."""
    config = LLMConfig(model="gpt-4o-mini", api_key=SECRET, extra={"aws_secret_access_key": SECRET})

    assert SECRET not in f"{config!r} {config} {[config]}"
    assert SECRET == config.api_key


def test_good_values_pass_as_they_are():
    """And what is left out is not sent."""
    config = LLMConfig(provider=LLMProvider.OPENAI, model="gpt-4o-mini", temperature=0.7)

    assert (LLMProvider.OPENAI, "gpt-4o-mini", 0.7) == (config.provider, config.model, config.temperature)
    assert (None, None, 120.0, 60.0, 2, {}) == (
        config.max_tokens,
        config.api_key,
        config.timeout_s,
        config.stream_idle_timeout_s,
        config.max_retries,
        config.extra,
    )


@pytest.mark.parametrize("provider", [None, LLMProvider.GOOGLE, "groq", "anything: it is told with the model"])
def test_any_provider_is_taken_for_now(provider):
    """Whether it exists is told together with the model."""
    assert provider == LLMConfig(model="x", provider=provider).provider


def test_a_configuration_does_not_change():
    """It may be shared by threads; a variant is another object."""
    config = LLMConfig(model="gpt-4o-mini", temperature=0.7)
    with pytest.raises(ValidationError):
        config.temperature = 1.0
    variant = config.model_copy(update={"temperature": 1.0})

    assert (0.7, 1.0, "gpt-4o-mini") == (config.temperature, variant.temperature, variant.model)


def test_options_do_not_change_either():
    """Neither by way of the dictionary that was given, nor by way of the field: the change would not be sent."""
    given = {"user": "u1"}
    config = LLMConfig(model="gpt-4o-mini", extra=given)
    given["user"] = "u2"
    with pytest.raises(TypeError):
        config.extra["user"] = "u3"

    assert {"user": "u1"} == config.extra


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda config: pickle.loads(pickle.dumps(config)), LLMConfig.model_copy],
)
def test_a_configuration_can_be_copied_whole(copied):
    """It may go to another process."""
    config = LLMConfig(model="gpt-4o-mini", api_base="http://localhost:8080/v1", extra={"user": "u1"})

    assert config == copied(config)
    assert {"user": "u1"} == copied(config).model_dump()["extra"]


def test_what_a_type_checker_is_told_are_the_fields():
    """The arguments that are written out for type checkers have the names and the defaults of the fields."""
    body = ast.parse(textwrap.dedent(inspect.getsource(LLMConfig))).body[0].body
    (hidden,) = [each for each in body if isinstance(each, ast.If)]
    told = hidden.body[0].args
    defaults = {name.arg: ast.unparse(default) for name, default in zip(told.kwonlyargs, told.kw_defaults, strict=True)}
    extra = defaults.pop("extra")

    assert "..." == extra
    assert defaults == {name: repr(each.default) for name, each in LLMConfig.model_fields.items() if name != "extra"}


# --- what comes back --------------------------------------------------------------------------------------------------

PARTS = st.dictionaries(st.sampled_from(TokenType), st.integers(0, 10**12))
COUNTS = st.integers(0, 10**9)
USAGES = st.builds(
    Usage.of,
    input_tokens=COUNTS,
    output_tokens=COUNTS,
    cache_read_tokens=COUNTS,
    cache_write_tokens=COUNTS,
    reasoning_tokens=COUNTS,
    is_estimated=st.booleans(),
)


def attempt(number: int, usage: Usage | None, parts: dict[TokenType, int] | None) -> AttemptRecord:
    """Return an attempt that used and cost this."""
    cost = None
    if parts is not None:
        cost = CostBreakdown(
            total_nano=sum(parts.values()), parts=parts, saved_by_cache_nano=0, price_source="catalog", price_date=None
        )
    return AttemptRecord(
        number=number,
        reason=AttemptReason.FIRST,
        provider="openai",
        model="gpt-4o-mini",
        outcome=Outcome.SUCCESS,
        started_s=0.0,
        duration_s=1.0,
        usage=usage,
        cost=cost,
    )


def record(*attempts: AttemptRecord) -> CallRecord:
    """Return a call of these attempts, with their sums."""
    usages = [each.usage for each in attempts if each.usage is not None]
    is_unpriced = any(each.is_unpriced for each in attempts)
    return CallRecord(
        request=CallRequest(
            operation="chat", provider="openai", model="gpt-4o-mini", litellm_model="openai/gpt-4o-mini"
        ),
        outcome=Outcome.SUCCESS,
        started_ns=0,
        duration_s=1.0,
        time_to_first_chunk_s=None,
        attempts=attempts,
        answer=Answer(),
        failure=None,
        usage=sum(usages[1:], usages[0]) if usages else None,
        cost_nano=None if is_unpriced else sum(each.cost.total_nano for each in attempts if each.cost),
    )


@given(st.lists(st.tuples(USAGES, PARTS), min_size=1, max_size=4))
def test_usage_is_the_sum_of_all_attempts(pairs):
    """Every token and every nano-dollar of them, exactly; input and output make the total but for fees by request."""
    stats = UsageStats.of(record(*(attempt(n, usage, parts) for n, (usage, parts) in enumerate(pairs, 1))))

    assert stats.input_tokens == sum(usage.input_tokens for usage, _ in pairs)
    assert stats.output_tokens == sum(usage.output_tokens for usage, _ in pairs)
    assert stats.total_tokens == stats.input_tokens + stats.output_tokens
    assert stats.cache_read_tokens == sum(usage.cache_read_tokens for usage, _ in pairs)
    assert stats.cache_write_tokens == sum(usage.cache_write_tokens for usage, _ in pairs)
    assert stats.reasoning_tokens == sum(usage.reasoning_tokens for usage, _ in pairs)
    assert stats.estimated == any(usage.is_estimated for usage, _ in pairs)
    total_nano = sum(sum(parts.values()) for _, parts in pairs)
    by_request = sum(parts.get(TokenType.REQUEST, 0) for _, parts in pairs)
    assert stats.total_cost_usd == Decimal(total_nano) / 10**9
    assert stats.input_cost_usd + stats.output_cost_usd + Decimal(by_request) / 10**9 == stats.total_cost_usd


def test_the_exact_cost_of_a_small_completion():
    """18 input and 5 output tokens of gpt-4o-mini are 0.0000057 USD."""
    parts = {TokenType.INPUT: 2_700, TokenType.OUTPUT: 3_000}
    stats = UsageStats.of(record(attempt(1, Usage.of(input_tokens=18, output_tokens=5), parts)))

    assert ("0.000005700", "0.000002700", "0.000003000") == (
        f"{stats.total_cost_usd:.9f}",
        f"{stats.input_cost_usd:.9f}",
        f"{stats.output_cost_usd:.9f}",
    )
    assert Decimal("0.0000057") == stats.total_cost_usd


def test_an_unknown_cost_is_none():
    """One attempt without a price makes the whole unknown: a part of it would read as all."""
    priced = attempt(1, Usage.of(input_tokens=1), {TokenType.INPUT: 5})
    stats = UsageStats.of(record(priced, attempt(2, Usage.of(input_tokens=2), None)))

    assert (None, None, None, 3) == (
        stats.total_cost_usd,
        stats.input_cost_usd,
        stats.output_cost_usd,
        stats.input_tokens,
    )


def test_nothing_used_costs_nothing():
    """A call that was turned away is known to be free."""
    stats = UsageStats.of(record(attempt(1, None, None)))

    assert (0, Decimal(0), False) == (stats.total_tokens, stats.total_cost_usd, stats.estimated)


def test_a_response_does_not_print_what_litellm_returned():
    """It holds the whole conversation a second time."""
    response = LLMResponse(
        content="hi",
        provider="openai",
        model="gpt-4o-mini",
        usage=UsageStats(),
        latency_ms=1.0,
        decision=explicit("gpt-4o-mini", "openai"),
        raw={"huge": "object"},
    )

    assert "huge" not in repr(response)
