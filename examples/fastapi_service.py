"""A FastAPI service whose every request is a scope: tags, totals and trace, to the last byte of a stream.

    pip install fastapi uvicorn
    OPENAI_API_KEY=... uvicorn --app-dir examples fastapi_service:app
    curl -H 'baggage: team=search' -d '{"text": "Why is the sky blue?"}' -H 'content-type: application/json' \
        localhost:8000/stream

`ANSWERS_URL=http://localhost:8001` names another instance for `/relay`, which runs in the same trace.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import httpx
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry import context, propagate
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

import llm_otel
from llm_otel import LLMConfig, LLMRouter, traced_llm

llm_otel.configure(baggage_tags=("team", "feature"))
router = LLMRouter(LLMConfig(model="gpt-4o-mini"))


class TraceRequests:
    """A scope around each request.

    ASGI, not a dependency and not `@app.middleware("http")`: these are left before a stream has been sent.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        # Who called: its trace, and the tags that `baggage_tags` lets in. With OpenTelemetry's own ASGI or FastAPI
        # instrumentation this is done already.
        token = context.attach(propagate.extract(headers))
        try:
            with traced_llm("request", tags={"user": headers.get("x-user", "anonymous")}):
                await self.app(scope, receive, send)
        finally:
            context.detach(token)


app = FastAPI()
app.add_middleware(TraceRequests)


class Question(BaseModel):
    text: str


def messages(question: Question) -> list[dict[str, str]]:
    return [{"role": "user", "content": question.text}]


@app.post("/answer")
def answer(question: Question) -> dict[str, str]:
    """A plain function: FastAPI runs it in a thread, and the scope comes along."""
    return {"text": router.complete(messages(question)).content}


@app.post("/stream")
async def stream(question: Question) -> StreamingResponse:
    """The stream is read after this function has returned; when the client hangs up, it is closed and booked."""

    async def text() -> AsyncIterator[str]:
        async for chunk in router.astream(messages(question)):
            yield chunk.content

    return StreamingResponse(text(), media_type="text/plain")


@app.post("/relay")
async def relay(question: Question) -> dict[str, str]:
    """Ask another service. An instrumented client writes these headers by itself."""
    headers: dict[str, str] = {}
    with traced_llm("relay", tags={"feature": "relay"}):
        propagate.inject(headers)
        async with httpx.AsyncClient(base_url=os.environ["ANSWERS_URL"], timeout=120) as answers:
            response = await answers.post("/answer", json=question.model_dump(), headers=headers)
    return {"text": response.raise_for_status().json()["text"]}
