"""`python -m llm_otel` is `llm-otel`."""

from llm_otel.cli import main

if __name__ == "__main__":
    main()
