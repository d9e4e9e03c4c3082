"""Ids of holds: two calls that shared one would share a hold."""

from __future__ import annotations

import os
import threading

from llm_otel.enforcement.ids import HoldIds


def test_threads_and_runtimes_never_make_the_same():
    """All of them, from several threads and two makers."""
    makers, made = [HoldIds(), HoldIds()], []

    def make():
        made.extend(maker() for _ in range(500) for maker in makers)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 4 * 500 * 2 == len(set(made))


def test_a_forked_child_makes_others():
    """It goes on with the parent's memory, and so would with its number."""
    ids = HoldIds()
    before = ids()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, ids().encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as pipe:
        theirs = pipe.read()

    assert theirs
    assert theirs not in {before, ids()}
    assert before.partition("-")[0] != theirs.partition("-")[0]
