"""What tests run in processes of their own that make calls: `python -m tests.enforcement.callers JOB LEDGER ...`."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import llm_otel
from llm_otel import Budget, BudgetExceededError, LLMConfig, LLMRouter, semconv
from llm_otel.demo.simulator import Reply
from llm_otel.enforcement.ids import HoldIds
from llm_otel.stores.redis import RedisStore

HELLO = [{"role": "user", "content": "Hello!"}]
REPLY = Reply("Hello there, how can I help you today?", input_tokens=9, output_tokens=9)
COST = 9 * 150 + 9 * 600
"""Of that reply by gpt-4o-mini, at the list price of 2026-11-22, in nano-USD."""
CONFIG = LLMConfig(model="gpt-4o-mini", max_tokens=50, max_retries=0)
LIMIT = 120 * COST
"""In nano-USD: for many calls, and not for all; fewer at a time than want to."""
CALLS = 200
PROCESSES = 4
THREADS = 12
BUDGET = Budget("all", limit_usd=Decimal(LIMIT).scaleb(-9), window="lifetime", on_exceeded="wait", wait_s=60)
HOLD_ID = "the-hold"


def note(outcomes: Counter[str], error: Exception | None) -> None:
    """Count how a call ended: sent, or its refusal and what it asked for."""
    if error is None:
        outcomes["sent"] += 1
    elif isinstance(error, BudgetExceededError) and error.requested_usd is not None:
        outcomes[f"{error.kind} {int(error.requested_usd * 10**9)}"] += 1
    else:
        outcomes[repr(error)] += 1


def call(outcomes: Counter[str]) -> None:
    """Make one call."""
    error = None
    try:
        LLMRouter().complete(HELLO, CONFIG)
    except Exception as exc:
        error = exc
    note(outcomes, error)


def say(text: str) -> None:
    """Write a line that has arrived when this returns, whatever becomes of the process."""
    os.write(1, f"{text}\n".encode())


def use(ledger: str, journals: str) -> None:
    """Go on with a ledger."""
    llm_otel.configure(budgets=[BUDGET], ledger=ledger, journal=journals, strict=True)


def race(exporter: InMemorySpanExporter, journals: str, *ledgers: str) -> None:
    """On each ledger in turn: let several processes begin at once; each says in the end how its calls went.

    They are forked, as many servers do it: LiteLLM is loaded once.
    """
    llm_otel.runtime().warm_up()
    for ledger in ledgers:
        starting, start = os.pipe()
        children = [_forked(exporter, journals, ledger, starting, start) for _ in range(PROCESSES)]
        os.close(start)
        for child in children:
            os.waitpid(child, 0)
        os.close(starting)


def _forked(exporter: InMemorySpanExporter, journals: str, ledger: str, starting: int, start: int) -> int:
    if child := os.fork():
        return child
    os.close(start)
    use(ledger, journals)
    outcomes: Counter[str] = Counter()
    os.read(starting, 1)  # Nothing ever comes, but the end: when all are there.
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(call, [outcomes] * (CALLS // PROCESSES)))
    said: list[Any] = [span.attributes or {} for span in exporter.get_finished_spans()]
    costs = sum(each.get(semconv.COST_NANO_USD) or 0 for each in said)
    assert llm_otel.runtime().enforcer.flush(20)
    say(json.dumps({"outcomes": outcomes, "by_spans": costs}))
    os._exit(0)


def hang(exporter: InMemorySpanExporter, journals: str, *ledgers: str) -> None:
    """Make a call on each ledger, under a known id; the last line of input never comes: this is killed."""
    HoldIds.__call__ = lambda _: HOLD_ID  # type: ignore[method-assign]
    for ledger in ledgers:
        use(ledger, journals)
        threading.Thread(target=call, args=(Counter(),)).start()
        # Until its request is with the provider: then the next one may begin.
        sys.stdin.readline()


if __name__ == "__main__":
    # A machine that is busy must not look like an outage.
    RedisStore.__init__.__kwdefaults__["timeout_s"] = 20.0
    finished = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(finished))
    trace.set_tracer_provider(provider)
    {"race": race, "hang": hang}[sys.argv[1]](finished, *sys.argv[2:])
