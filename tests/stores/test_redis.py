"""The Redis ledger against real servers: outages, crashes, races, clocks, clusters, credentials.

What all stores have in common is in test_contract.py and its neighbours.
"""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from llm_otel.budgets.ledger import (
    HOLD_KEPT_MS,
    Balance,
    Crossing,
    Ended,
    Granted,
    Hold,
    Line,
    Moved,
    Refused,
    RowQuery,
    RowState,
    Settled,
    SettledAs,
    Settlement,
    StoreUnavailableError,
)
from llm_otel.errors import ConfigurationError
from llm_otel.stores.redis import RedisStore
from llm_otel.stores.redis import requests as protocol
from tests.stores.redis_server import RedisServer, answering, free_port, make_certificate, running

DAY_S = 86_400
NOON_MS = 1_000 * DAY_S * 1_000 + 12 * 3_600_000
START = 1_000 * DAY_S
DOLLAR = 10**9
PATIENT_S = 20.0
"""For what is not about time: these tests run on busy machines."""


@pytest.fixture(scope="module")
def shared() -> Iterator[RedisServer]:
    """One server for all tests that leave it as it is."""
    with running() as server:
        yield server


@pytest.fixture
def server(shared: RedisServer) -> RedisServer:
    """The shared server, empty."""
    shared.admin.flushall()
    return shared


@pytest.fixture
def connect() -> Iterator[Callable[..., RedisStore]]:
    """Makes stores, and closes them."""
    stores: list[RedisStore] = []

    def make(url: str, *, timeout_s: float = PATIENT_S, **options) -> RedisStore:
        stores.append(RedisStore(url, timeout_s=timeout_s, **options))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


class Time:
    """What tests set the store's clock to."""

    def __init__(self, ms: int = NOON_MS) -> None:
        self.ms = ms

    def __call__(self) -> int:
        return self.ms


def line(budget: str = "company", scope: str = "", *, limit: int = DOLLAR, **changes) -> Line:
    """Return a line for the day that `NOON_MS` is in."""
    window = {"start": START, "end": START + DAY_S, "starts": (START,), "forget_at": START + 30 * DAY_S}
    return Line(budget, scope, limit=limit, **{**window, **changes})


def forever(budget: str = "company", scope: str = "", *, limit: int = DOLLAR) -> Line:
    """Return a line without a window: for the server's own clock."""
    return Line(budget, scope, 0, None, (0,), limit)


def hold(hold_id: str = "a", *lines: Line, amount: int = DOLLAR // 100, floor: int = 0, lease_ms: int = 60_000) -> Hold:
    """Return a hold of a cent."""
    return Hold(hold_id, amount, floor, lease_ms, lines or (line(),))


def standing(store: RedisStore, budget: str = "company", *starts: int) -> list[RowState]:
    """Return what stands in the rows of a budget, by scope."""
    return sorted(store.snapshot([RowQuery(budget, starts or (START,))]), key=lambda state: state.scope)


def run_python(program: str, *arguments: str, **options) -> subprocess.Popen[str]:
    """Start a program that has the store, in another process."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), *arguments], text=True, **pipes, **options)


# --- Outages ----------------------------------------------------------------------------------------------


def test_making_a_store_needs_no_server(connect):
    """A service starts while Redis does not; the first operation says so, at once."""
    port = free_port()
    store = connect(f"redis://127.0.0.1:{port}/0")

    with pytest.raises(StoreUnavailableError, match=rf"redis://127\.0\.0\.1:{port}/0 cannot be used: .*refused"):
        store.reserve(hold())


def test_a_store_works_again_when_its_server_does(connect):
    """A crash of the server is noticed, and its return too: without its scripts, and with every connection dead."""
    with running() as server:
        store = connect(server.url)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(store.reserve, [hold(f"before {n}", forever()) for n in range(32)]))
        server.stop()
        with pytest.raises(StoreUnavailableError):
            store.reserve(hold("during", forever()))
        server.start()

        assert Granted() == store.reserve(hold("after", forever()))


def test_what_was_answered_is_there_after_a_crash(connect):
    """With `appendonly yes`, `appendfsync always`: holds, leases, spend and what has ended, as they were."""
    clock = Time()
    lines = (line(), line("team", "search"))
    with running("--appendonly", "yes", "--appendfsync", "always") as server:
        store = connect(server.url, now_ms=clock)
        for n in range(5):
            store.reserve(hold(str(n), *lines, amount=100, floor=7))
        found = [store.settle(Settlement(str(n), 60, lines)).found for n in range(3)]
        before = standing(store)
        server.stop()
        server.start()
        after = [standing(store), standing(store, "team")]
        found.append(store.settle(Settlement("2", 60, lines)).found)
        clock.ms += 60_000

        assert [SettledAs.HELD] * 3 + [SettledAs.REPEATED] == found
        assert [before, [RowState("team", "search", 180, 200)]] == after
        assert (2, [RowState("company", "", 194, 0)]) == (store.sweep(10), standing(store))


def test_a_server_that_forgot_the_scripts_is_told_them_again(server, connect):
    """SCRIPT FLUSH, a failover, a restart: an operation does not depend on what went before."""
    store = connect(server.url)
    store.reserve(hold("a", forever()))
    server.admin.script_flush()

    assert Granted() == store.reserve(hold("b", forever()))


@pytest.mark.parametrize("is_connected", [True, False], ids=["connected", "not connected"])
def test_a_server_that_hangs_is_not_waited_for(server, connect, is_connected):
    """An operation ends in its time, with or without a connection made before."""
    store = connect(server.url, timeout_s=0.25)
    if is_connected:
        store.now_ms()
    with server.frozen():
        begun = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="did not answer within 250 ms"):
            store.reserve(hold("a", forever()))
        taken = time.monotonic() - begun

    assert 0.2 < taken < 1.0


def test_all_threads_are_bounded_together(connect):
    """However many wait for one of the connections: none waits for its turn to wait."""
    with answering(None) as port, ThreadPoolExecutor(64) as threads:
        store = connect(f"redis://127.0.0.1:{port}/0", timeout_s=0.25)
        begun = time.monotonic()
        failures = list(threads.map(lambda n: unavailable(store, n), range(64)))
        taken = time.monotonic() - begun

    assert [True] * 64 == failures
    assert taken < 1.5


def unavailable(store: RedisStore, number: int) -> bool:
    """Say whether the store is out."""
    try:
        store.reserve(hold(str(number), forever()))
    except StoreUnavailableError:
        return True
    return False


def test_a_name_that_does_not_resolve_in_time_is_not_waited_for(connect, monkeypatch):
    """A resolver that hangs, as in a network that is gone, has no time limit of its own."""
    is_over = threading.Event()

    def resolve(*_: object) -> list[object]:
        is_over.wait(PATIENT_S)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    store = connect("redis://redis.invalid/0", timeout_s=0.1)
    try:
        with pytest.raises(StoreUnavailableError, match="did not answer within 100 ms"):
            store.reserve(hold("a", forever()))
    finally:
        is_over.set()


class AnswersInTenMs:
    """A connection to a server that is well."""

    def send_packed_command(self, command: list[bytes]) -> None:
        """Take it."""

    def can_read(self, timeout: float) -> bool:
        """Answer whoever waits that long."""
        return timeout >= 0.01

    def read_response(self) -> int:
        """Answer with a time."""
        return NOON_MS

    def disconnect(self) -> None:
        """Let go."""


def test_a_thread_that_was_held_up_still_gets_its_answer(connect):
    """An import, or want of CPU, takes all the time before anything is sent: the server is well all the same."""
    store = connect("redis://127.0.0.1:1/0", timeout_s=0.25)
    seconds = iter([0.0])
    store._threads._monotonic = lambda: next(seconds, 10.0)
    store._threads._idle.append(AnswersInTenMs())

    assert NOON_MS == store.now_ms()


def test_a_connection_that_comes_late_is_used_by_the_next(server, connect, monkeypatch):
    """What one operation had no time for is not thrown away, and takes no place for ever."""
    is_over, resolve = threading.Event(), socket.getaddrinfo

    def resolve_late(*arguments: object, **options: object) -> object:
        is_over.wait(PATIENT_S)
        return resolve(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_late)
    store = connect(server.url, timeout_s=0.02)
    failures = [unavailable(store, n) for n in range(20)]
    is_over.set()
    store._threads._timeout_s = PATIENT_S

    with ThreadPoolExecutor(32) as threads:
        decisions = list(threads.map(store.reserve, [hold(f"b{n}", forever(), amount=1) for n in range(32)]))

    assert ([True] * 20, [Granted()] * 32) == (failures, decisions)


@pytest.mark.parametrize(
    "error",
    [
        "LOADING Redis is loading the dataset in memory",
        "READONLY You can't write against a read only replica.",
        "BUSY Redis is busy running a script.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "CLUSTERDOWN The cluster is down",
        "MASTERDOWN Link with MASTER is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        "NOAUTH Authentication required.",
        "NOPERM this user has no permissions to run the 'evalsha' command",
        "ERR unknown command 'EVALSHA'",
    ],
    ids=lambda error: error.partition(" ")[0],
)
def test_a_server_that_cannot_is_an_outage(connect, error):
    """Whatever a server cannot do now, the policy for outages decides; its words are kept."""
    with answering(f"-{error}\r\n".encode()) as port:
        store = connect(f"redis://127.0.0.1:{port}/0")

        with pytest.raises(StoreUnavailableError) as caught:
            store.reserve(hold("a", forever()))

    assert error.partition(" ")[2] in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$-5\r\n", b"\x15\x03\x01\x00\x02\x02\x16"])
def test_what_is_no_redis_is_an_outage(connect, answer):
    """A wrong port is told as what it is: a ledger that cannot be used."""
    with answering(answer) as port:
        store = connect(f"redis://127.0.0.1:{port}/0", timeout_s=0.25)

        with pytest.raises(StoreUnavailableError):
            store.reserve(hold("a", forever()))


def test_a_closed_store_is_out(server, connect):
    """Operations after the end do not connect again."""
    store = connect(server.url)
    store.now_ms()
    store.close()

    with pytest.raises(StoreUnavailableError, match="is closed"):
        store.now_ms()
    assert 0 == sum(int(client["cmd"] == "evalsha") for client in server.admin.client_list())


# --- Crashes and races ------------------------------------------------------------------------------------

HOLD_AND_HANG = """
    import sys
    from llm_otel.budgets.ledger import Hold, Line
    from llm_otel.stores.redis import RedisStore

    store = RedisStore(sys.argv[1], timeout_s=20, now_ms=lambda: int(sys.argv[2]))
    start = int(sys.argv[3])
    lines = tuple(
        Line(budget, "", start, start + 86_400, (start,), 10**9, forget_at=start + 30 * 86_400)
        for budget in ("company", "team")
    )
    print(store.reserve(Hold("a", 300, 20, 60_000, lines)), flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_held_is_booked_at_its_floor(server, connect):
    """kill -9 between hold and settle: the lease runs out, and the input is paid for."""
    process = run_python(HOLD_AND_HANG, server.url, str(NOON_MS), str(START))
    with process:
        assert "Granted" in process.stdout.readline()
        process.kill()
    clock = Time(NOON_MS + 59_999)
    store = connect(server.url, now_ms=clock)
    before = (store.sweep(10), standing(store))
    clock.ms += 1
    after = (store.sweep(10), standing(store), standing(store, "team"))

    assert (0, [RowState("company", "", 0, 300)]) == before
    assert (1, [RowState("company", "", 20, 0)], [RowState("team", "", 20, 0)]) == after


def test_a_settle_that_comes_after_the_crash_corrects_it(server, connect):
    """A journal that is replayed has the last word, once."""
    clock = Time()
    store = connect(server.url, now_ms=clock)
    lines = (line(), line("team"))
    store.reserve(hold("a", *lines, amount=300, floor=20))
    clock.ms += 60_000
    store.sweep(10)
    found = [store.settle(Settlement("a", actual, lines)).found for actual in (170, 170, 180)]

    assert [SettledAs.EXPIRED, SettledAs.REPEATED, SettledAs.CONFLICT] == found
    assert [RowState("company", "", 170, 0)] == standing(store)


RACE = """
    import os, sys
    from llm_otel.budgets.ledger import Granted, Hold, Line
    from llm_otel.stores.redis import RedisStore

    store = RedisStore(sys.argv[1], timeout_s=20)
    line = Line("company", "", 0, None, (0,), 10**9)
    gate, starter = os.pipe()
    children = []
    for process in range(4):
        children.append(os.fork())
        if not children[-1]:
            os.close(starter)
            store.now_ms()
            os.read(gate, 1)
            holds = [Hold(f"{process}:{n}", 10**7, 0, 600_000, (line,)) for n in range(50)]
            os.write(1, b"%d\\n" % sum(isinstance(store.reserve(hold), Granted) for hold in holds))
            os._exit(0)
    os.close(starter)
    for child in children:
        os.waitpid(child, 0)
"""


def test_four_processes_never_pass_a_limit(server, connect):
    """Two hundred calls of a cent against a dollar: a hundred are granted, whoever asks."""
    granted, errors = run_python(RACE, server.url).communicate(timeout=PATIENT_S)

    assert (4, 100, "") == (len(granted.split()), sum(map(int, granted.split())), errors)
    assert [RowState("company", "", 0, DOLLAR)] == standing(connect(server.url), "company", 0)


def test_two_hundred_threads_share_a_store(server, connect):
    """There are fewer connections than threads, and every thread gets its answer."""
    store = connect(server.url)
    with ThreadPoolExecutor(200) as threads:
        decisions = list(threads.map(store.reserve, [hold(str(n), forever()) for n in range(200)]))

    assert 100 == sum(isinstance(decision, Granted) for decision in decisions)
    assert 100 == sum(isinstance(decision, Refused) for decision in decisions)
    assert [RowState("company", "", 0, DOLLAR)] == standing(store, "company", 0)


def test_a_settle_may_come_out_of_the_garbage_collector(server, connect):
    """A stream that is dropped settles wherever its thread happens to be: in the middle of an operation, too."""
    store = connect(server.url, now_ms=Time())

    class Dropped:
        def __init__(self, hold_id: str) -> None:
            self.hold_id = hold_id
            self.cycle = self

        def __del__(self) -> None:
            store.settle(Settlement(self.hold_id, 3, (line(),)))

    usual = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for n in range(100):
            store.reserve(hold(str(n), amount=5))
            Dropped(str(n))
    finally:
        gc.set_threshold(*usual)
    gc.collect()

    assert [RowState("company", "", 300, 0)] == standing(store)


def test_a_forked_child_has_its_own_connections(server):
    """Parent and child on one connection would read each other's answers."""
    program = """
        import asyncio, os, sys
        from llm_otel.budgets.ledger import Hold
        from llm_otel.stores.redis import RedisStore

        store, loop = RedisStore(sys.argv[1], timeout_s=20), asyncio.new_event_loop()
        before = store.now_ms()
        print(loop.run_until_complete(store.areserve(Hold("a", 0, 0, 60_000, ()))))
        child = os.fork()
        # In one piece: parent and child write to the same pipe, which may not be buffered.
        sys.stdout.write(f"{len(store._threads._idle)} {len(store._loops._pools)}\\n")
        sys.stdout.flush()
        times = [store.now_ms() for _ in range(200)]
        assert sorted(times) == times and times[0] >= before
        if not child:
            store.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(loop.run_until_complete(store.areserve(Hold("b", 0, 0, 60_000, ()))))
        """
    printed, errors = run_python(program, server.url).communicate(timeout=PATIENT_S)

    assert (["0 0", "1 1", "Granted(crossings=())"], "") == (sorted(set(printed.splitlines())), errors)


# --- Clocks, retention, layout ----------------------------------------------------------------------------


def test_a_window_goes_by_the_servers_clock(server, connect):
    """A host whose clock is wrong is told so, with the time to go by."""
    store = connect(server.url)
    now_ms = store.now_ms()
    decision = store.reserve(hold("a", line()))

    assert abs(now_ms - time.time() * 1000) < 60_000
    assert isinstance(decision, Moved)
    assert now_ms <= decision.now_ms < now_ms + 60_000


def test_a_clock_that_jumps_back_is_waited_for(server, connect):
    """Two servers that take over from each other disagree a little; by more than an hour, the clock was put right."""
    clock = Time()
    store = connect(server.url, now_ms=clock)
    told = []
    for clock.ms in (NOON_MS, NOON_MS - 5, NOON_MS - 3_600_000, NOON_MS + 1, NOON_MS - 3_600_000, NOON_MS):
        told.append(store.now_ms())

    assert [NOON_MS, NOON_MS, NOON_MS, NOON_MS + 1, NOON_MS - 3_600_000, NOON_MS] == told


def test_nothing_is_kept_for_ever_but_what_must_be(server, connect):
    """Ends of holds and old windows go; what is held, and budgets without a window, stay until they end."""
    store = connect(server.url, now_ms=Time())
    store.reserve(hold("held", line("day")))
    store.reserve(hold("ended", line("day"), forever("run")))
    store.settle(Settlement("ended", 5, (line("day"), forever("run"))))
    admin = server.admin
    lives = {key.decode().removeprefix("{llm_otel}:"): admin.pttl(key) for key in admin.scan_iter()}

    row_ms = (START + 30 * DAY_S) * 1000 - NOON_MS
    assert {
        "layout": -1,
        "clock": -1,
        "leases": -1,
        "hold:held": -1,
        "row:0:3:run:": -1,
        "scopes:0:run": -1,
    } == {key: ms for key, ms in lives.items() if ms == -1}
    assert HOLD_KEPT_MS - 60_000 < lives["hold:ended"] <= HOLD_KEPT_MS
    assert row_ms - 60_000 < lives[f"row:{START}:3:day:"] <= row_ms
    assert row_ms - 60_000 < lives[f"scopes:{START}:day"] <= row_ms


def test_a_row_that_is_wanted_for_longer_lives_longer(server, connect):
    """Retention that is raised counts for rows that are there; lowered, it does not."""
    store, admin = connect(server.url, now_ms=Time()), server.admin
    lives = []
    for n, days in enumerate((2, 9, 3, None, 4)):
        forget_at = None if days is None else START + days * DAY_S
        store.reserve(hold(str(n), line(forget_at=forget_at), amount=1))
        lives.append([round(admin.pttl(key) / 86_400_000 + 0.5) for key in (ROW, INDEX)])

    assert [[2, 2], [9, 9], [9, 9], [0, 0], [0, 0]] == lives


def test_an_index_lives_as_long_as_the_last_of_its_rows(server, connect):
    """What is found through it may have to be found for ever."""
    store, admin = connect(server.url, now_ms=Time()), server.admin
    lives = []
    for scope, days in (("a", 9), ("b", 2), ("c", None), ("d", 9)):
        forget_at = None if days is None else START + days * DAY_S
        store.settle(Settlement(scope, 1, (line(scope=scope, forget_at=forget_at),)))
        lives.append(round(admin.pttl(INDEX) / 86_400_000 + 0.5))

    assert [9, 9, 0, 0] == lives
    assert ["a", "b", "c", "d"] == [state.scope for state in standing(store)]


def test_a_row_outlives_the_lease_of_what_it_holds(server, connect):
    """Money that is held has a place to come back to, however long it takes."""
    store, day_ms = connect(server.url, now_ms=Time()), DAY_S * 1000
    store.reserve(hold("a", line(forget_at=START + 2 * DAY_S), lease_ms=5 * day_ms))
    lives = [server.admin.pttl(key) / day_ms for key in (ROW, INDEX)]

    assert [pytest.approx(5 + HOLD_KEPT_MS / day_ms, abs=0.01)] * 2 == lives


ROW, INDEX = f"{{llm_otel}}:row:{START}:7:company:", f"{{llm_otel}}:scopes:{START}:company"


def test_scopes_of_forgotten_rows_leave_the_index(server, connect):
    """Budgets of single runs have no window in common that would end: each goes by itself."""
    clock = Time()
    store = connect(server.url, now_ms=clock)
    for n in range(5):
        ends = clock.ms // 1000 + DAY_S
        store.reserve(hold(f"run {n}", line("run", f"run {n}", start=0, end=None, starts=(0,), forget_at=ends)))
        clock.ms += DAY_S * 400

    assert [b"run 2", b"run 3", b"run 4"] == server.admin.zrange("{llm_otel}:scopes:0:run", 0, -1)


def test_a_newer_layout_is_refused(server, connect):
    """What a newer release has written may mean something else: nothing is read, nothing is changed."""
    server.admin.set("{llm_otel}:layout", 2)
    store = connect(server.url.replace("//", "//default:secret@", 1).replace("secret", ""))

    with pytest.raises(ConfigurationError, match=r"layout 2; this one knows 1") as caught:
        store.reserve(hold("a", forever()))
    with pytest.raises(ConfigurationError, match=r"layout 2"):
        store.snapshot([RowQuery("company", (0,))])
    with pytest.raises(ConfigurationError, match=r"layout 2"):
        store.balances([forever()])
    assert ("ledger", server.url) == (caught.value.field, caught.value.value)
    assert [b"{llm_otel}:layout"] == server.admin.keys()


def test_what_a_forgotten_row_held_is_nobodys_concern(server, connect):
    """A row that is gone does not come back, least of all with less than nothing."""
    clock = Time()
    store, admin = connect(server.url, now_ms=clock), server.admin
    for hold_id in ("settled", "expired"):
        store.reserve(hold(hold_id, line(), line("team"), amount=300, floor=20))
    admin.delete(ROW)
    found = store.settle(Settlement("settled", 100, (line(), line("team")))).found
    clock.ms += 60_000

    assert (SettledAs.HELD, 1) == (found, store.sweep(10))
    assert (0, [RowState("team", "", 120, 0)]) == (admin.exists(ROW), standing(store, "team"))


def test_namespaces_do_not_meet(server, connect):
    """Two deployments may share a server."""
    one, other = connect(server.url, namespace="one"), connect(server.url, namespace="other")

    assert Granted() == one.reserve(hold("a", forever(), amount=DOLLAR))
    assert Granted() == other.reserve(hold("a", forever(), amount=DOLLAR))
    assert {b"{one}", b"{other}"} == {key.partition(b":")[0] for key in server.admin.scan_iter()}


# --- Numbers and names ------------------------------------------------------------------------------------


def test_the_largest_limit_is_compared_exactly(server, connect):
    """Up to the last nano-USD, where a double is just exact."""
    store = connect(server.url, now_ms=Time())
    largest = line(limit=RedisStore.max_limit)
    decisions = [
        store.reserve(hold("a", largest, amount=largest.limit - 1)),
        store.reserve(hold("b", largest, amount=2)),
        store.reserve(hold("c", largest, amount=1)),
        store.reserve(hold("d", largest, amount=1)),
    ]

    full = (Balance(0, largest.limit),)
    assert [
        Granted(),
        Refused((Balance(0, largest.limit - 1),), NOON_MS),
        Granted(),
        Refused(full, NOON_MS),
    ] == decisions


@pytest.mark.parametrize("spent", [2**53 - 1, 2**53, 2**53 + 1, 10**15 + 1, 2**62 + 1])
def test_spend_beyond_every_limit_stays_exact(server, connect, spent):
    """What was paid is counted to the nano-USD, also where Lua's numbers are not; and it refuses all that follows."""
    store = connect(server.url, now_ms=Time())
    one = line(limit=RedisStore.max_limit, thresholds=(10**15,))
    crossings = store.settle(Settlement("paid", spent, (one,))).crossings
    decision = store.reserve(hold("a", one, amount=RedisStore.max_limit))

    assert (Crossing(one, 10**15, spent),) == crossings
    assert Refused((Balance(spent, 0),), NOON_MS) == decision
    assert [RowState("company", "", spent, 0)] == standing(store)


def test_the_rows_of_a_rolling_window_add_up_exactly(server, connect):
    """Each row is exact for itself, and so is what a reader makes of them."""
    starts = (START - 2 * DAY_S, START - DAY_S, START)
    store = connect(server.url, now_ms=Time())
    for n, start in enumerate(starts):
        before = line(start=start, starts=(start,), thresholds=())
        store.settle(Settlement(f"paid {n}", 2**53 + 1, (before,)))
    rolling = line(limit=RedisStore.max_limit, starts=starts, thresholds=(7,))
    decision = store.reserve(hold("a", rolling))

    total = 3 * (2**53 + 1)
    assert Refused((Balance(total, 0),), NOON_MS, (Crossing(rolling, 7, total),)) == decision
    assert [RowState("company", "", total, 0)] == standing(store, "company", *starts)


def test_a_sum_beyond_64_bits_stays_at_the_largest(server, connect):
    """Nine billion dollars in one window is a mistake, but no reason to book half an operation."""
    store = connect(server.url, now_ms=Time())
    lines = (line(), line("team"))
    found = [store.settle(Settlement(str(n), 2**63 - 1, lines)).found for n in range(2)]

    assert [SettledAs.UNKNOWN] * 2 == found
    assert [RowState("company", "", 2**63 - 1, 0)] == standing(store)
    assert [RowState("team", "", 2**63 - 1, 0)] == standing(store, "team")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b:c"), ("a:b", "c")),
        (("1:a", ""), ("1", "a:")),
        (("a", "{x}"), ("a", "x")),
        (("a", "\udcff"), ("a", "\ufffd")),
        (("a", "x\x00y"), ("a", "x")),
        (("ä", "ö"), ("ä", "ö ")),
    ],
)
def test_names_are_told_apart(server, connect, one, other):
    """Whatever users call their teams: no row is taken for another, and each is found under its own name."""
    store = connect(server.url, now_ms=Time())
    store.reserve(hold("1", line(*one), line(*other), amount=300, floor=7))
    store.settle(Settlement("1", 100, (line(*one), line(*other))))
    store.settle(Settlement("2", 5, (line(*one),)))

    expected = {RowState(*one, 105, 0), RowState(*other, 100, 0)}
    queries = [RowQuery(budget, (START,)) for budget in {one[0], other[0]}]
    assert expected == set(store.snapshot(queries))


def test_a_snapshot_is_read_in_pages(server, connect, monkeypatch):
    """A hundred thousand users are no reason for the server to stand still; every row is met once."""
    monkeypatch.setattr(protocol, "PAGE", 7)
    starts = (START - DAY_S, START)
    store = connect(server.url, now_ms=Time())
    for n in range(10):
        for start in starts:
            lines = (line("user", f"{n:02}", start=start, starts=(start,)), line("team", f"{n % 3}"))
            store.settle(Settlement(f"{n}/{start}", n, lines))
    states = store.snapshot([RowQuery("nobody", (START,)), RowQuery("user", starts), RowQuery("team", (START,))])

    users = {RowState("user", f"{n:02}", 2 * n, 0) for n in range(10)}
    teams = {RowState("team", f"{n}", 2 * sum(range(n, 10, 3)), 0) for n in range(3)}
    assert (users | teams, 13) == (set(states), len(states))


def test_balances_are_read_some_lines_at_a_time(server, connect, monkeypatch):
    """A line is never cut, however many rows it has; few lines are one exchange."""
    store, starts = connect(server.url, now_ms=Time()), (START - 2 * DAY_S, START - DAY_S, START)
    lines = [line("model", f"{n}", starts=starts) for n in range(7)]
    for n, each in enumerate(lines):
        store.settle(Settlement(f"{n}", n, (each,)))
    before = server.admin.info("commandstats")["cmdstat_evalsha"]["calls"]
    expected = [Balance(n, 0) for n in range(7)]

    assert expected == store.balances(lines)
    assert before + 1 == server.admin.info("commandstats")["cmdstat_evalsha"]["calls"]
    for page, at_once in ((1, [1] * 7), (3, [1] * 7), (7, [2, 2, 2, 1]), (20, [6, 1]), (21, [7])):
        monkeypatch.setattr(protocol, "PAGE", page)
        assert at_once == [len(some) for some in protocol.by_rows(lines)]
        assert expected == store.balances(lines)


def test_many_holds_are_swept_in_turns(server, connect, monkeypatch):
    """The server is not held up by what a large fleet leaves behind when it dies."""
    monkeypatch.setattr("llm_otel.stores.redis.store.SWEEP_AT_ONCE", 3)
    clock = Time()
    store = connect(server.url, now_ms=clock)
    for n in range(10):
        store.reserve(hold(str(n), amount=10, floor=1))
    clock.ms += 60_000

    assert [8, 2, 0] == [store.sweep(8), store.sweep(8), store.sweep(8)]
    assert [RowState("company", "", 10, 0)] == standing(store)


def test_a_pair_takes_two_round_trips(server, connect):
    """Hold and settle over three budgets: one exchange each."""
    store = connect(server.url, now_ms=Time())
    lines = (line(), line("team", "search"), line("user", "ada"))
    store.reserve(hold("warm", *lines))
    store.settle(Settlement("warm", 5, lines))
    admin = server.admin
    before = reads(admin)
    store.reserve(hold("a", *lines))
    store.settle(Settlement("a", 5, lines))

    own = 1
    assert 2 == reads(admin) - before - own


def reads(admin) -> int:
    """Return how often the server has read from its clients, this question included."""
    return admin.info("stats")["total_reads_processed"]


# --- Clusters, credentials, TLS ---------------------------------------------------------------------------


def test_a_cluster_is_served(connect):
    """All keys of an operation are in one slot, declared or not."""
    with running("--cluster-enabled", "yes") as server:
        server.become_cluster()
        clock = Time()
        store = connect(server.url, now_ms=clock)
        lines = (line(), line("team", "search", starts=(START - DAY_S, START)))
        granted = [store.reserve(hold(n, *lines, amount=40, floor=3)) for n in "abc"]
        settled = store.settle(Settlement("a", 30, lines))
        clock.ms += 60_000
        swept = store.sweep(10)

        assert [Granted()] * 3 == granted
        assert (Settled(SettledAs.HELD), 2, Ended()) == (settled, swept, store.reserve(hold("b", *lines)))
        assert [RowState("company", "", 36, 0)] == standing(store)
        assert [Balance(36, 0), Balance(36, 0)] == store.balances(lines)


@pytest.mark.parametrize("is_named", [True, False])
def test_a_node_of_a_cluster_says_where_the_ledger_is(server, connect, is_named):
    """One address is enough. A node that does not know its own host names none."""
    host = "127.0.0.1" if is_named else ""
    with answering(f"-MOVED 1234 {host}:{server.port}\r\n".encode()) as port:
        store = connect(f"redis://127.0.0.1:{port}/0")
        decisions = [store.reserve(hold("a", forever())), store.reserve(hold("a", forever()))]

    assert [Granted()] * 2 == decisions


def test_a_node_that_is_gone_is_not_asked_for_ever(connect):
    """A failover: the slot has another master, which the configured node knows."""
    with running() as first, running() as second:
        answer = bytearray(moved_to(first))
        with answering(answer) as port:
            store = connect(f"redis://127.0.0.1:{port}/0")
            store.reserve(hold("a", forever()))
            first.stop()
            with pytest.raises(StoreUnavailableError):
                store.reserve(hold("b", forever()))
            answer[:] = moved_to(second)

            assert Granted() == store.reserve(hold("b", forever()))


def moved_to(server: RedisServer) -> bytes:
    """Return what a node of a cluster says of a slot that another one has."""
    return f"-MOVED 1234 127.0.0.1:{server.port}\r\n".encode()


def test_nodes_that_point_at_each_other_are_an_outage(connect):
    """A cluster that does not know itself costs no more than the time of one operation."""
    port = free_port()
    with answering(f"-MOVED 1234 127.0.0.1:{port}\r\n".encode()) as other:
        store = connect(f"redis://127.0.0.1:{other}/0", timeout_s=0.25)

        with pytest.raises(StoreUnavailableError):
            store.reserve(hold("a", forever()))


def test_credentials_and_database_come_from_the_url(server, connect):
    """As written in the URL, with its escapes; and the name shows none of it."""
    server.admin.execute_command("ACL", "SETUSER", "ledger", "on", ">p@ss/wörd", "~*", "+@all")
    store = connect(f"redis://ledger:p%40ss%2Fw%C3%B6rd@127.0.0.1:{server.port}/3")

    assert Granted() == store.reserve(hold("a", forever()))
    assert f"redis://127.0.0.1:{server.port}/3" == store.name
    assert {"db3"} == server.admin.info("keyspace").keys()


def test_refused_credentials_are_an_outage_that_says_so(server, connect):
    """A password may be changed back: the store stays, and the text helps without telling."""
    store = connect(f"redis://default:hunter2@127.0.0.1:{server.port}/0")
    server.admin.execute_command("ACL", "SETUSER", "default", ">correct")
    try:
        with pytest.raises(StoreUnavailableError, match="refused the credentials") as caught:
            store.reserve(hold("a", forever()))
    finally:
        server_admin = connect_as(server, "correct")
        server_admin.execute_command("ACL", "SETUSER", "default", "resetpass", "nopass")

    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def connect_as(server: RedisServer, password: str):
    """Return a client that is not ours, with a password."""
    import redis

    return redis.Redis(port=server.port, password=password)


def test_tls_is_spoken_and_verified(tmp_path, connect):
    """`rediss://` trusts the certificates it is given, and no others unless it says so."""
    certificate, key = make_certificate(tmp_path)
    port = free_port()
    tls = ("--tls-port", str(port), "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no")
    with running(*tls):
        trusted = connect(f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}")
        unverified = connect(f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none")
        untrusted = connect(f"rediss://localhost:{port}/0")
        decisions = [trusted.reserve(hold("a", forever())), unverified.reserve(hold("a", forever()))]

        with pytest.raises(StoreUnavailableError, match="certificate verify failed"):
            untrusted.reserve(hold("a", forever()))
    assert [Granted()] * 2 == decisions


def test_a_missing_certificate_file_is_said(connect):
    """A path that is wrong is found at the first operation."""
    with answering(None) as port:
        store = connect(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs=/nowhere.pem")

        with pytest.raises(StoreUnavailableError):
            store.now_ms()


def test_a_missing_package_is_named(monkeypatch):
    """Redis is an extra: who has not asked for it is told how."""
    for module in [name for name in sys.modules if name.startswith("llm_otel.stores.redis.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(ConfigurationError, match=r'pip install "llm-otel\[redis\]"'):
        RedisStore("redis://user:hunter2@localhost/0")
