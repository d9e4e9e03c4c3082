"""The demo from its first line to its last: prepare, call, report, and serve if asked to."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count, product
from time import monotonic, time
from typing import TYPE_CHECKING

import llm_otel
from llm_otel import semconv
from llm_otel.config import DEFAULT_TAG_LABELS, ENV_PREFIX
from llm_otel.demo import books, budgets, metrics, readings, routed, scenario, workload
from llm_otel.demo.interrupts import interruptible
from llm_otel.demo.quiet import environment, quiet, without_proxy
from llm_otel.demo.report import Account, Books, Report
from llm_otel.demo.services import Desk
from llm_otel.demo.simulator import Pace, Reply, Simulator
from llm_otel.demo.spans import SpanLog, watch_spans
from llm_otel.demo.tracing import most_telling
from llm_otel.errors import LLMOtelError, ProviderError
from llm_otel.providers import loading
from llm_otel.recorders.serving import served
from llm_otel.router import LLMRouter
from llm_otel.stores.opening import MEMORY

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from llm_otel.assembly import Runtime
    from llm_otel.budgets.budget import Budget
    from llm_otel.budgets.reports import BudgetStatus
    from llm_otel.demo.progress import Progress
    from llm_otel.demo.target import Target
    from llm_otel.recorders.serving import Address

_PACE = Pace(headers_s=0.03, first_chunk_s=0.06, chunk_s=0.004, spread=0.45)
"""About a fifth of what real providers take: the shape is what matters, and nobody likes to wait."""
_WARM_UP = (
    "openai/gpt-4o-mini",
    "anthropic/claude-haiku-4-5",
    "gemini/gemini-2.5-flash",
    "ollama_chat/mistral",
)
_GREETING = [{"role": "user", "content": "Hello!"}]
_FAILING = 0.9
_WINDOW_S = 10.0
"""When a circuit opens: in the outage, and not for faults in a row, which are planned too. Of few calls these are half,
and what an open circuit would refuse then hangs on how threads take turns: the same seed is to make the same calls."""
_OPEN_S = 2.5
"""A tenth of what a service would have: nobody likes to wait."""
_LULL_S = _OPEN_S + 0.1
_LULL_SERVED_S = 20.0
"""While serving: long enough for an open circuit to be seen by a scrape."""
_CALLS_IN_A_ROUND = 50
_SPECIAL_ROUNDS: Mapping[int, tuple[scenario.Line, ...]] = {2: (scenario.NOTICES,), 4: (scenario.PILOT,)}
_ROUNDS = 5
"""In so many rounds each special line comes once: some calls of a service are always refused, some providers down."""
_PAUSE_S = 0.5
"""Between two errands while serving, on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for.

    Attributes:
        target: A real provider's model; `None`: the simulator.
        address: Where to serve `/metrics`, during the run and after it; `None`: nowhere.
        ledger: Where spend and holds are kept; the demo's own memory by default.
        otlp: Send spans to the endpoint that the `OTEL_*` variables name.
    """

    calls: int
    seed: int
    target: Target | None = None
    address: Address | None = None
    ledger: str = MEMORY
    otlp: bool = False


def play(options: Options, progress: Progress, present: Callable[[Report], None]) -> Report:
    """Run the demo and present its report; with an address go on until Ctrl-C.

    The runtime of the library is set up anew, with a registry of its own; the environment is put back.

    Raises:
        LLMOtelError: The address cannot be served, or a real provider does not answer.
        KeyboardInterrupt: Ctrl-C before the report.
    """
    registry = metrics.new_registry()
    watch = budgets.Watch(progress.tell)
    runtime = _configure(options, registry, watch)
    with ExitStack() as stack:
        stack.enter_context(quiet())
        if options.address is not None:
            stack.enter_context(served(runtime.metrics_registry(), options.address))
        simulator = stack.enter_context(_simulated(options.seed)) if options.target is None else None
        with progress.waiting("Loading LiteLLM (some seconds, once)"):
            loading.litellm()
        spans = watch_spans()
        stack.callback(spans.close)
        performance = _Performance(options, progress, simulator, runtime, registry, spans, watch)
        try:
            return asyncio.run(performance.run(present))
        except asyncio.CancelledError:
            # What is served goes on until somebody stops it: that is its good end.
            if performance.report is None:
                raise KeyboardInterrupt from None
            return performance.report


def _configure(options: Options, registry: CollectorRegistry, watch: budgets.Watch) -> Runtime:
    """Set the library up by arguments alone: the user's own ledger and budgets are none of the demo's."""
    limits = _budgets(options)
    with environment({name: "" for name in os.environ if name.startswith(ENV_PREFIX)}):
        return llm_otel.configure(
            registry=registry,
            tag_labels=DEFAULT_TAG_LABELS,
            budgets=limits,
            ledger=options.ledger,
            on_budget_alert=watch.alerted,
            circuit_failure_ratio=_FAILING if options.target is None else None,
            circuit_window_s=_WINDOW_S if options.target is None else None,
            circuit_open_s=_OPEN_S if options.target is None else None,
            # Made-up calls are not for whatever backend the environment names, unless that is asked for.
            otlp=options.otlp,
        )


def _budgets(options: Options) -> tuple[Budget, ...]:
    if options.target is None:
        return budgets.simulated(options.calls, is_served=options.address is not None)
    return budgets.real(options.target.ceiling_nano(options.calls, at=datetime.now(UTC)))


@contextmanager
def _simulated(seed: int) -> Iterator[Simulator]:
    """Start a simulator that LiteLLM takes for every provider: no call of the demo leaves the machine."""
    with (
        Simulator(seed=seed, pace=_PACE, chunk_tokens=4) as simulator,
        environment(simulator.env(with_keys=True) | without_proxy(os.environ)),
    ):
        yield simulator


class _Performance:
    """One run, on an event loop."""

    def __init__(
        self,
        options: Options,
        progress: Progress,
        simulator: Simulator | None,
        runtime: Runtime,
        registry: CollectorRegistry,
        spans: SpanLog,
        watch: budgets.Watch,
    ) -> None:
        self._options = options
        self._progress = progress
        self._simulator = simulator
        self._registry = registry
        self._tracker = runtime.tracker
        self._enforcer = runtime.enforcer
        self._spans = spans
        self._watch = watch
        self._desk = Desk(LLMRouter(), options.target, watch.refused, _LULL_S)
        # A ledger that outlives a run has the spend of those before.
        self._spent_before_nano = budgets.spent_nano(runtime.enforcer.statuses())
        self.report: Report | None = None
        """What was presented."""

    async def run(self, present: Callable[[Report], None]) -> Report:
        """Call, report, serve."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        with interruptible(lambda: loop.call_soon_threadsafe(task.cancel)):
            return await self._run(present)

    async def _run(self, present: Callable[[Report], None]) -> Report:
        try:
            if self._simulator is not None:
                with self._progress.waiting("Opening connections"):
                    await self._warm_up(self._simulator)
            report = await self._report()
            present(report)
            self.report = report
            if self._options.address is not None:
                await self._go_on()
            return report
        finally:
            await loading.litellm().close_litellm_async_clients()

    async def _warm_up(self, simulator: Simulator) -> None:
        """Make calls that nobody records: LiteLLM's first of each kind takes a second, and would be p95.

        One after the other: its modules for a provider are imported by the first call, and not made for two at once.
        """
        litellm = loading.litellm()
        simulator.script(Reply(pace=Pace()), repeat=True)
        for model, is_streamed in product(_WARM_UP, (False, True)):
            arguments = {"model": model, "messages": _GREETING, "max_tokens": 1, "stream": is_streamed}
            answer = await asyncio.to_thread(litellm.completion, **arguments)
            aanswer = await litellm.acompletion(**arguments)
            if is_streamed:
                await asyncio.to_thread(list, answer)
                [chunk async for chunk in aanswer]
        simulator.clear()
        simulator.script(scenario.OUTAGE, when=scenario.is_in_outage, repeat=True)

    async def _report(self) -> Report:
        options = self._options
        make = scenario.plan if self._simulator is not None else scenario.real_plan
        plan = make(options.calls, options.seed)
        started_s = monotonic()
        with self._progress.calling(self._tracker, plan.calls):
            first, rest = (plan.whole[:1], plan.whole[1:]) if options.target else ((), plan.whole)
            await self._try_out(first)
            await self._carry_out(rest)
            whole = self._accounts()
            await self._carry_out(plan.broken)
        return self._read(whole, elapsed_s=monotonic() - started_s)

    async def _try_out(self, errands: tuple[scenario.Errand, ...]) -> None:
        """Make a first call by itself, so that a wrong key is told once and not twenty times."""
        failures = await workload.run(errands, self._desk)
        if failures:
            raise LLMOtelError(f"the first call failed, so no more were made: {_told(failures[0])}") from failures[0]

    async def _carry_out(self, errands: tuple[scenario.Errand, ...]) -> None:
        if self._simulator is not None:
            for errand in errands:
                for mishap in errand.mishaps:
                    self._simulator.script(mishap.behaviour, when=mishap.meets)
        failures = await workload.run(errands, self._desk)
        bugs = [failure for failure in failures if not isinstance(failure, ProviderError)]
        if bugs and self._simulator is not None:
            raise bugs[0]

    def _accounts(self) -> tuple[Account, Account | None]:
        """Return what was recorded so far, and what the simulator would bill for it."""
        if self._simulator is None:
            return books.recorded_by(self._tracker), None
        return books.recorded_by(self._tracker), books.price_bill(self._simulator.bill)

    def _read(self, whole: tuple[Account, Account | None], *, elapsed_s: float) -> Report:
        options, stats = self._options, self._tracker.get_stats()
        records = readings.Records(self._tracker, self._registry, self._spans.ended)
        statuses = self._enforcer.statuses()
        team, feature = DEFAULT_TAG_LABELS
        return Report(
            target=options.target.litellm_model if options.target else None,
            seed=options.seed,
            elapsed_s=elapsed_s,
            total=readings.total_spend(stats),
            teams=readings.spend_by_tag(stats, team),
            features=readings.spend_by_tag(stats, feature),
            providers=readings.spend_by_provider(self._tracker),
            latencies=readings.latencies(records),
            reliability=readings.reliability(records),
            routing=routed.routing(records.call_spans, self._registry),
            budgets=budgets.fared(
                self._enforcer.budgets.budgets,
                statuses,
                self._watch,
                self._registry,
                now_s=int(time()),
            ),
            trace=most_telling(records.spans),
            books=self._books(records, self._spent_nano(statuses), *whole),
        )

    def _spent_nano(self, statuses: Sequence[BudgetStatus]) -> int | None:
        """Return what this run spent, by the ledger."""
        spent_nano = budgets.spent_nano(statuses)
        return None if spent_nano is None else spent_nano - (self._spent_before_nano or 0)

    def _books(
        self, records: readings.Records, ledger_nano: int | None, recorded: Account, billed: Account | None
    ) -> Books:
        after, billed_after = self._accounts()
        return Books(
            tracker_nano=after.cost_nano,
            spans_nano=readings.spans_nano(records),
            metrics_nano=metrics.total_nano(self._registry, semconv.COST),
            ledger_nano=ledger_nano,
            estimated_calls=round(metrics.total(self._registry, semconv.ESTIMATED_REQUESTS)),
            recorded=recorded if billed else None,
            billed=billed,
            estimated=books.subtract(after, recorded) if billed else None,
            estimated_billed=books.subtract(billed_after, billed) if billed and billed_after else None,
        )

    async def _go_on(self) -> None:
        """Keep a trickle of calls going, so that whoever scrapes sees something move. Ends by cancellation.

        A real provider gets no more calls: those cost money that nobody agreed to.
        """
        with self._progress.calling(self._tracker, None):
            if self._simulator is None:
                await asyncio.Event().wait()
            self._desk = replace(self._desk, lull_s=_LULL_SERVED_S)
            async with asyncio.TaskGroup() as beside:
                for number in count(1):
                    await self._go_round(number, beside)

    async def _go_round(self, number: int, beside: asyncio.TaskGroup) -> None:
        seed = self._options.seed + number
        chance = random.Random(seed)
        plan = scenario.plan(_CALLS_IN_A_ROUND, seed, special=_SPECIAL_ROUNDS.get(number % _ROUNDS, ()))
        for errand in (*plan.whole, *plan.broken):
            if errand.line is scenario.NOTICES:
                beside.create_task(self._carry_out((errand,)))
            else:
                await self._carry_out((errand,))
            await asyncio.sleep(chance.uniform(0, 2 * _PAUSE_S))


def _told(failure: Exception) -> str:
    return str(failure) if isinstance(failure, LLMOtelError) else type(failure).__name__
