"""The journal: what the ledger has not taken outlives the process, and belongs to one at a time."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from llm_otel.enforcement import journal as journals
from llm_otel.enforcement.journal import Journal, default_directory
from tests.enforcement.processes import LEDGER, settlement

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path):
    """Where journals are put; it does not exist yet."""
    return tmp_path / "state" / "llm_otel"


@pytest.fixture
def journal(place):
    """An empty journal; its file is let go of in the end."""
    made = Journal(LEDGER, place)
    yield made
    made.forget()


def start(job, *arguments):
    """Start a job in a process of its own."""
    command = [sys.executable, "-m", "tests.enforcement.processes", job, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def lines_in(place):
    """What stands in all files, file by file."""
    return [path.read_text().splitlines() for path in sorted(place.iterdir())]


def leave(place, *texts):
    """Leave a journal behind, as a process that is gone would have."""
    journal = Journal(LEDGER, place)
    journal.add(settlement(1))
    journal.forget()
    (path,) = place.iterdir()
    with path.open("ab") as file:
        for text in texts:
            file.write(text)
    return path


def kept(journal):
    """Take all out, in order."""
    found = []
    while (first := journal.first()) is not None:
        found.append(first)
        journal.done(first)
    return found


# --- what it keeps ----------------------------------------------------------------------------------------------------


def test_nothing_is_written_before_there_is_something_to_keep(journal, place):
    """Most programs never see an outage."""
    assert 0 == len(journal)
    assert journal.first() is None
    assert not place.exists()


def test_what_is_kept_is_in_the_file_at_once(journal, place):
    """One line each, whole: the process may be killed in the next moment."""
    journal.add(settlement(1))
    journal.add(settlement(2))

    ((first, second),) = lines_in(place)
    assert ("hold-1", 1, "company") == (
        json.loads(first)["id"],
        json.loads(first)["actual"],
        json.loads(first)["lines"][0]["budget"],
    )
    assert "hold-2" == json.loads(second)["id"]


def test_the_directory_is_the_users_alone(journal, place):
    """Scopes may be names of people."""
    journal.add(settlement(1))

    assert 0o700 == stat.S_IMODE(place.stat().st_mode)


def test_the_oldest_comes_first_and_the_file_goes_with_the_last(journal, place):
    """Nothing is left behind after an outage."""
    journal.add(settlement(1))
    journal.add(settlement(2))

    assert settlement(1) == journal.first()
    journal.done(settlement(1))
    assert 1 == len(list(place.iterdir()))
    assert settlement(2) == journal.first()
    journal.done(settlement(2))
    assert [] == list(place.iterdir())


def test_it_can_be_used_again(journal, place):
    """The next outage has a file of its own."""
    for number in (1, 2):
        journal.add(settlement(number))
        assert [f"hold-{number}"] == [json.loads(line)["id"] for line in lines_in(place)[0]]
        journal.done(settlement(number))
    assert [] == list(place.iterdir())


def test_where_no_file_can_be_written_it_keeps_in_memory_and_says_so_once(tmp_path, caplog):
    """Better for as long as the process lives than not at all."""
    (tmp_path / "file").touch()
    journal = Journal(LEDGER, tmp_path / "file" / "below")

    journal.add(settlement(1))
    journal.add(settlement(2))

    assert [settlement(1), settlement(2)] == kept(journal)
    assert 1 == sum("llm_otel.journal_in_memory" in message for message in caplog.messages)
    assert str(tmp_path / "file" / "below") in caplog.text


# --- who it belongs to ------------------------------------------------------------------------------------------------


def test_a_killed_process_leaves_its_settles_to_the_next(journal, place):
    """Not while it lives: kill -9 is what frees the lock. Then they are whole, and in their order."""
    process = start("keep", place)
    try:
        assert "kept\n" == process.stdout.readline()
        assert 0 == journal.adopt()
    finally:
        process.kill()
        process.communicate()

    assert 2 == journal.adopt()
    ((first, second),) = lines_in(place)
    assert ("hold-1", "hold-2") == (json.loads(first)["id"], json.loads(second)["id"])
    assert 0 == journal.adopt()
    assert [settlement(1), settlement(2)] == kept(journal)
    assert [] == list(place.iterdir())


@pytest.mark.parametrize(
    "torn",
    [
        b'{"id": "hold-2", "act',
        b'{"id": "hold-2", "actual": 2}',
        b'{"id": "hold-2", "actual": 2, "lines": [{"budget": "company"}]}',
        b'["hold-2"]',
        b"\xff\xfe\x00",
    ],
)
def test_a_line_that_cannot_be_read_is_told_of_and_passed_over(journal, place, caplog, torn):
    """The last one may be cut off where its process died. The others count."""
    path = leave(place, torn)

    assert 1 == journal.adopt()

    assert [settlement(1)] == kept(journal)
    (message,) = [each for each in caplog.messages if "llm_otel.journal_line_unreadable" in each]
    assert f"file={path} line=2" in message


def test_ledgers_do_not_mix(journal, place):
    """The bill goes where the hold is."""
    leave(place)

    assert 0 == Journal("redis://elsewhere:6379/0", place).adopt()
    assert 1 == journal.adopt()
    kept(journal)


def test_one_in_the_making_may_be_taken_for_a_dead_ones(journal, place, monkeypatch):
    """Between making a file and locking it another process may remove it: what is written has to stay on disk."""
    lock, others = journals._try_lock, []

    def adopted_before(file):
        if not others:
            others.append(Journal(LEDGER, place))
            others[0].adopt()
        return lock(file)

    monkeypatch.setattr(journals, "_try_lock", adopted_before)

    journal.add(settlement(1))

    assert [["hold-1"]] == [[json.loads(line)["id"] for line in lines] for lines in lines_in(place)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_afresh(place):
    """What is kept is the parent's: the child neither brings it nor frees its lock."""
    process = start("fork_journal", place)
    said, _ = process.communicate(timeout=60)

    assert ["child 0", "parent 1, files 1, adopted 0"] == said.splitlines()


@pytest.mark.parametrize(
    ("state", "expected"), [("/var/state", "/var/state/llm_otel"), ("", "~/.local/state/llm_otel")]
)
def test_the_default_place_is_the_users_state_directory(monkeypatch, state, expected):
    """As the XDG base directories have it."""
    monkeypatch.setenv("XDG_STATE_HOME", state)

    assert Path(expected).expanduser() == default_directory()
