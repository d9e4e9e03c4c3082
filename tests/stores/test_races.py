"""Threads that race on one ledger: invariant 12, on every kind of store."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from llm_otel.budgets.ledger import Granted, Hold, Refused, Settled, SettledAs, Settlement
from tests.stores.lines import line, standing, told

THREADS = 6
CALLS = 30


def race(work):
    """Let all threads begin at once, and interrupt each other often; return what they returned, thread by thread."""
    barrier = threading.Barrier(THREADS)

    def run(thread: int):
        barrier.wait()
        return work(thread)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            return [future.result() for future in [pool.submit(run, thread) for thread in range(THREADS)]]
    finally:
        sys.setswitchinterval(before)


def test_threads_share_a_limit_exactly(ledger):
    """12: As many are granted as fit, not one more, and none is left out; no line without the other."""
    company, team = line("company", 10_000), line("team", 500)

    def hold_some(thread: int):
        holds = [Hold(f"{thread}:{number}", 7, 0, 60_000, (company, team)) for number in range(CALLS)]
        return [ledger.store.reserve(hold) for hold in holds]

    decisions = [decision for some in race(hold_some) for decision in some]

    assert 500 // 7 == decisions.count(Granted())
    assert THREADS * CALLS - 500 // 7 == sum(isinstance(decision, Refused) for decision in decisions)
    assert ((0, 497), (0, 497)) == ledger.standing(company, team)


def test_spend_and_holds_never_pass_the_limit_on_the_way(ledger):
    """12: Looked at by every thread between its steps; in the end nothing is held and every cost is booked."""
    company, team = line("company", 60), line("team", 40)

    def call(thread: int):
        seen, spent = [], 0
        for number in range(CALLS):
            hold = Hold(f"{thread}:{number}", 8, 0, 60_000, (company, team))
            if ledger.store.reserve(hold) == Granted():
                seen.append(sum(standing(ledger.store, team)))
                actual = number % 9 == 0
                ledger.store.settle(Settlement(hold.id, int(actual), (company, team)))
                spent += actual
            seen.append(sum(standing(ledger.store, team)))
        return max(seen), spent

    results = race(call)

    assert max(most for most, _ in results) <= 40
    total = sum(spent for _, spent in results)
    assert ((total, 0), (total, 0)) == ledger.standing(company, team)


def test_one_of_many_equal_settles_is_the_first(ledger):
    """6: However many ends a call seems to have."""
    company = line("company", 1000)
    for number in range(CALLS):
        ledger.reserve(f"{number}", 10, company)

    def settle_all(thread: int):
        return [ledger.settle(f"{number}", 4, company) for number in range(CALLS)]

    results = [settled for some in race(settle_all) for settled in some]

    assert CALLS == results.count(Settled(SettledAs.HELD))
    assert CALLS * (THREADS - 1) == results.count(Settled(SettledAs.REPEATED))
    assert ((4 * CALLS, 0),) == ledger.standing(company)


def test_each_threshold_is_told_to_one_thread(ledger):
    """11: While all of them cross it."""
    company = line("company", 10**6, thresholds=tuple(range(10, 10 + THREADS * CALLS, 10)))

    def spend(thread: int):
        settled = [ledger.settle(f"{thread}:{number}", 1, company) for number in range(CALLS)]
        return [threshold for each in settled for _, threshold, _ in told(each.crossings)]

    thresholds = [threshold for some in race(spend) for threshold in some]

    assert sorted(thresholds) == [t for t in company.thresholds if t <= THREADS * CALLS]
