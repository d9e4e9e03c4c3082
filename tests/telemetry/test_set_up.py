"""When providers are set, and what is said where they cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from opentelemetry import _logs, metrics, trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.semconv._incubating.attributes import deployment_attributes, service_attributes

from llm_otel import assembly, semconv, telemetry, wiring
from llm_otel.errors import ConfigurationError
from llm_otel.telemetry import providers
from llm_otel.telemetry.asked import Signal
from llm_otel.telemetry.outages import Outages
from llm_otel.telemetry.resource import ResourceOfProcess, resource_of
from tests.contract import conventions

INSTALLED = SimpleNamespace(**(vars(service_attributes) | vars(deployment_attributes)))


class _Proxy:
    """What the API has before a provider is set."""


class Process:
    """The providers of a process, and what was installed in it."""

    def __init__(self) -> None:
        self.providers = dict.fromkeys(Signal, _Proxy())
        self.installed: list[tuple[list[Signal], dict[str, str]]] = []

    def install(self, routes, named, outages) -> list[object]:
        signals = [route.signal for route in routes]
        self.installed.append((signals, dict(named)))
        for signal in signals:
            self.providers[signal] = TracerProvider(resource=Resource(named), shutdown_on_exit=False)
        return []

    def is_traced_by(self, name: str) -> None:
        """Have the application set a provider with a name."""
        self.providers[Signal.TRACES] = TracerProvider(
            resource=Resource({"service.name": name}), shutdown_on_exit=False
        )


@pytest.fixture
def process(monkeypatch) -> Process:
    """A process of the test's own, with nothing set."""
    made = Process()
    monkeypatch.setattr(telemetry, "provider_of", made.providers.__getitem__)
    monkeypatch.setattr(telemetry, "_end", lambda: SimpleNamespace(add=list))
    monkeypatch.setattr(telemetry, "_told", set())
    monkeypatch.setattr(providers, "install", made.install)
    return made


def set_up(*, service_name=None, environment=None, otlp=None, **environ):
    """Set up, with these variables and no others."""
    telemetry.set_up(service_name=service_name, environment=environment, otlp=otlp, environ=environ)


def test_nothing_is_set_where_nobody_asked(process):
    """A library that sends somewhere by itself would surprise."""
    set_up(service_name="shop")

    assert [] == process.installed


def test_all_that_is_asked_for_and_not_set_is_set(process):
    """Under the names that were given."""
    set_up(service_name="shop", environment="test", otlp=True)

    assert [(list(Signal), {"service.name": "shop", "deployment.environment.name": "test"})] == process.installed


def test_what_the_application_has_set_stays(process):
    """For each signal: a tracer provider of its own does not keep metrics from being sent."""
    process.providers[Signal.TRACES] = TracerProvider(shutdown_on_exit=False)
    process.providers[Signal.METRICS] = NoOpMeterProvider()
    set_up(OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4317")

    assert [([Signal.LOGS], {})] == process.installed


def test_a_second_time_sets_nothing_twice(process, caplog):
    """`configure()` may be called again with other budgets."""
    for _ in range(2):
        set_up(service_name="shop", otlp=True)

    assert 1 == len(process.installed)
    assert [] == caplog.records


def test_a_second_time_sets_what_was_not_asked_for_before(process):
    """Traces first, everything later."""
    set_up(OTEL_TRACES_EXPORTER="otlp")
    set_up(otlp=True)

    assert [[Signal.TRACES], [Signal.METRICS, Signal.LOGS]] == [signals for signals, _ in process.installed]


def test_a_name_that_comes_too_late_is_said_once(process, caplog):
    """The provider of the application has its own, and calls go on under that."""
    process.is_traced_by("own")
    for _ in range(2):
        set_up(service_name="shop")

    (record,) = caplog.records
    assert "attribute=service.name value='shop' in_force='own'" in record.getMessage()


def test_a_name_that_is_in_force_already_is_not_spoken_of(process, caplog):
    """Whoever gave it."""
    process.is_traced_by("shop")
    set_up(service_name="shop")

    assert [] == caplog.records


def test_a_variable_that_cannot_be_used_sets_nothing(process):
    """Half of the signals would be hard to find out about."""
    with pytest.raises(ConfigurationError):
        set_up(otlp=True, OTEL_EXPORTER_OTLP_LOGS_PROTOCOL="http/json")

    assert [] == process.installed


@pytest.mark.parametrize("stand_in", [trace.ProxyTracerProvider(), _logs._internal.ProxyLoggerProvider()])
def test_the_apis_stand_ins_are_not_set(stand_in):
    """They wait for a provider."""
    assert not telemetry._is_set(stand_in)


def test_the_apis_stand_in_for_metrics_is_not_set():
    """Its class is private: what counts is its name."""
    assert not telemetry._is_set(metrics._internal._ProxyMeterProvider())


def test_an_exporter_that_cannot_be_made_is_named(monkeypatch):
    """What the SDK stumbles over came from a variable of that signal."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon")
    routes = telemetry.routes_asked_for(os.environ, otlp=True)[:1]

    with pytest.raises(ConfigurationError, match=r"OTEL_EXPORTER_OTLP_TRACES_\*.*soon"):
        providers.install(routes, {}, Outages())


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "1000000", "OTEL_BLRP_"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "-5", "OTEL_METRIC_EXPORT_"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1", "OTEL_SPAN_"),
    ],
)
def test_providers_are_set_all_or_none(monkeypatch, variable, value, named):
    """Half a set-up would be one that nobody closes at the end, and that a second `configure()` takes for another's."""
    set_ones = []
    for setter in ("trace.set_tracer_provider", "metrics.set_meter_provider", "_logs.set_logger_provider"):
        monkeypatch.setattr(f"opentelemetry.{setter}", set_ones.append)
    monkeypatch.setenv(variable, value)
    routes = telemetry.routes_asked_for({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, otlp=True)

    with pytest.raises(ConfigurationError, match=named):
        providers.install(routes, {}, Outages())
    assert [] == set_ones


def test_configure_sets_up_before_it_makes_a_runtime(monkeypatch):
    """Under the settings of all sources; metrics of ours ask for the provider when the runtime is made."""
    seen = []
    monkeypatch.setenv("LLM_OTEL_ENVIRONMENT", "staging")
    monkeypatch.setattr(wiring, "_runtime", None)
    monkeypatch.setattr(telemetry, "set_up", lambda **given: seen.append(given))
    monkeypatch.setattr(
        assembly, "Runtime", lambda settings, **_: seen.append("runtime") or SimpleNamespace(settings=settings)
    )
    wiring.runtime()
    wiring.configure(service_name="shop", otlp=False)

    assert ["runtime", {"service_name": "shop", "environment": "staging", "otlp": False}, "runtime"] == seen


# --- the resource -----------------------------------------------------------------------------------------------------


def test_arguments_go_before_variables(monkeypatch):
    """As with every setting; what is not given is left to the variables."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "by variable")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging,team=search")

    named = resource_of({"service.name": "by argument"}).attributes
    found = [named[each] for each in ("service.name", "deployment.environment.name", "team", "telemetry.sdk.language")]
    assert ["by argument", "staging", "search", "python"] == found
    assert "by variable" == resource_of({}).attributes["service.name"]


def test_a_process_keeps_its_instance_and_a_child_has_its_own():
    """Two under one id would write the same series."""
    ids = iter(["first", "second"])
    resource = ResourceOfProcess({"service.name": "shop"}, new_id=lambda: next(ids))
    own = [resource.attributes["service.instance.id"] for _ in range(2)]
    resource._in_child()

    assert ["first", "first"] == own
    assert {"service.name": "shop", "service.instance.id": "second"} == resource.attributes
    assert "second" == resource.attributes["service.instance.id"]


def test_the_names_are_those_of_the_conventions():
    """Also of the installed ones."""
    names = {name: value for name, value in vars(semconv.resource).items() if name.isupper()}

    assert conventions.RESOURCE == set(names.values())
    assert names == {name: getattr(INSTALLED, name) for name in names}


def test_an_instance_that_was_given_is_kept(monkeypatch):
    """A pod's name, say."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=pod-7")

    assert "pod-7" == resource_of({}).attributes["service.instance.id"]


def test_the_sdk_is_loaded_only_where_it_is_asked_for():
    """Most users set nothing up here, and the SDK with gRPC takes half a second."""
    program = """
import sys
from llm_otel import telemetry
telemetry.set_up(service_name="shop", environment=None, otlp=None, environ={})
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter", "grpc"))])
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert "[]\n" == run.stdout
