"""The simulator as a test or the demo sees it."""

from types import TracebackType
from typing import Self

from llm_otel.clock import Clock, SystemClock
from llm_otel.demo.simulator.bill import Bill
from llm_otel.demo.simulator.chat import Provider
from llm_otel.demo.simulator.conversations import Conversations
from llm_otel.demo.simulator.handler import Handler, Settings, State
from llm_otel.demo.simulator.journal import Journal, RecordedRequest
from llm_otel.demo.simulator.prompt_cache import PromptCache
from llm_otel.demo.simulator.script import Behaviour, Pace, Predicate
from llm_otel.demo.simulator.server import LOOPBACK, Server

_PATHS = {Provider.OPENAI: "/v1", Provider.ANTHROPIC: "", Provider.GEMINI: "/v1beta", Provider.OLLAMA: ""}
"""What LiteLLM expects a provider's base address to end with; it adds the rest itself."""

_ADDRESS_VARIABLES = {
    "OPENAI_BASE_URL": Provider.OPENAI,
    "OPENAI_API_BASE": Provider.OPENAI,
    "ANTHROPIC_BASE_URL": Provider.ANTHROPIC,
    "ANTHROPIC_API_BASE": Provider.ANTHROPIC,
    "GEMINI_API_BASE": Provider.GEMINI,
    "OLLAMA_API_BASE": Provider.OLLAMA,
}
"""Read by LiteLLM 1.105.0 and 1.105.3 (`litellm/main.py`), checked 2026-11-22."""

_KEY_VARIABLES = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")


class Simulator:
    """Speaks the APIs of OpenAI, Anthropic, Gemini and Ollama over real HTTP on loopback.

    Every method may be called from any thread. Without a script each request gets a good answer, whose text
    depends on the seed and the prompt alone.

        with Simulator() as simulator:
            simulator.script(Fail(429, retry_after_s=0), Reply("Hello", input_tokens=18, output_tokens=5))
            ...
            assert simulator.bill["openai", "gpt-4o-mini"].output_tokens == 5

    Args:
        port: The port; 0 takes a free one.
        seed: What unscripted answers depend on beside the prompt.
        pace: How long answers take unless their script says otherwise.
        chunk_tokens: Tokens in a chunk of a stream.
        api_key: The key to insist on; any, or none, is good by default.
        ollama_models: What `/api/tags` lists; other models are answered all the same.
        keep_requests: How many requests are remembered.
        clock: Tells the time for answers and records, and waits where an answer is paced.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 0,
        pace: Pace | None = None,
        chunk_tokens: int = 3,
        api_key: str | None = None,
        ollama_models: tuple[str, ...] = ("llama3", "codellama", "mistral"),
        keep_requests: int = 10_000,
        clock: Clock | None = None,
    ) -> None:
        """Prepare a simulator; it listens from `start()` or `with` on."""
        if chunk_tokens < 1:
            raise ValueError(f"chunk_tokens must be 1 or more, not {chunk_tokens!r}")
        settings = Settings(seed, pace or Pace(), chunk_tokens, api_key, ollama_models, clock or SystemClock())
        self._state = State(requests=Journal(keep_requests), lookups=Journal(keep_requests))
        self._handler = Handler(settings, self._state)
        self._port = port
        self._server: Server | None = None

    def start(self) -> Self:
        """Begin to listen.

        Raises:
            OSError: The port is taken.
            RuntimeError: It listens already.
        """
        if self._server is not None:
            raise RuntimeError("the simulator has been started already")
        self._server = Server(self._handler, self._port)
        return self

    def close(self) -> None:
        """Drop every connection, even one that hangs, and end the thread; closing twice changes nothing."""
        if self._server is not None:
            self._server.close()

    def __enter__(self) -> Self:
        """Begin to listen."""
        return self.start()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close, and raise what went wrong in a predicate unless something else went wrong already."""
        self.close()
        if exc is None and self._state.crashes:
            raise self._state.crashes[0]

    @property
    def url(self) -> str:
        """The address it listens on, without a path or a slash at the end."""
        if self._server is None:
            raise RuntimeError("the simulator has not been started: use `with Simulator() as simulator`")
        return f"http://{LOOPBACK}:{self._server.port}"

    def api_base(self, provider: Provider | str) -> str:
        """Return what LiteLLM takes as `api_base` for a provider."""
        return self.url + _PATHS[Provider(provider)]

    def env(self, *, with_keys: bool = False) -> dict[str, str]:
        """Return the environment variables that make LiteLLM talk to this simulator.

        With `with_keys` they hold placeholder keys too, which LiteLLM itself wants for all but Ollama.
        """
        addresses = {name: self.api_base(provider) for name, provider in _ADDRESS_VARIABLES.items()}
        return addresses | (dict.fromkeys(_KEY_VARIABLES, "simulator") if with_keys else {})

    def script(self, *behaviours: Behaviour, when: Predicate | None = None, repeat: bool = False) -> None:
        """Say what the next requests get, in order; a request takes the first behaviour meant for it.

        Args:
            behaviours: Each for one request.
            when: Which requests these are for; it is called on the simulator's thread.
            repeat: They stay for all requests to come.
        """
        self._state.script.add(*behaviours, when=when, repeat=repeat)

    @property
    def pending(self) -> tuple[Behaviour, ...]:
        """Scripted behaviours that no request has taken, without those that repeat."""
        return self._state.script.pending()

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The requests for answers and embeddings so far, oldest first, as they arrived."""
        return self._state.requests.requests

    @property
    def lookups(self) -> tuple[RecordedRequest, ...]:
        """All other requests so far: Ollama's `/api/show` and `/api/tags`, and unknown paths."""
        return self._state.lookups.requests

    @property
    def in_flight(self) -> int:
        """Of these, those that have no complete answer yet, nor lost their client."""
        return self._state.requests.in_flight

    @property
    def bill(self) -> Bill:
        """The tokens charged for so far, by the simulator's own count."""
        return self._state.ledger.snapshot()

    def wait_for_requests(self, number: int = 1, *, timeout_s: float = 30.0) -> None:
        """Wait until this many requests have arrived.

        Raises:
            TimeoutError: They have not.
        """
        self._state.requests.wait_for_requests(number, timeout_s)

    def wait_until_idle(self, *, timeout_s: float = 30.0) -> None:
        """Wait until every request is answered or has lost its client.

        Raises:
            TimeoutError: Some are not.
        """
        self._state.requests.wait_until_idle(timeout_s)

    def hang_up(self) -> None:
        """Drop the connections of all requests in flight, soon: a client that holds on to one cannot disturb others."""
        if self._server is not None:
            self._server.hang_up()

    def clear(self) -> None:
        """Forget the script, the requests, the bill, prompt caches and conversations; requests in flight go on."""
        self._state.script.clear()
        self._state.requests.clear()
        self._state.lookups.clear()
        self._state.ledger.clear()
        self._state.cache = PromptCache()
        self._state.conversations = Conversations()
