"""The labelled prompts of routing_prompts.toml, and of two other authors beside it, as the requests of services."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_otel.models.entry import ModelCapability

HALVES = ("tune", "held_out")
"""What the author of the rules wrote."""
BLIND = "blind"
"""What a second author wrote, without having seen the rules. They were changed for its errors since."""
THIRD = "third"
"""What a third author wrote, without having seen the rules either. None was changed for its errors."""
SPLITS = (*HALVES, BLIND, THIRD)
_FILES = dict.fromkeys(HALVES, "routing_prompts.toml") | {
    BLIND: "routing_prompts_blind.toml",
    THIRD: "routing_prompts_third.toml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A request, and what a careful person says that it needs."""

    messages: list[dict[str, str]]
    capability: ModelCapability
    level: ModelCapability
    has_images: bool
    wants_json: bool

    @property
    def needs(self) -> frozenset[ModelCapability]:
        return needs(self.capability, self.level)


def needs(capability: ModelCapability, level: ModelCapability) -> frozenset[ModelCapability]:
    """Return what a model must be good enough for, as routing does: hard code needs a strong coder."""
    return frozenset({capability, level} if level == ModelCapability.COMPLEX else {capability})


def labelled(split: str) -> list[Labelled]:
    """Return one of `SPLITS`, in the order of its file."""
    content = tomllib.loads(Path(__file__).with_name(_FILES[split]).read_text(encoding="utf-8"))
    return [_read(row, content.get("texts", {})) for row in content[split]]


def _read(row: dict[str, Any], texts: dict[str, str]) -> Labelled:
    said = row["prompt"]
    if "attach" in row:
        said = "\n\n".join([said, *[texts[row["attach"]]] * row.get("times", 1)])
    turns = [("system", row["system"])] if "system" in row else []
    # What was said before, in the way of the first two authors, or of the third.
    turns += [*map(tuple, row.get("before", ())), *((each["role"], each["content"]) for each in row.get("history", ()))]
    turns.append(("user", said))
    return Labelled(
        messages=[{"role": role, "content": content} for role, content in turns],
        capability=ModelCapability(row["capability"]),
        level=ModelCapability(row["level"]),
        has_images=row.get("has_images", False),
        wants_json=row.get("wants_json", False),
    )
