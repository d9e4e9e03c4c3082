"""Every name that leaves the process: attributes, metrics, labels, units, buckets, events.

GenAI names follow open-telemetry/semantic-conventions-genai, main as of 2026-10-09 (commit 6fd0d763), stability
`development`. They are pinned here as literals: the constants of `opentelemetry-semantic-conventions` are frozen and
marked as moved, and lack the newest names. Cost attributes follow the open proposal
https://github.com/open-telemetry/semantic-conventions-genai/pull/443. Everything under `llm_otel.` is our own.
"""

# The names are used as `semconv.NAME` everywhere; where each is at home is nobody's business.
from llm_otel.semconv.attributes import *  # noqa: F403
from llm_otel.semconv.genai_metrics import *  # noqa: F403
from llm_otel.semconv.metrics import *  # noqa: F403
from llm_otel.semconv.resource import *  # noqa: F403
