"""Every error this library raises on its own account.

    LLMOtelError
    ├── ConfigurationError (also a ValueError)   a value that cannot be used: field, value, what is allowed
    │   ├── NoModelError                         no model can do what was asked, or may
    │   ├── UnknownModelError                    a model that is in no registry
    │   └── UnknownProviderError                 a provider that does not exist, or cannot be told from the model
    ├── ProviderError                            a provider failed; LiteLLM's own error is its `__cause__`
    │   └── CircuitOpenError                     it failed so often of late that it is not asked for a while
    └── BudgetExceededError                      a budget refused a call, before anything was sent

Messages name what was refused, the value and what the reader can do. They never hold a prompt, a completion or a key.
What a program may want to branch on is a field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from decimal import Decimal


HIDDEN = "…"
"""Shown instead of a value that may be a secret, under a field's own name or a mistyped one."""


def did_you_mean(name: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> str:
    """Return `"did you mean 'x'? "` with what is nearest to a name that nobody knows; nothing where none is near.

    Args:
        name: As it was written.
        known: What there is.
        most: So many are named at most, the nearest first.
        cutoff: How alike they have to be, as `difflib` counts it: from 0 to 1.
    """
    import difflib

    near = difflib.get_close_matches(name, known, n=most, cutoff=cutoff)
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""


class LLMOtelError(Exception):
    """The root of the tree: `except LLMOtelError` catches all that the library raises by itself."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Task queues send errors from process to process; what __init__ took apart cannot be put in again.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[LLMOtelError], args: tuple[Any, ...], fields: dict[str, Any]) -> LLMOtelError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(fields)
    return error


class ConfigurationError(LLMOtelError, ValueError):
    """A value that cannot be used, found before anything was sent or spent.

    Attributes:
        field: The argument, setting or configuration key, as the user wrote it.
        value: The offending value; `HIDDEN` where showing it could leak a secret.
        allowed: What would have been accepted, in words.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field}={value!r} is not usable: {allowed}")
        self.field = field
        self.value = value
        self.allowed = allowed


class NoModelError(ConfigurationError):
    """No model can serve a request as it was asked for; found before anything was sent.

    Attributes:
        why_not: What keeps each model that was looked at from it, by `provider/model`.
    """

    def __init__(self, field: str, value: object, allowed: str, *, why_not: Mapping[str, str]) -> None:
        super().__init__(field, value, allowed)
        self.why_not = dict(why_not)


class UnknownModelError(ConfigurationError):
    """A model name that no registry knows, asked for its facts (calls to unknown models are sent, unpriced)."""


class UnknownProviderError(ConfigurationError):
    """A provider that LiteLLM does not have, or a model from which none can be told."""


class ProviderError(LLMOtelError):
    """A provider did not answer, after every attempt that was allowed.

    The provider's own words stay in `__cause__` (LiteLLM's exception, unchanged): they may quote the prompt.

    Attributes:
        provider: The `gen_ai.provider.name` value.
        model: The model of the last attempt.
        error_type: What the span says too: the class of LiteLLM's exception.
        status_code: The HTTP status of the last attempt, `None` where there was none.
        attempts: How many requests were made, 0 when the deadline left no time for one.
        retry_after_s: What the provider asked to wait, in seconds, if it did.
        tried: The model of each attempt, as `provider/model`.
        unset: The environment variable to set, where nothing was sent for want of a key.
    """

    def __init__(
        self,
        *,
        provider: str,
        model: str,
        error_type: str,
        status_code: int | None,
        attempts: int,
        retry_after_s: float | None = None,
        tried: tuple[str, ...] = (),
        unset: str | None = None,
    ) -> None:
        status = f", HTTP {status_code}" if status_code is not None else ""
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        wait = f"; the provider asks to wait {retry_after_s:g} s" if retry_after_s is not None else ""
        if len(set(tried)) > 1:
            tries += f" ({', '.join(tried)})"
        key = f"; there is no key to send it with: set {unset}, or give LLMConfig an api_key" if unset else ""
        super().__init__(f"{provider} model {model!r} failed after {tries}: {error_type}{status}{wait}{key}")
        self.provider = provider
        self.model = model
        self.error_type = error_type
        self.status_code = status_code
        self.attempts = attempts
        self.retry_after_s = retry_after_s
        self.tried = tried
        self.unset = unset


class CircuitOpenError(ProviderError):
    """Nothing was sent: the model failed so often of late that it is left alone for a while.

    So is every other that the call could have gone to. The fields are those of `ProviderError`, for the model that may
    be asked first; `retry_after_s` says when one request may go there to see whether it is back.
    """

    def __init__(self, *, provider: str, model: str, retry_after_s: float) -> None:
        super().__init__(
            provider=provider,
            model=model,
            error_type=type(self).__name__,
            status_code=None,
            attempts=0,
            retry_after_s=retry_after_s,
        )
        why = f"{provider} model {model!r} failed too often of late and is left alone; nothing was sent"
        self.args = (f"{why}; try again in {retry_after_s:.1f} s, or name `fallbacks`",)


class BudgetExceededError(LLMOtelError):
    """A budget refused a call; nothing was sent, nothing is held. Every refusal is one of these.

    Attributes:
        kind: `exhausted` (until the window resets), `in_flight` (only calls that have not settled are in the way),
            `too_large` (more than the whole limit), `unknown_price` or `store_unavailable`.
        budget: The budget's id; `max_cost_usd` for the limit that the call itself was given.
        scope: The value that it is split by; empty for one that is not split.
        window: In words, such as `month 2026-11, Europe/Berlin`, or `this call`.
        limit_usd: The limit in force.
        spent_usd: Spend in the window; `None` where it is not known.
        held_usd: Set aside for calls in flight; `None` where it is not known.
        requested_usd: The most that this call could have cost; `None` where it is not known.
        resets_at: When the window begins anew, in the budget's time zone; `None` for a lifetime.
        retry_after_s: When to try again, in seconds; `None` where waiting does not help.
    """

    def __init__(  # noqa: PLR0913  # every argument is a public field
        self,
        *,
        kind: str,
        budget: str,
        scope: str,
        window: str,
        limit_usd: Decimal,
        spent_usd: Decimal | None,
        held_usd: Decimal | None,
        requested_usd: Decimal | None,
        resets_at: datetime | None,
        retry_after_s: float | None,
        is_unbounded: bool = False,
        is_of_call: bool = False,
        has_waited: bool = False,
    ) -> None:
        self.kind = kind
        self.budget = budget
        self.scope = scope
        self.window = window
        self.limit_usd = limit_usd
        self.spent_usd = spent_usd
        self.held_usd = held_usd
        self.requested_usd = requested_usd
        self.resets_at = resets_at
        self.retry_after_s = retry_after_s
        if is_of_call:
            reason = self._reason_of_call(is_unbounded=is_unbounded)
        else:
            reason = self._reason(is_unbounded=is_unbounded, has_waited=has_waited)
        super().__init__(self._message(reason))

    def _message(self, reason: str) -> str:
        of = f" for {self.scope!r}" if self.scope else ""
        asked = "a call" if self.requested_usd is None else f"a call of up to {_plain(self.requested_usd)} USD"
        return f"Budget {self.budget!r}{of} ({self.window}) refused {asked}: {reason}"

    def _reason_of_call(self, *, is_unbounded: bool) -> str:
        if self.kind == "unknown_price":
            return f"{_UNBOUNDED if is_unbounded else _UNPRICED} without max_cost_usd it passes"
        limit, spent = _plain(self.limit_usd), self.spent_usd
        over = f"{_plain(spent)} of {limit} USD are spent by earlier attempts" if spent else f"the limit is {limit} USD"
        return f"{over}; take a cheaper model, lower max_tokens, or raise max_cost_usd"

    def _reason(self, *, is_unbounded: bool, has_waited: bool) -> str:
        if self.kind == "unknown_price":
            return f"{_UNBOUNDED if is_unbounded else _UNPRICED} on_unknown_price='allow' passes"
        if self.kind == "store_unavailable":
            return "its ledger cannot be reached; on_store_error='allow' lets calls pass meanwhile"
        limit = _plain(self.limit_usd)
        if self.kind == "too_large":
            return f"that is more than the whole limit of {limit} USD; lower max_tokens, or raise the limit"
        used = f"{_plain(self.spent_usd)} of {limit} USD are spent, {_plain(self.held_usd)} held for calls in flight"
        if self.kind == "in_flight":
            more = "wait longer (wait_s, or the call's timeout_s)" if has_waited else "set on_exceeded='wait'"
            return f"{used}; try again when they have settled, or {more}"
        resets = "never resets" if self.resets_at is None else f"resets {self.resets_at.isoformat(timespec='minutes')}"
        return f"{used}; {resets}; raise the limit, or lower max_tokens"


_UNBOUNDED = (
    "nothing bounds what its input may cost (images, audio, files or text kept elsewhere, and a model whose context "
    "window is not known);"
)
_UNPRICED = "the price of its model is not known; register_model(...) prices it,"


def _plain(amount: Decimal | None) -> str:
    """Return dollars as people write them: no exponent, the cents, and no more zeros than that."""
    if amount is None:
        return "?"
    whole, _, fraction = f"{amount:f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"
