"""The most that one call may cost, all its requests together: an exact bound, with budgets and without."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_otel import steps
from llm_otel.budgets.matching import NOTHING, run_budget, run_of
from llm_otel.enforcement.admission import Admission, DeniedError
from llm_otel.enforcement.offers import Asked
from llm_otel.enforcement.purse import Purse
from llm_otel.enforcement.steps import Reserve
from llm_otel.steps import Count
from llm_otel.usage import Usage
from tests.enforcement.enforcers import AT, Made, budget, request
from tests.stores.lines import START_MS

ARGUMENTS = {"messages": [{"role": "user", "content": "Hello, my old friend!"}], "max_tokens": 100}
UNLIMITED = {"messages": ARGUMENTS["messages"]}
IMAGE = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.test/a"}}]}]}
UNHEARD = request("gpt-unheard-of")
RUN = run_of(run_budget("digest", "1"), "run-1", now_s=START_MS // 1000)


def bound(model="gpt-4o", provider="openai", arguments=ARGUMENTS) -> int:
    """What the request costs at most, in nano-USD."""
    offer = Made().enforcer.appraiser.offer(Asked(provider, model, arguments, None, AT), is_bound=True)
    assert offer.amount is not None
    return offer.amount


AMOUNT, MINI = bound(), bound("gpt-4o-mini")


class Call:
    """One call: its purse, and the steps that it took."""

    def __init__(self, made: Made, *, ceiling: int | None, run=NOTHING) -> None:
        self.made = made
        self.ceiling = ceiling
        self.way: list[type] = []
        self.purse = Purse(made.enforcer, run, lambda _: None)

    def seek(self, asked=None, arguments=ARGUMENTS, *, may_change_model=True) -> Admission:
        """Seek leave for a request to the end."""
        walk = self.purse.seek(
            asked or request(),
            arguments,
            at=AT,
            left_s=10,
            may_change_model=may_change_model,
            ceiling=self.ceiling,
        )
        admission = steps.run(self._watched(walk))
        self.purse.admitted(admission, now_s=self.made.clock.monotonic())
        return admission

    def denied(self, *args, **others):
        """Seek leave that is refused; return the refusal."""
        with pytest.raises(DeniedError) as caught:
            self.seek(*args, **others)
        return caught.value.denial

    def settle(self, cost, *, may_be_billed=True):
        """Pay for the request; return how it was held."""
        return self.purse.settle(None, cost, may_be_billed=may_be_billed, may_block=True)

    def _watched(self, walk):
        done = None
        while True:
            try:
                step = walk.send(done)
            except StopIteration as stop:
                return stop.value
            self.way.append(type(step))
            done = yield step


# --- without any budget -----------------------------------------------------------------------------------------------


def test_a_call_that_has_a_ceiling_is_concerned():
    """Without one, and without a budget, no leave is sought."""
    enforcer = Made().enforcer

    assert [True, True, False] == [enforcer.concerns(NOTHING, ceiling=each) for each in (5, 0, None)]


@pytest.mark.parametrize(("ceiling", "is_sent"), [(AMOUNT, True), (AMOUNT - 1, False), (0, False)])
def test_what_may_cost_more_than_the_ceiling_is_not_sent(ceiling, is_sent):
    """The bound is inclusive; it takes no ledger, and holds nothing."""
    made = Made(is_instant=False)
    call = Call(made, ceiling=ceiling)

    if is_sent:
        admission = call.seek()
        assert (None, False) == (admission.hold, admission.is_billed)
        held = call.settle(AMOUNT // 2)
        assert ((), None, None, False) == (held.budgets, held.amount_nano, held.max_tokens, held.is_exceeded)
    else:
        assert "too_large" == call.denied().kind
    assert ([], []) == (made.store.reserved, made.store.asked_to_settle)


def test_what_is_free_needs_no_room():
    """A local model under a ceiling of nothing."""
    assert Call(Made(), ceiling=0).seek(request("llama3", "ollama")).offer.is_free


def test_where_no_output_limit_was_given_one_is_sent():
    """Without it the bound is not real; without a ceiling the request is left as it is."""
    call = Call(Made(), ceiling=10**12)

    offer = call.seek(arguments=UNLIMITED).offer

    assert (4096, True) == (offer.max_tokens, offer.is_defaulted)
    held = call.settle(5)
    assert (4096, True) == (held.max_tokens, held.is_defaulted)
    assert Call(Made(), ceiling=None).seek(arguments=UNLIMITED).offer.max_tokens is None


def test_first_the_tokens_are_counted():
    """A closer bound may be all it takes."""
    made = Made()
    made.tokens = 10
    closer = 10 * 2500 + 100 * 10_000
    call = Call(made, ceiling=closer)

    assert closer == call.seek().offer.amount
    assert [Count] == call.way
    assert "too_large" == Call(made, ceiling=closer - 1).denied().kind


def test_an_unknown_price_has_no_bound():
    """Neither a model that nobody prices, nor an input that nothing bounds."""
    call = Call(Made(), ceiling=10**12)

    assert ("unknown_price", None) == (call.denied(UNHEARD).kind, call.denied(UNHEARD).requested)
    assert "register_model(...) prices it, without max_cost_usd it passes" in str(call.denied(UNHEARD).error())
    assert "nothing bounds what its input may cost" in str(call.denied(UNHEARD, IMAGE).error())
    assert [] == call.way


def test_a_refusal_says_what_to_do():
    """The limit, what the call could cost, and the ways out; as fields too. No budget that anybody declared."""
    denial = Call(Made(), ceiling=20_000).denied()
    error = denial.error()

    assert denial.is_of_call
    assert str(error) == (
        "Budget 'max_cost_usd' (this call) refused a call of up to "
        f"{error.requested_usd.normalize():f} USD: the limit is 0.00002 USD; "
        "take a cheaper model, lower max_tokens, or raise max_cost_usd"
    )
    assert ("too_large", "max_cost_usd", "", "this call") == (error.kind, error.budget, error.scope, error.window)
    assert (20_000, 0, 0) == tuple(int(each * 10**9) for each in (error.limit_usd, error.spent_usd, error.held_usd))
    assert AMOUNT == int(error.requested_usd * 10**9)
    assert (None, None) == (error.resets_at, error.retry_after_s)


# --- over all requests of a call --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cost", "may_be_billed", "booked"),
    [(1_000, True, 1_000), (None, True, MINI), (None, False, 0), (1_000, False, 0)],
    ids=["known", "unknown", "never-arrived", "refused"],
)
def test_what_earlier_requests_cost_is_taken_off(cost, may_be_billed, booked):
    """What was booked of each: the bound where the cost is not known, nothing where nothing can be billed."""
    for left, is_sent in ((AMOUNT, True), (AMOUNT - 1, False)):
        call = Call(Made(), ceiling=booked + left)
        call.seek(request("gpt-4o-mini"))
        call.settle(cost, may_be_billed=may_be_billed)
        if is_sent:
            call.seek()
        else:
            assert ("too_large", booked) == (call.denied().kind, call.denied().balance.spent)


def test_a_refusal_after_others_names_what_they_cost():
    """The limit alone would not explain it."""
    call = Call(Made(), ceiling=AMOUNT)
    call.seek()
    call.settle(1_000)

    error = call.denied().error()
    assert f": 0.000001 of {error.limit_usd.normalize():f} USD are spent by earlier attempts; take a" in str(error)


def test_a_request_that_never_went_out_costs_nothing():
    """It was struck between the leave and the request."""
    call = Call(Made(), ceiling=AMOUNT)
    for _ in range(3):
        call.seek()
        call.settle(None, may_be_billed=False)

    assert AMOUNT == call.seek().offer.amount


# --- beside budgets ---------------------------------------------------------------------------------------------------


def test_both_have_to_agree():
    """What fits below the ceiling is held to its budgets as ever; what does not never gets there."""
    made = Made(budget(10 * AMOUNT), is_instant=False)

    assert AMOUNT == Call(made, ceiling=AMOUNT, run=RUN).seek().hold.amount
    assert "max_cost_usd" == Call(made, ceiling=AMOUNT - 1, run=RUN).denied().budget.id
    assert "team" == Call(Made(budget(AMOUNT - 1)), ceiling=AMOUNT).denied().budget.id
    assert 1 == len(made.store.reserved)


@pytest.mark.parametrize(
    "policy", [{"on_exceeded": "downgrade"}, {"on_exceeded": "wait"}, {"on_tight": "clip"}], ids=str
)
def test_what_a_budget_allows_does_not_help_past_the_ceiling(policy):
    """The caller set it for this call: nothing is made cheaper in silence, and no wait helps."""
    made = Made(budget(10 * AMOUNT, **policy))
    call = Call(made, ceiling=AMOUNT - 1)

    assert "max_cost_usd" == call.denied().budget.id
    assert ([Count], []) == (call.way, made.clock.pauses)


@pytest.mark.parametrize(
    ("policy", "amount"),
    [({"on_tight": "clip"}, AMOUNT - 1), ({"on_exceeded": "downgrade", "downgrade_to": ("gpt-4o-mini",)}, MINI)],
    ids=["clip", "downgrade"],
)
def test_what_a_budget_makes_smaller_stays_below_the_ceiling(policy, amount):
    """It is weighed as it is sent."""
    admission = Call(Made(budget(AMOUNT - 1, **policy)), ceiling=AMOUNT).seek()

    assert admission.hold.amount <= amount
    assert admission.offer.is_clipped or admission.offer.is_downgraded


@pytest.mark.parametrize(
    ("policy", "denier"), [("deny", "team"), ("estimate", "max_cost_usd"), ("allow", "max_cost_usd")]
)
def test_a_budget_may_let_an_unknown_price_pass_and_the_ceiling_does_not(policy, denier):
    """An estimate is no bound."""
    denial = Call(Made(budget(on_unknown_price=policy)), ceiling=10**12).denied(UNHEARD)

    assert ("unknown_price", denier) == (denial.kind, denial.budget.id)


def test_a_ledger_that_is_out_has_no_say_about_the_ceiling():
    """It is weighed here."""
    made = Made(budget(kind="soft"), is_instant=False)
    made.store.is_out = True

    assert Call(made, ceiling=AMOUNT).seek().hold is None
    assert "max_cost_usd" == Call(made, ceiling=AMOUNT - 1).denied().budget.id


# --- one call, several models -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_instant", [True, False])
@pytest.mark.parametrize("ceiling", [None, 10 * AMOUNT])
def test_who_was_refused_may_ask_for_another_model(ceiling, is_instant):
    """With the same purse: nothing is held, waiting or booked by the refusal, and the next request is held once."""
    made = Made(budget(AMOUNT), budget(AMOUNT - 1, "large", match={"model": "gpt-4o"}), is_instant=is_instant)
    call = Call(made, ceiling=ceiling)

    assert "large" == call.denied().budget.id
    assert call.purse.admission is None
    assert ([(0, 0)] * 2, []) == ([made.standing(each) for each in ("team", "large")], made.store.asked_to_settle)

    admission = call.seek(request("gpt-4o-mini"))
    assert (MINI, [(0, MINI), (0, 0)]) == (admission.hold.amount, [made.standing(each) for each in ("team", "large")])
    assert (("team", ""),) == call.settle(100).budgets
    assert (100, 0) == made.standing()
    assert made.enforcer.flush(5)


def test_a_refusal_between_two_requests_leaves_the_first_bill_alone():
    """The first target failed and was booked, the second is refused, the third is sent."""
    made = Made(budget(AMOUNT + MINI), budget(1, "large", match={"model": "gpt-4.1"}))
    call = Call(made, ceiling=AMOUNT + MINI)

    call.seek(request("gpt-4o-mini"))
    call.settle(7)
    assert "large" == call.denied(request("gpt-4.1")).budget.id
    assert (7, 0) == made.standing()
    call.seek()
    call.settle(11)

    assert ((18, 0), (0, 0)) == (made.standing(), made.standing("large"))


def test_who_waited_in_vain_may_ask_for_another_model():
    """The wait is over with the refusal; every hold that was asked for was refused, and no id is used twice."""
    made = Made(
        budget(2 * AMOUNT - 1, on_exceeded="wait", wait_s=1, match={"model": "gpt-4o"}), budget(10 * AMOUNT, "all")
    )
    other = Call(made, ceiling=None)
    other.seek()
    call = Call(made, ceiling=None)

    assert "in_flight" == call.denied().kind
    assert AMOUNT == made.standing()[1]
    call.seek(request("gpt-4o-mini"))

    assert (AMOUNT + MINI, 0) == (made.standing("all")[1], made.standing("all")[0])
    assert call.purse.admission.id != made.store.reserved[1]
    for each in (call, other):
        each.settle(None, may_be_billed=False)
    assert [(0, 0)] * 2 == [made.standing(each) for each in ("team", "all")]


def test_a_refusal_during_an_outage_gives_back_what_may_be_held():
    """The store may have held it and failed to say so."""
    made = Made(budget(), is_instant=False)
    call = Call(made, ceiling=None)
    made.store.is_out = True
    assert "store_unavailable" == call.denied().kind
    made.store.is_out = False
    made.clock.passed_s = 60

    call.seek(request("gpt-4o-mini"))
    assert made.enforcer.flush(5)
    assert (0, MINI) == made.standing()


def test_what_a_fallback_saves_is_told_against_the_model_it_was_to_be():
    """A downgrade of the second target, not of the first."""
    made = Made(budget(AMOUNT - 1, on_exceeded="downgrade", downgrade_to=("gpt-4o-mini",)))
    call = Call(made, ceiling=None)
    call.denied(request("gpt-4o"), may_change_model=False)

    call.seek(request("gpt-4o"))
    held = call.purse.settle(
        Usage.of(input_tokens=10, output_tokens=10), 10 * 150 + 10 * 600, may_be_billed=True, may_block=True
    )

    assert 10 * 2500 + 10 * 10_000 - 10 * 150 - 10 * 600 == held.saved_nano


# --- any call ---------------------------------------------------------------------------------------------------------

MODELS = [("openai", "gpt-4o"), ("openai", "gpt-4o-mini"), ("anthropic", "claude-3-haiku-20240307"), ("ollama", "x")]
attempts = st.lists(
    st.tuples(
        st.sampled_from(MODELS),
        st.sampled_from([1, 20, 100, 3000, None]),
        st.none() | st.floats(0, 1),
        st.booleans(),
    ),
    max_size=8,
)
policies = st.fixed_dictionaries(
    {
        "limit_nano": st.integers(0, 4 * AMOUNT),
        "on_exceeded": st.sampled_from(["deny", "downgrade", "wait"]),
        "on_tight": st.sampled_from(["deny", "clip"]),
    }
)


@given(
    ceiling=st.integers(0, 4 * AMOUNT), policy=st.none() | policies, attempts=attempts, tokens=st.none() | st.just(3)
)
def test_no_call_ever_costs_more_than_its_ceiling(ceiling, policy, attempts, tokens):
    """Never sent where what it has cost and what the request may cost are more, whatever its budgets do to it.

    A refusal by the ceiling is right: the request as it was, counted closer, would have passed it.
    """
    made = Made(*([budget(**policy)] if policy else []))
    made.tokens = tokens
    call, spent, refusals = Call(made, ceiling=ceiling), 0, []
    for (provider, model), max_tokens, share, may_be_billed in attempts:
        arguments = UNLIMITED if max_tokens is None else {**UNLIMITED, "max_tokens": max_tokens}
        try:
            admission = call.seek(request(model, provider), arguments)
        except DeniedError as exc:
            refusals.append((exc.denial, spent))
            continue
        amount = admission.offer.amount
        assert spent + amount <= ceiling
        assert amount == 0 or arguments.get("max_tokens") or admission.offer.max_tokens
        cost = None if share is None else int(share * amount)
        call.settle(cost, may_be_billed=may_be_billed)
        spent += (amount if cost is None else cost) if may_be_billed else 0
    assert spent <= ceiling
    assert all(before + each.requested > ceiling for each, before in refusals if each.is_of_call)
    if policy:
        assert (spent, 0) == made.standing()
    assert Reserve not in call.way or policy
