"""All benchmarks, each in a process of its own: `make bench`."""

import subprocess
import sys

for name in ("import_cost", "ledger", "call_overhead", "response_cache", "budget_race", "routing_quality"):
    # The interpreter that runs this file, and its neighbours.
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)  # noqa: S603
