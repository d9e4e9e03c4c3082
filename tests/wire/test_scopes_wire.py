"""What a scope gives to the calls inside, through every entrance, thread and service."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from opentelemetry import baggage, context, propagate

from llm_otel import carry, traced_llm
from tests.wire.callers import PLAIN, ROUTER, Caller, asked_by


@asked_by(providers=("openai", "anthropic"))
def test_calls_are_of_the_conversation_of_their_scope(caller, simulator, books, spans):
    """On the spans of both; nested scopes inherit it, and no label has it."""
    with traced_llm("turn", conversation_id="c-1"):
        caller.ask()

    assert "c-1" == books.said("gen_ai.conversation.id")
    assert "c-1" == spans.named("invoke_workflow work").attributes["gen_ai.conversation.id"]
    samples = [sample for metric in books.registry.collect() for sample in metric.samples]
    assert [] == [sample for sample in samples if "c-1" in sample.labels.values()]


@asked_by(providers=("openai",))
def test_without_a_conversation_none_is_made_up(caller, simulator, books, spans):
    """The conventions forbid it."""
    caller.ask()

    assert [] == [span.name for span in spans.ended if "gen_ai.conversation.id" in span.attributes]


@asked_by(providers=("openai",))
def test_tags_come_from_the_baggage_of_the_request(caller, simulator, books, use, registry):
    """As far as they are allowed, and the scope does not say otherwise."""
    use(registry, baggage_tags=("team", "feature"))
    token = context.attach(propagate.extract({"baggage": "team=wire,feature=answers,user=john"}))
    caller.ask()
    context.detach(token)

    assert ("search", "answers", None) == tuple(
        books.said(f"llm_otel.tag.{name}") for name in ("team", "feature", "user")
    )


@asked_by(providers=("openai",), entrances=(ROUTER,))
def test_a_call_outside_of_all_scopes_takes_them_too(caller, simulator, books, use, registry):
    """There is nobody else to say what it is for."""
    use(registry, baggage_tags=("team",))
    token = context.attach(baggage.set_baggage("team", "wire"))
    caller.ask(in_scope=False)
    context.detach(token)

    assert "wire" == books.said("llm_otel.tag.team")


@asked_by(providers=("openai",), is_async=False, is_stream=False)
def test_calls_in_carried_threads_count_once(caller: Caller, simulator, books, spans):
    """In the scope around; the books of each test hold the totals of spans against their calls."""
    with traced_llm("outer") as outer, ThreadPoolExecutor(4) as pool:
        list(pool.map(carry(lambda _: caller.ask()), range(8)))

    assert 8 == outer.calls == len(books.calls)
    outer_id = spans.named("invoke_workflow outer").get_span_context().span_id
    assert [outer_id] * 8 == [span.parent.span_id for span in spans.ended if span.name == "invoke_workflow work"]


@asked_by(providers=("openai",), entrances=(PLAIN,), is_async=False, is_stream=False)
def test_the_provider_is_told_no_tags(caller, simulator, books, use, registry):
    """LiteLLM's clients are not ours to propagate through: an uninstrumented one sends no baggage."""
    use(registry, baggage_tags=("team",))
    caller.ask()

    (request,) = simulator.requests
    assert not {"baggage", "traceparent"} & {name.lower() for name in request.headers}
