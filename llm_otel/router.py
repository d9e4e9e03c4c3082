"""`LLMRouter`: completions from many providers with one shape, each traced, priced and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llm_otel import drive
from llm_otel.errors import ConfigurationError
from llm_otel.providers import loading
from llm_otel.router_order import Order
from llm_otel.router_streams import AsyncLLMStream, LLMStream

if TYPE_CHECKING:
    from llm_otel.routing.decision import RouteDecision
    from llm_otel.routing.policy import RoutingPolicy
    from llm_otel.scope import Tags
    from llm_otel.types import LLMConfig, LLMResponse

Messages = Sequence[Mapping[str, Any]]
"""A conversation as LiteLLM takes it: `[{"role": "user", "content": "Hello!"}]`."""


class LLMRouter:
    """Sends completions to whatever provider their model belongs to.

    Holds no state but its default configuration: one instance serves any number of threads and tasks. Retries are made
    here, one span attempt each; LiteLLM's own and the SDKs' are off.
    """

    def __init__(self, config: LLMConfig | None = None, *, policy: RoutingPolicy | None = None) -> None:
        """Make a router.

        Args:
            config: For calls that bring none.
            policy: Chooses the model where a configuration names none; the cheapest that will do by default.

        Raises:
            ConfigurationError: The policy has no `choose`, or is a class.
        """
        # A class has a `choose` as well, but none that can be called so.
        if policy is not None and (isinstance(policy, type) or not callable(getattr(policy, "choose", None))):
            raise ConfigurationError(
                "policy", policy, "an object with a `name` and a method `choose(request, candidates)`"
            )
        self._config = config
        self._policy = policy

    def complete(self, messages: Messages, config: LLMConfig | None = None, *, tags: Tags | None = None) -> LLMResponse:
        """Return the completion of a conversation.

        Args:
            messages: At least one message.
            config: Model, parameters, patience; the router's own by default.
            tags: What the call is for; they go over those of the scope around it.

        Raises:
            ConfigurationError: Bad input, found before anything was sent.
            BudgetExceededError: A budget, or `max_cost_usd`, refused the call before it was sent.
            ProviderError: The provider failed, retries and fallbacks included; LiteLLM's exception is the cause.
                `CircuitOpenError`, which is one, where it failed so often of late that it was not even asked.
        """
        job = self._order(messages, config, tags, is_streaming=False).job()
        loading.litellm()
        return drive.run(job.instruments, job.plan, job.send, job.finish)

    async def acomplete(
        self, messages: Messages, config: LLMConfig | None = None, *, tags: Tags | None = None
    ) -> LLMResponse:
        """Return the completion of a conversation, without blocking the event loop. As `complete` otherwise."""
        job = await self._order(messages, config, tags, is_streaming=False).ajob()
        await loading.aload()
        return await drive.arun(job.instruments, job.plan, job.asend, job.finish)

    def stream(self, messages: Messages, config: LLMConfig | None = None, *, tags: Tags | None = None) -> LLMStream:
        """Return a stream of chunks. Input is checked now; the request is sent when iteration starts.

        Retries happen up to the first chunk. Iterate to the end, or use it as a context manager, or call `close()`:
        what was received by then is booked in every case, also when the stream is just dropped.

        Raises:
            ConfigurationError: Bad input, found before anything was sent.
        """
        return LLMStream(self._order(messages, config, tags, is_streaming=True))

    def astream(
        self, messages: Messages, config: LLMConfig | None = None, *, tags: Tags | None = None
    ) -> AsyncLLMStream:
        """Return an async stream of chunks: `async for chunk in router.astream(...)`. As `stream` otherwise."""
        return AsyncLLMStream(self._order(messages, config, tags, is_streaming=True))

    def route(self, messages: Messages, config: LLMConfig | None = None, *, tags: Tags | None = None) -> RouteDecision:
        """Return which model a call would go to now, and why, without making it.

        It looks at what a call looks at: the environment, prices, circuits and, where a budget's limit may count, the
        ledger. So the next call may still choose otherwise.

        Raises:
            ConfigurationError: Bad input; `NoModelError`, which is one, where no model can serve the request.
        """
        return self._order(messages, config, tags, is_streaming=False).decision()

    def _order(self, messages: Messages, config: LLMConfig | None, tags: Tags | None, *, is_streaming: bool) -> Order:
        config = config or self._config
        # The name of a model is the slip that is made most.
        if config is None or isinstance(config, str):
            raise ConfigurationError(
                "config", config, "give one, here or to the router: LLMConfig(model='gpt-4o-mini')"
            )
        return Order(messages, config, tags=tags, policy=self._policy, is_streaming=is_streaming)
