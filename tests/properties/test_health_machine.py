"""Any sequence of calls, ends and pauses on circuits, against a model that keeps everything and counts anew."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from llm_otel.routing.health import MAX_CALLS, BreakerRules, CircuitEvent, CircuitState, Health

MODELS = [("openai", "a"), ("openai", "b"), ("anthropic", "a")]
models = st.sampled_from(MODELS)
rules = st.builds(
    BreakerRules,
    failure_ratio=st.sampled_from([0.1, 0.3, 0.5, 1.0]),
    min_calls=st.sampled_from([1, 3, 5, MAX_CALLS + 3]),
    window_s=st.sampled_from([1.0, 30.0]),
    open_s=st.sampled_from([2.0, 30.0]),
)


@dataclass
class Circuit:
    """What is remembered of a model: everything."""

    outcomes: list[tuple[float, bool]] = field(default_factory=list)
    """Since it was last closed."""
    changes: int = 0
    """Odd: it is open."""
    refuses_until_s: float = 0.0
    probes: list[int] = field(default_factory=list)
    """Calls that were probes, ended or not, since it last opened."""
    has_probe_out: bool = False

    @property
    def is_open(self) -> bool:
        return self.changes % 2 == 1

    def state(self, now_s: float) -> CircuitState:
        if not self.is_open:
            return CircuitState.CLOSED
        is_half = self.has_probe_out or now_s >= self.refuses_until_s
        return CircuitState.HALF_OPEN if is_half else CircuitState.OPEN


@dataclass
class Begun:
    """A call that was let through."""

    number: int
    model: tuple[str, str]
    given: object
    changes: int
    """Of its circuit, when it was."""


class Circuits(RuleBasedStateMachine):
    """Calls overlap as they like, and end in any order."""

    begun = Bundle("begun")

    @initialize(drawn=rules)
    def start(self, drawn):
        self.rules = drawn
        self.events = []
        self.expected_events = []
        self.health = Health(drawn, tell=lambda *event: self.events.append(event))
        self.circuits: dict[tuple[str, str], Circuit] = {}
        self.now_s = 100.0
        self.calls = 0

    @rule(seconds=st.sampled_from([0.25, 1.0, 2.0, 15.0, 30.0]))
    def wait(self, seconds):
        self.now_s += seconds

    @rule(target=begun, model=models)
    def begin(self, model):
        if model not in self.circuits:
            self.circuits[model] = Circuit()
            self.expected_events.append((model, CircuitEvent.KNOWN))
        circuit = self.circuits[model]
        is_refused = circuit.is_open and self.now_s < circuit.refuses_until_s
        assert is_refused == (model in self.health.open_models(self.now_s))

        given = self.health.admits(model, self.now_s)

        assert is_refused == (given is None)
        if given is None:
            self.expected_events.append((model, CircuitEvent.REFUSED))
            return multiple()
        assert (circuit.is_open, model) == (given.is_probe, given.model)
        self.calls += 1
        if circuit.is_open:
            circuit.probes.append(self.calls)
            circuit.has_probe_out = True
            circuit.refuses_until_s = self.now_s + self.rules.open_s
        return Begun(self.calls, model, given, circuit.changes)

    @rule(call=begun, failed=st.sampled_from([True, True, False, None]))
    def end(self, call, failed):
        """Once or, by mistake, again: what was decided stays decided."""
        self.health.noted(call.given, self.now_s, failed=failed)

        circuit = self.circuits[call.model]
        if call.changes != circuit.changes:
            return
        if circuit.is_open:
            self._probe_ended(circuit, call, failed)
        elif failed is not None:
            circuit.outcomes.append((self.now_s, failed))
            if failed and self._is_bad(circuit):
                self._open(circuit, call.model)

    @rule(calls=st.integers(1, 2 * MAX_CALLS), failed=st.booleans(), model=models)
    def make_many(self, calls, failed, model):
        """As a busy service does."""
        for _ in range(calls):
            call = self.begin(model)
            if isinstance(call, Begun):
                self.end(call, failed)

    def _probe_ended(self, circuit, call, failed):
        if failed is False:
            circuit.changes += 1
            circuit.outcomes.clear()
            self.expected_events.append((call.model, CircuitEvent.CLOSED))
        elif circuit.has_probe_out and call.number == circuit.probes[-1]:
            if failed:
                self._open(circuit, call.model)
            else:
                circuit.has_probe_out = False
                circuit.refuses_until_s = self.now_s

    def _is_bad(self, circuit):
        most = max(MAX_CALLS, self.rules.min_calls)
        recent = [failed for at_s, failed in circuit.outcomes if at_s > self.now_s - self.rules.window_s][-most:]
        return len(recent) >= self.rules.min_calls and sum(recent) / len(recent) >= self.rules.failure_ratio

    def _open(self, circuit, model):
        circuit.changes += 2 if circuit.is_open else 1
        circuit.probes.clear()
        circuit.has_probe_out = False
        circuit.refuses_until_s = self.now_s + self.rules.open_s
        self.expected_events.append((model, CircuitEvent.OPENED))

    @invariant()
    def circuits_stand_as_they_should(self):
        expected = {model: circuit.state(self.now_s) for model, circuit in self.circuits.items()}
        refused = {
            model
            for model, circuit in self.circuits.items()
            if circuit.is_open and self.now_s < circuit.refuses_until_s
        }
        waits = {m: c.refuses_until_s - self.now_s if m in refused else 0.0 for m, c in self.circuits.items()}

        assert expected == dict(self.health.states(self.now_s))
        assert refused == self.health.open_models(self.now_s)
        assert waits == {model: self.health.retry_after_s(model, self.now_s) for model in self.circuits}

    @invariant()
    def what_happened_was_told(self):
        assert self.expected_events == self.events

    @invariant()
    def little_is_kept(self):
        """Bounded, whatever is made of it."""
        most = max(MAX_CALLS, self.rules.min_calls)
        assert all(len(each._last_calls._calls) <= most for each in self.health._circuits.values())


Circuits.TestCase.settings = settings(deadline=None, max_examples=100, stateful_step_count=30)
TestCircuits = Circuits.TestCase
