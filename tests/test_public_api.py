"""The names that are public: all there, all documented, each in its own place, and nothing beside them."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import llm_otel
from llm_otel import errors

FUNCTIONS_AND_CLASSES = sorted(set(llm_otel.__all__) - {"__version__"})

# The names that the design promises for this version; later ones add to them.
PROMISED = {
    *("configure", "runtime", "tracker", "metrics_registry", "traced_llm", "LLMRouter", "LLMConfig", "LLMProvider"),
    *("LLMResponse", "LLMStream", "LLMChunk", "UsageStats", "UsageTracker", "ModelInfo", "ModelCapability"),
    *("RouteDecision", "Candidate", "get_model_info", "get_cheapest_model", "list_models", "register_model"),
    *("LLMOtelError", "ConfigurationError", "UnknownModelError", "UnknownProviderError", "ProviderError"),
    "__version__",
}


def _tree() -> ast.Module:
    return ast.parse(Path(llm_otel.__file__).read_text(encoding="utf-8"))


def test_every_promised_name_is_public():
    """Users write them down."""
    assert set() == PROMISED - set(llm_otel.__all__)


@pytest.mark.parametrize("name", llm_otel.__all__)
def test_every_public_name_can_be_imported(name):
    """By `from llm_otel import name`, again and again to the same object."""
    assert getattr(llm_otel, name) is getattr(llm_otel, name)


def test_public_names_are_sorted_and_stand_once():
    """So that a change shows as one line."""
    assert sorted(set(llm_otel.__all__)) == llm_otel.__all__


def test_a_star_import_takes_all_public_names_and_no_other():
    """`__all__` is what it says."""
    found: dict[str, object] = {}
    exec("from llm_otel import *", found)  # the statement itself is what is tested

    assert set(llm_otel.__all__) == found.keys() - {"__builtins__"}


def test_dir_shows_what_is_not_loaded_yet():
    """Completion in a shell needs it."""
    assert set() == set(llm_otel.__all__) - set(dir(llm_otel))


def test_a_name_that_is_not_there_is_an_attribute_error():
    """As with any module: `hasattr` must work, and a submodule that exists is none of this function's business."""
    with pytest.raises(AttributeError, match=r"module 'llm_otel' has no attribute 'LLMRoute'"):
        _ = llm_otel.LLMRoute

    assert not hasattr(llm_otel, "no_such_name")


def test_a_type_checker_sees_the_same_names():
    """The imports for type checking, the table of homes and `__all__` are three lists of one thing."""
    blocks = (node for node in _tree().body if isinstance(node, ast.If))
    (block,) = (node for node in blocks if ast.unparse(node.test) == "TYPE_CHECKING")
    seen = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    homes = {name: f"llm_otel.{home}.{name}" for name, home in llm_otel._HOME_OF.items()}

    assert homes == seen
    assert set(llm_otel.__all__) - {"__version__"} == homes.keys()


@pytest.mark.parametrize("name", FUNCTIONS_AND_CLASSES)
def test_every_public_name_is_at_home_in_the_library(name):
    """Its module is ours and really has it, so that pickles, documentation and tracebacks find it."""
    value = getattr(llm_otel, name)

    assert "llm_otel" == value.__module__.partition(".")[0]
    assert value is getattr(importlib.import_module(value.__module__), value.__name__)


@pytest.mark.parametrize("name", FUNCTIONS_AND_CLASSES)
def test_every_public_name_is_documented(name):
    """With a first line that is a sentence. An inherited docstring is not its own."""
    documented = (
        getattr(llm_otel, name).__dict__.get("__doc__")
        if inspect.isclass(getattr(llm_otel, name))
        else (getattr(llm_otel, name).__doc__)
    )

    assert documented
    first = inspect.cleandoc(documented).splitlines()[0]
    assert first[0].isupper() or first.startswith("`")
    assert first.rstrip().endswith((".", ":", "?"))


def _public_methods() -> list[tuple[str, str]]:
    found = []
    for name in FUNCTIONS_AND_CLASSES:
        value = getattr(llm_otel, name)
        if inspect.isclass(value):
            for each, member in vars(value).items():
                is_ours = inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod)
                if is_ours and not each.startswith("_"):
                    found.append((name, each))
    return found


@pytest.mark.parametrize(("name", "method"), _public_methods())
def test_every_public_method_is_documented(name, method):
    """Properties too."""
    assert inspect.getdoc(vars(getattr(llm_otel, name))[method])


def test_the_tree_of_errors_is_drawn_whole():
    """At the top of its module, with one root."""
    ours = [value for value in vars(errors).values() if inspect.isclass(value) and value.__module__ == errors.__name__]

    assert [] == [each.__name__ for each in ours if each.__name__ not in errors.__doc__]
    assert [] == [each.__name__ for each in ours if not issubclass(each, errors.LLMOtelError)]


def test_the_version_is_the_installed_one():
    """Read from the metadata of what is installed."""
    from importlib.metadata import version

    assert version("llm-otel") == llm_otel.__version__


def test_types_ship_with_the_package():
    """PEP 561: without the marker, type checkers see `Any`."""
    assert (Path(llm_otel.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("name", [names[0] for names in llm_otel._HOMES.values()])
def test_a_module_may_be_the_first_that_is_used(name):
    """In whatever order they are imported, no cycle is in the way; and `runtime` stays the function."""
    program = f"from llm_otel import {name}; from llm_otel import runtime; runtime.__call__"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False, timeout=60
    )

    assert (0, "") == (run.returncode, run.stderr)
