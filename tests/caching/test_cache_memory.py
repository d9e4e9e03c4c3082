"""Answers in memory: the ones used last, within their bounds, for as long as they are fresh."""

from __future__ import annotations

import gc
import os
import threading
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_otel.caching.memory import Memory
from tests.caching.answers import entry, response

SIZE = len(response())


class Time:
    """Monotonic seconds that stand still."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time():
    """The time."""
    return Time()


def test_what_was_put_is_there(time):
    """The last one, under its key."""
    memory = Memory(time)
    memory.put("a", entry("one"), 10)
    memory.put("a", entry("two"), 10)

    assert (entry("two"), None) == (memory.get("a"), memory.get("b"))
    assert (1, len(response("two"))) == (len(memory), memory.characters)


def test_time_runs_out(time):
    """At the very moment; what is over takes no room."""
    memory = Memory(time)
    memory.put("a", entry(), 10)
    time.now_s += 9.99
    assert entry() == memory.get("a")

    time.now_s = 110.0

    assert None is memory.get("a")
    assert (0, 0) == (len(memory), memory.characters)


def test_what_has_no_time_is_not_kept(time):
    """Nor what is larger than all that may be kept; nor anything where nothing may be."""
    memory = Memory(time, max_characters=SIZE)
    memory.put("a", entry(), 0)
    memory.put("b", entry("longer than that"), 10)
    none = Memory(time, max_entries=0)
    none.put("a", entry(), 10)

    assert (0, 0) == (len(memory), len(none))


def test_the_one_used_longest_ago_makes_room(time):
    """Reading is using."""
    memory = Memory(time, max_entries=2)
    memory.put("a", entry(), 10)
    memory.put("b", entry(), 10)
    memory.get("a")

    memory.put("c", entry(), 10)

    assert [True, False, True] == [memory.get(key) is not None for key in "abc"]


operations = st.lists(
    st.tuples(st.sampled_from(["put", "get", "wait"]), st.sampled_from("abcd"), st.integers(0, 40)), max_size=60
)


@given(operations, st.integers(1, 3), st.integers(1, 4 * (SIZE + 20)))
def test_it_is_a_bounded_dictionary(steps, max_entries, max_characters):
    """As one that is written down the slow way; and its own count of what it holds is right."""
    time = Time()
    memory = Memory(time, max_entries=max_entries, max_characters=max_characters)
    model: OrderedDict[str, tuple[int, float]] = OrderedDict()
    for what, key, number in steps:
        if what == "wait":
            time.now_s += number / 10
        elif what == "put":
            one = entry("x" * number)
            memory.put(key, one, 2)
            if len(one.response) <= max_characters:
                model.pop(key, None)
                model[key] = (number, time.now_s + 2)
                while len(model) > max_entries or sum(len(response("x" * n)) for n, _ in model.values()) > (
                    max_characters
                ):
                    model.popitem(last=False)
        else:
            kept = model.pop(key, None)
            if kept is not None and kept[1] > time.now_s:
                model[key] = kept
                assert entry("x" * kept[0]) == memory.get(key)
            else:
                assert None is memory.get(key)
        assert len(model) == len(memory) <= max_entries
        assert sum(len(response("x" * n)) for n, _ in model.values()) == memory.characters <= max_characters


def test_threads_share_it(time):
    """What it counts stays right."""
    memory = Memory(time, max_entries=5)
    start = threading.Barrier(8)

    def work(number):
        start.wait()
        for turn in range(300):
            memory.put(f"{(turn + number) % 9}", entry("x" * (turn % 7)), 10)
            memory.get(f"{turn % 9}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert 5 == len(memory)
    assert sum(len(kept.response) for key in "012345678" if (kept := memory.get(key))) == memory.characters


def test_the_collector_may_keep_an_answer_in_the_middle(time):
    """It drops a stream, whose end keeps its answer, while this thread is at it: neither waits, and both are kept."""
    memory = Memory(time)

    class Dropped:
        def __init__(self):
            self.itself = self

        def __del__(self):
            memory.put("dropped", entry("dropped"), 10)

    Dropped()
    inside = memory._monotonic

    def collecting():
        gc.collect()
        return inside()

    memory._monotonic = collecting
    memory.put("a", entry("one"), 10)

    assert (entry("one"), entry("dropped")) == (memory.get("a"), memory.get("dropped"))
    assert len(response("one")) + len(response("dropped")) == memory.characters


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_begins_with_none(time):
    """A thread of its parent may be in the middle of something, and hold the lock for ever."""
    memory = Memory(time)
    memory.put("a", entry(), 10)
    held, go = threading.Event(), threading.Event()

    def hold():
        with memory._lock:
            held.set()
            go.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    child = os.fork()
    if child == 0:
        memory.put("b", entry(), 10)
        os._exit(0 if memory.get("a") is None and memory.get("b") == entry() else 1)
    _, status = os.waitpid(child, 0)
    go.set()
    thread.join(30)

    assert 0 == os.waitstatus_to_exitcode(status)
    assert entry() == memory.get("a")
