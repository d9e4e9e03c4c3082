"""What people ask the services of the scenario: those of a shop for refurbished bicycles.

Texts are put together from pieces by a seeded generator. Each holds a number of its own, so that no two are
alike, but for what is asked at the help page: that is asked again and again.
"""

from __future__ import annotations

import random
import re
from functools import cache
from importlib.resources import files
from math import isqrt

BRIEFS = 14
"""In one order of `briefs`."""
MORNING_NOTICES = 10
LATER_NOTICES = 3
MORNING = "this morning"
"""Stands in the notices of the morning, and in no other text."""

_PARTS = (
    "rear derailleur",
    "bottom bracket",
    "hub motor",
    "suspension fork",
    "brake caliper",
    "battery mount",
)
_BIKES = ("Heron 3", "Kestrel City", "Plover Cargo", "Swift Gravel", "Wren Folding", "Osprey Trail")
_NAMES = ("Amara", "Björn", "Chiara", "Dmitri", "Elif", "Fatou", "Goran", "Hana", "Ilse", "Joaquín")
_TOWNS = ("Aarhus", "Bologna", "Gdańsk", "Ghent", "Graz", "Leipzig", "Lyon", "Porto", "Turku", "Utrecht")

_QUESTIONS = (
    "Which {part} fits a {bike} with a nine-speed cassette?",
    "How far does a {bike} go on one charge in winter, with a child seat and some hills?",
    "Is the {part} of the {bike} covered by the warranty after fourteen months?",
    "Can I fit a {part} from a {bike} to an older frame, and which tools do I need?",
    "What is the difference between the {bike} and last year's model for someone of 1.62 m?",
    "How do I adjust the {part} when it rubs only under load?",
)
_TROUBLES = (
    "The {part} makes a grinding noise uphill, and the display says E21.",
    "The parcel with my {part} has not moved for five days.",
    "My {bike} arrived with a scratched frame; the box was open at one side.",
    "I was charged twice for the same {part}, and the second payment is still pending.",
    "The battery of my {bike} shows four bars and then switches off on the next hill.",
    "I would like to return the {part}; I have ridden about twelve kilometres.",
)
HELP_QUESTIONS = (
    "How long does delivery take, and what does it cost?",
    "Can I return a bicycle that I have ridden?",
    "What does the warranty cover, and for how long?",
    "Do you take my old bicycle in part exchange?",
)
_PRAISE = (
    "Thank you, the {bike} is lovely!",
    "Arrived on time and well packed. Thanks a lot!",
    "Great bike, great people. Many thanks!",
)
_DOUBTS = (
    "Compare a repair of the {part} with a refund step by step, weigh the trade-offs, and explain what you advise.",
    "Compare the {bike} with last year's model step by step, and explain what was traded for the new {part}.",
)
_CONTENT = 0.7
"""Share of the reviews that only give thanks."""
_REPLIES = (
    "Thanks for writing. Could you send two photographs and the number on the frame?",
    "I did that last week already, and nobody has answered since.",
    "The workshop has looked at it and would like to see the {part} itself.",
    "Fine, but I need the {bike} to get to work on Monday. Can I have one on loan?",
    "A collection is booked for Thursday between eight and twelve.",
    "The agent never came. I stayed at home for it.",
)
_FINDINGS = (
    "We measured {n} riders over two seasons and find that range drops by 23 % below 4 °C.",
    "A survey of {n} workshops shows that bearings are replaced twice as often as the maker advises.",
    "In a field trial with {n} cargo bikes, regenerative braking returned 6.1 % of the energy.",
    "Over {n} charging cycles, cells kept at 80 % lost half as much capacity as cells kept full.",
    "Helmet sensors on {n} commuters detect rough surfaces with a precision of 0.87.",
)
_METHODS = (
    "The sample is not random, and riders reported mileage themselves.",
    "Temperatures were logged every minute and matched to the route.",
    "Two laboratories repeated the test; a third could not.",
    "The authors publish data and code, and name two funders from the industry.",
    "Effects are adjusted for slope, wind and load, not for the age of the rider.",
)
_CHANGES = (
    ("-    return sum(p.price for p in cart)", "+    return sum(p.price * p.count for p in cart)"),
    ("-    for i in range(len(orders)):", "+    for order in orders:"),
    ("-    if customer.country == 'CH':", "+    if customer.country in CUSTOMS_COUNTRIES:"),
    ("-        except Exception: pass", "+        except CarrierTimeout: return None"),
    (
        "-    rows = db.execute(f'select * from parts where sku = {sku}')",
        "+    rows = db.execute(BY_SKU, (sku,))",
    ),
    ("-    time.sleep(5)", "+    clock.sleep(backoff(attempt))"),
)

_RIDERS = ("commuters", "couriers", "families", "tourists", "students", "gardeners", "nurses on night duty")
_SESSION = re.compile(r"\(session (\d+)\)")


@cache
def handbook() -> str:
    """Return the instructions of the support assistant: long enough for a provider to cache them."""
    return (files(__package__) / "support_handbook.md").read_text(encoding="utf-8")


def question(rng: random.Random, number: int) -> str:
    """Ask what a shopper types into the search box."""
    return f"{_filled(rng, rng.choice(_QUESTIONS))} (session {number})"


def shopper(text: str) -> str:
    """Return who asks a question: some ask often, others once."""
    session = _SESSION.search(text)
    assert session is not None, "every question names its session"
    return _NAMES[isqrt(int(session[1]) * 7919 % len(_NAMES) ** 2)].lower()


def passages(rng: random.Random, number: int) -> str:
    """Ask a question together with what the search index found for it."""
    found = "\n".join(f"[{n}] {_filled(rng, text)}" for n, text in enumerate(rng.sample(_REPLIES, 3), 1))
    return f"{question(rng, number)}\n\n{found}"


def ticket(rng: random.Random, number: int) -> str:
    """Write a support ticket."""
    troubles = " ".join(_filled(rng, text) for text in rng.sample(_TROUBLES, rng.randint(1, 2)))
    return f"Ticket {number} from {rng.choice(_NAMES)}, {rng.choice(_TOWNS)}: {troubles}"


def thread(rng: random.Random, number: int) -> str:
    """Write a ticket with the messages that followed it."""
    turns = "\n".join(f"> {_filled(rng, text)}" for text in rng.sample(_REPLIES, rng.randint(3, 6)))
    return f"{ticket(rng, number)}\n{turns}"


def lead(rng: random.Random, number: int) -> str:
    """Describe a business customer who asked for an offer."""
    return (
        f"Lead {number}: a hotel in {rng.choice(_TOWNS)} with {rng.randint(8, 90)} rooms asks for "
        f"{rng.randint(2, 25)} bicycles of the type {rng.choice(_BIKES)}, to rent to guests from May."
    )


def campaign(rng: random.Random, number: int) -> str:
    """Order a newsletter."""
    return (
        f"Campaign {number}: a mail to customers in {rng.choice(_TOWNS)} who bought a {rng.choice(_BIKES)} "
        f"two years ago. Offer a check of the {rng.choice(_PARTS)} before winter. Three subjects, one text."
    )


def paper(rng: random.Random, number: int) -> str:
    """Write the abstract of a study."""
    finding = rng.choice(_FINDINGS).format(n=rng.randint(40, 900))
    return f"Study {number}. {finding} {' '.join(rng.sample(_METHODS, rng.randint(2, 3)))}"


def review(rng: random.Random, number: int) -> str:
    """Pose a question that takes several studies: a topic, then the abstracts, a blank line between."""
    topic = f"Review {number}: what shortens the life of a bicycle battery, and by how much?"
    return "\n\n".join([topic, *(paper(rng, number * 10 + index) for index in range(1, 4))])


def patch(rng: random.Random, number: int) -> str:
    """Write a change to review."""
    hunks = "\n".join(f"{old}\n{new}" for old, new in rng.sample(_CHANGES, rng.randint(2, 4)))
    return f"Change {number}\n--- a/shop/orders.py\n+++ b/shop/orders.py\n@@ -{number},4 +{number},4 @@\n{hunks}"


def briefs(rng: random.Random, number: int) -> str:
    """Describe bicycles that need a name, a blank line between."""
    return "\n\n".join(
        f"Bicycle {number}-{index}: like the {rng.choice(_BIKES)}, with a new {rng.choice(_PARTS)}, made for "
        f"{rng.choice(_RIDERS)} in {rng.choice(_TOWNS)}."
        for index in range(1, BRIEFS + 1)
    )


def help_question(rng: random.Random, _number: int) -> str:
    """Ask what everybody asks."""
    return rng.choice(HELP_QUESTIONS)


def opinion(rng: random.Random, number: int) -> str:
    """Review a bicycle: most people are content, some want to know."""
    text = rng.choice(_PRAISE if rng.random() < _CONTENT else _DOUBTS)
    return f"Opinion {number} by {rng.choice(_NAMES)}: {_filled(rng, text)}"


def notices(rng: random.Random, number: int) -> str:
    """Write what shops are told, a line each: those of the morning, a blank line, those of later."""
    times = [MORNING] * MORNING_NOTICES + ["this evening"] * LATER_NOTICES
    lines = [
        f"Notice {number}-{index}: the {rng.choice(_PARTS)} for the {rng.choice(_BIKES)} comes to "
        f"{rng.choice(_TOWNS)} {when}."
        for index, when in enumerate(times, 1)
    ]
    return "\n".join((*lines[:MORNING_NOTICES], "", *lines[MORNING_NOTICES:]))


def _filled(rng: random.Random, text: str) -> str:
    return text.format(part=rng.choice(_PARTS), bike=rng.choice(_BIKES))
