"""What a request asks of a model, read off its arguments."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel

from llm_otel.models.entry import ModelCapability
from llm_otel.routing.features import Features, features_of

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9_000}}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


def read(*messages: object, **arguments: object) -> Features:
    """Return the features of a request."""
    return features_of({"messages": list(messages), **arguments}, rating=None, tags={})


def user(content: object) -> dict[str, object]:
    """Return a message."""
    return {"role": "user", "content": content}


class Answer(BaseModel):
    """A schema for answers."""

    text: str


class Broken:
    """An object that looks like a message and is none."""

    def model_dump(self) -> dict[str, object]:
        """Fail."""
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("messages", "size"),
    [
        ([user("four")], 4),
        ([user("Grüße")], 7),
        ([user("\ud800")], 3),
        ([user([{"type": "text", "text": "four"}, {"type": "text", "text": "five!"}])], 9),
        ([{"role": "assistant", "content": None, "tool_calls": [TOOL]}], len(json.dumps([TOOL]))),
        ([{"role": "tool", "tool_call_id": "call_12345", "content": "four"}], 4),
        ([user([{"type": "tool_use", "id": "x", "name": "look_up", "input": {"q": 1}}])], len('{"q": 1}')),
        (["not a message", 7, None, user(7)], 13),
    ],
)
def test_the_text_is_measured_in_bytes(messages, size):
    """Wherever it stands; roles, ids and types are not counted with it."""
    assert size == read(*messages).text_bytes


def test_an_image_is_no_text():
    """A data URL of nine thousand letters is one image."""
    features = read(user([IMAGE, {"type": "text", "text": "four"}, {"type": "input_audio", "input_audio": {}}]))

    assert (4, 1, 1) == (features.text_bytes, features.images, features.files)
    assert features.needs_vision
    assert 1 + 1_000 + 3_000 + 4 == features.usual_input_tokens


def test_tools_and_schemas_are_read_too():
    """They are sent along as JSON."""
    features = read(user("four"), tools=[TOOL], response_format=Answer)

    assert features.needs_tools
    assert features.needs_json
    assert 4 + len(json.dumps([TOOL])) + len(json.dumps(Answer.model_json_schema())) == features.text_bytes


@pytest.mark.parametrize(
    ("response_format", "expected"),
    [
        (None, False),
        ({"type": "text"}, False),
        ({"type": "json_object"}, True),
        ({"type": ["odd"]}, True),
        (Answer, True),
    ],
)
def test_what_asks_for_json(response_format, expected):
    """All but plain text."""
    assert expected is read(user("x"), response_format=response_format).needs_json


def test_limits_and_choices_are_read():
    """Under either name of the limit."""
    features = read(user("x"), max_completion_tokens=100, n=3, service_tier="flex")

    assert (100, 3, "flex") == (features.max_tokens, features.answers, features.service_tier)
    assert 300 == features.expected_output_tokens(None, None)
    assert 150 == features.expected_output_tokens(None, 50)


@pytest.mark.parametrize(
    ("capability", "expected"),
    [(None, 512), (ModelCapability.SIMPLE, 256), (ModelCapability.RESEARCH, 2_048)],
)
def test_without_a_limit_the_usual_length_is_expected(capability, expected):
    """By the kind of work."""
    assert expected == Features().expected_output_tokens(capability, None)


def test_every_capability_has_a_usual_length():
    """Also one that is added."""
    assert all(Features().expected_output_tokens(each, None) > 0 for each in ModelCapability)


@pytest.mark.parametrize("size", [0, 1, 100, 1_000_000])
def test_the_three_counts_are_in_order(size):
    """Surely as many, likely as many, hardly more."""
    features = Features(text_bytes=size)

    assert features.least_input_tokens <= features.usual_input_tokens <= features.most_input_tokens


def test_odd_arguments_are_the_providers_to_refuse():
    """Nothing is raised, whatever stands there; lists that hold themselves end."""
    endless: list[object] = []
    endless += [endless] * 9
    deep: object = "x"
    for _ in range(10_000):
        deep = [deep]

    for odd in (Broken(), endless, deep, Broken):
        features = features_of({"messages": [user("four"), odd], "tools": Broken(), "n": "many"}, rating=None, tags={})

        assert (4, 1, 1, True) == (features.text_bytes, features.files, features.answers, features.needs_tools)


def test_odd_parts_are_passed_over():
    """What is readable beside them is read."""
    assert 4 == read({"role": "user", "content": {2}}, {"type": object(), "content": "four"}).text_bytes


def test_nothing_is_a_request_too():
    """The caller hears elsewhere that messages are missing."""
    assert Features() == features_of({}, rating=None, tags={})
