"""Whether the OTLP endpoint takes a span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from llm_otel.cli.checks.finding import Finding, State

if TYPE_CHECKING:
    from llm_otel.telemetry.asked import Route

_ABOUT = "otlp"
_TIMEOUT_S = 5.0


def look_at_otlp(environ: Mapping[str, str], *, otlp: bool | None) -> Finding:
    """Send a test span to where the variables say that traces go."""
    from llm_otel.telemetry.asked import Signal, routes_asked_for

    try:
        routes = routes_asked_for(environ, otlp=otlp)
        route = next((each for each in routes if each.signal is Signal.TRACES), None)
        if route is None:
            return _without_spans(routes)
        from llm_otel.telemetry.trial import SPAN_NAME, try_out

        reason = try_out(route, timeout_s=_TIMEOUT_S)
    # A ConfigurationError of ours, or what the SDK says of a limit.
    except ValueError as exc:
        return Finding(State.FAILED, _ABOUT, str(exc), "mend the variable")
    where = f"{route.endpoint} ({route.protocol})"
    if reason is not None:
        to_do = (
            "is a Collector listening there, and does it speak this protocol? OTEL_EXPORTER_OTLP_PROTOCOL says which"
        )
        return Finding(State.FAILED, _ABOUT, f"{where} took no span: {reason}", to_do)
    signals = ", ".join(each.signal for each in routes)
    return Finding(
        State.OK, _ABOUT, f"{where} took a span, {SPAN_NAME!r}; sent there or by their own variables: {signals}"
    )


def _without_spans(routes: Sequence[Route]) -> Finding:
    if routes:
        said = f"no spans are sent; {' and '.join(each.signal for each in routes)} are, and were not tried"
    else:
        said = "nothing is sent: no OTEL_EXPORTER_OTLP_* variable and no otlp setting asks for it"
    return Finding(State.NOTE, _ABOUT, said, "OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 asks for it")
