"""Saying once that an endpoint takes nothing, and once that it does again."""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from dataclasses import dataclass, field

from llm_otel.telemetry.asked import Route, Signal

_logger = logging.getLogger("llm_otel")
_CREDENTIALS = re.compile(r"[^\s/@]+@")
_PATH = re.compile(r"(\burl: |://[^\s/?#'\"]+)[/?#][^\s'\")]*")
"""urllib3 quotes it as `url: /v1/traces?key=...`."""
_ANSWER = re.compile(r"StatusCode\.(?!UNAVAILABLE|DEADLINE_EXCEEDED|CANCELLED)\w+|\bcode: [1-5]\d\d\b")
"""How the SDK's exporters quote an answer that says no; anything else is silence, or a connection that is refused."""
_REASON_CHARACTERS = 400


@dataclass(slots=True)
class _Outage:
    signals: set[Signal] = field(default_factory=set)
    lost: Counter[Signal] = field(default_factory=Counter)


class Outages:
    """What is known of endpoints that take nothing. Thread-safe.

    An endpoint that cannot be reached is one outage, whatever was sent there. One that answers and says no is one for
    each signal: a backend for traces need not take logs.
    """

    def __init__(self) -> None:
        # Re-entrant: a stream that the garbage collector ends in here may find its queue full.
        self._lock = threading.RLock()
        self._outages: dict[tuple[str, Signal | None], _Outage] = {}

    def forget(self) -> None:
        """Begin anew: in a forked child, where the lock may be held by a thread that is not there."""
        self._lock = threading.RLock()
        self._outages = {}

    def failed(self, route: Route, reason: str, *, lost: int = 0) -> None:
        """Take note of a batch that was not taken.

        Args:
            route: The way that it took.
            reason: What the SDK's exporter said.
            lost: How many spans or log records were in it. (Metrics are running totals: a later batch makes up.)
        """
        key = (route.endpoint, route.signal if _ANSWER.search(reason) else None)
        with self._lock:
            is_new = key not in self._outages
            outage = self._outages.setdefault(key, _Outage())
            outage.signals.add(route.signal)
            outage.lost[route.signal] += lost
        if is_new:
            self._say_lost(route, reason, is_answer=key[1] is not None)

    @staticmethod
    def _say_lost(route: Route, reason: str, *, is_answer: bool) -> None:
        advice = (
            f"see what it accepts and which OTEL_EXPORTER_OTLP_HEADERS it wants, or set "
            f"OTEL_{route.signal.upper()}_EXPORTER=none"
            if is_answer
            else "is a Collector listening there? OTEL_EXPORTER_OTLP_ENDPOINT says where, OTEL_EXPORTER_OTLP_PROTOCOL "
            "how (grpc or http/protobuf)"
        )
        _logger.warning(
            "llm_otel.otlp_undelivered endpoint=%s protocol=%s signal=%s reason=%r; calls go on, what they record is "
            "lost until the endpoint takes it; %s",
            route.endpoint,
            route.protocol,
            route.signal if is_answer else "all",
            without_secrets(reason)[:_REASON_CHARACTERS],
            advice,
        )

    def dropped(self, signal: Signal) -> bool:
        """Take note of one span or log record that a full queue did not take; say whether an outage is why."""
        if not self._outages:
            return False
        with self._lock:
            outage = next((each for each in self._outages.values() if signal in each.signals), None)
            if outage is not None:
                outage.lost[signal] += 1
        return outage is not None

    def succeeded(self, route: Route) -> None:
        """Take note of a batch that was taken."""
        if not self._outages:
            return
        with self._lock:
            over = [outage for key, outage in self._outages.items() if self._ends(key, outage, route)]
            self._outages = {key: outage for key, outage in self._outages.items() if outage.signals}
        for outage in over:
            _logger.warning(
                "llm_otel.otlp_recovered endpoint=%s lost_spans=%d lost_log_records=%d",
                route.endpoint,
                outage.lost[Signal.TRACES],
                outage.lost[Signal.LOGS],
            )

    @staticmethod
    def _ends(key: tuple[str, Signal | None], outage: _Outage, route: Route) -> bool:
        if key[0] != route.endpoint:
            return False
        outage.signals.discard(route.signal)
        return not outage.signals


def without_secrets(text: str) -> str:
    """Return what an exporter said, without what may give access: user, password, path and query of an address."""
    return _PATH.sub(r"\1/...", _CREDENTIALS.sub("", text))
