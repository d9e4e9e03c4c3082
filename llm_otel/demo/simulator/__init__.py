"""A provider simulator: the APIs of OpenAI, Anthropic, Gemini and Ollama over real HTTP on loopback.

It speaks the chats of all four, OpenAI's responses, the older completions of OpenAI and Ollama, and the embeddings
of OpenAI, Gemini and Ollama.

It needs nothing but the standard library, counts tokens by the text, keeps its own bill, and misbehaves on
request.

    with Simulator() as simulator:
        os.environ.update(simulator.env(with_keys=True))
        simulator.script(Fail(429, retry_after_s=1), Reply("Hello"), Hang())

Modules: `wires/` spells the formats, `compose` writes answers, `script` holds the behaviours, `delivery`
sends them, `bill` and `journal` keep count, `conversations` and `prompt_cache` remember, `server` and
`connection` do the HTTP.
"""

from llm_otel.demo.simulator.bill import Bill, BillLine
from llm_otel.demo.simulator.chat import Finish, Provider, ToolCall
from llm_otel.demo.simulator.journal import RecordedRequest
from llm_otel.demo.simulator.script import (
    EMPTY_BODY,
    GARBAGE_JSON,
    HTML_PAGE,
    Behaviour,
    Break,
    Fail,
    Hang,
    Pace,
    Raw,
    Reply,
    Reset,
    StreamError,
)
from llm_otel.demo.simulator.simulator import Simulator

__all__ = [
    "EMPTY_BODY",
    "GARBAGE_JSON",
    "HTML_PAGE",
    "Behaviour",
    "Bill",
    "BillLine",
    "Break",
    "Fail",
    "Finish",
    "Hang",
    "Pace",
    "Provider",
    "Raw",
    "RecordedRequest",
    "Reply",
    "Reset",
    "Simulator",
    "StreamError",
    "ToolCall",
]
