"""What the rules of `model="auto"` get right and wrong, and what that costs: on prompts labelled by hand.

The rules were tuned on `tune`, and then on `blind`, by another author. `held_out` is by the first; what counts is
`third`, by one whose prompts no rule was changed for. Everything but the last table is the same in each run, and stands
on docs/routing-quality.md. `--errors` lists what is wrong in `tune` (whoever sees errors tunes on them).
"""

from __future__ import annotations

import json
import math
import sys
import time
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from statistics import NormalDist

from benchmarks.routing_prompts import BLIND, THIRD, Labelled, labelled, needs
from llm_otel.models.catalog import CHECKED, catalog
from llm_otel.models.entry import ModelCapability, ModelEntry, ModelTier
from llm_otel.routing.complexity import Rating, classify
from llm_otel.routing.features import USUAL_OUTPUT_TOKENS

LEVELS = (ModelCapability.SIMPLE, ModelCapability.MODERATE, ModelCapability.COMPLEX)
CLASSES = tuple(ModelCapability)
HOSTED = [entry for entry in catalog() if entry.tier != ModelTier.LOCAL]
"""Local models are free and would win every choice."""
CHARACTERS_PER_TOKEN = 4
LENGTHS = (50, 500, 5_000, 100_000)
REPEATS = 200

Choose = Callable[[Labelled], frozenset[ModelCapability]]
"""Says what a model must be good enough for."""
Table = list[Sequence[object]]


# --- What is compared -------------------------------------------------------------------------------------------------


def rated(prompt: Labelled) -> Rating:
    return classify(prompt.messages, has_images=prompt.has_images, wants_json=prompt.wants_json)


@dataclass(frozen=True, slots=True)
class LengthOnly:
    """Three intervals of the last message's length, with the best thresholds and classes for the prompts given."""

    thresholds: tuple[int, int]
    classes: tuple[ModelCapability, ...]

    @classmethod
    def fitted(cls, prompts: Sequence[Labelled]) -> LengthOnly:
        lengths = sorted({_length(prompt) for prompt in prompts})
        return max(
            (cls._best_with(thresholds, prompts) for thresholds in combinations(lengths[::3], 2)),
            key=lambda rule: sum(rule(prompt) == prompt.capability for prompt in prompts),
        )

    @classmethod
    def _best_with(cls, thresholds: tuple[int, int], prompts: Sequence[Labelled]) -> LengthOnly:
        counts = [Counter({ModelCapability.MODERATE: 0}) for _ in range(3)]
        for prompt in prompts:
            counts[bisect(thresholds, _length(prompt))][prompt.capability] += 1
        return cls(thresholds, tuple(each.most_common(1)[0][0] for each in counts))

    def __call__(self, prompt: Labelled) -> ModelCapability:
        return self.classes[bisect(self.thresholds, _length(prompt))]


def _length(prompt: Labelled) -> int:
    return len(prompt.messages[-1]["content"])


# --- Accuracy ---------------------------------------------------------------------------------------------------------


def accuracy(splits: Mapping[str, Sequence[Labelled]]) -> Table:
    """Say how often each way to rate is right, in each split; `tune` must be one."""
    length = LengthOnly.fitted(splits["tune"])
    ways: dict[str, Callable[[Labelled], bool]] = {
        "rules": lambda prompt: rated(prompt).capability == prompt.capability,
        "length only": lambda prompt: length(prompt) == prompt.capability,
        "always moderate": lambda prompt: prompt.capability == ModelCapability.MODERATE,
        "rules, level alone": lambda prompt: rated(prompt).level == prompt.level,
    }
    rows: Table = [("", *[cell for title in splits for cell in (title, "95 % interval")])]
    for name, is_right in ways.items():
        right = [(sum(map(is_right, prompts)), len(prompts)) for prompts in splits.values()]
        rows.append((name, *[cell for count in right for cell in (_percent(*count), _interval(*count))]))
    return rows


def confusion(prompts: Sequence[Labelled]) -> Table:
    counts = Counter((prompt.capability, rated(prompt).capability) for prompt in prompts)
    rows: Table = [("is \\ rated", *CLASSES, "found")]
    for actual in CLASSES:
        row = [counts[actual, chosen] for chosen in CLASSES]
        rows.append((actual, *row, _percent(counts[actual, actual], sum(row))))
    right = [_percent(counts[each, each], sum(counts[actual, each] for actual in CLASSES)) for each in CLASSES]
    return [*rows, ("right", *right, "")]


def wrong_ways(splits: Mapping[str, Sequence[Labelled]]) -> Table:
    """Count prompts that were rated weaker than they are, and stronger; some are both."""
    ways = {
        "under-rated: a lower level, or coding or research missed": _lacks,
        "over-rated: a higher level, or coding or research seen that is none": _exceeds,
    }
    rows: Table = [("", *[cell for title in splits for cell in (title, "share")])]
    for name, is_so in ways.items():
        counts = [(sum(is_so(each, rated(each)) for each in split), len(split)) for split in splits.values()]
        rows.append((name, *[cell for count in counts for cell in (count[0], _percent(*count))]))
    return rows


def _lacks(prompt: Labelled, rating: Rating) -> bool:
    is_missed = prompt.capability not in LEVELS and rating.capability != prompt.capability
    return is_missed or LEVELS.index(rating.level) < LEVELS.index(prompt.level)


def _exceeds(prompt: Labelled, rating: Rating) -> bool:
    is_imagined = rating.capability not in LEVELS and rating.capability != prompt.capability
    return is_imagined or LEVELS.index(rating.level) > LEVELS.index(prompt.level)


# --- Cost against quality ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a way to choose costs for all prompts, and how many got a model that is good enough."""

    cost_usd: Decimal
    served: Decimal

    @classmethod
    def mixed(cls, low: Outcome, high: Outcome, *, cost_usd: Decimal) -> Outcome:
        """Return what chance makes of two ways, taking the dear one so often that it costs as much as this."""
        share = (cost_usd - low.cost_usd) / (high.cost_usd - low.cost_usd)
        return cls(cost_usd, low.served + share * (high.served - low.served))


def cost_usd(model: ModelEntry, prompt: Labelled) -> Decimal:
    """Price a prompt with a usual answer of its true class, the same for every choice."""
    period = model.period_at(CHECKED)
    assert period is not None
    characters = sum(len(message["content"]) for message in prompt.messages)
    answer = USUAL_OUTPUT_TOKENS[prompt.capability]
    prices = period.base
    return (prices.input * characters / CHARACTERS_PER_TOKEN + prices.output * answer) / 1_000_000


def cheapest(wanted: frozenset[ModelCapability], prompt: Labelled) -> ModelEntry:
    fit = [entry for entry in HOSTED if wanted <= entry.capabilities]
    return min(fit, key=lambda entry: cost_usd(entry, prompt))


def cost_and_quality(tune: Sequence[Labelled], prompts: Sequence[Labelled]) -> Table:
    length = LengthOnly.fitted(tune)
    choices: dict[str, Choose] = {
        "always the cheapest model": lambda _: frozenset(),
        "length only": lambda prompt: frozenset({length(prompt)}),
        "**rules**": _by_rules,
        "**rules**, floor `complex`": lambda prompt: _by_rules(prompt) | {ModelCapability.COMPLEX},
        "the true class": lambda prompt: prompt.needs,
        "always the cheapest for `complex`": lambda _: frozenset({ModelCapability.COMPLEX}),
        "always the cheapest that can do all": lambda _: frozenset(CLASSES),
    }
    outcomes = {name: _outcome(choose, prompts) for name, choose in choices.items()}
    low, high = outcomes["always the cheapest model"], outcomes["always the cheapest that can do all"]
    by_chance = Outcome.mixed(low, high, cost_usd=outcomes["**rules**"].cost_usd)
    rows: Table = [("", "USD per 1,000 prompts", "of the dearest", "served well")]
    for name, outcome in {"dearest or cheapest by chance, at the rules' cost": by_chance, **outcomes}.items():
        per_thousand = outcome.cost_usd / len(prompts) * 1000
        relative = _percent(outcome.cost_usd, high.cost_usd)
        rows.append((name, f"{per_thousand:.2f}", relative, _percent(outcome.served, len(prompts))))
    return rows


def _by_rules(prompt: Labelled) -> frozenset[ModelCapability]:
    rating = rated(prompt)
    return needs(rating.capability, rating.level)


def _outcome(choose: Choose, prompts: Sequence[Labelled]) -> Outcome:
    models = [cheapest(choose(prompt), prompt) for prompt in prompts]
    pairs = list(zip(models, prompts, strict=True))
    cost = sum((cost_usd(model, prompt) for model, prompt in pairs), Decimal(0))
    return Outcome(cost, Decimal(sum(prompt.needs <= model.capabilities for model, prompt in pairs)))


def models_by_class(prompts: Sequence[Labelled]) -> Table:
    """Say which model stands for each class."""
    rows: Table = [("class", "cheapest model", "USD per million tokens, in / out")]
    for each in CLASSES:
        [(model, _)] = Counter(cheapest(needs(each, each), prompt).name for prompt in prompts).most_common(1)
        entry = next(entry for entry in HOSTED if entry.name == model)
        period = entry.period_at(CHECKED)
        assert period is not None
        rows.append((each, f"`{model}`", f"{period.base.input} / {period.base.output}"))
    return rows


# --- Time -------------------------------------------------------------------------------------------------------------


def time_taken(prompts: Sequence[Labelled]) -> Table:
    """Compare the time of rating a message with that of writing it as JSON, which every request is."""
    words = "\n".join(prompt.messages[-1]["content"] for prompt in prompts)
    rows: Table = [("characters", "µs", "times json.dumps")]
    for length in LENGTHS:
        text = (words * (length // len(words) + 1))[:length]
        messages = [{"role": "user", "content": text}]
        mine, base = _best_us(lambda m=messages: classify(m)), _best_us(lambda m=messages: json.dumps(m))
        rows.append((f"{length:,}", f"{mine:,.0f}", f"{mine / base:,.0f}"))
    return rows


def _best_us(call: Callable[[], object]) -> float:
    def once() -> int:
        start = time.process_time_ns()
        call()
        return time.process_time_ns() - start

    return min(once() for _ in range(REPEATS)) / 1000


# --- The page ---------------------------------------------------------------------------------------------------------


def tables() -> dict[str, str]:
    """Return what is the same in each run, by title, as Markdown."""
    tune, third, blind = labelled("tune"), labelled(THIRD), labelled(BLIND)
    splits = {"third": third, "blind, seen": blind, "held-out": labelled("held_out"), "tune": tune}
    return {
        "Accuracy by class": as_markdown(accuracy(splits)),
        f"Confusion, third ({len(third)} prompts)": as_markdown(confusion(third)),
        f"Confusion, blind ({len(blind)} prompts), seen while tuning": as_markdown(confusion(blind)),
        "Which way they go wrong": as_markdown(wrong_ways(splits)),
        "The model of each class": as_markdown(models_by_class([*third, *blind])),
        "Cost against quality, third": as_markdown(cost_and_quality(tune, third)),
        "Cost against quality, blind, seen while tuning": as_markdown(cost_and_quality(tune, blind)),
    }


def as_markdown(rows: Table) -> str:
    head, *body = [[str(cell) for cell in row] for row in rows]
    ruler = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ruler, *body))


def _percent(part: int | Decimal, whole: int | Decimal) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _interval(part: int, whole: int) -> str:
    """Return where the true share lies with 95 % confidence, by Wilson's score."""
    z = NormalDist().inv_cdf(0.975)
    middle = part + z * z / 2
    half = z * math.sqrt(part * (whole - part) / whole + z * z / 4)
    low, high = ((middle + side * half) / (whole + z * z) for side in (-1, 1))
    return f"{100 * low:.0f} – {100 * high:.0f} %"


def _print_errors() -> None:
    for prompt in labelled("tune"):
        rating = rated(prompt)
        if (rating.capability, rating.level) != (prompt.capability, prompt.level):
            print(f"{prompt.capability}/{prompt.level}, rated {rating.capability}/{rating.level} by {rating.signals}")
            print(f"    {prompt.messages[-1]['content'][:100]!r}")


def main() -> None:
    if "--errors" in sys.argv:
        _print_errors()
        return
    for title, table in tables().items():
        print(f"{title}\n\n{table}\n")
    print(f"Time to rate\n\n{as_markdown(time_taken(labelled('tune')))}")


if __name__ == "__main__":
    main()
