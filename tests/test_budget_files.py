"""Budgets in files: every field, errors that say where, and changes that take effect."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llm_otel.budget_files import CHECK_S, BudgetFiles, read_budgets
from llm_otel.budgets.budget import Budget
from llm_otel.clock import SystemClock
from llm_otel.errors import ConfigurationError

ONE = """\
[[budgets]]
id = "team"
limit_usd = 50
window = "day"
"""
NO_WINDOW = """\
[[budgets]]
id = "b"
limit_usd = 1
"""


class HandClock(SystemClock):
    """Moved by hand."""

    seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds


class Folder:
    """A file of budgets, and what reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = HandClock()
        self.stamp = 1

    def write(self, text: str) -> Path:
        """Change the file; its time moves on, which a quick test's would not."""
        self.path.write_text(text, encoding="utf-8")
        self.stamp += 1
        os.utime(self.path, ns=(self.stamp, self.stamp))
        return self.path

    def files(self, *declared: Budget, check: Callable[[Budget], None] = lambda budget: None) -> BudgetFiles:
        """Read it for the first time."""
        return BudgetFiles(declared, [self.path], check=check, clock=self.clock)

    def later(self) -> None:
        """Let so much time pass that files are looked at again."""
        self.clock.seconds += CHECK_S


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder for one file."""
    return Folder(tmp_path / "budgets.toml")


def limits(files: BudgetFiles) -> dict[str, Decimal]:
    """The limits in force."""
    return {each.id: Decimal(each.limit_usd) for each in files.current().budgets}


def error(folder: Folder, text: str) -> ConfigurationError:
    """What is said of a file."""
    with pytest.raises(ConfigurationError) as caught:
        read_budgets(folder.write(text))
    return caught.value


# --- reading ----------------------------------------------------------------------------------------------------------


def test_every_field_can_be_written(folder: Folder) -> None:
    """Under the names that it has in code; a list stands for several values."""
    text = """\
# What may be spent.
[[budgets]]
id = "company"
limit_usd = "500.50"
window = "month"
tz = "Europe/Berlin"

[[budgets]]
id = "team"
limit_usd = 50.1
window = "rolling:3600s"
by = ["team", "model"]
match = {environment = "prod", team = ["search", "growth"]}
kind = "soft"
alerts = [0.5, 1]
on_exceeded = "downgrade"
wait_s = 5
downgrade_to = ["gpt-4o-mini", "llama3"]
on_tight = "clip"
min_max_tokens = 32
on_unknown_price = "estimate"
on_store_error = "deny"
"""
    assert (
        Budget("company", limit_usd="500.50", window="month", tz="Europe/Berlin"),
        Budget(
            "team",
            limit_usd="50.1",
            window="rolling:3600s",
            by=("team", "model"),
            match={"environment": "prod", "team": ("search", "growth")},
            kind="soft",
            alerts=(0.5, 1.0),
            on_exceeded="downgrade",
            wait_s=5,
            downgrade_to=("gpt-4o-mini", "llama3"),
            on_tight="clip",
            min_max_tokens=32,
            on_unknown_price="estimate",
            on_store_error="deny",
        ),
    ) == read_budgets(folder.write(text))


@pytest.mark.parametrize(
    "match", ['match = {team = "search"}', 'match.team = "search"', '[budgets.match]\nteam = "search"']
)
def test_a_match_can_be_written_in_each_of_tomls_ways(folder: Folder, match: str) -> None:
    """They mean the same."""
    (made,) = read_budgets(folder.write(f"{ONE}{match}\n"))
    assert {"team": ("search",)} == made.conditions


def test_other_tables_of_a_file_are_not_ours(folder: Folder) -> None:
    """The configuration may hold budgets too."""
    assert ["team"] == [each.id for each in read_budgets(folder.write(f'service_name = "x"\n{ONE}[other]\nid = 5\n'))]


def test_a_file_may_say_that_there_are_no_budgets(folder: Folder) -> None:
    """In so many words."""
    assert () == read_budgets(folder.write("budgets = []\n"))


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "field", "value", "allowed"),
    [
        (f"{ONE}\n{ONE.replace('team', 'b').replace('50', '-1')}", 8, "limit_usd", -1, "a finite amount"),
        (ONE.replace("day", "fortnight"), 4, "window", "fortnight", "one of 'minute'"),
        (f'{ONE}tz = "Mars"\n', 5, "tz", "Mars", "a time zone"),
        (ONE.replace("team", "a b"), 2, "id", "a b", "at most 64 letters"),
        (f'{ONE}"kind" = "firm"\n', 5, "kind", "firm", "one of 'hard', 'soft'"),
        (f"{ONE}by = 5\n", 5, "by", 5, "a name, or several"),
        (f"{ONE}alerts = [\n  80,\n]\n", 5, "alerts", (80,), "fractions of the limit"),
        (f"{ONE}match = {{team = 5}}\n", 5, "match", {"team": 5}, "a tag with a value"),
        (f"{ONE}match.team = 5\n", 5, "match", {"team": 5}, "a tag with a value"),
        (f"{ONE}[budgets.match]\nteam = 5\n", 5, "match", {"team": 5}, "a tag with a value"),
        # A word that nobody knows may be a limit misspelt.
        (
            ONE.replace("limit_usd", "limit"),
            3,
            "limit",
            "…",
            "no field of a budget; did you mean 'limit_usd'? it has id, limit_usd, window, ",
        ),
        # What is missing is missing from the table: its header says where that is, whatever other tables hold.
        (ONE.replace("limit_usd", "# limit_usd"), 1, "limit_usd", None, "every budget has one"),
        (f"{ONE}\n{NO_WINDOW}", 6, "window", None, "every budget has one"),
        (f'{NO_WINDOW}[[budgets]]\nwindow = "day"\n', 1, "window", None, "every budget has one"),
        (f'{NO_WINDOW}[other]\nwindow = "day"\n', 1, "window", None, "every budget has one"),
        (f"{ONE}\n{ONE}", 7, "id", "team", "every budget has an id of its own"),
        ('budgets = [{id = "a", limit_usd = 1, window = "now"}]\n', 1, "window", "now", "one of 'minute'"),
    ],
)
def test_an_error_says_file_line_and_field(
    folder: Folder, text: str, line: int, field: str, value: object, allowed: str
) -> None:
    """The line of the field, or that of the budget's header where there is none."""
    found = error(folder, text)
    assert (f"{folder.path}:{line}: {field}", value) == (found.field, found.value)
    assert found.allowed.startswith(allowed)


def test_a_setting_below_a_budget_is_not_shown(folder: Folder) -> None:
    """TOML gives what follows a header to its table; a ledger's address may hold a password."""
    found = error(folder, f'{ONE}\nledger = "redis://:secret@host"\n')
    assert "secret" not in str(found)
    assert "settings stand above the first [[budgets]]" in str(found)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        (f"{ONE}[[budgets]\n", r"TOML that can be read: .*line 5.*"),
        (f"{ONE}kind = \n", r"TOML that can be read: .*line 5.*"),
        ("", r"a file with \[\[budgets\]\]; budgets = \[\] is one without any"),
        (ONE.replace("budgets", "budget"), r"a file with \[\[budgets\]\]; budgets = \[\] is one without any"),
    ],
)
def test_a_file_that_is_no_list_of_budgets_is_refused(folder: Folder, text: str, allowed: str) -> None:
    """With the place where TOML went wrong; one without budgets is a slip of the pen."""
    found = error(folder, text)
    assert ("budgets_file", str(folder.path)) == (found.field, found.value)
    assert re.fullmatch(allowed, found.allowed)


@pytest.mark.parametrize("text", ["budgets = 5\n", '[budgets]\nid = "a"\n', "budgets = [1]\n"])
def test_budgets_are_tables(folder: Folder, text: str) -> None:
    """Each under a header of its own."""
    found = error(folder, text)
    assert (f"{folder.path}: budgets", "tables, each under [[budgets]]") == (found.field, found.allowed)


def test_a_file_that_cannot_be_read_is_refused(folder: Folder, tmp_path: Path) -> None:
    """Whatever is in the way: nothing, a folder, or bytes that are no text."""
    for path, why in ((folder.path, "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigurationError) as caught:
            read_budgets(path)
        assert ("budgets_file", str(path)) == (caught.value.field, caught.value.value)
        assert f"a TOML file that can be read ({why})" == caught.value.allowed
    folder.path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="TOML that can be read: 'utf-8' codec can't decode"):
        read_budgets(folder.path)


# --- together with code -----------------------------------------------------------------------------------------------


def test_budgets_from_code_come_before_those_from_files(folder: Folder) -> None:
    """And both are in force."""
    folder.write(ONE)
    assert ["company", "team"] == list(limits(folder.files(Budget("company", limit_usd=1, window="day"))))


def test_without_files_the_declared_budgets_are_in_force() -> None:
    """Nothing is looked at."""
    files = BudgetFiles([Budget("a", limit_usd=1, window="day")], [], check=lambda budget: None, clock=HandClock())
    assert {"a": Decimal(1)} == limits(files)


@pytest.mark.parametrize("declared", [None, 5, Budget("a", limit_usd=1, window="day"), "team", [{"id": "a"}]])
def test_what_is_no_list_of_budgets_is_refused(declared: Any) -> None:
    """With an example of one, and not by what Python says of iterating over it."""
    with pytest.raises(ConfigurationError, match=r"^budgets=.* is not usable: .*Budget\('team', limit_usd='50'"):
        BudgetFiles(declared, [], check=lambda budget: None, clock=HandClock())


def test_an_id_that_is_in_code_and_in_a_file_is_refused(folder: Folder) -> None:
    """Two budgets of one name would share their spend."""
    folder.write(ONE)
    with pytest.raises(ConfigurationError, match="budgets='team' is not usable: every budget has an id of its own"):
        folder.files(Budget("team", limit_usd=1, window="day"))


def test_a_budget_that_the_ledger_cannot_keep_is_refused(folder: Folder) -> None:
    """Those from code and those from files."""
    seen: list[str] = []
    folder.write(ONE)
    folder.files(Budget("company", limit_usd=1, window="day"), check=lambda budget: seen.append(budget.id))
    assert ["company", "team"] == seen


# --- changes ----------------------------------------------------------------------------------------------------------


def test_a_change_is_in_force_within_the_time_between_two_looks(folder: Folder) -> None:
    """Limits, new budgets and removed ones; before that nothing is read."""
    folder.write(ONE)
    files = folder.files()
    folder.write(ONE.replace("50", "75") + ONE.replace("team", "user"))
    folder.clock.seconds += CHECK_S / 2
    assert {"team": Decimal(50)} == limits(files)
    folder.clock.seconds += CHECK_S / 2
    assert {"team": Decimal(75), "user": Decimal(50)} == limits(files)
    folder.write("budgets = []\n")
    folder.later()
    assert {} == limits(files)


def test_what_did_not_change_stays_the_very_same(folder: Folder) -> None:
    """With all that it keeps ready."""
    folder.write(ONE)
    files = folder.files()
    before = files.current()
    folder.later()
    assert before is files.current()


def test_a_change_of_length_alone_is_seen(folder: Folder) -> None:
    """Some file systems' clocks are slow."""
    folder.write(ONE)
    files = folder.files()
    folder.path.write_text(ONE.replace("50", "750"), encoding="utf-8")
    os.utime(folder.path, ns=(folder.stamp, folder.stamp))
    folder.later()
    assert {"team": Decimal(750)} == limits(files)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (ONE.replace("50", "-1"), "budgets.toml:3: limit_usd=-1 is not usable"),
        (ONE.replace("[[budgets]]", "[[budgets]"), "TOML that can be read"),
        # An editor empties a file before it writes it.
        ("", "a file with [[budgets]]"),
        (None, "a TOML file that can be read (No such file or directory)"),
    ],
)
def test_a_broken_change_keeps_what_was_in_force_and_is_logged_once(
    folder: Folder, caplog: pytest.LogCaptureFixture, broken: str | None, words: str
) -> None:
    """A slip of the pen neither stops the service nor takes its limits away; the next change counts again."""
    folder.write(ONE)
    files = folder.files()
    if broken is None:
        folder.path.unlink()
    else:
        folder.write(broken)
    with caplog.at_level(logging.INFO, logger="llm_otel"):
        for _ in range(3):
            folder.later()
            assert {"team": Decimal(50)} == limits(files)
        (record,) = caplog.records
        assert logging.WARNING == record.levelno
        assert record.getMessage().startswith("llm_otel.budgets_kept: the change is not in force: ")
        assert words in record.getMessage()
        caplog.clear()
        folder.write(ONE.replace("50", "75"))
        folder.later()
        assert {"team": Decimal(75)} == limits(files)
        assert [f"llm_otel.budgets_reread files={folder.path}"] == [each.getMessage() for each in caplog.records]


def test_a_change_that_the_ledger_cannot_keep_is_not_in_force(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """Nor is a part of it."""

    def check(budget: Budget) -> None:
        if budget.limit_nano > 60 * 10**9:
            raise ConfigurationError(f"Budget({budget.id!r}).limit_usd", budget.limit_usd, "60 at most")

    folder.write(ONE)
    files = folder.files(check=check)
    folder.write(ONE.replace("50", "55") + ONE.replace("50", "75").replace("team", "user"))
    folder.later()
    assert {"team": Decimal(50)} == limits(files)
    assert ["60 at most"] == [each.getMessage().rpartition(": ")[2] for each in caplog.records]


def test_a_file_that_takes_an_id_from_code_is_not_in_force(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """The limit in code stands."""
    folder.write(ONE)
    files = folder.files(Budget("company", limit_usd=1, window="day"))
    folder.write(ONE.replace("team", "company"))
    folder.later()
    assert {"company": Decimal(1), "team": Decimal(50)} == limits(files)
    assert 1 == len(caplog.records)


def test_nobody_waits_for_another_who_reads(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow disk holds up one call; the others go on with what is in force."""
    folder.write(ONE)
    files = folder.files()
    folder.write(ONE.replace("50", "75"))
    folder.later()
    reading, go_on = threading.Event(), threading.Event()
    read: Any = Path.read_text

    def slow(path: Path, **how: Any) -> str:
        reading.set()
        assert go_on.wait(30)
        return read(path, **how)

    monkeypatch.setattr(Path, "read_text", slow)
    reader = threading.Thread(target=files.current)
    reader.start()
    assert reading.wait(30)
    folder.later()
    assert {"team": Decimal(50)} == limits(files)
    go_on.set()
    reader.join(30)
    assert {"team": Decimal(75)} == limits(files)
