"""Amounts in what a program reads: plain digits, exact, as text."""

from __future__ import annotations

import json

import pytest

from llm_otel.models.info import ModelInfo
from llm_otel.money import usd
from llm_otel.routing.decision import Candidate, explicit
from llm_otel.scope import Scope
from llm_otel.types import LLMConfig, LLMResponse, UsageStats

AMOUNTS = pytest.mark.parametrize(
    ("nano", "text"),
    [(0, "0.00"), (250, "0.000000250"), (102_950, "0.000102950"), (50_000_000_000, "50.000000000")],
)


@AMOUNTS
def test_a_response_has_plain_amounts(nano, text):
    """`2.50E-7` is no number that a person reads, nor that every program does."""
    decision = explicit("m", "p").model_copy(
        update={
            "candidates": (Candidate(model="m", provider="p", estimated_cost_usd=usd(nano)),),
            "estimated_saved_usd": usd(nano),
        }
    )
    usage = UsageStats(input_cost_usd=usd(nano), output_cost_usd=usd(nano), total_cost_usd=usd(nano))
    response = LLMResponse(
        content="", provider="p", model="m", usage=usage, latency_ms=1.0, decision=decision, saved_usd=usd(nano)
    )

    told = json.loads(response.model_dump_json())

    assert {"input_cost_usd": text, "output_cost_usd": text, "total_cost_usd": text} == {
        name: value for name, value in told["usage"].items() if name.endswith("_usd")
    }
    assert (text, text, text) == (
        told["saved_usd"],
        told["decision"]["estimated_saved_usd"],
        told["decision"]["candidates"][0]["estimated_cost_usd"],
    )


def test_what_is_not_known_stays_unknown():
    """It is not nothing."""
    assert (None, None) == (
        json.loads(UsageStats().model_dump_json())["total_cost_usd"],
        json.loads(LLMConfig(model="m").model_dump_json())["max_cost_usd"],
    )


def test_a_configuration_and_a_model_have_plain_amounts():
    """Both are written to files."""
    config = LLMConfig(model="m", max_cost_usd="0.00000025")
    info = ModelInfo(name="m", provider="openai", input_cost_per_1k="0.00000025", output_cost_per_1k=0)

    assert "0.000000250" == json.loads(config.model_dump_json())["max_cost_usd"]
    assert ("0.00000025", "0") == (
        info.model_dump(mode="json")["input_cost_per_1k"],
        info.model_dump(mode="json")["output_cost_per_1k"],
    )


def test_python_gets_decimals():
    """Only JSON has text."""
    assert usd(250) == UsageStats(total_cost_usd=usd(250)).model_dump()["total_cost_usd"]


def test_a_scope_shows_what_it_cost_in_plain_digits():
    """As it is seen in a debugger or a log line."""
    assert "<Scope 'digest' calls=0 tokens=0 cost_usd=0.00>" == repr(Scope("digest"))
