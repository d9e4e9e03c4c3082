"""What is recorded of conversations: by whose wish, where to, and how much of it.

Nothing by default. Who asks for it, by the variable that OpenTelemetry's own GenAI instrumentations read, gets it on
spans (as JSON), in events (as structures) or in both. Off, a call pays for one look at an attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llm_otel import semconv
from llm_otel.errors import ConfigurationError
from llm_otel.providers import messages
from llm_otel.providers.answers import output_messages
from llm_otel.providers.fitting import Room
from llm_otel.providers.gathering import Gatherer
from llm_otel.providers.texts import ContentError, Redact, Texts, dumped

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from llm_otel.call import CallRequest

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
EMIT_EVENT = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"
"""What `opentelemetry-util-genai` 1.3b0 reads too, with the same values and defaults."""
MAX_LENGTH = 8_192
"""Characters of one text. A page of prose has 3,000; 512 such spans, one batch of the SDK's, are the 4 MiB that a
Collector takes in one message (gRPC's default)."""
TEXTS_IN_AN_ATTRIBUTE = 8
"""An attribute takes as many characters as so many texts of full length."""
_PLACES = {
    "NO_CONTENT": (False, False),
    "SPAN_ONLY": (True, False),
    "EVENT_ONLY": (False, True),
    "SPAN_AND_EVENT": (True, True),
}
_OLDER = {"TRUE": "SPAN_AND_EVENT", "FALSE": "NO_CONTENT"}
"""What instrumentations before util-genai took. `true` says nothing of where, so whoever looks finds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the environment asks for.

    Attributes:
        on_spans: Content on spans.
        on_events: Content in the event of each call.
        emits_details: An event for each call, with content or without.
        emits_exceptions: An event for each failure.
    """

    on_spans: bool = False
    on_events: bool = False
    emits_details: bool = False
    emits_exceptions: bool = True

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Wishes:
        """Read the two variables.

        Raises:
            ConfigurationError: One of them says something else than it can.
        """
        mode = environment.get(CAPTURE, "").strip().upper() or "NO_CONTENT"
        mode = _OLDER.get(mode, mode)
        if mode not in _PLACES:
            raise ConfigurationError(CAPTURE, environment[CAPTURE], f"one of {', '.join(_PLACES)}")
        on_spans, on_events = _PLACES[mode]
        emit = environment.get(EMIT_EVENT, "").strip().lower()
        if emit not in ("", "true", "false"):
            raise ConfigurationError(EMIT_EVENT, environment[EMIT_EVENT], "true or false")
        return cls(
            on_spans=on_spans,
            on_events=on_events and emit != "false",
            emits_details=emit == "true" or (on_events and emit != "false"),
            emits_exceptions=emit != "false",
        )


@dataclass(frozen=True, slots=True)
class Said:
    """What was said in a call, by attribute: as JSON for its span, as structures for its event."""

    on_span: Mapping[str, Any]
    on_event: Mapping[str, Any]


NOTHING_SAID = Said(MappingProxyType({}), MappingProxyType({}))


class Silence:
    """The content of a call where nobody records any."""

    __slots__ = ()

    def came(self, response: Any) -> None:
        """Take no note of an answer."""

    def gather(self) -> None:
        """Take no note of chunks."""

    def end(self) -> Said:
        """Return nothing."""
        return NOTHING_SAID


SILENCE = Silence()


class ContentCapture:
    """Records what is said in calls. Made once for each runtime, where somebody asked for it; thread-safe."""

    __slots__ = ("_has_listener", "_max_length", "_redact", "_wishes")

    def __init__(
        self, wishes: Wishes, *, redact: Redact | None, max_length: int, has_listener: Callable[[], bool]
    ) -> None:
        """Take the settings.

        Args:
            wishes: Where the content goes.
            redact: Returns what may be recorded of a text; `None` records it as it is.
            max_length: Characters of one text, as redacted.
            has_listener: Tells whether anybody receives events.
        """
        self._wishes = wishes
        self._redact = redact
        self._max_length = max_length
        self._has_listener = has_listener

    def opened(self, request: CallRequest, span: Span | None) -> CallContent | None:
        """Take down what is asked, before its caller can change it; `None` where nobody would see it.

        Raises:
            ContentError: The redaction failed: nothing of the call is recorded.
        """
        on_span = self._wishes.on_spans and span is not None and span.is_recording()
        on_event = self._wishes.on_events and self._has_listener()
        if not (on_span or on_event) or request.operation not in semconv.INFERENCE:
            return None
        texts = Texts(redact=self._redact, max_length=self._max_length)
        content = CallContent(texts, TEXTS_IN_AN_ATTRIBUTE * self._max_length, on_span=on_span, on_event=on_event)
        content.take_question(request)
        return content


class CallContent:
    """What is said in one call, from its opening to its end. Not thread-safe."""

    __slots__ = ("_dropped", "_found", "_gatherer", "_on_event", "_on_span", "_response", "_room", "_texts")

    def __init__(self, texts: Texts, room: int, *, on_span: bool, on_event: bool) -> None:
        self._texts = texts
        self._room = room
        self._on_span = on_span
        self._on_event = on_event
        self._found: dict[str, list[dict[str, Any]]] = {}
        self._dropped = 0
        self._response: Any = None
        self._gatherer: Gatherer | None = None

    def take_question(self, request: CallRequest) -> None:
        """Take down what is asked.

        Raises:
            ContentError: The redaction failed.
        """
        self._take(semconv.GEN_AI_SYSTEM_INSTRUCTIONS, messages.system_instructions, request.instructions)
        self._take(semconv.GEN_AI_INPUT_MESSAGES, messages.input_messages, request.messages)
        self._take(semconv.GEN_AI_TOOL_DEFINITIONS, messages.tool_definitions, request.tools)

    def came(self, response: Any) -> None:
        """Note the whole answer."""
        self._response = response

    def gather(self) -> Gatherer:
        """Return what takes the chunks of an answer that is streamed."""
        self._gatherer = Gatherer()
        return self._gatherer

    def end(self) -> Said:
        """Take down what was answered, as far as it came, and return everything.

        Raises:
            ContentError: The redaction failed.
        """
        answered = self._response if self._gatherer is None else self._gatherer.response()
        self._take(semconv.GEN_AI_OUTPUT_MESSAGES, output_messages, answered)
        counts = {semconv.CONTENT_TRUNCATED: self._texts.truncated, semconv.CONTENT_DROPPED: self._dropped}
        said = {name: count for name, count in counts.items() if count}
        return Said(
            {**{name: dumped(found) for name, found in self._found.items()}, **said} if self._on_span else {},
            {**self._found, **said} if self._on_event else {},
        )

    def _take(self, attribute: str, read: Callable[[Any, Texts, Room], list[dict[str, Any]]], source: Any) -> None:
        room = Room(self._room)
        try:
            found = read(source, self._texts, room) if source is not None else []
        except ContentError:
            raise
        # Its text may quote the content, and what goes to the guard is logged.
        except Exception as exc:  # noqa: BLE001
            raise ContentError.about(f"reading {attribute}", exc) from None
        self._dropped += room.dropped
        if found:
            self._found[attribute] = found
