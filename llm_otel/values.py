"""The facts of a call as values: immutable to the type checker, plain to the interpreter.

`@dataclass(frozen=True)` sets every field through `object.__setattr__`, and a call has some sixty fields: that made a
twentieth of all that a call costs. What `frozen` refuses at run time, mypy refuses here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """Make a slotted, hashable dataclass whose fields are given by name and never set again."""
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)
