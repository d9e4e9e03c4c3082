"""Any tree of scopes and calls, in threads and tasks: totals sum outward, tags and conversations go inward."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_otel.scope import Scope, Totals, current_scope
from llm_otel.traced import carry, traced_llm

MakeCall = Callable[..., None]


@dataclass(frozen=True)
class Call:
    """A call as it will have ended; without a cost it is unpriced."""

    input_tokens: int
    output_tokens: int
    cost_nano: int | None


@dataclass(frozen=True)
class Node:
    """A scope, and where its body runs."""

    place: str
    tags: Mapping[str, str]
    conversation_id: str | None
    inside: tuple[Call | Node, ...]


_COUNTS = st.integers(0, 1000)
_CALLS = st.builds(Call, _COUNTS, _COUNTS, st.none() | _COUNTS)


def _nodes(inside: st.SearchStrategy[Any]) -> st.SearchStrategy[Node]:
    return st.builds(
        Node,
        place=st.sampled_from(["here", "thread", "task", "pool of asyncio"]),
        tags=st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz")),
        conversation_id=st.none() | st.sampled_from(["c1", "c2"]),
        inside=st.lists(inside, max_size=4).map(tuple),
    )


_TREES = _nodes(st.recursive(_CALLS, lambda inside: _CALLS | _nodes(inside), max_leaves=12))


def calls_of(node: Node) -> list[Call]:
    """Return every call under a node."""
    return [call for each in node.inside for call in ([each] if isinstance(each, Call) else calls_of(each))]


def expected(node: Node, tags: Mapping[str, str], conversation_id: str | None) -> list[Any]:
    """Return what each scope has to have in the end: itself, then those inside, in their order."""
    calls, tags, conversation_id = calls_of(node), {**tags, **node.tags}, node.conversation_id or conversation_id
    totals = Totals(
        calls=len(calls),
        input_tokens=sum(call.input_tokens for call in calls),
        output_tokens=sum(call.output_tokens for call in calls),
        cost_nano=sum(call.cost_nano or 0 for call in calls),
        unpriced_calls=sum(call.cost_nano is None for call in calls),
    )
    scopes = [each for each in node.inside if isinstance(each, Node)]
    return [(totals, tags, conversation_id), *(one for each in scopes for one in expected(each, tags, conversation_id))]


def run(node: Node, make_call: MakeCall, opened: list[Scope]) -> None:
    """Open the scope where the node says, and all that is inside."""

    def body() -> None:
        with traced_llm("node", tags=node.tags, conversation_id=node.conversation_id) as scope:
            opened.append(scope)
            for each in node.inside:
                if isinstance(each, Node):
                    run(each, make_call, opened)
                else:
                    make_call(
                        input_tokens=each.input_tokens,
                        output_tokens=each.output_tokens,
                        cost_nano=each.cost_nano or 0,
                        is_unpriced=each.cost_nano is None,
                    )

    async def in_a_task() -> None:
        await asyncio.create_task(asyncio.to_thread(body) if node.place == "pool of asyncio" else _later(body))

    if node.place == "here":
        body()
        return
    thread = threading.Thread(target=carry(body if node.place == "thread" else lambda: asyncio.run(in_a_task())))
    thread.start()
    thread.join()


async def _later(body: Callable[[], None]) -> None:
    await asyncio.sleep(0)
    body()


# The fixtures hold nothing that one example could leave to the next.
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=_TREES)
def test_any_tree_adds_up(spans: Any, make_call: MakeCall, tree: Node) -> None:
    """Every call counts once in each scope around it, wherever it was made."""
    opened: list[Scope] = []
    run(tree, make_call, opened)

    assert expected(tree, {}, None) == [(each.totals, dict(each.tags), each.conversation_id) for each in opened]
    assert current_scope.get() is None
