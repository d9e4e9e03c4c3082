"""Tables and bars for a terminal, or a pipe: what the commands and the demo draw with."""
