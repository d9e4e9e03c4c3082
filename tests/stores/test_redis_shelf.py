"""The response cache's place in Redis: shared, bounded in time, and nothing of it outlives its time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from llm_otel import steps
from llm_otel.assembly import Runtime
from llm_otel.budgets.ledger import StoreUnavailableError
from llm_otel.caching.cache import ResponseCache
from llm_otel.clock import SystemClock
from llm_otel.config import Settings
from llm_otel.errors import ConfigurationError
from llm_otel.recording import Guard
from llm_otel.stores.opening import open_shelf
from llm_otel.stores.redis import RedisShelf
from tests.caching.answers import entry
from tests.stores.redis_server import answering, free_port, make_certificate, running, shared_url

PATIENT_S = 20.0
BOUND_S = 2.0
"""A quarter of a second, and what a busy machine adds."""


@pytest.fixture
def key(request):
    """A key of this test alone."""
    return request.node.nodeid


@pytest.fixture
def shelf():
    """A shelf on the shared server, with time for a busy machine."""
    made = RedisShelf(shared_url(), timeout_s=PATIENT_S)
    yield made
    made.close()


def test_what_was_put_is_found_by_others(shelf, key):
    """From threads and from event loops, byte for byte."""
    text = bytes(range(256)) * 1000
    assert None is shelf.get(key)

    shelf.put(key, text, 60_000)

    other = RedisShelf(shared_url(), timeout_s=PATIENT_S)
    assert (text, text) == (other.get(key), asyncio.run(other.aget(key)))
    other.close()


def test_keys_say_whose_they_are_and_end():
    """One key for each answer, under our own prefix, all in one slot, with its time to live."""
    with running() as server:
        shelf = RedisShelf(server.url, timeout_s=PATIENT_S)
        shelf.put("abc", b"1", 60_000)

        assert [b"llm_otel:cache:v1:{answers}:abc"] == server.admin.keys("*")
        assert 0 < server.admin.pttl("llm_otel:cache:v1:{answers}:abc") <= 60_000
        shelf.close()


def test_a_server_that_restarts_is_found_again(key):
    """The connections that died with it are no reason to fail."""
    with running() as server:
        shelf = RedisShelf(server.url, timeout_s=PATIENT_S)
        shelf.put(key, b"1", 60_000)
        server.stop()
        server.start()

        assert None is shelf.get(key)
        shelf.put(key, b"2", 60_000)
        assert b"2" == shelf.get(key)
        shelf.close()


def test_on_a_cluster(key):
    """Every key is where the first was."""
    with running("--cluster-enabled", "yes") as server:
        server.become_cluster()
        shelf = RedisShelf(server.url, timeout_s=PATIENT_S)
        for number in range(20):
            shelf.put(f"{key}{number}", b"%d" % number, 60_000)

        assert b"7" == shelf.get(f"{key}7")
        shelf.close()


def test_over_tls(tmp_path, key):
    """As for a ledger."""
    certificate, private = make_certificate(tmp_path)
    port = free_port()
    tls = ("--tls-port", str(port), "--tls-cert-file", certificate, "--tls-key-file", private)
    with running(*tls, "--tls-auth-clients", "no"):
        shelf = RedisShelf(f"rediss://localhost:{port}?ssl_ca_certs={certificate}", timeout_s=PATIENT_S)
        shelf.put(key, b"1", 60_000)

        assert b"1" == asyncio.run(shelf.aget(key))
        shelf.close()


def test_a_server_that_says_nothing_costs_a_quarter_of_a_second(key):
    """In threads and on event loops."""
    with answering(None) as port:
        shelf = RedisShelf(f"redis://127.0.0.1:{port}")
        for ask in (lambda: shelf.get(key), lambda: asyncio.run(shelf.aget(key)), lambda: shelf.put(key, b"", 1)):
            began = time.monotonic()
            with pytest.raises(StoreUnavailableError):
                ask()
            assert 0.2 < time.monotonic() - began < BOUND_S
        shelf.close()


def test_a_shelf_that_is_closed_says_so(shelf, key):
    """As one that is out."""
    shelf.close()

    with pytest.raises(StoreUnavailableError, match="closed"):
        shelf.get(key)
    with pytest.raises(StoreUnavailableError, match="closed"):
        asyncio.run(shelf.aget(key))


@pytest.mark.parametrize("is_async", [False, True])
def test_a_dead_server_costs_one_call_its_patience(is_async):
    """The others go on at once, each leading its own flight; and an answer is shared again when it is back."""
    errors = []
    with running() as server:
        cache = ResponseCache(
            SystemClock(), Guard(lambda where, error: errors.append((where, type(error)))), RedisShelf(server.url)
        )

        def recall(key):
            walk = cache.recall(key, ttl_s=60, left_s=None)
            return asyncio.run(steps.arun(walk)) if is_async else steps.run(walk)

        with server.frozen():
            began = time.monotonic()
            found = [recall(f"{number}") for number in range(20)]
            took_s = time.monotonic() - began

    assert all(each.lead is not None for each in found)
    assert [("cache", StoreUnavailableError)] == errors
    assert took_s < BOUND_S


# --- addresses --------------------------------------------------------------------------------------------------------


def test_memory_needs_no_shelf():
    """An answer is kept in the process in every case."""
    assert None is open_shelf("memory://")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqlite:///answers.db",
        "redis://me:secret@host/x",
        "redis://me:secret@host/?option=1",
        "redis://me:secret@host:70000/",
        "http://me:secret@host/",
        "secret@host",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_by_name(url):
    """The message has the setting, and no password."""
    with pytest.raises(ConfigurationError, match=r"^response_cache=") as caught:
        open_shelf(url)

    assert "secret" not in str(caught.value)


def test_a_missing_package_is_named():
    """With the line that installs it."""
    program = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "redis":
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, Missing())
from llm_otel.stores.opening import open_shelf
try:
    open_shelf("redis://me:secret@localhost")
except ValueError as exc:
    print(exc)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    allowed = 'a response cache in Redis needs one more package: pip install "llm-otel[redis]"'
    assert f"response_cache='redis://localhost:6379/0' is not usable: {allowed}\n" == run.stdout


def test_a_runtime_looks_at_the_address_at_once():
    """Not when the first call wants its answer."""
    with pytest.raises(ConfigurationError, match="response_cache"):
        Runtime(Settings(response_cache="redis://host/x"))


def test_what_is_recalled_through_redis_is_what_was_kept(key):
    """All the way through two processes' caches."""
    clock, guard = SystemClock(), Guard(lambda _where, error: pytest.fail(str(error)))
    one, other = (ResponseCache(clock, guard, RedisShelf(shared_url(), timeout_s=PATIENT_S)) for _ in range(2))
    kept = entry(created_at_ms=clock.now_ns() // 1_000_000)
    steps.run(one.recall(key, ttl_s=60, left_s=None)).lead.land(kept)
    one.keep(key, kept, 60)
    assert one.flush(PATIENT_S)

    assert kept == steps.run(other.recall(key, ttl_s=60, left_s=None)).entry
