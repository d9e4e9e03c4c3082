"""The store in a file: other processes, crashes, forks, files that are not what they should be."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import warnings
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from llm_otel.budgets.ledger import (
    HOLD_KEPT_MS,
    Balance,
    Ended,
    Granted,
    Hold,
    RowQuery,
    Settled,
    SettledAs,
    Settlement,
    StoreUnavailableError,
)
from llm_otel.errors import ConfigurationError
from llm_otel.stores.sqlite import SQLiteStore
from llm_otel.stores.sqlite.store import FORGET_BATCH, FORGET_EVERY
from tests.stores.lines import DAY_S, START_MS, line, standing
from tests.stores.sqlite_processes import LINES

COMPANY, TEAM = LINES
ROOT = Path(__file__).resolve().parents[2]


class Waiting:
    """A clock that moves when it is waited by, and does something else meanwhile."""

    def __init__(self, meanwhile=lambda: None):
        self.now_s, self.meanwhile = 0.0, meanwhile

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.meanwhile()


@pytest.fixture
def path(tmp_path):
    """Where the ledger is to be."""
    return tmp_path / "ledger.db"


@pytest.fixture
def store(path):
    """A ledger whose time stands still."""
    with closing(SQLiteStore(path, lambda: START_MS)) as store:
        yield store


def hold_of(hold_id: str, amount: int = 10, *, lines=LINES, lease_ms: int = 60_000) -> Hold:
    """A hold with a floor of 4 at most."""
    return Hold(hold_id, amount, min(amount, 4), lease_ms, lines)


def both(store) -> tuple[tuple[int, int], tuple[int, int]]:
    """What is spent and held for the company and the team."""
    return standing(store, COMPANY), standing(store, TEAM)


def process(*arguments: object) -> subprocess.Popen[str]:
    """Start a job of `sqlite_processes`."""
    command = [sys.executable, "-m", "tests.stores.sqlite_processes", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@contextmanager
def locked(path, how):
    """Somebody else has the ledger."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        with Path(f"{path}-lock").open("a") as lock:
            if how == "file":
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield lambda: fcntl.flock(lock, fcntl.LOCK_UN)
            else:
                other.execute("BEGIN IMMEDIATE")
                yield lambda: other.in_transaction and other.execute("ROLLBACK")


def test_it_says_what_it_is(path, store):
    """Shared, not for an event loop, with its address for messages."""
    assert (f"sqlite:///{path}", True, False, 2**63 - 1) == (
        store.name,
        store.is_shared,
        store.is_instant,
        store.max_limit,
    )


# --- Processes --------------------------------------------------------------------------------------------


def test_processes_share_a_limit_exactly(store, path):
    """12: Four of them race for 1000: a hundred holds of 10 are granted in all, on both lines or none."""
    processes = [process("race", path, name) for name in "abcd"]
    for each in processes:
        assert "ready\n" == each.stdout.readline()
    results = [each.communicate("go\n", timeout=60)[0].split() for each in processes]

    assert 100 == sum(int(granted) for granted, _ in results)
    spent = sum(int(spent) for _, spent in results)
    assert ((spent, 1000 - spent),) * 2 == both(store)


def test_a_process_that_is_killed_leaves_a_hold_that_expires(store, path):
    """13: kill -9 between hold and settle; after the lease its floor is booked, and a late settle corrects it."""
    with process("hold", path) as killed:
        assert "held\n" == killed.stdout.readline()
        killed.kill()
    assert ((0, 30), (0, 30)) == both(store)

    with closing(SQLiteStore(path, lambda: START_MS + 60_000)) as later:
        assert 1 == later.sweep(10)
        assert ((4, 0), (4, 0)) == both(later)
        assert Settled(SettledAs.EXPIRED) == later.settle(Settlement("held", 21, LINES))
        assert ((21, 0), (21, 0)) == both(later)


def test_processes_that_are_killed_at_work_lose_nothing_that_was_answered(store, path):
    """13: kill -9 at any point: every hold and settle is there whole, or not at all, and the file is sound."""
    soft = line("soft", 0, is_hard=False)
    settled = held = 0
    for number in range(4):
        with process("spend", path, f"a{number}") as one, process("spend", path, f"b{number}") as two:
            for _ in range(7 * number + 3):
                one.stdout.readline()
            one.kill()
            two.kill()
            for each in (one, two):
                answers = each.stdout.read().split()
                settled += answers.count("settled") + ((7 * number + 3) // 2 if each is one else 0)
        at_company, at_soft = standing(store, COMPANY), standing(store, soft)

        # A settle is on the rows of its hold; what was answered is there, and at most one more of each process.
        assert at_company == at_soft
        assert settled * 3 <= at_company[0] <= (settled + 2) * 3
        assert at_company[1] in {held, held + 5, held + 10}
        settled, held = at_company[0] // 3, at_company[1]
    with closing(sqlite3.connect(path)) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()


def test_a_forked_process_goes_on_with_the_same_ledger(store):
    """A connection that was carried along would share locks that it does not have."""
    store.reserve(hold_of("before"))
    child = os.fork()
    if not child:
        was_left_alone = not store._file._abandoned
        answers = [store.reserve(hold_of(f"child{number}")) for number in range(20)]
        store.settle(Settlement("before", 3, LINES))
        os._exit(0 if answers == [Granted()] * 20 and was_left_alone else 1)
    for number in range(20):
        store.reserve(hold_of(f"parent{number}"))

    assert 0 == os.waitpid(child, 0)[1]
    assert ((3, 400), (3, 400)) == both(store)
    assert Settled(SettledAs.REPEATED) == store.settle(Settlement("before", 3, LINES))


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_ledger_that_nobody_has_any_more_is_closed(path):
    """A second `configure()` leaves the first one's to its last calls."""
    store = SQLiteStore(path, lambda: START_MS)
    store.reserve(hold_of("a"))
    files = [path.with_name(f"{path.name}{suffix}") for suffix in ("-lock", "-wal")]
    assert all(each.exists() for each in files)

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        del store
        gc.collect()

    # The last one to close it moves the log into the database.
    assert not files[1].exists()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_may_fork_while_other_threads_use_the_ledger(store):
    """Neither side is left with a lock that nobody frees."""
    stop = threading.Event()
    soft = line("soft", 0, is_hard=False)

    def work() -> int:
        for number in range(10**6):
            if stop.is_set():
                return number
            store.settle(Settlement(f"{number}", 1, (soft,)))
        return 0

    thread = threading.Thread(target=work)
    thread.start()
    children = []
    for name in "abc":
        child = os.fork()
        if not child:
            os._exit(0 if store.reserve(hold_of(name)) == Granted() else 1)
        children.append(child)
    codes = [os.waitpid(child, 0)[1] for child in children]
    stop.set()
    thread.join()

    assert [0, 0, 0] == codes
    assert ((0, 30), (0, 30)) == both(store)


async def test_a_forked_process_has_a_thread_of_its_own_to_wait_in(store):
    """The parent's did not come along."""
    assert Granted() == await store.areserve(hold_of("parent"))
    child = os.fork()
    if not child:
        code = 1
        try:
            submitted = store._worker.submit(store.reserve, hold_of("child"))
            code = 0 if submitted.result(timeout=20) == Granted() else 2
        finally:
            os._exit(code)

    assert 0 == (await asyncio.to_thread(os.waitpid, child, 0))[1]
    assert ((0, 20), (0, 20)) == both(store)


def test_processes_share_the_time(store, path):
    """One that is a bit behind goes by the last time that anybody went by, to the second."""
    ahead = START_MS + 120_000
    with closing(SQLiteStore(path, lambda: ahead)) as first:
        first.reserve(hold_of("a", lease_ms=1_000))

    assert Granted() == store.reserve(hold_of("b"))
    assert ahead == store.now_ms()


def test_a_ledger_outlives_its_processes(path):
    """Closed and opened again, it goes on where it was."""
    with closing(SQLiteStore(path, lambda: START_MS)) as first:
        first.reserve(hold_of("a"))
        first.reserve(hold_of("b"))
        first.settle(Settlement("a", 3, LINES))
    with closing(SQLiteStore(path, lambda: START_MS)) as second:
        assert Ended() == second.reserve(hold_of("a"))
        assert Granted() == second.reserve(hold_of("b"))
        assert ((3, 10), (3, 10)) == both(second)


# --- Waiting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["file", "database"])
def test_an_operation_waits_for_others(path, store, how):
    """As soon as they are done, it goes on."""
    with locked(path, how) as unlock:
        waiting = Waiting(lambda: waiting.now_s > 1 and unlock())
        store._file._waiting = waiting
        assert Granted() == store.reserve(hold_of("a"))

    assert 1 < waiting.now_s < 1.1


@pytest.mark.parametrize("how", ["file", "database"])
def test_an_operation_waits_five_seconds_at_most(path, store, how):
    """Then the store is unavailable, and nothing was done; later it works again."""
    with locked(path, how):
        store._file._waiting = waiting = Waiting()
        with pytest.raises(StoreUnavailableError, match="locked for 5 s"):
            store.reserve(hold_of("a"))
        assert 5 <= waiting.now_s < 5.1
    assert [] == store.snapshot([RowQuery("company", COMPANY.starts)])
    assert Granted() == store.reserve(hold_of("a"))


def test_opening_waits_five_seconds_at_most(path, store):
    """Being locked is no fault of the address."""
    waiting = Waiting()
    with locked(path, "file"), pytest.raises(StoreUnavailableError, match="locked for 5 s"):
        SQLiteStore(path, lambda: START_MS, waiting=waiting)

    assert 5 <= waiting.now_s < 5.1


async def test_areserve_keeps_the_event_loop_free(path, store):
    """Others run while it waits for another process, and one of them may be what ends the wait."""
    with locked(path, "file") as unlock:
        task = asyncio.create_task(store.areserve(hold_of("a")))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        unlock()
        assert Granted() == await task


async def test_abalances_keep_the_event_loop_free(path, store):
    """They are read in a thread as well."""
    with locked(path, "file") as unlock:
        task = asyncio.create_task(store.abalances([COMPANY]))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        unlock()
        assert [Balance(0, 0)] == await task


async def test_a_cancelled_areserve_leaves_the_ledger_whole(path, store):
    """The money may be held, on all lines or none, and the ledger goes on."""
    with locked(path, "file") as unlock:
        tasks = [asyncio.create_task(store.areserve(hold_of(f"{number}"))) for number in range(5)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        unlock()
    assert Granted() == await store.areserve(hold_of("after"))

    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    company, team = both(store)
    assert company == team
    assert company[0] == 0
    assert company[1] in range(10, 70, 10)


async def test_many_areserves_do_not_wait_one_after_the_other(path, store):
    """Each waits from when it was called: ten of them are all refused after five seconds, not fifty."""
    with locked(path, "file"):
        store._file._waiting = waiting = Waiting()
        tasks = [store.areserve(hold_of(f"{number}")) for number in range(10)]
        results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [StoreUnavailableError] * 10 == [type(result) for result in results]
    assert waiting.now_s < 10  # the last may be called when the first has waited for a while


# --- In the middle of an operation ------------------------------------------------------------------------


def test_a_settle_from_the_collector_in_the_middle_of_an_operation_is_refused(path):
    """It cannot wait for its own thread; whoever calls keeps it and settles later. The operation is not disturbed."""
    refused = []

    def clock_ms() -> int:
        if len(refused) == 0 and opened:
            with pytest.raises(StoreUnavailableError, match="in the middle") as caught:
                store.settle(Settlement("a", 3, LINES))
            refused.append(caught.value)
        return START_MS

    opened = False
    with closing(SQLiteStore(path, clock_ms)) as store:
        store.reserve(hold_of("a"))
        opened = True
        assert Granted() == store.reserve(hold_of("b"))
        assert 1 == len(refused)
        assert Settled(SettledAs.HELD) == store.settle(Settlement("a", 3, LINES))
        assert ((3, 10), (3, 10)) == both(store)


def test_closing_in_the_middle_of_an_operation_takes_it_back(path):
    """It was not done, so it does not answer."""
    closings = []
    with closing(SQLiteStore(path, lambda: (closings and closings.pop()()) or START_MS)) as store:
        store.reserve(hold_of("a"))
        closings.append(store.close)
        with pytest.raises(StoreUnavailableError):
            store.reserve(hold_of("b"))
    with closing(SQLiteStore(path, lambda: START_MS)) as again:
        assert ((0, 10), (0, 10)) == both(again)


def test_closing_before_the_end_of_an_operation_takes_it_back(path, store, monkeypatch):
    """Neither does it answer when nothing is left to do but to write it down."""
    monkeypatch.setattr("llm_otel.stores.sqlite.copies.RowCopies.write", lambda _: store.close())
    with pytest.raises(StoreUnavailableError, match="closed"):
        store.reserve(hold_of("a"))
    with closing(SQLiteStore(path, lambda: START_MS)) as again:
        assert ((0, 0), (0, 0)) == both(again)


def test_ctrl_c_in_the_middle_takes_everything_back(store, monkeypatch):
    """All or nothing; and the ledger goes on."""
    store.reserve(hold_of("a"))

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("llm_otel.stores.sqlite.tables.Tables.put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.reserve(hold_of("b"))
    monkeypatch.undo()

    assert ((0, 10), (0, 10)) == both(store)
    assert Granted() == store.reserve(hold_of("b"))


def test_a_full_disk_makes_the_store_unavailable_and_breaks_nothing(store):
    """What does not fit is not written at all."""
    store.reserve(hold_of("a"))
    (pages,) = store._file._connection.execute("PRAGMA page_count").fetchone()
    store._file._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = tuple(line("x" * 3000, scope=str(number)) for number in range(9))

    with pytest.raises(StoreUnavailableError, match="full"):
        store.reserve(hold_of("b", lines=(*LINES, *big)))

    assert ((0, 10), (0, 10)) == both(store)
    assert Granted() == store.reserve(hold_of("b"))


def test_a_damaged_file_makes_the_store_unavailable(path, store):
    """Not a crash, nor a wrong answer."""
    store.reserve(hold_of("a"))
    store.close()
    with closing(SQLiteStore(path, lambda: START_MS)) as again:
        path.write_bytes(path.read_bytes()[:4096] + b"x" * 40_000)
        again._file._disconnect()
        with pytest.raises(StoreUnavailableError, match=r"malformed|not a database"):
            again.reserve(hold_of("b"))


def test_a_sum_that_passes_64_bits_is_refused_and_changes_nothing(store):
    """SQLite would go on with a float."""
    soft = line("soft", 0, is_hard=False)
    store.settle(Settlement("a", 2**63 - 1, (COMPANY, soft)))

    with pytest.raises(OverflowError):
        store.settle(Settlement("b", 1, (COMPANY, soft)))
    with pytest.raises(OverflowError):
        store.reserve(Hold("c", 2**63, 0, 1000, (soft,)))

    assert (2**63 - 1, 0) == standing(store, COMPANY) == standing(store, soft)
    assert Settled(SettledAs.UNKNOWN) == store.settle(Settlement("b", 0, (COMPANY, soft)))


# --- Files ------------------------------------------------------------------------------------------------


def refused(path) -> ConfigurationError:
    """What opening it raises."""
    with pytest.raises(ConfigurationError) as caught:
        SQLiteStore(path, lambda: START_MS)
    assert ("ledger", os.fspath(path)) == (caught.value.field, caught.value.value)
    return caught.value


def test_a_newer_ledger_is_refused(path, store):
    """It names the file, the version found and the newest one known; and nothing is changed."""
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
    before = path.read_bytes()

    error = refused(path)

    assert str(path) in str(error)
    assert "schema version 1 or older" in str(error)
    assert "has version 7" in str(error)
    assert before == path.read_bytes()


def test_the_database_of_another_program_is_never_written_to(path):
    """Somebody gave the wrong path."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE customers (name)")
    before = path.read_bytes()

    assert "another program" in str(refused(path))
    assert before == path.read_bytes()


def test_a_file_that_is_no_database_is_refused(path):
    """And left as it is."""
    path.write_text("dear diary\n" * 500)

    assert "not a database" in str(refused(path))
    assert path.read_text().startswith("dear diary")


def test_an_empty_file_becomes_a_ledger(path):
    """As `tempfile` makes them."""
    path.touch()
    with closing(SQLiteStore(path, lambda: START_MS)) as store:
        assert Granted() == store.reserve(hold_of("a"))


@pytest.mark.parametrize("bad", ["missing/ledger.db", "", "file.txt/ledger.db", ".", "a\0b"])
def test_a_path_that_cannot_be_a_file_is_refused(tmp_path, bad):
    """Before any call is made."""
    (tmp_path / "file.txt").touch()

    refused(os.fspath(tmp_path / bad))


@pytest.mark.parametrize("bad", ["", ":memory:"])
def test_a_database_in_memory_is_refused(bad):
    """That is another ledger, and says so."""
    assert "memory://" in str(refused(bad))


def test_a_directory_that_may_not_be_written_to_is_refused(tmp_path):
    """The log and the lock lie beside the database."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    with unprivileged(tmp_path):
        refused(closed / "ledger.db")
    assert [] == list(closed.iterdir())


@contextmanager
def unprivileged(tmp_path):
    """The superuser may write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    for directory in (tmp_path, *tmp_path.parents[:3]):
        if directory.stat().st_uid == 0 and not directory.stat().st_mode & 0o001:
            directory.chmod(directory.stat().st_mode | 0o001)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_one_file_by_two_names_is_one_ledger(tmp_path, monkeypatch):
    """One lock file too; and a relative path means the directory that was current."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.db").symlink_to("ledger.db")
    with (
        closing(SQLiteStore("ledger.db", lambda: START_MS)) as one,
        closing(SQLiteStore("link.db", lambda: START_MS)) as two,
    ):
        monkeypatch.chdir("/")
        one.reserve(hold_of("a"))
        assert Granted() == two.reserve(hold_of("b"))
        assert ((0, 20), (0, 20)) == both(one)
    assert ["ledger.db", "ledger.db-lock", "link.db"] == sorted(each.name for each in tmp_path.iterdir())


def test_windows_of_long_ago_are_not_in_the_way(store):
    """Only rows that count are read, whatever else the file holds."""
    for day in range(50):
        old = line(start=START_MS // 1000 - day * DAY_S)
        store.settle(Settlement(f"{day}", 10**8, (old,)))

    assert Granted() == store.reserve(hold_of("a", 9 * 10**8, lines=(COMPANY,)))


def test_what_ended_long_ago_is_dropped_however_much_there_is(path):
    """A part at a time, round and round, while calls come in, whatever is younger than a day and lies in between."""
    now_ms = START_MS
    ever = line("ever", 10**9, end=None, forget_at=None)
    count = 3 * FORGET_BATCH // 2

    def ends_after_rounds(store) -> list[str]:
        for number in range(6 * FORGET_EVERY):
            store.reserve(hold_of(f"{now_ms}:{number}", lines=(ever,), lease_ms=9 * HOLD_KEPT_MS))
        return sorted(each for (each,) in store._file._connection.execute("SELECT id FROM ends"))

    with closing(SQLiteStore(path, lambda: now_ms)) as store:
        for number in range(count):
            store.settle(Settlement(f"old-{number}", 1, (ever,)))
        now_ms += HOLD_KEPT_MS // 2
        young = sorted(f"{where}-{number}" for where in ("a", "z") for number in range(count))
        for name in young:
            store.settle(Settlement(name, 1, (ever,)))
        assert 3 * count == len(ends_after_rounds(store))

        now_ms += HOLD_KEPT_MS // 2
        assert young == ends_after_rounds(store)
        now_ms += HOLD_KEPT_MS // 2
        assert [] == ends_after_rounds(store)


def test_a_lease_is_found_whatever_became_of_those_before_it(path):
    """The file knows when the next one ends at the earliest: it may be too early, never too late."""
    now_ms = START_MS
    with closing(SQLiteStore(path, lambda: now_ms)) as store:

        def expired_after(ms: int) -> int:
            nonlocal now_ms
            now_ms += ms
            return store.sweep(10)

        for name, lease_ms in (("settled", 2_000), ("cut short", 9_000), ("kept", 9_000), ("first", 1_000)):
            store.reserve(hold_of(name, lease_ms=lease_ms))
        store.settle(Settlement("settled", 3, LINES))
        assert [0, 1] == [expired_after(999), expired_after(1)]  # first
        assert store.extend("cut short", 2_000)
        assert [0, 1] == [expired_after(1_999), expired_after(1)]  # cut short
        assert [0, 1, 0] == [expired_after(5_999), expired_after(1), expired_after(9_000)]  # kept
        store.reserve(hold_of("after all", lease_ms=1_000))
        assert [0, 1] == [expired_after(999), expired_after(1)]


def test_the_lock_dies_with_the_process(store, path):
    """Killed while it has it: nobody waits."""
    script = f"import fcntl, os; fcntl.flock(open({str(path) + '-lock'!r}, 'a'), fcntl.LOCK_EX); os.write(1, b'x'); "
    script += "import threading; threading.Event().wait()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as holder:
        assert b"x" == holder.stdout.read(1)
        holder.send_signal(signal.SIGKILL)
    store._file._waiting = waiting = Waiting()

    assert Granted() == store.reserve(hold_of("a"))
    assert waiting.now_s < 1
