"""Which label values a call gets: the allow-list, the caps and what is refused."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_otel import semconv
from llm_otel.errors import ConfigurationError
from llm_otel.recorders.label_sets import (
    DEFAULT_TAG_LABELS,
    MAX_TAG_VALUES,
    CappedValues,
    LabelSets,
    TagLabel,
    parse_tag_labels,
)

OTHER = semconv.OVERFLOW_LABEL


class TestParsing:
    """Reading `tag_labels`."""

    def test_a_list_of_names_gets_the_default_cap(self) -> None:
        """Sorted: two services that write the same tags in another order have the same labels."""
        assert (TagLabel("feature", (), 50), TagLabel("team", (), 50)) == parse_tag_labels(DEFAULT_TAG_LABELS)
        assert parse_tag_labels(["feature", "team"]) == parse_tag_labels(("team", "feature"))

    def test_a_mapping_gives_values_or_a_cap(self) -> None:
        """As in the design: declared values for one tag, a number for another."""
        parsed = parse_tag_labels({"team": ("search", "growth"), "feature": 7})
        assert (TagLabel("feature", (), 7), TagLabel("team", ("search", "growth"), 50)) == parsed

    def test_more_declared_values_than_the_cap_raise_it(self) -> None:
        """What was declared is kept, so there has to be room for it."""
        values = [f"v{number}" for number in range(MAX_TAG_VALUES + 5)]
        (label,) = parse_tag_labels({"team": values})
        assert MAX_TAG_VALUES + 5 == label.max_values

    def test_no_tags_are_allowed(self) -> None:
        """Whoever wants none gets none."""
        assert () == parse_tag_labels(())

    @pytest.mark.parametrize(
        ("tag_labels", "field", "says"),
        [
            ("team", "tag_labels", "give a list of names, as ['team']"),
            (["cost-center"], "tag_labels", "letters, digits and _"),
            (["1st"], "tag_labels", "not a digit first"),
            (["__name__"], "tag_labels", "not two _ first"),
            (["größe"], "tag_labels", "letters, digits and _"),
            (["team\n"], "tag_labels", "letters, digits and _"),
            ([""], "tag_labels", "letters, digits and _"),
            ([7], "tag_labels", "letters, digits and _"),
            (["team", "user", "team"], "tag_labels", "once"),
            (["model"], "tag_labels", "have this label already"),
            (["reason"], "tag_labels", "have this label already"),
            (["le"], "tag_labels", "have this label already"),
            ({"team": 0}, "tag_labels['team']", "positive integer"),
            ({"team": -3}, "tag_labels['team']", "positive integer"),
            ({"team": True}, "tag_labels['team']", "positive integer"),
            ({"team": 2.5}, "tag_labels['team']", "a list of the values"),
            ({"team": "search"}, "tag_labels['team']", "a list of the values"),
            ({"team": ()}, "tag_labels['team']", "a list of the values"),
            ({"team": None}, "tag_labels['team']", "a list of the values"),
            ({"team": [7]}, "tag_labels['team']", "strings"),
            ({"team": ["\ud800"]}, "tag_labels['team']", "UTF-8"),
            ({"team": ["x" * 201]}, "tag_labels['team']", "at most 200 characters"),
        ],
    )
    def test_what_cannot_be_a_label_is_refused(self, tag_labels: Any, field: str, says: str) -> None:
        """The error names the field, the value and what is allowed."""
        with pytest.raises(ConfigurationError) as caught:
            parse_tag_labels(tag_labels)
        assert field == caught.value.field
        assert says in str(caught.value)

    def test_every_label_of_ours_is_taken(self) -> None:
        """A tag that is a label of any metric would make that metric impossible."""
        ours = {"provider", "model", "operation"}.union(*(spec.labels for spec in semconv.METRICS))
        for name in ours:
            with pytest.raises(ConfigurationError, match="already"):
                parse_tag_labels([name])


class TestCap:
    """Distinct values of one label."""

    def test_first_come_first_kept(self) -> None:
        """What was kept stays kept; what was not never is."""
        values = CappedValues(2)
        assert ["a", "b", OTHER, "a", OTHER] == [values.label(value) for value in ("a", "b", "c", "a", "c")]

    def test_declared_values_are_kept_whenever_they_come(self) -> None:
        """They have their places from the start."""
        values = CappedValues(2, ("late",))
        assert ["a", OTHER, "late"] == [values.label(value) for value in ("a", "b", "late")]

    def test_a_missing_tag_takes_no_place(self) -> None:
        """Neither does the overflow value itself."""
        values = CappedValues(1)
        assert ["", OTHER, "a", OTHER] == [values.label(value) for value in ("", OTHER, "a", "b")]

    @pytest.mark.parametrize("value", ["\ud800", "x" * 201])
    def test_a_text_that_cannot_be_a_label_value_is_other(self, value: str) -> None:
        """A lone surrogate would fail every scrape from then on; it takes no place either."""
        values = CappedValues(1)
        assert [OTHER, "a"] == [values.label(each) for each in (value, "a")]

    @given(st.lists(st.text(max_size=3)), st.integers(1, 5))
    def test_never_more_than_the_cap(self, asked: list[str], limit: int) -> None:
        """Whatever comes: at most the cap, the overflow and the missing value."""
        values = CappedValues(limit)
        given_ = [values.label(value) for value in asked]
        assert len(set(given_) - {OTHER, ""}) <= limit
        assert given_ == [values.label(value) for value in asked]

    def test_threads_do_not_overrun_it(self) -> None:
        """16 threads ask for 200 values in different orders: 10 are kept, the same for all."""
        values, barrier, answers = CappedValues(10), threading.Barrier(16), []

        def ask(thread: int) -> None:
            barrier.wait()
            mine = [(number * 13 + thread * 7) % 200 for number in range(200)]
            answers.append({number: values.label(f"v{number}") for number in mine})

        threads = [threading.Thread(target=ask, args=(thread,)) for thread in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        again = {number: values.label(f"v{number}") for number in range(200)}
        assert 10 == len({value for value in again.values() if value != OTHER})
        assert all(answer == again for answer in answers)


class TestSets:
    """Combinations."""

    def test_tags_that_are_not_allowed_are_no_labels(self) -> None:
        """The allow-list decides, and a missing tag is empty."""
        sets = LabelSets(parse_tag_labels(("team", "feature")))
        assert ("provider", "model", "operation", "feature", "team") == sets.names
        assert ("openai", "m", "chat", "", "x") == sets.of("chat", "openai", "m", {"team": "x", "user": "john"})

    def test_models_are_capped(self) -> None:
        """Model names that come from outside do not blow up the metrics; declared ones are kept."""
        sets = LabelSets((), declared_models=[("openai", "known")], max_models=2)
        asked = ["a", "b", "known", "a"]
        assert ["a", OTHER, "known", "a"] == [sets.of("chat", "openai", model, {})[1] for model in asked]

    def test_combinations_are_capped(self) -> None:
        """Beyond the cap only what was declared, or is absent, keeps its value."""
        tags = parse_tag_labels({"team": ("known",), "user": 50})
        sets = LabelSets(tags, max_label_sets=2)
        asked = [
            {"team": "x", "user": "1"},
            {"team": "x", "user": "2"},
            {"team": "x", "user": "3"},
            {"team": "known", "user": "1"},
            {"team": "known"},
            {"team": "x", "user": "1"},
        ]
        assert [
            ("x", "1"),
            ("x", "2"),
            (OTHER, OTHER),
            ("known", OTHER),
            ("known", ""),
            ("x", "1"),
        ] == [sets.of("chat", "openai", "m", each)[3:] for each in asked]

    def test_a_set_that_was_admitted_meanwhile_keeps_its_place(self) -> None:
        """Two threads come with the last set that fits: both get it, and end under what they began with."""
        sets = LabelSets(parse_tag_labels(("team",)), max_label_sets=1)
        last = sets.of("chat", "openai", "m", {"team": "x"})
        assert last == sets._admit(last)

    def test_declared_sets_are_the_product(self) -> None:
        """A tag without declared values is absent in them."""
        tags = parse_tag_labels({"team": ("a", "b"), "tier": ("free",), "user": 5})
        sets = LabelSets(tags, declared_models=[("openai", "m")])
        assert (
            ("openai", "m", "chat", "a", "free", ""),
            ("openai", "m", "chat", "b", "free", ""),
        ) == tuple(sorted(sets.declared, key=str))
