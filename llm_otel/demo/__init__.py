"""What `llm-otel demo` runs: a provider simulator, a workload and a report."""
