"""All dashboards, and the files they are written to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from grafana.src import budgets, health, reliability, spend, unit_economics

if TYPE_CHECKING:
    from grafana.src.looks import Json

MODULES = (spend, budgets, reliability, unit_economics, health)


def dashboards() -> list[Json]:
    """Return every dashboard, in the order in which people ask."""
    return [module.dashboard() for module in MODULES]


def rendered() -> dict[str, str]:
    """Return name and text of each file. A dashboard's file is called by its uid."""
    return {f"{each['uid']}.json": json.dumps(each, indent=2, ensure_ascii=False) + "\n" for each in dashboards()}
