"""Circuit breakers: when they open, whom they let through, and what closes them."""

from __future__ import annotations

import gc
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from llm_otel.routing import health
from llm_otel.routing.health import MAX_CALLS, BreakerRules, CircuitEvent, CircuitState, Health, Pass

MODEL = ("openai", "gpt-4o-mini")
OTHER = ("anthropic", "claude-haiku-4-5")
RULES = BreakerRules(failure_ratio=0.5, min_calls=4, window_s=10.0, open_s=30.0)


class Service:
    """Some calls of one process, with the events that were told."""

    def __init__(self, rules: BreakerRules = RULES) -> None:
        self.events: list[tuple[tuple[str, str], CircuitEvent]] = []
        self.health = Health(rules, tell=lambda *event: self.events.append(event))

    def call(self, now_s: float, *, failed: bool | None, model: tuple[str, str] = MODEL) -> bool:
        """Make a call that takes no time; return whether it was let through."""
        admitted = self.health.admits(model, now_s)
        if admitted is not None:
            self.health.noted(admitted, now_s, failed=failed)
        return admitted is not None

    def opened(self, now_s: float = 0.0, model: tuple[str, str] = MODEL) -> Service:
        """Fail as often as it takes."""
        assert [True] * 4 == [self.call(now_s, failed=True, model=model) for _ in range(4)]
        return self

    def admitted(self, now_s: float) -> Pass:
        """Begin a call that is let through."""
        admitted = self.health.admits(MODEL, now_s)
        assert admitted is not None
        return admitted

    def state(self, now_s: float) -> CircuitState:
        """How the circuit of the model stands."""
        return dict(self.health.states(now_s))[MODEL]


@pytest.fixture
def service() -> Service:
    """One with closed circuits."""
    return Service()


# --- opening ----------------------------------------------------------------------------------------------------------


def test_half_failing_of_enough_calls_opens(service):
    """Not three of three, which are too few; two of four."""
    outcomes = [service.call(now_s, failed=failed) for now_s, failed in enumerate((False, True, False, True))]

    assert [True] * 4 == outcomes
    assert not service.call(4, failed=False)
    assert CircuitState.OPEN is service.state(4)


def test_too_few_calls_do_not_open(service):
    """All of them failed: it may be chance."""
    for now_s in range(3):
        service.call(now_s, failed=True)

    assert service.call(3, failed=False)


def test_less_than_the_ratio_does_not_open(service):
    """Three of nine, four of ten, five of eleven; the sixth of twelve is half."""
    for failed in (False, False, False, True, False, True, False, True, False):
        service.call(0, failed=failed)
    states = []
    for _ in range(3):
        states.append(service.state(0))
        service.call(0, failed=True)

    assert [CircuitState.CLOSED] * 3 == states
    assert CircuitState.OPEN is service.state(0)


def test_a_success_opens_nothing():
    """Though with it there are calls enough, most of which failed: the model just answered."""
    service = Service()
    for failed in (True, True, True, False):
        service.call(0, failed=failed)

    assert CircuitState.CLOSED is service.state(0)


def test_calls_that_say_nothing_are_not_counted(service):
    """Neither as failures nor among the calls: cancelled, refused because of what they asked."""
    for failed in (True, None, True, None, True, None, None):
        service.call(0, failed=failed)

    assert CircuitState.CLOSED is service.state(0)


def test_old_calls_are_forgotten(service):
    """The window is 10 s long; a call that is exactly as old is out."""
    for now_s in (0, 0, 0, 10):
        service.call(now_s, failed=True)

    assert CircuitState.CLOSED is service.state(10)
    for now_s in (10, 10, 19.9):
        service.call(now_s, failed=True)
    assert CircuitState.OPEN is service.state(19.9)


def test_of_many_calls_the_last_count(service):
    """A long good time within the window does not hide an outage."""
    for _ in range(10 * MAX_CALLS):
        service.call(0, failed=False)
    needed = 0
    while service.call(1, failed=True):
        needed += 1

    assert MAX_CALLS // 2 == needed


def test_more_calls_are_looked_at_where_more_are_asked_for():
    """A rule that could never be met would be no breaker."""
    service = Service(BreakerRules(failure_ratio=1.0, min_calls=3 * MAX_CALLS))
    needed = 0
    while service.call(0, failed=True):
        needed += 1

    assert 3 * MAX_CALLS == needed


def test_one_failure_is_enough_where_one_is_asked_for():
    """The strictest rule."""
    service = Service(BreakerRules(failure_ratio=1.0, min_calls=1))
    service.call(0, failed=True)

    assert not service.call(0, failed=True)


def test_models_fail_by_themselves(service):
    """A circuit for each provider and model: another one of the same name goes on."""
    service.opened()

    assert service.call(0, failed=False, model=OTHER)
    assert service.call(0, failed=False, model=("azure.ai.openai", MODEL[1]))
    assert frozenset({MODEL}) == service.health.open_models(0)


# --- open, and the probe ----------------------------------------------------------------------------------------------


def test_an_open_circuit_refuses_until_the_pause_is_over(service):
    """And says how long that is."""
    service.opened(5.0)

    assert not service.call(34.999, failed=False)
    assert 20.0 == service.health.retry_after_s(MODEL, 15.0)
    assert 0.0 == service.health.retry_after_s(MODEL, 35.0)
    assert CircuitState.HALF_OPEN is service.state(35.0)
    assert service.call(35.0, failed=False)


def test_one_probe_goes_while_the_others_are_refused(service):
    """Until it is known how it went."""
    service.opened()
    probe = service.admitted(30)

    assert probe.is_probe
    assert MODEL == probe.model
    assert [False] * 3 == [service.call(31, failed=False) for _ in range(3)]
    assert frozenset({MODEL}) == service.health.open_models(31)
    assert CircuitState.HALF_OPEN is service.state(31)
    assert 29.0 == service.health.retry_after_s(MODEL, 31)


def test_a_probe_that_succeeds_closes(service):
    """Everyone goes, and the failures from before are forgotten."""
    service.opened()
    service.health.noted(service.admitted(30), 31, failed=False)

    assert CircuitState.CLOSED is service.state(31)
    assert all(service.call(31, failed=failed) for failed in (True, True, True))
    assert frozenset() == service.health.open_models(31)


def test_a_probe_that_fails_opens_anew(service):
    """The pause is as long as before, from the end of the probe."""
    service.opened()
    service.health.noted(service.admitted(30), 35, failed=True)

    assert not service.call(64.9, failed=False)
    assert service.call(65.0, failed=False)
    assert CircuitState.CLOSED is service.state(65.0)


def test_a_probe_that_says_nothing_is_given_back(service):
    """It was cancelled, or not sent after all: the next caller is the probe."""
    service.opened()
    service.health.noted(service.admitted(30), 32, failed=None)

    assert frozenset() == service.health.open_models(32)
    assert service.admitted(32).is_probe
    assert not service.call(32, failed=False)


def test_a_lost_probe_blocks_for_the_pause_only(service):
    """Whoever had it may have been killed."""
    service.opened()
    service.admitted(30)

    assert not service.call(59.9, failed=False)
    assert service.admitted(60).is_probe
    assert not service.call(60, failed=False)


def test_asking_takes_no_probe(service):
    """A decision looks at all models, and sends to one."""
    service.opened()

    assert [frozenset({MODEL}), frozenset(), frozenset()] == [service.health.open_models(at) for at in (29, 30, 30)]
    assert service.admitted(30).is_probe


def test_a_single_model_has_a_breaker_too(service):
    """There is nobody to go to instead: it is refused all the same, and comes back."""
    service.opened()
    refused = [service.call(now_s, failed=True) for now_s in range(1, 30)]

    assert not any(refused)
    assert service.call(30, failed=False)
    assert service.call(30, failed=False)


# --- results that come late -------------------------------------------------------------------------------------------


def test_a_slow_success_from_before_the_outage_does_not_close(service):
    """It says how the model was, not how it is."""
    slow = service.admitted(0)
    service.opened(1)
    service.health.noted(slow, 2, failed=False)

    assert CircuitState.OPEN is service.state(2)
    assert not service.call(3, failed=False)


def test_failures_of_calls_in_flight_do_not_lengthen_the_pause(service):
    """A thousand were sent before the first failed."""
    in_flight = [service.admitted(0) for _ in range(1_000)]
    for at_s, each in enumerate(in_flight):
        service.health.noted(each, at_s / 100, failed=True)

    assert service.call(0.03 + 30, failed=False)
    assert 1 == service.events.count((MODEL, CircuitEvent.OPENED))


def test_a_slow_failure_from_before_recovery_is_not_counted(service):
    """Else the circuit would open again on what is over."""
    slow = [service.admitted(0) for _ in range(8)]
    for each in slow[:4]:
        service.health.noted(each, 0, failed=True)
    service.health.noted(service.admitted(30), 31, failed=False)
    for each in slow[4:]:
        service.health.noted(each, 32, failed=True)

    assert CircuitState.CLOSED is service.state(32)
    assert all(service.call(32, failed=failed) for failed in (True, True, True))


def test_a_probe_that_succeeds_late_closes(service):
    """Answers of this model take longer than the pause: without that it would never be found well."""
    service.opened()
    late = service.admitted(30)
    service.admitted(60)
    service.health.noted(late, 75, failed=False)

    assert CircuitState.CLOSED is service.state(75)


@pytest.mark.parametrize("failed", [True, None])
def test_a_late_probe_that_did_not_succeed_leaves_the_decision_to_the_next(service, failed):
    """Neither does it open anew, nor does it let a third one through."""
    service.opened()
    late = service.admitted(30)
    newer = service.admitted(60)
    service.health.noted(late, 75, failed=failed)

    assert not service.call(76, failed=False)
    service.health.noted(newer, 80, failed=False)
    assert CircuitState.CLOSED is service.state(80)


def test_a_late_probe_says_nothing_once_another_has_decided(service):
    """The later one failed: an older success does not close what was opened since."""
    service.opened()
    late = service.admitted(30)
    service.health.noted(service.admitted(60), 61, failed=True)
    service.health.noted(late, 75, failed=False)

    assert CircuitState.OPEN is service.state(75)


# --- what is told -----------------------------------------------------------------------------------------------------


def test_events_are_told_in_order(service):
    """From the first call of a model to the probe that closes its circuit."""
    service.opened()
    service.call(1, failed=False)
    service.call(30, failed=True)
    service.call(60, failed=False)
    service.call(61, failed=False)

    events = [CircuitEvent(event) for _, event in service.events]
    assert ["known", "opened", "refused", "opened", "closed"] == events


def test_nobody_has_to_listen():
    """Health is of use by itself."""
    quiet = Health(RULES)
    for _ in range(4):
        admitted = quiet.admits(MODEL, 0)
        assert admitted is not None
        quiet.noted(admitted, 0, failed=True)

    assert quiet.admits(MODEL, 0) is None


def test_who_is_told_may_ask(service):
    """No lock is held: what is told from here is how a gauge is set."""
    seen = []
    asking = Health(RULES, tell=lambda *_: seen.append(asking.open_models(0)))
    other_thread = ThreadPoolExecutor(1)
    telling = Health(RULES, tell=lambda *_: other_thread.submit(telling.states, 0).result(10))
    for each in (asking, telling):
        for _ in range(4):
            admitted = each.admits(MODEL, 0)
            assert admitted is not None
            each.noted(admitted, 0, failed=True)

    assert [frozenset(), frozenset({MODEL})] == seen
    other_thread.shutdown()


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def _room_for_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MAX_MODELS", 3)


def models(service: Service) -> list[str]:
    """The models that are remembered."""
    return [model for (_, model), _ in service.health.states(0)]


@pytest.mark.usefixtures("_room_for_three")
def test_the_model_not_asked_for_longest_is_forgotten(service):
    """Names may come from users."""
    for model in ("a", "b", "c", "a", "d"):
        service.call(0, failed=False, model=("openai", model))

    assert ["c", "a", "d"] == models(service)


@pytest.mark.usefixtures("_room_for_three")
def test_an_open_circuit_is_not_forgotten_for_a_closed_one(service):
    """Else a flood of names would send everyone back to a model that is down."""
    service.opened(model=("openai", "down"))
    for model in ("a", "b", "c", "d"):
        service.call(0, failed=False, model=("openai", model))

    assert ["down", "c", "d"] == models(service)
    assert not service.call(0, failed=False, model=("openai", "down"))


@pytest.mark.usefixtures("_room_for_three")
def test_where_all_are_open_the_oldest_is_forgotten(service):
    """Memory is bounded whatever happens, and no gauge shows it open for ever."""
    for model in ("a", "b", "c"):
        service.opened(model=("openai", model))
    service.call(0, failed=False, model=("openai", "new"))

    assert ["b", "c", "new"] == models(service)
    assert (("openai", "a"), CircuitEvent.CLOSED) in service.events
    assert frozenset({("openai", "b"), ("openai", "c")}) == service.health.open_models(0)


@pytest.mark.usefixtures("_room_for_three")
def test_results_of_a_forgotten_model_go_nowhere(service):
    """Its calls began with a circuit that is no more."""
    admitted = [service.health.admits(MODEL, 0) for _ in range(4)]
    for model in ("a", "b", "c"):
        service.call(0, failed=False, model=("openai", model))
    for each in admitted:
        service.health.noted(each, 0, failed=True)

    assert ["a", "b", "c"] == models(service)
    assert frozenset() == service.health.open_models(0)
    assert CircuitEvent.OPENED not in [event for _, event in service.events]


# --- threads, finalisers, forks ---------------------------------------------------------------------------------------


def race(work, threads: int) -> list:
    """Let all threads begin at once, and interrupt each other often."""
    barrier = threading.Barrier(threads)

    def run(number: int):
        barrier.wait()
        return work(number)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(run, range(threads)))
    finally:
        sys.setswitchinterval(before)


def test_exactly_one_of_many_threads_is_the_probe(service):
    """Round after round; all others are refused."""
    now_s = 0.0
    service.opened(now_s)
    for _ in range(10):
        now_s += 30
        passes = [each for each in race(lambda _, at=now_s: service.health.admits(MODEL, at), 64) if each]

        assert 1 == len(passes)
        service.health.noted(passes[0], now_s, failed=True)


def test_threads_lose_no_outcome():
    """As many failures as successes, from threads that interrupt each other: it opens with exactly the last."""
    calls, threads = 40, 8
    service = Service(BreakerRules(failure_ratio=0.5, min_calls=calls * threads, window_s=1.0))

    def work(number: int) -> list[bool]:
        return [service.call(0, failed=number % 2 == 0) for _ in range(calls)]

    assert all(all(each) for each in race(work, threads))
    service.call(0, failed=True)
    assert CircuitState.OPEN is service.state(0)


def test_a_call_may_end_in_a_finaliser(service):
    """The garbage collector ends a stream wherever it likes, on the thread that holds the lock too."""

    class Stream:
        def __init__(self) -> None:
            self.cycle = self
            self.admitted = service.health.admits(MODEL, 0)

        def __del__(self) -> None:
            if self.admitted is not None:
                service.health.noted(self.admitted, 0, failed=True)

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(200):
            Stream()
            service.call(0, failed=False)
            service.health.open_models(0)
            service.health.states(0)
    finally:
        gc.set_threshold(*before)
    gc.collect()

    assert CircuitState.OPEN is service.state(0)
    assert 1 == service.events.count((MODEL, CircuitEvent.OPENED))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_child_goes_on_while_a_thread_of_the_parent_held_the_lock(service):
    """The thread is not there to give it back."""
    service.opened()
    is_held, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with service.health._lock:
            is_held.set()
            may_go.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(10)
    child = os.fork()
    if child == 0:
        # Ends it, should it wait for ever.
        threading.Timer(10, os._exit, (2,)).start()
        os._exit(int(service.health.admits(MODEL, 1) is not None))
    may_go.set()
    thread.join()

    assert (child, 0) == os.waitpid(child, 0)
