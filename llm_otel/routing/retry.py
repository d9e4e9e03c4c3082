"""Whether to try again, and after what pause. Pure: chance and time come in as arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_otel.call import Failure

_MOST_DOUBLINGS = 64
"""Every cap is long passed by then, and after a thousand a float would overflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often, and how patiently.

    Attributes:
        max_attempts: Requests in all, the first included; 1 never retries.
        base_s: The longest pause before the second attempt, in seconds; it doubles from there.
        cap_s: No pause that we choose is longer; one that the provider asks for may be.
    """

    max_attempts: int = 3
    base_s: float = 0.5
    cap_s: float = 8.0

    def pause_s(self, failure: Failure, *, attempt: int, left_s: float | None, chance: float) -> float | None:
        """Return the seconds to wait before the next attempt, or `None` to give up.

        Full jitter: uniform between 0 and the doubled bound, so that many callers who failed together do not come
        back together (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). A `Retry-After` is
        a lower bound: coming earlier than the provider asked only costs another refusal.

        Args:
            failure: Why attempt number `attempt` failed.
            attempt: 1 for the first.
            left_s: Seconds to the deadline; `None` without one. A pause that would use it up is not begun.
            chance: In [0, 1).
        """
        if not failure.is_retryable or attempt >= self.max_attempts:
            return None
        bound = min(self.cap_s, self.base_s * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS))
        pause = max(chance * bound, failure.retry_after_s or 0.0)
        if left_s is not None and pause >= left_s:
            return None
        return pause


NO_RETRY = RetryPolicy(max_attempts=1)
"""For calls that are not ours to repeat: plain LiteLLM calls keep the retries that their caller chose."""
