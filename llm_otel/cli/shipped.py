"""Files that come with the package for other programs to read, and how they are copied out of it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from llm_otel.errors import ConfigurationError, LLMOtelError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def shipped(name: str, *, checkout: str, suffix: str) -> dict[str, str]:
    """Return name and text of files, sorted by name.

    Args:
        name: The directory that a wheel has them in, under `llm_otel`.
        checkout: Where a checkout has them, from its root.
        suffix: How their names end.

    Raises:
        LLMOtelError: This installation has none.
    """
    package = resources.files("llm_otel")
    directory: Traversable = package / name
    if not directory.is_dir():
        directory = Path(str(package)).parent / checkout
    if not directory.is_dir():
        raise LLMOtelError(f"this installation of llm-otel comes without its {name}; install it from a wheel")
    files = sorted((file for file in directory.iterdir() if file.name.endswith(suffix)), key=lambda file: file.name)
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def export(files: Mapping[str, str], directory: Path, *, is_forced: bool) -> list[str]:
    """Write files into a directory, made if it is not there; return the names of those that were not there so.

    Args:
        files: Name and text.
        directory: Where to.
        is_forced: Replace files that have another text. Without it nothing at all is written if there are any.

    Raises:
        ConfigurationError: The directory is none.
        LLMOtelError: Files would be replaced, or the directory cannot be written.
    """
    if directory.exists() and not directory.is_dir():
        raise ConfigurationError("DIR", str(directory), "a directory, or the name of a new one; this is a file")
    try:
        changed = {name: text for name, text in files.items() if _text_of(directory / name) != text}
        different = [name for name in changed if (directory / name).exists()]
        if different and not is_forced:
            raise LLMOtelError(
                f"{directory} has files of other contents: {', '.join(different)}. Nothing was written; "
                "--force replaces them"
            )
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in changed.items():
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise LLMOtelError(f"{exc.filename or directory} cannot be written: {exc.strerror}") from exc
    return list(changed)


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
