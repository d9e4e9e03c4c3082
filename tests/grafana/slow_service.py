"""A service that makes 50 calls a day and is restarted three times a day, over nine days, as Prometheus saw it.

Its spend is written as OpenMetrics with the times of samples, of which promtool makes blocks. A counter has a 0 at the
moment when it was made, which is the start of its first call: this is what Prometheus takes in by
`created-timestamp-zero-ingestion`.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from llm_otel import semconv

DAY_S = 86_400
DAYS = 9
CALLS_A_DAY = 50
RESTARTS_A_DAY = 3
SCRAPE_S = 60
_TAKES_S = (1.0, 20.0)
_DOWN_S = 45.0
_TEAMS = ("search", "growth", "labs")
_MODELS = ("gpt-4o-mini", "gpt-5", "claude-haiku-4-5", "mistral")


@dataclass(frozen=True)
class Call:
    """A completion; it is paid for when it ends."""

    started_s: float
    ended_s: float
    team: str
    model: str
    cost_nano: int

    @property
    def labels(self) -> str:
        """What its series is told by."""
        said = {"team": self.team, "feature": "answer", "provider": "openai", "model": self.model, "operation": "chat"}
        return ",".join(f'{label}="{value}"' for label, value in said.items())


@dataclass(frozen=True)
class SlowService:
    """The service, and what it spent.

    Attributes:
        job: Its name.
        end_s: The last scrape.
        lives: The calls of each process, in turn, with its `instance`, its first and its last scrape.
    """

    job: str
    end_s: int
    lives: tuple[tuple[str, int, int, tuple[Call, ...]], ...]

    def spent_usd(self, since_s: float) -> float:
        """Return what was settled from a time on: the ledger's sum."""
        calls = [call for *_, calls in self.lives for call in calls]
        return sum(call.cost_nano for call in calls if call.ended_s >= since_s) / 1e9

    def samples(self) -> Iterator[tuple[float, str]]:
        """Yield a line for each value that was scraped, and when it was."""
        for instance, first_s, last_s, calls in self.lives:
            target = f'job="{self.job}",instance="{instance}",environment="test"'
            for labels, its in _grouped(calls).items():
                series = f'{semconv.COST.prometheus_name}{{{target},{labels},token_type="input"}}'
                born_s = min(call.started_s for call in its)
                yield born_s, f"{series} 0 {born_s:.3f}"
                settled = deque(its)
                nano = 0
                for at_s in range(first_s, last_s + 1, SCRAPE_S):
                    while settled and settled[0].ended_s <= at_s:
                        nano += settled.popleft().cost_nano
                    if at_s > born_s:
                        yield at_s, f"{series} {nano / 1e9:.9f} {at_s}"


def openmetrics(services: Iterable[SlowService]) -> Iterator[str]:
    """Yield the text of a file for each day (UTC): promtool reads a file once for each two hours that it spans."""
    days = defaultdict(list)
    for service in services:
        for at_s, line in service.samples():
            days[at_s // DAY_S].append(line)
    head = f"# TYPE {semconv.COST.prometheus_name.removesuffix('_total')} counter"
    for _, lines in sorted(days.items()):
        yield "\n".join((head, *lines, "# EOF\n"))


def slow_service(job: str, end_s: int, *, has_new_instances: bool, seed: int = 50) -> SlowService:
    """Make up its nine days.

    Args:
        job: Its name.
        end_s: When they end.
        has_new_instances: Whether a restart gets a new `instance`, as a pod does, or keeps it, as a fixed target does.
        seed: The same one makes the same calls.
    """
    rng = random.Random(seed)
    begun_s = end_s - DAYS * DAY_S
    count = DAYS * RESTARTS_A_DAY
    starts = sorted([begun_s, *(begun_s + rng.uniform(0, DAYS * DAY_S) for _ in range(count)), end_s + _DOWN_S])
    lives = []
    for number, (start, next_start) in enumerate(pairwise(starts)):
        first_s = begun_s - int((begun_s - start) // SCRAPE_S) * SCRAPE_S
        last_s = end_s - -int((next_start - _DOWN_S - end_s) // SCRAPE_S) * SCRAPE_S
        calls = round((last_s - first_s) / DAY_S * CALLS_A_DAY)
        # Nothing is spent between the last scrape and the end of a process: a scrape cannot know of it.
        at = sorted(rng.uniform(first_s - SCRAPE_S + 1, last_s - _TAKES_S[1]) for _ in range(max(calls, 0)))
        instance = f"pod-{number}" if has_new_instances else "host"
        lives.append((instance, first_s, last_s, tuple(_call(rng, at_s) for at_s in at if at_s > start)))
    return SlowService(job, end_s, tuple(lives))


def _call(rng: random.Random, started_s: float) -> Call:
    ended_s = started_s + rng.uniform(*_TAKES_S)
    return Call(started_s, ended_s, rng.choice(_TEAMS), rng.choice(_MODELS), rng.randrange(1_000_000, 50_000_000))


def _grouped(calls: tuple[Call, ...]) -> dict[str, list[Call]]:
    groups = defaultdict(list)
    for call in calls:
        groups[call.labels].append(call)
    return {labels: sorted(its, key=lambda call: call.ended_s) for labels, its in groups.items()}
