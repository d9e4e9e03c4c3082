"""The arguments of one model, for another: what goes along, and what the other takes."""

from __future__ import annotations

import pytest

from llm_otel.models.resolve import resolve_model
from llm_otel.providers.moving import for_target, judged_by_litellm, moved, untaken

OPENAI, OTHER_OPENAI, ANTHROPIC = map(resolve_model, ("gpt-4o", "gpt-5-nano", "claude-3-haiku-20240307"))
ARGUMENTS = {"model": OPENAI.litellm_model, "messages": [], "temperature": 0.5}
ITS_OWN = {"api_key": "sk-of-one", "api_base": "http://127.0.0.1:1/v1", "service_tier": "auto", "azure_ad_token": "t"}


def test_what_belongs_to_a_provider_stays_with_it():
    """Another sees neither key nor address."""
    assert ARGUMENTS | {"model": ANTHROPIC.litellm_model} == moved(OPENAI, ARGUMENTS | ITS_OWN, ANTHROPIC)


@pytest.mark.parametrize(
    "name", ["client", "credentials", "hf_token", "oci_key", "client_secret", "litellm_credential_name"]
)
def test_keys_of_any_name_stay_with_their_provider(name):
    """LiteLLM writes what it does not know into the request; a client of an SDK's has a key and an address."""
    assert name not in moved(OPENAI, ARGUMENTS | {name: "of-one"}, ANTHROPIC)
    assert name in moved(OPENAI, ARGUMENTS | {name: "of-one"}, OTHER_OPENAI)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "prompt_cache_key", "top_k", "user"])
def test_what_is_no_key_goes_along(name):
    """A name that is like that of a key is none."""
    assert 1 == moved(OPENAI, ARGUMENTS | {name: 1}, ANTHROPIC)[name]


def test_another_model_of_the_provider_gets_it_all():
    """It is the same server."""
    assert ARGUMENTS | ITS_OWN | {"model": OTHER_OPENAI.litellm_model} == moved(
        OPENAI, ARGUMENTS | ITS_OWN, OTHER_OPENAI
    )


@pytest.mark.parametrize(
    ("more", "drops"), [({"seed": 1}, True), ({"stop": ["END"]}, False), ({"drop_params": False, "seed": 1}, False)]
)
def test_hints_may_be_dropped(more, drops):
    """Not where the model does not take what the caller relies on, and not where the caller says no."""
    assert drops == for_target(OPENAI, ARGUMENTS | more, OTHER_OPENAI)["drop_params"]


def test_only_litellm_knows_of_some_parameters():
    """What the registry knows is not asked twice, and hints are no reason to ask."""
    asked = {"stop": ["END"], "n": 2, "tools": [], "max_tokens": 5, "seed": 1}

    assert frozenset({"stop", "n"}) == judged_by_litellm(asked)
    assert ("stop",) == untaken(OTHER_OPENAI, frozenset({"stop", "n"}))
    assert () == untaken(OPENAI, frozenset({"stop", "n"}))
