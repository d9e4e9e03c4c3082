"""The time limit of Redis on an event loop: what a loop that is held up is spared, and what it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from llm_otel.budgets.ledger import Granted, Hold, Line
from llm_otel.stores.redis import RedisStore
from llm_otel.stores.redis.loop_timeout import LoopTimeout
from tests.stores.redis_server import running

LINE = Line("company", "", 0, None, (0,), 10**9)
SHORT_S = 0.05


class HeldUpLoop(asyncio.SelectorEventLoop):
    """A loop that is found to have been busy for a while, without anybody having waited for that."""

    late_s = 0.0

    def time(self) -> float:
        """Return the time with the delays in it."""
        return super().time() + self.late_s


@pytest.fixture
def run() -> Iterator[Callable[..., object]]:
    """Runs a coroutine on such a loop."""
    with asyncio.Runner(loop_factory=HeldUpLoop) as runner:
        yield runner.run


def hold_up(seconds: float) -> None:
    """Hold the running loop up."""
    asyncio.get_running_loop().late_s += seconds


async def turns(number: int, *, each_late_s: float = 0.0) -> str:
    """Return an answer that takes some turns of the loop, as one over a connection does."""
    for _ in range(number):
        hold_up(each_late_s)
        await asyncio.sleep(0)
    return "an answer"


def test_an_answer_is_not_lost_because_the_loop_was_held_up(run):
    """The end of the time and the answer are found in the same moment: the answer counts."""

    async def main() -> str:
        async with LoopTimeout(SHORT_S):
            hold_up(10)
            return await turns(5)

    assert "an answer" == run(main())


def test_who_does_not_answer_is_not_waited_for(run):
    """A loop that is on time gives up on time."""

    async def main() -> float:
        begun_s = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            async with LoopTimeout(SHORT_S):
                await asyncio.get_running_loop().create_future()
        return asyncio.get_running_loop().time() - begun_s

    assert SHORT_S <= run(main()) < 10 * SHORT_S


def test_a_loop_that_is_always_late_gives_up_as_well(run):
    """Else a process that is overloaded would wait for an outage without end."""

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with LoopTimeout(SHORT_S):
                await turns(1_000, each_late_s=1)

    run(main())


def test_a_cancel_from_outside_is_a_cancel(run):
    """It is not taken for the end of the time."""

    async def wait() -> None:
        async with LoopTimeout(60):
            await asyncio.get_running_loop().create_future()

    async def main() -> bool:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert run(main()) is True


def test_a_ledger_that_is_well_is_not_called_out_because_the_service_computes(run):
    """A hold is on its way while something else keeps the event loop for a second."""

    async def main(url: str) -> object:
        store = RedisStore(url)
        asking = asyncio.create_task(store.areserve(Hold("a", 1, 0, 60_000, (LINE,))))
        await asyncio.sleep(0)
        hold_up(1)
        answer = await asking
        store.close()
        return answer

    with running() as server:
        assert Granted() == run(main(server.url))
