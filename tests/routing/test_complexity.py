"""The rules of `model="auto"`: what they read, what counts, and that reading stays cheap whatever is sent."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from types import SimpleNamespace

import pytest

from llm_otel.models.entry import ModelCapability
from llm_otel.routing import kinds, signals
from llm_otel.routing.complexity import Rating, classify
from llm_otel.routing.evidence import Signal
from llm_otel.routing.prompt import TASK_LENGTH, WINDOW, Prompt

MODERATE = ModelCapability.MODERATE
VALUES = [value for module in (signals, kinds) for value in vars(module).values()]
GROUPS = [value if isinstance(value, tuple) else (value,) for value in VALUES]
# Some stand by themselves and in a group as well.
SIGNALS = list({id(each): each for group in GROUPS for each in group if isinstance(each, Signal)}.values())
PATTERNS = [
    *((signal.shows.name, signal.pattern) for signal in SIGNALS),
    *((str(number), value) for number, value in enumerate(VALUES) if isinstance(value, re.Pattern)),
]
SHAPES = {"quantity_puzzle", "situation", "told_situation"}
CIRCUMSTANCES = SHAPES | {
    "small_talk",
    "long_message",
    "long_conversation",
    "many_tools",
    "images",
    "structured_output",
}


def user(text):
    """Return a conversation of one message."""
    return [{"role": "user", "content": text}]


def rate_text(text, **kwargs):
    """Rate a conversation of one message."""
    return classify(user(text), **kwargs)


def rate_with(system, text):
    """Rate a message under a system prompt."""
    return classify([{"role": "system", "content": system}, *user(text)])


# --- What is found ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "capability", "level"),
    [
        ("Translate into French: The chain is dry.", "simple", "simple"),
        ("Classify this ticket as billing or delivery: my parcel is lost", "simple", "simple"),
        ("What is the capital of Suriname?", "simple", "simple"),
        ("Hello!", "simple", "simple"),
        ("Write a friendly reply to a customer whose parcel is late.", "moderate", "moderate"),
        ("What are the advantages of a belt drive?", "moderate", "moderate"),
        ("Prove that the square root of 2 is irrational.", "complex", "complex"),
        ("Weigh the risks of both strategies and recommend one.", "complex", "complex"),
        ("How do I sort a list in Python?", "coding", "simple"),
        ("Write a SQL query that returns the ten largest orders.", "coding", "moderate"),
        ("Implement a thread-safe cache in Java that survives race conditions.", "coding", "complex"),
        ("Give me a market overview of heat pumps, with sources.", "research", "moderate"),
        ("Do a systematic literature review on sleep, with the risk of bias.", "research", "complex"),
    ],
)
def test_a_prompt_of_each_kind(text, capability, level):
    """The capability is the kind of work where there is one, else the level."""
    rating = rate_text(text)

    assert (capability, level) == (rating.capability, rating.level)


@pytest.mark.parametrize(
    "text",
    [
        "The museum has a function room, and its code of conduct is on page 3.",
        "My go-to breakfast is toast. Could you suggest others?",
        "We class this as a gift; where should it stand in the books?",
    ],
)
def test_words_of_code_in_prose_are_no_code(text):
    """One word that code has too decides nothing."""
    assert MODERATE == rate_text(text).capability


@pytest.mark.parametrize(
    "text",
    [
        "```\nx = 1\n```\nWhat is wrong with `x = 1` here? It is in main.py.",
        'Traceback (most recent call last):\n  File "a.py", line 1',
        "def area(r):\n    return 3 * r * r",
        "SELECT name FROM users WHERE id = 7",
    ],
)
def test_code_itself_is_coding(text):
    """Without a word about what is asked."""
    assert ModelCapability.CODING == rate_text(text).capability


# --- Simple needs evidence --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "messages",
    [
        [],
        None,
        user(""),
        user("Bicycles."),
        user("The parcel came on Tuesday."),
        user("Mein Akku lädt nicht mehr."),
        user("请帮我"),
        user("返品できますか"),
        user("привет"),
        [{"role": "system", "content": "You help the customers of a bicycle shop."}, *user("Gears.")],
        [{"role": "assistant", "content": "Translate this: hello"}],
    ],
)
def test_what_shows_nothing_is_moderate(messages):
    """Shortness alone is no evidence of an easy task, and few words are none in a script that does not part them."""
    assert Rating(capability=MODERATE, level=MODERATE, score=0.35) == classify(messages)


@pytest.mark.parametrize(
    "text",
    [
        "Answer yes or no: is it possible to tile the board? Show your reasoning.",
        "What is the best alternative to our current supplier?",
        "Translate this sentence and explain why the subjunctive is used.",
        "Fix the spelling in my text:\n\nTehre it is.\n\nThen assess the risks of publishing it.",
        "Who is right, and why?",
        "I have three apples. She takes two. How many are left?",
        "If a bat and a ball cost 1.10 and the bat costs 1 more, how much is the ball?",
    ],
)
def test_what_speaks_against_it_forbids_simple(text):
    """Evidence of an easy task counts where there is none of another."""
    assert ModelCapability.SIMPLE != rate_text(text).level


def test_pleasantries_do_not_make_a_look_up_longer():
    """What asks for nothing is not read."""
    padding = "Good morning! I hope that you are well. " * 5
    assert len(padding) > 160

    assert ModelCapability.SIMPLE == rate_text(padding + "What is the plural of index?").capability


def test_a_long_text_is_translated_like_a_short_one():
    """The text is material: neither its length nor what it says is asked for."""
    page = "Why did the founder prove his theorem? Historians weigh the evidence for two hypotheses. " * 60

    rating = rate_text(f"Translate this page into German:\n\n{page}")

    assert ("simple", "simple") == (rating.capability, rating.level)
    assert {"translate", "long_message"} == {*rating.signals} - {"many_numbers"}


@pytest.mark.parametrize("level", ["simple", "complex"])
def test_what_is_asked_behind_the_material_is_read(level):
    """A last paragraph of its own may hold the real question."""
    afterword = "\n\nThen prove that the argument is valid." if level == "complex" else ""

    assert level == rate_text(f"Translate this:\n\nDie Kette ist trocken.{afterword}").level


def test_of_a_long_message_the_ends_are_what_is_asked():
    """Somebody else's words between them are not read for what is hard."""
    material = "\n\n".join(["They weigh the risks, assess the trade-offs and prove it."] * 60)

    assert MODERATE == rate_text(f"Summarise this.\n\n{material}\n\nUse three sentences.").level


# --- What is read -----------------------------------------------------------------------------------------------------


def test_the_last_user_message_is_read():
    """What was asked before is answered already."""
    earlier = [*user("Prove Fermat's little theorem."), {"role": "assistant", "content": "Root cause: prove it."}]

    assert "simple" == classify([*earlier, *user("Thanks!")]).level


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_short_system_prompt_may_be_the_task(role):
    """Services put the order there, and what it is done to in the user's message."""
    task = {"role": role, "content": "You label support tickets. Reply with exactly one of: refund, delivery, other."}

    assert "simple" == classify([task, *user("The bell is missing.")]).capability


def test_a_system_prompt_that_asks_for_code_makes_it_coding():
    """The user's message alone would not show it."""
    assert "coding" == rate_with("Turn the question into one PostgreSQL query.", "revenue per month").capability


def test_a_long_system_prompt_is_a_handbook_and_not_read():
    """Its words are about everything that may ever be asked."""
    handbook = "Classify tickets. Weigh the risks, prove it, review the code of the API in Python. "
    handbook *= TASK_LENGTH // len(handbook) + 1

    assert rate_text("The bell is missing.") == rate_with(handbook, "The bell is missing.")


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "Prove that it"}, {"type": "text", "text": "is irrational."}],
        ["Prove that it is irrational."],
        (SimpleNamespace(type="text", text="Prove that it is irrational."),),
        [{"type": "image_url", "image_url": {"url": "x"}}, {"text": "Prove that it is irrational."}, None, 7],
    ],
)
def test_parts_are_read(content):
    """Texts of all parts, in order, whatever stands between them."""
    assert "complex" == classify([{"role": "user", "content": content}]).capability


def test_messages_may_be_objects():
    """As LiteLLM's and OpenAI's own are."""
    assert "complex" == classify([SimpleNamespace(role="user", content="Prove that it is irrational.")]).capability


def test_an_object_that_raises_says_nothing():
    """A rating never fails a call."""

    class Broken:
        @property
        def role(self):
            raise RuntimeError("no role")

    assert MODERATE == classify([Broken(), object(), 7]).capability


@pytest.mark.parametrize(
    ("circumstances", "signal"),
    [
        ({"tools_count": 5}, "many_tools"),
        ({"has_images": True}, "images"),
        ({"wants_json": True}, "structured_output"),
    ],
)
def test_circumstances_count_a_little(circumstances, signal):
    """They raise the score, and make nothing complex by themselves."""
    plain, around = rate_text("Bicycles."), rate_text("Bicycles.", **circumstances)

    assert (plain.score < around.score, MODERATE, (signal,)) == (True, around.level, around.signals)


def test_a_long_conversation_counts_a_little():
    """What was said may matter by now."""
    assert ("long_conversation",) == classify(user("Bicycles.") * 10).signals


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("请写一个方案\uff1a\n- 预算\n- 时间\n- 人员", "many_items"),
        ("من؟ متى؟ أين؟", "many_questions"),
        ("誰ですか\uff1fいつですか\uff1fどこですか\uff1f", "many_questions"),
        ("Угол 30, 60, 90, стороны 3, 4, 5", "many_numbers"),
        ("√2 + √3", "mathematics"),
    ],
)
def test_what_is_the_same_in_every_language_is_seen(text, signal):
    """Lists, question marks, numbers and formulas need no words."""
    rating = rate_text(text)

    assert (signal,) == rating.signals
    assert rating.score > rate_text("请").score


def test_signals_are_constants_and_never_the_text():
    """They go into reason codes, on spans: no word of a prompt may."""
    known = {signal.shows.name for signal in SIGNALS} | CIRCUMSTANCES

    seen = {name for text in ("Prove it", "x = 1 in a.py: `secret`") for name in rate_text(text).signals}

    assert seen
    assert seen <= known
    assert all(re.fullmatch(r"[a-z_]+", name) for name in known)


def test_names_of_signals_are_unique():
    """A reason code names one thing."""
    names = [signal.shows.name for signal in SIGNALS]

    assert len(names) == len(set(names))


def test_a_rating_is_a_value():
    """Frozen, slotted, equal by its fields."""
    rating = rate_text("Bicycles.")

    with pytest.raises(FrozenInstanceError):
        rating.score = 1.0
    assert not hasattr(rating, "__dict__")
    assert rating == rate_text("Bicycles.")


# --- What is asked, and what is material ------------------------------------------------------------------------------


def turns(*texts):
    """Return a conversation of user and assistant by turns, the user first."""
    return [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)]


def test_under_an_order_about_texts_the_message_is_material():
    """Whatever it says: it is filtered, not obeyed."""
    filtered = rate_with("You are a spam filter. Answer SPAM or OK.", "Prove the theorem and weigh all the risks!")

    assert "simple" == filtered.level


def test_what_a_system_prompt_rules_out_is_not_asked():
    """Nor does its style count as difficulty."""
    system = "You explain laboratory reports, step by step. Do not weigh risks, never recommend a strategy."

    assert MODERATE == rate_with(system, "What is ferritin, and is mine low?").level


@pytest.mark.parametrize(
    ("before", "text", "capability"),
    [
        ("Prove that the square root of 2 is irrational.", "does it hold for 3 too", "complex"),
        ("My FastAPI endpoint returns 500.", "still the same", "coding"),
        ("Find published studies on sleep.", "and for toddlers?", "research"),
        ("Write a toast for a wedding.", "shorter please", "moderate"),
        ("Prove that the square root of 2 is irrational.", "great, thanks!", "simple"),
    ],
)
def test_a_short_message_goes_on_with_the_one_before(before, text, capability):
    """It is of the class of what it follows, but for thanks."""
    assert capability == classify(turns(before, "Certainly.", text)).capability


def test_a_long_message_speaks_for_itself():
    """It says what it needs."""
    text = "The parcel came on Tuesday. " * 10

    assert MODERATE == classify(turns("Prove that it is irrational.", "Done.", text)).level


def test_quantities_that_are_related_make_a_puzzle():
    """In words of every day."""
    text = "Six friends sit in a row. Each has twice as many coins as the next. Who has 32 if all have at least one?"

    assert ("complex", True) == ((rating := rate_text(text)).level, "quantity_puzzle" in rating.signals)


def test_a_situation_told_before_a_question_of_what_to_do_is_weighed():
    """The same question alone is not."""
    told = "My lease ends in May, the new flat is dearer, my son changes school, and I may lose my job. "
    question = "Should I move?"

    assert (MODERATE, "complex") == (rate_text(question).level, rate_text(told + question).level)


def test_dated_sources_that_are_pasted_count_for_research():
    """With a word of what is to be done with them."""
    passages = "Chronicle (1871): begun in May.\nRegister of 1741: a fall.\nReport 2003: felled in winter."

    rating = rate_text(f"When was it built? Our sources do not agree.\n\n{passages}")

    assert ("research", True) == (rating.capability, "pasted_sources" in rating.signals)


def test_code_is_no_text_to_be_translated():
    """A model that is good at code is wanted, and not the weakest."""
    rating = rate_text("Translate into English: SELECT name FROM users WHERE id = 7")

    assert ("coding", MODERATE) == (rating.capability, rating.level)


# --- The work is bounded ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 10, WINDOW, WINDOW + 1, 10 * WINDOW, 2_000_000])
def test_a_bounded_part_of_the_message_is_read(length):
    """At most 6,000 characters go to the patterns, in lower case; İ becomes two of them."""
    for letter in ("x", "İ", "\n"):
        prompt = Prompt.of(user("a" + letter * length + "b"))
        assert len(prompt.text) <= WINDOW
        assert max(map(len, (prompt.ask, prompt.instruction, prompt.order, prompt.afterword))) <= WINDOW
        assert length + 2 == prompt.length


def test_both_ends_of_a_long_message_are_kept():
    """That is where people put what they ask."""
    text = Prompt.of(user("First. " + "x " * WINDOW + " Last.")).text

    assert (True, True) == (text.startswith("first."), text.endswith("last."))


def unbounded_repeats(pattern):
    """Return how many repeats have no bound, and the most ways in which bounded ones nest."""
    # What the compiler itself reads a pattern with: private, and the only grammar that is surely the right one.
    from re import _constants, _parser

    repeats = {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}

    def walk(parsed, depth):
        without_bound, deepest = 0, depth
        for operation, argument in parsed:
            inner = [argument] if operation in repeats else []
            for _, most, body in inner:
                more, deeper = walk(body, depth + (most > 1))
                without_bound += more + (most == _constants.MAXREPEAT)
                deepest = max(deepest, deeper)
            if not inner:
                for body in _bodies(argument):
                    more, deeper = walk(body, depth)
                    without_bound, deepest = without_bound + more, max(deepest, deeper)
        return without_bound, deepest

    def _bodies(argument):
        if isinstance(argument, _parser.SubPattern):
            return [argument]
        if isinstance(argument, (tuple, list)):
            return [body for each in argument for body in _bodies(each)]
        return []

    return walk(_parser.parse(pattern.pattern, pattern.flags), 0)


@pytest.mark.parametrize(("name", "pattern"), PATTERNS, ids=[name for name, _ in PATTERNS])
def test_no_pattern_repeats_without_a_bound(name, pattern):
    """So each search costs at most a constant for each character: no input makes it backtrack for ever."""
    assert (0, True) == ((found := unbounded_repeats(pattern))[0], found[1] <= 1)


@pytest.mark.parametrize(
    ("source", "expected"),
    [("a{0,9}b", (0, 1)), ("a+", (1, 1)), ("(?:x|[ab]*)c", (1, 1)), ("(?:a{0,3}b){2}", (0, 2)), ("(?=a*)b?", (1, 1))],
)
def test_what_counts_as_unbounded(source, expected):
    """The check finds repeats wherever they stand, and how deep they nest."""
    assert expected == unbounded_repeats(re.compile(source))


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        " ",
        "\n",
        "\n\n",
        "`",
        "(",
        "write ",
        "select ",
        "1.1",
        "?",
        ": ",
        "x^",
        "error",
        "at a",
        "- ",
        "is ",
        "<",
        "İ",
    ],
)
def test_text_made_to_be_slow_is_read_all_the_same(piece):
    """Repetition of what patterns begin with; the time-out of the test is the judge."""
    for text in (piece * 200_000, "translate " + piece * 6_000, piece * 3_000 + "!"):
        assert rate_text(text).level in ModelCapability


def test_a_million_messages_are_passed_once():
    """Whatever their roles: the time-out of the test is the judge."""
    assert MODERATE == classify([{"role": "tool", "content": "x"}] * 1_000_000).level
