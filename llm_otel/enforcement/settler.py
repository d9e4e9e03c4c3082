"""Bringing the bill to the ledger, whatever happens on the way.

A settle is made at once where that is quick or may block. Where it may not (on an event loop, in the garbage collector)
a worker thread makes it, which no cancel reaches. What the ledger does not take is journalled, and brought again until
it does: always with the same id, so that it counts once. (A ledger in this process is never out, and nothing of it
outlives the process: there a settle is made at once or not at all.)
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from llm_otel.budgets.ledger import Crossed, Settled, SettledAs, Settlement, Store, StoreUnavailableError
from llm_otel.errors import ConfigurationError

if TYPE_CHECKING:
    from llm_otel.clock import Clock
    from llm_otel.enforcement.journal import Journal
    from llm_otel.recording import InternalErrorSink

REPLAY_S = 1.0
"""How often the ledger is tried again while there are settles that it has not taken."""
EXIT_S = 2.0
"""How long the end of a program waits for its last settles; what is not through then is in the journal."""
IDLE_S = 30.0
"""How often one who has nothing to do looks for journals that others have left."""
_WHERE = "ledger"

_logger = logging.getLogger("llm_otel")


@dataclass(frozen=True, slots=True)
class _Bill:
    settlement: Settlement
    crossed: Crossed
    done: Future[None]


@dataclass(frozen=True, slots=True)
class _Sign:
    """A sign of life for a hold."""

    hold_id: str
    lease_ms: int


_Job = _Bill | _Sign | threading.Event
_Errand = tuple["Settler", _Job]
"""What is in the queue: a settler lives as long as anybody waits for it."""


class Settler:
    """Settles in a store. Thread-safe; `settle_soon` also in the garbage collector."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        clock: Clock,
        *,
        crossed: Crossed,
        reached: Callable[[], None],
        on_error: InternalErrorSink,
    ) -> None:
        """Take what it settles in.

        Args:
            store: Where bills go.
            journal: Where they wait while it does not take them.
            clock: For the time between two tries.
            crossed: Takes thresholds that spend has reached.
            reached: Is told that the store answers.
            on_error: Takes failures that should not be.
        """
        self._store = store
        self._journal = journal
        self._clock = clock
        self._crossed = crossed
        self._reached = reached
        self._on_error = on_error
        self._start_afresh()
        _settlers.add(self)

    def _start_afresh(self) -> None:
        self._jobs: SimpleQueue[_Errand] = SimpleQueue()
        # What was handed over and is not through yet. Each step on it is one operation, as the collector may be here.
        self._owed: dict[Future[None], Settlement] = {}
        self._worker: threading.Thread | None = None
        self._starting = threading.Lock()
        self._is_exiting = False
        self._replay_at_s = 0.0

    def forked(self) -> None:
        """Start afresh in a forked child: the worker, its queue and the journal are the parent's."""
        self._journal.forget()
        self._start_afresh()

    def ensure_worker(self) -> None:
        """Start the worker, if the store needs one. Not from the garbage collector: threading's locks may be held."""
        # At exit no thread is to be had any more, and nothing is left to one.
        if self._store.is_instant or self._is_exiting or (self._worker is not None and self._worker.is_alive()):
            return
        with self._starting:
            if self._worker is None or not self._worker.is_alive():
                self._worker = threading.Thread(
                    target=_work, args=(weakref.ref(self), self._jobs), name="llm-otel-settler", daemon=True
                )
                self._worker.start()

    def settle_now(self, settlement: Settlement, crossed: Crossed | None = None) -> None:
        """Settle before returning: a store that others wait for may make this thread wait too."""
        self._settle_or_keep(settlement, crossed or self._crossed)
        if self.is_owing:
            self.ensure_worker()
            self._hand_over(threading.Event())  # It may just have lain down for long.

    def settle_soon(self, settlement: Settlement, crossed: Crossed | None = None) -> Future[None] | None:
        """Settle without waiting. Return what is done when it is settled or journalled; `None` if it is already."""
        if self._store.is_instant or self._is_exiting:
            self._try(settlement, crossed or self._crossed)
            return None
        bill = _Bill(settlement, crossed or self._crossed, Future())
        self._owed[bill.done] = settlement
        self._hand_over(bill)
        return bill.done

    def extend_soon(self, hold_id: str, lease_ms: int) -> None:
        """Let a hold's lease start anew, without waiting."""
        if self._store.is_instant:
            self._extend(_Sign(hold_id, lease_ms))
        else:
            self._hand_over(_Sign(hold_id, lease_ms))

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was handed over is settled or journalled; return whether it is."""
        if self._worker is None or not self._worker.is_alive():
            self._drain()
            return True
        done = threading.Event()
        self._hand_over(done)
        return done.wait(timeout_s)

    def exit(self) -> None:
        """Flush at the end of the program; what comes later is settled at once."""
        self._is_exiting = True
        if not self.flush(EXIT_S):
            # One of them may be through in this moment: brought again, it counts once.
            owed = list(self._owed.values())
            for settlement in owed:
                self._journal.add(settlement)
            _logger.warning("llm_otel.settles_not_flushed ledger=%s journalled=%d", self._store.name, len(owed))

    @property
    def is_owing(self) -> bool:
        """Whether there are settles that the ledger has not taken."""
        return len(self._journal) > 0

    def _hand_over(self, job: _Job) -> None:
        self._jobs.put((self, job))

    # --- in the worker ------------------------------------------------------------------------------------------------

    def work(self, job: _Job | None) -> float:
        """Do a job, and try again what did not get through; return how long to wait for the next job, in seconds.

        Without a job: look for what processes that are gone have left.
        """
        if job is not None:
            self._do(job)
        elif not self.is_owing:
            self._journal.adopt()
        if not self.is_owing:
            return IDLE_S
        if self._clock.monotonic() >= self._replay_at_s:
            self._replay()
            self._replay_at_s = self._clock.monotonic() + REPLAY_S
        return REPLAY_S

    def _do(self, job: _Job) -> None:
        if isinstance(job, threading.Event):
            job.set()
        elif isinstance(job, _Sign):
            self._extend(job)
        else:
            try:
                self._settle_or_keep(job.settlement, job.crossed)
            # Strict mode, or a callback that ends the program: raised to who waits for it, and would wait for ever.
            except BaseException as exc:  # noqa: BLE001
                job.done.set_exception(exc)
            else:
                job.done.set_result(None)
            finally:
                self._owed.pop(job.done, None)

    def _replay(self) -> None:
        """Bring the ledger what it has not taken, until it refuses again."""
        while (settlement := self._journal.first()) is not None:
            try:
                settled = self._store.settle(settlement)
            # A newer release keeps the ledger: the next program that can write there takes the journal over.
            except (StoreUnavailableError, ConfigurationError):
                return
            # It would fail again, and hold up those behind it.
            except Exception as exc:  # noqa: BLE001
                self._journal.done(settlement)
                self._lost(settlement, exc)
            else:
                self._journal.done(settlement)
                self._reached()
                self._note(settlement, settled, self._crossed)

    def _drain(self) -> None:
        while True:
            try:
                _, job = self._jobs.get_nowait()
            except Empty:
                return
            self._do(job)

    def _settle_or_keep(self, settlement: Settlement, crossed: Crossed) -> None:
        if self.is_owing:
            # Those before it have not got through: one at a time finds out whether the ledger is back.
            self._journal.add(settlement)
        else:
            self._try(settlement, crossed)

    def _try(self, settlement: Settlement, crossed: Crossed) -> None:
        try:
            settled = self._store.settle(settlement)
        # Whatever it raises: the caller has its answer, and the bill must not be lost.
        except Exception as exc:  # noqa: BLE001
            self._keep(settlement, exc)
        except BaseException:
            # Ctrl-C, before it was done or after: done again, it counts once.
            if self._store.is_instant:
                self._store.settle(settlement)
            else:
                self._journal.add(settlement)
            raise
        else:
            self._note(settlement, settled, crossed)

    def _keep(self, settlement: Settlement, error: Exception) -> None:
        if self._store.is_instant:
            self._lost(settlement, error)
            return
        self._journal.add(settlement)
        _logger.debug("llm_otel.settle_journalled ledger=%s error=%s", self._store.name, error)
        if not isinstance(error, StoreUnavailableError):
            self._on_error(_WHERE, error)

    def _lost(self, settlement: Settlement, error: Exception) -> None:
        _logger.error("llm_otel.settle_lost hold=%s nano_usd=%d", settlement.id, settlement.actual, exc_info=error)
        self._on_error(_WHERE, error)

    def _note(self, settlement: Settlement, settled: Settled, crossed: Crossed) -> None:
        if settled.found is SettledAs.CONFLICT:
            _logger.warning(
                "llm_otel.settle_conflict ledger=%s hold=%s: settled before, with another amount",
                self._store.name,
                settlement.id,
            )
        if settled.crossings:
            crossed(settled.crossings)

    def _extend(self, sign: _Sign) -> None:
        if self.is_owing:
            # The ledger is out: to wait for it would hold up the bills behind.
            return
        try:
            self._store.extend(sign.hold_id, sign.lease_ms)
        except StoreUnavailableError as exc:
            # The hold may expire: then its floor is booked, and the settle corrects that.
            _logger.debug("llm_otel.lease_not_extended ledger=%s error=%s", self._store.name, exc)
        except Exception as exc:  # noqa: BLE001  # as in `_try`
            self._on_error(_WHERE, exc)


def _work(settler_ref: weakref.ref[Settler], jobs: SimpleQueue[_Errand]) -> None:
    """Work jobs off for as long as there is a settler; one that owes nothing is not kept alive by this."""
    settler, job = settler_ref(), None
    while settler is not None:
        try:
            wait_s = settler.work(job)
        # In strict mode what fails is raised, and nobody waits for it here: the bills to come must still be settled.
        except Exception:
            _logger.exception("llm_otel.settler_failed")
            wait_s = REPLAY_S
        kept = settler if settler.is_owing else None
        settler = job = None
        try:
            settler, job = jobs.get(timeout=wait_s)
        except Empty:
            settler = kept or settler_ref()


_settlers: weakref.WeakSet[Settler] = weakref.WeakSet()


def _exit_all() -> None:
    for settler in tuple(_settlers):
        settler.exit()


def _forked_all() -> None:
    for settler in tuple(_settlers):
        settler.forked()


atexit.register(_exit_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked_all)
