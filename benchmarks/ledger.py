"""What a call pays for its budgets: one hold and one settle over three of them, in each kind of ledger.

By one caller; by four at once (processes; threads where the ledger is this process's memory); and by 100 tasks of one
event loop, whose settles go through the worker thread as those of real calls do. Beside it the floor: what the same two
steps take at the least, written by hand, without knowing who holds what. After each run the ledger has to be right.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.redis_server import redis_server
from llm_otel.budgets.budget import Budget
from llm_otel.budgets.ledger import Decision, Granted, Hold, Line, RowQuery, Settlement, Store
from llm_otel.budgets.matching import BudgetSet
from llm_otel.clock import SystemClock
from llm_otel.enforcement.journal import Journal
from llm_otel.enforcement.settler import Settler
from llm_otel.stores.opening import MEMORY, open_store
from llm_otel.stores.redis import RedisStore

Step = Callable[[int], object]
"""Does something; the number says for which time, from 0."""

SECONDS = 1.5
"""Of each measurement."""
CALLERS = 4
TASKS = 100
ESTIMATE, FLOOR, ACTUAL = 80_000, 2_000, 50_000
"""nano-USD."""
LEASE_MS = 180_000
BUDGETS = BudgetSet(
    [
        Budget("company", limit_usd=1_000_000, window="year"),
        Budget("team", limit_usd=1_000_000, window="year", by="team"),
        Budget("user", limit_usd=1_000_000, window="year", by="user"),
    ]
)
SCOPES = [{"team": f"team-{number % 10}", "user": f"user-{number}"} for number in range(100)]


@dataclass(frozen=True, slots=True)
class Pace:
    """How many pairs there were, and in how many seconds.

    Attributes:
        median: Microseconds that one took, as its caller sees it.
        p99: The 99th percentile.
    """

    pairs: int
    seconds: float
    median: float
    p99: float

    @property
    def rate(self) -> float:
        return self.pairs / self.seconds


class Subject:
    """A ledger with its lines."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.store = opened(url)
        now_s = int(time.time())
        self.lines = [BUDGETS.match(tags, provider="openai", model="any", now_s=now_s).lines for tags in SCOPES]

    def line_set(self, number: int) -> tuple[Line, ...]:
        return self.lines[number % len(self.lines)]

    def pair(self, hold_id: str, lines: tuple[Line, ...]) -> None:
        held(self.store.reserve(Hold(hold_id, ESTIMATE, FLOOR, LEASE_MS, lines)))
        self.store.settle(Settlement(hold_id, ACTUAL, lines))

    def run(self, name: str) -> Pace:
        """Make pairs, one after the other."""
        return paced(self.step(name))[0]

    def step(self, name: str) -> Step:
        return lambda number: self.pair(f"{name}:{number}", self.line_set(number))

    def spent_pairs(self) -> int:
        """Return how many pairs the ledger knows of, and check that it is right."""
        queries = [RowQuery(line.budget, line.starts) for line in self.lines[0]]
        states = self.store.snapshot(queries)
        sums = {each.budget: 0 for each in queries}
        for state in states:
            assert state.held == 0, f"{state} is still held"
            sums[state.budget] += state.spent
        assert len(set(sums.values())) == 1, f"the budgets disagree: {sums}"
        return sums["company"] // ACTUAL


def opened(url: str) -> Store:
    if url.startswith("redis"):
        # On a slow machine, 100 tasks at full speed may wait for longer than a call of a service ever would.
        return RedisStore(url, timeout_s=10)
    return open_store(url, clock_ms=lambda: time.time_ns() // 1_000_000)


def held(answer: Decision) -> None:
    assert isinstance(answer, Granted), answer


def paced(*steps: Step) -> list[Pace]:
    """Repeat steps in turn, so that all meet the same machine, for `SECONDS` each."""
    took: list[list[int]] = [[] for _ in steps]
    gc.collect()
    gc.freeze()
    now = time.perf_counter_ns()
    end = now + int(SECONDS * len(steps) * 1e9)
    while now < end:
        for step, mine in zip(steps, took, strict=True):
            step(len(mine))
            before, now = now, time.perf_counter_ns()
            mine.append(now - before)
    gc.unfreeze()
    return [pace_of(mine, sum(mine) / 1e9) for mine in took]


def pace_of(took_ns: list[int], seconds: float) -> Pace:
    hundredths = statistics.quantiles(took_ns, n=100)
    return Pace(len(took_ns), seconds, hundredths[49] / 1000, hundredths[98] / 1000)


# --- many callers -------------------------------------------------------------------------------------------------


def run_threads(subject: Subject) -> Pace:
    """Make pairs in `CALLERS` threads: a ledger in memory is one process's."""
    paces: list[Pace] = []
    start = threading.Barrier(CALLERS)

    def work(name: str) -> None:
        start.wait()
        paces.append(subject.run(name))

    threads = [threading.Thread(target=work, args=(f"thread-{number}",)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return joined(paces)


def run_processes(subject: Subject) -> Pace:
    """Make pairs in `CALLERS` processes, which begin together."""
    command = [sys.executable, "-m", "benchmarks.ledger", subject.url]
    with ExitStack() as closing:
        workers = [
            # The interpreter that runs this file, and this file.
            closing.enter_context(
                subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
            )
            for n in range(CALLERS)
        ]
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        answers = [worker.communicate()[0].split() for worker in workers]
    return joined([Pace(int(pairs), *map(float, rest)) for pairs, *rest in answers])


def work_in_process(url: str, name: str) -> None:
    subject = Subject(url)
    subject.pair(f"warm-up:{name}", subject.line_set(0))
    print("ready", flush=True)
    sys.stdin.readline()
    pace = subject.run(f"process-{name}")
    # The one before the start is in the ledger, too.
    print(pace.pairs + 1, pace.seconds, pace.median, pace.p99)


def joined(paces: list[Pace]) -> Pace:
    """Sum up callers that ran side by side."""
    return Pace(
        sum(each.pairs for each in paces),
        statistics.mean(each.seconds for each in paces),
        statistics.median(each.median for each in paces),
        max(each.p99 for each in paces),
    )


async def run_tasks(subject: Subject) -> Pace:
    """Make pairs in `TASKS` tasks; what a model does between a hold and a settle is one turn of the loop."""
    with tempfile.TemporaryDirectory() as directory:
        settler = settler_of(subject.store, Path(directory))
        took: list[int] = []
        start = time.perf_counter_ns()
        end = start + int(SECONDS * 1e9)

        async def work(name: int) -> None:
            number, now = 0, time.perf_counter_ns()
            while now < end:
                before, number = now, number + 1
                hold_id, lines = f"task-{name}:{number}", subject.line_set(name)
                held(await subject.store.areserve(Hold(hold_id, ESTIMATE, FLOOR, LEASE_MS, lines)))
                await asyncio.sleep(0)
                done = settler.settle_soon(Settlement(hold_id, ACTUAL, lines))
                if done is not None:
                    await asyncio.wrap_future(done)
                now = time.perf_counter_ns()
                took.append(now - before)

        await asyncio.gather(*[work(name) for name in range(TASKS)])
        return pace_of(took, (time.perf_counter_ns() - start) / 1e9)


def settler_of(store: Store, directory: Path) -> Settler:
    def fail(where: str, error: Exception) -> None:
        raise AssertionError(where) from error

    settler = Settler(
        store,
        Journal(store.name, directory),
        SystemClock(),
        crossed=lambda _crossings: None,
        reached=lambda: None,
        on_error=fail,
    )
    settler.ensure_worker()
    return settler


# --- the floor ----------------------------------------------------------------------------------------------------


@contextmanager
def memory_floor() -> Iterator[Step]:
    """Two additions to three numbers, under a lock."""
    lock, rows = threading.Lock(), dict.fromkeys(("company", "team", "user"), 0)

    def step(_: int) -> None:
        for amount in (ESTIMATE, ACTUAL - ESTIMATE):
            with lock:
                for row in rows:
                    rows[row] += amount

    yield step


@contextmanager
def sqlite_floor() -> Iterator[Step]:
    """Two transactions that change three rows."""
    with tempfile.TemporaryDirectory() as directory:
        connection = sqlite3.connect(f"{directory}/floor.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE rows (name TEXT PRIMARY KEY, spent INTEGER) WITHOUT ROWID")
        connection.executemany("INSERT INTO rows VALUES (?, 0)", [("company",), ("team",), ("user",)])

        def step(_: int) -> None:
            for amount in (ESTIMATE, ACTUAL - ESTIMATE):
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("UPDATE rows SET spent = spent + ?", (amount,))
                connection.execute("COMMIT")

        yield step
        connection.close()


@contextmanager
def redis_floor(url: str) -> Iterator[Step]:
    """Two round trips that do nothing."""
    import redis

    client = redis.Redis.from_url(url, single_connection_client=True)

    def step(_: int) -> None:
        client.ping()
        client.ping()

    yield step
    client.close()


class Served:
    """What a server had to do since this was made."""

    def __init__(self, url: str) -> None:
        import redis

        self._client = redis.Redis.from_url(url, single_connection_client=True)
        self._before = self._scripts()

    def told(self, pairs: int) -> str:
        calls, microseconds = (now - before for now, before in zip(self._scripts(), self._before, strict=True))
        return f"{calls / pairs:.2f} round trips a pair, {microseconds / calls:.0f} us of the server each"

    def close(self) -> None:
        self._client.close()

    def _scripts(self) -> tuple[int, int]:
        stats = self._client.info("commandstats")
        found = [stats[name] for name in ("cmdstat_eval", "cmdstat_evalsha") if name in stats]
        return sum(each["calls"] for each in found), sum(each["usec"] for each in found)


# --- all of it ----------------------------------------------------------------------------------------------------


def compare(name: str, url: str, floor: Step) -> None:
    subject = Subject(url)
    subject.pair("warm-up", subject.line_set(0))
    served = Served(url) if url.startswith("redis") else None
    alone, bare = paced(subject.step("alone"), floor)
    show(f"{name}, 1 process", alone, f"{alone.median / bare.median:.1f} x a floor of {bare.median:.1f} us")
    if served is not None:
        print(f"    {served.told(alone.pairs)}")
        served.close()
    together = run_threads(subject) if url == MEMORY else run_processes(subject)
    show(f"{name}, {CALLERS} {'threads' if url == MEMORY else 'processes'}", together)
    tasks = asyncio.run(run_tasks(subject))
    show(f"{name}, {TASKS} tasks", tasks, is_alone=False)
    made = 1 + alone.pairs + together.pairs + tasks.pairs
    assert subject.spent_pairs() == made, "a pair is not in the ledger, or is there twice"
    subject.store.close()


def show(name: str, pace: Pace, note: str = "", *, is_alone: bool = True) -> None:
    """Print a line; of callers that are in each other's way by design, the rate says it all."""
    latency = f"{pace.median:6.1f} us [99 %: {pace.p99:6.0f}]" if is_alone else ""
    print(f"  {name:<20} {pace.rate:8,.0f} pairs/s  {latency:<28} {note}".rstrip())


def main() -> None:
    print("Hold and settle over 3 budgets: pairs of all callers; the median of one, and the 99th percentile")
    with memory_floor() as floor:
        compare("memory", MEMORY, floor)
    with tempfile.TemporaryDirectory() as directory, sqlite_floor() as floor:
        compare("sqlite", f"sqlite:///{directory}/ledger.db", floor)
    with redis_server() as url:
        if url is None:
            print("  redis: no redis-server is installed")
            return
        with redis_floor(url) as floor:
            compare("redis", url, floor)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work_in_process(*sys.argv[1:])
    else:
        main()
