"""`Budget`: what it takes, what it refuses, and that it never changes."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_otel.budgets.budget import Budget, check_budgets
from llm_otel.errors import ConfigurationError
from llm_otel.money import MAX_NANO, NANO_PER_USD


def budget(id_: Any = "team", **fields: Any) -> Budget:
    """A budget of 50 dollars a day, unless a test says otherwise."""
    return Budget(id_, **({"limit_usd": "50", "window": "day"} | fields))


FULL = budget(
    tz="Europe/Berlin",
    by=("team", "model"),
    match={"environment": "prod", "team": ("search", "growth")},
    kind="soft",
    alerts=(0.5, 1.5),
    on_exceeded="wait",
    wait_s=1.5,
    downgrade_to=("gpt-4o-mini",),
    on_tight="clip",
    min_max_tokens=32,
    on_unknown_price="estimate",
    on_store_error="allow",
)


# --- what it takes ----------------------------------------------------------------------------------------------------


def test_the_defaults_are_those_of_the_design() -> None:
    """A hard limit that denies, and alerts at half, at four fifths and at the limit."""
    plain = budget()
    assert {
        "id": "team",
        "limit_usd": Decimal(50),
        "window": "day",
        "tz": "UTC",
        "by": None,
        "match": None,
        "kind": "hard",
        "alerts": (0.5, 0.8, 1.0),
        "on_exceeded": "deny",
        "wait_s": 30,
        "downgrade_to": (),
        "on_tight": "deny",
        "min_max_tokens": 16,
        "on_unknown_price": "deny",
        "on_store_error": None,
    } == {each.name: getattr(plain, each.name) for each in dataclasses.fields(plain) if each.init}


@pytest.mark.parametrize("limit", ["50", 50, 50.0, Decimal(50), "5e1"])
def test_a_limit_is_the_same_in_every_form(limit: Any) -> None:
    """And is kept as dollars and as nano-USD."""
    made = budget(limit_usd=limit)
    assert (Decimal(50), 50 * NANO_PER_USD) == (made.limit_usd, made.limit_nano)
    assert budget() == made


@pytest.mark.parametrize(
    ("by", "kept", "split_by"),
    [
        (None, None, ()),
        ("team", "team", ("team",)),
        (("team", "model"), ("team", "model"), ("team", "model")),
        (["team"], ("team",), ("team",)),
        ((), (), ()),
    ],
)
def test_a_split_is_by_one_name_or_by_several(by: Any, kept: object, split_by: tuple[str, ...]) -> None:
    """A list becomes a tuple, so that nothing can be put in later."""
    made = budget(by=by)
    assert (kept, split_by) == (made.by, made.split_by)


def test_a_match_takes_one_value_or_several() -> None:
    """An empty one is that of a tag without a value."""
    made = budget(match={"team": "search", "model": ["a", "b"], "research": ""})
    expected = {"team": ("search",), "model": ("a", "b"), "research": ("",)}
    assert expected == made.conditions
    assert expected == made.match
    assert {} == budget().conditions


@pytest.mark.parametrize(
    ("limit", "alerts", "thresholds"),
    [
        ("50", (0.5, 0.8, 1.0), (25_000_000_000, 40_000_000_000, 50_000_000_000)),
        ("50", (1.0, 0.5, 0.5), (25_000_000_000, 50_000_000_000)),
        ("50", 0.9, (45_000_000_000,)),
        ("50", (1, 2), (50_000_000_000, 100_000_000_000)),
        ("50", (), ()),
        # Where nothing may be spent, the first nano-dollar is told of.
        ("0", (0.5, 0.8, 1.0), (1,)),
        ("0.000000001", (0.1, 1.0, 2.0), (1, 2)),
        ("0.1", (0.07,), (7_000_000,)),
    ],
)
def test_alerts_become_spend_in_ascending_order(limit: str, alerts: Any, thresholds: tuple[int, ...]) -> None:
    """Each amount once, none below one nano-dollar: spend of nothing crosses nothing."""
    assert thresholds == budget(limit_usd=limit, alerts=alerts).thresholds


@given(st.integers(0, MAX_NANO), st.sets(st.floats(0, 10, exclude_min=True), max_size=5))
def test_thresholds_are_exact_for_every_limit(limit: int, alerts: set[float]) -> None:
    """Ascending, unique and positive; the one for the whole limit is the limit, also beyond what a float can count."""
    made = budget(limit_usd=Decimal(f"{limit}e-9"), alerts=(*alerts, 1.0))
    assert sorted(set(made.thresholds)) == list(made.thresholds)
    assert all(threshold >= 1 for threshold in made.thresholds)
    assert max(1, limit) in made.thresholds


def test_the_callers_decimal_context_changes_nothing() -> None:
    """Money is exact in every program."""
    with localcontext() as context:
        context.prec = 3
        made = budget(limit_usd="123456.789")
    assert Decimal("123456.789") == made.limit_usd
    assert budget(limit_usd="123456.789").thresholds == made.thresholds


@pytest.mark.parametrize(
    ("kind", "on_store_error", "allows"),
    [
        ("hard", None, False),
        ("soft", None, True),
        ("hard", "allow", True),
        ("soft", "deny", False),
    ],
)
def test_while_the_ledger_is_out_a_hard_budget_denies_and_a_soft_one_allows(
    kind: str, on_store_error: str | None, allows: bool
) -> None:
    """Unless it says otherwise."""
    made = budget(kind=kind, on_store_error=on_store_error)
    assert (kind == "hard", allows) == (made.is_hard, made.allows_outage)


# --- what it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        *(
            ("limit_usd", value, "a finite amount of US dollars from 0 to 9223372036.85, as str, int, float or Decimal")
            for value in ("-1", "nan", float("inf"), "much", True, None, "1e12")
        ),
        ("window", "fortnight", "one of 'minute', 'hour', "),
        ("window", None, "one of 'minute', 'hour', "),
        ("tz", "Mars/Olympus", "a time zone of the IANA database, such as 'Europe/Berlin'"),
        *(
            ("by", value, "a name, or several different ones")
            for value in ("", ("team", "team"), ("team", ""), ("team", 1), 0, 5, True, [["team"]])
        ),
        *(("match", value, "a mapping such as {'team': 'search'}") for value in ("team", ["team"], 0)),
        *(
            ("match", value, "a tag with a value, or with several: {'team': 'search'}")
            for value in ({"team": None}, {"team": ()}, {"team": 5}, {"team": ["a", 5]}, {"": "a"}, {5: "a"})
        ),
        *(
            ("alerts", value, "fractions of the limit above 0 and up to 10, such as (0.5, 0.8, 1.0)")
            for value in ((0,), (-0.5,), (80,), (float("nan"),), (True,), ("0.5",), "0.5", None, (Decimal("0.5"),))
        ),
        ("kind", "firm", "one of 'hard', 'soft'"),
        ("kind", None, "one of 'hard', 'soft'"),
        ("on_exceeded", "explode", "one of 'deny', 'downgrade', 'wait'"),
        ("on_tight", "squeeze", "one of 'deny', 'clip'"),
        ("on_unknown_price", "guess", "one of 'deny', 'estimate', 'allow'"),
        ("on_store_error", "panic", "one of 'deny', 'allow', None"),
        ("on_store_error", ["deny"], "one of 'deny', 'allow', None"),
        *(("wait_s", value, "a number from 0 to 3600") for value in (-1, 3601, float("nan"), "30", True, None)),
        *(
            ("min_max_tokens", value, "a whole number from 1 to 1000000")
            for value in (0, -1, 16.5, 1_000_001, "16", True, None)
        ),
        *(
            ("downgrade_to", value, "a name, or several different ones")
            for value in (("",), ("a", "a"), 5, ("a", None))
        ),
    ],
)
def test_a_value_that_cannot_be_used_is_refused(name: str, value: object, allowed: str) -> None:
    """When the budget is made; the error names budget, field and value, and says what would do."""
    with pytest.raises(ConfigurationError) as caught:
        budget(**{name: value})
    shown = value if name != "match" or not isinstance(value, Mapping) else dict(value)
    assert (f"Budget('team').{name}", repr(shown)) == (caught.value.field, repr(caught.value.value))
    assert caught.value.allowed.startswith(allowed)


@pytest.mark.parametrize("id_", ["", "-team", "_team", ".", "a b", "a/b", "ä", "a" * 65, "team\n", None, 5])
def test_an_id_is_a_name_that_fits_everywhere(id_: object) -> None:
    """It is a label, a key and a field."""
    with pytest.raises(ConfigurationError) as caught:
        budget(id_)
    assert ("Budget.id", id_) == (caught.value.field, caught.value.value)
    assert "at most 64 letters, digits, '_', '.' and '-', the first a letter or digit" == caught.value.allowed


@pytest.mark.parametrize("id_", ["a", "0", "team.search-eu_1", "a" * 64])
def test_an_id_may_have_these_characters(id_: str) -> None:
    """Letters, digits and three signs."""
    assert id_ == budget(id_).id


# --- that it is a value -----------------------------------------------------------------------------------------------


def test_a_budget_cannot_be_changed() -> None:
    """Neither by its fields, nor through what it was made of."""
    given_match, given_by = {"team": ["search"]}, ["team"]
    made = budget(match=given_match, by=given_by)
    given_match["team"].append("growth")
    given_match["model"] = ["gpt-4o"]
    given_by.append("model")
    assert ({"team": ("search",)}, ("team",)) == (made.match, made.by)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.kind = "soft"  # type: ignore[misc]
    with pytest.raises(TypeError):
        made.match["team"] = ("growth",)  # type: ignore[index]


def test_equal_budgets_are_equal_and_have_the_same_hash() -> None:
    """However their values were written."""
    one = budget(limit_usd="50.0", match={"team": "search"}, by=["team"])
    other = budget(limit_usd=50, match={"team": ["search"]}, by=("team",))
    assert one == other
    assert hash(one) == hash(other)
    assert one != budget(match={"team": "growth"}, by=("team",))
    assert {one} == {one, other}


def test_a_budget_shows_what_it_was_given() -> None:
    """And not what was derived from it."""
    assert (
        "Budget(id='team', limit_usd=Decimal('50.000000000'), window='day', tz='UTC', by='user', match=None, "
        "kind='hard', alerts=(0.5, 0.8, 1.0), on_exceeded='deny', wait_s=30.0, downgrade_to=(), on_tight='deny', "
        "min_max_tokens=16, on_unknown_price='deny', on_store_error=None)" == repr(budget(by="user"))
    )


@pytest.mark.parametrize(
    "copied",
    [
        pytest.param(lambda each: pickle.loads(pickle.dumps(each)), id="pickle"),
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(dataclasses.replace, id="replace"),
    ],
)
@pytest.mark.parametrize("original", [budget(), FULL], ids=["plain", "full"])
def test_a_copy_is_equal_in_every_field(original: Budget, copied: Any) -> None:
    """Those that are derived included."""
    made = copied(original)
    assert original == made
    assert {each.name: getattr(original, each.name) for each in dataclasses.fields(original)} == {
        each.name: getattr(made, each.name) for each in dataclasses.fields(made)
    }


def test_a_changed_copy_derives_anew() -> None:
    """A new limit has new thresholds, and is checked."""
    made = dataclasses.replace(FULL, limit_usd="100")
    assert (50_000_000_000, 150_000_000_000) == made.thresholds
    with pytest.raises(ConfigurationError):
        dataclasses.replace(FULL, limit_usd="-1")


# --- several of them --------------------------------------------------------------------------------------------------


def test_budgets_keep_their_order() -> None:
    """Whatever they came in."""
    first, second = budget("first"), budget("second")
    assert (second, first) == check_budgets(iter([second, first]))
    assert () == check_budgets([])


@pytest.mark.parametrize(
    ("budgets", "value"),
    [
        (budget(), budget()),
        (["team"], "team"),
        ("team", "t"),
        ([budget(), {"id": "x"}], {"id": "x"}),
        (None, None),
        ([budget(), budget("other"), budget(limit_usd="1")], "team"),
    ],
)
def test_what_are_no_budgets_or_share_an_id_is_refused(budgets: Any, value: object) -> None:
    """A budget alone included: they come as a list."""
    with pytest.raises(ConfigurationError) as caught:
        check_budgets(budgets)
    assert ("budgets", value) == (caught.value.field, caught.value.value)


def test_a_limit_below_a_nano_dollar_is_refused() -> None:
    """It would be 0, and refuse everything without saying so."""
    with pytest.raises(ConfigurationError, match=r"0, or at least 0\.000000001"):
        Budget("tiny", limit_usd="0.0000000001", window="day")
