"""Where a Redis server is: `redis://` and `rediss://` URLs, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from llm_otel.errors import ConfigurationError

DEFAULT_PORT = 6379

_ALLOWED = "redis://[username:password@]host[:port][/database], or rediss:// for TLS"

_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
"""Paths of PEM files, by redis-py's names, that a `rediss://` URL may carry as its query."""


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL says.

    Attributes:
        name: The URL without credentials and options: what messages show.
        host: As written; a name is resolved with each connection.
        port: TCP.
        options: Further arguments of a redis-py connection, of either kind.
        secrets: What may never be shown.
    """

    name: str
    host: str
    port: int
    is_tls: bool
    options: Mapping[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    def without_secrets(self, text: str) -> str:
        """Return a text with the password, as it is and as it was written, blotted out."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def parse(url: str, *, setting: str = "ledger") -> Address:
    """Read a URL, which the setting of that name holds.

    Raises:
        ConfigurationError: It is none that a connection can be made from. The message has no credentials.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "localhost", parts.port or DEFAULT_PORT
    except ValueError:
        # Not chained: it quotes what stands where the port should be, which may be half a password.
        raise ConfigurationError(setting, None, f"{_ALLOWED}; this one cannot be read") from None
    shown_host = f"[{host}]" if ":" in host else host
    name = f"{parts.scheme}://{shown_host}:{port}"
    if parts.scheme not in {"redis", "rediss"} or parts.fragment:
        raise ConfigurationError(setting, name, _ALLOWED)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    database = _database(parts, query, name, setting)
    options: dict[str, Any] = {"db": database}
    if parts.username:
        options["username"] = unquote(parts.username)
    if parts.password:
        options["password"] = unquote(parts.password)
    if parts.scheme == "rediss":
        options |= _tls_options(query, name, setting)
    if query:
        raise ConfigurationError(setting, name, f"{_ALLOWED}; it has no option {min(query)!r}")
    secrets = tuple({parts.password, options["password"]} if parts.password else ())
    return Address(f"{name}/{database}", host, port, parts.scheme == "rediss", options, secrets)


def _database(parts: SplitResult, query: dict[str, str], name: str, setting: str) -> int:
    """Return the number of the database, which stands in the path or the query."""
    path = parts.path.removeprefix("/")
    text = query.pop("db", "") or path or "0"
    if not text.isascii() or not text.isdigit() or (path and path != text):
        raise ConfigurationError(setting, name, f"{_ALLOWED}; a database is a whole number")
    return int(text)


def _tls_options(query: dict[str, str], name: str, setting: str) -> dict[str, Any]:
    """Take the TLS options out of a query. Certificates are verified unless it says `ssl_cert_reqs=none`."""
    verify = query.pop("ssl_cert_reqs", "required")
    if verify not in {"required", "none"}:
        raise ConfigurationError(setting, name, "rediss:// with ssl_cert_reqs=required or ssl_cert_reqs=none")
    paths = {option: query.pop(option) for option in _TLS_OPTIONS if option in query}
    return {"ssl_cert_reqs": verify, "ssl_check_hostname": verify == "required", **paths}
