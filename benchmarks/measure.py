"""Pairs: every variant is called next to the bare call, again and again, so that both meet the same machine.

What is compared is CPU time of one call; the median of many differences leaves out whatever else the machine was doing.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Added:
    """What a variant costs beyond the bare call, in microseconds of CPU: quartiles over all pairs."""

    low: float
    median: float
    high: float


def _cpu_us(call: Callable[[], object]) -> float:
    start = time.process_time_ns()
    call()
    return (time.process_time_ns() - start) / 1000


def pair_up(
    bare: Callable[[], object], variants: Mapping[str, Callable[[], object]], *, pairs: int
) -> dict[str, Added]:
    """Return what each variant adds to `bare`. The order within a pair turns every time, and so do the variants."""
    for call in (bare, *variants.values()):
        for _ in range(20):
            call()
    gc.collect()
    gc.freeze()
    differences: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(pairs):
        for name, variant in variants.items():
            if number % 2:
                mine, base = _cpu_us(variant), _cpu_us(bare)
            else:
                base, mine = _cpu_us(bare), _cpu_us(variant)
            differences[name].append(mine - base)
    gc.unfreeze()
    return {name: Added(*statistics.quantiles(each, n=4)) for name, each in differences.items()}
