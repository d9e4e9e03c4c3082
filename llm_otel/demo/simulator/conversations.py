"""What was said in OpenAI's responses, for the requests that go on from them."""

from collections import OrderedDict
from dataclasses import replace

from llm_otel.demo.simulator.chat import Answer, ChatRequest, Segment

_KEPT = 1_000
"""Answers that can be gone on from; the oldest are forgotten first."""


class Conversations:
    """The conversations so far, each under the id of its latest answer. Not safe for use by several threads."""

    def __init__(self) -> None:
        self._said: OrderedDict[str, tuple[Segment, ...]] = OrderedDict()

    def missing(self, request: ChatRequest) -> str | None:
        """Return the id a request wants to go on from if nothing is known of it."""
        previous = None if request.turn is None else request.turn.previous
        return None if previous in self._said else previous

    def resumed(self, request: ChatRequest) -> ChatRequest:
        """Return a request with all that was said before in its prompt, which is charged for again."""
        turn = request.turn
        if turn is None or turn.previous is None:
            return request
        frame, own = request.segments[: turn.start], request.segments[turn.start :]
        return replace(request, segments=(*frame, *self._said.get(turn.previous, ()), *own))

    def remember(self, answer: Answer) -> None:
        """Keep what was asked and answered, unless the request forbids it; the reasoning is dropped."""
        turn = answer.request.turn
        if turn is None or not turn.is_kept:
            return
        said = [Segment(choice.text) for choice in answer.choices]
        said += [
            Segment(f"{call.name}{call.arguments_json}") for choice in answer.choices for call in choice.tool_calls
        ]
        self._said[answer.id] = (*answer.request.segments[turn.start :], *said)
        while len(self._said) > _KEPT:
            self._said.popitem(last=False)
