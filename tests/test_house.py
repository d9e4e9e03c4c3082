"""The rules of the house: sizes, layers, vendors, honest errors, and files that fit any machine."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "llm_otel"
REQUIREMENTS = ROOT / "requirements"

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 50

VENDORS = {
    "genai_prices": {"pricing"},
    "httpx2": {"providers"},  # no call of ours: loaded ahead for LiteLLM, which trips over it half imported
    "litellm": {"providers"},
    "opentelemetry": {"tracing", "recorders", "telemetry", "demo"},
    "opentelemetry.instrumentation": {"instrumentor"},
    "packaging": {"cli"},
    "opentelemetry.exporter": {"telemetry"},
    "opentelemetry.sdk": {"telemetry", "demo"},
    "prometheus_client": {"recorders", "demo"},
    "pydantic": {"types", "fields", "models", "routing", "config"},
    "pydantic_settings": {"config"},
    "redis": {"stores"},
    "rich": {"cli", "demo", "drawing"},
    "typer": {"cli"},
    "wrapt": {"streams", "traced", "intercept"},
}
"""Who may import what: a module or package directly under `llm_otel`. The longest matching name decides."""

# Written so that this file does not match itself.
PERSONAL_PATH = re.compile(rb"/(?:home|Users)/[a-z]|/roo[t]/|[A-Z]:\\+User[s]|/work/(?:main|shared)\b", re.ASCII)
INDEX_ADDRESS = re.compile(rb"pypi\.org|pythonhosted\.org|--(?:extra-)?index[-]url|--find[-]links", re.ASCII)

BROAD = {"Exception", "BaseException"}
GENERATED = {"__pycache__", "build", "dist", "node_modules"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """Return where a file lies in the repository, for messages."""
    return path.relative_to(ROOT).as_posix()


def each_module() -> Iterator[tuple[Path, ast.Module]]:
    """Yield every module of the library, parsed."""
    for path in MODULES:
        yield path, ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def each_file() -> Iterator[Path]:
    """Yield what a checkout holds: no environments, caches or builds."""
    for directory, inner, files in os.walk(ROOT):
        inner[:] = [name for name in inner if name == ".ci" or not (name.startswith(".") or name in GENERATED)]
        yield from (Path(directory, name) for name in files)


# --- Sizes ------------------------------------------------------------------------------------------------


def long_functions(tree: ast.AST) -> list[tuple[str, int]]:
    """Return name and length, from `def` to the last line, of the functions that are too long."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    sizes = ((node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions)
    return [(name, size) for name, size in sizes if size > MAX_FUNCTION_LINES]


def test_no_module_is_longer_than_400_lines():
    """A module has one reason to change, and fits in the head."""
    sizes = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}

    assert {} == {name: size for name, size in sizes.items() if size > MAX_MODULE_LINES}


def test_no_function_is_longer_than_50_lines():
    """A function does one thing, and its docstring counts."""
    assert [] == [(name_of(path), *long) for path, tree in each_module() for long in long_functions(tree)]


@pytest.mark.parametrize(("lines", "expected"), [(50, []), (51, [("f", 51)])])
def test_the_limit_of_a_function_is_inclusive(lines, expected):
    """Fifty lines pass, fifty-one do not."""
    source = "async def f():\n" + "    await x\n" * (lines - 1)

    assert expected == long_functions(ast.parse(source))


# --- Errors -----------------------------------------------------------------------------------------------


def swallowed_errors(tree: ast.AST) -> list[int]:
    """Return the lines where an error is caught and nothing is done about it."""
    return sorted(
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.ExceptHandler) and all(_is_nothing(each, node) for each in node.body))
        or (isinstance(node, ast.Call) and _is_broad_suppress(node))
    )


def _is_nothing(statement: ast.stmt, handler: ast.ExceptHandler) -> bool:
    is_broad = handler.type is None or ast.unparse(handler.type) in BROAD
    is_constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_constant or isinstance(statement, ast.Pass) or (is_broad and isinstance(statement, ast.Continue))


def _is_broad_suppress(call: ast.Call) -> bool:
    called = ast.unparse(call.func).removeprefix("contextlib.")
    return called == "suppress" and any(ast.unparse(argument) in BROAD for argument in call.args)


def test_no_error_is_swallowed():
    """A failure is handled, counted or raised: never lost."""
    assert [] == [(name_of(path), line) for path, tree in each_module() for line in swallowed_errors(tree)]


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("except ValueError:\n    pass", [3]),
        ("except ValueError:\n    ...", [3]),
        ("except:\n    'never mind'", [3]),
        ("except Exception:\n    continue", [3]),
        ("except ValueError:\n    continue", []),
        ("except ValueError as exc:\n    count(exc)", []),
        ("except ValueError:\n    raise", []),
        ("finally:\n    contextlib.suppress(Exception)", [4]),
        ("finally:\n    suppress(KeyError)", []),
    ],
)
def test_what_counts_as_swallowing(handler, expected):
    """An empty handler swallows, and so does a broad `suppress` or `continue`; a narrow one is a choice."""
    assert expected == swallowed_errors(ast.parse(f"try:\n    work()\n{handler}"))


# --- Vendors and layers -----------------------------------------------------------------------------------


def imported_names(node: ast.AST) -> Iterator[str]:
    """Yield what a module imports when it runs, inside functions too; not what only a type checker reads."""
    children = ast.iter_child_nodes(node)
    match node:
        case ast.If(test=condition) if ast.unparse(condition).endswith("TYPE_CHECKING"):
            children = iter(node.orelse)
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=str(module), names=names):
            yield from (f"{module}.{alias.name}" for alias in names)
        case ast.Call(func=function, args=[ast.Constant(value=str(module)), *_]):
            if ast.unparse(function).rpartition(".")[2] in {"import_module", "__import__"}:
                yield module
    for child in children:
        yield from imported_names(child)


def misplaced(imports: Iterable[str], place: str) -> list[str]:
    """Return the third-party imports that `place`, a child of `llm_otel`, may not have."""
    own = sys.stdlib_module_names | {"llm_otel"}
    return sorted({name for name in imports if name.partition(".")[0] not in own and not _may_import(name, place)})


def _may_import(name: str, place: str) -> bool:
    matching = [vendor for vendor in VENDORS if f"{name}.".startswith(f"{vendor}.")]
    return bool(matching) and place in VENDORS[max(matching, key=len)]


def test_each_vendor_is_imported_in_its_place_only():
    """A vendor's change reaches one module; one that has no place yet is no dependency of ours."""
    offences = [
        f"{name_of(path)}: {name}"
        for path, tree in each_module()
        for name in misplaced(imported_names(tree), path.relative_to(PACKAGE).with_suffix("").parts[0])
    ]

    assert [] == offences


@pytest.mark.parametrize(
    ("source", "place", "expected"),
    [
        ("import litellm", "providers", []),
        ("import litellm.utils", "drive", ["litellm.utils"]),
        ("def f():\n    from litellm import completion", "call", ["litellm.completion"]),
        ("importlib.import_module('redis.asyncio')", "runtime", ["redis.asyncio"]),
        ("from opentelemetry import trace", "recorders", []),
        ("from opentelemetry.sdk import trace", "recorders", ["opentelemetry.sdk.trace"]),
        ("import requests, json", "providers", ["requests"]),
        ("if TYPE_CHECKING:\n    import litellm\nelse:\n    import redis", "call", ["redis"]),
    ],
)
def test_what_counts_as_misplaced(source, place, expected):
    """Imports count wherever they stand, by any spelling, but not those that only a type checker follows."""
    assert expected == misplaced(imported_names(ast.parse(source)), place)


def test_the_layers_hold():
    """Top imports down, never up; decisions know no vendor (the contracts are in pyproject.toml)."""
    lint_imports = Path(sysconfig.get_path("scripts")) / "lint-imports"

    run = subprocess.run(
        [lint_imports, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert 0 == run.returncode, run.stdout + run.stderr


# --- Files that fit any machine ---------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", [PERSONAL_PATH, INDEX_ADDRESS], ids=["path", "index"])
def test_no_file_names_a_machine_or_an_index(pattern):
    """A checkout says nothing of where it was made, nor of where packages come from."""
    files = {name_of(file): file.read_bytes() for file in each_file()}

    assert {"pyproject.toml", ".ci/run", "tests/test_house.py"} <= files.keys()
    assert [] == [name for name, content in files.items() if pattern.search(content)]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (PERSONAL_PATH, b"see /" + b"home/ada/x"),
        (PERSONAL_PATH, b"C:" + b"\\Users\\ada"),
        (PERSONAL_PATH, b"/roo" + b"t/.cache"),
        (INDEX_ADDRESS, b"https://py" + b"pi.org/simple"),
        (INDEX_ADDRESS, b"--index" + b"-url x"),
    ],
)
def test_what_counts_as_machine_or_index(pattern, text):
    """The patterns find what they are for."""
    assert pattern.search(text)


# --- Locks ------------------------------------------------------------------------------------------------


def pins(lock: str) -> dict[str, set[str]]:
    """Return the versions that a lock holds for each package; markers may choose between several."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", (REQUIREMENTS / lock).read_text(), re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def our_dependencies() -> list[Requirement]:
    """Return what pyproject.toml asks for at run time."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(line) for line in project["dependencies"]]


@pytest.mark.parametrize("lock", ["runtime.txt", "dev.txt", "oldest.txt"])
def test_each_lock_answers_pyproject(lock):
    """A dependency that is added or raised is locked again (`make lock`)."""
    locked = pins(lock)

    unanswered = [
        str(wanted)
        for wanted in our_dependencies()
        if not all(
            wanted.specifier.contains(v, prereleases=True) for v in locked.get(canonicalize_name(wanted.name), [""])
        )
    ]

    assert [] == unanswered


def test_the_development_lock_holds_the_runtime_lock():
    """What is tested is what is run."""
    developed = pins("dev.txt")

    assert {} == {name: found for name, found in pins("runtime.txt").items() if developed.get(name) != found}


def test_the_oldest_lock_holds_every_floor():
    """A floor that is promised is a floor that is tested."""
    oldest = pins("oldest.txt")
    floors = {
        canonicalize_name(wanted.name): {s.version for s in wanted.specifier if s.operator == ">="}
        for wanted in our_dependencies()
    }

    assert {} == {name: floor for name, floor in floors.items() if not _same_release(floor, oldest[name])}


def _same_release(floor: set[str], locked: set[str]) -> bool:
    return all(any(f"{version}.".startswith(f"{least}.") for version in locked) for least in floor)


@pytest.mark.parametrize("version", ["1.82.7", "1.82.8", "1.83.14", "1.106.2", "1.108.0", "1.108.3", "2.0.0"])
def test_litellm_releases_that_must_stay_out(version):
    """Compromised, vulnerable or broken releases are outside the range."""
    litellm = next(wanted for wanted in our_dependencies() if wanted.name == "litellm")

    assert not litellm.specifier.contains(version)
