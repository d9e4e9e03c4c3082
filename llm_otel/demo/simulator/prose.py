"""Text for unscripted answers: deterministic in the random generator, dull, and of a length that varies."""

import json
import random
from collections.abc import Mapping
from typing import Any

from llm_otel.demo.simulator import tokens

_SENTENCES = (
    "The short answer is yes, with one exception that matters in practice.",
    "Start with the smallest change that could work, and measure it before you go on.",
    "Most of the cost comes from a few requests, so look at those first.",
    "The customer asked for a refund on Tuesday and has not had an answer since.",
    "Two of the three suppliers deliver within a week; the third needs a reminder.",
    "In plain words: the contract renews by itself unless someone cancels it in March.",
    "I would keep the first paragraph and drop the second, which repeats it.",
    "The function returns early when the list is empty, so the loop never runs.",
    "Revenue grew by four percent, while support tickets fell by a tenth.",
    "Please check the address once more, as the postal code does not match the town.",
    "A simple index on the date column removes the slow scan.",
    "There are three options, and the second one is both cheaper and easier to undo.",
    "The tone of the message is friendly but hurried.",
    "None of the sources gives a date, so treat the number with care.",
    "If the test fails again, compare the two log files line by line.",
    "The meeting moved to Thursday at ten, in the small room upstairs.",
    "Because the data is sorted, a binary search is enough here.",
    "That depends on how many people will use it at the same time.",
    "The review praises the screen and complains about the battery.",
    "Everything else in the report agrees with what we saw last quarter.",
    "Done.",
    "Yes.",
    "To be safe, make a copy before you run the migration.",
    "The main risk is not the price but the time it takes to switch.",
)

_DEEPEST = 8
"""Levels of a JSON schema that are followed; a schema may contain itself."""


def write(rng: random.Random) -> str:
    """Write an answer of one sentence or a few, seldom many."""
    return " ".join(rng.choices(_SENTENCES, k=min(40, 1 + int(rng.lognormvariate(1.0, 0.7)))))


def write_exactly(rng: random.Random, length: int) -> str:
    """Write a text of exactly `length` tokens."""
    text: list[str] = []
    while len(text) < length:
        text += tokens.split((" " if text else "") + rng.choice(_SENTENCES))
    return "".join(text[:length])


def write_json(rng: random.Random, schema: Mapping[str, Any]) -> str:
    """Write a JSON document that follows a schema, or any object where the schema is empty."""
    value = example(rng, schema, root=schema) if schema else {"answer": rng.choice(_SENTENCES)}
    return json.dumps(value)


def example(rng: random.Random, schema: object, *, root: Mapping[str, Any], depth: int = 0) -> Any:
    """Make up a value for a JSON schema; what is not understood becomes a string, what is too deep null."""
    if depth > _DEEPEST:
        return None
    if not isinstance(schema, Mapping):
        return _words(rng)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return rng.choice(schema["enum"])
    inner = _inner(schema, root)
    if inner is not None:
        return example(rng, inner, root=root, depth=depth + 1)
    return _of_type(rng, schema, root, depth)


def _inner(schema: Mapping[str, Any], root: Mapping[str, Any]) -> object | None:
    """Return the schema this one points at or chooses from, if it does."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        target: object = root
        for name in reference[2:].split("/"):
            target = target.get(name) if isinstance(target, Mapping) else None
        return target
    for word in ("anyOf", "oneOf", "allOf"):
        options = schema.get(word)
        if isinstance(options, list) and options:
            return next((o for o in options if isinstance(o, Mapping) and o.get("type") != "null"), options[0])
    return None


def _of_type(rng: random.Random, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    properties = schema.get("properties")
    match _type_of(schema):
        case "object":
            fields = properties if isinstance(properties, Mapping) else {}
            return {name: example(rng, field, root=root, depth=depth + 1) for name, field in fields.items()}
        case "array":
            return [example(rng, schema.get("items"), root=root, depth=depth + 1)]
        case "integer" | "number":
            low = schema.get("minimum")
            return low if isinstance(low, int | float) else rng.randint(1, 100)
        case "boolean":
            return rng.random() < 0.5
        case "null":
            return None
        case _:
            return _words(rng)


def _type_of(schema: Mapping[str, Any]) -> str:
    """Return the type a schema names, in lower case: Gemini may write `OBJECT` for `object`."""
    named = schema.get("type")
    if isinstance(named, list):
        named = next((name for name in named if name != "null"), "null")
    if isinstance(named, str):
        return named.lower()
    return "object" if "properties" in schema else "string"


def _words(rng: random.Random) -> str:
    return " ".join(rng.choice(_SENTENCES).split()[:4])
