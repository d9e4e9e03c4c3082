"""`Budget`: what may be spent, on what, in which time, and what happens at the limit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Literal, get_args

from llm_otel.budgets.windows import Window, parse_window
from llm_otel.errors import ConfigurationError
from llm_otel.money import parse_usd, usd

Kind = Literal["hard", "soft"]
OnExceeded = Literal["deny", "downgrade", "wait"]
OnTight = Literal["deny", "clip"]
OnUnknownPrice = Literal["deny", "estimate", "allow"]
OnStoreError = Literal["deny", "allow"]

MAX_WAIT_S = 3600
MAX_MIN_TOKENS = 1_000_000
MAX_ALERT = 10
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on spend. Immutable; checked when it is made.

    Example:
        >>> Budget("team", limit_usd="50", window="day", by="team", match={"environment": "prod"}).limit_usd
        Decimal('50.000000000')

    Raises:
        ConfigurationError: A value cannot be used; it names the field, the value and what is allowed.
    """

    id: str
    """Its name on metrics, spans and errors: letters, digits, `_`, `.` and `-`, at most 64."""
    _: KW_ONLY
    limit_usd: Decimal | str | int | float
    """US dollars in one window; for each value of `by`."""
    window: str
    """`minute`, `hour`, `day`, `week` (from Monday), `month`, `quarter`, `year`, `lifetime` or `rolling:3600s`."""
    tz: str = "UTC"
    """The IANA time zone whose calendar the windows follow."""
    by: str | tuple[str, ...] | None = None
    """Splits it into one budget for each value of a tag, or of `model` or `provider`; several names: for each pair."""
    # A mapping has no hash; budgets that differ in it alone share theirs.
    match: Mapping[str, str | tuple[str, ...]] | None = field(default=None, hash=False)
    """Restricts it to calls with these tags (or `model`, `provider`): a value, or several that are allowed."""
    kind: Kind = "hard"
    """`hard` refuses what does not fit; `soft` counts and alerts."""
    alerts: tuple[float, ...] = (0.5, 0.8, 1.0)
    """Fractions of the limit whose first crossing in a window is announced, once over all processes."""
    on_exceeded: OnExceeded = "deny"
    """What a hard budget does with a call that does not fit: refuse it, take a cheaper model, or wait."""
    wait_s: float = 30.0
    """How long `wait` waits at most."""
    downgrade_to: tuple[str, ...] = ()
    """Models for `downgrade`, in the order to try; by default cheaper ones of the same provider and capability."""
    on_tight: OnTight = "deny"
    """Whether the output limit may be lowered (`clip`) to what is still affordable."""
    min_max_tokens: int = 16
    """The lowest output limit that `clip` may set."""
    on_unknown_price: OnUnknownPrice = "deny"
    """A call whose price is not known: refused, held at the provider's highest price, or let through uncounted."""
    on_store_error: OnStoreError | None = None
    """While the ledger cannot be reached; by default a hard budget denies and a soft one allows."""

    limit_nano: int = field(init=False, repr=False, compare=False)
    """The limit in nano-USD."""
    parsed_window: Window = field(init=False, repr=False, compare=False)
    """The window with its time zone."""
    split_by: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """`by`, as a tuple."""
    conditions: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    """`match`, with all that each name may be."""
    thresholds: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """The alerts as nano-USD of spend, ascending."""

    def __post_init__(self) -> None:
        self._check_id()
        self._set("limit_nano", parse_usd(self.limit_usd, field=self._field("limit_usd")))
        if not self.limit_nano and Decimal(str(self.limit_usd)):
            raise self._refuse("limit_usd", self.limit_usd, "0, or at least 0.000000001 US dollars")
        self._set("limit_usd", usd(self.limit_nano))
        self._set("parsed_window", self._named(parse_window, self.window, self.tz))
        self._set("split_by", self._names("by", self.by))
        self._set("by", self.by if self.by is None or isinstance(self.by, str) else self.split_by)
        self._set("conditions", self._checked_match())
        self._set("match", None if self.match is None else self.conditions)
        self._set("alerts", self._checked_alerts())
        self._set("thresholds", tuple(sorted({self._threshold(each) for each in self.alerts})))
        self._set("downgrade_to", self._names("downgrade_to", self.downgrade_to))
        for name, allowed in _CHOICES.items():
            self._check_choice(name, allowed)
        self._check_number("wait_s", self.wait_s, 0, MAX_WAIT_S)
        self._check_number("min_max_tokens", self.min_max_tokens, 1, MAX_MIN_TOKENS, of_type=int)

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies are made as the first one was: the views that it keeps cannot be pickled.
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        return _made, (given | {"match": None if self.match is None else dict(self.match)},)

    @property
    def is_hard(self) -> bool:
        """Whether it refuses."""
        return self.kind == "hard"

    @property
    def allows_outage(self) -> bool:
        """Whether calls go on, unchecked, while the ledger cannot be reached."""
        return (self.on_store_error or ("deny" if self.is_hard else "allow")) == "allow"

    def _field(self, name: str) -> str:
        return f"Budget({self.id!r}).{name}"

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _named(self, read: Any, *values: Any) -> Any:
        """Read values by a function that knows fields, not budgets."""
        try:
            return read(*values)
        except ConfigurationError as exc:
            raise ConfigurationError(self._field(exc.field), exc.value, exc.allowed) from exc

    def _refuse(self, name: str, value: object, allowed: str) -> ConfigurationError:
        return ConfigurationError(self._field(name), value, allowed)

    def _check_id(self) -> None:
        if not isinstance(self.id, str) or not _ID.fullmatch(self.id):
            raise ConfigurationError(
                "Budget.id",
                self.id,
                "at most 64 letters, digits, '_', '.' and '-', the first a letter or digit",
            )

    def _names(self, name: str, value: Any) -> tuple[str, ...]:
        names = () if value is None else _several(value)
        if names is None or not all(isinstance(each, str) and each for each in names) or len(set(names)) != len(names):
            raise self._refuse(name, value, "a name, or several different ones")
        return names

    def _checked_match(self) -> Mapping[str, tuple[str, ...]]:
        if self.match is None:
            return MappingProxyType({})
        if not isinstance(self.match, Mapping):
            raise self._refuse("match", self.match, "a mapping such as {'team': 'search'}")
        checked: dict[str, tuple[str, ...]] = {}
        for key, value in self.match.items():
            values = _several(value)
            if not (isinstance(key, str) and key and values and all(isinstance(each, str) for each in values)):
                raise self._refuse("match", {key: value}, "a tag with a value, or with several: {'team': 'search'}")
            checked[key] = values
        return MappingProxyType(checked)

    def _checked_alerts(self) -> tuple[float, ...]:
        alerts = tuple(self.alerts) if isinstance(self.alerts, Iterable) else (self.alerts,)
        for each in alerts:
            if isinstance(each, bool) or not isinstance(each, int | float) or not 0 < each <= MAX_ALERT:
                allowed = f"fractions of the limit above 0 and up to {MAX_ALERT}, such as (0.5, 0.8, 1.0)"
                raise self._refuse("alerts", self.alerts, allowed)
        return tuple(sorted({float(each) for each in alerts}))

    def _threshold(self, fraction: float) -> int:
        # A float means what it shows, and has too few digits for a large limit.
        return max(1, round(self.limit_nano * Fraction(repr(fraction))))

    def _check_choice(self, name: str, allowed: tuple[str | None, ...]) -> None:
        value = getattr(self, name)
        if value not in allowed:
            raise self._refuse(name, value, "one of " + ", ".join(repr(each) for each in allowed))

    def _check_number(self, name: str, value: Any, least: int, most: int, of_type: Any = int | float) -> None:
        # A comparison with NaN is false.
        if isinstance(value, bool) or not isinstance(value, of_type) or not least <= value <= most:
            raise self._refuse(name, value, f"a {'whole ' if of_type is int else ''}number from {least} to {most}")


def _several(value: Any) -> tuple[Any, ...] | None:
    """Return one string or many things as a tuple; `None` for what is neither."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, Iterable) else None


def _made(given: dict[str, Any]) -> Budget:
    return Budget(**given)


_CHOICES: dict[str, tuple[str | None, ...]] = {
    "kind": get_args(Kind),
    "on_exceeded": get_args(OnExceeded),
    "on_tight": get_args(OnTight),
    "on_unknown_price": get_args(OnUnknownPrice),
    "on_store_error": (*get_args(OnStoreError), None),
}


def check_budgets(budgets: Iterable[Any]) -> tuple[Budget, ...]:
    """Return budgets as a tuple.

    Raises:
        ConfigurationError: One is no `Budget`, or two have the same id.
    """
    checked: dict[str, Budget] = {}
    if not isinstance(budgets, Iterable):
        raise ConfigurationError("budgets", budgets, "several, such as [Budget('team', limit_usd='50', window='day')]")
    for each in budgets:
        if not isinstance(each, Budget):
            raise ConfigurationError("budgets", each, "Budget('team', limit_usd='50', window='day', by='team')")
        if each.id in checked:
            raise ConfigurationError("budgets", each.id, "every budget has an id of its own; this one is there twice")
        checked[each.id] = each
    return tuple(checked.values())
