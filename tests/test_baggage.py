"""What crosses between services in W3C baggage: the allow-list, and nothing that could not be a tag."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, context
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context

from llm_otel.baggage import MAX_NAMES, MAX_VALUE, Baggage, check_names, tags_around
from llm_otel.call import NO_TAGS
from llm_otel.scope import Scope

PROPAGATOR = W3CBaggagePropagator()


def received(names: tuple[str, ...], entries: dict[str, object]) -> dict[str, str]:
    """Return the tags of a context with these entries."""
    made = Context()
    for name, value in entries.items():
        made = baggage.set_baggage(name, value, made)
    token = context.attach(made)
    try:
        return dict(Baggage(names).received())
    finally:
        context.detach(token)


class TestNames:
    """The allow-list."""

    def test_each_stands_once_in_its_order(self) -> None:
        """A name said twice is said once."""
        assert ("team", "cost.center-1") == check_names(("team", "cost.center-1", "team"))

    @pytest.mark.parametrize("name", ["", "a b", "a=b", "a,b", "a;b", '"a"', "größe", "a\n", "x" * 65])
    def test_what_cannot_be_a_key_is_refused(self, name: str) -> None:
        """W3C's keys are tokens of HTTP."""
        with pytest.raises(ValueError, match="cannot be a key in W3C baggage"):
            check_names((name,))

    def test_there_may_be_so_many(self) -> None:
        """The baggage of all parties together is guaranteed 64 entries."""
        names = tuple(map(str, range(MAX_NAMES)))
        assert names == check_names(names)
        with pytest.raises(ValueError, match=f"at most {MAX_NAMES}"):
            check_names((*names, "one"))


class TestInward:
    """What is taken."""

    def test_only_names_on_the_list(self) -> None:
        """Whoever can send a request can send baggage."""
        assert {"team": "search"} == received(("team", "feature"), {"team": "search", "user": "john", "Team": "x"})

    @pytest.mark.parametrize("value", ["", "a value; with, marks=%", "größe", "x" * MAX_VALUE, "Zürich 東京"])
    def test_any_text_of_a_tag(self, value: str) -> None:
        """A tag without a value is one too."""
        assert {"team": value} == received(("team",), {"team": value})

    @pytest.mark.parametrize(
        "value", ["a\nb", "\x00", "\x1b[31m", "\x7f", "\x85", "\ud800", "x" * (MAX_VALUE + 1), 5, None, b"x", ["x"]]
    )
    def test_what_cannot_be_a_tag_is_not_there(self, value: object) -> None:
        """Control characters forge lines of logs, and length fills them."""
        assert {} == received(("team",), {"team": value})

    def test_percent_encoding_smuggles_nothing(self) -> None:
        """The header is clean, what it says is not."""
        token = context.attach(PROPAGATOR.extract({"baggage": "team=a%0Ab,feature=ok"}, Context()))
        assert {"feature": "ok"} == dict(Baggage(("team", "feature")).received())
        context.detach(token)

    def test_without_baggage_there_are_no_tags(self) -> None:
        """Nor anything made for them."""
        assert NO_TAGS is Baggage(("team",)).received()


class TestOutward:
    """What is sent."""

    def test_only_names_on_the_list(self) -> None:
        """And nothing else is ever put there."""
        sent = Baggage(("team", "feature")).sent(Context(), {"team": "search", "user": "john"})
        assert {"team": "search"} == dict(baggage.get_all(sent))

    def test_what_others_put_there_stays(self) -> None:
        """Baggage belongs to all."""
        before = baggage.set_baggage("tenant", "t1", Context())
        assert {"tenant": "t1", "team": "a"} == dict(baggage.get_all(Baggage(("team",)).sent(before, {"team": "a"})))

    def test_our_word_goes_over_what_came(self) -> None:
        """The next service hears who the calls are for here."""
        before = baggage.set_baggage("team", "theirs", Context())
        assert {"team": "ours"} == dict(baggage.get_all(Baggage(("team",)).sent(before, {"team": "ours"})))

    def test_what_does_not_fit_is_not_sent_and_nothing_wrong_in_its_place(self) -> None:
        """Better no tag than that of somebody else."""
        before = baggage.set_baggage("team", "theirs", Context())
        for value in ("x" * (MAX_VALUE + 1), "a\nb"):
            assert {} == dict(baggage.get_all(Baggage(("team",)).sent(before, {"team": value})))

    def test_the_header_stays_one_that_is_read(self) -> None:
        """One of more than 8,192 bytes is dropped whole, with what others have put there: the first tags go before."""
        names = tuple(f"tag{number}" for number in range(8))
        before = baggage.set_baggage("tenant", "t1", Context())
        headers: dict[str, str] = {}
        PROPAGATOR.inject(headers, Baggage(names).sent(before, dict.fromkeys(names, "\N{GRINNING FACE}" * 100)))

        assert {"tenant", "tag0", "tag1", "tag2"} == baggage.get_all(PROPAGATOR.extract(headers, Context())).keys()

    @given(tags=st.dictionaries(st.sampled_from(["team", "feature", "user"]), st.text(max_size=MAX_VALUE)))
    def test_whatever_is_sent_arrives(self, tags: dict[str, str]) -> None:
        """Through the header of W3C, as the next service reads it (whitespace at the ends is no part of a value)."""
        both = Baggage(("team", "feature", "user"))
        headers: dict[str, str] = {}
        sent = both.sent(Context(), tags)
        PROPAGATOR.inject(headers, sent)
        token = context.attach(PROPAGATOR.extract(headers, Context()))
        arrived = dict(both.received())
        context.detach(token)

        assert headers.get("baggage", "").isascii()
        assert {name: str(value).strip() for name, value in baggage.get_all(sent).items()} == arrived


class TestAround:
    """The tags that a call has from where it is made."""

    def test_in_a_scope_they_are_the_scopes(self) -> None:
        """Which took what was received when it was opened."""
        token = context.attach(baggage.set_baggage("team", "wire", Context()))
        scope = Scope("work", {"feature": "answer"})
        assert {"feature": "answer"} == tags_around(scope, Baggage(("team",)))
        context.detach(token)

    def test_outside_they_are_those_received(self) -> None:
        """Where any may be."""
        token = context.attach(baggage.set_baggage("team", "wire", Context()))
        assert {"team": "wire"} == tags_around(None, Baggage(("team",)))
        assert {} == tags_around(None, None)
        context.detach(token)
