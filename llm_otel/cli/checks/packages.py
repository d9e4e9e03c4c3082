"""Whether what is installed is what this library is tested with: LiteLLM's release, and how old the prices are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from importlib import metadata

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from llm_otel.cli.checks.finding import Finding, State
from llm_otel.versions import OURS, version_of

COMPROMISED = ("1.82.7", "1.82.8")
"""Releases of LiteLLM that steal credentials: OSV MAL-2026-2144, 2026-03-24. Both are gone from the index."""
STALE_PRICES_DAYS = 60
"""Providers change a price every few weeks; after two months a bill and these figures part."""
_LITELLM = "litellm"
_ABOUT_PRICES = "prices"


def look_at_litellm(installed: str | None = None) -> Finding:
    """Compare the installed release with those that the tests ran on."""
    version = installed or version_of(_LITELLM)
    if version in COMPROMISED:
        return Finding(
            State.FAILED,
            _LITELLM,
            f"{version} is a compromised release that steals credentials (OSV MAL-2026-2144)",
            "remove it and litellm_init.pth from site-packages, rotate every secret this machine has seen, then "
            f"pip install --upgrade {OURS}",
        )
    wanted = _range_of_litellm()
    try:
        is_tested = wanted is None or wanted.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return Finding(State.WARNING, _LITELLM, f"its version cannot be read ({version})", "reinstall litellm")
    if is_tested:
        return Finding(State.OK, _LITELLM, f"{version}, with {OURS} {version_of(OURS)} on Python {_python()}")
    return Finding(
        State.FAILED,
        _LITELLM,
        f"{version} is not among the releases that {OURS} works with ({wanted.specifier if wanted else 'any'})",
        f"pip install --upgrade {OURS} 'litellm{wanted.specifier if wanted else ''}'",
    )


def look_at_prices(age_s: float | None) -> Finding:
    """Judge the age of the newest price, in seconds; `None` where no source says how old it is."""
    if age_s is None:
        return Finding(State.WARNING, _ABOUT_PRICES, "no source says how old its prices are", _UPGRADE_PRICES)
    days = int(age_s // 86_400)
    said = (
        f"the newest was checked {days} day{'' if days == 1 else 's'} ago (genai-prices {version_of('genai-prices')})"
    )
    if days > STALE_PRICES_DAYS:
        return Finding(State.WARNING, _ABOUT_PRICES, said, _UPGRADE_PRICES)
    return Finding(State.OK, _ABOUT_PRICES, said)


_UPGRADE_PRICES = f"pip install --upgrade {OURS} genai-prices; register_model() sets what you pay"


def look_at_packages(now: datetime) -> Iterator[Finding]:
    """Look at LiteLLM and at the prices, without importing LiteLLM."""
    from llm_otel.pricing.book import PriceBook

    yield look_at_litellm()
    yield look_at_prices(PriceBook().price_age(now))


def _range_of_litellm() -> Requirement | None:
    """Return what our own metadata asks for; `None` where the files came without it."""
    try:
        required = metadata.requires(OURS) or ()
    except metadata.PackageNotFoundError:
        return None
    parsed = (Requirement(each) for each in required)
    return next((each for each in parsed if each.name == _LITELLM), None)


def _python() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])
