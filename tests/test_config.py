"""Settings: arguments over the environment over a file, and an error that says where a bad value stands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from llm_otel.config import Settings, load_settings
from llm_otel.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tuple(os.environ):
        if name.upper().startswith("LLM_OTEL_"):
            monkeypatch.delenv(name)


def written(directory: Path, text: str) -> Path:
    """Write a configuration file."""
    path = directory / "llm-otel.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_defaults():
    """The library works with no configuration at all."""
    settings = load_settings({})

    assert (("team", "feature"), True, False, False) == (
        settings.tag_labels,
        settings.auto_instrument,
        settings.warm_up,
        settings.strict,
    )


def test_settings_do_not_change():
    """A second `configure()` makes new ones."""
    with pytest.raises(ValidationError):
        load_settings({}).strict = True


@pytest.mark.parametrize(
    ("argument", "variable", "in_file", "expected"),
    [
        (None, None, None, False),
        (None, None, True, True),
        (None, "true", None, True),
        (None, "false", True, False),
        (None, "1", False, True),
        (True, None, None, True),
        (True, "false", False, True),
        (False, "true", True, False),
    ],
)
def test_precedence(argument, variable, in_file, expected, tmp_path, monkeypatch):
    """What is given wins over the environment, the environment over the file, the file over the defaults."""
    if variable is not None:
        monkeypatch.setenv("LLM_OTEL_STRICT", variable)
    path = written(tmp_path, f"strict = {str(in_file).lower()}") if in_file is not None else None

    assert expected is load_settings({"strict": argument}, path).strict


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("0", False), ("", None)])
def test_otlp_is_asked_for_refused_or_left_to_the_variables(text, expected, monkeypatch):
    """Three answers: who says nothing goes by what OpenTelemetry's own variables say."""
    monkeypatch.setenv("LLM_OTEL_OTLP", text)

    assert expected is load_settings({}).otlp


def test_an_empty_variable_is_not_set(tmp_path, monkeypatch):
    """Compose files and CI pass variables on that nobody filled in."""
    monkeypatch.setenv("LLM_OTEL_STRICT", "")
    monkeypatch.setenv("LLM_OTEL_TAG_LABELS", "")

    assert (True, ("team", "feature")) == (
        load_settings({}, written(tmp_path, "strict = true")).strict,
        load_settings({}).tag_labels,
    )


def test_the_file_may_be_named_in_the_environment(tmp_path, monkeypatch):
    """By `LLM_OTEL_CONFIG_FILE`; one that is given goes before it."""
    monkeypatch.setenv("LLM_OTEL_CONFIG_FILE", str(written(tmp_path, "warm_up = true")))
    other = tmp_path / "other.toml"
    other.write_text("strict = true")

    assert (True, False) == (load_settings({}).warm_up, load_settings({}).strict)
    assert (False, True) == (load_settings({}, other).warm_up, load_settings({}, other).strict)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("team", ("team",)),
        ("team,feature,customer", ("team", "feature", "customer")),
        (" team , feature ,", ("team", "feature")),
    ],
)
def test_tag_labels_in_the_environment(text, expected, monkeypatch):
    """Names with commas between."""
    monkeypatch.setenv("LLM_OTEL_TAG_LABELS", text)

    assert expected == load_settings({}).tag_labels


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('tag_labels = ["team", "customer"]', ("team", "customer")),
        ("tag_labels = []", ()),
        ('[tag_labels]\nteam = ["search", "growth"]\nfeature = 20', {"team": ("search", "growth"), "feature": 20}),
    ],
)
def test_tag_labels_in_a_file(text, expected, tmp_path):
    """A list of names, or a table of declared values and caps."""
    assert expected == load_settings({}, written(tmp_path, text)).tag_labels


def test_malformed_toml_is_shown_by_file_and_line(tmp_path):
    """Where to look, and for what."""
    path = written(tmp_path, "strict = true\nwarm_up = yes\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings({}, path)

    assert ("config_file", str(path)) == (caught.value.field, caught.value.value)
    assert "line 2" in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_text(tmp_path):
    """It is named too."""
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigurationError, match=r"binary\.toml"):
        load_settings({}, path)


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read(name, tmp_path):
    """One that was named is meant: a missing file is no empty one."""
    path = tmp_path / name
    with pytest.raises(ConfigurationError) as caught:
        load_settings({}, path)

    assert ("config_file", str(path)) == (caught.value.field, caught.value.value)


def test_what_is_no_path_is_no_file():
    """It is named like any other argument."""
    with pytest.raises(ConfigurationError, match="config_file=5"):
        load_settings({}, 5)


@pytest.mark.parametrize("value", [5, {"team": "search"}, [5]], ids=repr)
@pytest.mark.parametrize("name", ["tag_labels", "baggage_tags"])
def test_what_names_no_tags_is_told_how_they_are_named(name, value):
    """In the words of the one who wrote it, not of a parser."""
    with pytest.raises(ConfigurationError, match=rf"{name}=.*names of tags, such as \['team', 'feature'\]"):
        load_settings({name: value})


def test_an_unknown_key_is_named_with_the_known_ones(tmp_path):
    """A key that is mistyped would silently do nothing."""
    path = written(tmp_path, "stricct = true")
    with pytest.raises(ConfigurationError) as caught:
        load_settings({}, path)

    assert f"stricct (in {path})" == caught.value.field
    assert caught.value.allowed.startswith("no such setting; did you mean 'strict'? there are tag_labels, ")
    assert all(name in caught.value.allowed for name in Settings.model_fields)


def test_a_bad_value_says_where_it_stands(tmp_path, monkeypatch):
    """The argument, the variable, or the file."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"strict": "perhaps"})
    assert ("strict", "perhaps") == (caught.value.field, caught.value.value)
    assert "boolean" in caught.value.allowed

    path = written(tmp_path, 'strict = "perhaps"')
    with pytest.raises(ConfigurationError) as caught:
        load_settings({}, path)
    assert f"strict (in {path})" == caught.value.field

    monkeypatch.setenv("LLM_OTEL_STRICT", "perhaps")
    with pytest.raises(ConfigurationError) as caught:
        load_settings({}, path)
    assert ("LLM_OTEL_STRICT", "perhaps") == (caught.value.field, caught.value.value)


def test_a_bad_value_that_is_overruled_does_no_harm(tmp_path, monkeypatch):
    """What is not used is not judged."""
    path = written(tmp_path, 'strict = "perhaps"')

    assert load_settings({"strict": True}, path).strict
    monkeypatch.setenv("LLM_OTEL_STRICT", "true")
    assert load_settings({}, path).strict


def test_variables_of_other_things_are_none_of_ours(monkeypatch):
    """The prefix is shared with variables of later versions."""
    monkeypatch.setenv("LLM_OTEL_LEDGER", "redis://localhost")

    assert not load_settings({}).strict


def test_no_dot_env_is_read(tmp_path, monkeypatch):
    """What is not asked for is not read."""
    (tmp_path / ".env").write_text("LLM_OTEL_STRICT=true")
    monkeypatch.chdir(tmp_path)

    assert not load_settings({}).strict


@pytest.mark.parametrize("line", ['ledger_url = "redis://:secret@host"', 'ledger = ["redis://:secret@host"]'])
def test_an_address_with_a_password_is_not_shown(tmp_path, line):
    """Not where its name is misspelt either: the error says where it stands."""
    path = tmp_path / "llm_otel.toml"
    path.write_text(line)

    with pytest.raises(ConfigurationError) as caught:
        load_settings({}, path)

    assert "secret" not in str(caught.value)
    assert line.partition(" ")[0] in str(caught.value)


@pytest.mark.parametrize("content", ["a = " + "[" * 5_000, "\x00"], ids=["nested without end", "no text"])
def test_what_no_parser_takes_is_told_by_file(tmp_path, content):
    """As every other mistake in the file."""
    path = tmp_path / "llm_otel.toml"
    path.write_text(content)

    with pytest.raises(ConfigurationError, match=r"llm_otel\.toml"):
        load_settings({}, path)


def test_tags_that_cross_are_a_list_in_every_source(tmp_path, monkeypatch):
    """None by default; names with commas between in the environment."""
    path = written(tmp_path, 'baggage_tags = ["team"]')

    assert () == load_settings({}).baggage_tags
    assert ("team",) == load_settings({}, path).baggage_tags
    monkeypatch.setenv("LLM_OTEL_BAGGAGE_TAGS", "team, feature,team")
    assert ("team", "feature") == load_settings({}, path).baggage_tags
    assert ("user",) == load_settings({"baggage_tags": ["user"]}, path).baggage_tags


@pytest.mark.parametrize("value", [["a b"], "team=1", 5, [5], [""], {"team": 1}, [str(n) for n in range(33)]])
def test_tags_that_cannot_cross_are_refused(value):
    """With their name, and no words of pydantic's."""
    with pytest.raises(ConfigurationError, match="baggage_tags") as caught:
        load_settings({"baggage_tags": value})

    assert "Value error" not in str(caught.value)
