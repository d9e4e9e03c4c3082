"""Whether a service's metrics can be scraped, and are ours."""

from __future__ import annotations

import urllib.request
from http.client import HTTPException

from llm_otel import semconv
from llm_otel.cli.checks.finding import Finding, State

_ABOUT = "metrics"
_TIMEOUT_S = 5.0
_HOW_TO_SERVE = "serve llm_otel.metrics_registry(), as with prometheus_client.make_asgi_app(), and see docs/metrics.md"


def look_at_scrape(url: str | None, *, is_pushed: bool = False) -> Finding:
    """Fetch a `/metrics` page as Prometheus does and look for this library's metrics."""
    if url is None and is_pushed:
        return Finding(State.OK, _ABOUT, "leave by OTLP (metrics_export), and are not scraped")
    if url is None:
        return Finding(State.NOTE, _ABOUT, "not asked for", "--metrics-url http://host:port/metrics scrapes a service")
    if url.partition("://")[0].lower() not in ("http", "https"):
        return Finding(State.FAILED, _ABOUT, f"{url!r} is no http address", "--metrics-url http://host:port/metrics")
    try:
        # The scheme was looked at above.
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            page = answer.read().decode(errors="replace")
    # What is no address, what does not answer, and what answers in something else than HTTP.
    except (OSError, ValueError, HTTPException) as exc:
        return Finding(State.FAILED, _ABOUT, f"{url} cannot be scraped: {exc}", _HOW_TO_SERVE)
    return _judged(url, page)


def _judged(url: str, page: str) -> Finding:
    names = {line.split("{")[0].split(" ")[0] for line in page.splitlines() if line and not line.startswith("#")}
    ours = {name for name in names if name.startswith("llm_otel_")}
    if not ours:
        said = f"{url} answers, and has no llm_otel metric among {len(names)}"
        return Finding(State.FAILED, _ABOUT, said, _HOW_TO_SERVE)
    if semconv.REQUESTS.prometheus_name not in ours:
        said = f"{url} has {len(ours)} names of ours, and no completion was made there yet"
        return Finding(State.NOTE, _ABOUT, said, "make one, and look again")
    return Finding(State.OK, _ABOUT, f"{url} has {len(ours)} names of ours")
