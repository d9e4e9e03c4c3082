"""Where the arguments of each kind of request say what it may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The arguments of one of LiteLLM's functions, as far as they bound a request.

    Attributes:
        input: What the model reads.
        beside: More text that it reads.
        unseen: Those that stand for text kept elsewhere.
        limits: Those that limit the output; of several the highest holds. The last is the usual one. None where nothing
            is generated.
        choices: Those that ask for several answers; the highest holds.
        is_split: A list of inputs is as many requests, each with a window and an answer of its own.
        least: A lower limit than this is not sent: LiteLLM raises it to what the provider takes.
        takes_zero: A limit of 0 means that nothing is generated; for the others it is as good as none.
        has_tools_there: Tools of certain types run at the provider.
    """

    input: str
    beside: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    is_split: bool = False
    least: int = 1
    takes_zero: bool = False
    has_tools_there: bool = False

    @property
    def generates(self) -> bool:
        """Whether there is an output to pay for."""
        return bool(self.limits)

    def output_limit(self, arguments: Mapping[str, Any]) -> int | None:
        """Return the output limit that the caller gave, for each answer, as it is sent; `None` without one."""
        given = [_count(arguments.get(name)) for name in self.limits]
        if self.takes_zero and 0 in [arguments.get(name) for name in self.limits]:
            return max(given)
        limit = max(given, default=0)
        return max(limit, self.least) if limit else None

    def limited_to(self, arguments: Mapping[str, Any], max_tokens: int) -> dict[str, Any]:
        """Return the arguments with another output limit, under the name that they use; LiteLLM finds the model's."""
        used = (name for name in self.limits if arguments.get(name) is not None)
        return {**arguments, next(used, self.limits[-1]): max_tokens}

    def requests_in(self, arguments: Mapping[str, Any]) -> int:
        """Return how many inputs are sent at once; one that is given as tokens is one."""
        given = arguments.get(self.input)
        if not self.is_split or not isinstance(given, list | tuple):
            return 1
        return max(1, sum(not isinstance(each, int) for each in given))

    def answers_to(self, arguments: Mapping[str, Any]) -> int:
        """Return how many answers are asked for."""
        each = max((_count(arguments.get(name)) for name in self.choices), default=1)
        return self.requests_in(arguments) * max(1, each)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


CHAT = Shape(
    input="messages",
    unseen=("previous_response_id", "conversation", "prompt_id"),
    limits=("max_completion_tokens", "max_tokens"),
    choices=("n",),
)
TEXT = Shape(
    input="prompt",
    beside=("suffix",),
    limits=("max_tokens",),
    # OpenAI bills all of `best_of`, and returns the best `n`.
    choices=("n", "best_of"),
    is_split=True,
    takes_zero=True,
)
EMBEDDINGS = Shape(input="input", is_split=True)
RESPONSES = Shape(
    input="input",
    beside=("instructions",),
    # `prompt` is a template that OpenAI keeps.
    unseen=("previous_response_id", "conversation", "prompt", "prompt_id"),
    limits=("max_output_tokens",),
    # For OpenAI (1.105); elsewhere a few tokens too many are held.
    least=16,
    has_tools_there=True,
)
