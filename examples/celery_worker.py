"""Celery tasks that run in the trace, and with the tags, of whoever sent them.

pip install "celery[redis]"
export OPENAI_API_KEY=... CELERY_BROKER_URL=redis://localhost:6379/1
celery --workdir examples --app celery_worker worker

>>> with traced_llm("nightly-digest", tags={"team": "growth"}):
...     summarize.delay("A long story.")
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, Task
from opentelemetry import context, propagate

import llm_otel
from llm_otel import LLMConfig, LLMRouter, traced_llm

llm_otel.configure(baggage_tags=("team", "feature"))
router = LLMRouter(LLMConfig(model="gpt-4o-mini"))


class TracedTask(Task):
    """Takes trace and tags along in the headers of its message, and opens a scope where it runs.

    Totals do not come back: the sender is not waiting. What the tasks of a team cost is in the metrics, and a budget
    for all processes is in a ledger that they share (`configure(ledger="redis://...")`).
    """

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        headers = dict(options.pop("headers", None) or {})
        propagate.inject(headers)
        return super().apply_async(args, kwargs, headers=headers, **options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        token = context.attach(propagate.extract(self.request.headers or {}))
        try:
            with traced_llm(self.name):
                return super().__call__(*args, **kwargs)
        finally:
            context.detach(token)


app = Celery("celery_worker", broker=os.environ.get("CELERY_BROKER_URL", "memory://"), task_cls=TracedTask)
app.conf.result_backend = os.environ.get("CELERY_RESULT_BACKEND", "cache+memory://")


@app.task(name="summarize")
def summarize(text: str) -> str:
    return router.complete([{"role": "user", "content": f"In one sentence: {text}"}]).content
