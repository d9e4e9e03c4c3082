"""What one call costs under other tracers of LiteLLM, side by side with ours: `make bench-peers`.

Each tracer replaces `litellm.completion`. Its function is taken from there and LiteLLM gets its own one back, so that
all of them run in one process, turn by turn, against the same bare call. Contents are off everywhere; no
MeterProvider is set, so that a peer's metrics cost next to nothing, while ours (Prometheus), the price of the call and,
where it says so, three budgets are in our figures.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["TRACELOOP_TRACE_CONTENT"] = "false"

import litellm
from litellm.integrations.opentelemetry import OpenTelemetry, OpenTelemetryConfig
from openinference.instrumentation import TraceConfig
from openinference.instrumentation.litellm import LiteLLMInstrumentor as OpenInference
from openlit._config import OpenlitConfig
from openlit.instrumentation.litellm import LiteLLMInstrumentor as OpenLIT
from opentelemetry.instrumentation.litellm import LiteLLMInstrumentor as OpenLLMetry

from benchmarks import call_overhead
from benchmarks.call_overhead import HAND_WRITTEN, INPUT_USD, MODEL, OUTPUT_USD, PAIRS, bare, set_up
from benchmarks.measure import pair_up
from llm_otel.versions import version_of

PRICES = {"chat": {MODEL: {"promptPrice": INPUT_USD / 1000, "completionPrice": OUTPUT_USD / 1000}}}
"""US dollars of a thousand tokens, as OpenLIT keeps them; it would fetch its list when it is initialised."""


def completion_under(instrument: Callable[[], object]) -> Callable[..., Any]:
    """Return `litellm.completion` as a tracer leaves it, and undo what it did."""
    modules = (litellm, litellm.main)
    before = [module.completion for module in modules]
    instrument()
    traced: Callable[..., Any] = litellm.completion
    for module, original in zip(modules, before, strict=True):
        module.completion = original
    if traced is before[0]:
        raise RuntimeError(f"{instrument} left litellm.completion as it was")
    return traced


def calling(completion: Callable[..., Any]) -> Callable[[], Any]:
    return lambda: completion(
        model=MODEL,
        messages=call_overhead.MESSAGES,
        mock_response=call_overhead.ANSWER,
        temperature=0.5,
        max_tokens=100,
    )


def with_litellms_own() -> Callable[[], Any]:
    """LiteLLM calls its callbacks for all calls of a process, so this one comes and goes with the call."""
    callback = OpenTelemetry(OpenTelemetryConfig(exporter="console"), skip_set_global=True)

    def call() -> Any:
        litellm.callbacks = [callback]
        try:
            return bare()
        finally:
            litellm.callbacks = []
            litellm.success_callback = []
            litellm._async_success_callback = []  # noqa: SLF001  # where LiteLLM copies its callbacks to

    return call


def peers() -> dict[str, Callable[[], Any]]:
    hidden = TraceConfig(hide_inputs=True, hide_outputs=True)
    OpenlitConfig().capture_message_content = False
    return {
        "LiteLLM's own callback": with_litellms_own(),
        f"OpenInference {version_of('openinference-instrumentation-litellm')}": calling(
            completion_under(lambda: OpenInference().instrument(config=hidden, skip_dep_check=True))
        ),
        f"OpenLLMetry {version_of('opentelemetry-instrumentation-litellm')}": calling(
            completion_under(lambda: OpenLLMetry().instrument(skip_dep_check=True))
        ),
        f"OpenLIT {version_of('openlit')}": calling(
            completion_under(
                lambda: OpenLIT().instrument(
                    pricing_info=PRICES, capture_message_content=False, disable_metrics=True, skip_dep_check=True
                )
            )
        ),
    }


def main() -> None:
    set_up()
    others = peers()
    print("CPU time that one call adds to bare litellm.completion(mock_response=...): median of pairs [quartiles]")
    added = pair_up(bare, call_overhead.variants() | others, pairs=PAIRS)
    floor = added[HAND_WRITTEN].median
    for name, cost in sorted(added.items(), key=lambda item: item[1].median):
        spread = f"[{cost.low:.0f}, {cost.high:.0f}]"
        print(f"  {name:<42} {cost.median:6.0f} us {spread:<14} {cost.median / floor:5.2f} x hand-written")


if __name__ == "__main__":
    main()
