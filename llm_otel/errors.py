"""Every error this library raises on its own account.

    LLMOtelError
    ├── ConfigurationError (also a ValueError)   a value that cannot be used: field, value, what is allowed
    │   ├── UnknownModelError                    a model that is in no registry
    │   └── UnknownProviderError                 a provider that does not exist, or cannot be told from the model
    └── ProviderError                            a provider failed; LiteLLM's own error is its `__cause__`

Messages name what was refused, the value and what the reader can do. They never hold a prompt, a completion or a key.
What a program may want to branch on is a field.
"""

from __future__ import annotations


class LLMOtelError(Exception):
    """The root of the tree: `except LLMOtelError` catches all that the library raises by itself."""


class ConfigurationError(LLMOtelError, ValueError):
    """A value that cannot be used, found before anything was sent or spent.

    Attributes:
        field: The argument, setting or configuration key, as the user wrote it.
        value: The offending value; `None` where showing it could leak a secret.
        allowed: What would have been accepted, in words.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field}={value!r} is not usable: {allowed}")
        self.field = field
        self.value = value
        self.allowed = allowed


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
    ) -> None:
        status = f", HTTP {status_code}" if status_code is not None else ""
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        wait = f"; the provider asks to wait {retry_after_s:g} s" if retry_after_s is not None else ""
        super().__init__(f"{provider} model {model!r} failed after {tries}: {error_type}{status}{wait}")
        self.provider = provider
        self.model = model
        self.error_type = error_type
        self.status_code = status_code
        self.attempts = attempts
        self.retry_after_s = retry_after_s
