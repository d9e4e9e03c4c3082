"""Answers in Redis: other processes find them, and nobody fails for want of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from llm_otel import LLMConfig, LLMRouter, semconv
from llm_otel.demo.simulator import Hang, Reply
from llm_otel.stores.redis import RedisShelf
from tests.stores.redis_server import answering, free_port, running, shared_url
from tests.wire.callers import ROUTER, asked_by

PATIENT_S = 20.0
START_S = 90.0
"""For a program that imports LiteLLM, on a busy machine."""
TEXT = "Hello there, how can I help you today?"
REPLY = Reply(TEXT, input_tokens=18, output_tokens=9)
OPTIONS = {"model": "gpt-4o-mini", "max_retries": 0, "cache_ttl_s": 60.0}
ASKED = LLMConfig(**OPTIONS)


@pytest.fixture
def messages(request):
    """A conversation of this test alone: the server is shared."""
    return [{"role": "user", "content": f"Hello from {request.node.nodeid}, process {os.getpid()}!"}]


@pytest.fixture
def patient(monkeypatch):
    """A busy machine is no outage."""
    monkeypatch.setattr("llm_otel.assembly.open_shelf", lambda url: RedisShelf(url, timeout_s=PATIENT_S))


def internal_errors(books):
    """Return how often the cache failed."""
    return books.metric(semconv.INTERNAL_ERRORS, recorder="cache")


@asked_by(providers=("openai",), entrances=(ROUTER,))
def test_another_process_finds_it(caller, use, registry, simulator, books, messages, patient):
    """Its memory is empty; what it saves is told there too."""
    simulator.script(REPLY)
    one = use(registry, response_cache=shared_url())
    caller.ask(messages, cache_ttl_s=60.0)
    assert one.response_cache.flush(PATIENT_S)

    use(registry, response_cache=shared_url())
    again = caller.ask(messages, cache_ttl_s=60.0)

    assert (TEXT, True, 1) == (again.text, again.result.is_cached, len(simulator.requests))
    assert again.result.saved_usd > 0
    assert 0 == internal_errors(books)


@contextmanager
def nobody_there():
    """Yield an address where nobody listens."""
    yield f"redis://127.0.0.1:{free_port()}/0"


@contextmanager
def somebody_who_says_nothing():
    """Yield the address of a server that hangs."""
    with answering(None) as port:
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def somebody_else():
    """Yield the address of what is no Redis."""
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        yield f"redis://127.0.0.1:{port}/0"


@pytest.mark.parametrize("outage", [nobody_there, somebody_who_says_nothing, somebody_else])
@asked_by(providers=("openai",), entrances=(ROUTER,))
def test_an_outage_is_a_miss(caller, outage, use, registry, simulator, books, messages):
    """The call goes on, the failure is counted, and this process still has its own answers."""
    simulator.script(REPLY)
    with outage() as url:
        made = use(registry, response_cache=url, strict=False)
        first = caller.ask(messages, cache_ttl_s=60.0)
        again = caller.ask(messages, cache_ttl_s=60.0)
        made.response_cache.flush(PATIENT_S)

    assert (None, TEXT, False) == (first.error, first.text, first.result.is_cached)
    assert (None, TEXT, True) == (again.error, again.text, again.result.is_cached)
    assert internal_errors(books) >= 1


@pytest.mark.parametrize("rubbish", [b"", b"garbage", b"\xff\xfe", b'{"version":1}', b"[" * 100_000, b'{"version":99}'])
def test_rubbish_in_its_place_is_a_miss(rubbish, use, registry, simulator, books, messages, patient):
    """It is counted, and the next answer takes its place."""
    with running() as server:
        router, made = LLMRouter(), use(registry, response_cache=server.url, strict=False)
        router.complete(messages, ASKED)
        assert made.response_cache.flush(PATIENT_S)
        (key,) = server.admin.keys("*")
        server.admin.set(key, rubbish)

        made = use(registry, response_cache=server.url, strict=False)
        assert not router.complete(messages, ASKED).is_cached
        assert made.response_cache.flush(PATIENT_S)

        use(registry, response_cache=server.url)
        assert router.complete(messages, ASKED).is_cached
        assert (1, 2) == (internal_errors(books), len(simulator.requests))
        assert messages[0]["content"].encode() not in server.admin.get(key)


# --- processes --------------------------------------------------------------------------------------------------------

ASK = """
import json, os, sys
import llm_otel
from llm_otel import LLMConfig, LLMRouter

url, messages, options = json.loads(sys.argv[1])
llm_otel.configure(response_cache=url)

def ask():
    return LLMRouter().complete(messages, LLMConfig(**options)).is_cached

"""


def program(simulator, code, *said):
    """Start a program that may ask."""
    environment = os.environ | simulator.env() | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command = [sys.executable, "-c", ASK + code, json.dumps(said)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)


def test_a_program_that_ends_at_once_leaves_its_answer(use, registry, simulator, books, messages, patient):
    """It is brought before the program ends."""
    asked = program(simulator, "print(ask())", shared_url(), messages, OPTIONS)
    assert "False\n" == asked.communicate(timeout=START_S)[0]

    use(registry, response_cache=shared_url())
    assert LLMRouter().complete(messages, ASKED).is_cached
    assert 1 == len(simulator.requests)


def test_a_program_that_is_killed_leaves_nobody_waiting(use, registry, simulator, books, messages, patient):
    """Who asks the same next just asks: nothing stands in Redis for a request under way."""
    simulator.script(Hang(), REPLY)
    asking = program(simulator, "print(ask())", shared_url(), messages, OPTIONS)
    simulator.wait_for_requests(timeout_s=START_S)
    asking.send_signal(signal.SIGKILL)
    asking.communicate(timeout=START_S)

    use(registry, response_cache=shared_url())
    assert not LLMRouter().complete(messages, ASKED).is_cached


FORK = """
import threading
asking = threading.Thread(target=ask)
asking.start()
input()
child = os.fork()
if child == 0:
    print(ask(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print("forked", flush=True)
asking.join()
print(ask(), flush=True)
"""


def test_a_forked_child_does_not_wait_for_its_parent(simulator, books, messages):
    """What the parent is getting it gets for itself; the parent goes on as before."""
    hang = Hang(reply=REPLY)
    simulator.script(hang, REPLY)
    with program(simulator, FORK, "memory://", messages, OPTIONS) as parent:
        simulator.wait_for_requests(timeout_s=START_S)
        parent.stdin.write("go on\n")
        parent.stdin.flush()
        assert ["False\n", "forked\n"] == [parent.stdout.readline(), parent.stdout.readline()]
        hang.release()
        assert "True\n" == parent.stdout.readline()
        assert 0 == parent.wait(START_S)
