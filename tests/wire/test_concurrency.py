"""Many calls at once: every sum is exact, to the nano-dollar and against the provider's own bill."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from itertools import cycle, islice

from llm_otel import semconv, traced_llm
from llm_otel.demo.simulator import Fail, Hang
from tests.wire.callers import PLAIN, PROVIDERS, ROUTER, asked_by, callers

THREADS, CALLS_A_THREAD, TASKS = 64, 3, 200
FAILING = "Fail, please."


def messages(number):
    """Return a conversation: every seventh is refused, all are of different lengths."""
    text = FAILING if number % 7 == 0 else "word " * (number % 40)
    return [{"role": "user", "content": f"Number {number}: {text}"}]


def mixed(count, *, is_async):
    """Return callers of all kinds in turn."""
    kinds = callers(providers=PROVIDERS, entrances=(ROUTER, PLAIN), is_async=is_async)
    return list(islice(cycle(kinds), count))


def check(books, simulator, scope, calls):
    """Hold the sums against the provider's own bill."""
    sums, bill = books.by_spans(), simulator.bill
    refused = sum(number % 7 == 0 for number in range(calls))
    assert {"success": calls - refused, "error": refused} == sums.outcomes
    assert calls == sums.calls == sums.attempts == scope.calls == len(simulator.requests)
    assert (bill.total.input_tokens, bill.total.output_tokens) == (sums.input_tokens, sums.output_tokens)
    expected = sum(
        caller.model.cost(line.input_tokens, line.output_tokens)
        for caller in callers(entrances=(ROUTER,), is_stream=False, is_async=False)
        if (line := bill[caller.provider, caller.model.name])
    )
    assert expected == sums.cost_nano == scope.totals.cost_nano


def test_threads(simulator, books):
    """64 threads, every form of call, some refused."""
    simulator.script(Fail(400), when=lambda request: FAILING in request.prompt, repeat=True)
    calls = THREADS * CALLS_A_THREAD
    with traced_llm("work") as scope, ThreadPoolExecutor(THREADS) as pool:
        futures = [
            pool.submit(copy_context().run, caller.ask, messages(number))
            for number, caller in enumerate(mixed(calls, is_async=False))
        ]
        errors = [future.result().error for future in futures]

    assert [number for number in range(calls) if number % 7 == 0] == [n for n, e in enumerate(errors) if e]
    check(books, simulator, scope, calls)


def test_tasks(simulator, books, run):
    """200 tasks at once, every form of call, some refused."""
    simulator.script(Fail(400), when=lambda request: FAILING in request.prompt, repeat=True)
    asking = [replace(caller, run=run) for caller in mixed(TASKS, is_async=True)]

    async def main():
        work = (caller.aask(messages(number)) for number, caller in enumerate(asking))
        return await asyncio.gather(*work, return_exceptions=True)

    with traced_llm("work") as scope:
        results = run(main())

    failed = [number for number, result in enumerate(results) if isinstance(result, BaseException)]
    assert [number for number in range(TASKS) if number % 7 == 0] == failed
    check(books, simulator, scope, TASKS)


@asked_by(providers=("openai",), is_async=False)
def test_calls_in_flight(caller, simulator, books):
    """A call is in flight from its start to its end, the whole of its stream included."""
    hang = Hang(after_chunks=1)
    simulator.script(hang)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(caller.ask)
        simulator.wait_for_requests()
        during = books.metric(semconv.REQUESTS_IN_FLIGHT)
        hang.release()
        asking.result()

    assert (1, 0) == (during, books.metric(semconv.REQUESTS_IN_FLIGHT))
