"""What the teams do with language models, written as a service would write it.

Tags say whose call it is and what for; scopes nest; calls go through `LLMRouter` or plain LiteLLM, whole or
streamed, sync or async. Nothing here measures, counts or prices: that is what is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_otel.demo import prompts
from llm_otel.demo.target import MAX_OUTPUT_TOKENS, Target
from llm_otel.errors import BudgetExceededError
from llm_otel.models.providers import LLMProvider
from llm_otel.providers.loading import litellm
from llm_otel.traced import traced_llm
from llm_otel.types import LLMConfig

if TYPE_CHECKING:
    from llm_otel.router import LLMRouter

UNLISTED_MODEL = "larkspur-leads-7b"
"""A model of the shop's own, behind an address that speaks OpenAI's format: no price list knows it."""

TRANSLATOR = "gpt-4.1-mini"
"""The model that fails for a while; nobody else uses it."""
HELP_KEPT_S = 600.0
"""How long an answer of the help page is good, in seconds."""

_SPARE_TRANSLATOR = "gemini/gemini-2.5-flash-lite"
_NOTICES_AT_ONCE = 5
_PREVIEW_CHUNKS = 4
_LABEL_TOKENS = 6
_NAMES_TOKENS = 120


@dataclass(frozen=True, slots=True)
class Desk:
    """What the services work with.

    Attributes:
        only: A real provider's model that stands in for all others.
        refused: Is told what a budget refused.
        lull_s: Seconds between the work of the morning and what comes later.
    """

    router: LLMRouter
    only: Target | None
    refused: Callable[[BudgetExceededError], None]
    lull_s: float

    def config(self, model: str, **parameters: Any) -> LLMConfig:
        """Return the configuration of a call, capped where it costs real money."""
        if self.only is None:
            return LLMConfig(model=model, **parameters)
        return LLMConfig(
            model=self.only.model,
            provider=self.only.provider,
            max_tokens=MAX_OUTPUT_TOKENS,
            cache_ttl_s=parameters.get("cache_ttl_s"),
        )

    def plain(self, model: str, **parameters: Any) -> dict[str, Any]:
        """Return the arguments of a plain LiteLLM call."""
        if self.only is None:
            return {"model": model, **parameters}
        return {"model": self.only.litellm_model, "max_tokens": MAX_OUTPUT_TOKENS, **parameters}


def _ask(instruction: str, text: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": instruction}, {"role": "user", "content": text}]


# --- search -----------------------------------------------------------------------------------------------


@traced_llm(tags={"team": "search", "feature": "answer"})
def answer_question(desk: Desk, text: str) -> str:
    """Answer from the passages that were found, while the shopper watches."""
    query = rewrite_query(desk, text.partition("\n\n")[0])
    prompt = _ask("Answer from the passages, and cite them by number.", f"{text}\n\nSearched for: {query}")
    with desk.router.stream(prompt, desk.config("gpt-4o-mini"), tags=_asked_by(text)) as stream:
        return "".join(chunk.content for chunk in stream)


@traced_llm
def rewrite_query(desk: Desk, question: str) -> str:
    """Make a search query of a question."""
    prompt = _ask("Rewrite the question as a search query of at most twelve words.", question)
    config = desk.config("gpt-4.1-nano", max_tokens=24)
    return desk.router.complete(prompt, config, tags=_asked_by(question)).content


@traced_llm(tags={"team": "search", "feature": "answer"})
def answer_follow_up(desk: Desk, text: str) -> str:
    """Answer a second question of the same shopper."""
    prompt = _ask("Answer in two sentences.", text)
    with desk.router.stream(prompt, desk.config("gpt-4o-mini"), tags=_asked_by(text)) as stream:
        return "".join(chunk.content for chunk in stream)


@traced_llm(tags={"team": "search", "feature": "answer"})
def preview_answer(desk: Desk, text: str) -> str:
    """Answer a shopper who closes the page after the first words."""
    words: list[str] = []
    prompt = _ask("Answer in detail.", text)
    with desk.router.stream(prompt, desk.config("gpt-4o-mini"), tags=_asked_by(text)) as stream:
        for chunk in stream:
            words += [chunk.content] if chunk.content else []
            if len(words) == _PREVIEW_CHUNKS:
                break
    return "".join(words)


@traced_llm(tags={"team": "search", "feature": "classify"})
async def classify_query(desk: Desk, text: str) -> str:
    """Tell what a query is about."""
    prompt = _ask("One word: product, part, order, warranty or other?", text)
    config = desk.config("gemini-2.5-flash-lite", max_tokens=_LABEL_TOKENS, temperature=0.0)
    return (await desk.router.acomplete(prompt, config, tags=_asked_by(text))).content


def _asked_by(text: str) -> dict[str, str]:
    return {"user": prompts.shopper(text)}


# --- support ----------------------------------------------------------------------------------------------


@traced_llm(tags={"team": "support", "feature": "classify"})
def triage_ticket(desk: Desk, text: str) -> str:
    """Choose the queue of a ticket, on the shop's own machine."""
    prompt = _ask("One word: delivery, payment, warranty, returns or urgent?", text)
    return desk.router.complete(prompt, desk.config("mistral", max_tokens=_LABEL_TOKENS)).content


@traced_llm(tags={"team": "support", "feature": "summarise"})
async def summarise_thread(desk: Desk, text: str) -> str:
    """Sum a thread up by the handbook, which the provider keeps in its prompt cache."""
    cached = {"type": "text", "text": prompts.handbook(), "cache_control": {"type": "ephemeral"}}
    prompt = _ask(prompts.handbook(), f"Sum up in three lines, then name the next step.\n{text}")
    if desk.only is None:
        prompt[0]["content"] = [cached]
    return (await desk.router.acomplete(prompt, desk.config("claude-haiku-4-5"))).content


@traced_llm(tags={"team": "support", "feature": "answer"})
def answer_at_help_page(desk: Desk, question: str) -> str:
    """Answer from the handbook. The same question gets the same answer, out of the response cache."""
    prompt = _ask(prompts.handbook(), question)
    config = desk.config("claude-haiku-4-5", cache_ttl_s=HELP_KEPT_S)
    return desk.router.complete(prompt, config).content


@traced_llm(tags={"team": "support", "feature": "draft"})
async def draft_reply(desk: Desk, text: str) -> str:
    """Draft a reply while the agent reads along."""
    prompt = _ask("Draft a reply in the tone of the house.", text)
    async with desk.router.astream(prompt, desk.config("claude-sonnet-4-5")) as stream:
        return "".join([chunk.content async for chunk in stream])


# --- growth -----------------------------------------------------------------------------------------------


@traced_llm(tags={"team": "growth", "feature": "draft"})
def write_campaign(desk: Desk, text: str) -> str:
    """Write a mail with code that knows nothing of this library: LiteLLM as it comes."""
    prompt = _ask("You write mails that people like to read.", text)
    response = litellm().completion(messages=prompt, **desk.plain("gpt-5-mini"))
    return str(response.choices[0].message.content)


async def score_lead(desk: Desk, text: str) -> str:
    """Score a lead in a block, the same way, awaited."""
    async with traced_llm("score_lead", tags={"team": "growth", "feature": "classify"}):
        prompt = _ask("Score this lead from 0 to 9. Answer with the number.", text)
        arguments = desk.plain("gpt-4.1-nano", **({} if desk.only else {"max_tokens": _LABEL_TOKENS}))
        response = await litellm().acompletion(messages=prompt, **arguments)
        return str(response.choices[0].message.content)


@traced_llm(tags={"team": "growth", "feature": "answer"})
def answer_opinion(desk: Desk, text: str) -> str:
    """Answer what a customer thinks of a bicycle, with the cheapest model that is good enough for this one."""
    prompt = _ask("Answer in the tone of the house.", text)
    # The shop's own machine would be the cheapest of all, and is busy with tickets.
    config = desk.config("auto", deny_models=("ollama",))
    return desk.router.complete(prompt, config).content


@traced_llm(tags={"team": "growth", "feature": "translate"})
async def translate_notices(desk: Desk, text: str) -> list[str]:
    """Translate the notices of the morning, some at once, and one by one those that come later."""
    morning, later = (part.splitlines() for part in text.split("\n\n"))
    done: list[str] = []
    while morning:
        batch, morning = morning[:_NOTICES_AT_ONCE], morning[_NOTICES_AT_ONCE:]
        done += await asyncio.gather(*(_translate(desk, notice) for notice in batch))
    await asyncio.sleep(desk.lull_s)
    return done + [await _translate(desk, notice) for notice in later]


async def _translate(desk: Desk, notice: str) -> str:
    prompt = _ask("Translate into French.", notice)
    config = desk.config(TRANSLATOR, max_tokens=40, fallbacks=(_SPARE_TRANSLATOR,))
    return (await desk.router.acomplete(prompt, config)).content


@traced_llm(tags={"team": "growth", "feature": "classify"})
async def score_lead_at_home(desk: Desk, text: str) -> str:
    """Score a lead with the shop's own model."""
    prompt = _ask("Score this lead from 0 to 9. Answer with the number.", text)
    config = desk.config(UNLISTED_MODEL, provider=LLMProvider.OPENAI, max_tokens=_LABEL_TOKENS)
    return (await desk.router.acomplete(prompt, config)).content


# --- research ---------------------------------------------------------------------------------------------


@traced_llm(tags={"team": "research", "feature": "summarise"})
def read_paper(desk: Desk, text: str) -> str:
    """Sum a study up."""
    prompt = _ask("Finding, method, doubts: one line each.", text)
    with desk.router.stream(prompt, desk.config("gemini-2.5-flash")) as stream:
        return "".join(chunk.content for chunk in stream)


@traced_llm(tags={"team": "research", "feature": "code-review"})
async def review_change(desk: Desk, text: str) -> str:
    """Review a change with a model that thinks first."""
    prompt = _ask("Review this change. Bugs first, style last.", text)
    return (await desk.router.acomplete(prompt, desk.config("gpt-5", reasoning_effort="low"))).content


@traced_llm(tags={"team": "research", "feature": "summarise"})
async def review_literature(desk: Desk, text: str) -> str:
    """Answer a question from several studies: plan, read them side by side, write."""
    topic, *papers = text.split("\n\n")
    plan = await desk.router.acomplete(_ask("Plan a review in three steps.", topic), desk.config("gpt-4o-mini"))
    notes = await asyncio.gather(*(weigh_paper(desk, paper) for paper in papers))
    material = "\n\n".join([topic, plan.content, *notes])
    prompt = _ask("Write the review. Say what is not known.", material)
    async with desk.router.astream(prompt, desk.config("claude-sonnet-4-5")) as stream:
        return "".join([chunk.content async for chunk in stream])


@traced_llm
async def weigh_paper(desk: Desk, text: str) -> str:
    """Judge how far a study can be trusted."""
    prompt = _ask("How strong is the evidence? Think first.", text)
    return (await desk.router.acomplete(prompt, desk.config("gemini-2.5-pro", reasoning_effort="low"))).content


# --- labs -------------------------------------------------------------------------------------------------


@traced_llm(tags={"team": "labs", "feature": "naming"})
async def name_bicycles(desk: Desk, text: str) -> list[str]:
    """Try out a prototype: it thinks of names for one bicycle after the other, as long as there is money."""
    found = []
    for brief in text.split("\n\n"):
        prompt = _ask("Think of three names for this bicycle.", brief)
        try:
            response = await desk.router.acomplete(prompt, desk.config("claude-sonnet-4-5", max_tokens=_NAMES_TOKENS))
        except BudgetExceededError as refusal:
            # This one waits for tomorrow.
            desk.refused(refusal)
        else:
            found.append(response.content)
    return found
