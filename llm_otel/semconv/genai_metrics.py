"""The metrics of the GenAI conventions: names, units, descriptions and buckets, in two generations.

`latest` is open-telemetry/semantic-conventions-genai, main as of 2026-10-09 (commit 6fd0d763). `legacy` is what stood
in the core conventions last, v1.41, and what most libraries and dashboards still speak.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from llm_otel.semconv.metrics import DURATION_BUCKETS

GEN_AI_TOKEN_MODALITY = "gen_ai.token.modality"  # noqa: S105  # an attribute's name; nothing secret
GEN_AI_TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105  # as above

INFERENCE_OPERATIONS = frozenset({"chat", "text_completion", "generate_content"})
"""The operations that `gen_ai.client.inference.*` is for."""

TOKEN_BUCKETS = (
    1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
)  # fmt: skip
WORKFLOW_BUCKETS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)


class Modality(StrEnum):
    """Values of `gen_ai.token.modality`. What no provider has said is `unknown`: the conventions forbid guessing."""

    AUDIO = "audio"
    IMAGE = "image"
    UNKNOWN = "unknown"


class LegacyTokenType(StrEnum):
    """Values of `gen_ai.token.type`."""

    INPUT = "input"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class InstrumentSpec:
    """One metric of the conventions: a histogram where it has buckets, else a counter."""

    name: str
    unit: str
    description: str
    buckets: tuple[float, ...] = ()


# --- both generations -------------------------------------------------------------------------------------------------
CLIENT_OPERATION_DURATION = InstrumentSpec(
    "gen_ai.client.operation.duration", "s", "GenAI operation duration.", DURATION_BUCKETS
)
"""`legacy`: every operation. `latest`: those that are no inference, such as embeddings."""

# --- latest -----------------------------------------------------------------------------------------------------------
INFERENCE_DURATION = InstrumentSpec(
    "gen_ai.client.inference.duration", "s", "Duration of an inference, as the client sees it.", DURATION_BUCKETS
)
INFERENCE_TIME_TO_FIRST_CHUNK = InstrumentSpec(
    "gen_ai.client.inference.time_to_first_chunk",
    "s",
    "Time from the request to the first chunk of a streamed answer.",
    DURATION_BUCKETS,
)
INFERENCE_TIME_PER_OUTPUT_CHUNK = InstrumentSpec(
    "gen_ai.client.inference.time_per_output_chunk",
    "s",
    "Time from one chunk of a streamed answer to the next.",
    DURATION_BUCKETS,
)
USAGE_INPUT_TOKENS = InstrumentSpec(
    "gen_ai.client.inference.usage.input_tokens", "{token}", "Input tokens used, cached ones included."
)
USAGE_OUTPUT_TOKENS = InstrumentSpec(
    "gen_ai.client.inference.usage.output_tokens", "{token}", "Output tokens used, reasoning included."
)
USAGE_CACHE_READ_TOKENS = InstrumentSpec(
    "gen_ai.client.inference.usage.cache_read.input_tokens",
    "{token}",
    "The part of the input tokens that was read from the provider's cache.",
)
USAGE_CACHE_WRITE_TOKENS = InstrumentSpec(
    "gen_ai.client.inference.usage.cache_write.input_tokens",
    "{token}",
    "The part of the input tokens that was written to the provider's cache.",
)
USAGE_REASONING_TOKENS = InstrumentSpec(
    "gen_ai.client.inference.usage.reasoning.output_tokens",
    "{token}",
    "The part of the output tokens that was reasoning.",
)
OPERATION_INPUT_TOKENS = InstrumentSpec(
    "gen_ai.client.inference.operation.input_tokens", "{token}", "Input tokens of one inference.", TOKEN_BUCKETS
)
OPERATION_OUTPUT_TOKENS = InstrumentSpec(
    "gen_ai.client.inference.operation.output_tokens", "{token}", "Output tokens of one inference.", TOKEN_BUCKETS
)
INVOKE_WORKFLOW_DURATION = InstrumentSpec(
    "gen_ai.invoke_workflow.duration", "s", "Duration of a workflow.", WORKFLOW_BUCKETS
)

# --- legacy -----------------------------------------------------------------------------------------------------------
LEGACY_TOKEN_USAGE = InstrumentSpec(
    "gen_ai.client.token.usage", "{token}", "Number of input and output tokens used.", TOKEN_BUCKETS
)
LEGACY_TIME_TO_FIRST_CHUNK = InstrumentSpec(
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    "Time to receive the first chunk, measured from when the client issues the generation request to when the first "
    "chunk is received in the response stream.",
    DURATION_BUCKETS,
)
LEGACY_TIME_PER_OUTPUT_CHUNK = InstrumentSpec(
    "gen_ai.client.operation.time_per_output_chunk",
    "s",
    "Time per output chunk, recorded for each chunk received after the first one, measured as the time elapsed from "
    "the end of the previous chunk to the end of the current chunk.",
    DURATION_BUCKETS,
)

LATEST_GENAI_METRICS = (
    INFERENCE_DURATION,
    INFERENCE_TIME_TO_FIRST_CHUNK,
    INFERENCE_TIME_PER_OUTPUT_CHUNK,
    USAGE_INPUT_TOKENS,
    USAGE_OUTPUT_TOKENS,
    USAGE_CACHE_READ_TOKENS,
    USAGE_CACHE_WRITE_TOKENS,
    USAGE_REASONING_TOKENS,
    OPERATION_INPUT_TOKENS,
    OPERATION_OUTPUT_TOKENS,
    CLIENT_OPERATION_DURATION,
    INVOKE_WORKFLOW_DURATION,
)
LEGACY_GENAI_METRICS = (
    CLIENT_OPERATION_DURATION,
    LEGACY_TOKEN_USAGE,
    LEGACY_TIME_TO_FIRST_CHUNK,
    LEGACY_TIME_PER_OUTPUT_CHUNK,
)

BACKLOG = InstrumentSpec("llm_otel.backlog", "", "Never has a value: its callback works off what calls left behind.")
