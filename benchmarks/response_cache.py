"""What the response cache costs a call that asks for it, and one that does not: beside a call with `mock_response`.

A miss pays for its key, a look into memory, and for keeping the answer; a hit spares the rest of the call.
"""

from __future__ import annotations

from collections import deque
from itertools import count

from benchmarks.call_overhead import ANSWER, MODEL, bare, set_up
from benchmarks.measure import pair_up
from llm_otel import LLMConfig, LLMRouter

PAIRS = 1_000
TTL_S = 3_600.0
LONG = "word " * 4_000
"""20 kB of a prompt: the digest is over all of it."""
OFF = "LLMRouter.complete"


def nothing() -> None:
    """Cost nothing: what is measured beside it is the whole of a call."""


def main() -> None:
    set_up()
    router, numbers = LLMRouter(), count()
    off = LLMConfig(model=MODEL, temperature=0.5, max_tokens=100, extra={"mock_response": ANSWER})
    on = off.model_copy(update={"cache_ttl_s": TTL_S})

    def asking(text: str) -> list[dict[str, str]]:
        return [{"role": "system", "content": "You are brief."}, {"role": "user", "content": text}]

    calls = {
        "litellm.completion(mock_response=...)": bare,
        OFF: lambda: router.complete(asking(f"{next(numbers)}"), off),
        "the same with cache_ttl_s, a miss": lambda: router.complete(asking(f"{next(numbers)}"), on),
        "a hit": lambda: router.complete(asking("Hello!"), on),
        "a hit, streamed": lambda: deque(router.stream(asking("Hello!"), on), maxlen=0),
        f"{OFF}, 20 kB": lambda: router.complete(asking(f"{next(numbers)} {LONG}"), off),
        "the same with cache_ttl_s, a miss, 20 kB": lambda: router.complete(asking(f"{next(numbers)} {LONG}"), on),
        "a hit, 20 kB": lambda: router.complete(asking(LONG), on),
    }
    print("CPU time of one call, answers in memory: median of pairs [quartiles]")
    costs = pair_up(nothing, calls, pairs=PAIRS)
    for name, cost in costs.items():
        spread = f"[{cost.low:.0f}, {cost.high:.0f}]"
        print(f"  {name:<42} {cost.median:6.0f} us {spread:<14} {cost.median / costs[OFF].median:5.2f} x {OFF}")


if __name__ == "__main__":
    main()
