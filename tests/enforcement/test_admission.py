"""Admission: what is tried for a request before it is refused, in which order, and what it is sent with."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from llm_otel.budgets.budget import Budget
from llm_otel.budgets.ledger import (
    Balance,
    Crossing,
    Ended,
    Granted,
    Hold,
    Moved,
    Refused,
    RowQuery,
    Settlement,
    StoreUnavailableError,
)
from llm_otel.budgets.matching import BudgetSet
from llm_otel.enforcement.admission import MAX_CLIPS, MAX_MOVES, DeniedError, Desk, Patience, Seeker
from llm_otel.enforcement.gate import Gate
from llm_otel.enforcement.offers import Appraiser, Asked
from llm_otel.enforcement.steps import Reserve
from llm_otel.pricing.book import PriceBook
from llm_otel.steps import Count, Pause
from llm_otel.stores.memory import MemoryStore
from tests.enforcement.fakes import FakeStore, HandClock
from tests.stores.lines import DAY_S, START_MS

APPRAISER = Appraiser(PriceBook(), default_max_tokens=4096)
HELLO = [{"role": "user", "content": "Hello, my old friend!"}]
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]


def asked(model="gpt-4o", provider="openai", messages=HELLO, **arguments):
    """A request of at most 100 tokens of output."""
    at = datetime.fromtimestamp(START_MS / 1000, UTC)
    return Asked(provider, model, {"messages": messages, "max_tokens": 100, **arguments}, service_tier=None, at=at)


def offer(request=None, **changes):
    """What is offered for a request at first."""
    return APPRAISER.offer(request or asked(**changes), is_bound=True)


AMOUNT = offer().amount
"""What the request of these tests is held at, in nano-USD."""


def budget(limit_nano=10**12, name="team", **more):
    """A lifetime budget, unless told otherwise."""
    return Budget(name, **{"limit_usd": Decimal(limit_nano).scaleb(-9), "window": "lifetime", **more})


class Bench:
    """A desk, with a ledger that may be told what to answer.

    Attributes:
        answers: What the ledger says next; then it decides by itself. A function is called with the hold.
        way: The steps that were taken.
    """

    def __init__(self, *budgets: Budget) -> None:
        self.clock = HandClock()
        self.store = FakeStore(self.clock)
        self.answers: deque[object] = deque()
        self.way: list[str] = []
        self.holds: list[object] = []
        self.crossings: list[Crossing] = []
        self.released: list[Settlement] = []
        self.crossed = self.crossings.extend
        self.tokens: int | None = None
        self.cheaper: tuple[str, ...] = ()
        self.skew_s = 0.0
        self.ids = 0
        self._budgets = BudgetSet(budgets)
        self._reserve, self.store.reserve = self.store.reserve, self._answer

    def seek(self, request=None, *, left_s=None, may_change_model=True):
        """Go the way of one request to its end."""
        steps = Seeker(self._desk(), request or asked(), Patience(left_s, 60_000, may_change_model)).steps()
        done = None
        while True:
            try:
                step = steps.send(done)
            except StopIteration as stop:
                return stop.value
            if isinstance(step, Reserve):
                self.holds.append(step.hold)
            self.way.append({Reserve: "reserve", Count: "count", Pause: "pause"}[type(step)])
            done = step.run()

    def denied(self, request=None, **patience):
        """Go the way of one request that is refused; return the refusal."""
        with pytest.raises(DeniedError) as caught:
            self.seek(request, **patience)
        return caught.value.denial

    def hold_back(self, amount, name="other"):
        """Let another call hold something on all budgets; return what settles it."""
        lines = self._match(asked()).lines
        assert self._reserve(Hold(name, amount, 0, 10**9, lines)) == Granted()
        return lambda actual=0: self.store.settle(Settlement(name, actual, lines))

    def spend(self, amount):
        """Let another call have spent something on all budgets."""
        self.store.settle(Settlement("spent", amount, self._match(asked()).lines))

    @property
    def held(self):
        """What all budgets hold, nano-USD each."""
        queries = [RowQuery(line.budget, line.starts) for line in self._match(asked()).lines]
        return [state.held for state in self.store.snapshot(queries)]

    def _answer(self, hold):
        if not self.answers:
            return self._reserve(hold)
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer(hold) if callable(answer) else answer

    def _match(self, request):
        now_s = self.clock.now_ms() // 1000 + self.skew_s
        return self._budgets.match({}, provider=request.provider, model=request.model, now_s=int(now_s))

    def _new_id(self):
        self.ids += 1
        return f"id-{self.ids}"

    def _moved(self, now_ms):
        self.skew_s = (now_ms - self.clock.now_ms()) / 1000

    def _desk(self):
        return Desk(
            gate=Gate(self.store, self.clock, release=self.released.append, on_error=lambda *_: None),
            appraiser=APPRAISER,
            clock=self.clock,
            match=self._match,
            moved=self._moved,
            now_s=lambda: self.clock.now_ms() / 1000 + self.skew_s,
            new_id=self._new_id,
            chance=lambda: 1.0,
            crossed=self.crossed,
            cheaper=lambda made, _: tuple(APPRAISER.cheaper(made, tuple(("openai", name) for name in self.cheaper))),
            count=lambda _: self.tokens,
        )


# --- what fits --------------------------------------------------------------------------------------------------------


def test_what_fits_is_held_at_once():
    """At the bound of its bytes: nothing is counted."""
    bench = Bench(budget())

    admission = bench.seek()

    assert ["reserve"] == bench.way
    hold = admission.hold
    assert ("id-1", AMOUNT, offer().floor, 60_000) == (hold.id, hold.amount, hold.floor, hold.lease_ms)
    assert ("team",) == tuple(line.budget for line in hold.lines)
    assert ("id-1", True, None) == (admission.id, admission.is_billed, admission.denier)


def test_a_callback_that_ends_the_program_leaves_nothing_held():
    """It is told of thresholds once money is held; who would have settled that never learns of it."""
    bench = Bench(budget())

    def leave(_):
        raise SystemExit

    bench.crossed = leave

    with pytest.raises(SystemExit):
        bench.seek()

    assert [("id-1", 0)] == [(each.id, each.actual) for each in bench.released]


def test_what_costs_nothing_is_not_held():
    """No budget is asked, and nothing is booked."""
    bench = Bench(budget(0))

    admission = bench.seek(asked("llama3", "ollama"))

    assert [] == bench.way
    assert (None, False) == (admission.hold, admission.is_billed)


def test_what_concerns_no_budget_is_not_held():
    """The ledger is not asked."""
    bench = Bench(budget(0, match={"team": "other"}))

    admission = bench.seek()

    assert [] == bench.way
    assert (None, False) == (admission.hold, admission.is_billed)


def test_thresholds_that_are_told_on_the_way_are_passed_on():
    """Those of holds that expired: to a call that is granted, and to one that is refused."""
    crossing = Crossing(Bench(budget())._match(asked()).lines[0], 5, 7)
    bench = Bench(budget(on_exceeded="wait"))
    bench.answers += [Refused((Balance(0, 10**12),), START_MS, (crossing,)), Granted((crossing,))]

    bench.seek()

    assert [crossing, crossing] == bench.crossings


# --- the order: count, clip, downgrade, wait, deny --------------------------------------------------------------------


def test_first_the_tokens_are_counted():
    """A closer bound may be all it takes; the request is sent as it is."""
    bench = Bench(budget(AMOUNT - 1, on_tight="clip", on_exceeded="downgrade"))
    bench.tokens = 10
    bench.cheaper = ("gpt-4o-mini",)

    admission = bench.seek()

    assert ["reserve", "count", "reserve"] == bench.way
    assert 10 == admission.offer.extent.input_tokens
    assert (False, False) == (admission.offer.is_clipped, admission.offer.is_downgraded)
    assert 10 * 2500 + 100 * 10_000 == admission.hold.amount


def test_then_the_output_limit_is_lowered():
    """To the highest that fits, where all that refuse allow it."""
    bench = Bench(budget(AMOUNT - 1, on_tight="clip", on_exceeded="downgrade"))
    bench.cheaper = ("gpt-4o-mini",)

    admission = bench.seek()

    assert ["reserve", "count", "reserve"] == bench.way
    assert (99, True, False) == (
        admission.offer.max_tokens,
        admission.offer.is_clipped,
        admission.offer.is_downgraded,
    )


def test_then_a_cheaper_model_is_taken():
    """Where not even the least output fits; it is told for which budget."""
    bench = Bench(budget(AMOUNT // 2, on_tight="clip", min_max_tokens=100, on_exceeded="downgrade"))
    bench.cheaper = ("gpt-4o-mini",)

    admission = bench.seek()

    assert ["reserve", "count", "reserve"] == bench.way
    assert ("gpt-4o-mini", True) == (admission.offer.asked.model, admission.offer.is_downgraded)
    assert ("team", "") == (admission.denier[0].id, admission.denier[1])


def test_models_are_tried_one_after_the_other():
    """One that others have left no room for is passed over; each is counted for itself."""
    bench = Bench(budget(AMOUNT // 2, on_exceeded="downgrade"))
    bench.cheaper = ("gpt-4.1-mini", "gpt-4o-mini")
    left = offer(model="gpt-4o-mini").amount
    bench.answers += [Refused((Balance(0, 0),), START_MS), Refused((Balance(0, AMOUNT // 2 - left),), START_MS)]

    admission = bench.seek()

    assert ["reserve", "count", "reserve", "count", "reserve"] == bench.way
    assert [AMOUNT, offer(model="gpt-4.1-mini").amount, left] == [hold.amount for hold in bench.holds]
    assert "gpt-4o-mini" == admission.offer.asked.model


def test_a_model_is_kept_where_it_must_be():
    """A plain LiteLLM call gets what it asked for, or a refusal."""
    bench = Bench(budget(AMOUNT // 2, on_exceeded="downgrade"))
    bench.cheaper = ("gpt-4o-mini",)

    assert "too_large" == bench.denied(may_change_model=False).kind


@pytest.mark.parametrize(
    "policy", [{"on_tight": "clip"}, {"on_exceeded": "downgrade"}, {"on_exceeded": "wait"}], ids=str
)
def test_a_budget_that_denies_wins(policy):
    """What one allows must not help it past another."""
    bench = Bench(budget(2 * AMOUNT, **policy), budget(2 * AMOUNT, name="company"))
    bench.cheaper = ("gpt-4o-mini",)
    bench.hold_back(3 * AMOUNT // 2)

    denial = bench.denied()

    assert ["reserve", "count"] == bench.way
    assert ("in_flight", AMOUNT) == (denial.kind, denial.requested)


def test_a_budget_that_has_room_has_no_say():
    """Only those that refuse must allow it."""
    bench = Bench(budget(AMOUNT - 1, on_tight="clip"), budget(name="company"))

    assert 99 == bench.seek().offer.max_tokens


def test_nothing_is_held_by_who_is_refused():
    """And the refusal has the numbers of the budget that is in the way."""
    bench = Bench(budget(3 * AMOUNT), budget(2 * AMOUNT, name="company"))
    bench.spend(AMOUNT + 1)

    denial = bench.denied()

    assert ("exhausted", "company", Balance(AMOUNT + 1, 0)) == (denial.kind, denial.budget.id, denial.balance)
    assert ["id-1"] == [hold.id for hold in bench.holds]
    assert [0, 0] == bench.held


# --- others who want the same -----------------------------------------------------------------------------------------


def test_what_others_take_meanwhile_is_clipped_again():
    """Each time to what is left, a few times; then it is refused."""
    bench = Bench(budget(AMOUNT, on_tight="clip"))
    taken = (Balance(0, number * 100_000) for number in range(1, 99))
    bench.answers += [lambda _: Refused((next(taken),), START_MS)] * 20

    bench.denied()

    assert ["reserve", "count"] + ["reserve"] * MAX_CLIPS == bench.way
    assert [AMOUNT - number * 100_000 for number in range(MAX_CLIPS + 1)] == [hold.amount for hold in bench.holds]


def test_a_refusal_that_the_numbers_do_not_show_is_not_asked_for_ever():
    """A ledger and a process that differ about a limit: a bug, and no busy loop."""
    bench = Bench(budget())
    bench.answers += [Refused((Balance(0, 0),), START_MS)] * 99

    assert "store_unavailable" == bench.denied().kind
    assert MAX_MOVES == bench.way.count("reserve")


# --- windows that turn ------------------------------------------------------------------------------------------------


def test_a_window_that_has_turned_is_asked_again():
    """By the store's clock, which is the one that counts."""
    bench = Bench(budget(window="day"))
    bench.store.inner = MemoryStore(lambda: bench.clock.now_ms() + DAY_S * 1000)

    admission = bench.seek()

    assert ["reserve", "reserve"] == bench.way
    assert [START_MS // 1000, START_MS // 1000 + DAY_S] == [hold.lines[0].start for hold in bench.holds]
    assert bench.holds[1] == admission.hold
    assert START_MS // 1000 + DAY_S == bench.seek().hold.lines[0].start
    assert 3 == len(bench.way)


def test_an_id_that_is_used_up_is_replaced():
    """Somebody released it: a hold under it would never be."""
    bench = Bench(budget())
    bench.answers.append(Ended())

    assert "id-2" == bench.seek().hold.id


@pytest.mark.parametrize(("kind", "is_sent"), [("hard", False), ("soft", True)])
def test_a_clock_that_never_agrees_is_an_outage(kind, is_sent):
    """By the budgets' policy: a soft one does not refuse."""
    bench = Bench(budget(kind=kind))
    bench.answers += [Moved(START_MS)] * 99

    if is_sent:
        assert bench.seek().hold is None
    else:
        assert "store_unavailable" == bench.denied().kind
    assert MAX_MOVES == len(bench.holds)


# --- what cannot be priced --------------------------------------------------------------------------------------------

UNHEARD = asked("gpt-unheard-of")


def test_an_unknown_price_is_refused_before_the_ledger_is_asked():
    """The default: the budget counts money."""
    bench = Bench(budget())

    denial = bench.denied(UNHEARD)

    assert [] == bench.way
    assert ("unknown_price", None) == (denial.kind, denial.requested)
    assert "register_model(...) prices it" in str(denial.error())


def test_an_input_without_bound_is_not_for_a_price_to_mend():
    """An image, and a model whose window nobody knows."""
    denial = Bench(budget()).denied(asked("gpt-unheard-of", messages=IMAGE))

    assert "unknown_price" == denial.kind
    assert "nothing bounds what its input may cost" in str(denial.error())
    assert "register_model" not in str(denial.error())


def test_an_unknown_price_may_be_estimated():
    """At the dearest of the provider; that is booked too where the cost stays unknown."""
    bench = Bench(budget(on_unknown_price="estimate"))

    admission = bench.seek(UNHEARD)

    assert admission.hold.amount > AMOUNT
    assert (admission.hold.amount, 5) == (admission.actual(None), admission.actual(5))


def test_an_estimate_that_is_counted_closer_stays_one():
    """It is priced as before: what is not known must not pass for free where money is short."""
    dearest = Bench(budget(on_unknown_price="estimate")).seek(UNHEARD).hold.amount
    bench = Bench(budget(dearest - 1, on_unknown_price="estimate"))
    bench.tokens = 10

    admission = bench.seek(UNHEARD)

    assert ["reserve", "count", "reserve"] == bench.way
    assert 0 < admission.hold.amount < dearest


@pytest.mark.parametrize("policy", [{"on_unknown_price": "allow"}, {"kind": "soft"}], ids=str)
def test_an_unknown_price_may_be_let_through(policy):
    """Nothing is held. Should the cost be known in the end, it is booked."""
    bench = Bench(budget(**policy))

    admission = bench.seek(UNHEARD)

    assert [] == bench.way
    assert (None, True) == (admission.hold, admission.is_billed)
    assert (0, 5) == (admission.actual(None), admission.actual(5))


def test_of_several_policies_the_strictest_counts():
    """One that lets it through must not help it past one that does not."""
    bench = Bench(budget(on_unknown_price="allow"), budget(name="company"), budget(name="all", kind="soft"))

    assert "company" == bench.denied(UNHEARD).budget.id


# --- outage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budgets", "denied_by"),
    [
        ([budget()], "team"),
        ([budget(kind="soft")], None),
        ([budget(on_store_error="allow")], None),
        ([budget(kind="soft", on_store_error="deny")], "team"),
        ([budget(kind="soft"), budget(name="company")], "company"),
        ([budget(kind="soft"), budget(name="company", on_store_error="allow")], None),
        ([budget(on_store_error="allow"), budget(name="company")], "company"),
    ],
    ids=["hard", "soft", "hard-allow", "soft-deny", "soft+hard", "soft+allow", "allow+hard"],
)
def test_while_the_ledger_is_out_every_budget_has_a_say(budgets, denied_by):
    """Hard ones deny and soft ones allow, unless they say otherwise; one that denies is enough."""
    bench = Bench(*budgets)
    bench.answers.append(StoreUnavailableError("out"))

    if denied_by is None:
        admission = bench.seek()
        assert (None, True, AMOUNT) == (admission.hold, admission.is_billed, admission.actual(None))
    else:
        denial = bench.denied()
        assert ("store_unavailable", denied_by, None) == (denial.kind, denial.budget.id, denial.balance)


def test_who_is_let_through_settles_under_an_id_of_its_own():
    """The hold that was asked for is being released under the first one: the cost would be a conflict there."""
    bench = Bench(budget(kind="soft"))
    bench.answers.append(StoreUnavailableError("out"))

    admission = bench.seek()

    assert "id-1" == bench.holds[0].id
    assert "id-2" == admission.id


# --- waiting ----------------------------------------------------------------------------------------------------------

WAITS = {"on_exceeded": "wait", "wait_s": 30}


def test_who_waits_goes_on_when_others_have_settled():
    """It looks often at first, then twice a second."""
    bench = Bench(budget(2 * AMOUNT - 1, **WAITS))
    settle = bench.hold_back(AMOUNT)
    sleep = bench.clock.sleep

    def settle_after_five(seconds):
        sleep(seconds)
        if len(bench.clock.pauses) == 5:
            settle()

    bench.clock.sleep = settle_after_five

    assert AMOUNT == bench.seek().hold.amount
    assert [0.02, 0.032, 0.0512, 0.08192, 0.131072] == pytest.approx(bench.clock.pauses)


@pytest.mark.parametrize(("left_s", "bound_s"), [(None, 30), (100, 30), (3, 3), (0, 0)])
def test_it_waits_no_longer_than_the_budget_and_the_call_allow(left_s, bound_s):
    """Then it is refused, and not told to wait who has waited."""
    bench = Bench(budget(2 * AMOUNT - 1, **WAITS))
    bench.hold_back(AMOUNT)

    denial = bench.denied(left_s=left_s)

    assert bound_s == pytest.approx(bench.clock.passed_s)
    assert max(bench.clock.pauses, default=0) <= 0.5
    assert "in_flight" == denial.kind
    assert "on_exceeded='wait'" not in str(denial.error())
    assert "wait longer" in str(denial.error())


def test_of_two_that_wait_the_shorter_counts():
    """It is the limit of that one."""
    bench = Bench(budget(2 * AMOUNT - 1, **WAITS), budget(2 * AMOUNT - 1, name="x", on_exceeded="wait", wait_s=2))
    bench.hold_back(AMOUNT)

    bench.denied()

    assert 2 == pytest.approx(bench.clock.passed_s)


def test_what_never_fits_is_not_waited_for():
    """It is more than the whole limit."""
    bench = Bench(budget(AMOUNT - 1, **WAITS))

    assert "too_large" == bench.denied().kind
    assert "pause" not in bench.way


def test_a_reset_that_is_near_is_waited_for():
    """Exactly: no asking before it can help."""
    bench = Bench(budget(2 * AMOUNT, window="minute", **WAITS))
    bench.clock.passed_s = 40.0
    bench.spend(2 * AMOUNT)

    admission = bench.seek()

    assert [20] == pytest.approx(bench.clock.pauses)
    assert START_MS // 1000 + 60 == admission.hold.lines[0].start


@pytest.mark.parametrize(
    ("window", "left_s"), [("minute", None), ("minute", 60.0), ("lifetime", None)], ids=["far", "deadline", "never"]
)
def test_a_reset_that_is_far_is_not(window, left_s):
    """The caller is told when, and gets its time back."""
    bench = Bench(budget(2 * AMOUNT, window=window, on_exceeded="wait", wait_s=30 if left_s is None else 300))
    bench.spend(2 * AMOUNT)

    assert "exhausted" == bench.denied(left_s=left_s).kind
    assert [] == bench.clock.pauses


def test_a_rolling_window_is_waited_for_bucket_by_bucket():
    """Some of what is spent leaves it then: not all has to."""
    bench = Bench(budget(2 * AMOUNT, window="rolling:60s", **WAITS))
    bench.spend(2 * AMOUNT)
    bench.clock.passed_s = 50.0

    admission = bench.seek()

    assert [1.0] * 11 == pytest.approx(bench.clock.pauses)
    assert START_MS // 1000 + 61 == admission.hold.lines[0].start
