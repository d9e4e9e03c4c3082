"""What every store keeps to (`llm_otel.budgets.ledger.Store`). Numbers are those of the fifteen invariants of a ledger:

1 granted where it fits everywhere · 2 refused changes nothing · 3 held and spent are sums of holds · 4 never negative ·
5 the bound of the overshoot (test_machine) · 6 idempotent · 7 a late settle equals one in time · 8 any order of settles
gives the same rows · 9 children add up to their parent · 10 a closed window changes by its own settles only · 11 an
alert once · 12 a race for a limit (test_races) · 13 a crash (test_sqlite, and here: a lease runs out). 14 and 15, money
and windows, are no matter of a store.
"""

from __future__ import annotations

import asyncio
import itertools

import pytest

from llm_otel.budgets.ledger import (
    MAX_STEP_BACK_MS,
    SWEEP_BATCH,
    Balance,
    Ended,
    Granted,
    Hold,
    Moved,
    Refused,
    RowQuery,
    RowState,
    Settled,
    SettledAs,
    StoreUnavailableError,
)
from tests.stores.lines import DAY_S, START_MS, line, standing, told

COMPANY = line("company", 100)
TEAM = line("team", 50, scope="search")
SOFT = line("watch", 10, is_hard=False)
DAY_START = START_MS // 1000


def rolling(minute: int, *, limit: int = 100, **other):
    """A line of a window that rolls over three buckets of a minute."""
    start = DAY_START + 60 * minute
    return line("rolling", limit, start=start, end=start + 60, starts=(start - 120, start - 60, start), **other)


# --- reserve ----------------------------------------------------------------------------------------------


def test_a_hold_that_fits_is_held_on_every_line(ledger):
    """1: Granted, and the amount stands on all rows, of hard and soft budgets alike."""
    assert Granted() == ledger.reserve("a", 30, COMPANY, TEAM, SOFT)

    assert ((0, 30), (0, 30), (0, 30)) == ledger.standing(COMPANY, TEAM, SOFT)


@pytest.mark.parametrize(("amount", "fits"), [(70, True), (71, False), (0, True)])
def test_the_limit_is_inclusive(ledger, amount, fits):
    """1: spent + held + amount <= limit."""
    ledger.reserve("a", 20, COMPANY)
    ledger.settle("a", 10, COMPANY)
    ledger.reserve("b", 20, COMPANY)

    assert fits is (Granted() == ledger.reserve("c", amount, COMPANY))


def test_a_hold_that_one_line_refuses_is_held_nowhere(ledger):
    """2: All or nothing, whichever line refuses; each line's balance is told."""
    ledger.reserve("a", 30, COMPANY, TEAM)
    before = ledger.standing(COMPANY, TEAM)
    refused = Refused((Balance(0, 30), Balance(0, 30)), START_MS)

    assert refused == ledger.reserve("b", 21, COMPANY, TEAM)
    assert Refused(refused.balances[::-1], START_MS) == ledger.reserve("c", 21, TEAM, COMPANY)
    assert before == ledger.standing(COMPANY, TEAM)


def test_a_refused_hold_leaves_no_row(ledger):
    """2: A scope that was only refused is not in the ledger."""
    ledger.reserve("a", 101, line(scope="nobody"))

    assert [] == ledger.store.snapshot([RowQuery("company", COMPANY.starts)])


def test_an_id_that_was_refused_may_be_tried_again(ledger):
    """2: Nothing is remembered of it."""
    ledger.reserve("a", 100, COMPANY)
    ledger.reserve("b", 1, COMPANY)
    ledger.settle("a", 0, COMPANY)

    assert Granted() == ledger.reserve("b", 1, COMPANY)


def test_a_soft_line_never_refuses(ledger):
    """1: Only hard ones do."""
    assert Granted() == ledger.reserve("a", 11, SOFT)
    assert Refused((Balance(0, 11), Balance(0, 0)), START_MS) == ledger.reserve("b", 101, SOFT, COMPANY)


def test_a_limit_counts_as_it_is_when_asked(ledger):
    """A lower limit refuses what comes, and takes nothing back; a higher one makes room."""
    ledger.reserve("a", 80, COMPANY)

    assert isinstance(ledger.reserve("b", 0, line(limit=50)), Refused)
    assert Granted() == ledger.reserve("b", 100, line(limit=180))
    assert ((0, 180),) == ledger.standing(COMPANY)


def test_a_hold_without_lines_is_a_hold(ledger):
    """No budget matches: the id is known all the same."""
    assert Granted() == ledger.reserve("a", 5)
    assert Settled(SettledAs.HELD) == ledger.settle("a", 4)


def test_reserving_again_gives_the_same_answer_and_holds_no_more(ledger):
    """6: Also where it would not fit a second time, and after its window."""
    ledger.reserve("a", 80, COMPANY, lease_ms=2 * DAY_S * 1000)

    assert Granted() == ledger.reserve("a", 80, COMPANY)
    ledger.advance(DAY_S * 1000)
    assert Granted() == ledger.reserve("a", 80, COMPANY)
    assert ((0, 80),) == ledger.standing(COMPANY)


@pytest.mark.parametrize("actual", [0, 80])
def test_an_id_that_was_settled_is_not_held_again(ledger, actual):
    """6: Whether it cost something, or was released."""
    ledger.reserve("a", 80, COMPANY)
    ledger.settle("a", actual, COMPANY)

    assert Ended() == ledger.reserve("a", 80, COMPANY)
    assert ((actual, 0),) == ledger.standing(COMPANY)


def test_an_id_that_expired_is_not_held_again(ledger):
    """6: Also where reserving it is what finds the lease over."""
    ledger.reserve("a", 80, COMPANY, floor=5, lease_ms=1000)
    ledger.advance(1000)

    assert Ended() == ledger.reserve("a", 80, COMPANY)
    assert ((5, 0),) == ledger.standing(COMPANY)


@pytest.mark.parametrize(
    ("ms", "is_in"), [(-1, False), (0, True), (1, True), (DAY_S * 1000 - 1, True), (DAY_S * 1000, False)]
)
def test_a_window_takes_holds_from_its_start_to_before_its_end(ledger, ms, is_in):
    """10: By the store's clock; else it says what time it is."""
    ledger.advance(DAY_S * 1000 + ms)
    lifetime, tomorrow = line("lifetime", end=None), line(start=DAY_START + DAY_S)

    assert (Granted() if is_in else Moved(ledger.now_ms)) == ledger.reserve("a", 1, lifetime, tomorrow)
    assert (((0, 1),) * 2 if is_in else ((0, 0),) * 2) == ledger.standing(lifetime, tomorrow)


def test_a_lifetime_never_moves(ledger):
    """10: It has no end, so it has no beginning either."""
    assert Granted() == ledger.reserve("a", 1, line("lifetime", start=DAY_START + DAY_S, end=None))


# --- settle -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("actual", [0, 20, 30, 500])
def test_a_settle_replaces_the_hold_by_the_cost(ledger, actual):
    """3: Less, the same or more than was held: all of it is booked, beyond the limit too."""
    ledger.reserve("a", 30, COMPANY, TEAM)

    assert Settled(SettledAs.HELD) == ledger.settle("a", actual, COMPANY, TEAM)
    assert ((actual, 0), (actual, 0)) == ledger.standing(COMPANY, TEAM)


def test_a_settle_goes_to_the_rows_of_the_hold(ledger):
    """10: Whatever it is handed: the hold knows where it stands."""
    ledger.reserve("a", 30, COMPANY)
    ledger.settle("a", 20, TEAM)

    assert ((20, 0), (0, 0)) == ledger.standing(COMPANY, TEAM)


def test_settling_again_changes_nothing(ledger):
    """6: The same cost is the same settle; another one is a conflict, and the first stands."""
    ledger.reserve("a", 30, COMPANY)
    ledger.settle("a", 20, COMPANY)

    assert Settled(SettledAs.REPEATED) == ledger.settle("a", 20, COMPANY)
    assert Settled(SettledAs.CONFLICT) == ledger.settle("a", 21, COMPANY)
    assert Settled(SettledAs.CONFLICT) == ledger.settle("a", 0, COMPANY)
    assert ((20, 0),) == ledger.standing(COMPANY)


def test_a_settle_that_nobody_reserved_is_booked_once(ledger):
    """6: The store was out when it was reserved; and a reserve that comes even later holds nothing."""
    assert Settled(SettledAs.UNKNOWN) == ledger.settle("a", 20, COMPANY, TEAM)
    assert Settled(SettledAs.REPEATED) == ledger.settle("a", 20, COMPANY, TEAM)
    assert Settled(SettledAs.CONFLICT) == ledger.settle("a", 7, COMPANY, TEAM)
    assert Ended() == ledger.reserve("a", 20, COMPANY, TEAM)

    assert ((20, 0), (20, 0)) == ledger.standing(COMPANY, TEAM)


def test_a_settle_lands_in_the_window_that_admitted_the_call(ledger):
    """10: A new window neither sees the hold nor its cost; the old one changes by that settle alone."""
    tomorrow = line(start=DAY_START + DAY_S)
    ledger.reserve("a", 80, COMPANY, lease_ms=2 * DAY_S * 1000)
    ledger.advance(DAY_S * 1000)

    assert Granted() == ledger.reserve("b", 100, tomorrow)
    ledger.settle("b", 100, tomorrow)
    assert ((0, 80), (100, 0)) == ledger.standing(COMPANY, tomorrow)

    ledger.settle("a", 70, COMPANY)
    assert ((70, 0), (100, 0)) == ledger.standing(COMPANY, tomorrow)


def test_settles_in_any_order_give_the_same_rows(ledger):
    """8: Held ones, expired ones, unknown ones, released ones and bigger ones."""
    costs = {"a": 10, "b": 0, "c": 70, "d": 5, "e": 3}
    seen = set()
    for number, order in enumerate(itertools.permutations(costs)):
        mine = line(scope=str(number))
        for name in "abc":
            ledger.reserve(f"{number}{name}", 20, mine, floor=2, lease_ms=10 if name == "c" else DAY_S * 1000)
        for step, name in enumerate(order):
            ledger.advance(5 if step == 2 else 0)
            ledger.settle(f"{number}{name}", costs[name], mine)
        seen.update(ledger.standing(mine))

    assert {(sum(costs.values()), 0)} == seen


def test_children_add_up_to_their_parent(ledger):
    """9: A budget that is split by a tag, where every call has one."""
    for number in range(12):
        child = line("team", 50, scope=str(number % 3))
        ledger.reserve(f"{number}", number, COMPANY, child, floor=1)
        if number % 2:
            ledger.settle(f"{number}", 2 * number, COMPANY, child)

    states = ledger.store.snapshot([RowQuery("team", COMPANY.starts)])

    assert ["0", "1", "2"] == sorted(state.scope for state in states)
    assert ledger.standing(COMPANY) == ((sum(s.spent for s in states), sum(s.held for s in states)),)


# --- Leases -----------------------------------------------------------------------------------------------


def test_a_lease_that_is_over_books_the_floor_and_frees_the_rest(ledger):
    """13: What a crashed process held: the provider has read the request."""
    ledger.reserve("a", 30, COMPANY, TEAM, floor=4, lease_ms=1000)
    ledger.advance(999)
    assert 0 == ledger.store.sweep(10)

    ledger.advance(1)
    assert 1 == ledger.store.sweep(10)
    assert ((4, 0), (4, 0)) == ledger.standing(COMPANY, TEAM)
    assert 0 == ledger.store.sweep(10)


@pytest.mark.parametrize("actual", [0, 3, 4, 90])
def test_a_late_settle_corrects_the_floor(ledger, actual):
    """7: In the end it stands as if it had been in time; repeats are told."""
    ledger.reserve("a", 30, COMPANY, TEAM, floor=4, lease_ms=1000)
    ledger.advance(1000)
    ledger.store.sweep(10)

    assert Settled(SettledAs.EXPIRED) == ledger.settle("a", actual, COMPANY, TEAM)
    assert Settled(SettledAs.REPEATED) == ledger.settle("a", actual, COMPANY, TEAM)
    assert ((actual, 0), (actual, 0)) == ledger.standing(COMPANY, TEAM)


def test_a_settled_hold_does_not_expire(ledger):
    """3: Its lease went with it."""
    ledger.reserve("a", 30, COMPANY, floor=4, lease_ms=1000)
    ledger.settle("a", 20, COMPANY)
    ledger.advance(5000)

    assert 0 == ledger.store.sweep(10)
    assert ((20, 0),) == ledger.standing(COMPANY)


def test_reserve_expires_what_is_due_before_it_looks_for_room(ledger):
    """13: A crashed process's money is free as soon as its lease is over, also for one that is refused."""
    ledger.reserve("a", 90, COMPANY, floor=1, lease_ms=1000)
    ledger.advance(1000)

    assert Refused((Balance(1, 0),), ledger.now_ms) == ledger.reserve("b", 100, COMPANY)
    assert Granted() == ledger.reserve("b", 99, COMPANY)


def test_reserve_expires_only_so_many(ledger):
    """13: The longest over first, a batch at a time, so that no call pays for all."""
    many = line(limit=10_000)
    for number in reversed(range(SWEEP_BATCH + 5)):
        ledger.reserve(f"{number}", 10, many, floor=1 if number < SWEEP_BATCH else 5, lease_ms=1000 + number)
    ledger.advance(5000)

    ledger.reserve("z", 0, many)
    assert ((SWEEP_BATCH, 50),) == ledger.standing(many)
    assert 5 == ledger.store.sweep(100)
    assert ((SWEEP_BATCH + 25, 0),) == ledger.standing(many)


def test_sweep_stops_at_its_limit(ledger):
    """The longest over first."""
    for number, lease_ms in enumerate([3000, 1000, 2000]):
        ledger.reserve(f"{number}", 10, COMPANY, floor=number, lease_ms=lease_ms)
    ledger.advance(9000)

    assert 1 == ledger.store.sweep(1)
    assert ((1, 20),) == ledger.standing(COMPANY)
    assert 2 == ledger.store.sweep(9)


def test_extend_starts_a_lease_anew(ledger):
    """From now on, by the store's clock, and as often as it is asked."""
    ledger.reserve("a", 30, COMPANY, lease_ms=1000)
    for _ in range(3):
        ledger.advance(900)
        assert ledger.store.extend("a", 1000)
    ledger.advance(999)
    assert 0 == ledger.store.sweep(10)
    ledger.advance(1)
    assert 1 == ledger.store.sweep(10)


def test_extend_may_make_a_lease_shorter(ledger):
    """It starts anew, with the length that is given."""
    ledger.reserve("a", 30, COMPANY, lease_ms=10_000)
    assert ledger.store.extend("a", 100)
    ledger.advance(100)

    assert 1 == ledger.store.sweep(10)


def test_extend_tells_whether_there_is_a_hold(ledger):
    """Not for one that nobody made, was settled or has expired."""
    assert not ledger.store.extend("nobody", 1000)
    ledger.reserve("a", 30, COMPANY)
    ledger.settle("a", 1, COMPANY)
    assert not ledger.store.extend("a", 1000)
    ledger.reserve("b", 30, COMPANY, floor=2, lease_ms=10)
    ledger.advance(10)
    ledger.store.sweep(10)
    assert not ledger.store.extend("b", 1000)
    assert ((3, 0),) == ledger.standing(COMPANY)


# --- Alerts -----------------------------------------------------------------------------------------------


def test_a_threshold_is_told_once(ledger):
    """11: When spend reaches it, and not before; all that one settle passes, in order."""
    alerted = line(thresholds=(50, 80, 100))
    ledger.reserve("a", 49, alerted)
    assert () == ledger.settle("a", 49, alerted).crossings

    assert () == ledger.reserve("b", 1, alerted).crossings
    assert [("company", 50, 50)] == told(ledger.settle("b", 1, alerted).crossings)
    ledger.reserve("c", 50, alerted)
    assert [("company", 80, 100), ("company", 100, 100)] == told(ledger.settle("c", 50, alerted).crossings)
    assert () == ledger.settle("d", 500, alerted).crossings
    assert () == ledger.reserve("e", 1, alerted).crossings


def test_a_crossing_names_its_line(ledger):
    """11: Two budgets may cross in one settle."""
    company, team = line("company", 100, thresholds=(10,)), line("team", 40, scope="x", thresholds=(20, 30))
    ledger.reserve("a", 25, company, team)

    crossings = ledger.settle("a", 25, company, team).crossings

    assert [(company, 10, 25), (team, 20, 25)] == [(each.line, each.threshold, each.spent) for each in crossings]


def test_a_repeated_settle_tells_nothing(ledger):
    """11: Nothing changes, so nothing is announced, nor marked."""
    alerted = line(thresholds=(10,))
    ledger.settle("a", 50, line())

    assert () == ledger.settle("a", 50, alerted).crossings
    assert () == ledger.settle("a", 51, alerted).crossings
    assert [("company", 10, 51)] == told(ledger.settle("b", 1, alerted).crossings)


def test_an_expired_hold_is_told_by_the_reserve_that_finds_it(ledger):
    """11: Granted or refused."""
    alerted, small = line(thresholds=(10, 20)), line("small", 0, thresholds=(15,))
    ledger.reserve("a", 20, alerted, floor=12, lease_ms=10)
    ledger.reserve("b", 20, alerted, floor=8, lease_ms=20)
    ledger.advance(10)
    assert [("company", 10, 12)] == told(ledger.reserve("c", 20, alerted).crossings)
    ledger.advance(10)

    refused = ledger.reserve("d", 1, alerted, small)

    assert isinstance(refused, Refused)
    assert [("company", 20, 20)] == told(refused.crossings)
    assert () == ledger.reserve("d", 1, alerted, small).crossings


def test_a_sweep_tells_nobody_and_loses_nothing(ledger):
    """11: The next operation with that budget tells."""
    alerted = line(thresholds=(10,))
    ledger.reserve("a", 20, alerted, floor=12, lease_ms=10)
    ledger.advance(10)
    ledger.store.sweep(10)

    assert [("company", 10, 12)] == told(ledger.reserve("b", 1, alerted).crossings)


def test_a_changed_limit_arms_its_alerts_anew(ledger):
    """11: Also where the number is the same; and two processes that disagree tell theirs once each."""
    low, high = line(limit=100, thresholds=(50,)), line(limit=200, thresholds=(50, 100))
    ledger.settle("a", 60, low)

    assert [("company", 50, 60)] == told(ledger.reserve("b", 1, high).crossings)
    for name in "cdef":
        assert () == ledger.reserve(f"{name}1", 1, low).crossings
        assert () == ledger.reserve(f"{name}2", 1, high).crossings


def test_a_rolling_window_tells_once_while_it_remembers(ledger):
    """11: The mark is in the buckets that count; when it rolls out, the threshold may be reached again."""
    assert [("rolling", 50, 60)] == told(ledger.settle("a", 60, rolling(0, thresholds=(50,))).crossings)
    for minute in (1, 2):
        assert () == ledger.settle(f"b{minute}", 20, rolling(minute, thresholds=(50,))).crossings
    assert () == ledger.settle("c", 9, rolling(3, thresholds=(50,))).crossings
    assert [("rolling", 50, 69)] == told(ledger.settle("d", 20, rolling(3, thresholds=(50,))).crossings)


def test_a_new_window_tells_again(ledger):
    """11: Once for each window."""
    today, tomorrow = line(thresholds=(10,)), line(start=DAY_START + DAY_S, thresholds=(10,))
    ledger.settle("a", 10, today)

    assert [("company", 10, 10)] == told(ledger.settle("b", 10, tomorrow).crossings)


# --- Rolling windows --------------------------------------------------------------------------------------


def test_a_rolling_window_counts_all_its_buckets(ledger):
    """1: What is spent and held in each of `starts`; what rolled out does not count."""
    for minute, amount in enumerate((40, 30, 20)):
        ledger.now_ms = START_MS + minute * 60_000
        assert Granted() == ledger.reserve(f"{minute}", amount, rolling(minute), lease_ms=DAY_S * 1000)
    ledger.settle("1", 25, rolling(1))

    assert Refused((Balance(25, 60),), ledger.now_ms) == ledger.reserve("x", 16, rolling(2))
    ledger.advance(60_000)
    assert ((25, 20),) == ledger.standing(rolling(3))
    assert Granted() == ledger.reserve("x", 55, rolling(3))
    assert Refused((Balance(25, 75),), ledger.now_ms) == ledger.reserve("y", 1, rolling(3))


def test_only_the_rows_that_are_named_count(ledger):
    """Buckets of another width may lie between them, when a window was changed."""
    ledger.reserve("a", 40, line("rolling", start=DAY_START, end=None))
    wide = line("rolling", start=DAY_START + 30, starts=(DAY_START - 30, DAY_START + 30), end=None)

    assert Granted() == ledger.reserve("b", 100, wide)
    assert ((0, 100),) == ledger.standing(wide)


# --- snapshot ---------------------------------------------------------------------------------------------


def test_a_snapshot_has_every_scope_of_what_is_asked_and_nothing_else(ledger):
    """One state for each scope, in the order of the queries."""
    ledger.reserve("a", 10, COMPANY, TEAM)
    ledger.reserve("b", 10, COMPANY, line("team", scope="growth"))
    ledger.settle("b", 3, COMPANY, line("team", scope="growth"))
    ledger.settle("c", 9, line("team", scope="yesterday", start=DAY_START - DAY_S))

    states = ledger.store.snapshot([RowQuery("team", TEAM.starts), RowQuery("nothing", TEAM.starts)])

    expected = [RowState("team", "growth", 3, 0), RowState("team", "search", 0, 10)]
    assert expected == sorted(states, key=lambda state: state.scope)
    assert [RowState("company", "", 3, 10)] == ledger.store.snapshot([RowQuery("company", COMPANY.starts)])
    assert [] == ledger.store.snapshot([])


def test_a_snapshot_sums_over_the_starts(ledger):
    """As a rolling window does."""
    for minute in range(4):
        ledger.settle(f"{minute}", 10**minute, rolling(minute))

    assert [RowState("rolling", "", 1110, 0)] == ledger.store.snapshot([RowQuery("rolling", rolling(3).starts)])


def test_a_snapshot_changes_nothing(ledger):
    """Not even what is due."""
    ledger.reserve("a", 10, COMPANY, lease_ms=10)
    ledger.advance(10)

    assert ((0, 10),) == ledger.standing(COMPANY) == ledger.standing(COMPANY)


# --- balances ---------------------------------------------------------------------------------------------


def test_balances_are_those_of_each_line_in_their_order(ledger):
    """Of no other scope, window or budget; nothing stands where nobody was."""
    growth, yesterday = line("team", scope="growth"), line("team", scope="search", start=DAY_START - DAY_S)
    ledger.reserve("a", 10, COMPANY, TEAM, SOFT)
    ledger.reserve("b", 20, COMPANY, growth)
    ledger.settle("b", 3, COMPANY, growth)
    ledger.settle("c", 9, yesterday)

    found = ledger.store.balances([TEAM, line("nobody"), COMPANY, growth, yesterday, SOFT, TEAM])

    expected = [(0, 10), (0, 0), (3, 10), (3, 0), (9, 0), (0, 10), (0, 10)]
    assert [Balance(*each) for each in expected] == found
    assert [] == ledger.store.balances([])


def test_balances_of_a_rolling_window_sum_over_its_rows(ledger):
    """Over those that are named, as `reserve` does: not over one between them."""
    for minute in range(4):
        ledger.settle(f"{minute}", 10**minute, rolling(minute))
    ledger.settle("between", 5, line("rolling", start=DAY_START + 90))

    assert [Balance(1110, 0), Balance(11, 0)] == ledger.store.balances([rolling(3), rolling(1)])


def test_balances_say_what_a_refusal_says(ledger):
    """One truth: of lines that refuse, of soft ones, and of those whose limit another process sees otherwise."""
    lines = (COMPANY, TEAM, SOFT, rolling(0))
    ledger.reserve("a", 30, *lines)
    ledger.settle("b", 15, *lines)
    refused = ledger.reserve("c", 6, *lines)

    assert list(refused.balances) == ledger.store.balances(lines)
    assert list(refused.balances) == ledger.store.balances([line("company", 1), TEAM, SOFT, rolling(0)])


def test_balances_change_nothing(ledger):
    """Not even what is due, and no row is made."""
    ledger.reserve("a", 10, COMPANY, lease_ms=10)
    ledger.advance(10)

    assert [Balance(0, 10)] * 2 == ledger.store.balances([COMPANY]) + ledger.store.balances([COMPANY])
    ledger.store.balances([line("other")])
    assert [] == ledger.store.snapshot([RowQuery("other", COMPANY.starts)])


def test_balances_of_many_lines_are_exact(ledger):
    """Hundreds of models, each with a window of many rows, and more than Lua counts."""
    starts = tuple(DAY_START + 60 * minute for minute in range(-60, 1))
    lines = [line("model", scope=f"m{n}", start=DAY_START, starts=starts, thresholds=()) for n in range(150)]
    for n, each in enumerate(lines):
        ledger.settle(f"{n}", 2**53 + n, each)
        ledger.settle(f"{n} before", 2, line("model", scope=f"m{n}", start=starts[0]))

    assert [Balance(2**53 + n + 2, 0) for n in range(150)] == ledger.store.balances(lines)


async def test_abalances_are_balances(ledger):
    """Side by side."""
    ledger.reserve("a", 10, COMPANY, TEAM)

    found = await asyncio.gather(*(ledger.store.abalances([each]) for each in (COMPANY, TEAM, SOFT)))

    assert [[Balance(0, 10)], [Balance(0, 10)], [Balance(0, 0)]] == found


# --- names and amounts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["", "é/:{}[]\"'\\ \n", "a:b", "0", "x" * 500])
def test_names_may_hold_anything(ledger, scope):
    """A scope is what a user wrote into a tag."""
    odd = line("bud:get{1}", scope=scope, thresholds=(5,))
    other = line("bud:get", scope=f"1:{scope}")
    ledger.reserve(f"id:{scope}", 10, odd, other)

    assert [("bud:get{1}", 5, 7)] == told(ledger.settle(f"id:{scope}", 7, odd, other).crossings)
    assert ((7, 0), (7, 0)) == ledger.standing(odd, other)
    assert [Balance(7, 0), Balance(7, 0)] == ledger.store.balances([odd, other])


def test_large_amounts_are_exact(ledger):
    """To the nano-USD, up to the largest limit of the store."""
    most = ledger.store.max_limit
    big = line(limit=most, thresholds=(most - 1, most))
    assert Granted() == ledger.reserve("a", most - 1, big)
    assert Refused((Balance(0, most - 1),), START_MS) == ledger.reserve("b", 2, big)
    assert Granted() == ledger.reserve("b", 1, big)

    assert [("company", most - 1, most - 1)] == told(ledger.settle("a", most - 1, big).crossings)
    assert [("company", most, most)] == told(ledger.settle("b", 1, big).crossings)
    assert ((most, 0),) == ledger.standing(big)


# --- Time -------------------------------------------------------------------------------------------------


def test_a_clock_that_is_a_bit_behind_is_waited_for(ledger):
    """The store goes by the last time it knows: nothing moves back, no lease grows."""
    ledger.reserve("a", 10, COMPANY, lease_ms=1000)
    ledger.advance(-MAX_STEP_BACK_MS)

    assert START_MS == ledger.store.now_ms()
    assert Granted() == ledger.reserve("b", 10, COMPANY)
    ledger.advance(MAX_STEP_BACK_MS + 1000)
    assert 1 == ledger.store.sweep(10)


def test_a_clock_that_is_far_behind_is_believed(ledger):
    """It was wrong before: else nothing would ever expire again."""
    ledger.reserve("a", 10, COMPANY)
    ledger.advance(-MAX_STEP_BACK_MS - 1)

    assert ledger.now_ms == ledger.store.now_ms()
    assert Moved(ledger.now_ms) == ledger.reserve("b", 10, COMPANY)


# --- Sharing, forgetting, closing ---------------------------------------------------------------------------


def test_a_shared_ledger_is_the_same_for_all(ledger):
    """6, 11: Holds, ends and alerts of one process are known to another."""
    if not ledger.store.is_shared:
        pytest.skip("one process only")
    other, alerted = ledger.another(), line(thresholds=(10,))
    ledger.reserve("a", 60, alerted)

    assert isinstance(other.reserve(Hold("b", 50, 0, 1000, (alerted,))), Refused)
    assert Granted() == other.reserve(Hold("a", 60, 0, 1000, (alerted,)))
    assert [("company", 10, 20)] == told(ledger.settle("a", 20, alerted).crossings)
    assert () == other.reserve(Hold("c", 50, 0, 1000, (alerted,))).crossings
    assert (20, 50) == standing(other, alerted)


def test_a_lifetime_is_never_forgotten(ledger):
    """It has no `forget_at`."""
    lifetime = line("lifetime", start=0, end=None, forget_at=None)
    ledger.settle("a", 10, lifetime)
    ledger.advance(5000 * DAY_S * 1000)
    for number in range(100):
        ledger.reserve(f"{number}", 0, lifetime)

    assert ((10, 0),) == ledger.standing(lifetime)


async def test_areserve_is_reserve(ledger):
    """The same answers, side by side."""
    holds = [Hold(f"{number}", 30, 0, 1000, (COMPANY,)) for number in range(5)]

    decisions = await asyncio.gather(*(ledger.store.areserve(hold) for hold in holds))

    assert 3 == decisions.count(Granted())
    assert Granted() == await ledger.store.areserve(holds[decisions.index(Granted())])
    assert ((0, 90),) == ledger.standing(COMPANY)


@pytest.mark.parametrize("operation", ["now_ms", "reserve", "settle", "extend", "sweep", "snapshot", "balances"])
def test_a_closed_store_is_unavailable(ledger, operation):
    """Closing is final, and may be repeated."""
    ledger.store.close()
    ledger.store.close()
    calls = {
        "now_ms": ledger.store.now_ms,
        "reserve": lambda: ledger.reserve("a", 1, COMPANY),
        "settle": lambda: ledger.settle("a", 1, COMPANY),
        "extend": lambda: ledger.store.extend("a", 1),
        "sweep": lambda: ledger.store.sweep(1),
        "snapshot": lambda: ledger.store.snapshot([RowQuery("company", (0,))]),
        "balances": lambda: ledger.store.balances([COMPANY]),
    }

    with pytest.raises(StoreUnavailableError):
        calls[operation]()


async def test_a_closed_store_is_unavailable_to_tasks(ledger):
    """As to threads."""
    ledger.store.close()

    with pytest.raises(StoreUnavailableError):
        await ledger.store.areserve(Hold("a", 1, 0, 1000, (COMPANY,)))
    with pytest.raises(StoreUnavailableError):
        await ledger.store.abalances([COMPANY])
