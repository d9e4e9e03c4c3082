"""Providers that refuse, break or answer nonsense: what their callers see, and what it costs."""

from __future__ import annotations

import re
import socket

import pytest

from llm_otel import LLMConfig, LLMRouter, ProviderError
from llm_otel.demo.simulator import EMPTY_BODY, GARBAGE_JSON, HTML_PAGE, Break, Fail, Raw, Reset
from llm_otel.models.providers import PROVIDERS
from tests.wire.books import billed, refused
from tests.wire.callers import LITELLM_ROUTER, PLAIN, ROUTER, asked_by


def check_refusal(caller, status, simulator, books):
    """Have the provider answer with a status; the span says just that, and nothing is billed."""
    simulator.script(Fail(status))

    got = caller.ask()

    error_type = type(caller.cause_of(got.error)).__name__
    assert refused(error_type, status) == books.only
    assert f"{error_type}: HTTP {status}" == books.call.status.description
    assert 1 == len(simulator.requests)
    assert (1, 0, 0) == (got.scope.calls, got.scope.cost_usd, got.scope.tokens)
    if caller.entrance == ROUTER:
        assert (error_type, status, 1) == (got.error.error_type, got.error.status_code, got.error.attempts)
        assert (caller.model.provider, caller.model.name) == (got.error.provider, got.error.model)


@asked_by()
@pytest.mark.parametrize("status", [401, 500])
def test_an_error_status(caller, status, simulator, books):
    """In every form: one request, the provider's real status, nothing billed; the cause is LiteLLM's exception."""
    check_refusal(caller, status, simulator, books)


@asked_by(entrances=(ROUTER,), is_stream=False, is_async=False)
@pytest.mark.parametrize("status", [400, 403, 404, 408, 413, 429, 502, 503, 504, 529])
def test_every_error_status(caller, status, simulator, books):
    """The provider's own status, whatever LiteLLM makes of it (a 529 is a 500 to it, a 502 of Gemini's a 500)."""
    check_refusal(caller, status, simulator, books)


@asked_by(providers=("openai", "anthropic"), entrances=(PLAIN, LITELLM_ROUTER))
@pytest.mark.parametrize(
    "behaviour", [Fail(400), Fail(429), Break(1), GARBAGE_JSON], ids=["400", "429", "cut", "garbage"]
)
def test_an_exception_of_litellms_passes_unchanged(caller, behaviour, simulator, books):
    """Inside a scope a plain call raises what it raises outside, with the same words, causes and context."""
    errors = []
    for in_scope in (False, True):
        simulator.script(behaviour)
        errors.append(caller.ask(in_scope=in_scope).error)

    outside, inside = (None if error is None else chain(error) for error in errors)
    assert outside == inside
    assert 1 == len(books.calls)


def chain(error):
    """Return classes and words of an exception and of what lies beneath, without ids and addresses in memory."""
    links = []
    while error is not None:
        words = re.sub(r"0x[0-9a-f]+|req_\w+|line \d+|\d+\.\d+|Traceback.*", "…", str(error), flags=re.DOTALL)
        links.append((type(error), words, getattr(error, "status_code", None), getattr(error, "__notes__", None)))
        error = error.__cause__ or error.__context__
    return links


@pytest.fixture
def nobody(monkeypatch, simulator):
    """Let every provider's address lead to a port where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        for name, value in simulator.env().items():
            monkeypatch.setenv(name, value.replace(simulator.url, f"http://127.0.0.1:{bound.getsockname()[1]}"))
        yield


@asked_by()
def test_a_refused_connection(caller, nobody, books):
    """Nothing was sent, nothing is billed; there is no status, though LiteLLM makes it a 500."""
    got = caller.ask()

    assert refused(type(caller.cause_of(got.error)).__name__) == books.only


@asked_by()
def test_a_connection_that_is_reset_before_the_answer(caller, simulator, books):
    """The provider had the request, and may bill its input. (LiteLLM itself sends it again on async clients.)"""
    simulator.script(Reset(), repeat=True)

    got = caller.ask()

    error_type = type(caller.cause_of(got.error)).__name__
    assert billed("error", error_type, (9, 0), caller.model.cost(9, 0)) == books.only


@asked_by(is_stream=False)
def test_an_answer_that_breaks_off(caller, simulator, books):
    """Half an answer is of no use to anybody; its input is billed."""
    simulator.script(Break(1), repeat=True)

    got = caller.ask()

    error_type = type(caller.cause_of(got.error)).__name__
    assert billed("error", error_type, (9, 0), caller.model.cost(9, 0)) == books.only


NONSENSE = {"garbage": GARBAGE_JSON, "empty": EMPTY_BODY, "html": HTML_PAGE, "no fields": Raw(b"{}")}


@asked_by(is_stream=False)
@pytest.mark.parametrize("behaviour", NONSENSE.values(), ids=NONSENSE.keys())
def test_an_answer_that_nobody_can_read(caller, behaviour, simulator, books):
    """The provider answered 200, and may bill the input; the statuses that LiteLLM makes up are not told."""
    simulator.script(behaviour)

    got = caller.ask(max_retries=2) if caller.entrance == ROUTER else caller.ask()

    error_type = type(caller.cause_of(got.error)).__name__
    assert billed("error", error_type, (9, 0), caller.model.cost(9, 0)) == books.only
    assert 1 == len(simulator.requests), "the same answer again would be the same nonsense, and billed again"


@asked_by(is_stream=True)
@pytest.mark.parametrize("behaviour", NONSENSE.values(), ids=NONSENSE.keys())
def test_a_stream_that_nobody_can_read(caller, behaviour, simulator, books):
    """It has no content and no end. LiteLLM makes an empty answer of it, which is an error to callers of the router."""
    simulator.script(behaviour)

    got = caller.ask()

    assert "" == "".join(chunk.content for chunk in got.chunks) if caller.entrance == ROUTER else "" == got.text
    assert billed("error", "IncompleteStream", (9, 0), caller.model.cost(9, 0)) == books.only
    assert (caller.entrance == ROUTER) == isinstance(got.error, ProviderError)


@asked_by(providers=("openai",), entrances=(PLAIN,), is_stream=False)
def test_a_call_that_litellm_refuses_by_itself(caller, simulator, books):
    """Without a key nothing is sent, and nothing is billed."""
    got = caller.ask(api_key=None)

    assert () == simulator.requests
    ending = books.only
    assert refused(type(caller.cause_of(got.error)).__name__, ending.status_code) == ending


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("gpt-4o-mini", "OPENAI_API_KEY"),
        ("claude-3-haiku-20240307", "ANTHROPIC_API_KEY"),
        ("gemini-2.5-flash", "GEMINI_API_KEY"),
    ],
)
def test_a_router_without_a_key_says_which_to_set(model, variable, monkeypatch, books):
    """It is told at once and by name, after one attempt: waiting does not help, and nothing was billed."""
    for provider in PROVIDERS:
        for name in provider.variables:
            monkeypatch.delenv(name, raising=False)

    with pytest.raises(ProviderError, match=f"there is no key to send it with: set {variable}") as caught:
        LLMRouter().complete([{"role": "user", "content": "Hello!"}], LLMConfig(model=model))

    assert (variable, 1, None) == (caught.value.unset, caught.value.attempts, caught.value.status_code)
    assert refused(caught.value.error_type, None) == books.only


def test_the_words_of_an_error_hold_no_prompt(simulator, books, caller):
    """Providers quote the prompt; our own error, the span and its status do not."""
    simulator.script(Fail(400, message="cannot handle 'my secret prompt'"))

    got = caller.ask([{"role": "user", "content": "my secret prompt"}])

    assert "my secret prompt" in str(got.error.__cause__)
    said = [str(got.error), repr(got.error), books.call.to_json()]
    assert not [text for text in said if "secret" in text]
