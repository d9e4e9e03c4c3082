"""Headrooms: how full the fullest budget of each model is, at what cost to the ledger."""

from __future__ import annotations

import asyncio

import pytest

from llm_otel import steps
from llm_otel.budgets.ledger import Hold, Settlement
from llm_otel.budgets.matching import NOTHING, BudgetSet, run_budget, run_of
from llm_otel.enforcement import headrooms
from llm_otel.enforcement.headrooms import KEPT_S
from llm_otel.enforcement.steps import Look
from llm_otel.routing.headroom import NO_BUDGET, Headroom
from tests.enforcement.enforcers import Made, budget
from tests.enforcement.fakes import LOOK
from tests.stores.lines import START_MS

MINI, LARGE, CLAUDE = ("openai", "gpt-4o-mini"), ("openai", "gpt-4o"), ("anthropic", "claude-3-haiku-20240307")
MODELS = (MINI, LARGE, CLAUDE)
TAGS = {"team": "search"}


def spend(made: Made, amount: int, model=LARGE, *, tags=TAGS, held: int = 0, at_s: int = 0, run=NOTHING) -> None:
    """Let another call to a model have spent something, and hold something, so many seconds from the start."""
    provider, name = model
    now_s = START_MS // 1000 + at_s
    matched = made.budgets.match(tags, provider=provider, model=name, now_s=now_s).joined(run)
    ids = f"{len(made.store.settled)}"
    made.store.settle(Settlement(ids, amount, matched.lines))
    if held:
        made.store.reserve(Hold(f"{ids} held", held, 0, 10**9, matched.lines))


def rooms(made: Made, models=MODELS, *, tags=TAGS, run=NOTHING, is_async=False):
    """Return the headrooms of models."""
    walk = made.enforcer.headrooms(models, tags, run)
    return asyncio.run(steps.arun(walk)) if is_async else steps.run(walk)


slow = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
"""A store that is not instant is asked by a step, from threads and from tasks."""


# --- what they are ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_instant", [True, False])
def test_the_fullest_budget_counts(is_instant):
    """Spend and holds together, of hard budgets and soft ones, each by its own limit."""
    made = Made(budget(1000), budget(200, "openai", match={"provider": "openai"}, kind="soft"), is_instant=is_instant)
    spend(made, 50, held=30)
    spend(made, 10, CLAUDE)

    openai = Headroom(80 / 200, "openai", "")
    assert {MINI: openai, LARGE: openai, CLAUDE: Headroom(90 / 1000, "team", "")} == rooms(made)


def test_a_split_budget_is_read_for_the_scope_of_each_model():
    """By tag and by model; the scope is told."""
    made = Made(budget(100, "teams", by="team"), budget(100, "models", by="model"))
    spend(made, 30)
    spend(made, 90, tags={"team": "growth"})
    spend(made, 10, MINI)

    assert {
        LARGE: Headroom(1.2, "models", "gpt-4o"),
        MINI: Headroom(0.4, "teams", "search"),
        CLAUDE: Headroom(0.4, "teams", "search"),
    } == rooms(made)


def test_a_run_counts_as_well():
    """It is a budget like the others, and may be the only one."""
    made, run = Made(), run_of(run_budget("digest", "0.000000100"), "run-1", now_s=START_MS // 1000)
    spend(made, 70, run=run)

    assert {LARGE: Headroom(0.7, "digest", "run-1")} == rooms(made, [LARGE], run=run)


def test_a_rolling_window_counts_all_its_rows():
    """And none that has rolled out."""
    made = Made(budget(100, window="rolling:3600s"))
    for minute, amount in ((0, 7), (30, 20), (59, 30)):
        spend(made, amount, at_s=60 * minute)
    made.clock.passed_s = 60 * 61

    assert {LARGE: Headroom(0.5, "team", "")} == rooms(made, [LARGE])


def test_a_limit_of_nothing_is_used_up():
    """As in the reports: there is no headroom, though nothing is spent."""
    assert {LARGE: Headroom(1.0, "team", "")} == rooms(Made(budget(0)), [LARGE])


def test_of_two_that_are_equally_full_the_first_counts():
    """In the order of their declaration: the same inputs give the same answer."""
    made = Made(budget(100, "b"), budget(100, "a"))

    assert {LARGE: Headroom(0.0, "b", "")} == rooms(made, [LARGE])


def test_a_model_that_no_budget_concerns_has_no_ratio():
    """Beside others that have one; the ledger is asked for those."""
    made = Made(budget(match={"provider": "openai"}))

    assert {LARGE: Headroom(0.0, "team", ""), CLAUDE: NO_BUDGET} == rooms(made, [LARGE, CLAUDE])


# --- what they cost ---------------------------------------------------------------------------------------------------


def test_without_a_budget_nothing_is_asked():
    """No step, no ledger, no thread."""
    made = Made(is_instant=False)

    with pytest.raises(StopIteration) as ended:
        next(made.enforcer.headrooms(MODELS, TAGS, NOTHING))

    assert ({}, []) == (ended.value.value, made.store.looked_at)


def test_an_instant_ledger_is_asked_at_once_and_each_time():
    """No step is taken: it waits for nobody. Each line is read once for all models."""
    made = Made(budget(100), budget(100, "models", by="model"))

    with pytest.raises(StopIteration):
        next(made.enforcer.headrooms(MODELS, TAGS, NOTHING))
    spend(made, 40)

    assert 0.4 == rooms(made)[MINI].ratio
    assert [4, 4] == [len(set(lines)) for lines in made.store.looked_at]
    assert [4, 4] == [len(lines) for lines in made.store.looked_at]


@slow
def test_a_reading_is_good_for_a_second(is_async):
    """A thousand calls a second are one round trip; what is spent meanwhile is seen then."""
    made = Made(budget(100), is_instant=False)
    seen = []
    for passed_s in (0, 0.5, KEPT_S - 0.001, KEPT_S, 1.5):
        made.clock.passed_s = passed_s
        seen.append(rooms(made, [LARGE], is_async=is_async)[LARGE].ratio)
        spend(made, 10)

    assert [0, 0, 0, 0.3, 0.3] == seen
    assert 2 == len(made.store.looked_at)


def test_only_lines_that_are_not_known_are_read():
    """Another team's call asks for its own scope alone."""
    made = Made(budget(100), budget(100, "teams", by="team"), is_instant=False)

    rooms(made)
    rooms(made, tags={"team": "growth"})

    assert [["", "search"], ["growth"]] == [[line.scope for line in lines] for lines in made.store.looked_at]


def test_while_one_looks_again_others_go_on():
    """With what they have: a thousand calls must not all ask when a second is over."""
    made = Made(budget(100), is_instant=False)
    rooms(made, [LARGE])
    spend(made, 40)
    made.clock.passed_s = KEPT_S
    walk = made.enforcer.headrooms([LARGE], TAGS, NOTHING)
    look = next(walk)

    assert 0 == rooms(made, [LARGE])[LARGE].ratio
    with pytest.raises(StopIteration) as ended:
        walk.send(look.run())
    assert isinstance(look, Look)
    assert 0.4 == ended.value.value[LARGE].ratio == rooms(made, [LARGE])[LARGE].ratio
    assert 2 == len(made.store.looked_at)


def test_a_look_that_never_comes_back_does_not_keep_the_old_for_ever():
    """Its task was cancelled: another looks a second later, and all do once it is two seconds old."""
    made = Made(budget(100), is_instant=False)
    rooms(made, [LARGE])
    spend(made, 40)
    made.clock.passed_s = KEPT_S
    next(made.enforcer.headrooms([LARGE], TAGS, NOTHING)).run()

    made.clock.passed_s = 2 * KEPT_S - 0.001
    assert 0 == rooms(made, [LARGE])[LARGE].ratio
    made.clock.passed_s = 2 * KEPT_S
    abandoned = made.enforcer.headrooms([LARGE], TAGS, NOTHING)
    next(abandoned)
    assert 0.4 == rooms(made, [LARGE])[LARGE].ratio


def test_what_is_kept_is_bounded(monkeypatch):
    """A budget may be split by user, and users are many."""
    monkeypatch.setattr(headrooms, "MAX_KEPT", 10)
    made = Made(budget(100, by="user"), is_instant=False)
    for number in range(25):
        rooms(made, [LARGE], tags={"user": f"{number}"})

    assert 5 == len(made.enforcer._readings._kept)
    assert 25 == len(made.store.looked_at)


# --- what goes wrong --------------------------------------------------------------------------------------------------


@slow
def test_while_the_ledger_is_out_no_ratio_is_known(is_async):
    """Routing goes on without; the gate is shut by it, so that nobody else waits; nothing old is gone by."""
    made = Made(budget(100), is_instant=False)
    rooms(made, [LARGE])
    made.store.is_out = True
    made.clock.passed_s = KEPT_S

    assert [NO_BUDGET] * 3 == [rooms(made, [LARGE], is_async=is_async)[LARGE] for _ in range(3)]
    assert 2 == len(made.store.looked_at)
    assert made.enforcer._gate.is_shut

    made.store.is_out = False
    made.clock.passed_s += 60
    assert Headroom(0.0, "team", "") == rooms(made, [LARGE], is_async=is_async)[LARGE]
    assert not made.enforcer._gate.is_shut


def test_a_ledger_in_memory_that_was_closed_is_out():
    """The runtime was replaced: its last calls choose without it."""
    made = Made(budget(100))
    made.store.close()

    assert NO_BUDGET == rooms(made, [LARGE])[LARGE]


@slow
def test_a_bug_of_the_store_is_told_and_breaks_no_call(is_async):
    """It is no outage: the next one asks again."""
    made = Made(budget(100), is_instant=False)
    made.store.errors[LOOK] = KeyError("a bug")

    assert NO_BUDGET == rooms(made, [LARGE], is_async=is_async)[LARGE]
    assert [KeyError] == [type(each) for each in made.errors]
    assert not made.enforcer._gate.is_shut


def test_a_cancelled_look_leaves_nothing():
    """It held nothing."""
    made = Made(budget(100), is_instant=False)
    made.store.errors[LOOK] = asyncio.CancelledError()

    with pytest.raises(asyncio.CancelledError):
        rooms(made, [LARGE])
    del made.store.errors[LOOK]

    assert ([], False) == (made.store.asked_to_settle, made.enforcer._gate.is_shut)
    assert 0.0 == rooms(made, [LARGE])[LARGE].ratio


def test_budgets_that_change_are_heeded_at_once():
    """What is kept is what stands there; the limit is the one in force."""
    made = Made(budget(100), is_instant=False)
    spend(made, 40)
    before = rooms(made, [LARGE])[LARGE].ratio
    made.budgets = BudgetSet([budget(50)])

    assert (0.4, 0.8) == (before, rooms(made, [LARGE])[LARGE].ratio)
    assert 1 == len(made.store.looked_at)
