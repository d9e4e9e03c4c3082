"""Settles that a ledger has not taken yet, kept until it does: in a file, so that they outlive the process.

One file for each process and ledger, locked while its process lives. Whoever finds one that is not locked takes its
settles over; settling twice does no harm.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from io import FileIO
from pathlib import Path
from typing import IO, Any

from llm_otel.budgets.ledger import Line, Settlement

try:
    import fcntl
except ImportError:  # pragma: no cover  # Windows: journals are written there, and adopted by hand
    fcntl = None  # type: ignore[assignment]

_logger = logging.getLogger("llm_otel")
_SUFFIX = ".jsonl"


def default_directory() -> Path:
    """Return the user's directory for state that outlives a program (XDG base directories, 0.8)."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "llm_otel"


def waiting(directory: Path) -> int:
    """Count the settles in a directory, of all its journals, that their ledgers have not taken yet."""
    count = 0
    for path in directory.glob(f"*{_SUFFIX}"):
        # It may be gone by now: its settles are through.
        with suppress(OSError), path.open("rb") as file:
            count += sum(1 for _ in file)
    return count


class Journal:
    """The settles of one process for one ledger, in their order. Thread-safe."""

    def __init__(self, ledger: str, directory: Path | None = None) -> None:
        """Name a journal; nothing is written before there is something to keep.

        Args:
            ledger: The store's name.
            directory: Where the file is put; `default_directory()` by default.
        """
        self._directory = directory
        self._ledger = hashlib.sha256(ledger.encode()).hexdigest()[:16]
        # The garbage collector may drop a stream, whose end settles, while this thread is in here.
        self._lock = threading.RLock()
        self._pending: deque[Settlement] = deque()
        self._file: FileIO | None = None
        self._is_in_memory = False

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, settlement: Settlement) -> None:
        """Keep a settle. Where no file can be written it is kept in memory, with a warning."""
        with self._lock:
            self._pending.append(settlement)
            self._write(settlement)

    def first(self) -> Settlement | None:
        """Return the oldest settle, `None` if there is none."""
        with self._lock:
            return self._pending[0] if self._pending else None

    def done(self, settlement: Settlement) -> None:
        """Forget a settle that the ledger has taken."""
        with self._lock:
            with suppress(ValueError):
                self._pending.remove(settlement)
            if not self._pending:
                self._remove_file()

    def adopt(self) -> int:
        """Take over what processes that are gone have left; return how many settles that was."""
        found = 0
        for path in self._others():
            with suppress(OSError), path.open("r+", encoding="utf-8", errors="replace") as file:
                if not _try_lock(file):
                    continue
                settlements = list(_read(file, path))
                for each in settlements:
                    self.add(each)
                found += len(settlements)
                path.unlink()
        if found:
            _logger.warning("llm_otel.journal_adopted settles=%d", found)
        return found

    def forget(self) -> None:
        """Start afresh in a forked child: what is kept belongs to the parent, and so does its file."""
        self._lock = threading.RLock()
        self._pending = deque()
        file, self._file = self._file, None
        if file is not None:
            # The lock is the parent's as well, and stays with it.
            file.close()

    def _others(self) -> list[Path]:
        try:
            return sorted(self._place().glob(f"{self._ledger}-*{_SUFFIX}"))
        except (OSError, RuntimeError):
            return []

    def _place(self) -> Path:
        return self._directory or default_directory()

    def _write(self, settlement: Settlement) -> None:
        entry = {"id": settlement.id, "actual": settlement.actual, "lines": _lines(settlement)}
        try:
            file = self._file or self._open()
            # In one piece and not buffered: a forked child, or one killed midway, must find no half of it in memory.
            file.write(f"{json.dumps(entry)}\n".encode())
        except (OSError, RuntimeError) as exc:
            if not self._is_in_memory:
                self._is_in_memory = True
                _logger.warning("llm_otel.journal_in_memory error=%s", exc)

    def _open(self) -> FileIO:
        place = self._place()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = place / f"{self._ledger}-{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
            # Open until the settles are through: closing it would give up the lock.
            file = FileIO(path, "x")
            _try_lock(file)
            if os.fstat(file.fileno()).st_nlink:
                if self._file is not None:
                    # The garbage collector was here, and settled: one file is enough.
                    path.unlink()
                    file.close()
                    return self._file
                self._file = file
                return file
            # Whoever adopts journals was between the two, and has removed it.
            file.close()

    def _remove_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                Path(str(file.name)).unlink()
            file.close()


def _lines(settlement: Settlement) -> list[dict[str, Any]]:
    return [asdict(line) for line in settlement.lines]


def _read(file: IO[str], path: Path) -> Iterator[Settlement]:
    """Read the settles of a journal; a line that was cut off when its process died is told of, and passed over."""
    for number, text in enumerate(file, start=1):
        try:
            entry = json.loads(text)
            yield Settlement(entry["id"], entry["actual"], tuple(_line(each) for each in entry["lines"]))
        except (ValueError, KeyError, TypeError) as exc:
            _logger.warning("llm_otel.journal_line_unreadable file=%s line=%d error=%s", path, number, exc)


def _line(entry: dict[str, Any]) -> Line:
    return Line(**{**entry, "starts": tuple(entry["starts"]), "thresholds": tuple(entry["thresholds"])})


def _try_lock(file: FileIO | IO[str]) -> bool:
    """Lock a file for as long as it is open; return False if somebody else has."""
    if fcntl is None:  # pragma: no cover  # Windows
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
