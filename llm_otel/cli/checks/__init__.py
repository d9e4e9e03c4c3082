"""What `llm-otel check` looks at, one module for each thing that can be wrong in a deployment."""
