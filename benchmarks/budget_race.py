"""The race for the last dollar: checking before a call and counting after it, against holding.

A budget of $1.00; a call costs $0.05, and its estimate is $0.08, because it may write 80 tokens and writes 50. So many
threads share 300 of them. What checks and then counts looks at the same spend in every thread that waits for an answer;
a hold is taken from what the others see. Everything but the provider is real: a function that takes 0.4 s is in the
place of LiteLLM.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from unittest import mock

from prometheus_client import CollectorRegistry

import llm_otel
from llm_otel import Budget, BudgetExceededError, LLMConfig, LLMRouter, ModelInfo, UsageTracker
from llm_otel.providers import adapter, loading

LIMIT_USD = Decimal(1)
OFFERED = 300
CONCURRENCY = (1, 10, 50, 200)
ANSWER_S = 0.4
MODEL = ModelInfo(name="racer", provider="openai", input_cost_per_1k=Decimal(0), output_cost_per_1k=Decimal(1))
MESSAGES = [{"role": "user", "content": "Go!"}]
ANSWER = {
    "id": "1",
    "model": MODEL.name,
    "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "gone"}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 50},
}
CONFIG = LLMConfig(model=MODEL.name, provider="openai", max_tokens=80)

Ask = Callable[[], bool]
"""Makes a call if it may; returns whether it did."""


@dataclass(frozen=True, slots=True)
class Result:
    admitted: int
    spent_usd: Decimal


def answer(_arguments: Mapping[str, Any], *, timeout_s: float | None) -> dict[str, Any]:
    """Answer as a provider does, in the place of LiteLLM."""
    assert timeout_s is None or timeout_s > ANSWER_S
    time.sleep(ANSWER_S)
    return ANSWER


def checking() -> Ask:
    """Return what looks at the spend, calls, and counts."""
    llm_otel.configure(registry=CollectorRegistry(), strict=True)
    router, tracker = LLMRouter(CONFIG), UsageTracker(budget_limit_usd=LIMIT_USD)

    def ask() -> bool:
        if tracker.get_budget_status()["spent_usd"] >= LIMIT_USD:
            return False
        tracker.track(router.complete(MESSAGES))
        return True

    return ask


def holding(**policy: Any) -> Ask:
    """Return what is held to a budget."""
    budget = Budget("race", limit_usd=LIMIT_USD, window="lifetime", alerts=(), **policy)
    llm_otel.configure(registry=CollectorRegistry(), strict=True, budgets=[budget])
    router = LLMRouter(CONFIG)

    def ask() -> bool:
        try:
            router.complete(MESSAGES)
        except BudgetExceededError:
            return False
        return True

    return ask


def race(ask: Ask, threads: int) -> Result:
    with ThreadPoolExecutor(threads) as pool:
        admitted = sum(pool.map(lambda _: ask(), range(OFFERED)))
    return Result(admitted, llm_otel.tracker().get_stats()["total_cost_usd"])


CONTESTANTS: dict[str, Callable[[], Ask]] = {
    "check, then track": checking,
    "hold": holding,
    "hold, and wait": lambda: holding(on_exceeded="wait", wait_s=60),
}


def main() -> None:
    llm_otel.register_model(MODEL)
    loading.litellm()
    print(f"A budget of ${LIMIT_USD:.2f}, {OFFERED} calls of $0.05 (estimate $0.08): admitted / spent")
    print("  threads  " + "".join(f"{name:>22}" for name in CONTESTANTS))
    with mock.patch.object(adapter, "complete", answer):
        for threads in CONCURRENCY:
            results = [race(contestant(), threads) for contestant in CONTESTANTS.values()]
            shown = (f"{each.admitted} / ${each.spent_usd:.2f}" for each in results)
            print(f"  {threads:>7}  " + "".join(f"{each:>22}" for each in shown))


if __name__ == "__main__":
    main()
