"""Forked children: they have the parent's objects, and none of its threads."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable

Method = Callable[[], None]


def when_forked(
    in_child: Method | None = None, *, before: Method | None = None, in_parent: Method | None = None
) -> None:
    """Call methods around each fork of this process from now on, for as long as their object lives.

    Nothing happens where there are no forks (Windows).

    Args:
        in_child: Called in the child.
        before: Called in the parent, before it forks.
        in_parent: Called in the parent, after it forked.
    """
    if not hasattr(os, "register_at_fork"):
        return
    given = {"before": before, "after_in_parent": in_parent, "after_in_child": in_child}
    os.register_at_fork(**{name: _while_alive(method) for name, method in given.items() if method is not None})


def _while_alive(method: Method) -> Method:
    ref = weakref.WeakMethod(method)

    def call() -> None:
        alive = ref()
        if alive is not None:
            alive()

    return call
