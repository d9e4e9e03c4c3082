"""The Lua scripts: one for each operation, told apart by the digest of their text, so that two releases never mix."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import NamedTuple

from llm_otel.budgets.ledger import HOLD_KEPT_MS, MAX_STEP_BACK_MS, SWEEP_BATCH

LAYOUT = 1
"""The version of what the keys hold. A ledger with a newer one is refused: its rows may mean something else."""

NEWER_LAYOUT = "NEWERLAYOUT"
"""What the error of a script begins with when it meets one; the version follows."""

_CONSTANTS = {
    "LAYOUT": LAYOUT,
    "MAX_STEP_BACK_MS": MAX_STEP_BACK_MS,
    "HOLD_KEPT_MS": HOLD_KEPT_MS,
    "SWEEP_BATCH": SWEEP_BATCH,
}


class Script(NamedTuple):
    """A script and the digest that Redis knows it by."""

    source: str
    digest: str


@cache
def load(*parts: str) -> Script:
    """Return the script made of these files, one after the other: they share their local names."""
    folder = resources.files(__package__) / "lua"
    constants = "".join(f"local {name} = {value}\n" for name, value in _CONSTANTS.items())
    source = constants + "\n".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in parts)
    # SHA-1 is the name that Redis gives a script, and guards nothing.
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
