"""The Redis ledger on event loops: many tasks, many loops, cancels, and loops that end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import pytest

from llm_otel.budgets.ledger import Granted, Hold, Line, Refused, RowQuery, RowState, StoreUnavailableError
from llm_otel.stores.redis import RedisStore
from tests.stores.redis_server import RedisServer, answering, free_port, running

LINE = Line("company", "", 0, None, (0,), 10**9)
ROWS = [RowQuery("company", (0,))]
PATIENT_S = 20.0


@pytest.fixture(scope="module")
def shared() -> Iterator[RedisServer]:
    """One server for all tests."""
    with running() as server:
        yield server


@pytest.fixture
def server(shared: RedisServer) -> RedisServer:
    """The shared server, empty."""
    shared.admin.flushall()
    return shared


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    """A store on it."""
    store = RedisStore(server.url, timeout_s=PATIENT_S)
    yield store
    store.close()


def hold(hold_id: object) -> Hold:
    """Return a hold of a cent."""
    return Hold(str(hold_id), 10**7, 0, 600_000, (LINE,))


def connections(server: RedisServer) -> int:
    """Return how many connections there are beside the one that asks."""
    return len(server.admin.client_list()) - 1


async def test_a_hundred_tasks_share_a_limit(server, store):
    """Every task gets its answer, over fewer connections than there are tasks; the limit is met exactly."""
    decisions = await asyncio.gather(*[store.areserve(hold(n)) for n in range(150)])

    assert 100 == sum(isinstance(decision, Granted) for decision in decisions)
    assert 50 == sum(isinstance(decision, Refused) for decision in decisions)
    assert connections(server) <= 16
    assert [RowState("company", "", 0, 10**9)] == store.snapshot(ROWS)


async def test_a_cancel_in_the_middle_harms_nobody(server, store):
    """An answer that nobody waits for is not taken for the next one's; the hold is there, or it is not."""
    await store.areserve(hold("first"))
    with server.frozen():
        tasks = [asyncio.create_task(store.areserve(hold(n))) for n in range(20)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    decisions = [await store.areserve(hold(n)) for n in ("first", *range(20))]

    assert {asyncio.CancelledError} == {type(end) for end in ends}
    assert [Granted()] * 21 == decisions
    assert [RowState("company", "", 0, 21 * 10**7)] == store.snapshot(ROWS)


async def test_a_deadline_of_the_caller_stays_the_callers(server, store):
    """Their `asyncio.timeout` raises `TimeoutError`, and is no outage of ours."""
    await store.areserve(hold("first"))
    with server.frozen(), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await store.areserve(hold("a"))


@pytest.mark.parametrize("is_connected", [True, False], ids=["connected", "not connected"])
async def test_a_server_that_hangs_is_not_waited_for(server, is_connected):
    """A hundred tasks end in the time of one, and the loop runs meanwhile."""
    store = RedisStore(server.url, timeout_s=0.25)
    if is_connected:
        await store.areserve(hold("first"))
    with server.frozen():
        begun = time.monotonic()
        ends = await asyncio.gather(*[store.areserve(hold(n)) for n in range(100)], return_exceptions=True)
        taken = time.monotonic() - begun
    store.close()

    assert {StoreUnavailableError} == {type(end) for end in ends}
    assert "did not answer within 250 ms" in str(ends[0])
    assert 0.2 < taken < 1.0


async def test_an_outage_is_told_and_ends():
    """A server that is gone is told at once; when it is back, it is used, though every connection is dead."""
    with running() as server:
        store = RedisStore(server.url, timeout_s=PATIENT_S)
        await asyncio.gather(*[store.areserve(hold(n)) for n in range(20)])
        server.stop()
        with pytest.raises(StoreUnavailableError, match="cannot be used"):
            await store.areserve(hold("a"))
        server.start()

        assert Granted() == await store.areserve(hold("a"))
        store.close()


async def test_scripts_are_told_again(server, store):
    """A server that has lost them asks for them."""
    await store.areserve(hold("a"))
    server.admin.script_flush()

    assert Granted() == await store.areserve(hold("b"))


async def test_a_node_of_a_cluster_says_where_the_ledger_is(server):
    """A redirection is followed, and remembered."""
    with answering(f"-MOVED 1234 127.0.0.1:{server.port}\r\n".encode()) as port:
        store = RedisStore(f"redis://127.0.0.1:{port}/0", timeout_s=PATIENT_S)
        decisions = [await store.areserve(hold("a")), await store.areserve(hold("a"))]
    store.close()

    assert [Granted()] * 2 == decisions


async def test_a_port_where_nobody_listens_is_an_outage():
    """Nothing but the address is told."""
    store = RedisStore(f"redis://user:hunter2@127.0.0.1:{free_port()}/0")

    with pytest.raises(StoreUnavailableError, match="cannot be used") as caught:
        await store.areserve(hold("a"))
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


async def test_a_closed_store_is_out(server, store):
    """Closing lets go of the connections of a running loop too."""
    await store.areserve(hold("a"))
    store.close()
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENT_S):
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    assert 0 == connections(server)
    with pytest.raises(StoreUnavailableError, match="is closed"):
        await store.areserve(hold("b"))


def test_each_loop_has_its_own_connections(store):
    """Two loops in two threads at once: a connection belongs to the loop that made it."""
    together = threading.Barrier(2)
    granted: list[int] = []

    async def reserve(name: str) -> None:
        together.wait(PATIENT_S)
        decisions = [await store.areserve(hold(f"{name}{n}")) for n in range(70)]
        granted.append(sum(isinstance(decision, Granted) for decision in decisions))

    threads = [threading.Thread(target=asyncio.run, args=(reserve(name),)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (2, 100) == (len(granted), sum(granted))


def test_connections_end_with_their_loop(server, store):
    """A program that runs one loop after the other leaves no connection behind."""
    left = []
    for n in range(3):
        asyncio.run(reserve_all(store, f"{n}:"))
        left.append(connections(server))

    assert [0, 0, 0] == left
    assert {} == store._loops._pools


async def reserve_all(store: RedisStore, name: str) -> None:
    """Use several connections."""
    await asyncio.gather(*[store.areserve(hold(f"{name}{n}")) for n in range(10)])


BY_HAND = "loop = asyncio.new_event_loop(); loop.run_until_complete(main())"


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        (["-X", "dev"], "asyncio.run(main()); asyncio.run(main())"),
        (["-X", "dev"], "asyncio.run(main()); store.close()"),
        ([], f"{BY_HAND}; loop.close(); {BY_HAND}; loop.close(); assert 1 == len(store._loops._pools)"),
        ([], BY_HAND),
    ],
    ids=["run", "run and close", "loops closed", "loop left"],
)
def test_a_program_ends_without_noise(server, options, ending):
    """Nothing is printed when Python exits: no "Event loop is closed", and no warning where the loop is shut down."""
    program = f"""
        import asyncio, sys
        from llm_otel.budgets.ledger import Hold, Line
        from llm_otel.stores.redis import RedisStore

        store = RedisStore(sys.argv[1], timeout_s=20)
        line = Line("company", "", 0, None, (0,), 10**9)

        async def main():
            await asyncio.gather(*[store.areserve(Hold(str(n), 1, 0, 600_000, (line,))) for n in range(5)])
            store.extend("1", 600_000)

        {ending}
        """
    command = [sys.executable, *options, "-c", textwrap.dedent(program), server.url]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (0, "", "") == (ended.returncode, ended.stdout, ended.stderr)
