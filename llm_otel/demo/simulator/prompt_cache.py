"""What the providers keep of earlier prompts: OpenAI and Gemini unasked, Anthropic where it is told to.

Entries stay until newer ones push them out: real caches forget after minutes, a simulator seldom lives as
long.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from llm_otel.demo.simulator.chat import ChatRequest, Provider

SHORTEST_PREFIX = 1024
"""Tokens below which no prompt is cached. OpenAI prompt-caching guide, Anthropic prompt-caching guide (most
models) and Gemini 2.5 Flash's implicit caching, 2025."""

STEP = 128
"""Tokens by which a cached prefix grows (OpenAI prompt-caching guide, 2025)."""

_ENTRIES = 20_000


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What one request reads from the cache and writes to it, in tokens of its input."""

    read: int = 0
    written: int = 0
    written_1h: int = 0


class PromptCache:
    """The prefixes seen so far. Not safe for use by several threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def use(self, request: ChatRequest) -> CacheUse:
        """Look a prompt up and remember it for the next time; embeddings are not cached."""
        if request.vectors is not None:
            return CacheUse()
        match request.provider:
            case Provider.OPENAI | Provider.GEMINI:
                return self._by_itself(request)
            case Provider.ANTHROPIC:
                return self._where_marked(request)
            case Provider.OLLAMA:
                return CacheUse()

    def _by_itself(self, request: ChatRequest) -> CacheUse:
        prompt = [token for segment in request.prompt_tokens for token in segment]
        # The last token is always computed, so a prompt is never cached as a whole.
        lengths = range(SHORTEST_PREFIX, len(prompt), STEP)
        starts = [0, *lengths]
        prefixes = _prefixes(request, [prompt[start:end] for start, end in pairwise(starts)])
        read = max((n for n, prefix in zip(lengths, prefixes, strict=True) if prefix in self._known), default=0)
        self._remember(prefixes)
        return CacheUse(read=read)

    def _where_marked(self, request: ChatRequest) -> CacheUse:
        lengths = list(accumulate(len(own) for own in request.prompt_tokens))
        prefixes = _prefixes(request, request.prompt_tokens)
        marks = [
            index
            for index, segment in enumerate(request.segments)
            if segment.cache_ttl and lengths[index] >= SHORTEST_PREFIX
        ]
        cacheable = range(marks[-1] + 1 if marks else 0)
        reached = read = max((lengths[i] for i in cacheable if prefixes[i] in self._known), default=0)
        written = {"5m": 0, "1h": 0}
        for index in marks:
            written[request.segments[index].cache_ttl or "5m"] += max(0, lengths[index] - reached)
            reached = max(reached, lengths[index])
        self._remember([prefixes[index] for index in marks])
        return CacheUse(read=read, written=sum(written.values()), written_1h=written["1h"])

    def _remember(self, prefixes: list[bytes]) -> None:
        for prefix in prefixes:
            self._known[prefix] = None
            self._known.move_to_end(prefix)
        while len(self._known) > _ENTRIES:
            self._known.popitem(last=False)


def _prefixes(request: ChatRequest, parts: Iterable[Sequence[str]]) -> list[bytes]:
    """Return a digest of the prompt up to the end of each part."""
    # A JSON string may hold half a surrogate pair, which no strict encoding takes.
    digest = hashlib.blake2b(f"{request.provider}\0{request.model}".encode(errors="surrogatepass"), digest_size=16)
    prefixes = []
    for part in parts:
        digest.update("\0".join(("", *part)).encode(errors="surrogatepass"))
        prefixes.append(digest.digest())
    return prefixes
