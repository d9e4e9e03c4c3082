"""What is read off an exception: the status, whether to try again, what may be billed.

The chains are those that LiteLLM 1.84.0 and 1.105.3 raise (probed over HTTP, 2026-11-22), made of the transports' real
exceptions. LiteLLM's own classes are stood in for: importing them takes seconds, and only names and statuses count.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import aiohttp
import httpcore
import httpx
import openai
import pytest
from aiohttp.client_reqrep import ConnectionKey
from hypothesis import given
from hypothesis import strategies as st

from llm_otel.call import Charge, Failure, FailureKind
from llm_otel.providers.failures import failure_of, retry_after_s

REQUEST = httpx.Request("POST", "http://provider/v1/chat/completions")


def litellm_error(name: str, status_code: int | None = None, **fields: Any) -> Exception:
    """Return an exception as LiteLLM has them: a class with a status that may be made up."""
    made = type(name, (Exception,), {"__module__": "litellm.exceptions"})()
    made.__dict__.update(fields, status_code=status_code)
    return made


def worded(name: str, status_code: int | None, words: str) -> Exception:
    """Return the same with words."""
    made = litellm_error(name, status_code)
    made.args = (words,)
    return made


def status_error(status: int, headers: dict[str, str] | None = None) -> httpx.HTTPStatusError:
    """Return httpx's own error for an answer."""
    response = httpx.Response(status, headers=headers, request=REQUEST)
    return httpx.HTTPStatusError(f"HTTP {status}", request=REQUEST, response=response)


def openai_error(status: int, headers: dict[str, str] | None = None) -> openai.APIStatusError:
    """Return the OpenAI SDK's error for an answer."""
    response = httpx.Response(status, headers=headers, request=REQUEST)
    return openai.APIStatusError("boom", response=response, body=None)


def raised(*links: BaseException) -> BaseException:
    """Raise the last, and each before it while handling the one after; return the first, which the caller sees."""
    try:
        if len(links) > 1:
            try:
                raise raised(*links[1:])
            except BaseException:
                raise links[0]  # noqa: B904  # without `from`, as LiteLLM does
        raise links[0]
    except BaseException as exc:
        return exc


def because(error: Exception, cause: BaseException) -> Exception:
    """Return `error` as raised `from` its cause."""
    error.__cause__ = cause
    return error


def connector_error() -> aiohttp.ClientConnectorError:
    """Return aiohttp's error for a connection that was refused."""
    key = ConnectionKey("127.0.0.1", 9, False, True, None, None, None)
    return aiohttp.ClientConnectorError(key, ConnectionRefusedError(111, "refused"))


UNREADABLE = json.JSONDecodeError("Expecting value", "<html>", 0)


def seen(failure: Failure) -> tuple[int | None, bool, Charge]:
    """Return what decides over retry and bill."""
    return failure.status_code, failure.is_retryable, failure.charge


ANSWERED = [
    # The class and the status on the outside are LiteLLM's guess.
    (400, [litellm_error("BadRequestError", 400), litellm_error("AnthropicError", 400)], False),
    (401, [litellm_error("BadRequestError", 401), litellm_error("OpenAIError", 401), openai_error(401)], False),
    (404, [litellm_error("NotFoundError", 404), litellm_error("MaskedHTTPStatusError", 404)], False),
    (408, [litellm_error("BadRequestError", 408), litellm_error("OpenAIError", 408), openai_error(408)], True),
    (408, [litellm_error("Timeout", 408), litellm_error("VertexAIError", 408)], True),
    (408, [litellm_error("APIConnectionError", 500), litellm_error("OllamaError", 408)], True),
    (409, [litellm_error("APIError", 409)], True),
    (429, [litellm_error("RateLimitError", 429), litellm_error("OpenAIError", 429), openai_error(429)], True),
    (429, [litellm_error("APIConnectionError", 500), litellm_error("OllamaError", 429)], True),
    (429, [litellm_error("MidStreamFallbackError", 429), litellm_error("MaskedHTTPStatusError", 429)], True),
    (500, [litellm_error("BadRequestError", 500), litellm_error("OpenAIError", 500), openai_error(500)], True),
    (503, [litellm_error("ServiceUnavailableError", 503), litellm_error("VertexAIError", 503)], True),
    (529, [litellm_error("InternalServerError", 500), litellm_error("AnthropicError", 529)], True),
    (529, [litellm_error("APIConnectionError", 500), litellm_error("VertexAIError", 529)], True),
    (529, [litellm_error("MidStreamFallbackError", 500), litellm_error("MaskedHTTPStatusError", 529)], True),
]


@pytest.mark.parametrize(("status", "links", "is_retryable"), ANSWERED)
def test_an_answer_with_an_error_status(status, links, is_retryable):
    """The status is the one on the wire; nothing was generated, so nothing is billed."""
    error = raised(*links, status_error(status))

    assert (status, is_retryable, Charge.NOTHING) == seen(failure_of(error))
    assert type(links[0]).__name__ == failure_of(error).error_type


WITHOUT_KEY = {
    "openai": [
        litellm_error("InternalServerError", 500),
        litellm_error("OpenAIError", 500),
        openai.OpenAIError("Missing credentials. Please pass an `api_key`, or set `OPENAI_API_KEY`."),
    ],
    "anthropic": [
        worded("AuthenticationError", 401, "litellm.AuthenticationError: Missing Anthropic API Key - A call")
    ],
    "gemini": [litellm_error("APIConnectionError", 500), ValueError("Missing Gemini API key. Set the GEMINI_API_KEY")],
}


@pytest.mark.parametrize("links", WITHOUT_KEY.values(), ids=WITHOUT_KEY)
def test_a_request_that_has_no_key(links):
    """Nobody answered, whatever status LiteLLM makes up: nothing is billed, and waiting cannot help."""
    failure = failure_of(raised(*links))

    assert Failure(error_type=type(links[0]).__name__, kind=FailureKind.NO_KEY) == failure


@pytest.mark.parametrize("words", ["OpenAIException - Missing Groq API key", "Missing or invalid API key"])
@pytest.mark.parametrize(("status", "is_retryable"), [(401, False), (503, True)])
def test_a_key_that_the_provider_misses(words, status, is_retryable):
    """What was sent and answered is the provider's refusal, whatever its words: LiteLLM's error repeats the body."""
    failure = failure_of(raised(litellm_error("APIError"), worded("OllamaError", status, words), status_error(status)))

    assert (status, is_retryable, Charge.NOTHING) == seen(failure)
    assert FailureKind.OTHER is failure.kind


def test_an_error_that_cannot_say_what_it_is_about():
    """It is somebody else's, and may be anything."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise LookupError

    assert Failure(error_type="MuteError") == failure_of(MuteError())


NEVER_SENT = {
    "refused, openai": [
        litellm_error("InternalServerError", 500),
        litellm_error("OpenAIError", 500),
        openai.APIConnectionError(request=REQUEST),
        httpx.ConnectError("refused"),
        httpcore.ConnectError(),
        ConnectionRefusedError(),
    ],
    "refused, gemini": [
        litellm_error("APIConnectionError", 500),
        httpx.ConnectError("refused"),
        httpcore.ConnectError(),
        ConnectionRefusedError(),
    ],
    "refused, async": [
        litellm_error("APIConnectionError", 500),
        litellm_error("OllamaError", 500),
        because(httpx.ConnectError("refused"), connector_error()),
    ],
    "no time to connect": [litellm_error("Timeout", 408), httpx.ConnectTimeout("x"), httpcore.ConnectTimeout()],
    "no time to connect, async": [
        litellm_error("Timeout", 408),
        because(httpx.ConnectTimeout("x"), raised(aiohttp.ConnectionTimeoutError(), TimeoutError())),
    ],
    "no connection free": [litellm_error("Timeout", 408), httpx.PoolTimeout("x"), httpcore.PoolTimeout()],
    "no proxy": [litellm_error("InternalServerError", 500), httpx.ProxyError("x")],
}


@pytest.mark.parametrize("links", NEVER_SENT.values(), ids=NEVER_SENT)
def test_a_request_that_was_never_sent(links):
    """It may go better next time, and cannot have cost anything. LiteLLM's 500 and 408 are made up."""
    assert (None, True, Charge.NOTHING) == seen(failure_of(raised(*links)))


LOST = {
    "silence, openai": [
        litellm_error("Timeout", 408),
        litellm_error("OpenAIError", 500),
        openai.APITimeoutError(REQUEST),
        httpx.ReadTimeout("x"),
        httpcore.ReadTimeout(),
        TimeoutError(),
    ],
    "silence, async": [litellm_error("Timeout", 408), httpx.ReadTimeout("x"), aiohttp.SocketTimeoutError()],
    "silence, anthropic": [
        litellm_error("Timeout", 408),
        litellm_error("AnthropicError", 408),
        litellm_error("Timeout", 408),
        httpx.ReadTimeout("x"),
    ],
    "our own deadline": [TimeoutError()],
    "reset": [
        litellm_error("InternalServerError", 500),
        litellm_error("AnthropicError", 500),
        httpx.ReadError("x"),
        httpcore.ReadError(),
        ConnectionResetError(),
    ],
    "reset, async: LiteLLM says that it could not connect": [
        litellm_error("InternalServerError", 500),
        litellm_error("OpenAIError", 500),
        openai.APIConnectionError(request=REQUEST),
        because(httpx.ConnectError("reset"), raised(aiohttp.ClientOSError(), ConnectionResetError())),
    ],
    "closed": [litellm_error("APIConnectionError", 500), httpx.RemoteProtocolError("x")],
    "closed, async": [
        litellm_error("MidStreamFallbackError", 500),
        because(httpx.ReadError("x"), aiohttp.ServerDisconnectedError()),
    ],
    "cut body, async": [because(httpx.ReadError("x"), aiohttp.ClientPayloadError())],
    "said by the class alone": [litellm_error("Timeout", 408)],
}


@pytest.mark.parametrize("links", LOST.values(), ids=LOST)
def test_a_connection_that_was_lost(links):
    """The provider had the request: it may bill the input, and there was no status."""
    assert (None, True, Charge.RECEIVED) == seen(failure_of(raised(*links)))


def like_openai() -> Exception:
    """Return LiteLLM's own error for those who speak like OpenAI."""
    return type("OpenAIError", (Exception,), {"__module__": "litellm.llms.openai.common_utils"})()


@pytest.mark.parametrize(
    ("beneath", "expected"),
    [
        ([status_error(500)], (500, True, Charge.NOTHING)),
        ([status_error(429)], (429, True, Charge.NOTHING)),
        ([litellm_error("MaskedHTTPStatusError"), status_error(503)], (503, True, Charge.NOTHING)),
        ([status_error(401)], (401, False, Charge.NOTHING)),
        ([httpx.ConnectError("refused")], (None, True, Charge.NOTHING)),
        ([litellm_error("Timeout", 408), httpx.ReadTimeout("x")], (None, True, Charge.RECEIVED)),
        ([TypeError("choices")], (None, False, Charge.RECEIVED)),
        ([], (None, False, Charge.RECEIVED)),
    ],
    ids=["500", "429", "masked 503", "401", "refused", "time-out", "odd answer", "nothing"],
)
def test_providers_that_speak_like_openai(beneath, expected):
    """LiteLLM asks Mistral, Groq, DeepSeek and xAI without the SDK: what the HTTP client raised stands beneath."""
    error = raised(litellm_error("InternalServerError", 500), like_openai(), *beneath)

    assert expected == seen(failure_of(error))


GARBAGE = {
    "openai": [litellm_error("InternalServerError", 500), litellm_error("OpenAIError", 500), Exception(), UNREADABLE],
    "anthropic": [litellm_error("APIConnectionError", 500), litellm_error("AnthropicError", 200), UNREADABLE],
    "gemini 1.105": [litellm_error("BadRequestError", 422), litellm_error("VertexAIError", 422), UNREADABLE],
    "gemini 1.84": [litellm_error("APIConnectionError", 500), litellm_error("VertexAIError", 422), UNREADABLE],
    "ollama": [litellm_error("APIConnectionError", 500), UNREADABLE, StopIteration()],
    "no text": [litellm_error("APIConnectionError", 500), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x")],
}


@pytest.mark.parametrize("links", GARBAGE.values(), ids=GARBAGE)
def test_an_answer_that_cannot_be_read(links):
    """It was generated, and is billed; asking again would be billed again."""
    assert (None, False, Charge.RECEIVED) == seen(failure_of(raised(*links)))


BAD_ADDRESS = {
    "no scheme": [litellm_error("InternalServerError", 500), httpx.UnsupportedProtocol("x")],
    "no scheme, async": [
        litellm_error("InternalServerError", 500),
        because(httpx.InvalidURL("x"), aiohttp.InvalidUrlClientError("127.0.0.1:9")),
    ],
    "another scheme, async": [
        litellm_error("APIConnectionError", 500),
        because(httpx.RequestError("x"), aiohttp.NonHttpUrlClientError("htp://x")),
    ],
}


@pytest.mark.parametrize("links", BAD_ADDRESS.values(), ids=BAD_ADDRESS)
def test_an_address_that_is_none(links):
    """Nothing was sent, and nothing will be."""
    assert (None, False, Charge.NOTHING) == seen(failure_of(raised(*links)))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (litellm_error("BadRequestError", 400), (400, False, Charge.NOTHING)),
        (litellm_error("RateLimitError", 429), (429, True, Charge.NOTHING)),
        (litellm_error("ContextWindowExceededError", 400), (400, False, Charge.NOTHING)),
        (litellm_error("OddError", 200), (None, False, Charge.NOTHING)),
        (litellm_error("OddError", "429"), (None, False, Charge.NOTHING)),
        (KeyError("choices"), (None, False, Charge.NOTHING)),
        (KeyboardInterrupt(), (None, False, Charge.NOTHING)),
    ],
)
def test_an_error_of_nobody_beneath(error, expected):
    """Mocks, LiteLLM's own refusals, somebody's bug: the exception speaks for itself."""
    assert expected == seen(failure_of(error))


def test_the_original_of_a_broken_stream_goes_before_its_context():
    """LiteLLM keeps it in a field, and may be handling something else when it raises."""
    error = litellm_error("MidStreamFallbackError", 500, original_exception=status_error(529))
    raised(error, httpx.ReadTimeout("x"))

    assert 529 == failure_of(error).status_code


def test_what_the_provider_says_of_retrying_goes_before_the_status():
    """OpenAI and Anthropic know better, and say so."""
    assert not failure_of(status_error(429, {"x-should-retry": "false"})).is_retryable
    assert failure_of(status_error(400, {"x-should-retry": "true"})).is_retryable


def test_what_the_caller_was_handling_is_no_part_of_it():
    """Python chains it to whatever is raised underneath: a call made while a 429 of another server is handled."""
    handled = status_error(429, {"retry-after": "5"})
    error = raised(litellm_error("BadRequestError", 400), handled)

    assert error.__context__ is handled
    assert Failure(error_type="BadRequestError", status_code=400) == failure_of(error, handled)


def test_chains_that_run_in_circles_come_to_an_end():
    """Python allows them; there is nothing to be found in one."""
    first, second = litellm_error("APIError", 500), litellm_error("APIError", 500)
    first.__context__, second.__context__ = second, first

    assert 500 == failure_of(first).status_code


def _blank(kind: type[BaseException]) -> BaseException:
    """Return an exception of this kind, by name and module, without any of its fields."""
    return type(kind.__name__, (kind,), {"__module__": kind.__module__, "__init__": lambda self: None})()


LINKS = [link for chains in (NEVER_SENT, LOST, GARBAGE) for links in chains.values() for link in links]


@given(st.lists(st.sampled_from(LINKS), max_size=20))
def test_no_chain_is_too_odd(links):
    """Whatever comes, there is an answer, under the name of what the caller sees."""
    fresh = [_blank(type(link)) for link in links]
    for outer, inner in pairwise(fresh):
        outer.__context__ = inner
    error = fresh[0] if fresh else Exception()

    assert type(error).__name__ == failure_of(error).error_type


# --- Retry-After ------------------------------------------------------------------------------------------------------

SENT = "Sun, 22 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT", "date": SENT}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 13:00:30 +0100", "date": SENT}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 -0000", "date": SENT}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 11:59:00 GMT", "date": SENT}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 01 Jan 99999999999 00:00:00 GMT", "date": SENT}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 +9999", "date": SENT}, None),
    ],
)
def test_retry_after(headers, expected):
    """Seconds, a date against the answer's own clock, or milliseconds; what cannot be read was not said."""
    assert expected == retry_after_s(headers)
    assert expected == failure_of(status_error(429, headers)).retry_after_s


_WORDS = st.sampled_from(
    ["Mon,", "01", "Jan", "2026", "12:00:00", "GMT", "+0100", "99999999999", "-", "7", ":", "é", "²"]
)


@given(st.lists(_WORDS, max_size=8).map(" ".join) | st.text(), st.none() | st.lists(_WORDS, max_size=8).map(" ".join))
def test_no_retry_after_is_too_odd(text, sent):
    """A provider's header never makes us raise, wait for ever, or wait backwards."""
    waits = retry_after_s({"retry-after": text} | ({"date": sent} if sent is not None else {}))

    assert waits is None or 0 <= waits < float("inf")
