"""What an exception says: the status, whether to try again, and what may be billed.

LiteLLM's exception classes and `status_code` are partly made up: a refused connection is a 500, a silent provider is a
408, a real 529 becomes a 500, and the class depends on words in the message. What really happened stands further down
the chain, in the transport's exception. The chain is read from the outside in, up to the first link that decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from llm_otel import semconv
from llm_otel.call import Charge, Failure, FailureKind

_LONGEST_CHAIN = 16
_RETRYABLE = frozenset({408, 409, 429})
_SERVER_ERROR = 500
_CLIENT_ERROR = 400

# Class names of httpx, httpcore, aiohttp and the standard library, as chained by LiteLLM 1.84 to 1.105 (probed).
_NEVER_SENT = frozenset(
    {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "ProxyError",
        "ClientConnectorError",
        "ClientConnectorDNSError",
        "ClientConnectorSSLError",
        "ClientConnectorCertificateError",
        "ClientProxyConnectionError",
        "ConnectionRefusedError",
        "gaierror",
    }
)
_LOST_AFTER_SENDING = frozenset(
    {
        "ReadTimeout",
        "WriteTimeout",
        "TimeoutError",
        "SocketTimeoutError",
        "ServerTimeoutError",
        "ReadError",
        "WriteError",
        "RemoteProtocolError",
        "ServerDisconnectedError",
        "ClientOSError",
        "ClientPayloadError",
        "ConnectionResetError",
        "BrokenPipeError",
    }
)
_UNSENDABLE = frozenset(
    {
        "InvalidURL",
        "InvalidUrlClientError",
        "LocalProtocolError",
        "NonHttpUrlClientError",
        "UnsupportedProtocol",
    }
)
"""A bad address: no HTTP client can do anything with it, now or later."""
_WITHOUT_KEY = re.compile(r"(litellm\.\w+: )?Missing (credentials\b|[\w ]{1,40}\bAPI key\b)", re.IGNORECASE)
"""How LiteLLM and the SDKs beneath it begin when there is no key to send a request with (1.84 to 1.105, probed). What
status and class they make up for it differs: a 500 for OpenAI, a 401 for Anthropic, a lost connection for Gemini."""
_UNREADABLE = frozenset({"JSONDecodeError", "UnicodeDecodeError"})
_TRANSPORTS = frozenset({"httpx", "httpcore", "aiohttp", "builtins", "socket", "asyncio"})
_CLIENTS = frozenset({"openai", "httpx", "httpcore", "aiohttp"})
"""What only raises where no answer could be read: a status, or no connection."""
_LOST_BY_CLASS = frozenset({"Timeout", "APITimeoutError", "APIConnectionError"})
_KINDS = {
    "ContextWindowExceededError": FailureKind.CONTEXT_WINDOW,
    "ContentPolicyViolationError": FailureKind.CONTENT_POLICY,
}
"""LiteLLM's classes for what providers only say in words (1.105)."""
_KINDS_BY_CODE = {
    "context_length_exceeded": FailureKind.CONTEXT_WINDOW,
    "content_filter": FailureKind.CONTENT_POLICY,
    "content_policy_violation": FailureKind.CONTENT_POLICY,
}
"""What OpenAI and those who speak like it say in `error.code`, whatever the words: LiteLLM goes by those alone."""


def failure_of(error: BaseException, handled: BaseException | None = None) -> Failure:
    """Read an exception that LiteLLM raised, or anything else. Never raises.

    Args:
        error: What was raised.
        handled: What the caller was just handling when the call began; Python makes it the `__context__` of all
            that is raised underneath, and it tells nothing of this call.
    """
    error_type = type(error).__name__
    for link in _chain(error, handled):
        name = type(link).__name__
        root = type(link).__module__.partition(".")[0]
        if _is_answer(link):
            return _answered(error_type, getattr(link, "response", None), getattr(link, "code", None))
        if (kind := _never_sendable(link, handled)) is not None:
            return Failure(error_type=error_type, kind=kind)
        if name in _UNREADABLE or _is_stumble(link, error, handled):
            return Failure(error_type=error_type, charge=Charge.RECEIVED)
        if root in _TRANSPORTS and name in _NEVER_SENT and not _is_relabelled(link):
            return Failure(error_type=error_type, is_retryable=True)
        if root in _TRANSPORTS and name in _LOST_AFTER_SENDING:
            return Failure(error_type=error_type, is_retryable=True, charge=Charge.RECEIVED)
    return _by_its_own_word(error, error_type)


def _is_answer(link: BaseException) -> bool:
    """Tell whether a provider answered, with the status of an error."""
    if type(link).__name__ == "HTTPStatusError":
        return True
    is_of_openai = type(link).__module__.partition(".")[0] == "openai"
    return is_of_openai and getattr(getattr(link, "response", None), "status_code", None) is not None


def _never_sendable(link: BaseException, handled: BaseException | None) -> FailureKind | None:
    """Return why a request can be sent neither now nor later, for want of a key or of a good address, if that is so."""
    # LiteLLM's own errors repeat what was answered, and a server may miss a key in the same words.
    if _WITHOUT_KEY.match(_words(link)) and not any(map(_is_answer, _chain(link, handled))):
        return FailureKind.NO_KEY
    is_bad_address = type(link).__module__.partition(".")[0] in _TRANSPORTS and type(link).__name__ in _UNSENDABLE
    return FailureKind.OTHER if is_bad_address else None


def _words(link: BaseException) -> str:
    try:
        return str(link)
    # Anybody's class may be in the chain, and fail to say what it is about.
    except Exception:  # noqa: BLE001
        return ""


def _is_relabelled(link: BaseException) -> bool:
    """Tell whether aiohttp's own error lies beneath: LiteLLM makes a `ConnectError` of every lost connection."""
    return type(link).__name__ == "ConnectError" and type(link.__cause__).__module__.startswith("aiohttp")


def _chain(error: BaseException | None, handled: BaseException | None) -> Iterator[BaseException]:
    link = error
    for _ in range(_LONGEST_CHAIN):
        if link is None or link is handled:
            return
        yield link
        original = getattr(link, "original_exception", None)
        link = original if isinstance(original, BaseException) else link.__cause__ or link.__context__


def _is_stumble(link: BaseException, error: BaseException, handled: BaseException | None) -> bool:
    """Tell whether LiteLLM failed over an answer that came, but not in the shape it expects: no status beneath is real.

    For OpenAI, and for those who speak like it (Mistral, Groq, DeepSeek, xAI), it makes up an error of its own, where
    anything that the SDK or the HTTP client raised would stand beneath it.
    """
    if type(link).__module__ == "litellm.llms.openai.common_utils":
        beneath = _chain(link.__cause__ or link.__context__, handled)
        return not any(_is_of_client(each) for each in beneath)
    return link is not error and isinstance(link, LookupError | TypeError | AttributeError | ValueError)


def _is_of_client(link: BaseException) -> bool:
    """Tell whether an HTTP client or an SDK raised it, or the operating system beneath them."""
    kind = type(link)
    return kind.__module__.partition(".")[0] in _CLIENTS or isinstance(link, OSError)


def _answered(error_type: str, response: Any, code: Any) -> Failure:
    """Read the provider's own refusal: nothing was generated, so nothing is billed."""
    status = _status(response)
    headers: Mapping[str, str] = getattr(response, "headers", None) or {}
    return Failure(
        error_type=error_type,
        status_code=status,
        retry_after_s=retry_after_s(headers),
        is_retryable=_is_retryable(status, headers),
        kind=_KINDS_BY_CODE.get(str(code)) or _kind(error_type),
    )


def _by_its_own_word(error: BaseException, error_type: str) -> Failure:
    """Read an exception without a transport's beneath it: LiteLLM's mocks and local refusals, or somebody's bug."""
    if error_type in _LOST_BY_CLASS:
        return Failure(error_type=error_type, is_retryable=True, charge=Charge.RECEIVED)
    status = _status(error)
    return Failure(
        error_type=error_type, status_code=status, is_retryable=_is_retryable(status, {}), kind=_kind(error_type)
    )


def _kind(error_type: str) -> FailureKind:
    return _KINDS.get(error_type, FailureKind.OTHER)


def _status(source: Any) -> int | None:
    status = getattr(source, "status_code", None)
    return status if isinstance(status, int) and status >= _CLIENT_ERROR else None


def _is_retryable(status: int | None, headers: Mapping[str, str]) -> bool:
    """Tell what may go better next time; OpenAI and Anthropic say it themselves where they know better."""
    said = headers.get(semconv.HEADER_SHOULD_RETRY)
    if said in ("true", "false"):
        return said == "true"
    return status is not None and (status in _RETRYABLE or status >= _SERVER_ERROR)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After` (seconds or a date) or `retry-after-ms`; what cannot be read was not said."""
    milliseconds = _number(headers.get(semconv.HEADER_RETRY_AFTER_MS))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get(semconv.HEADER_RETRY_AFTER)
    seconds = _number(text)
    return seconds if seconds is not None else _until(text, headers.get("date"))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _until(text: str | None, sent: str | None) -> float | None:
    """Return the seconds from the answer's own `Date` to a date, so that no clock of ours is involved."""
    when, answered = _date(text), _date(sent)
    return None if when is None or answered is None else max(0.0, (when - answered).total_seconds())


def _date(text: str | None) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
