"""From a request and a scripted reply to a finished answer: the text, its pieces in order, and the counts.

Everything here is a pure function of its arguments.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from llm_otel.demo.simulator import prose, tokens
from llm_otel.demo.simulator.chat import Answer, ChatRequest, Choice, Finish, Step, TokenCounts, ToolCall
from llm_otel.demo.simulator.prompt_cache import CacheUse
from llm_otel.demo.simulator.script import Reply


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one answer from another that has the same request."""

    id: str
    created: int
    """Unix time in seconds."""


def compose(draft: "Draft", cache: CacheUse, *, stamp: Stamp, size: int) -> Answer:
    """Write an answer whose stream comes in pieces of `size` tokens."""
    if draft.request.vectors is not None:
        return _without_text(draft, stamp)
    thinking = draft.thinking()
    choices = tuple(draft.choice(index, thinking) for index in range(draft.request.choices))
    counts = _counts(draft, cache, choices, draft.reasoning_tokens(thinking))
    return Answer(
        id=stamp.id,
        created=stamp.created,
        model=draft.reply.model or draft.request.model,
        request=draft.request,
        choices=choices,
        thinking=thinking,
        steps=tuple(_steps(choices, thinking, counts, size)),
        counts=counts,
        service_tier=draft.reply.service_tier or draft.request.service_tier,
        usage=draft.reply.usage,
    )


def _without_text(draft: "Draft", stamp: Stamp) -> Answer:
    """Answer a request for embeddings: nothing is generated and nothing comes from a prompt cache."""
    scripted = draft.reply.input_tokens
    counted = sum(_prompt_counts(draft.request))
    return Answer(
        id=stamp.id,
        created=stamp.created,
        model=draft.reply.model or draft.request.model,
        request=draft.request,
        choices=(),
        thinking="",
        steps=(),
        counts=TokenCounts(input_tokens=counted if scripted is None else scripted),
        usage=draft.reply.usage,
    )


@dataclass(frozen=True, slots=True)
class Draft:
    """What an answer is written from."""

    request: ChatRequest
    reply: Reply
    seed: int

    def thinking(self) -> str:
        """Write the reasoning, which `max_tokens` cuts first."""
        text = self.reply.thinking
        if text is None:
            rng = self._generator("thinking")
            if self.reply.reasoning_tokens is not None:
                text = prose.write_exactly(rng, self.reply.reasoning_tokens)
            else:
                text = prose.write(rng) if self.request.thinking else ""
        return self._cut(text, before="")

    def reasoning_tokens(self, thinking: str) -> int:
        """Count the reasoning: as scripted, or as written."""
        scripted = self.reply.reasoning_tokens
        return tokens.count(thinking) if scripted is None else scripted

    def choice(self, index: int, thinking: str) -> Choice:
        """Write one choice: text, then the tool calls as far as there is room for all of them."""
        rng = self._generator(str(index))
        wanted = self._calls(rng)
        full = "" if wanted and self.reply.text is None else self._text(index, thinking, rng)
        text = self._cut(full, before=thinking)
        calls = wanted if self._fits(thinking, text, wanted) else ()
        finish = Finish.TOOL_CALLS if calls else Finish.STOP
        if text != full or calls != wanted:
            finish = Finish.LENGTH
        return Choice(index, text, calls, self.reply.finish or finish)

    def _generator(self, purpose: str) -> random.Random:
        # A string seeds by its SHA-512, the same in every process; half a surrogate pair cannot be encoded
        # for that.
        prompt = self.request.prompt.encode(errors="backslashreplace").decode()
        return random.Random(f"{self.seed}:{purpose}:{prompt}")

    def _cut(self, text: str, *, before: str) -> str:
        limit = self.request.max_tokens
        return text if limit is None else tokens.first(text, max(0, limit - tokens.count(before)))

    def _fits(self, thinking: str, text: str, calls: tuple[ToolCall, ...]) -> bool:
        limit = self.request.max_tokens
        used = tokens.count(thinking) + tokens.count(text) + sum(call.tokens for call in calls)
        return limit is None or used <= limit

    def _calls(self, rng: random.Random) -> tuple[ToolCall, ...]:
        wanted = self.reply.tool_calls
        if not wanted and self.reply.text is None and self.request.forced_tool:
            wanted = (self.request.forced_tool,)
        return tuple(call if isinstance(call, ToolCall) else self._made_up(call, rng) for call in wanted)

    def _made_up(self, name: str, rng: random.Random) -> ToolCall:
        schema = next((tool.parameters for tool in self.request.tools if tool.name == name), {})
        arguments = prose.example(rng, schema, root=schema) if schema else {}
        return ToolCall(name, arguments if isinstance(arguments, dict) else {})

    def _text(self, index: int, thinking: str, rng: random.Random) -> str:
        scripted = self.reply.text
        if isinstance(scripted, str):
            return scripted
        if scripted:
            return scripted[index % len(scripted)]
        if self.reply.output_tokens is not None:
            # The first choice holds all that was scripted, for usage does not tell the choices apart.
            silent = self.reasoning_tokens(thinking) + (self.reply.audio_output_tokens or 0)
            return prose.write_exactly(rng, max(0, self.reply.output_tokens - silent) if index == 0 else 0)
        schema = self.request.json_schema
        return prose.write(rng) if schema is None else prose.write_json(rng, schema)


def _counts(draft: Draft, cache: CacheUse, choices: tuple[Choice, ...], reasoning: int) -> TokenCounts:
    reply = draft.reply
    if scripts_cache(reply):
        cache = CacheUse(reply.cached_tokens or 0, reply.cache_write_tokens or 0, reply.cache_write_1h_tokens or 0)
    audio, text = _prompt_counts(draft.request)
    audio = audio if reply.audio_input_tokens is None else reply.audio_input_tokens
    heard = reply.audio_output_tokens or 0
    said = sum(tokens.count(each.text) + sum(call.tokens for call in each.tool_calls) for each in choices)
    counted_input = max(text + audio, cache.read + cache.written)
    return TokenCounts(
        input_tokens=counted_input if reply.input_tokens is None else reply.input_tokens,
        cached_tokens=cache.read,
        cache_write_tokens=cache.written,
        cache_write_1h_tokens=cache.written_1h,
        audio_input_tokens=audio,
        output_tokens=reasoning + said + heard if reply.output_tokens is None else reply.output_tokens,
        reasoning_tokens=reasoning,
        audio_output_tokens=heard,
    )


def scripts_cache(reply: Reply) -> bool:
    """Tell whether a reply says itself what it read from the prompt cache and wrote to it."""
    scripted = (reply.cached_tokens, reply.cache_write_tokens, reply.cache_write_1h_tokens)
    return any(amount is not None for amount in scripted)


def _prompt_counts(request: ChatRequest) -> tuple[int, int]:
    """Return the prompt's tokens of audio and of everything else."""
    audio = other = 0
    for segment, own in zip(request.segments, request.prompt_tokens, strict=True):
        if segment.is_audio:
            audio += len(own)
        else:
            other += len(own)
    return audio, other


def _steps(choices: tuple[Choice, ...], thinking: str, counts: TokenCounts, size: int) -> Iterator[Step]:
    """Yield the pieces: the reasoning, then the text of all choices in turn, then the tool calls."""
    reached = 0
    for piece, length in tokens.chunks(thinking, size):
        reached += length
        yield Step(0, "thinking", min(reached, counts.reasoning_tokens), piece)
    reached = counts.reasoning_tokens
    for row in zip_longest(*(tokens.chunks(choice.text, size) for choice in choices)):
        for index, chunk in enumerate(row):
            if chunk is not None:
                reached += chunk[1]
                yield Step(index, "text", min(reached, counts.output_tokens), chunk[0])
    for choice in choices:
        for number, call in enumerate(choice.tool_calls):
            reached += call.tokens
            capped = min(reached, counts.output_tokens)
            yield Step(choice.index, "tool_call", capped, call=call, call_index=number)
