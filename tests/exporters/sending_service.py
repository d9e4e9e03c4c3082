"""A service that pushes its spans and metrics by OTLP: `python sending_service.py`, for the variables to say where.

Four calls of one team: one that nothing is wrong with, one that is refused, one whose model a budget changes, and one
in a run of its own.
"""

from __future__ import annotations

import os
import sys

import llm_otel
from llm_otel import Budget, BudgetExceededError, LLMConfig, LLMRouter, traced_llm
from llm_otel.demo.simulator import Simulator

HELLO = [{"role": "user", "content": "Why is the sky blue?"}]


def serve() -> None:
    """Make the calls; what is left is sent when the program ends."""
    llm_otel.configure(
        service_name="shop",
        environment="test",
        otlp=True,
        metrics_export="otlp",
        budgets=[
            Budget("company", limit_usd="10", window="month"),
            Budget("tiny", limit_usd="0.000001", window="day", match={"feature": "refused"}),
            Budget(
                "small",
                limit_usd="0.0001",
                window="day",
                match={"feature": "downgraded"},
                on_exceeded="downgrade",
                downgrade_to=("gpt-4o-mini",),
            ),
        ],
    )
    router = LLMRouter(LLMConfig(provider="openai", model="gpt-4o-mini", max_tokens=50))

    def ask(feature: str, **changes: str) -> None:
        config = LLMConfig(provider="openai", max_tokens=50, **({"model": "gpt-4o-mini"} | changes))
        router.complete(HELLO, config, tags={"team": "search", "feature": feature})

    ask("plain")
    ask("downgraded", model="gpt-4o")
    try:
        ask("refused")
    except BudgetExceededError as refusal:
        sys.stdout.write(f"{refusal.kind}\n")
    with traced_llm("run"):
        ask("nested")


if __name__ == "__main__":
    with Simulator() as simulator:
        os.environ.update(simulator.env(with_keys=True))
        serve()
