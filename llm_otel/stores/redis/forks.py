"""Forked children: they have the parent's objects, and none of its threads."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable


def when_forked(renew: Callable[[], None]) -> None:
    """Call a method in each child that this process forks from now on, for as long as its object lives."""
    method = weakref.WeakMethod(renew)

    def renew_if_alive() -> None:
        alive = method()
        if alive is not None:
            alive()

    os.register_at_fork(after_in_child=renew_if_alive)
