"""What a caller of `LLMRouter` orders: checked at once, and made a job when its model is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_otel import route_finding, steps
from llm_otel.baggage import tags_around
from llm_otel.budgets.matching import NOTHING
from llm_otel.caching.key import key_of, tenant_of
from llm_otel.plan import NO_DETOURS, Caching, Plan
from llm_otel.providers import loading, moving, replaying, requests
from llm_otel.providers.adapter import Opened
from llm_otel.recorders.route_attributes import attributes_of
from llm_otel.route_finding import Servers
from llm_otel.router_job import Job, provider_error
from llm_otel.routing.decision import explicit
from llm_otel.scope import Tags, current_scope, parse_tags
from llm_otel.wiring import runtime

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from llm_otel.caching.entry import Entry
    from llm_otel.call import CallRequest, Parameters
    from llm_otel.models.resolve import ModelRef
    from llm_otel.routing.choice import Choice
    from llm_otel.routing.decision import RouteDecision
    from llm_otel.routing.policy import RoutingPolicy
    from llm_otel.steps import Step
    from llm_otel.types import LLMConfig


class Order:
    """One completion, as it was ordered: nothing is chosen, asked or sent."""

    __slots__ = ("_config", "_is_streaming", "_made", "_messages", "_policy", "_scope", "_tags", "_template")

    def __init__(
        self,
        messages: Sequence[Mapping[str, Any]],
        config: LLMConfig,
        *,
        tags: Tags | None,
        policy: RoutingPolicy | None,
        is_streaming: bool,
    ) -> None:
        """Check what can be checked without asking anybody.

        Raises:
            ConfigurationError: Something cannot be, or nothing says which model to take.
        """
        requests.check_messages(messages)
        self._template = template = requests.template_of(config)
        if not template.is_by_name:
            route_finding.wanted_of(config, has_policy=policy is not None)
        self._messages = messages
        self._config = config
        self._policy = policy
        self._is_streaming = is_streaming
        self._made, self._scope = runtime(), current_scope.get()
        around, own = tags_around(self._scope, self._made.baggage), parse_tags(tags)
        self._tags: Mapping[str, str] = {**around, **own} if around else own

    # --- its model ----------------------------------------------------------------------------------------------------

    def job(self) -> Job:
        """Return the job, with its model chosen; a look at a ledger blocks this thread."""
        ref = self._template.ref
        if ref is not None and self._template.is_by_name:
            return self._named(ref)
        if self._asks_litellm():
            loading.litellm()
        since_s = self._now_s()
        return self._chosen(steps.run(self._choice()), since_s)

    async def ajob(self) -> Job:
        """Return the job, with its model chosen."""
        if self._asks_litellm():
            await loading.aload()
        ref = self._template.ref
        if ref is not None and self._template.is_by_name:
            return self._named(ref)
        since_s = self._now_s()
        return self._chosen(await steps.arun(self._choice()), since_s)

    def _asks_litellm(self) -> bool:
        """Tell whether LiteLLM is asked which models take the request: its import would hold up the event loop.

        It is no part of the call's time: that begins when everything is loaded.
        """
        template = self._template
        is_alone = template.is_by_name and not template.fallbacks and not template.detours
        return not is_alone and bool(moving.judged_by_litellm(template.arguments))

    def _now_s(self) -> float:
        return self._made.surroundings.clock.monotonic()

    def decision(self) -> RouteDecision:
        """Return what would be chosen now."""
        return steps.run(self._choice()).decision

    def _choice(self) -> Generator[Step, Any, Choice]:
        return route_finding.find(
            self._config,
            {**self._template.arguments, "messages": self._messages},
            self._made.surroundings,
            tags=self._tags,
            run=NOTHING if self._scope is None else self._scope.run_budgets,
            policy=self._policy,
        )

    # --- the job ------------------------------------------------------------------------------------------------------

    def _named(self, ref: ModelRef) -> Job:
        """Make the job of a model that was named: the short way, without a look at any other."""
        template = self._template
        arguments = self._arguments(ref)
        servers = Servers(arguments)
        targets = (ref, *servers.among(template.fallbacks))
        plan = self._plan(targets, arguments, servers, timeout_s=self._config.timeout_s)
        decision = explicit(ref.model, ref.provider)
        return Job(self._made.instruments, plan, ref, arguments, self._config, decision, is_named=True)

    def _chosen(self, choice: Choice, since_s: float) -> Job:
        """Make the job of a model that was chosen, be it in the place of one that was named.

        The choice may have waited for a ledger since `since_s` (monotonic seconds): that is a part of the call's time.
        """
        timeout_s = max(0.0, self._config.timeout_s - (self._now_s() - since_s))
        taken, named, decision = choice.targets[0], self._template.ref, choice.decision
        # The key and the address in the configuration belong to the model that it names.
        first = taken if named is None else named
        arguments = self._arguments(first)
        sent = arguments if taken is first else moving.moved(first, arguments, taken)
        plan = self._plan(
            choice.targets,
            sent,
            Servers(sent),
            timeout_s=timeout_s,
            route=attributes_of(decision),
            instead_of=choice.original,
        )
        return Job(self._made.instruments, plan, first, arguments, self._config, decision, is_named=named is not None)

    def _arguments(self, ref: ModelRef) -> dict[str, Any]:
        return requests.arguments_for(self._template, ref, self._messages, is_streaming=self._is_streaming)

    def _plan(
        self,
        targets: tuple[ModelRef, ...],
        arguments: dict[str, Any],
        servers: Servers,
        *,
        timeout_s: float,
        route: Parameters | None = None,
        instead_of: ModelRef | None = None,
    ) -> Plan:
        template, ttl_s = self._template, self._config.cache_ttl_s
        request = requests.request_of(
            arguments, targets[0], tags=self._tags, parameters=template.parameters, route=route
        )
        return Plan(
            request=request,
            arguments=arguments,
            may_change_model=True,
            instead_of=instead_of,
            max_cost_nano=template.max_cost_nano,
            scope=self._scope,
            retry=template.retry,
            targets=targets,
            detours={kind: servers.among(refs) for kind, refs in template.detours.items()}
            if template.detours
            else NO_DETOURS,
            health=self._made.health,
            caching=None if ttl_s is None else self._caching(request, targets[0], arguments, ttl_s),
            timeout_s=timeout_s,
            to_error=provider_error,
        )

    def _caching(self, request: CallRequest, ref: ModelRef, arguments: dict[str, Any], ttl_s: float) -> Caching | None:
        """Return how the answer may come from the response cache; `None` where the request has no key."""
        key = key_of(
            arguments,
            model=ref.litellm_model,
            tenant=tenant_of(self._tags, self._made.settings.cache_tenant_tags),
            server=(request.server_address, request.server_port),
        )
        if key is None:
            return None
        return Caching(
            cache=self._made.response_cache,
            key=key,
            ttl_s=ttl_s,
            # Who wants to see an answer grow does not wait until another has all of it; and how long a stream takes is
            # up to its reader, which is nothing to wait for.
            may_wait=not self._is_streaming,
            entry_of=replaying.entry_of,
            raw_of=_opened if self._is_streaming else replaying.response_of,
        )


def _opened(entry: Entry) -> Opened:
    """Return an answer that was kept as a stream that has begun."""
    replay = replaying.Replay(entry)
    return Opened(replay, replay, [])
