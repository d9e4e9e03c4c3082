"""Circuit breakers: a model that fails is left alone for a while, and one call finds out when it is well again.

Each (provider, model) has a circuit. Closed, it lets every call through and looks at how the last ones went. When too
many of them failed it opens: calls are refused, and cost nothing. After a pause it is half-open: one call goes, the
probe. Its success closes the circuit, its failure opens it anew.

The pause does not grow with each failed probe: a probe costs one call, a longer pause keeps a model shut that is well.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from llm_otel.forks import when_forked

Model = tuple[str, str]
"""Provider, as in `gen_ai.provider.name`, and model without a prefix."""

MAX_MODELS = 1_000
"""Models that are remembered. Names may come from users, who make up new ones."""
MAX_CALLS = 50
"""Calls that are looked at. Chance alone has half of the last 20 fail once in some 100 calls where three in ten do, as
where a provider's limit is low, and once in some 1,400 where two in ten do; of the last 50, once in some 2,000 and
hardly ever (simulated, 2026-11). An outage is still seen after 25 failures at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """When a circuit opens, and for how long.

    Attributes:
        failure_ratio: Failures among the calls that are looked at, in (0, 1].
        min_calls: With fewer calls to look at it never opens; 1 or more.
        window_s: How long a call is looked at, in seconds, from its end. Of more than `MAX_CALLS` calls (or
            `min_calls`, where that is more) the last ones count.
        open_s: The pause before a probe, and how long the others wait for one that does not come back.
    """

    failure_ratio: float = 0.5
    min_calls: int = 5
    window_s: float = 30.0
    open_s: float = 30.0


class CircuitState(StrEnum):
    """How a circuit stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """A probe is on its way, or may go."""


class CircuitEvent(StrEnum):
    """What is told of a circuit."""

    KNOWN = "known"
    """The first call of its model came."""
    OPENED = "opened"
    """It opened, for the first time or because a probe failed."""
    CLOSED = "closed"
    """A probe succeeded, or the model was forgotten."""
    REFUSED = "refused"
    """A call was not let through."""


Tell = Callable[[Model, CircuitEvent], None]


class Pass:
    """Leave to send one request; its outcome is noted with it.

    It holds for the state that the circuit was in: a slow call that began before an outage says nothing of what came
    after, nor one that failed before recovery.
    """

    __slots__ = ("circuit", "is_probe", "turn")

    def __init__(self, circuit: Circuit, turn: int, *, is_probe: bool) -> None:
        self.circuit = circuit
        self.is_probe = is_probe
        self.turn = turn
        """Of the circuit, when it was given."""

    @property
    def model(self) -> Model:
        """Whom the request goes to."""
        return self.circuit.model


class Circuit:
    """The breaker of one model. Not thread-safe, but a finaliser may come in between any two steps."""

    __slots__ = ("_everyone", "_last_calls", "_next_probe_s", "_probe", "_rules", "is_open", "model", "turn")

    def __init__(self, model: Model, rules: BreakerRules) -> None:
        self.model = model
        self.turn = 0
        """Goes up with each change between open and closed."""
        self._rules = rules
        self._probe: Pass | None = None
        self._next_probe_s = 0.0
        self._close()

    def admit(self, now_s: float) -> Pass | None:
        """Let a call through, if it may go."""
        if not self.is_open:
            return self._everyone
        if now_s < self._next_probe_s:
            return None
        self._probe = Pass(self, self.turn, is_probe=True)
        self._next_probe_s = now_s + self._rules.open_s
        return self._probe

    def note(self, admitted: Pass, now_s: float, *, failed: bool | None) -> CircuitEvent | None:
        """Take note of an outcome; return what it changed."""
        turn = self.turn
        if admitted.turn != turn:
            return None
        if self.is_open:
            return self._note_probe(admitted, now_s, failed=failed)
        if failed is None:
            return None
        last_calls = self._last_calls
        last_calls.add(now_s, failed)
        # In between, a finaliser may have opened it.
        if failed and turn == self.turn and last_calls.are_bad:
            return self._open(now_s)
        return None

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until a call may go."""
        return max(self._next_probe_s - now_s, 0.0) if self.is_open else 0.0

    def state(self, now_s: float) -> CircuitState:
        """Return how it stands."""
        if not self.is_open:
            return CircuitState.CLOSED
        is_waiting = self._probe is None and now_s < self._next_probe_s
        return CircuitState.OPEN if is_waiting else CircuitState.HALF_OPEN

    def _note_probe(self, probe: Pass, now_s: float, *, failed: bool | None) -> CircuitEvent | None:
        if failed is False:
            # However late: a model whose answers take longer than the pause would never be found well.
            self._close()
            return CircuitEvent.CLOSED
        if probe is not self._probe:
            # A later one was let through meanwhile, and knows better.
            return None
        if failed:
            return self._open(now_s)
        self._probe = None
        self._next_probe_s = now_s
        return None

    def _open(self, now_s: float) -> CircuitEvent:
        self.is_open = True
        self.turn += 1
        self._probe = None
        self._next_probe_s = now_s + self._rules.open_s
        return CircuitEvent.OPENED

    def _close(self) -> None:
        self.is_open = False
        self.turn += 1
        self._last_calls = _LastCalls(self._rules)
        self._everyone = Pass(self, self.turn, is_probe=False)


class _LastCalls:
    """A rolling window over the outcomes of calls."""

    __slots__ = ("_calls", "_failures", "_max_calls", "_rules")

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._max_calls = max(MAX_CALLS, rules.min_calls)
        self._calls: deque[tuple[float, bool]] = deque()
        self._failures = 0

    def add(self, now_s: float, failed: bool) -> None:  # noqa: FBT001  # once for each call, where a name costs
        """Add one, and drop those that are too old or too many."""
        calls = self._calls
        calls.append((now_s, failed))
        self._failures += failed
        begin_s = now_s - self._rules.window_s
        while len(calls) > self._max_calls or calls[0][0] <= begin_s:
            self._failures -= calls.popleft()[1]

    @property
    def are_bad(self) -> bool:
        """Whether too many failed, of enough."""
        calls, rules = len(self._calls), self._rules
        return calls >= rules.min_calls and self._failures / calls >= rules.failure_ratio


class Health:
    """The circuits of all models. Thread-safe; nothing here waits. Remembers the `MAX_MODELS` that were last asked for.

    All times are seconds of one clock that never runs backwards.

    Args:
        rules: When circuits open.
        tell: Told of each event, on the thread of the call, with no lock held: two events of one circuit may come in
            another order than they happened. Must not raise.
    """

    def __init__(self, rules: BreakerRules, *, tell: Tell | None = None) -> None:
        self._rules = rules
        self._tell = tell
        self._circuits: OrderedDict[Model, Circuit] = OrderedDict()
        self._open: dict[Model, Circuit] = {}
        self._make_lock()
        when_forked(self._make_lock)

    def _make_lock(self) -> None:
        # Re-entrant: the garbage collector may end a call on the thread that holds it. In a forked child it is made
        # anew, since a thread that is not there may have held it.
        self._lock = threading.RLock()

    def admits(self, model: Model, now_s: float) -> Pass | None:
        """Return leave to send a request; `None` if it is to be left. To be asked right before sending.

        Every pass has its outcome noted, once, whatever comes of the call. A probe's blocks the others until then, or
        until `open_s` are over.
        """
        with self._lock:
            circuit = self._circuits.get(model)
            if circuit is not None:
                self._circuits.move_to_end(model)
                admitted = circuit.admit(now_s)
                if admitted is not None:
                    return admitted
        if circuit is not None:
            self._told(model, CircuitEvent.REFUSED)
            return None
        return self._admit_first(model, now_s)

    def noted(self, admitted: Pass, now_s: float, *, failed: bool | None) -> None:
        """Take note of what became of a request.

        Args:
            admitted: What `admits` returned.
            now_s: When it ended.
            failed: Whether the provider failed; `None` where the end says nothing of it: a request that was not sent
                after all, cancelled, or refused because of what it asked.
        """
        circuit = admitted.circuit
        with self._lock:
            event = circuit.note(admitted, now_s, failed=failed)
            if event is None:
                return
            is_known = self._circuits.get(circuit.model) is circuit
            if is_known and event is CircuitEvent.OPENED:
                self._open[circuit.model] = circuit
            elif is_known:
                self._open.pop(circuit.model, None)
        if is_known:
            self._told(circuit.model, event)

    def open_models(self, now_s: float) -> frozenset[Model]:
        """Return the models that would be refused now. Takes no probe."""
        if not self._open:
            return _NO_MODELS
        with self._lock:
            # A copy: a finaliser may close one meanwhile.
            return frozenset(model for model, circuit in self._open.copy().items() if circuit.wait_s(now_s) > 0)

    def retry_after_s(self, model: Model, now_s: float) -> float:
        """Return the seconds until a call may go; 0.0 if one may go now."""
        with self._lock:
            circuit = self._open.get(model)
            return 0.0 if circuit is None else circuit.wait_s(now_s)

    def states(self, now_s: float) -> list[tuple[Model, CircuitState]]:
        """Return how the circuits of all models stand that are remembered."""
        with self._lock:
            return [(model, circuit.state(now_s)) for model, circuit in self._circuits.items()]

    def not_closed(self, now_s: float) -> frozenset[Model]:
        """Return the models whose circuits are open or half-open."""
        return frozenset(model for model, state in self.states(now_s) if state is not CircuitState.CLOSED)

    def _admit_first(self, model: Model, now_s: float) -> Pass | None:
        with self._lock:
            # Another thread may have been quicker.
            is_new = model not in self._circuits
            forgotten = self._forget_one() if is_new and len(self._circuits) >= MAX_MODELS else None
            admitted = self._circuits.setdefault(model, Circuit(model, self._rules)).admit(now_s)
        if forgotten is not None:
            self._told(forgotten, CircuitEvent.CLOSED)
        if is_new:
            self._told(model, CircuitEvent.KNOWN)
        if admitted is None:
            self._told(model, CircuitEvent.REFUSED)
        return admitted

    def _forget_one(self) -> Model | None:
        """Forget the model that was longest not asked for, an open one only if there are no others.

        Returns:
            The model, if its circuit was open.
        """
        for model, circuit in self._circuits.items():
            if not circuit.is_open:
                del self._circuits[model]
                return None
        model, _ = self._circuits.popitem(last=False)
        return model if self._open.pop(model, None) is not None else None

    def _told(self, model: Model, event: CircuitEvent) -> None:
        if self._tell is not None:
            self._tell(model, event)


_NO_MODELS: frozenset[Model] = frozenset()
