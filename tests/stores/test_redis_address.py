"""What a Redis URL may say, and that no part of a secret is ever shown."""

from __future__ import annotations

import pytest

from llm_otel.errors import ConfigurationError
from llm_otel.stores.redis import RedisStore
from llm_otel.stores.redis.address import parse


@pytest.mark.parametrize(
    ("url", "name", "host", "port", "options"),
    [
        ("redis://", "redis://localhost:6379/0", "localhost", 6379, {"db": 0}),
        ("redis://cache", "redis://cache:6379/0", "cache", 6379, {"db": 0}),
        ("redis://cache:7000/3", "redis://cache:7000/3", "cache", 7000, {"db": 3}),
        ("redis://cache?db=4", "redis://cache:6379/4", "cache", 6379, {"db": 4}),
        ("redis://[::1]:7000/", "redis://[::1]:7000/0", "::1", 7000, {"db": 0}),
        ("redis://:pw@cache", "redis://cache:6379/0", "cache", 6379, {"db": 0, "password": "pw"}),
        (
            "redis://me:p%40%2Fw@cache/1",
            "redis://cache:6379/1",
            "cache",
            6379,
            {"db": 1, "username": "me", "password": "p@/w"},
        ),
        (
            "rediss://cache",
            "rediss://cache:6379/0",
            "cache",
            6379,
            {"db": 0, "ssl_cert_reqs": "required", "ssl_check_hostname": True},
        ),
        (
            "rediss://cache?ssl_cert_reqs=none&ssl_ca_certs=/a/b.pem",
            "rediss://cache:6379/0",
            "cache",
            6379,
            {"db": 0, "ssl_cert_reqs": "none", "ssl_check_hostname": False, "ssl_ca_certs": "/a/b.pem"},
        ),
    ],
)
def test_a_url_is_read(url, name, host, port, options):
    """What is left out has redis's own defaults."""
    address = parse(url)

    assert (name, host, port, options) == (address.name, address.host, address.port, address.options)
    assert url.startswith("rediss:") == address.is_tls


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hunter2@cache",
        "me:hunter2@cache",
        "redis://me:hunter2@cache:port",
        "redis://me:hunter2/@cache",
        "redis://me:hunter2@cache:70000",
        "redis://me:hunter2@[::1",
        "redis://me:hunter2@cache/one",
        "redis://me:hunter2@cache/-1",
        "redis://me:hunter2@cache/1/2",
        "redis://me:hunter2@cache/1?db=2",
        "redis://me:hunter2@cache?password=hunter2",
        "redis://me:hunter2@cache?ssl_ca_certs=/a.pem",
        "redis://me:hunter2@cache#hunter2",
        "rediss://me:hunter2@cache?ssl_cert_reqs=maybe",
        "rediss://me:hunter2@cache?socket_timeout=5",
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url):
    """At once, with what is allowed, and without what may be secret."""
    with pytest.raises(ConfigurationError, match="redis") as caught:
        RedisStore(url)

    assert "ledger" == caught.value.field
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__} {caught.value.value}"


def test_an_address_shows_no_secret():
    """Nor does its `repr`, nor a text of somebody else's that went through it."""
    address = parse("redis://me:p%40ss@cache")

    assert "p@ss" not in repr(address)
    assert "*** and *** are" == address.without_secrets("p@ss and p%40ss are")


@pytest.mark.parametrize("namespace", ["", "a b", "{a}", "a:b", "ä", "a\n"])
def test_a_namespace_is_a_plain_word(namespace):
    """It is the hash tag of all keys: braces in it would tear the ledger apart."""
    with pytest.raises(ConfigurationError) as caught:
        RedisStore("redis://cache", namespace=namespace)

    assert "namespace" == caught.value.field


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), float("nan")])
def test_a_timeout_is_a_bound(timeout_s):
    """No call waits for ever."""
    with pytest.raises(ConfigurationError) as caught:
        RedisStore("redis://cache", timeout_s=timeout_s)

    assert "timeout_s" == caught.value.field
