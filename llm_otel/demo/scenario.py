"""The scenario: who asks for what, and what goes wrong. The same calls and the same spend for the same seed.

A token of each model here costs a whole number of nano-dollars, so that the price of all tokens together is
the sum of the prices of the calls, which are rounded one by one.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llm_otel.demo import prompts, services
from llm_otel.demo.services import Desk
from llm_otel.demo.simulator import Behaviour, Break, Fail, Hang, Pace, RecordedRequest, Reply

Service = Callable[[Desk, str], Any]
Write = Callable[[random.Random, int], str]


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of work.

    Attributes:
        calls: Completions that one errand makes.
        weight: How often it comes, against the others.
    """

    run: Service
    write: Write
    calls: int = 1
    weight: int = 0

    @property
    def is_async(self) -> bool:
        """Whether it runs as a task, and not on a thread."""
        return inspect.iscoroutinefunction(self.run)


@dataclass(frozen=True, slots=True)
class Mishap:
    """What the provider does to the next request whose prompt holds a text."""

    text: str
    behaviour: Behaviour

    def meets(self, request: RecordedRequest) -> bool:
        """Tell whether the request is the one."""
        return self.text in request.prompt


def is_in_outage(request: RecordedRequest) -> bool:
    """Tell whether a request meets the outage: all morning the translators' model does not answer.

    What is out hangs on the text and not on the time, so that the same requests fail in every run.
    """
    return request.model == services.TRANSLATOR and prompts.MORNING in request.prompt


@dataclass(frozen=True, slots=True)
class Errand:
    """One run of one line of work."""

    line: Line
    text: str
    mishaps: tuple[Mishap, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: `whole` first; then `broken`, the streams whose usage no provider will report."""

    whole: tuple[Errand, ...]
    broken: tuple[Errand, ...]

    @property
    def calls(self) -> int:
        """Completions in all."""
        return sum(errand.line.calls for errand in (*self.whole, *self.broken))

    @property
    def mishaps(self) -> tuple[Mishap, ...]:
        """Everything that goes wrong."""
        return tuple(mishap for errand in (*self.whole, *self.broken) for mishap in errand.mishaps)


ANSWER = Line(services.answer_question, prompts.passages, calls=2, weight=20)
CLASSIFY = Line(services.classify_query, prompts.question, weight=22)
TRIAGE = Line(services.triage_ticket, prompts.ticket, weight=20)
THREAD = Line(services.summarise_thread, prompts.thread, weight=14)
DRAFT = Line(services.draft_reply, prompts.ticket, weight=8)
CAMPAIGN = Line(services.write_campaign, prompts.campaign, weight=8)
LEAD = Line(services.score_lead, prompts.lead, weight=14)
PAPER = Line(services.read_paper, prompts.paper, weight=8)
CHANGE = Line(services.review_change, prompts.patch, weight=6)
HELP = Line(services.answer_at_help_page, prompts.help_question, weight=14)
OPINION = Line(services.answer_opinion, prompts.opinion, weight=10)
USUAL = (ANSWER, CLASSIFY, TRIAGE, THREAD, DRAFT, CAMPAIGN, LEAD, PAPER, CHANGE, HELP, OPINION)

LEAD_AT_HOME = Line(services.score_lead_at_home, prompts.lead)
REVIEW = Line(services.review_literature, prompts.review, calls=5)
PILOT = Line(services.name_bicycles, prompts.briefs, calls=prompts.BRIEFS)
NOTICES = Line(services.translate_notices, prompts.notices, calls=prompts.MORNING_NOTICES + prompts.LATER_NOTICES)
FOLLOW_UP = Line(services.answer_follow_up, prompts.question)
PREVIEW = Line(services.preview_answer, prompts.question)

_BUSY = Fail(429, retry_after_s=0.2)
_OVERLOADED = Fail(529)
_FAULT = Fail(500)
_SLOW = Reply(pace=Pace(headers_s=1.2))
OUTAGE = Fail(503)
"""What every request gets that `is_in_outage`."""
_ONE_IN = 45
"""How many of the usual errands that are retried come without trouble, for each that is refused once."""
_RETRIED = frozenset({CLASSIFY.run, TRIAGE.run, THREAD.run, DRAFT.run, PAPER.run})
"""Lines that go through `LLMRouter`. (What the SDK beneath a plain LiteLLM call repeats, nobody sees.)"""

_SET_PIECES: tuple[tuple[Line, tuple[Behaviour, ...]], ...] = (
    (CLASSIFY, (_BUSY,)),
    (TRIAGE, (_FAULT,)),
    (THREAD, (_BUSY, _BUSY)),
    (DRAFT, (_OVERLOADED,)),
    (PAPER, (_SLOW,)),
    (CHANGE, (_FAULT, _FAULT, _FAULT)),
    (LEAD_AT_HOME, ()),
    (LEAD_AT_HOME, ()),
    *((HELP, ()) for _ in prompts.HELP_QUESTIONS),
    *((line, ()) for line in USUAL),
)
"""What every plan holds, however short. Three faults are one more than the retries; the help page is asked once more
than it has answers."""

_LONG = Reply(output_tokens=60)
_BROKEN: tuple[tuple[Line, Behaviour], ...] = (
    (FOLLOW_UP, Break(after_chunks=4, reply=_LONG)),
    (PREVIEW, Hang(after_chunks=4, reply=_LONG)),
)
"""Ends by the provider, and by the consumer; it hangs so that both know how much was sent. Were the answer shorter, the
consumer would wait for more."""

_ALWAYS = REVIEW.calls + len(_BROKEN) + sum(line.calls for line, _ in _SET_PIECES)
SPECIAL = (PILOT, NOTICES)
"""What a short plan may leave out. The labs' prototype is the one thing that a budget stops: its calls come one after
the other and are all that its budget counts, so what it refuses never varies. The notices meet the outage."""
MIN_CALLS = _ALWAYS + sum(line.calls for line in SPECIAL)


def plan(calls: int, seed: int, *, special: Sequence[Line] = SPECIAL) -> Plan:
    """Plan exactly so many completions against the simulator; `MIN_CALLS` are always enough.

    Args:
        calls: How many.
        seed: The same one plans the same.
        special: Which of the special lines it has.
    """
    least = _ALWAYS + sum(line.calls for line in special)
    assert calls >= least, f"the scenario has {least} calls at least"
    rng = random.Random(f"scenario:{seed}")
    writer = _Writer(rng)
    whole = [_literature(writer), *(writer.errand(line, *mishaps) for line, mishaps in _SET_PIECES)]
    whole += _usual(writer, calls - least)
    rng.shuffle(whole)
    # They take longest, so they start first.
    whole[:0] = [writer.errand(line) for line in special]
    return Plan(tuple(whole), tuple(writer.errand(line, behaviour) for line, behaviour in _BROKEN))


def real_plan(calls: int, seed: int) -> Plan:
    """Plan exactly so many completions against a real provider: nothing is staged but one stream left early.

    The first errand is a single call through `LLMRouter`, to see whether the provider answers at all.
    """
    assert calls >= 2, "one call and a stream"
    writer = _Writer(random.Random(f"scenario:{seed}"))
    first, last = writer.errand(TRIAGE), writer.errand(PREVIEW)
    return Plan((first, *_usual(writer, calls - 2, has_mishaps=False)), (last,))


class _Writer:
    """Makes errands, each with a number of its own."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._number = 1_000

    def errand(self, line: Line, *mishaps: Behaviour) -> Errand:
        """Make an errand of a line, whose first request meets these mishaps in turn."""
        self._number += 1
        text = line.write(self.rng, self._number)
        return Errand(line, text, tuple(Mishap(text, behaviour) for behaviour in mishaps))


def _literature(writer: _Writer) -> Errand:
    """Make the errand that shows most: five calls in nested scopes, one of them refused at first."""
    errand = writer.errand(REVIEW)
    refused = errand.text.split("\n\n")[2]
    return Errand(errand.line, errand.text, (Mishap(refused, _BUSY),))


def _usual(writer: _Writer, calls: int, *, has_mishaps: bool = True) -> list[Errand]:
    errands: list[Errand] = []
    while calls:
        (line,) = writer.rng.choices(USUAL, [line.weight for line in USUAL])
        if line.calls > calls:
            continue
        calls -= line.calls
        is_refused = has_mishaps and line.run in _RETRIED and writer.rng.randrange(_ONE_IN) == 0
        errands.append(writer.errand(line, *((_BUSY,) if is_refused else ())))
    return errands
