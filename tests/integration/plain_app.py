"""An application with LiteLLM in it, as there are many. It knows of no telemetry and of no budgets.

It makes its calls one after another, tells on standard output what it got for each, a line of JSON each, and ends right
after the last one.
"""

import asyncio
import json
import sys

import litellm

litellm.suppress_debug_info = True
litellm.drop_params = True

QUESTION = [{"role": "user", "content": "What does it cost?"}]
LONG_STORY = [{"role": "user", "content": "Tell me a long story."}]
ROUTES = [
    {"model_name": "main", "litellm_params": {"model": "openai/gpt-4o"}},
    {"model_name": "spare", "litellm_params": {"model": "anthropic/claude-3-haiku-20240307"}},
]
EMBEDDERS = [{"model_name": "vectors", "litellm_params": {"model": "text-embedding-3-small"}}]


def name_of(thing):
    """Return the full name of a type, as `isinstance` sees it."""
    kind = thing.__class__
    return f"{kind.__module__}.{kind.__qualname__}"


def tell(call, *, got=(), error=None, text=None, tokens=None):
    """Print what came of a call: the types of what was got, the text and the tokens, or the error."""
    told = {"call": call, "got": list(got), "error": error, "text": text, "tokens": tokens}
    sys.stdout.write(json.dumps(told) + "\n")


def tokens_of(usage):
    """Return input and output tokens of any usage."""
    if usage is None:
        return None
    if hasattr(usage, "input_tokens"):
        return [usage.input_tokens, usage.output_tokens]
    return [usage.prompt_tokens, usage.completion_tokens]


def attempt(call, make, read):
    """Make a call, read what it returned, and tell."""
    try:
        tell(call, **read(make()))
    except Exception as error:
        tell(call, error=name_of(error))
        sys.stderr.write(f"{call}: {error}\n")


async def aattempt(call, make, read):
    """Do the same for a coroutine."""
    try:
        told = read(await make())
        tell(call, **(await told if asyncio.iscoroutine(told) else told))
    except Exception as error:
        tell(call, error=name_of(error))
        sys.stderr.write(f"{call}: {error}\n")


def chat(response):
    """Read a completion."""
    text = response.choices[0].message.content
    return {"got": [name_of(response)], "text": text, "tokens": tokens_of(response.usage)}


def vectors(response):
    """Read embeddings."""
    return {"got": [name_of(response)], "text": len(response.data), "tokens": tokens_of(response.usage)}


def older(response):
    """Read a text completion."""
    return {"got": [name_of(response)], "text": response.choices[0].text, "tokens": tokens_of(response.usage)}


def answer(response):
    """Read a response."""
    text = response.output[0].content[0].text
    return {"got": [name_of(response)], "text": text, "tokens": tokens_of(response.usage)}


def chunks(stream):
    """Read a stream of completion chunks."""
    return _chunks(stream, list(stream))


async def achunks(stream):
    """Read an async stream of completion chunks."""
    return _chunks(stream, [chunk async for chunk in stream])


def _chunks(stream, read):
    assert isinstance(stream, litellm.CustomStreamWrapper)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in read if chunk.choices)
    usage = next((chunk.usage for chunk in read if getattr(chunk, "usage", None)), None)
    return {"got": [name_of(stream), *map(name_of, read)], "text": text, "tokens": tokens_of(usage)}


def first_chunk(stream):
    """Read no further than the first piece of text."""
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            return {"got": [name_of(stream), name_of(chunk)], "text": chunk.choices[0].delta.content}
    raise AssertionError("a stream without text")


async def aevents(stream):
    """Read the events of a response."""
    read = [event async for event in stream]
    text = "".join(event.delta for event in read if event.type == "response.output_text.delta")
    return {"got": [name_of(stream), *map(name_of, read)], "text": text, "tokens": tokens_of(read[-1].response.usage)}


def ask_in_turn():
    """Make the calls that block."""
    attempt("completion", lambda: litellm.completion(model="gpt-4o-mini", messages=QUESTION), chat)
    attempt(
        "completion of anthropic",
        lambda: litellm.completion("anthropic/claude-3-haiku-20240307", QUESTION, max_tokens=50),
        chat,
    )
    attempt(
        "completion stream",
        lambda: litellm.completion(model="gemini/gemini-2.5-flash", messages=QUESTION, stream=True),
        chunks,
    )
    attempt(
        "completion stream with usage",
        lambda: litellm.completion(
            model="gpt-4o-mini", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        ),
        chunks,
    )
    attempt(
        "completion stream left early",
        lambda: litellm.completion(model="gpt-4.1-nano", messages=LONG_STORY, stream=True),
        first_chunk,
    )
    attempt(
        "completion refused",
        lambda: litellm.completion(model="openai/gpt-4-turbo", messages=QUESTION, max_retries=0),
        chat,
    )
    router = litellm.Router(model_list=ROUTES, fallbacks=[{"main": ["spare"]}], num_retries=0)
    attempt("router", lambda: router.completion(model="main", messages=QUESTION), chat)
    attempt("router stream", lambda: router.completion(model="main", messages=QUESTION, stream=True), chunks)
    attempt("embedding", lambda: litellm.embedding(model="text-embedding-3-small", input=["a b", "c"]), vectors)
    attempt("responses", lambda: litellm.responses(model="gpt-4o-mini", input="Hello!"), answer)
    attempt(
        "responses of anthropic",
        lambda: litellm.responses(model="anthropic/claude-3-haiku-20240307", input="Hello!"),
        answer,
    )
    attempt(
        "text_completion",
        lambda: litellm.text_completion(model="gpt-3.5-turbo-instruct", prompt="Once", max_tokens=20),
        older,
    )


async def ask_at_once():
    """Make the calls that do not block."""
    await aattempt("acompletion", lambda: litellm.acompletion(model="ollama_chat/llama3", messages=QUESTION), chat)
    await aattempt(
        "acompletion stream",
        lambda: litellm.acompletion(model="gpt-4o-mini", messages=QUESTION, stream=True),
        achunks,
    )
    router = litellm.Router(model_list=ROUTES, fallbacks=[{"main": ["spare"]}], num_retries=0)
    await aattempt("router async", lambda: router.acompletion(model="main", messages=QUESTION), chat)
    embedder = litellm.Router(model_list=EMBEDDERS, num_retries=0)
    await aattempt("router embedding", lambda: embedder.aembedding(model="vectors", input="a b c"), vectors)
    await aattempt("aembedding", lambda: litellm.aembedding(model="ollama/nomic-embed-text", input="a b c"), vectors)
    await aattempt(
        "aresponses stream", lambda: litellm.aresponses(model="gpt-4o-mini", input="Hello!", stream=True), aevents
    )


if __name__ == "__main__":
    ask_in_turn()
    if "--blocking-only" not in sys.argv:
        asyncio.run(ask_at_once())
