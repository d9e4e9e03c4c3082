"""From what a user asks to what LiteLLM is given, and to the facts of a call."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_otel import semconv
from llm_otel.call import CallRequest
from llm_otel.errors import ConfigurationError, UnknownProviderError
from llm_otel.models.resolve import ModelRef
from llm_otel.providers.requests import (
    arguments_for,
    check_messages,
    reference_of,
    request_of,
    resolve,
    template_of,
)
from llm_otel.types import LLMConfig

MESSAGES = [{"role": "user", "content": "Hello!"}]
ENVIRONMENT = [
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_API_BASE",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_API_BASE",
    "ANTHROPIC_BASE_URL",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GEMINI_API_BASE",
    "OLLAMA_API_KEY",
    "OLLAMA_API_BASE",
]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


def arguments_of(config: LLMConfig, *, is_streaming: bool = False) -> dict[str, Any]:
    """Return what LiteLLM is given for one message."""
    template = template_of(config)
    assert template.ref is not None
    return arguments_for(template, template.ref, MESSAGES, is_streaming=is_streaming)


def request_from(**arguments: Any) -> CallRequest:
    """Return the facts of a plain call of LiteLLM."""
    given_arguments = {"model": "gpt-4o-mini", "messages": MESSAGES} | arguments
    return request_of(given_arguments, reference_of(given_arguments), tags={})


# --- what LiteLLM is given --------------------------------------------------------------------------------------------


def test_what_is_not_configured_is_not_sent():
    """The provider's defaults hold. LiteLLM is told not to retry: its attempts would multiply with ours."""
    expected = {"model": "openai/gpt-4o-mini", "messages": MESSAGES, "max_retries": 0, "num_retries": 0}

    assert expected == arguments_of(LLMConfig(model="gpt-4o-mini"))


def test_what_is_configured_is_sent_as_it_is():
    """Under LiteLLM's names; `extra` along with it."""
    config = LLMConfig(
        model="claude-3-haiku-20240307",
        temperature=0.5,
        stop=["END"],
        api_key="sk-1",
        extra={"user": "john", "top_k": 3},
    )

    assert {
        "model": "anthropic/claude-3-haiku-20240307",
        "messages": MESSAGES,
        "max_retries": 0,
        "num_retries": 0,
        "temperature": 0.5,
        "stop": ["END"],
        "api_key": "sk-1",
        "user": "john",
        "top_k": 3,
    } == arguments_of(config)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, {"include_usage": True}),
        ({}, {"include_usage": True}),
        ({"include_usage": False}, {"include_usage": True}),
        ({"include_obfuscation": False}, {"include_obfuscation": False, "include_usage": True}),
    ],
)
def test_a_stream_is_asked_for_its_usage(asked, expected):
    """Without it most providers say nothing; what else the caller wants stays."""
    config = LLMConfig(model="gpt-4o-mini", extra={} if asked is None else {"stream_options": asked})
    arguments = arguments_of(config, is_streaming=True)

    assert (True, expected) == (arguments["stream"], arguments["stream_options"])


def test_stream_options_of_another_type_are_refused():
    """Before anything is sent, by their name."""
    config = LLMConfig(model="gpt-4o-mini", extra={"stream_options": True})

    with pytest.raises(ConfigurationError, match="stream_options"):
        arguments_of(config, is_streaming=True)


PLACEHOLDERS = [
    # A server of one's own, and no key: SDKs insist on one.
    ("gpt-4o-mini", {"OPENAI_BASE_URL": "http://localhost:1"}, {}, True),
    ("gpt-4o-mini", {"OPENAI_API_BASE": "http://localhost:1"}, {}, True),
    ("gpt-4o-mini", {}, {"api_base": "http://localhost:1"}, True),
    ("gemini-1.5-pro", {"GEMINI_API_BASE": "http://localhost:1"}, {}, True),
    # A key is there already.
    ("gpt-4o-mini", {"OPENAI_BASE_URL": "http://localhost:1", "OPENAI_API_KEY": "sk"}, {}, False),
    ("gemini-1.5-pro", {"GEMINI_API_BASE": "http://localhost:1", "GOOGLE_API_KEY": "k"}, {}, False),
    ("gpt-4o-mini", {"OPENAI_BASE_URL": "http://localhost:1"}, {"api_key": "sk"}, False),
    # The provider's usual server: that the key is missing is for it to say.
    ("gpt-4o-mini", {}, {}, False),
    # Another provider's variables mean nothing.
    ("gpt-4o-mini", {"ANTHROPIC_BASE_URL": "http://localhost:1"}, {}, False),
    ("gpt-4o-mini", {"OPENAI_BASE_URL": ""}, {}, False),
]


@pytest.mark.parametrize(("model", "environment", "fields", "is_placeholder"), PLACEHOLDERS)
def test_the_placeholder_key(model, environment, fields, is_placeholder, monkeypatch):
    """Sent to a server of one's own that was configured without a key, and to nobody else."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    arguments = arguments_of(LLMConfig(model=model, **fields))

    assert is_placeholder is (arguments.get("api_key") == "no-key-configured")


def test_a_key_that_comes_later_is_used(monkeypatch):
    """The environment is read for each call."""
    config = LLMConfig(model="gpt-4o-mini", api_base="http://localhost:1")
    assert "no-key-configured" == arguments_of(config)["api_key"]

    monkeypatch.setenv("OPENAI_API_KEY", "sk")
    assert "api_key" not in arguments_of(config)


def test_arguments_are_the_callers_own():
    """LiteLLM may write into them; the next call must not see it."""
    config = LLMConfig(model="gpt-4o-mini", extra={"user": "john"})
    arguments_of(config).clear()

    assert "john" == arguments_of(config)["user"]


def test_equal_configurations_are_not_mixed_up():
    """Each has its own arguments, also when one takes the place of another in memory."""
    seeds = [arguments_of(LLMConfig(model="gpt-4o-mini", seed=seed))["seed"] for seed in range(600)]

    assert list(range(600)) == seeds


@pytest.mark.parametrize("model", [None, "auto"])
def test_a_model_that_is_to_be_chosen_is_left_open(model):
    """All else can be prepared."""
    template = template_of(LLMConfig(model=model, max_tokens=5))

    assert template.ref is None
    assert not template.is_by_name
    assert ("model" not in template.arguments, 5) == (True, template.arguments["max_tokens"])


# --- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "messages"),
        ((), "messages"),
        ("my secret", "messages"),
        (b"my secret", "messages"),
        (None, "messages"),
        (7, "messages"),
        ({"role": "user", "content": "my secret"}, "messages"),
        ((each for each in MESSAGES), "messages"),
        (["my secret"], "messages[0]"),
        ([*MESSAGES, {"content": "my secret"}], "messages[1]"),
        ([{"role": "", "content": "my secret"}], "messages[0]"),
        ([{"role": 7, "content": "my secret"}], "messages[0]"),
        ([None], "messages[0]"),
    ],
)
def test_messages_that_no_provider_takes(messages, field):
    """The error names the place, and quotes nothing of the conversation."""
    with pytest.raises(ConfigurationError) as caught:
        check_messages(messages)

    assert field == caught.value.field
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("messages", [MESSAGES, tuple(MESSAGES), [SimpleNamespace(role="user", content="Hello!")]])
def test_messages_that_pass(messages):
    """Lists and tuples, of mappings or of the SDK's objects."""
    check_messages(messages)


# --- the facts of a call ----------------------------------------------------------------------------------------------


ADDRESSES = [
    ({}, {}, ("api.openai.com", 443)),
    ({"api_base": "http://localhost:8080/v1"}, {}, ("localhost", 8080)),
    ({"base_url": "http://localhost:8080/v1"}, {}, ("localhost", 8080)),
    ({"api_base": "http://localhost/v1"}, {}, ("localhost", 80)),
    ({"api_base": "https://Proxy.Example.COM"}, {}, ("proxy.example.com", 443)),
    ({"api_base": "localhost:8080"}, {}, ("localhost", 8080)),
    ({"api_base": "http://[::1]:8080"}, {}, ("::1", 8080)),
    ({"api_base": "https://me:sk-secret@proxy:444/v1?key=sk-secret"}, {}, ("proxy", 444)),
    ({"api_base": "http://[broken"}, {}, (None, None)),
    ({"api_base": "http://proxy:99999"}, {}, (None, None)),
    ({}, {"OPENAI_API_BASE": "http://one:1"}, ("one", 1)),
    ({}, {"OPENAI_API_BASE": "http://one:1", "OPENAI_BASE_URL": "http://two:2"}, ("two", 2)),
    ({"api_base": "http://mine:3"}, {"OPENAI_BASE_URL": "http://two:2"}, ("mine", 3)),
    ({"api_base": ""}, {"OPENAI_BASE_URL": ""}, ("api.openai.com", 443)),
    ({"api_base": 7}, {}, ("api.openai.com", 443)),
    ({"model": "claude-3-haiku-20240307"}, {}, ("api.anthropic.com", 443)),
    ({"model": "gemini/gemini-1.5-pro"}, {}, ("generativelanguage.googleapis.com", 443)),
    ({"model": "ollama_chat/llama3"}, {}, ("localhost", 11434)),
    ({"model": "ollama_chat/llama3"}, {"OLLAMA_API_BASE": "http://gpu-box:11435"}, ("gpu-box", 11435)),
    ({"model": "bedrock/some.model"}, {}, (None, None)),
]


@pytest.mark.parametrize(("arguments", "environment", "expected"), ADDRESSES)
def test_the_servers_address(arguments, environment, expected, monkeypatch):
    """As given, else from the environment, else the provider's usual one; keys and passwords in it stay behind."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    request = request_from(**arguments)

    assert expected == (request.server_address, request.server_port)


@given(st.text(max_size=40) | st.from_regex(r"https?://[^/]{0,9}@[^/]{0,9}:\d{0,6}/", fullmatch=True))
def test_no_address_is_too_odd(address):
    """LiteLLM may not like it; here it is at worst not known."""
    request = request_from(api_base=address)

    assert "@" not in (request.server_address or "")
    assert request.server_port is None or 0 < request.server_port < 2**16


def test_parameters():
    """What shapes the answer, in the conventions' types."""
    expected = {
        semconv.GEN_AI_REQUEST_TEMPERATURE: 1.0,
        semconv.GEN_AI_REQUEST_TOP_P: 0.5,
        semconv.GEN_AI_REQUEST_TOP_K: 3,
        semconv.GEN_AI_REQUEST_MAX_TOKENS: 100,
        semconv.GEN_AI_REQUEST_STOP_SEQUENCES: ("END",),
        semconv.GEN_AI_REQUEST_FREQUENCY_PENALTY: 0.0,
        semconv.GEN_AI_REQUEST_PRESENCE_PENALTY: -1.0,
        semconv.GEN_AI_REQUEST_SEED: 7,
        semconv.GEN_AI_REQUEST_CHOICE_COUNT: 2,
        semconv.GEN_AI_OUTPUT_TYPE: "json",
        semconv.GEN_AI_REQUEST_REASONING_LEVEL: "low",
    }
    request = request_from(
        temperature=1,
        top_p=0.5,
        top_k=3,
        max_tokens=100,
        stop="END",
        frequency_penalty=0,
        presence_penalty=-1,
        seed=7,
        n=2,
        response_format={"type": "json_object"},
        reasoning_effort="low",
        service_tier="flex",
    )

    assert expected == request.parameters
    assert float is type(request.parameters[semconv.GEN_AI_REQUEST_TEMPERATURE])
    assert "flex" == request.service_tier


def test_one_choice_is_left_out():
    """The conventions ask for a choice count only where it is something else."""
    assert {} == request_from(n=1).parameters


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"type": "text"}, "text"),
        ({"type": "json_object"}, "json"),
        ({"type": "json_schema", "json_schema": {}}, "json"),
        (LLMConfig, "json"),
        ({"type": "grammar"}, None),
        ({"type": ["text"]}, None),
        (None, None),
    ],
)
def test_the_modality_asked_for(asked, expected):
    """JSON in every form that asks for it, a schema's class included."""
    assert expected == request_from(response_format=asked).parameters.get(semconv.GEN_AI_OUTPUT_TYPE)


@pytest.mark.parametrize("stop", [[], (), [7], 7, {}])
def test_no_stop_sequences(stop):
    """Nothing usable is nothing said: an empty list is no value of an attribute."""
    assert {} == request_from(stop=stop).parameters


def test_the_newer_name_of_the_output_limit_goes_before_the_older():
    """OpenAI's `max_completion_tokens`, in whatever order they come."""
    assert 50 == request_from(max_completion_tokens=50, max_tokens=10).parameters[semconv.GEN_AI_REQUEST_MAX_TOKENS]
    assert 50 == request_from(max_tokens=10, max_completion_tokens=50).parameters[semconv.GEN_AI_REQUEST_MAX_TOKENS]


ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**63) - 1, 10**400])
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.none() | st.text(max_size=3), max_size=3)
    | st.dictionaries(st.text(max_size=4), st.none(), max_size=2)
)
TYPES = {
    semconv.GEN_AI_REQUEST_TEMPERATURE: float,
    semconv.GEN_AI_REQUEST_TOP_P: float,
    semconv.GEN_AI_REQUEST_TOP_K: int,
    semconv.GEN_AI_REQUEST_MAX_TOKENS: int,
    semconv.GEN_AI_REQUEST_STOP_SEQUENCES: tuple,
    semconv.GEN_AI_REQUEST_FREQUENCY_PENALTY: float,
    semconv.GEN_AI_REQUEST_PRESENCE_PENALTY: float,
    semconv.GEN_AI_REQUEST_SEED: int,
    semconv.GEN_AI_REQUEST_CHOICE_COUNT: int,
    semconv.GEN_AI_OUTPUT_TYPE: str,
    semconv.GEN_AI_REQUEST_REASONING_LEVEL: str,
}
NAMES = st.sampled_from(
    [
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "n",
        "response_format",
        "reasoning_effort",
        "service_tier",
        "stream",
        "mock_response",
        "api_base",
        "custom_llm_provider",
        "model",
    ]
)


@given(st.dictionaries(NAMES, ODD))
def test_no_plain_call_is_too_odd(arguments):
    """Values of a wrong type are LiteLLM's to refuse; here they are as if not given, and never break the call."""
    request = request_from(**arguments)

    for name, kind in TYPES.items():
        value = request.parameters.get(name)
        assert value is None or type(value) is kind
        # What OTLP can carry.
        assert kind is not int or value is None or -(2**63) <= value < 2**63


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"model": "gpt-4o-mini"}, ("openai", "gpt-4o-mini")),
        ({"model": "gemini/gemini-1.5-pro"}, ("gcp.gemini", "gemini-1.5-pro")),
        ({"model": "llama3", "custom_llm_provider": "ollama"}, ("ollama", "llama3")),
        ({"model": "made-up-yesterday"}, ("unknown", "made-up-yesterday")),
        ({"model": "gpt-4o-mini", "custom_llm_provider": "no-such"}, ("unknown", "gpt-4o-mini")),
        ({"model": "gpt-4o-mini", "custom_llm_provider": ["openai"]}, ("unknown", "gpt-4o-mini")),
        ({"model": None}, ("unknown", "")),
        ({"model": 7}, ("unknown", "7")),
    ],
)
def test_model_and_provider_of_a_plain_call(arguments, expected):
    """Told where they can be; what cannot be told is LiteLLM's to refuse."""
    request = request_of(arguments, reference_of(arguments), tags={})

    assert expected == (request.provider, request.model)


def test_resolving_says_what_it_cannot_tell():
    """The router refuses before anything is sent."""
    with pytest.raises(UnknownProviderError):
        resolve("made-up-yesterday", None)

    assert ModelRef("x", "openai", "openai/x", "openai") == resolve("openai/x", None)


@pytest.mark.parametrize(
    ("arguments", "is_streaming", "is_mock"),
    [
        ({}, False, False),
        ({"stream": True}, True, False),
        ({"stream": None}, False, False),
        ({"mock_response": "hi"}, False, True),
        ({"mock_response": ""}, False, False),
        ({"mock_response": None}, False, False),
        ({"mock_tool_calls": [{}]}, False, True),
        ({"mock_timeout": True}, False, True),
    ],
)
def test_streams_and_mocks(arguments, is_streaming, is_mock):
    """LiteLLM's own words for them."""
    request = request_from(**arguments)

    assert (is_streaming, is_mock) == (request.is_streaming, request.is_mock)
