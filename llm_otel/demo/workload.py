"""Errands, run as services run: on threads where the code is sync, as tasks where it is async."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_otel.demo.scenario import Errand
    from llm_otel.demo.services import Desk

THREADS = 5
TASKS = 8


async def run(errands: Sequence[Errand], desk: Desk) -> list[Exception]:
    """Run errands side by side; return what went wrong, which telemetry has seen too.

    On cancellation tasks stop at once, threads after the errand that they are at.
    """
    failures: list[Exception] = []
    tasks = deque(errand for errand in errands if errand.line.is_async)
    async with asyncio.TaskGroup() as group:
        group.create_task(_in_threads([e for e in errands if not e.line.is_async], desk, failures))
        for _ in range(min(TASKS, len(tasks))):
            group.create_task(_as_tasks(tasks, desk, failures))
    return failures


async def _in_threads(errands: Sequence[Errand], desk: Desk, failures: list[Exception]) -> None:
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="llm-otel-demo")
    loop = asyncio.get_running_loop()
    try:
        await asyncio.gather(*(loop.run_in_executor(pool, _run, errand, desk, failures) for errand in errands))
    finally:
        # Waits, though on the event loop: no thread may make another call once the environment is put back, for
        # that one would go to a real provider.
        pool.shutdown(cancel_futures=True)


def _run(errand: Errand, desk: Desk, failures: list[Exception]) -> None:
    try:
        errand.line.run(desk, errand.text)
    # Whatever a provider does to a service: the next errand comes all the same.
    except Exception as exc:  # noqa: BLE001
        failures.append(exc)


async def _as_tasks(errands: deque[Errand], desk: Desk, failures: list[Exception]) -> None:
    while errands:
        errand = errands.popleft()
        try:
            await errand.line.run(desk, errand.text)
        # As above.
        except Exception as exc:  # noqa: BLE001
            failures.append(exc)
