"""A service with a budget: `python spending_service.py PORT` serves its metrics.

It makes a call for each line that it reads, and says what it has done in lines.
"""

from __future__ import annotations

import os
import sys

from prometheus_client import start_http_server

import llm_otel
from llm_otel import Budget, LLMConfig, LLMRouter, traced_llm
from llm_otel.demo.simulator import Simulator


def serve(port: int) -> None:
    """Run until there are no more lines."""
    llm_otel.configure(
        budgets=[
            Budget("company", limit_usd="0.000001", window="month", kind="soft"),
            Budget("large", limit_usd="1000", window="month"),
        ],
        warm_up=True,
    )
    router = LLMRouter(LLMConfig(model="gpt-4o-mini", max_tokens=50))

    @traced_llm(tags={"team": "search"})
    def answer(question: str) -> str:
        return router.complete([{"role": "user", "content": question}]).content

    server, thread = start_http_server(port, "127.0.0.1", llm_otel.metrics_registry())
    say("serving")
    for line in sys.stdin:
        answer(line)
        say("answered")
    server.shutdown()
    server.server_close()
    thread.join()


def say(word: str) -> None:
    """Tell the test, which reads lines."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with Simulator() as simulator:
        os.environ.update(simulator.env())
        serve(int(sys.argv[1]))
