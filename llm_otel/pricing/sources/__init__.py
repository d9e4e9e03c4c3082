"""Where prices come from. Each answers with a `Quote`, and with `None` for what it does not know."""
