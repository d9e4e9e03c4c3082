"""What importing costs, over what has to be loaded anyway: fresh processes, taken in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys

ROUNDS = 15
TRACING = "import asyncio, opentelemetry.context, opentelemetry.trace"
ROUTING = f"{TRACING}, prometheus_client, pydantic; class M(pydantic.BaseModel): x: int"
SUBJECTS = {
    "from llm_otel import traced_llm": ("from llm_otel import traced_llm", TRACING),
    "from llm_otel import LLMRouter, LLMConfig": ("from llm_otel import LLMRouter, LLMConfig", ROUTING),
}
_PROBE = """
import resource, time
start = time.process_time_ns()
{statement}
print((time.process_time_ns() - start) / 1e6, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def import_once(statement: str) -> tuple[float, float]:
    """Return milliseconds of CPU and MiB of memory of a fresh process that runs one import statement."""
    code = _PROBE.format(statement=statement.replace("; ", "\n"))
    # The interpreter that runs this file, and code from this file.
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    milliseconds, mebibytes = map(float, printed.stdout.split())
    return milliseconds, mebibytes


def main() -> None:
    print("Importing: CPU time and memory of a fresh process, medians, over what must be loaded in any case")
    for name, (ours, needed) in SUBJECTS.items():
        import_once(ours)  # compiles what was not compiled yet
        samples = [(import_once(ours), import_once(needed)) for _ in range(ROUNDS)]
        time_ratio = statistics.median(mine[0] / base[0] for mine, base in samples)
        took = statistics.median(mine[0] for mine, _ in samples)
        memory, base_memory = (statistics.median(pair[side][1] for pair in samples) for side in (0, 1))
        print(f"  {name:<42} {took:5.0f} ms  {time_ratio:5.2f} x   {memory:4.0f} MiB, {memory - base_memory:+.0f} MiB")


if __name__ == "__main__":
    main()
