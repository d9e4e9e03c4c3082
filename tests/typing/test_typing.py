"""The public API as a type checker sees it.

The other files of this directory are user code: mypy reads them, nothing runs them. `assert_type` states what
a user gets, and a `type: ignore[code]` what a user is refused; one that is no longer needed fails too.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
USER_CODE = sorted(path for path in HERE.glob("*.py") if not path.name.startswith("test_"))


def check(path: Path) -> str:
    """Return what `mypy --strict` has to say about a file; nothing when all is well."""
    options = ["--strict", "--config-file=pyproject.toml", "--no-error-summary", "--no-color-output"]
    run = subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout + run.stderr


@pytest.mark.timeout(240)
@pytest.mark.parametrize("path", USER_CODE, ids=lambda path: path.stem)
def test_user_code_type_checks(path):
    """Users get the static types that the documentation promises."""
    assert "" == check(path)


@pytest.mark.timeout(240)
def test_a_wrong_type_is_reported(tmp_path):
    """The check can fail: what is wrong, and an ignore that nothing needs, are both found."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text("x: int = ''\ny: int = 1  # type: ignore[assignment]\n")

    reported = check(wrong)

    assert ["[assignment]", "[unused-ignore]"] == [line.rsplit(maxsplit=1)[-1] for line in reported.splitlines()]
