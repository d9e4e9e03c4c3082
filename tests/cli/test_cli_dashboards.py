"""`llm-otel dashboards export`: what is shipped, where it goes, and what it does not overwrite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from llm_otel.cli import shipped

ROOT = Path(__file__).parents[2]
COMMITTED = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "grafana/dashboards").iterdir()}


def read(directory: Path) -> dict[str, str]:
    """Return name and text of the files in a directory."""
    return {path.name: path.read_text(encoding="utf-8") for path in directory.iterdir()}


def test_every_dashboard_is_written(run, tmp_path):
    """Byte by byte, into a directory that is made; standard output names the files, for scripts."""
    result = run("dashboards", "export", str(tmp_path / "new" / "deep"))

    assert (0, COMMITTED) == (result.exit_code, read(tmp_path / "new" / "deep"))
    assert [str(tmp_path / "new" / "deep" / name) for name in sorted(COMMITTED)] == result.stdout.splitlines()
    assert "5 of 5 dashboards written.\n" == result.stderr


def test_writing_them_again_changes_nothing(run, tmp_path):
    """What is there already is left alone, its time too."""
    run("dashboards", "export", str(tmp_path))
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}

    result = run("dashboards", "export", str(tmp_path))

    assert (0, "") == (result.exit_code, result.stdout)
    assert "0 of 5 dashboards written; the others are there already.\n" == result.stderr
    assert before == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_a_file_that_is_different_is_not_overwritten(run, tmp_path):
    """Somebody may have changed it: then nothing at all is written, unless --force says so."""
    (tmp_path / "llm-otel-spend.json").write_text("mine")

    refused = run("dashboards", "export", str(tmp_path))

    assert (2, {"llm-otel-spend.json": "mine"}) == (refused.exit_code, read(tmp_path))
    assert "llm-otel-spend.json. Nothing was written; --force replaces them" in refused.stderr
    forced = run("dashboards", "export", str(tmp_path), "--force")
    assert (0, COMMITTED) == (forced.exit_code, read(tmp_path))


def test_other_files_are_left_alone(run, tmp_path):
    """A directory may hold dashboards of one's own."""
    (tmp_path / "mine.json").write_text("mine")

    run("dashboards", "export", str(tmp_path), "--force")

    assert {**COMMITTED, "mine.json": "mine"} == read(tmp_path)


def test_a_file_is_no_directory(run, tmp_path):
    """The message says what DIR is."""
    path = tmp_path / "file"
    path.write_text("mine")

    result = run("dashboards", "export", str(path))

    assert (2, "mine") == (result.exit_code, path.read_text())
    assert "a directory, or the name of a new one; this is a file" in result.stderr


def test_a_directory_that_cannot_be_written(run, tmp_path):
    """One line with the system's reason, and no traceback."""
    (tmp_path / "file").write_text("")

    result = run("dashboards", "export", str(tmp_path / "file" / "below"))

    assert 2 == result.exit_code
    assert "Not a directory" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_data_source_can_be_named(run, tmp_path):
    """It is what the dashboards open with; nothing else changes, and a viewer can still choose."""
    run("dashboards", "export", str(tmp_path), "--datasource-uid", "prom-eu_1")

    for name, text in read(tmp_path).items():
        named, plain = json.loads(text), json.loads(COMMITTED[name])
        source = named["templating"]["list"][0]
        assert ("datasource", {"text": "prom-eu_1", "value": "prom-eu_1"}) == (source["type"], source["current"])
        source["current"] = {}
        assert plain == named


def test_a_bad_uid_is_refused(run, tmp_path):
    """Grafana would not find it."""
    result = run("dashboards", "export", str(tmp_path), "--datasource-uid", "my prometheus")

    assert (2, {}) == (result.exit_code, read(tmp_path))
    assert "--datasource-uid='my prometheus' is not usable: 1 to 40 letters, digits, - and _" in result.stderr


def test_an_installation_without_them_says_so(run, tmp_path, monkeypatch):
    """Somebody packed the library without its data."""
    monkeypatch.setattr(shipped.resources, "files", lambda package: tmp_path / package)

    result = run("dashboards", "export", str(tmp_path / "out"))

    assert 2 == result.exit_code
    assert "comes without its dashboards" in result.stderr


def test_a_wheel_has_them(tmp_path):
    """Installed from a wheel there is no checkout to take them from."""
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path / "dist"), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-m", "llm_otel", "dashboards", "export", "out"]

    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)

    assert COMMITTED == read(tmp_path / "site" / "llm_otel" / "dashboards")
    assert COMMITTED == read(tmp_path / "out")
