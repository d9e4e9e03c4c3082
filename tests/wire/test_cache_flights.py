"""Many who ask the same at the same time: one request, whoever they are, and nobody waits for what does not come."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal

import pytest

from llm_otel import Budget, BudgetExceededError, LLMConfig, LLMRouter, ProviderError, semconv
from llm_otel.demo.simulator import Fail, Finish, Hang, Reply
from tests.wire.books import success
from tests.wire.callers import HELLO, MODELS

MANY = 40
FEW = 8
LONG_S = 60.0
TEXT = "Hello there, how can I help you today?"
REPLY = Reply(TEXT, input_tokens=18, output_tokens=9)
COST = MODELS["openai"].cost(18, 9)
ASKED = LLMConfig(model="gpt-4o-mini", max_retries=0, cache_ttl_s=60.0)


def until(is_so):
    """Wait for something that others do."""
    pause = threading.Event()
    for _ in range(int(LONG_S / 0.002)):
        if is_so():
            return
        pause.wait(0.002)
    pytest.fail("what was waited for did not happen")


def waiting(made):
    """Return how many wait for another's answer."""
    return sum(len(flight.waiters) for flight in tuple(made.response_cache._flights._by_key.values()))


@contextmanager
def meanwhile(work):
    """Do something in another thread, be it while an event loop runs here."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        yield
        done.result()


def then(made, number, work):
    """Return work that is done once so many wait."""

    def wait_and_work():
        until(lambda: waiting(made) >= number)
        work()

    return wait_and_work


def outcomes(books):
    """Return how many calls ended how."""
    return books.by_spans().outcomes


# --- one request ------------------------------------------------------------------------------------------------------


def test_threads_ask_once(simulator, books, runtime):
    """One request, one bill; all others are hits, and hold nothing while they wait."""
    router, hang = LLMRouter(), Hang(reply=REPLY)
    simulator.script(hang)
    held = []

    def look_and_release():
        held.append(sum(status.held_usd for status in runtime.enforcer.statuses()))
        hang.release()

    with meanwhile(then(runtime, MANY - 1, look_and_release)), ThreadPoolExecutor(MANY) as pool:
        got = [each.result() for each in [pool.submit(router.complete, HELLO, ASKED) for _ in range(MANY)]]

    assert [TEXT] * MANY == [each.content for each in got]
    assert (1, MANY - 1) == (len(simulator.requests), sum(each.is_cached for each in got))
    assert {"success": 1, "cached": MANY - 1} == outcomes(books)
    assert (MANY - 1) * COST == round(books.metric(semconv.SAVED, reason=semconv.SAVED_BY_RESPONSE_CACHE) * 1e9)
    (sent,) = (span for span in books.calls if span.attributes[semconv.OUTCOME] == "success")
    assert [Decimal(sent.attributes[semconv.BUDGET_HELD_NANO_USD]).scaleb(-9)] == held


def test_tasks_ask_once(simulator, books, runtime, run):
    """As threads do."""
    router, hang = LLMRouter(), Hang(reply=REPLY)
    simulator.script(hang)

    async def main():
        return await asyncio.gather(*(router.acomplete(HELLO, ASKED) for _ in range(MANY)))

    with meanwhile(then(runtime, MANY - 1, hang.release)):
        got = run(main())

    assert (1, MANY - 1) == (len(simulator.requests), sum(each.is_cached for each in got))


def test_threads_and_tasks_wait_for_each_other(simulator, books, runtime, run):
    """There is one cache in a process."""
    router, hang = LLMRouter(), Hang(reply=REPLY)
    simulator.script(hang)

    async def main():
        return await asyncio.gather(*(router.acomplete(HELLO, ASKED) for _ in range(FEW)))

    with ThreadPoolExecutor(FEW) as pool, meanwhile(then(runtime, 2 * FEW - 1, hang.release)):
        threads = [pool.submit(router.complete, HELLO, ASKED) for _ in range(FEW)]
        got = [*run(main()), *(each.result() for each in threads)]

    assert (1, 2 * FEW - 1) == (len(simulator.requests), sum(each.is_cached for each in got))


def test_different_questions_do_not_wait(simulator, books, runtime):
    """Each is with the provider at once."""
    router, hang = LLMRouter(), Hang(reply=REPLY)
    simulator.script(hang, repeat=True)
    with ThreadPoolExecutor(FEW) as pool:
        asking = [
            pool.submit(router.complete, [{"role": "user", "content": f"Number {number}"}], ASKED)
            for number in range(FEW)
        ]
        simulator.wait_for_requests(FEW)
        hang.release()

    assert [False] * FEW == [each.result().is_cached for each in asking]


# --- a leader who brings nothing --------------------------------------------------------------------------------------


def test_when_the_leader_fails_one_of_the_others_leads(simulator, books):
    """Its error is its own; the rest get what the next one gets."""
    router = LLMRouter()
    simulator.script(Hang(), REPLY)
    with ThreadPoolExecutor(FEW) as pool:
        leading = pool.submit(router.complete, HELLO, ASKED.model_copy(update={"timeout_s": 2.0}))
        simulator.wait_for_requests()
        others = [pool.submit(router.complete, HELLO, ASKED) for _ in range(FEW - 1)]

    assert isinstance(leading.exception(), ProviderError)
    assert [TEXT] * (FEW - 1) == [each.result().content for each in others]
    assert {"error": 1, "success": 1, "cached": FEW - 2} == outcomes(books)
    assert 2 == len(simulator.requests)


def test_when_the_leader_is_cancelled_one_of_the_others_leads(simulator, books, runtime, run):
    """A cancel hurts nobody else, be it of who leads or of who waits."""
    router = LLMRouter()
    simulator.script(Hang(), REPLY)

    async def main():
        leader = asyncio.create_task(router.acomplete(HELLO, ASKED))
        await asyncio.to_thread(simulator.wait_for_requests, 1)
        others = [asyncio.create_task(router.acomplete(HELLO, ASKED)) for _ in range(FEW)]
        await asyncio.to_thread(until, lambda: waiting(runtime) == FEW)
        others[0].cancel()
        leader.cancel()
        return await asyncio.gather(leader, *others, return_exceptions=True)

    got = run(main())

    assert [True, True] == [isinstance(each, asyncio.CancelledError) for each in got[:2]]
    assert [TEXT] * (FEW - 1) == [each.content for each in got[2:]]
    assert {"cancelled": 2, "success": 1, "cached": FEW - 2} == outcomes(books)
    assert 0 == waiting(runtime)


FOR_ONE_ALONE = {
    "cut off by the limit": Reply(TEXT, finish=Finish.LENGTH),
    "cut off by a filter": Reply(TEXT, finish=Finish.CONTENT_FILTER),
    "the answer of a fallback": Fail(503),
}


@pytest.mark.parametrize("first", FOR_ONE_ALONE.values(), ids=FOR_ONE_ALONE)
def test_what_is_not_to_be_shared_makes_nobody_wait_in_line(first, simulator, books, runtime):
    """The others ask at once, side by side, as without a cache: none of them would do better for the next one."""
    router = LLMRouter()
    asked = ASKED.model_copy(update={"fallbacks": ("anthropic/claude-3-haiku-20240307",)})
    gate, hang = Hang(reply=REPLY), Hang(reply=first if isinstance(first, Reply) else REPLY)
    # The first one hangs until all others wait for it, be it at the fallback.
    if isinstance(first, Fail):
        simulator.script(first)
        simulator.script(hang, when=lambda request: request.model != "gpt-4o-mini")
    else:
        simulator.script(hang)
    simulator.script(gate, repeat=True)
    sent_before = 2 if isinstance(first, Fail) else 1
    with ThreadPoolExecutor(FEW) as pool:
        asking = [pool.submit(router.complete, HELLO, asked) for _ in range(FEW)]
        until(lambda: waiting(runtime) == FEW - 1)
        hang.release()
        simulator.wait_for_requests(sent_before + FEW - 1)
        gate.release()

    assert [TEXT] * FEW == [each.result().content for each in asking]
    assert {"success": FEW} == outcomes(books)


def test_a_leader_that_a_budget_refuses_leaves_the_others_to_theirs(use, registry, simulator, books):
    """Each is refused, or not, by the budgets that are its own."""
    made = use(registry, budgets=[Budget("team", limit_usd="0.0000001", window="day", match={"team": "poor"})])
    router = LLMRouter()
    with pytest.raises(BudgetExceededError):
        router.complete(HELLO, ASKED, tags={"team": "poor"})

    assert router.complete(HELLO, ASKED, tags={"team": "rich"}).content
    assert router.complete(HELLO, ASKED, tags={"team": "poor"}).is_cached
    assert 0 == waiting(made)


def test_who_waits_keeps_half_of_his_time(simulator, books):
    """To ask for himself, when the leader hangs."""
    router, hang = LLMRouter(), Hang(reply=REPLY)
    simulator.script(hang, REPLY)
    with ThreadPoolExecutor(1) as pool:
        leading = pool.submit(router.complete, HELLO, ASKED)
        simulator.wait_for_requests()
        got = router.complete(HELLO, ASKED.model_copy(update={"timeout_s": 2.0}))
        assert (TEXT, False) == (got.content, got.is_cached)
        assert router.complete(HELLO, ASKED).is_cached
        assert not leading.done()
        hang.release()

    assert [success(18, 9, COST)] * 2 == [ending for ending in books.endings if ending.outcome == "success"]


# --- streams ----------------------------------------------------------------------------------------------------------


def leave_open(stream):
    """Go on to hold it."""
    return stream


def close(stream):
    """Want no more of it."""
    stream.close()


def drop(stream):
    """Let go of it: the caller does too."""


@pytest.mark.parametrize("leave", [leave_open, close, drop])
def test_nobody_waits_for_the_reader_of_a_stream(leave, simulator, books):
    """How long that takes is up to the reader, who may have gone to lunch."""
    router, hang = LLMRouter(), Hang(after_chunks=1, reply=REPLY)
    simulator.script(hang, REPLY)
    stream = router.stream(HELLO, ASKED)
    next(stream)
    kept = leave(stream)
    del stream
    gc.collect()

    assert not router.complete(HELLO, ASKED).is_cached
    assert 2 == len(simulator.requests)
    hang.release()
    if kept is not None:
        list(kept)


def test_a_stream_waits_for_nobody(simulator, books):
    """Who wants to see an answer grow asks himself; when it is there already it is replayed."""
    router, hang = LLMRouter(), Hang(reply=REPLY)
    simulator.script(hang, REPLY)
    with ThreadPoolExecutor(1) as pool:
        leading = pool.submit(router.complete, HELLO, ASKED)
        simulator.wait_for_requests()
        streamed = "".join(chunk.content for chunk in router.stream(HELLO, ASKED))
        hang.release()
        assert not leading.result().is_cached

    replayed = router.stream(HELLO, ASKED)
    assert [TEXT, TEXT] == [streamed, "".join(chunk.content for chunk in replayed)]
    assert (2, True) == (len(simulator.requests), replayed.response.is_cached)


def test_a_task_that_asks_the_same_from_within_its_own_stream(simulator, books, run):
    """It does not wait for itself, nor do the tasks that it waits for."""
    router = LLMRouter()

    async def main():
        async with router.astream(HELLO, ASKED) as stream:
            await anext(stream)
            return await asyncio.create_task(router.acomplete(HELLO, ASKED))

    assert run(main()).content
